"""Putting a backup in the place of the journal: whoever is interrupted at any point leaves the old one or the new one.

The order is the whole point:

1. The backup is copied beside the journal and proved there: the whole chain, and that this program can read every row.
2. Every part of the journal gets a second name in the quarantine folder, before SQLite touches it: it throws away a log
   that it cannot make sense of.
3. The journal is made one file: SQLite takes the log in, which it only can while nobody else has the journal open. One
   that SQLite cannot open keeps its parts as they are; nobody could have led from it.
4. The copy takes over the first name, in one step.

Nothing is ever deleted. The caller holds the one-instance lock.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from fleet.adapters.journal.backup import copy
from fleet.adapters.journal.errors import CopyRefused, JournalCorrupt
from fleet.adapters.journal.files import make_private, remove, sync
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.restore import Verified, ignored, verify_journal
from fleet.adapters.journal.rows import BUSY_TIMEOUT_S, EVENTS, PARTS, open_database, sync_folder, unreadable


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A restore that was done. `aside`: where the journal before is now; None where there was none.

    `common`: the rows that both begin with; `before`: the last position of the one before. Both None where it could
    not be read.
    """

    verified: Verified
    aside: Path | None
    common: int | None
    before: int | None


def put_back(
    backup: Path,
    journal: Path,
    quarantine: Path,
    forms: Forms,
    looked: Callable[[int], None] = ignored,
) -> Exchanged:
    """Put `backup` in the place of `journal`, which is set aside in the new folder `quarantine`.

    Raises:
        CopyRefused: the backup is none, or the journal is in use: nothing was changed.
        JournalCorrupt, UnknownStored: the backup does not hold, or is of a newer program: nothing was changed.
        JournalUnwritable, OSError: a disk refuses; the old journal is still there.
    """
    if journal.exists() and backup.exists() and backup.samefile(journal):
        raise CopyRefused(f"{backup} is the journal itself, not a backup of it.")
    _forget_interrupted(journal, quarantine.parent)
    made = journal.with_name(f"{journal.name}.restoring")
    make_private(made)
    try:
        verified = _prove(backup, made, forms, looked)
        sync(made)
        aside, common, before = None, None, None
        if _parts(journal):  # a log without its file is set aside too: SQLite would play it into the one that comes
            aside = _set_aside(journal, quarantine)
            if journal.exists() and _make_one_file(journal):
                common, before = _parting(journal, made)
                _take_log_away(aside)  # what was in it is in the file
            _take_log_away(journal)
        made.replace(journal)
        sync_folder(journal.parent)
    except CopyRefused:
        _forget_interrupted(journal, quarantine.parent)
        raise
    finally:
        remove(made)
    return Exchanged(verified, aside, common, before)


def _parts(journal: Path) -> list[Path]:
    """What there is of a journal: its file, and what SQLite keeps beside it."""
    named = (journal.with_name(f"{journal.name}{suffix}") for suffix in PARTS)
    return [part for part in named if part.exists()]


def _prove(backup: Path, made: Path, forms: Forms, looked: Callable[[int], None]) -> Verified:
    try:
        copy(backup, made, lambda done, of: None)
        verified = verify_journal(made, forms=forms, looked=looked)
    except JournalCorrupt as error:
        raise CopyRefused(f"{backup} does not hold, nothing was changed: {error}.") from error
    if not verified.rows:
        raise CopyRefused(f"{backup} has no rows, nothing was changed.")
    return verified


def _make_one_file(journal: Path) -> bool:
    """Take the log into the file; False where SQLite cannot open it as a database.

    Raises:
        CopyRefused: somebody reads it, or the disk refuses.
    """
    try:
        with closing(sqlite3.connect(journal, timeout=BUSY_TIMEOUT_S)) as alone:
            (mode,) = alone.execute("PRAGMA journal_mode = DELETE").fetchone()
            alone.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(unreadable(sa.exc.DatabaseError(None, None, error), 1), JournalCorrupt):
            return False
        busy = (
            " Does something read it? stimfleet-pager, stimfleet-recorder and stimfleet-web do while they run, and "
            "`stimfleet journal tail --follow`. End those, and restore again."
        )
        raise CopyRefused(f"{journal} cannot be set aside, nothing was changed: {error}.{busy}") from error
    if mode != "delete":
        raise CopyRefused(f"{journal} cannot be set aside, nothing was changed: its log stays in use ({mode}).")
    return True


def _parting(journal: Path, made: Path) -> tuple[int | None, int | None]:
    """How many rows both begin with, and how many the journal has; None where the journal cannot be read that far."""
    here, there = open_database(journal, create=False), open_database(made, create=False)
    try:
        with here.connect() as old, there.connect() as new:
            newest = sa.select(sa.func.max(EVENTS.c.position))
            before = old.scalar(newest) or 0
            low, high = 0, min(before, new.scalar(newest) or 0)
            while low < high:  # the chain: once they differ, they differ to the end
                middle = (low + high + 1) // 2
                one = sa.select(EVENTS.c.hash).where(EVENTS.c.position == middle)
                low, high = (middle, high) if old.scalar(one) == new.scalar(one) else (low, middle - 1)
            return low, before
    except sa.exc.DatabaseError:
        return None, None  # what is set aside is damaged: that is what a restore is for
    finally:
        here.dispose()
        there.dispose()


def _set_aside(journal: Path, quarantine: Path) -> Path:
    """Give every part of the journal a second name in the new folder `quarantine`, on the disk; the file's new name."""
    quarantine.parent.mkdir(mode=0o700, exist_ok=True)
    quarantine.mkdir(mode=0o700)
    for part in _parts(journal):
        sync(part)
        os.link(part, quarantine / part.name)
    for folder in (quarantine, quarantine.parent, journal.parent):
        sync_folder(folder)
    return quarantine / journal.name


def _take_log_away(journal: Path) -> None:
    """Take away a name of the log: SQLite would play it into whatever file stands beside it."""
    for suffix in PARTS[1:]:
        journal.with_name(f"{journal.name}{suffix}").unlink(missing_ok=True)
    sync_folder(journal.parent)


def _forget_interrupted(journal: Path, quarantines: Path) -> None:
    """Take back what an interrupted restore left: its copy, and second names of what still has its first."""
    remove(journal.with_name(f"{journal.name}.restoring"))
    for folder in quarantines.glob("*/"):
        for first in _parts(journal):
            second = folder / first.name
            if second.exists() and second.samefile(first):
                second.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
