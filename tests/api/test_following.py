"""What the web process shows is old says so: a journal that cannot be read, is gone, or is not read to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalUnwritable
from fleet.adapters.journal.writer import Journal
from fleet.api.following import follow_journal
from fleet.api.settings import WebSettings
from fleet.api.sight import NO_JOURNAL, Sight
from fleet.api.window import Window
from fleet.stored import FOLD
from tests.api.desk import until
from tests.core.clinic import WALL, Clinic


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@asynccontextmanager
async def following(folder: Path) -> AsyncIterator[Sight]:
    """Reads along the journal in `folder`; fleet and feed are there."""
    sight = Sight("clinic", False, boottime_s, time.time, Window(1), feed_is_up=True)
    task = asyncio.create_task(follow_journal(sight, WebSettings(site_dir=folder, data_dir=folder)))
    try:
        await sight.looked.wait()
        yield sight
        assert not task.done(), "it goes on, whatever the journal is"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def shows(sight: Sight, position: int = 0) -> Callable[[], str | None]:
    """What is said of what is shown, just after the fleet has answered."""

    def trouble() -> str | None:
        sight.heard_status({"connected": True, "journal_position": position})
        return sight.trouble

    return trouble


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    clinic = Clinic()
    clinic.ready()
    journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
    await journal.append(WALL, clinic.journal)
    journal.close()
    return tmp_path / "journal.db"


async def test_a_journal_that_cannot_be_read_for_now_makes_what_is_shown_old(
    journal: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(journal.parent) as sight:
        trouble = shows(sight)
        await until(lambda: trouble() is None)
        refusals = 0

        def refused(*_: object) -> sa.Connection:
            nonlocal refusals
            refusals += 1
            raise JournalUnwritable("the journal cannot be read: disk I/O error")

        with monkeypatch.context() as disk:
            disk.setattr("fleet.adapters.journal.tail.rows_after", refused)
            await until(lambda: trouble() == NO_JOURNAL)
            assert refusals > 1
        await until(lambda: trouble() is None)
    assert [record.message for record in caplog.records] == [
        "the journal cannot be followed for now: the journal cannot be read: disk I/O error"
    ]


async def test_a_journal_that_is_gone_makes_what_is_shown_old(journal: Path) -> None:
    async with following(journal.parent) as sight:
        trouble = shows(sight)
        await until(lambda: trouble() is None)
        await asyncio.to_thread(journal.rename, journal.with_name("elsewhere.db"))
        await until(lambda: trouble() == NO_JOURNAL)


async def test_a_journal_that_goes_on_where_nobody_reads_makes_what_is_shown_old(journal: Path) -> None:
    """The fleet says a second ago that it was further than what has been read since."""
    async with following(journal.parent) as sight:
        assert sight.replica is not None
        position = sight.replica.tip.position
        trouble = shows(sight, position + 7)
        trouble()  # a status may be ahead of the look
        assert trouble() == "The fleet's journal is not read up to its end: what is shown is old, by 7 events."
        trouble = shows(sight, position)
        trouble()
        assert trouble() is None


@pytest.mark.parametrize("what", ["a folder", "no database"])
async def test_what_cannot_be_opened_as_a_journal_is_told_and_ends_nothing(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.db"
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"no database at all " * 1000)
    async with following(tmp_path) as sight:
        assert shows(sight)() == NO_JOURNAL
    assert [record.message.split(":")[0] for record in caplog.records] == ["the journal cannot be followed"]
