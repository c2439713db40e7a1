"""A copy of the journal while the fleet writes on: complete up to one moment, proved before it has its name.

SQLite's online backup, in one read transaction of our own: the writer is not waited for and does not wait, and what it
appends meanwhile is not in the copy. The copy is given to the disk bit by bit, so that no commit of the writer's has to
wait behind one large flush (docs/decisions/2026-11-25-journal.md has the figures).
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalUnwritable
from fleet.adapters.journal.files import appearing
from fleet.adapters.journal.restore import Verified, ignored, verify_journal
from fleet.adapters.journal.rows import open_database, unreadable

PAGES_A_STEP = 256  # 1 MiB between two syncs


def back_up(
    journal: Path,
    to: Path,
    copied: Callable[[int, int], None] = lambda done, of: None,
    looked: Callable[[int], None] = ignored,
) -> Verified:
    """Copy `journal` to the new file `to` and check the whole chain of the copy; what was proved.

    `copied` is told the pages done and their number, `looked` the position that the proof has reached.

    Raises:
        CopyRefused: there is something at `to`, or no such folder.
        JournalCorrupt: the journal itself is damaged: nothing was made.
        JournalUnwritable: a disk refuses.
        FileNotFoundError: there is no journal.
    """
    with appearing(to) as made:
        copy(journal, made, copied)
        return verify_journal(made, looked=looked)


def copy(source: Path, made: Path, copied: Callable[[int, int], None]) -> None:
    """Fill the new file `made` with the database `source` as it is at one moment: one file, without a log beside it.

    Raises:
        JournalCorrupt: the source is no database, or damaged.
        JournalUnwritable: a disk refuses.
        FileNotFoundError: there is no source.
    """
    if not source.exists():
        raise FileNotFoundError(source)
    engine = open_database(source, create=False)
    try:
        with closing(engine.raw_connection()) as pooled:
            there = pooled.driver_connection
            assert isinstance(there, sqlite3.Connection)
            there.execute("BEGIN")
            there.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on it sees one moment
            _copy_pages(there, made, copied)
    except sqlite3.DatabaseError as error:
        meaning = unreadable(sa.exc.DatabaseError(None, None, error), 1)
        if isinstance(meaning, JournalUnwritable):
            meaning = JournalUnwritable(f"the copy cannot be made: {error}")
        raise meaning from error
    finally:
        engine.dispose()


def _copy_pages(there: sqlite3.Connection, made: Path, copied: Callable[[int, int], None]) -> None:
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)

    def stepped(_status: int, left: int, of: int) -> None:
        os.fdatasync(descriptor)
        copied(of - left, of)

    try:
        with closing(sqlite3.connect(made)) as here:
            # Nobody relies on the copy before it is complete and synced.
            here.execute("PRAGMA synchronous = OFF")
            here.execute("PRAGMA journal_mode = OFF")
            there.backup(here, pages=PAGES_A_STEP, progress=stepped)
        with closing(sqlite3.connect(made)) as here:
            here.execute("PRAGMA journal_mode = DELETE")
    finally:
        os.close(descriptor)
