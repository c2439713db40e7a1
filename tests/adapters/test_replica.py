"""A replica is the fleet's state, read along: the same fold, a look behind, and only the newest samples beside it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.adapters.journal.errors import JournalReplaced
from fleet.adapters.journal.tail import ROWS_A_LOOK
from fleet.adapters.journal.writer import Journal
from fleet.aside import Aside
from fleet.core.events import Event
from fleet.core.state import State, snapshot
from fleet.replica import Replica
from fleet.stored import FOLD, FleetJournal
from tests.core.clinic import WALL, Clinic


def opened(folder: Path) -> FleetJournal:
    return Journal(folder / "journal.db", FOLD, lambda _error: None)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FleetJournal]:
    journal = opened(tmp_path)
    yield journal
    journal.close()


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.running()
    return clinic


async def written(journal: FleetJournal, clinic: Clinic) -> None:
    """Everything that has happened in the clinic and is not in the journal yet."""
    await journal.append(WALL, clinic.journal[journal.position :])


async def test_it_is_the_state_from_the_snapshot_and_from_the_start(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path
) -> None:
    await written(journal, clinic)
    journal.snapshot(snapshot(clinic.state))
    clinic.pushes_stop()
    await written(journal, clinic)
    for replica in (
        Replica.from_snapshot(tmp_path / "journal.db"),
        Replica.from_the_start(tmp_path / "journal.db"),
    ):
        while replica.look():
            pass
        assert replica.state.durable == clinic.state.durable
        assert replica.tip.position == journal.position
        replica.close()


async def test_whoever_listens_is_told_every_event_with_the_state_after_it(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path
) -> None:
    told: list[tuple[int, Event, int]] = []
    replica = Replica.from_the_start(
        tmp_path / "journal.db", lambda position, event, state: told.append((position, event, state.durable.events_n))
    )
    await written(journal, clinic)
    assert replica.look() == len(clinic.journal)
    assert [event for _, event, _ in told] == clinic.journal
    assert [position for position, _, _ in told] == list(range(1, len(clinic.journal) + 1))
    assert [events_n for _, _, events_n in told] == [position for position, _, _ in told]
    replica.close()


async def test_it_follows_what_is_written(journal: FleetJournal, clinic: Clinic, tmp_path: Path) -> None:
    replica = Replica.from_the_start(tmp_path / "journal.db")
    caught_up = asyncio.Event()

    def looked(_rows: int) -> None:
        if replica.tip.position == len(clinic.journal):
            caught_up.set()

    aside = Aside("journal")
    following = asyncio.create_task(replica.follow(aside, looked))
    for step in (lambda: None, clinic.pushes_stop, clinic.releases):
        caught_up.clear()
        step()
        await written(journal, clinic)
        await caught_up.wait()
        assert replica.state.durable == clinic.state.durable
    following.cancel()
    await aside.does(replica.close)
    aside.close()


async def test_a_look_folds_only_so_many_rows(journal: FleetJournal, clinic: Clinic, tmp_path: Path) -> None:
    while len(clinic.journal) <= ROWS_A_LOOK:
        clinic.pushes_stop()
    await written(journal, clinic)
    replica = Replica.from_the_start(tmp_path / "journal.db")
    assert (replica.look(), replica.look()) == (ROWS_A_LOOK, len(clinic.journal) - ROWS_A_LOOK)
    replica.close()


async def test_without_a_journal_there_is_nothing_to_see_until_there_is_one(clinic: Clinic, tmp_path: Path) -> None:
    replica = Replica.from_the_start(tmp_path / "journal.db")
    assert (replica.look(), replica.state.durable) == (0, State().durable)
    journal = opened(tmp_path)
    await written(journal, clinic)
    assert replica.look() == len(clinic.journal)
    replica.close()
    journal.close()


async def test_another_journal_of_that_name_is_not_followed(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path
) -> None:
    await written(journal, clinic)
    replica = Replica.from_snapshot(tmp_path / "journal.db")
    other = tmp_path / "other"
    other.mkdir()
    opened(other).close()
    (other / "journal.db").replace(tmp_path / "journal.db")
    with pytest.raises(JournalReplaced, match="is another journal"):
        replica.look()
    replica.close()


def newest(replica: Replica) -> tuple[int, float, int] | None:
    """Of stim-12: which sample, when it was received, how many of its boot are missing."""
    seen = replica.state.newest("stim-12")
    return None if seen is None else (seen.sample.seq, seen.received_s, seen.missed)


async def test_the_newest_live_sample_of_the_present_boot_is_what_is_seen(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path
) -> None:
    await written(journal, clinic)
    replica = Replica.from_snapshot(tmp_path / "journal.db")
    first = clinic.stims["stim-12"].sample()
    assert replica.sample("stim-12", first, 1.0)
    assert newest(replica) == (first.seq, 1.0, 0)
    assert replica.sample("stim-12", replace(first, seq=first.seq + 3), 2.0)
    assert newest(replica) == (first.seq + 3, 2.0, 2)

    refused = {
        "again": replace(first, seq=first.seq + 3),
        "overtaken": replace(first, seq=first.seq + 1),
        "late": replace(first, seq=first.seq + 9, late=True),
        "an older boot's": replace(first, seq=first.seq + 9, boot_n=first.boot_n - 1),
        "another device's of that name": replace(first, seq=first.seq + 10_000_000),
    }
    assert {name: replica.sample("stim-12", sample, 3.0) for name, sample in refused.items()} == dict.fromkeys(
        refused, False
    )
    assert not replica.sample("stim-99", first, 3.0)
    assert newest(replica) == (first.seq + 3, 2.0, 2)

    assert replica.sample("stim-12", replace(first, seq=5, boot_n=first.boot_n + 1), 4.0)
    assert newest(replica) == (5, 4.0, 0)
    replica.close()
