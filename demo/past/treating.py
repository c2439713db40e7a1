"""What happens at a device of the past from a client's coming to the going: each step, and the pause until the next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Measured, Phase, Scope, SettingChanged
from demo.day import TOO_DENSE
from demo.past.clinic import Course, PastClinic
from demo.past.device import PastDevice
from demo.past.weeks import REFUSED, Fate, PastVisit
from demo.people import RULE_SET
from fleet.core import effects, inputs
from fleet.core.screening import Contraindication, Screening

STEP_MA: Final = 2.0
GAP_S: Final = 20.0  # the pads are put back
AWAY_S: Final = 75.0  # a poor link stays away for so long: the session is lost
LEASE_S: Final = 5.0
RELEASED_AFTER_S: Final = 240.0
RESET_AFTER_S: Final = 90.0


class PastFailed(RuntimeError):
    """The core decided otherwise than the script of the past says: one of them is wrong."""


@dataclass(slots=True)
class Told:
    """What the people of the past know of what they did: sessions by their fate."""

    sessions: dict[str, PastVisit] = field(default_factory=dict)
    refused: int = 0


def treat(clinic: PastClinic, visit: PastVisit, operator: str, told: Told) -> Course:
    """A visit. Raises: PastFailed."""
    device = clinic.devices[visit.device]
    device.battery_pct, device.dryness = visit.battery_pct, visit.dryness
    if visit.fate is Fate.BATTERY_FLAT:
        low = Measured("battery_pct", visit.battery_pct, 20.0)
        clinic.reports(device, EventKind.BATTERY_LOW, None, low)
    clinic.shows(device)
    reply = clinic.asks(_request(clinic, visit, operator))
    if isinstance(reply, effects.Refused) or visit.fate in REFUSED:
        if not (isinstance(reply, effects.Refused) and visit.fate in REFUSED):
            raise PastFailed(f"{visit}: {reply}")
        told.refused += 1
        return
    assert isinstance(reply, effects.Granted)
    told.sessions[reply.session_id] = visit
    yield 1.0
    if device.session_id != reply.session_id:
        raise PastFailed(f"{visit.device} did not take what was authorised at {visit.day} {visit.minute}")
    if visit.fate is Fate.CANCELLED:
        yield 40.0
        at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
        clinic.asks(lambda n: inputs.CancelSession(request_id=n, session_id=reply.session_id, issued_by=operator, **at))
        return
    if visit.fate is Fate.NOBODY_STARTS:
        yield 125.0
        device.is_at_rest()
        clinic.looks_around()
        return
    yield from _begin(clinic, device, visit)
    yield from _FATES[visit.fate](clinic, device, visit)
    device.battery_pct -= visit.ran_s / 1200.0 * 3.0


def _request(clinic: PastClinic, visit: PastVisit, operator: str) -> Callable[[str], inputs.Input]:
    findings = (Contraindication.DEEP_VEIN_THROMBOSIS,) if visit.fate is Fate.UNFIT else ()
    plan = replace(TOO_DENSE, duration_s=visit.plan.duration_s) if visit.fate is Fate.TOO_STRONG else visit.plan

    def request(request_id: str) -> inputs.Input:
        return inputs.RequestSession(
            request_id=request_id,
            client=visit.client,
            device=visit.device,
            room=clinic.registry.devices[visit.device].room,
            plan=plan,
            screening=Screening(rule_set=RULE_SET, at_wall_s=clinic.wall_s - 600.0, findings=findings),
            operator=operator,
            now_s=clinic.now_s,
            wall_s=clinic.wall_s,
        )

    return request


def _begin(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    """Armed, started, and brought up to strength."""
    yield 15.0
    _goes(clinic, device, Phase.ARMED, EventKind.SESSION_ARMED)
    yield 4.0
    device.started_wall_s = clinic.wall_s
    _goes(clinic, device, Phase.RUNNING, EventKind.SESSION_STARTED)
    yield from _raise_to(clinic, device, visit.level_ma)


def _goes(clinic: PastClinic, device: PastDevice, phase: Phase, kind: EventKind, cause: Cause | None = None) -> None:
    clinic.reports(device, kind, cause)
    device.phase = phase
    clinic.shows(device)


def _raise_to(clinic: PastClinic, device: PastDevice, level_ma: float) -> Course:
    while device.setting_ma < level_ma:
        yield 2.0
        device.elapsed_s += 2.0
        device.setting_ma += STEP_MA
        clinic.reports(device, EventKind.SETTING_CHANGED, None, SettingChanged(device.setting_ma))
    clinic.shows(device)


def _run_until(clinic: PastClinic, device: PastDevice, elapsed_s: float) -> Course:
    yield elapsed_s - device.elapsed_s
    device.elapsed_s = elapsed_s


# --- how it goes on -------------------------------------------------------------------------------------------------


def _to_the_end(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    yield from _run_until(clinic, device, visit.ran_s)
    clinic.ends(device, Cause.COMPLETED, visit.level_ma)


def _stopped_early(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    yield from _run_until(clinic, device, visit.ran_s)
    clinic.ends(device, Cause.THERAPIST_STOP, visit.level_ma)


def _pads(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    yield from _run_until(clinic, device, visit.ran_s / 2.0)
    device.setting_ma = 0.0
    clinic.reports(device, EventKind.ELECTRODE_OPEN, Cause.ELECTRODE_OPEN, Measured("impedance_ohm", None, 10_000.0))
    _goes(clinic, device, Phase.PAUSED, EventKind.SESSION_PAUSED, Cause.ELECTRODE_OPEN)
    yield GAP_S
    _goes(clinic, device, Phase.RUNNING, EventKind.SESSION_RESUMED)
    yield from _raise_to(clinic, device, visit.level_ma)
    yield from _to_the_end(clinic, device, visit)


def _hand_switch(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    yield from _run_until(clinic, device, visit.ran_s)
    clinic.reports(device, EventKind.STOP_PRESSED, Cause.PATIENT_STOP)
    clinic.latches(device, Cause.PATIENT_STOP)
    yield RESET_AFTER_S
    clinic.resets(device)


def _pushed_stop(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    yield from _run_until(clinic, device, visit.ran_s)
    at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
    clinic.asks(
        lambda n: inputs.PushStop(
            request_id=n, device=device.name, issued_by="front desk", reason="the client feels unwell", **at
        )
    )
    yield 1.0
    clinic.shows(device)
    yield RELEASED_AFTER_S
    clinic.shows(device)
    at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
    clinic.asks(
        lambda n: inputs.ReleaseHold(request_id=n, scope=Scope.DEVICE, device=device.name, issued_by="front desk", **at)
    )
    yield RESET_AFTER_S
    clinic.resets(device)


def _link_lost(clinic: PastClinic, device: PastDevice, visit: PastVisit) -> Course:
    """The agent hears nothing any more: its lease runs out, it ramps down and latches, and tells when it can."""
    yield from _run_until(clinic, device, visit.ran_s - LEASE_S)
    clinic.shows(device)
    device.talks = False
    yield from _run_until(clinic, device, visit.ran_s)
    clinic.reports(device, EventKind.LEASE_LOST, Cause.LEASE_LOST)
    clinic.latches(device, Cause.LEASE_LOST)
    yield AWAY_S
    clinic.looks_around()
    yield AWAY_S
    clinic.link_returns(device)
    yield RESET_AFTER_S
    clinic.resets(device)


_FATES: dict[Fate, Callable[[PastClinic, PastDevice, PastVisit], Iterator[float]]] = {
    Fate.COMPLETED: _to_the_end,
    Fate.STOPPED_EARLY: _stopped_early,
    Fate.PADS: _pads,
    Fate.HAND_SWITCH: _hand_switch,
    Fate.PUSHED_STOP: _pushed_stop,
    Fate.LINK_LOST: _link_lost,
}
