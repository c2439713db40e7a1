"""Every session that there was: what a list shows of it is what the fold says, and no page leaves one out."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pydantic
import pytest

from fleet.adapters.journal.writer import Journal
from fleet.api.session_pages import Wanted, of_ledger, of_state
from fleet.core.events import Event
from fleet.core.fold_sessions import SESSIONS_KEPT
from fleet.core.session_events import SessionState
from fleet.reports import session_ledger
from fleet.reports.journal_ledger import open_sessions
from fleet.reports.session_ledger import COUNTED, SessionLedger, StoredSessions, restored, stored
from fleet.stored import FOLD
from fleet.views import session_row
from tests.core.practice import Practice
from tests.reports.test_usage_ledger import three_months

ALL = Wanted(before=None, device=None, client=None, limit=50, open_only=False)


def ledger_of(events: Iterable[Event]) -> SessionLedger:
    ledger = SessionLedger()
    for event in events:
        if type(event) in COUNTED:
            ledger.counts(event)
    return ledger


def with_every_ending() -> Practice:
    """A clinic in which sessions are refused, withdrawn, overtaken, stopped, lost, or run."""
    clinic = three_months()
    clinic.asked("client-declined")
    clinic.declines()
    clinic.asked("client-withdrawn")
    clinic.cancels()
    clinic.days_later(2)
    clinic.asked("client-expired")
    clinic.after(3_600.0)
    clinic.days_later(2)
    clinic.begins("client-stopped")
    clinic.stopped()
    clinic.days_later(2)
    clinic.begins("client-runs", "stim-7")
    return clinic


def test_a_row_says_what_the_state_says() -> None:
    clinic = with_every_ending()
    sessions = clinic.state.durable.sessions
    assert len(sessions) < SESSIONS_KEPT, "the state has them all"
    ledger = ledger_of(clinic.journal)
    assert {one: row.row() for one, row in ledger.sessions.items()} == {
        one: session_row(session) for one, session in sessions.items()
    }
    states = {row.state.value for row in ledger.sessions.values()}
    assert states >= {"refused", "cancelled", "expired", "completed", "aborted", "running"}, states
    adapter = pydantic.TypeAdapter(StoredSessions)
    assert restored(adapter.validate_json(adapter.dump_json(stored(ledger)), strict=True)) == ledger


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = three_months()
    every = list(ledger_of(clinic.journal).sessions)
    monkeypatch.setattr(session_ledger, "KEPT_MAX", 10)
    assert list(ledger_of(clinic.journal).sessions) == every[-10:]


@pytest.fixture(scope="module")
def year() -> tuple[Practice, list[str]]:
    """More sessions than the state keeps, two a day, on two devices; and their ids, newest first."""
    clinic = Practice()
    clinic.at("2026-12-01 09:00")
    made = []
    for n in range(SESSIONS_KEPT + 60):
        made.append(clinic.treats(f"client-{n % 50:04}", "stim-7" if n % 3 == 0 else "stim-12"))
        clinic.days_later(0.5)
    return clinic, made[::-1]


def paged(clinic: Practice, wanted: Wanted) -> tuple[list[str], list[str]]:
    """The ids of all pages in their order; and which of the pages were asked of the ledger."""
    ledger, found, asked = ledger_of(clinic.journal), list[str](), list[str]()
    while True:
        page = of_state(clinic.state.durable.sessions.values(), wanted)
        asked.append("state" if page else "ledger")
        page = page or of_ledger(ledger, wanted)
        assert len(page.rows) <= wanted.limit
        found += [row["session_id"] for row in page.rows]
        if page.next is None:
            return found, asked
        wanted = replace(wanted, before=page.next)


def test_pages_go_back_to_the_first_session_and_leave_none_out(year: tuple[Practice, list[str]]) -> None:
    clinic, made = year
    assert len(clinic.state.durable.sessions) == SESSIONS_KEPT < len(made)
    found, asked = paged(clinic, ALL)
    assert found == made
    assert asked == ["state"] * 5 + ["ledger"] * 2, "the newest are the state's, and the first page always"
    assert paged(clinic, replace(ALL, limit=7))[0] == made


def test_pages_of_a_device_or_a_client_are_whole_too(year: tuple[Practice, list[str]]) -> None:
    clinic, made = year
    n = {session_id: len(made) - 1 - place for place, session_id in enumerate(made)}
    of_device, asked = paged(clinic, replace(ALL, device="stim-7", limit=200))
    assert of_device == [one for one in made if n[one] % 3 == 0]
    assert asked[0] == "state", "the first page waits for no count"
    assert paged(clinic, replace(ALL, client="client-0007"))[0] == [one for one in made if n[one] % 50 == 7]
    assert paged(clinic, replace(ALL, device="stim-99"))[0] == []


def test_a_clinic_whose_sessions_are_all_in_the_state_asks_no_ledger() -> None:
    clinic = three_months()
    found, asked = paged(clinic, replace(ALL, limit=20))
    assert sorted(found) == sorted(clinic.state.durable.sessions)
    assert set(asked) == {"state"}


def test_open_ones_are_the_states_however_long_ago_they_began(year: tuple[Practice, list[str]]) -> None:
    clinic, made = year
    kept = list(clinic.state.durable.sessions.values())
    long_ago = replace(
        kept[0],
        session_id="0" * 32,
        state=SessionState.RUNNING,
        authorisation=replace(kept[0].authorisation, issued_at="2026-12-01T08:00:00.000Z"),
    )
    open_only = of_state([long_ago, *kept], replace(ALL, open_only=True))
    assert open_only is not None
    assert ([row["session_id"] for row in open_only.rows], open_only.next) == (["0" * 32], None)
    first = of_state([long_ago, *kept], replace(ALL, limit=1_000))
    assert first is not None
    assert [row["session_id"] for row in first.rows] == [*made[:SESSIONS_KEPT], "0" * 32]
    assert first.next == kept[0].authorisation.issued_at, "it goes on below the newest that are over"


async def test_it_is_counted_from_a_journal_and_goes_on_where_it_was(
    year: tuple[Practice, list[str]], tmp_path: Path
) -> None:
    clinic, made = year
    half = len(clinic.journal) // 2
    for part in (clinic.journal[:half], clinic.journal[half:]):
        journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
        try:
            await journal.append("2026-12-01T09:00:00.000Z", part)
        finally:
            journal.close()
        ledger = open_sessions(tmp_path / "journal.db", tmp_path / "sessions.json")
        while ledger.look():
            pass
        ledger.save()
        ledger.close()
    assert ledger.from_checkpoint
    assert [row.session_id for row in ledger.counted.before("2999", None, None)] == made
