"""A backup: complete up to one moment, proved, private, there whole or not at all, and nobody waits for it."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest

from fleet.adapters.journal.backup import back_up
from fleet.adapters.journal.errors import CopyRefused, JournalCorrupt, JournalUnwritable
from fleet.adapters.journal.files import appearing
from fleet.adapters.journal.restore import Verified, verify_journal
from fleet.adapters.journal.rows import BUSY_TIMEOUT_S
from fleet.adapters.journal.writer import Journal
from tests.adapters.test_journal import AT, Counted, Disk, Tally, eventually, open_journal
from tests.journal.cuts import look_at_each
from tests.journal.tally import FOLD, event, names_in, state_after, stored_rows
from tests.journal.traced import traced


async def a_journal(path: Path, rows: int) -> Journal[Tally, Tally]:
    """An open journal with so many rows and a snapshot."""
    journal: Journal[Tally, Tally] = Journal(path, FOLD, Disk())
    await journal.append(AT, [event(n) for n in range(1, rows + 1)])
    journal.snapshot(state_after(rows))
    await eventually(lambda: journal._snapshot is None)
    await journal.append(AT, [event(rows + 1)])
    return journal


def restored(path: Path) -> tuple[Tally, int, int | None]:
    journal: Journal[Tally, Tally] = Journal(path, FOLD, Disk())
    journal.close()
    return journal.restored.state, journal.restored.folded, journal.restored.snapshot


async def test_a_backup_of_an_open_journal_is_that_journal(tmp_path: Path) -> None:
    journal = await a_journal(tmp_path / "j.db", 300)
    made = back_up(tmp_path / "j.db", tmp_path / "b.db")
    await journal.append(AT, [event(302)])
    journal.close()
    assert made.rows == 301
    assert verify_journal(tmp_path / "b.db", made.tip_hash) == made
    assert stored_rows(tmp_path / "b.db") == stored_rows(tmp_path / "j.db")[:301]
    assert restored(tmp_path / "b.db") == (state_after(301), 1, 300), "its snapshot came along"


async def test_a_backup_is_one_private_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    journal = await a_journal(tmp_path / "j.db", 5)
    (tmp_path / "copies").mkdir()
    os.umask(0)
    back_up(tmp_path / "j.db", tmp_path / "copies" / "b.db")
    journal.close()
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "copies").iterdir()} == {"b.db": 0o600}
    (tmp_path / "copies").chmod(0o500)
    assert verify_journal(tmp_path / "copies" / "b.db").rows == 6
    assert names_in(tmp_path / "copies") == ["b.db"], "it needs no log beside it to be read"
    (tmp_path / "copies").chmod(0o700)


async def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (await a_journal(tmp_path / "j.db", 5)).close()
    (tmp_path / "b.db").write_text("of last year")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    for name in ("b.db", "link.db", "j.db"):
        with pytest.raises(CopyRefused, match="is there already and is not overwritten: choose another name"):
            back_up(tmp_path / "j.db", tmp_path / name)
    assert (tmp_path / "b.db").read_text() == "of last year"
    with pytest.raises(CopyRefused, match=r"There is no folder .*/away: make it first"):
        back_up(tmp_path / "j.db", tmp_path / "away" / "b.db")
    with pytest.raises(FileNotFoundError):
        back_up(tmp_path / "none.db", tmp_path / "c.db")
    assert not (tmp_path / "c.db").exists()


def test_two_that_make_the_same_file_do_not_overwrite_each_other(tmp_path: Path) -> None:
    def both() -> None:
        with appearing(tmp_path / "b.db") as mine, appearing(tmp_path / "b.db") as other:
            mine.write_text("mine")
            other.write_text("other's")

    with pytest.raises(CopyRefused, match="has just been made by somebody else"):
        both()
    assert (tmp_path / "b.db").read_text() == "other's"
    assert names_in(tmp_path) == ["b.db"]


async def test_a_damaged_journal_is_not_backed_up(tmp_path: Path) -> None:
    (await a_journal(tmp_path / "j.db", 50)).close()
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute("UPDATE event SET body = zeroblob(9) WHERE position = 33")
    with pytest.raises(JournalCorrupt, match="row 33: is not what was written"):
        back_up(tmp_path / "j.db", tmp_path / "b.db")
    (tmp_path / "text.db").write_text("not a database " * 100)
    with pytest.raises(JournalCorrupt, match="file is not a database"):
        back_up(tmp_path / "text.db", tmp_path / "b.db")
    assert names_in(tmp_path) == ["j.db", "text.db"]


FULL = """
import resource, sys
from pathlib import Path
from fleet.adapters.journal.backup import back_up
from fleet.adapters.journal.errors import JournalUnwritable

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    back_up(Path(sys.argv[1]), Path(sys.argv[2]))
except JournalUnwritable as error:
    print(error)
