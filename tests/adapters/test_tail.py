"""A journal read along while its disk hangs, refuses, or holds a bad row: the loop goes on, and no row is lost."""

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fleet.adapters.journal.errors import JournalCorrupt, JournalUnwritable
from fleet.adapters.journal.rows import Row, Tip, rows_after
from fleet.adapters.journal.tail import Tail
from fleet.adapters.journal.writer import Journal
from fleet.aside import Aside
from fleet.core.events import Event
from fleet.replica import HANGS, Replica
from fleet.stored import FOLD, FleetJournal
from tests.api.desk import until
from tests.core.clinic import WALL, Clinic


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FleetJournal]:
    journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
    yield journal
    journal.close()


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.running()
    return clinic


@pytest.fixture
def aside() -> Iterator[Aside]:
    with closing(Aside("journal")) as aside:
        yield aside


def test_a_journal_that_is_being_made_at_this_moment_is_one_that_is_not_there_yet(tmp_path: Path) -> None:
    """Whoever reads along is started together with the fleet service: the file is there before its tables."""
    path = tmp_path / "journal.db"
    path.touch()
    with pytest.raises(FileNotFoundError):
        Replica.from_snapshot(path)
    replica = Replica.from_the_start(path)
    assert replica.look() == 0
    Journal(path, FOLD, lambda _error: None).close()
    assert replica.look() == 0
    with sqlite3.connect(path) as elsewhere:
        elsewhere.execute("DROP TABLE event")
    elsewhere.close()
    with pytest.raises(JournalCorrupt, match="no such table"):
        replica.look()
    replica.close()


def test_a_file_that_is_no_database_is_not_kept_open_by_whoever_refused_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, but a text that is long enough to be looked at as one" * 20)
    with pytest.raises(JournalCorrupt, match="not a database") as error:
        Tail(path, "followed").opened()
    assert path not in open_files(), f"while somebody looks at: {error.value}"
    with path.open():
        assert path in open_files()


def open_files() -> set[Path]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # it has just been closed: the one by which the folder is read, for one
            found.add(descriptor.readlink())
    return found


async def written(journal: FleetJournal, clinic: Clinic) -> None:
    await journal.append(WALL, clinic.journal[journal.position :])


class Disk:
    """It hangs from `hang` on until `answer`: whoever reads waits in the read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        monkeypatch.setattr("fleet.adapters.journal.tail.rows_after", self._rows_after)

    def _rows_after(self, connection: object, position: int) -> Iterator[Row]:
        self.asked.set()
        assert self.answers.wait(60.0)
        return rows_after(connection, position)  # type: ignore[arg-type]

    async def hangs(self) -> None:
        self.answers.clear()
        self.asked.clear()
        await asyncio.to_thread(self.asked.wait, 60.0)


async def test_while_the_disk_hangs_the_loop_goes_on_and_says_so_and_then_every_event_comes_in_its_order(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path, aside: Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, told, said = Disk(monkeypatch), list[Event](), list[tuple[int, str | None]]()
    replica = Replica.from_the_start(tmp_path / "journal.db", lambda _position, event, _state: told.append(event))
    following = asyncio.create_task(replica.follow(aside, lambda rows: said.append((rows, replica.failing))))
    await disk.hangs()
    before = len(told)
    await written(journal, clinic)
    clinic.pushes_stop()
    await written(journal, clinic)
    said.clear()
    await until(lambda: len(said) == 2)  # each second
    assert (said, replica.failing, len(told)) == ([(0, HANGS)] * 2, HANGS, before)
    disk.answers.set()
    await until(lambda: len(told) == len(clinic.journal))
    assert (told, replica.failing, replica.tip.position) == (clinic.journal, None, journal.position)
    assert replica.state.durable == clinic.state.durable
    following.cancel()
    await aside.does(replica.close)


async def test_whoever_ends_while_a_read_hangs_waits_for_nothing_and_what_it_reads_is_dropped(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path, aside: Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    replica = Replica.from_the_start(tmp_path / "journal.db")
    following = asyncio.create_task(replica.follow(aside))
    await disk.hangs()
    await written(journal, clinic)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    closed = aside.begin(replica.close)
    assert not closed.done(), "a connection in use is not closed under whoever uses it"
    disk.answers.set()
    await asyncio.wrap_future(closed)
    assert replica.tip == Tip()


class Slow:
    """A file that takes until `answers` to be opened; `closed_by` is the name of the thread that closed it."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        self.closed_by: str | None = None

    def opened(self) -> "Slow":
        self.asked.set()
        assert self.answers.wait(60.0)
        return self

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


