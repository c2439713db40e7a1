"""What host and bench say to each other over the stimulator's Unix socket: one JSON object a line, a reply to each.

    {"do": "identify"}                     {"identity": {...}}
    {"do": "self_test"}                    {"failed": null}
    {"do": "exchange", "drive": {...}}     {"reading": {...}}
    {"do": "fault", "fault": {...}}        {"done": true, "at_s": ...}    what it then suffers, in `at_s` from then
    {"do": "heal", "kind": "pad_dries"}    {"done": true}
    {"do": "truth"}                        {"at_s": ..., "true_ma": ..., "zero_since_s": ..., "charge_uc": ...}

What cannot be understood is answered with {"error": "why"}. A silent stimulator answers no `exchange` and `self_test`,
and both are for one host at a time: while the connection that first said one of them lives, others are refused.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from agents.drivers.port import Drive, Identity, Pattern, Reading
from broker.contract.limits import LIMIT_NAMES, Layer, Limit, Limits
from broker.contract.shapes import COUNT_MAX

LINE_BYTES_MAX: Final = 16 * 1024
_LABEL_CHARS_MAX: Final = 64  # of `broker.contract.shapes.Label`

T = TypeVar("T")


class BadLine(ValueError):
    """A line that is not what the other side should say."""


def line(**said: object) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def parsed(raw: bytes) -> dict[str, Any]:
    """The object of a line.

    Raises:
        BadLine: not UTF-8, not JSON, not an object, or longer than a line may be.
    """
    if len(raw) > LINE_BYTES_MAX:
        raise BadLine("line too long")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}") from error
    if not isinstance(said, dict):
        raise BadLine("not an object")
    return said


@lru_cache(maxsize=1)  # most ticks drive what the one before drove
def drive_line(drive: Drive) -> bytes:
    pattern = None if drive.pattern is None else flat(drive.pattern)
    return line(do="exchange", drive={**flat(drive), "pattern": pattern})


def flat(value: Drive | Pattern | Reading) -> dict[str, object]:
    """`dataclasses.asdict` copies deeply, which costs more than all the rest of a line."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def drive_from(said: Any) -> Drive:
    """Raises: BadLine: not a drive, or one that no hardware could be told."""
    try:
        pattern = None if said["pattern"] is None else Pattern(**said["pattern"])
        drive = Drive(**{**said, "pattern": pattern})
    except (TypeError, ValueError, KeyError) as error:
        raise BadLine(f"not a drive: {error}") from error
    switches = (drive.enabled, drive.test_pulse, drive.feed_watchdog, drive.relay_open)
    if not all(isinstance(switch, bool) for switch in switches) or not _within(drive.setting_ma, 0.0, 1000.0):
        raise BadLine("not a drive: a switch or the setting is none")
    if pattern is not None:
        times = (pattern.on_s, pattern.off_s, pattern.ramp_up_s, pattern.ramp_down_s)
        if not (
            _within(pattern.frequency_hz, 0.1, 10_000.0)
            and _within(pattern.pulse_width_us, 1.0, 10_000.0)
            and all(_within(time_s, 0.0, 86_400.0) for time_s in times)
            and sum(times) > 0.0
        ):
            raise BadLine("not a drive: its pattern is none")
    return drive


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def reading_from(answer: Mapping[str, Any]) -> Reading:
    """Raises: BadLine: not a reading."""
    try:
        said = answer["reading"]
        if set(said) != set(_READS):
            raise BadLine("not a reading: other fields than a reading has")
        return Reading(**{name: reads(said[name]) for name, reads in _READS.items()})
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise BadLine(f"not a reading: {error}") from error


def identity_from(answer: Mapping[str, Any]) -> Identity:
    """Raises: BadLine: not an identity."""
    try:
        said = answer["identity"]
        profile = {
            name: Limit(_finite(said["profile"][name]["value"]), Layer(said["profile"][name]["layer"]))
            for name in LIMIT_NAMES
        }
        serial, model, firmware = (_label(said[name]) for name in ("serial", "model", "firmware"))
        return Identity(serial, model, firmware, Limits(**profile))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise BadLine(f"not an identity: {error}") from error


def self_test_from(answer: Mapping[str, Any]) -> str | None:
    """Raises: BadLine: neither a pass nor the name of a check."""
    try:
        return _or_none(_label)(answer["failed"])
    except (ValueError, KeyError) as error:
        raise BadLine(f"not the outcome of a self-test: {error}") from error


def _number(value: object) -> float:
    """NaN is a number here: what the converter says when it has nothing to say."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadLine("a number is none")
    return float(value)


def _finite(value: object) -> float:
    number = _number(value)
    if not math.isfinite(number):
        raise BadLine("a number is not finite")
    return number


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > COUNT_MAX:
        raise BadLine("a count is none")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadLine("a switch is neither on nor off")
    return value


def _label(value: object) -> str:
    """What may go into a birth and stand in a terminal."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LABEL_CHARS_MAX or not value.isprintable():
        raise BadLine(f"a label is not 1 to {_LABEL_CHARS_MAX} printable characters")
    return value


def _or_none(reads: Callable[[object], T]) -> Callable[[object], T | None]:
    return lambda value: None if value is None else reads(value)


_READS: Final[dict[str, Callable[[object], Any]]] = {
    "taken_s": _finite,
    "amplitude_ma": _or_none(_number),
    "raw_amplitude": _or_none(_whole),
    "raw_n": _whole,
    "impedance_ohm": _or_none(_number),
    "setting_ma": _finite,
    "level_ma": _finite,
    "in_on_phase": _switch,
    "battery_pct": _or_none(_number),
    "temperature_c": _or_none(_number),
    "relay_closed": _switch,
    "watchdog_tripped": _switch,
    "hand_switch_pressed": _switch,
}
"""The fields of a reading, and what each may be."""
