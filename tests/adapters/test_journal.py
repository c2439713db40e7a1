"""The journal: what it calls durable is there after anything, and whatever was altered is found."""

import asyncio
import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.journal.errors import JournalCorrupt, JournalUnwritable, UnknownStored, Unstorable
from fleet.adapters.journal.forms import Form, Forms
from fleet.adapters.journal.restore import Fold, verify_journal
from fleet.adapters.journal.writer import Journal

AT = "2026-11-22T09:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Opened:
    door: str


@dataclass(frozen=True, slots=True)
class Counted:
    by: int
    note: str | None = None
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Tally:
    total: int = 0
    doors: tuple[str, ...] = ()


def evolve(state: Tally, event: Any) -> Tally:
    match event:
        case Opened(door):
            return replace(state, doors=(*state.doors, door))
        case Counted(by):
            return replace(state, total=state.total + by)
        case _:
            raise AssertionError(event)


def as_is(tally: Tally) -> Tally:
    return tally


def fold(forms: Forms | None = None, version: int = 1) -> Fold[Tally, Tally]:
    return Fold(Tally, evolve, forms or Forms.of(Opened | Counted), Tally, as_is, version)


class Disk:
    """Hears how the disk is, as the service does."""

    def __init__(self) -> None:
        self.changes: list[JournalUnwritable | None] = []

    def __call__(self, error: JournalUnwritable | None) -> None:
        self.changes.append(error)


def open_journal(
    path: Path, disk: Disk | None = None, known: Fold[Tally, Tally] | None = None
) -> Journal[Tally, Tally]:
    journal = Journal(path, known or fold(), disk or Disk())
    _opened.append(journal)
    return journal


_opened: list[Journal[Tally, Tally]] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Python 3.13 tells of every database that is left open, in whichever test comes next."""
    yield
    while _opened:
        with suppress(JournalUnwritable):  # what a test has left unwritten on purpose
            _opened.pop().close()


async def eventually(condition: Any, within_s: float = 10.0) -> None:
    """Another thread makes it true: the only signal there is its effect."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # polls an effect of the writing thread, which cannot be awaited


async def test_what_was_appended_comes_back_in_order(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Opened("north"), Counted(2)])
    await journal.append(AT, [Counted(3), Opened("south")])
    journal.close()
    again = open_journal(tmp_path / "j.db")
    again.close()
    assert again.restored.state == Tally(5, ("north", "south"))
    assert (again.restored.tip.position, again.restored.folded, again.restored.snapshot) == (4, 4, None)


def modes(folder: Path) -> dict[str, int]:
    return {part.name: stat.S_IMODE(part.stat().st_mode) for part in folder.iterdir()}


async def test_nobody_else_may_read_the_journal(tmp_path: Path) -> None:
    """Also one that an earlier version of the program made for all to read."""
    path = tmp_path / "j.db"
    path.touch(0o644)
    path.chmod(0o644)
    journal = open_journal(path)
    await journal.append(AT, [Opened("north")])
    found = modes(tmp_path)
    journal.close()
    assert found == {"j.db": 0o600, "j.db-wal": 0o600, "j.db-shm": 0o600}


async def test_whoever_reads_a_long_journal_shows_life_all_the_while(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(1)] * 3_500)
    journal.close()
    signs: list[bool] = []
    Journal(tmp_path / "j.db", fold(), Disk(), lambda: signs.append(True)).close()
    assert len(signs) == 3


async def test_a_restart_folds_only_what_came_after_the_snapshot(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    _ = journal.append(AT, [Counted(1)] * 50)
    journal.snapshot(Tally(50))
    await journal.append(AT, [Counted(7)])
    journal.close()
    again = open_journal(tmp_path / "j.db")
    again.close()
    assert (again.restored.state, again.restored.folded, again.restored.snapshot) == (Tally(57), 1, 50)


async def test_a_torn_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    for total in (1, 2, 3):
        await journal.append(AT, [Counted(1)])
        journal.snapshot(Tally(total))
        await eventually(lambda: journal._snapshot is None)
    journal.close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        assert database.execute("SELECT position FROM snapshot ORDER BY 1").fetchall() == [(2,), (3,)]
        database.execute("UPDATE snapshot SET body = substr(body, 1, 5) WHERE position = 3")
    again = open_journal(tmp_path / "j.db")
    again.close()
    assert (again.restored.state, again.restored.folded, again.restored.snapshot) == (Tally(3), 1, 2)


async def test_a_snapshot_of_another_shape_or_fold_is_not_used(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(4)])
    journal.snapshot(Tally(4))
    journal.close()
    again = open_journal(tmp_path / "j.db", known=fold(version=2))
    again.close()
    assert (again.restored.state, again.restored.folded, again.restored.snapshot) == (Tally(4), 1, None)
    assert again.restored.passed_over == ("snapshot 1 is of another version of this program",)


