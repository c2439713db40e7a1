"""A therapist's request for a session: refused with every reason, or authorised."""

from broker.contract.messages import Authorisation
from fleet.core import eligibility, sessions
from fleet.core.effects import Answer, Granted, Refused
from fleet.core.events import SessionAuthorised, SessionRefused
from fleet.core.inputs import RequestSession
from fleet.core.turn import Turn, wall_time


def requested(turn: Turn, request: RequestSession) -> None:
    """Decide on a request. The same one again has the same session, which may be over by now: never a second one."""
    for session in turn.state.durable.sessions.values():
        if session.request_id == request.request_id:
            turn.after_commit(Answer(request.request_id, Granted(session.session_id)))
            return
    found = eligibility.refusals(turn, request)
    screened = eligibility.screened(request, found)
    seen = turn.state.newest(request.device)
    if found or seen is None:
        turn.happened(
            SessionRefused(
                **turn.at,
                request_id=request.request_id,
                client=request.client,
                device=request.device,
                operator=request.operator,
                screened=screened,
                refusals=eligibility.for_the_journal(found),
                issued_by=request.issued_by,
            )
        )
        turn.after_commit(Answer(request.request_id, Refused(found)))
        return
    authorisation = _authorisation(turn, request, seen.sample.boot_n, seen.sample.seq)
    turn.happened(
        SessionAuthorised(
            **turn.at,
            request_id=request.request_id,
            device=request.device,
            authorisation=authorisation,
            answered_s=seen.received_s,
            screened=screened,
            issued_by=request.issued_by,
        )
    )
    sessions.first_sent(turn, turn.state.durable.sessions[authorisation.session_id])
    turn.after_commit(Answer(request.request_id, Granted(authorisation.session_id)))


def _authorisation(turn: Turn, request: RequestSession, boot_n: int, answers: int) -> Authorisation:
    clinic = turn.state.durable.registry.clinic
    return Authorisation(
        fleet_n=turn.state.durable.fleet_n,
        boot_n=boot_n,
        answers=answers,
        command_id=turn.new_id("authorisation"),
        session_id=turn.new_id("session"),
        client=request.client,
        operator=request.operator,
        room=request.room,
        rule_set=request.screening.rule_set,
        plan=request.plan,
        limits=eligibility.limits_for(turn, request),
        start_within_s=clinic.start_within_s,
        pause_total_s=clinic.pause_total_s,
        lease_ttl_ms=clinic.lease_ttl_ms,
        issued_at=wall_time(turn.wall_s),
    )
