"""What events change in the dose ledger. It is folded after the sessions, whose own time it takes.

A session that was given back (expired, cancelled, refused by the device) is not in the ledger. If its device reports
all the same that current flowed, it is: for as long as the session is among those that are remembered.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract import messages
from broker.contract.causes import Cause
from fleet.core import events as e
from fleet.core.dose import KEPT_DAYS, NOTHING, NOVICE_AGAIN_DAYS, ClientDoses, Dose, minds_experience
from fleet.core.events import SessionState
from fleet.core.state import Durable, Session

SHOWS_THE_START = frozenset({SessionState.RUNNING, SessionState.PAUSED})
_GIVEN_BACK = frozenset({SessionState.REFUSED, SessionState.EXPIRED, SessionState.CANCELLED})


def local_day(durable: Durable, wall_s: float) -> date:
    """The clinic's date at a wall time. What was counted by another time zone stays as it was counted."""
    return datetime.fromtimestamp(wall_s, ZoneInfo(durable.registry.clinic.time_zone)).date()


# --- finding and putting --------------------------------------------------------------------------------------------


def _of(session: Session, day: date) -> Dose:
    plan = session.plan
    return Dose(
        session_id=session.session_id,
        device=session.device,
        modality=plan.modality,
        day=day,
        reserved_s=plan.duration_s,
    )


def _find(durable: Durable, session_id: str) -> tuple[str, Dose] | None:
    """A session in the ledger, with its client. Devices name whatever ids they like: nothing is searched for one."""
    client = durable.dosed.get(session_id)
    if client is None:
        return None
    return client, next(dose for dose in durable.doses[client].sessions if dose.session_id == session_id)


def _put(durable: Durable, client: str, dose: Dose) -> None:
    doses = durable.doses.get(client, NOTHING)
    others = tuple(other for other in doses.sessions if other.session_id != dose.session_id)
    durable.doses[client] = replace(doses, sessions=(*others, dose))
    durable.dosed[dose.session_id] = client


def _give_back(durable: Durable, session_id: str) -> None:
    client = durable.dosed.pop(session_id)
    doses = durable.doses.pop(client)
    doses = replace(doses, sessions=tuple(dose for dose in doses.sessions if dose.session_id != session_id))
    if doses != NOTHING:
        durable.doses[client] = doses


# --- the events -----------------------------------------------------------------------------------------------------


def _authorised(durable: Durable, event: e.SessionAuthorised) -> None:
    today = local_day(durable, event.wall_s)
    if durable.doses_day is None or today > durable.doses_day:
        durable.doses_day = today
        _forget(durable, today)
    session = durable.sessions[event.authorisation.session_id]
    _put(durable, session.client, _of(session, today))


def _advanced(durable: Durable, event: e.SessionAdvanced) -> None:
    found = _find(durable, event.session_id)
    if found is not None and not found[1].started and event.to in SHOWS_THE_START:
        client, dose = found
        _put(durable, client, replace(dose, started=True, day=local_day(durable, event.wall_s)))


def _over_before_it_ran(durable: Durable, event: e.SessionDeclined | e.SessionExpired | e.SessionCancelled) -> None:
    _give_back(durable, event.session_id)


def _cancel_overtaken(durable: Durable, event: e.CancelOvertaken) -> None:
    session = durable.sessions[event.session_id]
    _put(durable, session.client, replace(_of(session, local_day(durable, event.wall_s)), started=True))


def _reported(durable: Durable, event: e.DeviceReported) -> None:
    """A device's own record, whenever it comes."""
    said = event.event
    if not isinstance(said.detail, messages.SessionEnded) or said.session_id is None:
        return
    client, dose = _find(durable, said.session_id) or _given_back(durable, said.session_id, said.detail)
    if dose is not None and dose.device == event.device:
        _put(durable, client, dose.told(said.detail.on_time_s, said.detail.gaps + _contradicted(said.detail)))


