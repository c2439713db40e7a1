"""Withdrawing what was authorised: by a person, because its device is taken out of service (contract.md, rule 7), or
because it was moved to another room than the one that the session was authorised for (H14)."""

from broker.contract import messages
from broker.contract.causes import Cause
from fleet.core import stops
from fleet.core.effects import SendCancel
from fleet.core.events import SessionCancelled, SessionState
from fleet.core.state import Session
from fleet.core.turn import Turn

SERVICE_GRACE_S = 5.0  # for the settings that say so to arrive, as with any others
MOVED = "fleet: the device was moved to another room"
_NOTHING_FLOWS = frozenset({SessionState.AUTHORISED, SessionState.ARMED})
_GOES_ON = frozenset({SessionState.ARMED, SessionState.RUNNING, SessionState.PAUSED})


def withdraw(turn: Turn, session: Session, issued_by: str) -> str:
    """Cancel a session that has not started; the id of the command."""
    command_id = turn.new_id("cancel")
    turn.at_once(
        SendCancel(session.device, messages.Cancel(session.authorisation.boot_n, command_id, session.session_id))
    )
    turn.happened(
        SessionCancelled(**turn.at, session_id=session.session_id, command_id=command_id, issued_by=issued_by)
    )
    return command_id


def moved(turn: Turn) -> None:
    """Withdraw what has not started on devices that stand in another room than they were authorised for.

    Nothing flows yet, and whoever asked for the room may have another device before them. What runs or pauses goes on:
    it is with its client, and its record keeps the room in which it began.
    """
    for session in list(turn.state.open_sessions()):
        registered = turn.state.registered(session.device)
        is_elsewhere = registered is not None and registered.room != session.authorisation.room
        if is_elsewhere and session.state in _NOTHING_FLOWS:
            withdraw(turn, session, MOVED)


def out_of_service(turn: Turn) -> None:
    """End what is on at devices that are out of service, by the clinic's list as it is now: also after a restart."""
    for session in list(turn.state.open_sessions()):
        if not _held(turn, session):
            continue
        if session.state is SessionState.AUTHORISED:
            withdraw(turn, session, stops.FLEET)
        else:
            stop_held(turn, session)


def stop_held(turn: Turn, session: Session) -> bool:
    """Whether a session that is live goes on though its device is out of service, and is stopped for it.

    The device that takes the settings over latches by itself. One that is not heard (any more, or by a fleet that has
    just taken over) may have done so: what is not heard gets no lease, and waits for its first sample.
    """
    if not _held(turn, session) or session.withheld is not None or session.state not in _GOES_ON:
        return False
    device, seen = turn.state.device(session.device), turn.state.newest(session.device)
    if seen is None or seen.sample.session_id != session.session_id:
        return False
    told = device.settings is not None and device.settings.service_hold
    if told and turn.now_s - device.settings_since_s < SERVICE_GRACE_S:
        return False
    stops.order(turn, session.device, Cause.RULE_STOP, "service_hold")
    return True


def _held(turn: Turn, session: Session) -> bool:
    registered = turn.state.registered(session.device)
    return registered is not None and registered.service_hold
