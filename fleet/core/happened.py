"""What every durable event carries."""

from dataclasses import dataclass
from typing import ClassVar

from broker.contract.shapes import Strict


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened(Strict):
    """Boot time of the fleet's host and Unix time at which an event was decided."""

    version: ClassVar[int] = 1
    now_s: float
    wall_s: float