def _contradicted(numbers: messages.SessionEnded) -> bool:
    """Charge, and no time in which it flowed: no whole record, and no word against the fleet's own time."""
    return numbers.on_time_s == 0.0 and numbers.charge_uc > 0.0


def _given_back(durable: Durable, session_id: str, numbers: messages.SessionEnded) -> tuple[str, Dose | None]:
    """The dose of a session that was given back and had current after all."""
    session = durable.sessions.get(session_id)
    if session is None or numbers.on_time_s == 0.0:
        return "", None
    dose = replace(_of(session, local_day(durable, session.authorised_wall_s)), ran_s=session.ran_s)
    return session.client, dose


def _ended(durable: Durable, event: e.SessionEnded) -> None:
    """Over. A device that has booted will still report; until then nobody knows what it knows."""
    found = _find(durable, event.session_id)
    if found is None:
        return
    client, dose = found
    session = durable.sessions[event.session_id]
    settled = dose.settled or event.ended is not None or event.cause is not Cause.REBOOT
    dose = replace(dose, settled=settled, ran_s=session.ran_s)
    _put(durable, client, dose)
    if event.to in _GIVEN_BACK and not dose.started and dose.on_time_s == 0.0:
        _give_back(durable, event.session_id)


def _unpermitted(durable: Durable, event: e.OutputUnpermitted) -> None:
    """It runs, whatever is known of it: today, and only the device's record can say for how long."""
    if event.session_id is None:
        return
    today = local_day(durable, event.wall_s)
    session = durable.sessions.get(event.session_id)
    client, dose = _find(durable, event.session_id) or ("", None)
    if dose is None and session is not None:
        client, dose = session.client, _of(session, today)
    if dose is not None and dose.device == event.device:
        is_over = session is None or not session.open
        runs = replace(dose, started=True, day=today, timed=False, whole=False, settled=is_over)
        _put(durable, client, runs)


def lose_time(durable: Durable) -> None:
    """The host has booted: how long it ran meanwhile is not known for any session that is on."""
    for session in durable.sessions.values():
        found = _find(durable, session.session_id) if session.open else None
        if found is not None and session.state is not SessionState.AUTHORISED:
            client, dose = found
            _put(durable, client, replace(dose, timed=False))


def _forget(durable: Durable, today: date) -> None:
    """Once a day: what no rule can need any more. What was proven stays as experience until that, too, is void."""
    for client, doses in list(durable.doses.items()):
        left = _left(durable, doses, today)
        for forgotten in {dose.session_id for dose in doses.sessions} - {dose.session_id for dose in left.sessions}:
            del durable.dosed[forgotten]
        if left == NOTHING:
            del durable.doses[client]
        elif left != doses:
            durable.doses[client] = left


def _left(durable: Durable, doses: ClientDoses, today: date) -> ClientDoses:
    kept: list[Dose] = []
    old: list[Dose] = []
    for dose in doses.sessions:
        session = durable.sessions.get(dose.session_id)
        is_open = session is not None and session.open
        (kept if is_open or (today - dose.day).days < KEPT_DAYS else old).append(dose)
    rules = durable.registry.clinic.dose
    fresh = {
        modality: known
        for modality, known in replace(doses, sessions=tuple(old)).experienced().items()
        if (today - known.last).days < NOVICE_AGAIN_DAYS and minds_experience(rules[modality])
    }
    return ClientDoses(sessions=tuple(kept), experience=fresh)


DOSE_FOLDS: dict[type[e.Event], Callable[[Durable, Any], None]] = {
    e.SessionAuthorised: _authorised,
    e.SessionDeclined: _over_before_it_ran,
    e.SessionExpired: _over_before_it_ran,
    e.SessionCancelled: _over_before_it_ran,
    e.CancelOvertaken: _cancel_overtaken,
    e.SessionAdvanced: _advanced,
    e.OutputUnpermitted: _unpermitted,
    e.DeviceReported: _reported,
    e.SessionEnded: _ended,
}
