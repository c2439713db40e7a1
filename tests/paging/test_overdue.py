"""What a pager that was just started has to tell: what the fleet waits for, and what is late and still true."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Measured
from fleet.adapters.journal.errors import JournalCorrupt, JournalUnwritable
from fleet.adapters.journal.writer import Journal
from fleet.core import alarm_inputs as asks
from fleet.core.attention_events import DigestDue, PageDue
from fleet.paging.overdue import LATE_S_MAX, Order, overdue
from fleet.stored import FOLD, FleetJournal
from tests.core.clinic import HOUR_S, WALL
from tests.core.crowd import Crowd
from tests.core.on_call import HIGH, ROTA, OnCall


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FleetJournal]:
    journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
    yield journal
    journal.close()


async def found(journal: FleetJournal, clinic: OnCall, tmp_path: Path) -> list[Order]:
    """What is to be told after everything that has happened in the clinic is in the journal."""
    await journal.append(WALL, clinic.journal[journal.position :])
    return overdue(tmp_path / "journal.db", clinic.state, journal.position, clinic.wall_s)


def wrong(clinic: OnCall) -> None:
    """An output above its limit: A02, high, told at once."""
    clinic.running()
    clinic.shows("stim-12", amplitude_ma=90.0)


def said(orders: list[Order]) -> list[tuple[str, str, int]]:
    return [(order.person, order.act.value, order.rung) for order in orders if isinstance(order, PageDue)]


async def test_what_the_fleet_waits_for(journal: FleetJournal, tmp_path: Path) -> None:
    clinic = OnCall()
    assert await found(journal, clinic, tmp_path) == []
    wrong(clinic)
    assert said(await found(journal, clinic, tmp_path)) == [("anna", "trigger", 1)]
    clinic.delivered("anna")
    assert await found(journal, clinic, tmp_path) == []


async def test_what_was_given_up_goes_out_late_while_it_still_sounds(journal: FleetJournal, tmp_path: Path) -> None:
    """Nobody delivers anything for two minutes: the newest to each is told, in the order in which they were due."""
    clinic = OnCall()
    wrong(clinic)
    clinic.during(120.0)
    orders = await found(journal, clinic, tmp_path)
    assert [person for person, _, _ in said(orders)][-1] == "cleo"
    assert {person for person, _, _ in said(orders)} == {"anna", "ben", "cleo"}
    newest = {(page.person, page.series): page.page_id for page in clinic.triggers()}
    waited_for = set(clinic.pages())
    for order in orders:
        assert isinstance(order, PageDue)
        assert order.page_id in {newest[order.person, order.series], *waited_for}
    assert len({order.page_id for order in orders}) == len(orders)


async def test_once_somebody_has_it_that_is_the_last_that_each_is_told(journal: FleetJournal, tmp_path: Path) -> None:
    clinic = OnCall()
    wrong(clinic)
    clinic.during(40.0)
    clinic.accepts("A02", by="ben")
    orders = await found(journal, clinic, tmp_path)
    last = {person: act for person, act, _ in said(orders)}
    assert last == {"anna": "acknowledge", "ben": "acknowledge", "cleo": "acknowledge"}
    given_up = [page_id for page_id, page in clinic.state.durable.pages.items() if page.silent]
    assert given_up
    assert not {order.page_id for order in orders} & set(given_up), "nobody is told late of what somebody has"


async def test_what_is_older_than_an_hour_is_not_told(journal: FleetJournal, tmp_path: Path) -> None:
    clinic = OnCall()
    wrong(clinic)
    clinic.during(20.0)  # silence: the first was given up
    assert said(await found(journal, clinic, tmp_path))
    clinic.wall_s += LATE_S_MAX
    assert await found(journal, clinic, tmp_path) == []


async def test_a_journal_that_cannot_be_read_is_told_as_one(tmp_path: Path) -> None:
    clinic = OnCall()
    wrong(clinic)
    with pytest.raises(JournalUnwritable, match="unable to open database file"):
        overdue(tmp_path / "journal.db", clinic.state, 1, clinic.wall_s)
    (tmp_path / "journal.db").write_text("Letters to the clinic, not a database. " * 100)
    with pytest.raises(JournalCorrupt, match="file is not a database"):
        overdue(tmp_path / "journal.db", clinic.state, 1, clinic.wall_s)


async def test_a_digest_that_was_given_up_is_told_late(journal: FleetJournal, tmp_path: Path) -> None:
    clinic = OnCall()
    clinic.changes_device("stim-7", due_wall_s=clinic.wall_s + HOUR_S)  # info: in the digest, once a day
    clinic.goes_to(clinic.wall_s + 24 * HOUR_S)
    clinic.after(61.0)
    (digest,) = await found(journal, clinic, tmp_path)
    assert isinstance(digest, DigestDue)
    clinic.after(400.0)
    assert await found(journal, clinic, tmp_path) == [digest]


async def test_a_pager_that_starts_in_a_storm_tells_of_the_one_output_that_is_not_zero(
    journal: FleetJournal, tmp_path: Path
) -> None:
    """Journaled first, and behind it more than 2,200 orders to three people of 749 devices: none is left out."""
    crowd = Crowd(750)
    crowd.ready()
    everyone = replace(ROTA, rungs={**ROTA.rungs, HIGH: (("everyone",),)})
    crowd.decides(asks.RotaChanged(everyone, crowd.now_s, crowd.wall_s))
    stuck, *others = crowd.stims
    crowd.says(stuck, crowd.stims[stuck].event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
    fault = Measured("amplitude_ma", 60.0, 45.0)
    for name in others:
        crowd.says(name, crowd.stims[name].event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))
    await journal.append(WALL, crowd.journal)
    orders = overdue(tmp_path / "journal.db", crowd.state, journal.position, crowd.wall_s)
    assert [(order.code, order.person) for order in orders[:3] if isinstance(order, PageDue)] == [
        ("A01", "anna"),
        ("A01", "ben"),
        ("A01", "cleo"),
    ]
    told = {(order.device, order.person) for order in orders if isinstance(order, PageDue)}
    assert told == {(name, who) for name in crowd.stims for who in ("anna", "ben", "cleo")}