async def test_a_snapshot_holds_exactly_what_the_fold_would(tmp_path: Path) -> None:
    """Appends go on while the snapshot is written; with it or without it the state is the same."""
    journal, state = open_journal(tmp_path / "j.db"), Tally()
    for n in range(200):
        _ = journal.append(AT, [Counted(n)])
        state = evolve(state, Counted(n))
        if n % 7 == 0:
            journal.snapshot(state)
    journal.close()
    with_snapshot = open_journal(tmp_path / "j.db")
    with_snapshot.close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute("DELETE FROM snapshot")
    without = open_journal(tmp_path / "j.db")
    without.close()
    assert with_snapshot.restored.state == without.restored.state == Tally(199 * 200 // 2)
    assert with_snapshot.restored.snapshot == 197


@pytest.mark.parametrize(
    ("tampering", "position", "why"),
    [
        ('UPDATE event SET body = \'{"by":9,"note":null,"share":0.5}\' WHERE position = 2', 2, "not what was written"),
        ("UPDATE event SET body = CAST('{\"by\":9}' AS BLOB) WHERE position = 2", 2, "not what was written"),
        ("UPDATE event SET at = '2026-11-22T09:00:00.001Z' WHERE position = 3", 3, "not what was written"),
        ("UPDATE event SET name = 'Opened' WHERE position = 1", 1, "not what was written"),
        ("UPDATE event SET version = 2 WHERE position = 1", 1, "not what was written"),
        ("DELETE FROM event WHERE position = 2", 2, "is missing"),
        ("DELETE FROM event WHERE position = 1", 1, "is missing"),
        ("UPDATE event SET hash = zeroblob(32) WHERE position = 4", 4, "not what was written"),
    ],
)
async def test_whoever_alters_the_record_is_found_out(tmp_path: Path, tampering: str, position: int, why: str) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(1), Counted(2), Counted(3), Counted(4)])
    journal.close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute(tampering)
    with pytest.raises(JournalCorrupt, match=why) as found:
        verify_journal(tmp_path / "j.db")
    assert found.value.position == position
    with pytest.raises(JournalCorrupt, match=why):
        open_journal(tmp_path / "j.db")


async def test_a_cut_off_end_is_found_by_whoever_kept_the_hash(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(1), Counted(2), Counted(3)])
    kept = verify_journal(tmp_path / "j.db")  # while the service has it open
    journal.close()
    assert kept.rows == 3
    assert verify_journal(tmp_path / "j.db", kept.tip_hash) == kept
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute("DELETE FROM event WHERE position = 3")
    assert verify_journal(tmp_path / "j.db").rows == 2
    with pytest.raises(JournalCorrupt, match="its end was cut"):
        verify_journal(tmp_path / "j.db", kept.tip_hash)


async def test_the_chain_is_what_its_description_says(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Opened("a")])
    journal.close()
    by_hand = hashlib.sha256(bytes(32) + f"1\n{AT}\nOpened\n1\n".encode() + b'{"door":"a"}').hexdigest()
    assert verify_journal(tmp_path / "j.db").tip_hash == by_hand


