"""Putting a backup in the journal's place: proved first, nothing deleted, the old one or the new one after any cut."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fleet.adapters.journal.backup import back_up
from fleet.adapters.journal.errors import CopyRefused, JournalError, UnknownStored
from fleet.adapters.journal.exchange import Exchanged, put_back
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.writer import Journal
from tests.adapters.test_journal import AT, Counted, Disk, Opened, Tally
from tests.journal.cuts import look_at_each
from tests.journal.tally import FOLD, event, names_in, state_after, stored_rows
from tests.journal.test_backup import a_journal, restored
from tests.journal.traced import traced


def restore(folder: Path, quarantine: str = "q1") -> Exchanged:
    return put_back(folder / "b.db", folder / "j.db", folder / "quarantine" / quarantine, FOLD.forms)


async def a_backup_and_a_journal_further_on(folder: Path) -> None:
    """The backup ends at row 21, the journal at row 31."""
    journal = await a_journal(folder / "j.db", 20)
    back_up(folder / "j.db", folder / "b.db")
    await journal.append(AT, [event(n) for n in range(22, 32)])
    journal.close()


async def test_the_journal_is_the_backup_and_the_one_before_is_kept(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    before = stored_rows(tmp_path / "j.db")
    done = restore(tmp_path)
    aside = tmp_path / "quarantine" / "q1" / "j.db"
    assert (done.verified.rows, done.aside, done.common, done.before) == (21, aside, 21, 31)
    assert stored_rows(aside) == before
    assert restored(tmp_path / "j.db") == (state_after(21), 1, 20)
    assert stat.S_IMODE((tmp_path / "j.db").stat().st_mode) == 0o600
    assert names_in(tmp_path) == ["b.db", "j.db", "quarantine"]
    journal: Journal[Tally, Tally] = Journal(tmp_path / "j.db", FOLD, Disk())
    await journal.append(AT, [event(22)])
    journal.close()
    assert stored_rows(tmp_path / "b.db") == before[:21], "the backup is as it was"


async def test_a_journal_that_went_another_way_is_compared_to_where_they_part(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    restore(tmp_path)
    other: Journal[Tally, Tally] = Journal(tmp_path / "j.db", FOLD, Disk())
    await other.append(AT, [Counted(7)] * 3)
    other.close()
    (tmp_path / "b.db").unlink()
    back_up(tmp_path / "quarantine" / "q1" / "j.db", tmp_path / "b.db")
    done = restore(tmp_path, "q2")
    assert (done.verified.rows, done.common, done.before) == (31, 21, 24)


async def test_where_no_journal_is_the_backup_becomes_it(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    (tmp_path / "j.db").unlink()
    done = restore(tmp_path)
    assert (done.aside, done.common, done.before) == (None, None, None)
    assert restored(tmp_path / "j.db")[0] == state_after(21)


@pytest.mark.parametrize("damage", ["UPDATE event SET at = 'x' WHERE position = 4", "DELETE FROM event"])
async def test_a_backup_that_does_not_hold_changes_nothing(tmp_path: Path, damage: str) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    with closing(sqlite3.connect(tmp_path / "b.db")) as database, database:
        database.execute("DELETE FROM snapshot")
        database.execute(damage)
    assert_refused(tmp_path, r"b\.db (does not hold|has no rows), nothing was changed")


@pytest.mark.parametrize("content", [b"", b"{}\n" * 3000])
async def test_what_is_no_backup_changes_nothing(tmp_path: Path, content: bytes) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    (tmp_path / "b.db").write_bytes(content)
    assert_refused(tmp_path, r"b\.db does not hold, nothing was changed")


async def test_the_journal_is_no_backup_of_itself(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    (tmp_path / "b.db").unlink()
    (tmp_path / "b.db").symlink_to(tmp_path / "j.db")
    assert_refused(tmp_path, "is the journal itself")


def assert_refused(folder: Path, why: str) -> None:
    before = names_in(folder)
    with pytest.raises(CopyRefused, match=why):
        restore(folder)
    assert names_in(folder) == before
    assert restored(folder / "j.db")[0] == state_after(31)


async def test_a_backup_of_a_newer_program_is_not_put_back(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    with pytest.raises(UnknownStored, match="row 1: is a Opened version 1, unknown to this program"):
        put_back(tmp_path / "b.db", tmp_path / "j.db", tmp_path / "q" / "1", Forms.of(Counted))
    assert restored(tmp_path / "j.db")[0] == state_after(31)


async def test_while_somebody_reads_the_journal_it_is_not_exchanged(tmp_path: Path) -> None:
    """SQLite would write what is new into what was set aside."""
    await a_backup_and_a_journal_further_on(tmp_path)
    journal: Journal[Tally, Tally] = Journal(tmp_path / "j.db", FOLD, Disk())
    with pytest.raises(
        CopyRefused, match=r"nothing was changed: .*locked.*-pager, stimfleet-recorder and stimfleet-web.*tail --follow"
    ):
        restore(tmp_path)
    await journal.append(AT, [event(32)])
    journal.close()
    assert restored(tmp_path / "j.db")[0] == state_after(32)
    assert not (tmp_path / "j.db.restoring").exists()


def overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


async def test_a_journal_that_is_no_database_any_more_is_kept_with_all_its_parts(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    overwrite(tmp_path / "j.db", b"\0" * 200)
    (tmp_path / "j.db-wal").write_bytes(b"a log that somebody may want to look into")
    spoiled = (tmp_path / "j.db").read_bytes()
    done = restore(tmp_path)
    assert (done.verified.rows, done.common, done.before) == (21, None, None)
    assert (tmp_path / "quarantine" / "q1" / "j.db").read_bytes() == spoiled
    assert (tmp_path / "quarantine" / "q1" / "j.db-wal").read_bytes().startswith(b"a log")
    assert not (tmp_path / "j.db-wal").exists()
    assert restored(tmp_path / "j.db")[0] == state_after(21)


async def test_a_log_without_its_file_is_not_played_into_the_backup(tmp_path: Path) -> None:
    killed(tmp_path / "data")
    (tmp_path / "data" / "j.db").unlink()
    log = (tmp_path / "data" / "j.db-wal").read_bytes()
    done = restore(tmp_path / "data")
    assert (done.verified.rows, done.common) == (21, None)
    assert restored(tmp_path / "data" / "j.db")[0] == state_after(21)
    assert (tmp_path / "data" / "quarantine" / "q1" / "j.db-wal").read_bytes() == log


async def test_a_journal_with_a_row_that_cannot_be_compared_is_still_set_aside(tmp_path: Path) -> None:
    await a_backup_and_a_journal_further_on(tmp_path)
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        database.execute("DROP TABLE event")
    done = restore(tmp_path)
    assert (done.common, done.before) == (None, None)
    assert done.aside is not None


# --- power ------------------------------------------------------------------------------------------------------------

CUT = """
import os, sys
from pathlib import Path
from fleet.adapters.journal.exchange import put_back
from tests.journal.tally import FOLD

