"""Hand-made evidence for the observer: one device, one session of 12 mA that goes as it should, in figures on paper.

100.0  authorised        102.0  start pressed      102.4 ... 104.4  raised by 2 mA six times
the ON phase ramps up from 102.0 to 103.0 and is at the setting from then on      130.0  stop pressed, ramps down
"""

from dataclasses import replace
from typing import Any

from agents.simulation.trace import Trace, TrueOutput
from demo.evidence import Evidence
from demo.people import Pressed
from fleet.adapters.journal.reading import Told

DEVICE = "stim-01"
SESSION = "5e" * 16
SPOOL = "ab" * 16
PERIOD_S = 0.025  # 40 Hz
PLAN: dict[str, Any] = {
    "modality": "nmes",
    "body_site": "thigh",
    "electrode_area_cm2": 50.0,
    "frequency_hz": 40.0,
    "pulse_width_us": 300.0,
    "setting_ma_max": 40.0,
    "duration_s": 300.0,
    "on_s": 600.0,
    "off_s": 0.0,
    "ramp_up_s": 1.0,
    "ramp_down_s": 1.0,
}
LIMITS = {
    "peak_ma_max": 120.0,
    "rms_ma_max": 50.0,
    "density_ma_cm2_max": 2.0,
    "pulse_energy_mj_max": 300.0,
    "ramp_up_s_min": 0.5,
}


def authorised(at_s: float = 100.0, session: str = SESSION, **plan: Any) -> Told:
    message = {
        "session_id": session,
        "plan": PLAN | plan,
        "limits": {name: {"value": value, "layer": "model"} for name, value in LIMITS.items()},
        "lease_ttl_ms": 5000,
    }
    return told("SessionAuthorised", now_s=at_s, device=DEVICE, authorisation=message)


def told(name: str, **body: Any) -> Told:
    return Told(0, "2026-11-25T12:00:00.000Z", name, body)


def reported(kind: str, at_s: float, cause: str | None = None, **detail: Any) -> Told:
    event = {"kind": kind, "boottime_s": at_s, "cause": cause, "detail": detail or None, "session_id": SESSION}
    return told("DeviceReported", device=DEVICE, event=event | {"spool_id": SPOOL, "n": 1})


def pressed(button: str, at_s: float, *, accepted: bool = True, by_ma: float = 0.0) -> Pressed:
    return Pressed(DEVICE, button, at_s, at_s + 0.02, accepted, by_ma)


def by_hand(*others: Pressed) -> tuple[Pressed, ...]:
    """The start and the six raises of the session, and what was pressed instead of stop."""
    ups = (pressed("raise", 102.39 + 0.4 * n, by_ma=2.0) for n in range(6))
    return (pressed("start", 102.0), *ups, *others)


def raised() -> tuple[Told, ...]:
    """Six raises of 2 mA."""
    return tuple(reported("setting_changed", 102.4 + 0.4 * n, setting_ma=2.0 * (n + 1)) for n in range(6))


def pulses(from_s: float, to_s: float, ma: float, to_ma: float | None = None) -> list[TrueOutput]:
    """A pulse each 25 ms, its amplitude going in a straight line from `ma` to `to_ma`."""
    count = round((to_s - from_s) / PERIOD_S)
    slope = 0.0 if to_ma is None else (to_ma - ma) / count
    return [TrueOutput(from_s + n * PERIOD_S, ma + slope * n) for n in range(count)]


def proper() -> list[TrueOutput]:
    """The true output of the session: up with the setting, on, and down in 0.9 s once stop was pressed."""
    rows = [TrueOutput(90.0, 0.0)]
    for n in range(6):
        rows += pulses(102.4 + 0.4 * n, 102.8 + 0.4 * n, 2.0 * n, 2.0 * (n + 1))
    rows += pulses(104.8, 130.0, 12.0)
    rows += pulses(130.0, 130.9, 12.0, 0.0)
    return [*rows, TrueOutput(130.9, 0.0)]


def evidence(rows: list[TrueOutput], *journal: Told, **changes: Any) -> Evidence:
    """The proper session with other rows, further events in the journal, and other things done."""
    trace = Trace()
    trace.rows.extend(sorted(rows, key=lambda row: row.at_s))
    whole = Evidence(
        devices=(DEVICE,),
        traces={DEVICE: trace},
        journal=(authorised(), *raised(), *journal),
        presses=by_hand(pressed("stop", 130.0)),
        until_s=500.0,
    )
    return replace(whole, **changes)
