"""What the file says when it is opened: damage of every kind is found at once, and named."""

import argparse
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.journal.errors import JournalCorrupt, JournalUnwritable
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.writer import Journal
from fleet.commands import terminal
from tests.adapters.test_journal import Disk, Tally
from tests.journal.tally import FOLD, state_after
from tests.journal.test_backup import a_journal, restored


def altered(*statements: str) -> Callable[[Path], None]:
    def alter(journal: Path) -> None:
        with closing(sqlite3.connect(journal)) as database, database:
            for statement in statements:
                database.execute(statement)

    return alter


def log_without_its_database(journal: Path) -> None:
    journal.with_name("j.db-wal").write_bytes(b"what was committed")
    journal.unlink()


def cut_short(journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (altered("DELETE FROM event WHERE position > 9"), "row 10: is missing, and there is a snapshot that was made"),
        (altered("DELETE FROM event WHERE position = 10"), "row 10: is missing, and there is a snapshot that was made"),
        (altered("UPDATE event SET hash = x'00' WHERE position = 10"), "row 10: is not the one that its snapshot was"),
        (altered("UPDATE event SET at = x'00' WHERE position = 11"), "row 11: is not what was written"),
        (
            altered("UPDATE event SET at = CAST(x'c328' AS TEXT) WHERE position = 11"),
            r"row 11: cannot be read \(Could not",
        ),
        (
            altered("DROP TABLE event", "CREATE TABLE event (other)"),
            "no such column: event.position",
        ),
        (altered("DROP TABLE snapshot", "CREATE TABLE snapshot (other)"), r"cannot be read \(no such column"),
        (log_without_its_database, "row 1: j.db is missing, and j.db-wal is there without it"),
        (cut_short, r"cannot be read \(database disk image is malformed\)"),
    ],
)
async def test_a_journal_that_is_damaged_is_not_opened(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    (await a_journal(tmp_path / "j.db", 10)).close()
    damage(tmp_path / "j.db")
    with pytest.raises(JournalCorrupt, match=says):
        restored(tmp_path / "j.db")


async def test_whoever_verifies_finds_an_end_that_was_cut_by_the_snapshot_beyond_it(tmp_path: Path) -> None:
    (await a_journal(tmp_path / "j.db", 10)).close()
    altered("DELETE FROM event WHERE position = 11")(tmp_path / "j.db")
    assert verify_journal(tmp_path / "j.db").rows == 10, "only what came after the snapshot is gone: nobody can tell"
    altered("DELETE FROM event WHERE position = 10")(tmp_path / "j.db")
    with pytest.raises(JournalCorrupt, match="row 10: is missing, and there is a snapshot that was made of it"):
        verify_journal(tmp_path / "j.db")


async def test_which_snapshots_were_passed_over_and_why(tmp_path: Path) -> None:
    (await a_journal(tmp_path / "j.db", 10)).close()
    altered("UPDATE snapshot SET checksum = x'00'")(tmp_path / "j.db")
    journal: Journal[Tally, Tally] = Journal(tmp_path / "j.db", FOLD, Disk())
    journal.close()
    assert journal.restored.passed_over == ("snapshot 10 is damaged",)
    assert (journal.restored.state, journal.restored.snapshot) == (state_after(11), None)


def test_a_folder_in_the_place_of_the_journal_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "j.db").mkdir()
    with pytest.raises(JournalUnwritable, match="unable to open database file"):
        restored(tmp_path / "j.db")


async def test_a_row_that_cannot_be_read_is_told_wherever_people_read(tmp_path: Path) -> None:
    """`session show` and `stop` read along too: a bad row among the good ones is said, not passed over."""
    (await a_journal(tmp_path / "journal.db", 10)).close()
    altered("UPDATE event SET body = x'00' WHERE position = 2")(tmp_path / "journal.db")
    args: Any = argparse.Namespace(data_dir=tmp_path)
    with terminal.reader(args) as journal:
        told = [terminal.told_words(each) for each in journal.new()]
    assert len(told) == 11
    assert told[1] is not None
    assert "journal row 2 is not what was written" in told[1]
    assert told[0] is not None
    assert told[0].endswith("row 1 is a Opened, for which there are no words"), "an unknown name is not passed over"
