"""Sessions page by page, newest first: from the state while it has them all, from the ledger before that. Pure.

The state has every session that is open, and some that are over; `Durable.forgotten_at` says when the newest of those
that it has no more was authorised. What was authorised later is all there; of what was not, only the ledger has all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from fleet.api.window import wall_words
from fleet.core.state import Durable, Session
from fleet.reports.session_ledger import SessionLedger
from fleet.views import session_row

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Authorised before `before` (UTC, to the millisecond); of a device or a client, where one is named."""

    before: str | None
    device: str | None
    client: str | None
    limit: int
    open_only: bool


@dataclass(frozen=True, slots=True)
class Page:
    """`next`: the `before` with which the list goes on; None at its end."""

    rows: Sequence[Row]
    next: str | None


def of_state(durable: Durable, wanted: Wanted) -> Page | None:
    """What the state says; None: the ledger has to be asked. The first page is the state's and waits for nobody: one
    that is open for longer than the state looks back is on it, and once more in its place.
    """
    found = sorted(
        (session for session in durable.sessions.values() if _is_wanted(session, wanted)), key=_issued_at, reverse=True
    )
    if wanted.open_only or has_all(durable):
        return _page(found, _issued_at, session_row, wanted.limit)
    whole_from = _next_ms(durable.forgotten_at)
    whole = [session for session in found if _issued_at(session) >= whole_from]
    page = _page(whole, _issued_at, session_row, wanted.limit)
    if page.next is not None:
        return page
    if wanted.before is not None:
        return None
    rest = [session for session in found if session.open and _issued_at(session) < whole_from]
    rows = [*page.rows, *map(session_row, rest[: max(0, wanted.limit - len(whole))])]
    return Page(rows, whole_from)


def has_all(durable: Durable) -> bool:
    """Whether the state has forgotten none."""
    return not durable.forgotten_at


def of_ledger(ledger: SessionLedger, wanted: Wanted) -> Page:
    """What the ledger says."""
    assert wanted.before is not None
    found = ledger.before(wanted.before, wanted.device, wanted.client)
    return _page(found, lambda row: row.authorised_at, lambda row: row.row(), wanted.limit)


def _issued_at(session: Session) -> str:
    return session.authorisation.issued_at


def _is_wanted(session: Session, wanted: Wanted) -> bool:
    return (
        (session.open or not wanted.open_only)
        and (wanted.before is None or _issued_at(session) < wanted.before)
        and (wanted.device is None or session.device == wanted.device)
        and (wanted.client is None or session.client == wanted.client)
    )


def _next_ms(at: str) -> str:
    return wall_words((datetime.fromisoformat(at) + timedelta(milliseconds=1)).timestamp())


def _page(found: Sequence[T], at: Callable[[T], str], row: Callable[[T], Row], limit: int) -> Page:
    """The first of `found`. Those of one millisecond stay together: the next page begins before it. Rows are made of no
    more than that: there may be 50,000.
    """
    if len(found) <= limit:
        return Page([row(one) for one in found], None)
    last = at(found[limit - 1])
    end = next((n for n in range(limit, len(found)) if at(found[n]) != last), None)
    return Page([row(one) for one in found[:end]], None if end is None else last)