root = Path(sys.argv[1])
done = put_back(root / "b.db", root / "j.db", root / "quarantine" / "q1", FOLD.forms)
os.write(1, f"restored {done.verified.rows}\\n".encode())
"""
KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.journal.test_restore import a_journal_that_was_killed

asyncio.run(a_journal_that_was_killed(Path(sys.argv[1])))
os._exit(0)
"""


async def a_journal_that_was_killed(folder: Path) -> None:
    """As in `a_backup_and_a_journal_further_on`, with the newest rows still in the log."""
    journal = await a_journal(folder / "j.db", 20)
    back_up(folder / "j.db", folder / "b.db")
    await journal.append(AT, [event(n) for n in range(22, 32)])


def killed(root: Path) -> None:
    root.mkdir()
    subprocess.run([sys.executable, "-c", KILLED, str(root)], check=True)
    assert (root / "j.db-wal").stat().st_size > 0


async def test_power_cut_at_every_call_of_a_restore_leaves_the_old_journal_or_the_new_one(tmp_path: Path) -> None:
    root = tmp_path / "data"
    killed(root)
    recording = traced(root, CUT, str(root))
    found = {21: 0, 31: 0}

    async def old_or_new(folder: Path, marks: list[str]) -> None:
        state, _, _ = restored(folder / "j.db")
        rows = 21 if state == state_after(21) else 31
        assert state == state_after(rows)
        found[rows] += 1
        if rows == 21:
            assert verify_journal(folder / "quarantine" / "q1" / "j.db").rows == 31
        if marks:
            assert rows == 21, "what was said to be restored is restored"

    assert await look_at_each(recording, old_or_new, luck=2) > 40
    assert min(found.values()) > 1


def is_somewhere(folder: Path, name: str, content: bytes) -> bool:
    places = [folder / name, *folder.glob(f"quarantine/*/{name}")]
    return any(place.exists() and place.read_bytes() == content for place in places)


async def test_power_cut_while_an_unreadable_journal_is_set_aside_loses_no_byte_of_it(tmp_path: Path) -> None:
    """Then nobody leads until the restore is made again, or from the backup."""
    root = tmp_path / "data"
    killed(root)
    overwrite(root / "j.db", b"\0" * 200)
    log = (root / "j.db-wal").read_bytes()
    overwrite(root / "j.db-wal", b"\0" * 32)
    parts = {"j.db": (root / "j.db").read_bytes(), "j.db-wal": b"\0" * 32 + log[32:]}
    recording = traced(root, CUT, str(root))
    restored_after = 0

    async def kept(folder: Path, marks: list[str]) -> None:
        nonlocal restored_after
        for name, content in parts.items():
            assert is_somewhere(folder, name, content), name
        try:
            assert restored(folder / "j.db")[0] == state_after(21)
        except JournalError:
            assert not marks
            restore(folder, "q2")
            restored_after += 1
            assert restored(folder / "j.db")[0] == state_after(21)

    assert await look_at_each(recording, kept, luck=3) > 15
    assert restored_after > 3


async def test_a_restore_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    """What it had begun is taken back: one journal has one name, and nothing is left over."""
    await a_backup_and_a_journal_further_on(tmp_path)
    (tmp_path / "j.db.restoring").write_text("half a copy")
    (tmp_path / "quarantine" / "q0").mkdir(parents=True)
    os.link(tmp_path / "j.db", tmp_path / "quarantine" / "q0" / "j.db")
    done = restore(tmp_path)
    assert (done.common, done.before) == (21, 31)
    assert names_in(tmp_path / "quarantine") == ["q1"]
    assert names_in(tmp_path / "quarantine" / "q1") == ["j.db"]


def test_only_what_still_has_its_first_name_loses_its_second(tmp_path: Path) -> None:
    (tmp_path / "quarantine" / "q0").mkdir(parents=True)
    (tmp_path / "quarantine" / "q0" / "j.db-wal").write_text("the only one")
    with pytest.raises(FileNotFoundError):
        restore(tmp_path)
    assert (tmp_path / "quarantine" / "q0" / "j.db-wal").read_text() == "the only one"


def test_the_rows_of_the_tally_are_what_they_should_be() -> None:
    """The expected state is added up by hand here, once."""
    assert [type(event(n)) for n in (1, 2, 41)] == [Opened, Counted, Opened]
    assert state_after(42).total == sum(range(43)) - 1 - 41
    assert len(state_after(42).doors) == 2