async def test_what_is_opened_for_somebody_who_has_gone_is_closed_in_the_thread(aside: Aside) -> None:
    file = Slow()
    opening = asyncio.create_task(aside.opens(file.opened))
    await until(file.asked.is_set)
    not_begun = asyncio.create_task(aside.opens(file.opened))
    await until(lambda: not aside._calls.empty())
    await cancelled(opening, not_begun)
    assert file.closed_by is None, "it is not open yet"
    file.answers.set()
    await until(lambda: file.closed_by == "journal")


async def test_what_is_opened_at_the_moment_in_which_somebody_goes_is_closed_in_the_thread(aside: Aside) -> None:
    file = Slow()
    opening = asyncio.create_task(aside.opens(file.opened))
    await until(file.asked.is_set)
    file.answers.set()
    aside.begin(gc.isenabled).result(60.0)  # it is open, and this loop has not heard of it
    await cancelled(opening)
    await until(lambda: file.closed_by == "journal")


async def test_what_is_opened_for_somebody_who_waits_is_theirs(aside: Aside) -> None:
    file = Slow()
    file.answers.set()
    assert await aside.opens(file.opened) is file
    await aside.does(gc.isenabled)
    assert file.closed_by is None


async def cancelled(*tasks: "asyncio.Task[Slow]") -> None:
    for task in tasks:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_disk_that_refuses_to_say_what_is_there_is_asked_again(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path, aside: Aside
) -> None:
    """A name that leads to itself (ELOOP) stands for a disk that fails (EIO): neither says that nothing is there."""
    await written(journal, clinic)
    path, loop = tmp_path / "followed.db", tmp_path / "loop"
    path.symlink_to(loop)
    loop.symlink_to(loop)
    replica = Replica.from_the_start(path)
    following = asyncio.create_task(replica.follow(aside))
    await until(lambda: replica.failing is not None)
    assert replica.failing == "followed.db cannot be read: Too many levels of symbolic links"
    loop.unlink()
    loop.symlink_to(tmp_path / "journal.db")
    await until(lambda: replica.tip.position == journal.position)
    assert replica.failing is None
    following.cancel()
    await aside.does(replica.close)


async def test_what_was_read_before_a_bad_row_is_told_first(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path, aside: Aside
) -> None:
    await written(journal, clinic)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database, database:
        database.execute("UPDATE event SET body = '{}' WHERE position = 5")
    told: list[int] = []
    replica = Replica.from_the_start(tmp_path / "journal.db", lambda position, _event, _state: told.append(position))
    with pytest.raises(JournalCorrupt, match="row 5"):
        await replica.follow(aside)
    assert told == [1, 2, 3, 4]
    replica.close()


class Rows:
    """What a read found."""


def found() -> Rows:
    return Rows()


def refused() -> Rows:
    raise JournalUnwritable("the disk refuses")


def error_of(future: Future[Rows]) -> BaseException:
    error = future.exception(60.0)
    assert error is not None
    return error


async def test_what_came_of_a_call_is_kept_by_nobody_but_whoever_asked(aside: Aside) -> None:
    gc.disable()  # what goes has to go by itself
    try:
        result = weakref.ref(aside.begin(found).result(60.0))
        await until(lambda: result() is None)
        error = weakref.ref(error_of(aside.begin(refused)))
        await until(lambda: error() is None)
    finally:
        gc.enable()


async def test_whoever_reads_along_does_not_keep_the_log_from_being_reset(
    journal: FleetJournal, clinic: Clinic, tmp_path: Path
) -> None:
    """A reader that stays in a transaction would have it grow for as long as it is there."""
    await written(journal, clinic)
    tail = Tail(tmp_path / "journal.db", "followed")
    *_, last = tail.rows(Tip())
    assert last.position == len(clinic.journal)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    clinic.pushes_stop()
    await written(journal, clinic)
    assert [row.position for row in tail.rows(Tip(last.position, last.hash))] == list(
        range(last.position + 1, len(clinic.journal) + 1)
    )
    tail.close()
