"""Sessions page by page, newest first: from the state while it has them all, from the ledger before that. Pure.

The state has every session that is open, and the newest 256 that are over: what was authorised before the oldest of
those is known to the ledger only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.core.fold_sessions import SESSIONS_KEPT
from fleet.core.state import Session
from fleet.reports.session_ledger import SessionLedger
from fleet.views import session_row

Row = dict[str, Any]


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


def of_state(sessions: Collection[Session], wanted: Wanted) -> Page | None:
    """What the state says; None: the ledger has to be asked. The first page is the state's and waits for nobody; one
    that has been open for longer than the state looks back is on it, and once more in its place.
    """
    whole_from = "" if wanted.open_only else _whole_from(sessions)
    found = sorted(
        (
            row
            for row in map(session_row, (session for session in sessions if session.open or not wanted.open_only))
            if (wanted.before is None or row["authorised_at"] < wanted.before)
            and (wanted.device is None or row["device"] == wanted.device)
            and (wanted.client is None or row["client"] == wanted.client)
        ),
        key=lambda row: str(row["authorised_at"]),
        reverse=True,
    )
    page = _page(found, wanted.limit)
    last = page.next or whole_from  # where this page ends
    if not whole_from or last > whole_from:
        return page
    # The state has no more, and there were others before: of this page all that it has, where nothing is left out.
    return Page(page.rows, whole_from) if wanted.before is None else None


def has_all(sessions: Collection[Session]) -> bool:
    """Whether the state has forgotten none."""
    return len(sessions) < SESSIONS_KEPT


def _whole_from(sessions: Collection[Session]) -> str:
    """The time from which on the state has every session: "" where it has forgotten none."""
    if has_all(sessions):
        return ""
    return min((str(session.authorisation.issued_at) for session in sessions if not session.open), default="")


def of_ledger(ledger: SessionLedger, wanted: Wanted) -> Page:
    """What the ledger says."""
    assert wanted.before is not None
    found = ledger.before(wanted.before, wanted.device, wanted.client)
    return _page([row.row() for row in found], wanted.limit)


def _page(found: Sequence[Row], limit: int) -> Page:
    """The first of `found`. Those of one millisecond stay together: the next page begins before it."""
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]["authorised_at"]
    rows = [row for n, row in enumerate(found) if n < limit or row["authorised_at"] == last]
    return Page(rows, last)
