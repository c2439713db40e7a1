"""What events change in the devices' meters: hours of use and sessions since a check.

Hours are a session's own time, pauses left out: by the device's record where it is whole; otherwise the longer of that
record and the fleet's own time. Where the fleet has lost the time, too, it is the whole length of the plan, until the
device says what it was.
"""

from collections.abc import Callable
from typing import Any

from broker.contract import messages
from fleet.core import events as e
from fleet.core.dose import UNSEEN_S
from fleet.core.fold_doses import SHOWS_THE_START, local_day
from fleet.core.meter import UNUSED, Ran, with_session
from fleet.core.state import Durable, Session


def _count(
    durable: Durable, wall_s: float, device: str, session_id: str, used_s: float, *, by_device: bool = False
) -> None:
    registered = durable.registry.devices.get(device)
    checks = () if registered is None else registered.checks.values()
    ran = Ran(session_id=session_id, day=local_day(durable, wall_s), used_s=used_s, by_device=by_device)
    checked_on = [check.done for check in checks if check.done is not None]
    durable.meters[device] = with_session(durable.meters.get(device, UNUSED), ran, checked_on)


def _is_counted(durable: Durable, device: str, session_id: str) -> bool:
    return durable.meters.get(device, UNUSED).counted(session_id) is not None


def _advanced(durable: Durable, event: e.SessionAdvanced) -> None:
    if event.to in SHOWS_THE_START:
        _start(durable, event.wall_s, durable.sessions[event.session_id])


def _cancel_overtaken(durable: Durable, event: e.CancelOvertaken) -> None:
    _start(durable, event.wall_s, durable.sessions[event.session_id])


def _start(durable: Durable, wall_s: float, session: Session) -> None:
    if not _is_counted(durable, session.device, session.session_id):
        _count(durable, wall_s, session.device, session.session_id, 0.0)


def _reported(durable: Durable, event: e.DeviceReported) -> None:
    """A device's own record, whenever it comes; one of a session that never ran is none."""
    said = event.event
    if not isinstance(said.detail, messages.SessionEnded) or said.session_id is None:
        return
    numbers = said.detail
    if numbers.elapsed_s > 0.0 or _is_counted(durable, event.device, said.session_id):
        whole = not numbers.gaps and numbers.elapsed_s > 0.0
        _count(durable, event.wall_s, event.device, said.session_id, numbers.elapsed_s, by_device=whole)


def _ended(durable: Durable, event: e.SessionEnded) -> None:
    """Over, by the fleet's own time. What may have run on between two samples is in it."""
    session = durable.sessions[event.session_id]
    if session.ran_s > 0.0 or _is_counted(durable, session.device, session.session_id):
        used_s = max(session.ran_s, session.elapsed_s) + UNSEEN_S
        _count(durable, event.wall_s, session.device, session.session_id, used_s)


def lose_time(durable: Durable, wall_s: float) -> None:
    """The host has booted: how long it ran meanwhile is not known for any session that is on."""
    for session in durable.sessions.values():
        if session.open and _is_counted(durable, session.device, session.session_id):
            _count(durable, wall_s, session.device, session.session_id, session.plan.duration_s)


USE_FOLDS: dict[type[e.Event], Callable[[Durable, Any], None]] = {
    e.SessionAdvanced: _advanced,
    e.CancelOvertaken: _cancel_overtaken,
    e.DeviceReported: _reported,
    e.SessionEnded: _ended,
}
