"""The whole journal, event by event, its chain checked on the way: for whoever counts it, without a running fleet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import EVENTS, Tip, checked, none_before_the_first, open_database, rows_after


def whole_journal(path: Path, forms: Forms) -> Iterator[tuple[int, int, Any]]:
    """Position, how many there are, and the event, from the first on. A service may be writing meanwhile: what it
    wrote when this began is read.

    Raises:
        JournalCorrupt: a row is missing or not what was written.
        UnknownStored: a newer program wrote a row.
        FileNotFoundError: there is no journal.
    """
    if not path.exists():
        raise FileNotFoundError(2, "there is no such journal", str(path))
    position = 0
    engine = open_database(path, create=False)
    try:
        with engine.connect() as connection:
            none_before_the_first(connection)
            count = connection.scalar(sa.select(sa.func.max(EVENTS.c.position))) or 0
            for row in checked(rows_after(connection, 0), Tip()):
                position = row.position
                yield position, count, forms.load(position, row.name, row.version, row.body)
    except sa.exc.DatabaseError as error:
        raise JournalCorrupt(position + 1, f"the file cannot be read ({error.orig})") from error
    finally:
        engine.dispose()
