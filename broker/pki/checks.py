"""What is checked on a device, how often, and which firmware a model must have: the clinic's own words.

How often is said per model, and tighter for a single device if need be. A check that is due and was never recorded is
overdue: nobody knows that it was done.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

VERSION_PATTERN = r"\d{1,9}(\.\d{1,9}){0,7}"


class CheckKind(StrEnum):
    """What is recorded as done."""

    CALIBRATION = "calibration"
    SAFETY = "safety"
    FIRMWARE = "firmware"  # somebody has looked whether there is a newer one


@dataclass(frozen=True, slots=True)
class Every:
    """How often: in days, in hours of use, in sessions, whichever comes first. None: not by that."""

    days: int | None = None
    hours: float | None = None
    sessions: int | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, name) is not None for name in BOUNDS)


@dataclass(frozen=True, slots=True)
class DoneCheck:
    """A check of one device: when it was last done, and what tightens its model's interval."""

    done: date | None = None
    every: Every = field(default_factory=Every)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What every device of a model needs. Below `firmware_min` no session is started after the day `firmware_by`,
    at once where that is None.
    """

    every: Mapping[str, Every] = field(default_factory=dict)
    firmware_min: str | None = None
    firmware_by: date | None = None


# Least and most of each interval, both included. An hour is the least that is worth a person's way.
BOUNDS: dict[str, tuple[float, float]] = {"days": (1, 3_650), "hours": (1.0, 100_000.0), "sessions": (1, 1_000_000)}


def wrong_interval(name: str, value: Any) -> str | None:
    """Why an interval cannot be `value`; None when it can."""
    whole = name != "hours"
    low, high = BOUNDS[name]
    if type(value) is not int and (whole or type(value) is not float):
        return "which is no whole number" if whole else "which is no number"
    return None if low <= value <= high else f"which is not from {low:g} to {high:g}"


def loosened(model: Every, name: str, value: float) -> float | None:
    """The model's interval, where a device's own would be longer, and so would be ignored."""
    ours: float | None = getattr(model, name)
    return ours if ours is not None and value > ours else None


def is_version(text: str) -> bool:
    return re.fullmatch(VERSION_PATTERN, text) is not None
