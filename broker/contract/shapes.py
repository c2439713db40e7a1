"""What a scalar on the wire may look like: bounds and patterns, written on the type of the field that they hold for.

The contract imports nothing but the standard library. The codec validates with pydantic, which asks an annotation's
metadata for a core schema through the hook below; the hook needs no import of pydantic here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

_Schema = dict[str, Any]


class Strict:
    """No unknown keys, no coercion, no NaN: the codec's validator reads this from every class on the wire."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
    }


class _Constraint(ABC):
    """Adds its constraints to the schema of the type that it annotates."""

    @abstractmethod
    def constraints(self) -> _Schema:
        """What it constrains, in the words of the validator's schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], _Schema]) -> _Schema:
        return {**handler(source), **self.constraints()}


@dataclass(frozen=True, slots=True)
class Between(_Constraint):
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def constraints(self) -> _Schema:
        return {"ge": self.low, "le": self.high}


@dataclass(frozen=True, slots=True)
class Matching(_Constraint):
    """A string that matches `pattern` as a whole."""

    pattern: str

    def constraints(self) -> _Schema:
        return {"pattern": f"^(?:{self.pattern})$"}


_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"


@dataclass(frozen=True, slots=True)
class Text(_Constraint):
    """Free text for people, of bounded length: never client data, never interpreted.

    No control characters, line separators or changes of writing direction: it may come to stand in a terminal.
    """

    chars_max: int

    def constraints(self) -> _Schema:
        return {"min_length": 1, "max_length": self.chars_max, "pattern": _PRINTABLE}


@dataclass(frozen=True, slots=True)
class AtMost(_Constraint):
    """A list of at most `items`."""

    items: int

    def constraints(self) -> _Schema:
        return {"max_length": self.items}


NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,31}"  # site and device, contract.md "Transport"
HOLD_ID_HEX = 16  # the first 8 bytes of SHA-256 of the retained payload
COUNT_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps exact

# [0-9], not \d: in the codec's patterns that is a digit of any script.
_WALL_TIME = r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3}Z"

SiteId = Annotated[str, Matching(NAME_PATTERN)]
DeviceId = Annotated[str, Matching(NAME_PATTERN)]
RoomId = Annotated[str, Matching(NAME_PATTERN)]
ClientToken = Annotated[str, Matching(r"[a-z0-9][a-z0-9-]{3,63}")]  # random and pseudonymous: domain.md
OperatorId = Annotated[str, Matching(r"[a-z0-9][a-z0-9.-]{0,63}")]
RuleSet = Annotated[str, Matching(r"[a-z0-9][a-z0-9.-]{0,31}")]
HexId = Annotated[str, Matching(r"[0-9a-f]{32}")]  # 16 bytes: command, session, event, spool
HoldId = Annotated[str, Matching(rf"[0-9a-f]{{{HOLD_ID_HEX}}}")]
Sha256Hex = Annotated[str, Matching(r"[0-9a-f]{64}")]
WallTime = Annotated[str, Matching(_WALL_TIME)]  # UTC, for people
Label = Annotated[str, Text(64)]
Capability = Annotated[str, Matching(r"[a-z][a-z0-9_]{0,31}")]

Count = Annotated[int, Between(0, COUNT_MAX)]
Ordinal = Annotated[int, Between(1, COUNT_MAX)]
BootTime = Annotated[float, Between(0.0, 1e10)]  # seconds of CLOCK_BOOTTIME
Seconds = Annotated[float, Between(0.0, 1e7)]
SignedSeconds = Annotated[float, Between(-1e10, 1e10)]
MilliAmps = Annotated[float, Between(0.0, 1000.0)]  # what a sensor may report; limits are far below
MicroSeconds = Annotated[float, Between(0.0, 1e6)]
Hertz = Annotated[float, Between(0.0, 1e5)]
Ohms = Annotated[float, Between(0.0, 1e7)]
Percent = Annotated[float, Between(0.0, 100.0)]
Celsius = Annotated[float, Between(-100.0, 300.0)]
MicroCoulombs = Annotated[float, Between(0.0, 1e12)]
SquareCentimetres = Annotated[float, Between(0.1, 10_000.0)]
Quantity = Annotated[float, Between(-1e12, 1e12)]  # a measured or limiting number whose unit its name says
