"""Faults as data: what goes wrong, when, for how long and how badly. Read from JSON, or told to a running bench."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class FaultKind(StrEnum):
    """What can go wrong, with the meaning of `size`. Kinds marked [world] are acted out around the stimulator."""

    ELECTRODE_LIFTS = "electrode_lifts"  # share of the pad still in contact; 0: none
    ELECTRODE_SHORTS = "electrode_shorts"  # ohm between the pads
    PAD_DRIES = "pad_dries"  # factor on the impedance, reached after `for_s`; a dry pad stays dry
    OUTPUT_STUCK = "output_stuck"  # mA that flow whatever is ordered; 0: whatever was ordered last, zero is ignored
    OUTPUT_ABOVE = "output_above"  # factor on the ordered current
    SENSOR_FROZEN = "sensor_frozen"  # no size: the converter repeats its last count
    SENSOR_LOST = "sensor_lost"  # no size: no reading of current and impedance
    BATTERY_DIES = "battery_dies"  # per cent at which the battery then stands
    OVERHEATS = "overheats"  # kelvin above what the physics says
    HAND_SWITCH = "hand_switch"  # no size: the patient presses
    SELF_TEST_FAILS = "self_test_fails"  # no size
    DRIVER_SILENT = "driver_silent"  # no size: the stimulator does not answer its host; it lives on
    LINK_CUT = "link_cut"  # [world] no size: the network between agent and broker
    CLOCK_STEPPED = "clock_stepped"  # [world] seconds by which the agent's wall clock is wrong


# Where a fault's size says nothing, or where nothing was given.
_SIZE_BY_DEFAULT = {
    FaultKind.ELECTRODE_SHORTS: 40.0,
    FaultKind.PAD_DRIES: 2.5,
    FaultKind.OUTPUT_ABOVE: 1.5,
    FaultKind.OVERHEATS: 60.0,
    FaultKind.CLOCK_STEPPED: 3600.0,
}
_FACTORS = frozenset({FaultKind.PAD_DRIES, FaultKind.OUTPUT_ABOVE})


class BadFault(ValueError):
    """A fault description that cannot be acted out; the message says which part."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: present from `at_s`, seconds since the stimulator was switched on, for `for_s` (infinity: always)."""

    kind: FaultKind
    at_s: float = 0.0
    for_s: float = math.inf
    size: float = 0.0

    def present(self, age_s: float) -> bool:
        return self.at_s <= age_s < self.at_s + self.for_s

    def begun(self, age_s: float) -> bool:
        return self.at_s <= age_s

    def factor(self, age_s: float) -> float:
        """For a drying pad: 1 at `at_s`, rising in a straight line to `size` after `for_s`, and staying there."""
        if not self.begun(age_s):
            return 1.0
        share = 1.0 if math.isinf(self.for_s) else min(1.0, (age_s - self.at_s) / self.for_s if self.for_s else 1.0)
        return 1.0 + (self.size - 1.0) * share


def fault(kind: FaultKind, at_s: float = 0.0, for_s: float = math.inf, size: float | None = None) -> Fault:
    """A fault with the usual size of its kind where none is given."""
    return Fault(kind, at_s, for_s, _SIZE_BY_DEFAULT.get(kind, 0.0) if size is None else size)


def fault_from(described: object) -> Fault:
    """A fault from what JSON says: `{"kind": ..., "at_s": ..., "for_s": ..., "size": ...}`, only `kind` required.

    Raises:
        BadFault: an unknown kind or key, or a number that is none, negative or not finite.
    """
    if not isinstance(described, Mapping) or "kind" not in described:
        raise BadFault(f"a fault is an object with a kind, not {described!r:.80}")
    if unknown := set(described) - {"kind", "at_s", "for_s", "size"}:
        raise BadFault(f"a fault has no {', '.join(map(str, sorted(unknown)))}")
    try:
        kind = FaultKind(described["kind"])
    except ValueError as error:
        raise BadFault(f"unknown kind of fault {described['kind']!r:.80}; known: {', '.join(FaultKind)}") from error
    numbers = {name: _number(name, described[name]) for name in ("at_s", "for_s", "size") if name in described}
    if kind in _FACTORS and numbers.get("size", 1.0) < 1.0:
        raise BadFault(f"size of {kind} is a factor of at least 1")
    return fault(kind, numbers.get("at_s", 0.0), numbers.get("for_s", math.inf), numbers.get("size"))


def _number(name: str, value: object) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    negative_allowed = name == "size"  # a clock may be stepped backwards
    if not math.isfinite(number) or (number < 0 and not negative_allowed):
        raise BadFault(f"{name} must be a number of seconds or a size, not {value!r:.40}")
    return float(number)


def faults_from_file(path: Path) -> dict[str, tuple[Fault, ...]]:
    """Faults per device from a JSON file: `{"stim-01": [{"kind": "electrode_lifts", "at_s": 12, "for_s": 5}]}`.

    Raises:
        BadFault: the file is not JSON of this shape.
        OSError: it cannot be read.
    """
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadFault(f"{path} is not JSON: {error}") from error
    if not isinstance(described, dict) or not all(isinstance(entry, list) for entry in described.values()):
        raise BadFault(f"{path} must hold an object: device -> list of faults")
    return {device: tuple(map(fault_from, entry)) for device, entry in described.items()}


def strongest(faults: Iterable[Fault], kind: FaultKind, age_s: float) -> Fault | None:
    """The last one of a kind that is present now."""
    found = None
    for candidate in faults:
        if candidate.kind is kind and candidate.present(age_s):
            found = candidate
    return found
