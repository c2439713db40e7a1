"""Routes about sessions: list, one, would it be authorised, ask for it, withdraw it, its trace."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from fleet.api import models
from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.asked_ledger import Listing
from fleet.api.asking import Seeing, Settings, ask_fleet, with_words
from fleet.api.bodies import SessionBody
from fleet.api.guard import require
from fleet.api.in_force import in_force
from fleet.api.moments import moment_s
from fleet.api.session_pages import Wanted, has_all, of_ledger, of_state
from fleet.api.sight import Sight
from fleet.api.window import wall_words
from fleet.core import eligibility
from fleet.core.inputs import RequestSession
from fleet.core.state import Session
from fleet.core.turn import Turn
from fleet.reports.journal_record import read_session
from fleet.reports.record import NoSuchSession
from fleet.reports.session_ledger import SessionLedger
from fleet.views import refusal_row, session_details

router = APIRouter(tags=["sessions"])
LISTED_MAX = 200
SessionId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c4a1be2d94d0f8f8a6f0f5c1e2a3b"])]
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": models.Refused, "description": "refused, every reason"}}


def shown_to(who: SignedIn, row: dict[str, Any]) -> dict[str, Any]:
    """A session's row, without who was treated and by whom for those who may not see that."""
    if Permission.SEE_RECORDS in who.may:
        return row
    return {**row, "client": None, "operator": None}


@router.get("/sessions", response_model=models.Sessions, responses=problems(503))
async def list_sessions(
    sight: Seeing,
    listing: Listing,
    who: Annotated[SignedIn, require(Permission.SEE)],
    open_only: Annotated[bool, Query(alias="open", description="leave out those that are over")] = False,
    device: Annotated[str | None, Query(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] = None,
    client: Annotated[str | None, Query(pattern="^[a-z0-9][a-z0-9-]{3,63}$")] = None,
    limit: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 50,
    before: Annotated[datetime | None, Query(description="authorised before this time; `next` of the answer")] = None,
) -> Any:
    """Sessions, newest first; with `before` (the `next` of the answer) those from before that, back to the oldest of
    50,000. By client only for who may see those.
    """
    if client is not None and Permission.SEE_RECORDS not in who.may:
        raise Declined(403, "forbidden", f"As {who.role} you may not look for a client.")
    at = None if before is None else wall_words(moment_s("before", before))
    wanted = Wanted(at, device, client, limit, open_only=open_only)
    page = of_state(sight.state.durable, wanted)
    if page is None:
        page = await listing.of_ledger(lambda ledger: of_ledger(ledger, wanted))
    return {"sessions": [shown_to(who, row) for row in page.rows], "next": page.next}


@router.get("/sessions/{session_id}", response_model=models.SessionDetails, responses=problems(404, 503))
async def show_session(
    session_id: SessionId, sight: Seeing, listing: Listing, who: Annotated[SignedIn, require(Permission.SEE)]
) -> Any:
    """One session with its plan, its limits and its numbers; one that is long over comes from the journal."""
    session = await session_of(sight, listing, session_id)
    details, force = session_details(sight.state, session), in_force(sight.state, session)
    return shown_to(who, {**details, "limits": session.authorisation.limits, "in_force": force})


async def session_of(sight: Sight, listing: Listing, session_id: str) -> Session:
    """Of the state; or, where it has forgotten some, of the journal.

    Raises:
        Declined: 404, there is none; 503, the journal cannot be read, or not yet.
    """
    known = sight.state.durable.sessions
    if session_id in known:
        return known[session_id]
    unknown = Declined(404, "unknown_session", f"There is no session {session_id}, or not yet.")
    if has_all(sight.state.durable):
        raise unknown

    def read(ledger: SessionLedger) -> Session:
        if (listed := ledger.sessions.get(session_id)) is not None:
            return read_session(listing.reports.journal, listed)
        if ledger.full:
            newest = f"Session {session_id} is not among the newest {len(ledger.sessions):,}"
            raise Declined(404, "unknown_session", f"{newest}: if it is older, its record is in the journal.")
        raise unknown

    try:
        return await listing.of_ledger(read)
    except NoSuchSession as error:  # it was there a moment ago
        raise Declined(503, "journal", f"The journal cannot be read: {error}.") from error


@router.post("/sessions/explain", response_model=models.Explained, responses=problems(409, 413))
async def explain(body: SessionBody, sight: Seeing, who: Annotated[SignedIn, require(Permission.EXPLAIN)]) -> Any:
    """Everything that would speak against a session now. Nothing is asked of the fleet, nothing is changed or recorded.

    The same check as the fleet's own, on the state as the web process reads it: some tens of milliseconds old. What
    counts is the answer to the request itself.
    """
    turn = Turn(sight.state, sight.boottime(), sight.walltime())
    asked = RequestSession(
        request_id=body.request_id or "0" * 32,
        client=body.client,
        device=body.device,
        room=body.room,
        plan=body.plan,
        screening=body.screening,
        operator=_operator(who),
        now_s=turn.now_s,
        wall_s=turn.wall_s,
    )
    return {"refusals": [with_words(refusal_row(refusal)) for refusal in eligibility.refusals(turn, asked)]}


def _operator(who: SignedIn) -> str:
    """Raises: Declined: 409."""
    if who.operator is None:
        raise Declined(409, "no_operator", "You are not on the clinic's list of operators, so you may not treat.")
    return who.operator


@router.post(
    "/sessions", status_code=201, response_model=models.Authorised, responses={**problems(413, 503), **_CONFLICT}
)
async def request_session(
    body: SessionBody, settings: Settings, who: Annotated[SignedIn, require(Permission.REQUEST)]
) -> Any:
    """Ask for a session: authorised, or refused with every reason. It starts nothing: that is done at the device."""
    screening = body.screening
    return await ask_fleet(
        settings,
        op="session_request",
        request_id=body.request_id,
        client=body.client,
        device=body.device,
        room=body.room,
        operator=_operator(who),
        issued_by=who.user,
        plan={name: getattr(body.plan, name) for name in body.plan.__slots__},
        screening={
            "rule_set": screening.rule_set,
            "at_wall_s": screening.at_wall_s,
            "findings": list(screening.findings),
            "override_by": screening.override_by,
        },
    )


@router.post("/sessions/{session_id}/cancel", response_model=models.Done, responses={**problems(404, 503), **_CONFLICT})
async def cancel_session(
    session_id: SessionId, settings: Settings, who: Annotated[SignedIn, require(Permission.CANCEL)]
) -> Any:
    """Withdraw a session that has not started. One that runs is stopped instead."""
    return await ask_fleet(settings, op="session_cancel", session_id=session_id, issued_by=who.user)
