"""What events change about sessions."""

from dataclasses import replace
from typing import Any

from fleet.core import events as e
from fleet.core.events import SessionState
from fleet.core.fold_devices import heard_up_to
from fleet.core.state import Device, Durable, Session

SESSIONS_KEPT = 256  # over ones, for people who ask; the journal has them all


def _change(durable: Durable, session_id: str, **changes: Any) -> None:
    durable.sessions[session_id] = replace(durable.sessions[session_id], **changes)


def authorised(durable: Durable, event: e.SessionAuthorised) -> None:
    session_id = event.authorisation.session_id
    device = durable.devices.get(event.device) or Device(device=event.device)
    durable.sessions[session_id] = Session(
        session_id=session_id,
        request_id=event.request_id,
        device=event.device,
        state=SessionState.AUTHORISED,
        authorisation=event.authorisation,
        answered_s=event.answered_s,
        authorised_wall_s=event.wall_s,
        screened=event.screened,
        settings_version=0 if device.settings is None else device.settings.version,
        since_s=event.now_s,
    )
    durable.devices[event.device] = replace(device, session_id=session_id)
    heard_up_to(durable, event.device, event.authorisation.boot_n, event.authorisation.answers)
    _forget_oldest(durable)


def _forget_oldest(durable: Durable) -> None:
    excess = len(durable.sessions) - SESSIONS_KEPT
    if excess > 0:
        over = [session_id for session_id, session in durable.sessions.items() if not session.open]
        for session_id in over[:excess]:
            gone = durable.sessions.pop(session_id)
            durable.forgotten_at = max(durable.forgotten_at, gone.authorisation.issued_at)


def accepted(durable: Durable, event: e.AuthorisationAccepted) -> None:
    _change(durable, event.session_id, accepted=True)


def declined(durable: Durable, event: e.SessionDeclined) -> None:
    _change(durable, event.session_id, state=SessionState.REFUSED, since_s=event.now_s)


def expired(durable: Durable, event: e.SessionExpired) -> None:
    _change(durable, event.session_id, state=SessionState.EXPIRED, since_s=event.now_s)


def cancelled(durable: Durable, event: e.SessionCancelled) -> None:
    _change(
        durable,
        event.session_id,
        state=SessionState.CANCELLED,
        since_s=event.now_s,
        # A stop withdraws, too, and it is never too late.
        cancel_id=None if event.command_id in durable.stops else event.command_id,
    )


def cancel_overtaken(durable: Durable, event: e.CancelOvertaken) -> None:
    _change(durable, event.session_id, state=SessionState.RUNNING, since_s=event.now_s)


def _leave(durable: Durable, session_id: str, to: SessionState, now_s: float, **changes: Any) -> None:
    """Into another state: what it ran, or was paused, until now is counted."""
    session = durable.sessions[session_id]
    in_state_s = now_s - session.since_s
    _change(
        durable,
        session_id,
        state=to,
        since_s=now_s,
        ran_s=session.ran_s + (in_state_s if session.state is SessionState.RUNNING else 0.0),
        paused_s=session.paused_s + (in_state_s if session.state is SessionState.PAUSED else 0.0),
        **changes,
    )


def advanced(durable: Durable, event: e.SessionAdvanced) -> None:
    session = durable.sessions[event.session_id]
    elapsed_s = max(session.elapsed_s, event.elapsed_s)
    _leave(durable, event.session_id, event.to, event.now_s, elapsed_s=elapsed_s)
    heard_up_to(durable, session.device, session.authorisation.boot_n, event.seq)


def baseline_measured(durable: Durable, event: e.BaselineMeasured) -> None:
    _change(durable, event.session_id, baseline_ohm=event.impedance_ohm)


def withheld(durable: Durable, event: e.SessionWithheld) -> None:
    _change(durable, event.session_id, withheld=event.reason)


def ended(durable: Durable, event: e.SessionEnded) -> None:
    _leave(durable, event.session_id, event.to, event.now_s, cause=event.cause, ended=event.ended)


def lost(durable: Durable, event: e.SessionLost) -> None:
    _leave(durable, event.session_id, SessionState.LOST, event.now_s)


def cleared(durable: Durable, event: e.SessionCleared) -> None:
    _change(durable, event.session_id, state=SessionState.CLEARED, since_s=event.now_s)