def test_verifying_what_is_not_there_or_no_journal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        verify_journal(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("not a database " * 100)
    with pytest.raises(JournalCorrupt, match="cannot be read"):
        verify_journal(tmp_path / "text.db")
    with pytest.raises(JournalCorrupt, match="file is not a database"):
        open_journal(tmp_path / "text.db")
    with pytest.raises(JournalUnwritable):
        open_journal(tmp_path / "no-folder" / "j.db")


@pytest.mark.parametrize(
    "event",
    [Counted(1, share=float("nan")), Counted("1"), Opened(None), Tally(), Counted(1.0)],  # type: ignore[arg-type]
)
async def test_an_event_that_would_not_read_back_is_not_written(tmp_path: Path, event: object) -> None:
    journal = open_journal(tmp_path / "j.db")
    with pytest.raises(Unstorable):
        _ = journal.append(AT, [Counted(1), event])
    await journal.append(AT, [Counted(8)])
    journal.close()
    assert open_journal(tmp_path / "j.db").restored.state == Tally(8)


async def test_an_old_version_reads_as_the_new_event(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(2), Opened("a")])
    journal.close()
    doubled = Form(Counted, "Counted", 1, upgrade=lambda old: Counted(old["by"] * 10))
    known = fold(Forms([Form(Counted, "Counted", 2), Form(Opened, "Opened"), doubled]))
    newer = open_journal(tmp_path / "j.db", known=known)
    await newer.append(AT, [Counted(1)])
    newer.close()
    assert newer.restored.state == Tally(20, ("a",))
    assert open_journal(tmp_path / "j.db", known=known).restored.state == Tally(21, ("a",))
    with pytest.raises(UnknownStored, match="Counted version 2"):  # a program that went back
        open_journal(tmp_path / "j.db")


def test_two_forms_of_one_name_are_a_bug() -> None:
    with pytest.raises(ValueError, match="two forms named Opened version 1"):
        Forms([Form(Opened, "Opened"), Form(Counted, "Opened")])


async def test_a_disk_that_refuses_confirms_nothing_and_loses_nothing(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", Disk()
    journal = open_journal(path, disk)
    await journal.append(AT, [Counted(1)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")  # to the writer this is a disk that does not take anything
    first, second = journal.append(AT, [Counted(10)]), journal.append(AT, [Counted(100)])
    await eventually(lambda: len(disk.changes) == 1)
    assert isinstance(disk.changes[0], JournalUnwritable)
    assert journal.refusing
    assert not first.done()
    assert not second.done()
    other.execute("ROLLBACK")
    other.close()
    await asyncio.gather(first, second)
    assert [change is None for change in disk.changes] == [False, True]
    assert not journal.refusing
    journal.close()
    assert open_journal(path).restored.state == Tally(111)
    assert verify_journal(path).rows == 3


async def test_closing_on_a_disk_that_refuses_says_what_was_not_written(tmp_path: Path) -> None:
    path, disk = tmp_path / "j.db", Disk()
    journal = open_journal(path, disk)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    _ = journal.append(AT, [Counted(10)])
    await eventually(lambda: len(disk.changes) == 1)
    with pytest.raises(JournalUnwritable, match="1 rows were not written"):
        journal.close()
    other.close()


async def test_appends_of_one_moment_share_a_commit(tmp_path: Path) -> None:
    """1,000 appends at once are on the disk in far fewer commits than appends: within a second even on a slow one."""
    journal = open_journal(tmp_path / "j.db")
    async with asyncio.timeout(5):
        await asyncio.gather(*(journal.append(AT, [Counted(1)]) for _ in range(1000)))
    journal.close()
    assert open_journal(tmp_path / "j.db").restored.state == Tally(1000)


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.adapters.test_journal import AT, Counted, open_journal

async def main():
    journal = open_journal(Path(sys.argv[1]))
    n = journal.restored.tip.position
    while True:
        futures = []
        for _ in range(5):
            n += 1
            futures.append((n, journal.append(AT, [Counted(n)])))
        for number, future in futures:
            await future
            print(number, flush=True)
        if n % 50 == 0:
            journal.snapshot(type(journal.restored.state)(n * (n + 1) // 2))

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_reported_durable(tmp_path: Path) -> None:
    """Three times in a row, in the middle of writing, with snapshots; then the sum of all rows is computed by hand."""
    path = tmp_path / "j.db"
    reported = 0
    for kill in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert writer.stdout is not None
        goal = reported + 60 + kill * 37
        for line in writer.stdout:
            reported = int(line)
            if reported >= goal:
                break
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")  # what it had said before it died
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        reported = max([reported, *(int(line) for line in rest[:-1] if line)])
        verified = verify_journal(path)
        assert verified.rows >= reported
        again = open_journal(path)
        again.close()
        assert again.restored.state == Tally(verified.rows * (verified.rows + 1) // 2)
        reported = verified.rows
