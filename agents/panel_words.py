"""What the panel says about the device, in plain words."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.control import Snapshot
from agents.engineer import data_dir_option
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import Condition, Phase

PHASES: Final[dict[Phase, str]] = {
    Phase.IDLE: "idle: no session",
    Phase.AUTHORISED: "authorised: put the pads on, then arm",
    Phase.ARMED: "armed: start when the patient is ready",
    Phase.RUNNING: "running",
    Phase.PAUSED: "paused: resume begins at 0 mA",
    Phase.STOPPING: "stopping",
    Phase.LATCHED: "latched at zero",
    Phase.FAULT: "fault, or not ready yet: no output",
}
CAUSES: Final[dict[Cause, str]] = {
    Cause.COMPLETED: "the session was completed",
    Cause.THERAPIST_STOP: "the therapist ended the session",
    Cause.PAUSE_TIMEOUT: "the pause was too long",
    Cause.BATTERY_EMPTY: "the battery is empty",
    Cause.CANCELLED: "the session was cancelled",
    Cause.PATIENT_STOP: "the patient or the red button stopped it",
    Cause.EMERGENCY_STOP: "an emergency stop was sent",
    Cause.RULE_STOP: "a safety rule of the fleet stopped it",
    Cause.SESSION_CAP: "the fleet's second timer ran out",
    Cause.LEASE_LOST: "the permission of the fleet ran out",
    Cause.OVER_LIMIT: "more current was measured than is allowed",
    Cause.OUTPUT_STUCK: "the output did not go to zero when it was told to",
    Cause.ELECTRODE_OPEN: "an electrode is off",
    Cause.ELECTRODE_SHORT: "the electrodes touch",
    Cause.ELECTRODE_DEGRADED: "the contact of an electrode is bad",
    Cause.SENSOR_FROZEN: "the current sensor gives no new readings",
    Cause.OVER_TEMPERATURE: "the stimulator is too hot",
    Cause.SELF_TEST_FAILED: "the self-test failed",
    Cause.WATCHDOG_TRIPPED: "the stimulator's own watchdog ended output",
    Cause.REBOOT: "the agent or the power went down in a session",
}
CONDITIONS: Final[dict[Condition, str]] = {
    Condition.ELECTRODE_OPEN: "electrode off",
    Condition.ELECTRODE_SHORT: "electrodes touch",
    Condition.ELECTRODE_DEGRADED: "bad electrode contact",
    Condition.OVER_LIMIT: "over limit",
    Condition.OVER_TEMPERATURE: "too hot",
    Condition.BATTERY_LOW: "battery low",
    Condition.BATTERY_EMPTY: "battery empty",
    Condition.SENSOR_FROZEN: "current sensor frozen",
    Condition.OUTPUT_STUCK: "output stuck: switch off at the wall",
    Condition.WATCHDOG_TRIPPED: "watchdog tripped",
    Condition.SELF_TEST_FAILED: "self-test failed",
}
_WHO_RESETS: Final[dict[ResetBy, str]] = {
    ResetBy.NOBODY: "",
    ResetBy.THERAPIST: "A therapist may reset it here, once the cause is gone: `stimfleet device reset{where}`.",
    ResetBy.ENGINEER: "Only an engineer may reset it: `stimfleet device reset --engineer{where}`.",
}
_SESSION_CHARS: Final = 8  # enough to tell sessions apart beside a page that shows the whole


@dataclass(frozen=True, slots=True)
class Place:
    """Which device this is, where its papers say that it stands, and its agent's data folder."""

    device: str
    room: str
    data_dir: Path


def status_words(snapshot: Snapshot, place: Place, *, connected: bool) -> str:
    """The whole state, line by line."""
    return "\n".join(f"{name:<12}{text}" for name, text in _lines(snapshot, place, connected))


def _lines(snapshot: Snapshot, place: Place, connected: bool) -> list[tuple[str, str]]:
    reading = snapshot.reading
    lines = [
        ("device", f"{place.device}: {snapshot.identity.model}, serial {snapshot.identity.serial}"),
        ("room", place.room if snapshot.settings is None else snapshot.settings.room),
        ("phase", PHASES[snapshot.phase]),
        ("session", "none" if snapshot.session_id is None else snapshot.session_id[:_SESSION_CHARS]),
        ("elapsed", _elapsed(snapshot)),
        ("setting", _setting(snapshot)),
        ("output", _output(snapshot)),
        ("measured", "no reading" if reading is None else _or_none(reading.amplitude_ma, "mA")),
        ("permission", _permission(snapshot.lease_margin_s)),
        ("electrodes", "no reading" if reading is None else _or_none(reading.impedance_ohm, "ohm", "no current flows")),
        ("battery", "no reading" if reading is None else _or_none(reading.battery_pct, "%")),
        ("fleet", "connected" if connected else "not connected: nothing can be started"),
    ]
    if snapshot.latched is not None:
        who_resets = _WHO_RESETS[snapshot.reset_by].format(where=data_dir_option(place.data_dir))
        lines.append(("latch", f"{CAUSES[snapshot.latched]}. {who_resets}"))
    if snapshot.holds:
        lines.append(("holds", _holds(snapshot)))
    if snapshot.conditions:
        lines.append(("conditions", ", ".join(CONDITIONS[condition] for condition in snapshot.conditions)))
    return lines


def _elapsed(snapshot: Snapshot) -> str:
    """Pauses do not count; rounded so that both add up to the whole."""
    elapsed_s = round(snapshot.elapsed_s)
    if snapshot.duration_s is None:
        return f"{elapsed_s} s"
    return f"{elapsed_s} s, {max(0, round(snapshot.duration_s) - elapsed_s)} s left"


def _setting(snapshot: Snapshot) -> str:
    limit = snapshot.ceiling
    of_it = "" if limit is None else f"; {limit.value:.1f} mA is the limit ({limit.layer.value})"
    return f"{snapshot.setting_ma:.1f} mA{of_it}"


def _output(snapshot: Snapshot) -> str:
    if snapshot.phase is not Phase.RUNNING:
        return "ending" if snapshot.phase is Phase.STOPPING else "none"
    if snapshot.reading is None:
        return "no reading"
    return "ON phase" if snapshot.reading.in_on_phase else "OFF phase, or a ramp"


def _or_none(value: float | None, unit: str, otherwise: str = "no reading") -> str:
    return otherwise if value is None else f"{value:.1f} {unit}"


def _permission(margin_s: float | None) -> str:
    if margin_s is None or math.isinf(margin_s):
        return "none"
    return f"{margin_s:.1f} s left" if margin_s > 0.0 else "run out"


def _holds(snapshot: Snapshot) -> str:
    holds = snapshot.holds
    parts = [
        f"{len(holds.device)} on this device" if holds.device else "",
        f"{len(holds.all)} on the whole site" if holds.all else "",
        "taken out of service" if holds.service else "",
    ]
    return ", ".join(part for part in parts if part) + ". The fleet releases them; then the latch is reset here."
