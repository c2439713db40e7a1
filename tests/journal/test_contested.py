"""Somebody else writes the same journal: nothing is called durable that is not in the file, and the writing ends."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalContested, JournalUnwritable
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.rows import Row
from fleet.adapters.journal.writer import Journal
from tests.adapters.test_journal import AT, Counted, Disk, Tally, eventually
from tests.journal.tally import FOLD

ELSE = "somebody else writes this journal"


def bodies(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as database:
        return [body for (body,) in database.execute("SELECT body FROM event ORDER BY position")]


async def test_a_row_that_collides_with_another_writer_s_is_never_called_durable(tmp_path: Path) -> None:
    path, told = tmp_path / "j.db", Disk()
    first: Journal[Tally, Tally] = Journal(path, FOLD, Disk())
    second: Journal[Tally, Tally] = Journal(path, FOLD, told)
    await first.append(AT, [Counted(1)])
    with pytest.raises(JournalContested, match=f"row 1 .*{ELSE}"):
        await asyncio.wait_for(second.append(AT, [Counted(2)]), 5.0)
    with pytest.raises(JournalContested, match=ELSE):
        _ = second.append(AT, [Counted(3)])
    with pytest.raises(JournalContested, match=ELSE):
        second.close()
    assert [type(change) for change in told.changes] == [JournalContested], "told at once, whoever waits for a row"
    await first.append(AT, [Counted(4)])
    first.close()
    assert [b'"by":1' in body or b'"by":4' in body for body in bodies(path)] == [True, True]
    assert verify_journal(path).rows == 2, "the one that was there first writes on"


@pytest.mark.parametrize("position", [1, 7], ids=["in the place of ours", "behind ours"])
async def test_after_a_commit_of_unknown_outcome_a_stranger_s_row_is_not_taken_for_ours(
    tmp_path: Path, position: int
) -> None:
    path, told = tmp_path / "j.db", Disk()
    journal: Journal[Tally, Tally] = Journal(path, FOLD, told)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ours = journal.append(AT, [Counted(1)])
        await eventually(lambda: len(told.changes) == 1, 10.0)
        assert not isinstance(told.changes[0], JournalContested), "the disk refuses: that is tried again"
        other.execute("INSERT INTO event VALUES (?, ?, 'Counted', 1, '{}', x'00')", (position, AT))
        other.execute("COMMIT")
    with pytest.raises(JournalContested, match=f"row {position} .*{ELSE}"):
        await asyncio.wait_for(ours, 5.0)
    with pytest.raises(JournalUnwritable):
        journal.close()


async def test_a_row_that_is_on_the_disk_after_a_commit_that_failed_is_ours_and_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk fails after the last write: the service cannot know, and tries again."""
    path, told = tmp_path / "j.db", Disk()
    journal: Journal[Tally, Tally] = Journal(path, FOLD, told)
    write, tries = journal._write_rows, []

    def fails_after_the_first_commit(rows: Sequence[Row]) -> None:
        write(rows)
        tries.append([row.position for row in rows])
        if len(tries) == 1:
            raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(journal, "_write_rows", fails_after_the_first_commit)
    await asyncio.wait_for(journal.append(AT, [Counted(2)]), 5.0)
    journal.close()
    assert tries == [[1], [1]]
    assert [type(change) for change in told.changes] == [JournalUnwritable, type(None)]
    assert verify_journal(path).rows == 1