"""


async def test_a_disk_that_is_full_leaves_no_backup(tmp_path: Path) -> None:
    (await a_journal(tmp_path / "j.db", 400)).close()
    script = [sys.executable, "-c", FULL, str(tmp_path / "j.db"), str(tmp_path / "b.db")]
    said = await asyncio.to_thread(subprocess.run, script, capture_output=True, text=True, check=True)
    assert "the copy cannot be made" in said.stdout
    assert names_in(tmp_path) == ["j.db"]


def test_a_file_that_is_another_database_is_no_journal(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE other (a)")
    with pytest.raises(JournalCorrupt, match="no such table"):
        back_up(tmp_path / "other.db", tmp_path / "b.db")
    with pytest.raises((JournalCorrupt, JournalUnwritable), match="no such table"):
        verify_journal(tmp_path / "other.db")


# --- while it is written ----------------------------------------------------------------------------------------------

BACKUP = """
import sys
from pathlib import Path
from fleet.adapters.journal.backup import back_up
print(back_up(Path(sys.argv[1]), Path(sys.argv[2])).rows)
"""
ROWS = 20_000


async def test_the_writer_is_not_held_up_by_a_backup_beside_it(tmp_path: Path) -> None:
    """Durable as fast as without one: no append waits for the copying of a journal of 15 MB."""
    path = tmp_path / "j.db"
    filling = open_journal(path)
    for _ in range(10):
        await filling.append(AT, [Counted(1, "n" * 600)] * (ROWS // 10))
    filling.close()
    journal = open_journal(path)
    alone_s = [await durable_s(journal) for _ in range(100)]
    script = [sys.executable, "-c", BACKUP, str(path), str(tmp_path / "b.db")]
    backup = await asyncio.create_subprocess_exec(*script, stdout=subprocess.PIPE)
    beside_s = []
    while backup.returncode is None:
        beside_s.append(await durable_s(journal))
    assert backup.stdout is not None
    rows = int(await backup.stdout.read())
    journal.close()
    assert ROWS + 100 <= rows <= ROWS + 100 + len(beside_s)
    assert len(beside_s) > 50, "it was written all the while"
    # Generous: others work on this machine. The decision note has the figures; a writer that waits takes seconds.
    assert median(beside_s) < max(0.02, 3 * median(alone_s))
    assert max(beside_s) < BUSY_TIMEOUT_S, "none had to wait for a lock until it was refused"


async def durable_s(journal: Journal[Tally, Tally]) -> float:
    began_s = time.monotonic()
    await journal.append(AT, [Counted(1)])
    return time.monotonic() - began_s


# --- power ------------------------------------------------------------------------------------------------------------

CUT = """
import asyncio, os, sys
from pathlib import Path
from fleet.adapters.journal.backup import back_up
from tests.adapters.test_journal import AT
from tests.journal.tally import event
from tests.journal.test_backup import a_journal

async def main():
    root = Path(sys.argv[1])
    journal = await a_journal(root / "journal.db", 20)
    made = back_up(root / "journal.db", root / "copies" / "b.db")
    os.write(1, f"{made.rows} {made.tip_hash}\\n".encode())
    await journal.append(AT, [event(22)])
    os._exit(0)

asyncio.run(main())
"""


async def test_power_cut_at_every_call_leaves_a_whole_backup_or_none(tmp_path: Path) -> None:
    """And what said that it was done is there."""
    root = tmp_path / "data"
    (root / "copies").mkdir(parents=True)
    recording = traced(root, CUT, str(root))
    found: list[Verified] = []

    async def whole_or_not_there(folder: Path, marks: list[str]) -> None:
        if (folder / "copies" / "b.db").exists():
            found.append(verify_journal(folder / "copies" / "b.db"))
            assert found[-1].rows == 21
            assert found[-1] == found[0]
        if marks:
            assert found[-1] == Verified(21, marks[0].split()[1])
            assert (folder / "copies" / "b.db").exists()

    assert await look_at_each(recording, whole_or_not_there, luck=1) > 50
    assert found
