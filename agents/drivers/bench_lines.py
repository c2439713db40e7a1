"""What host and bench say to each other over the stimulator's Unix socket: one JSON object a line, a reply to each.

    {"do": "identify"}                     {"identity": {...}}
    {"do": "self_test"}                    {"failed": null}
    {"do": "exchange", "drive": {...}}     {"reading": {...}}
    {"do": "fault", "fault": {...}}        {"done": true}       what the bench then suffers, `at_s` from now
    {"do": "heal", "kind": "pad_dries"}    {"done": true}
    {"do": "truth"}                        {"at_s": ..., "true_ma": ..., "zero_since_s": ..., "charge_uc": ...}

What cannot be understood is answered with {"error": "why"}. A silent stimulator answers no `exchange` and `self_test`.
"""

import dataclasses
import json
from typing import Any, Final

from agents.drivers.port import Drive, Identity, Pattern, Reading
from broker.contract.limits import LIMIT_NAMES, Layer, Limit, Limits

LINE_BYTES_MAX: Final = 16 * 1024


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


def drive_line(drive: Drive) -> bytes:
    return line(do="exchange", drive=dataclasses.asdict(drive))


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


def reading_from(said: Any) -> Reading:
    """Raises: BadLine: not a reading."""
    try:
        return Reading(**said)
    except TypeError as error:
        raise BadLine(f"not a reading: {error}") from error


def identity_from(said: Any) -> Identity:
    """Raises: BadLine: not an identity."""
    try:
        profile = {
            name: Limit(said["profile"][name]["value"], Layer(said["profile"][name]["layer"])) for name in LIMIT_NAMES
        }
        return Identity(said["serial"], said["model"], said["firmware"], Limits(**profile))
    except (TypeError, ValueError, KeyError) as error:
        raise BadLine(f"not an identity: {error}") from error
