"""Every session that there was: what a list shows of it is what the fold says, and no page leaves one out."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pydantic
import pytest

from fleet.adapters.journal.writer import Journal
from fleet.api.session_pages import Wanted, of_ledger, of_state
from fleet.core.events import Event, SessionAuthorised, SessionExpired
from fleet.core.evolve import evolve
from fleet.core.fold_sessions import SESSIONS_KEPT
from fleet.core.state import State
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
        page = of_state(clinic.state.durable, wanted)
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
    ward = Ward(year[0].journal)
    begun = ward.begins()
    for _ in range(SESSIONS_KEPT):
        ward.ends(ward.begins())
    open_only = of_state(ward.state.durable, replace(ALL, open_only=True))
    assert open_only is not None
    assert ([row["session_id"] for row in open_only.rows], open_only.next) == ([begun], None)
    first = of_state(ward.state.durable, replace(ALL, limit=1_000))
    assert first is not None
    newest = ward.made[-SESSIONS_KEPT + 1 :][::-1]
    assert [row["session_id"] for row in first.rows] == [*newest, begun], "it stands on the first page"
    assert first.next is not None
    assert [row.session_id for row in ward.ledger.before(first.next, None, None)] == [
        one for one in ward.made[::-1] if one not in newest
    ], "what follows is all that was before"


class Ward:
    """Sessions, one a minute, in the fleet's own fold and in the ledger; `made` in their order."""

    def __init__(self, journal: Iterable[Event]) -> None:
        self._pattern = next(event for event in journal if isinstance(event, SessionAuthorised))
        self._began = datetime.fromisoformat("2027-06-01T08:00:00Z")
        self.state, self.ledger, self.made = State(), SessionLedger(), list[str]()

    def _happens(self, event: Event) -> None:
        evolve(self.state, event)
        self.ledger.counts(event)

    def begins(self) -> str:
        n = len(self.made)
        at = (self._began + timedelta(minutes=n)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = replace(self._pattern.authorisation, session_id=f"{n:032x}", issued_at=at, client=f"client-{n % 3:04}")
        self.made.append(said.session_id)
        self._happens(replace(self._pattern, device=f"stim-{n % 400}", authorisation=said))
        return said.session_id

    def ends(self, session_id: str) -> None:
        self._happens(SessionExpired(now_s=0.0, wall_s=0.0, session_id=session_id))

    def pages(self, wanted: Wanted) -> list[list[str]]:
        found = []
        while True:
            page = of_state(self.state.durable, wanted) or of_ledger(self.ledger, wanted)
            found.append([row["session_id"] for row in page.rows])
            if page.next is None:
                return found
            assert wanted.before is None or page.next < wanted.before
            wanted = replace(wanted, before=page.next)


def all_stay_open(ward: Ward) -> None:
    for _ in range(SESSIONS_KEPT):
        ward.begins()
    for _ in range(30):
        ward.ends(ward.begins())


def few_are_over(ward: Ward) -> None:
    first = [ward.begins() for _ in range(SESSIONS_KEPT - 20)]
    for _ in range(60):
        ward.ends(ward.begins())
    for session_id in first[5:15]:
        ward.ends(session_id)
    ward.begins()


def a_long_one_has_just_ended(ward: Ward) -> None:
    long = ward.begins()
    for _ in range(SESSIONS_KEPT + 100):
        ward.ends(ward.begins())
    ward.ends(long)


def every_other_stays_open_for_a_while(ward: Ward) -> None:
    held: list[str] = []
    for n in range(900):
        session_id = ward.begins()
        if n % 2:
            ward.ends(session_id)
        else:
            held.append(session_id)
        if len(held) > 250:
            ward.ends(held.pop(n % 250))


@pytest.mark.parametrize(
    "happens", [all_stay_open, few_are_over, a_long_one_has_just_ended, every_other_stays_open_for_a_while]
)
@pytest.mark.parametrize("limit", [7, 50, 1_000])
@pytest.mark.parametrize("client", [None, "client-0001"])
def test_no_page_loses_one_whichever_stay_open(
    year: tuple[Practice, list[str]], happens: Callable[[Ward], None], limit: int, client: str | None
) -> None:
    """All of them, newest first; only open ones stand on the first page besides, below the others."""
    ward = Ward(year[0].journal)
    happens(ward)
    assert len(ward.state.durable.sessions) < len(ward.made)
    expected = [one for n, one in reversed(list(enumerate(ward.made))) if client in (None, f"client-{n % 3:04}")]
    first, *rest = ward.pages(replace(ALL, limit=limit, client=client))
    later = [session_id for page in rest for session_id in page]
    besides = [one for one in first if one in set(later)]
    in_place = [one for one in first if one not in set(later)]
    assert in_place + later == expected
    assert first == in_place + besides
    assert all(ward.state.durable.sessions[one].open for one in besides)


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
