"""A small journal of which everything is known: event n counts n, and now and then a door opens."""

import sqlite3
from contextlib import closing
from pathlib import Path

from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.writer import Journal
from tests.adapters.test_journal import AT, Counted, Disk, Opened, Tally, fold

FOLD = fold()
DOOR_EVERY = 40  # a wide one: snapshots of several pages


def event(position: int) -> Counted | Opened:
    """What stands at a position of the journal, always."""
    return Opened(f"{position:06d}" * 700) if position % DOOR_EVERY == 1 else Counted(position, "n" * (position % 97))


def state_after(rows: int) -> Tally:
    """The state, added up without the fold."""
    doors = range(1, rows + 1, DOOR_EVERY)
    opened = (event(position) for position in doors)
    return Tally(rows * (rows + 1) // 2 - sum(doors), tuple(each.door for each in opened if isinstance(each, Opened)))


def stored_rows(path: Path) -> list[tuple[int, str, bytes]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT position, name, body FROM event ORDER BY position").fetchall()


async def check_and_go_on(path: Path, confirmed: int) -> int:
    """Open what was found: all that was confirmed is there, in order and once, and it goes on. How many rows it had."""
    journal: Journal[Tally, Tally] = Journal(path, FOLD, Disk())
    try:
        rows = journal.restored.tip.position
        assert rows >= confirmed, f"row {confirmed} was confirmed, the journal ends at {rows}"
        assert journal.restored.state == state_after(rows)
        assert journal.restored.passed_over == (), "a snapshot is whole or not there"
        await journal.append(AT, [event(rows + 1)])
    finally:
        journal.close()
    assert verify_journal(path).rows == rows + 1
    dump = FOLD.forms.dump
    expected = [(n, name, body) for n in range(1, rows + 2) for name, _, body in [dump(event(n))]]
    assert stored_rows(path) == expected
    return rows


def names_in(folder: Path) -> list[str]:
    """Everything in a folder, by name."""
    return sorted(path.name for path in folder.iterdir())
