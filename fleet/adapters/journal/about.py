"""The rows of one session: those that mention it, and those of its device in its time. Read-only, without a fold.

Found by the text of the rows, which is canonical JSON: a scan of 60,000 rows takes a tenth of a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import EVENTS, open_database, unreadable

ROWS_MAX = 20_000  # of one record: a session of days, with a device that never stops talking
AFTERWARDS_S = 86_400.0  # so long after its end what happens at its device may still have to do with it
_ENDS = ("SessionEnded", "SessionExpired", "SessionCancelled", "SessionDeclined")

_TEXT = sa.cast(EVENTS.c.body, sa.Text)
_WALL_S = sa.cast(sa.func.json_extract(_TEXT, "$.wall_s"), sa.Float)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row: its position, wall time (UTC) and hash, and the event that it holds."""

    position: int
    at: str
    hash: str
    event: Any


def rows_about(path: Path, session_id: str, device: str, forms: Forms) -> Iterator[Recorded]:
    """What mentions the session; and from the first such row to the last, though for no more than a day after its end,
    what mentions its device, or every device.

    Raises:
        FileNotFoundError: there is no journal.
        JournalCorrupt, UnknownStored, JournalUnwritable: it cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(2, "there is no such journal", str(path))
    engine = open_database(path, create=False)
    body = EVENTS.c.body
    mentions = sa.func.instr(body, to_json(session_id)) > 0
    concerns = [sa.func.instr(body, b'"device":' + to_json(name)) > 0 for name in (device, "all")]
    try:
        with engine.connect() as connection:
            spans = sa.select(sa.func.min(EVENTS.c.position), sa.func.max(EVENTS.c.position)).where(mentions)
            first, last = connection.execute(spans).one()
            if first is None:
                return
            ended_s = connection.scalar(sa.select(sa.func.min(_WALL_S)).where(mentions, EVENTS.c.name.in_(_ENDS)))
            in_its_time = (float("inf") if ended_s is None else ended_s + AFTERWARDS_S) >= _WALL_S
            house = EVENTS.c.name.in_(("FleetTookOver", "DrainOrdered", "DrainLifted"))
            rows = (
                sa.select(EVENTS)
                .where(EVENTS.c.position.between(first, last))
                .where(sa.or_(mentions, sa.and_(sa.or_(house, *concerns), in_its_time)))
                .order_by(EVENTS.c.position)
                .limit(ROWS_MAX)
            )
            for row in connection.execute(rows):
                event = forms.load(row.position, row.name, row.version, row.body)
                yield Recorded(row.position, row.at, row.hash.hex(), event)
    except sa.exc.DatabaseError as error:
        raise unreadable(error, 1) from error
    finally:
        engine.dispose()


def device_of(path: Path, session_id: str) -> str | None:
    """The device that a session was authorised on; None: the journal has no such session.

    Raises:
        FileNotFoundError, JournalCorrupt, JournalUnwritable
    """
    if not path.exists():
        raise FileNotFoundError(2, "there is no such journal", str(path))
    engine = open_database(path, create=False)
    try:
        with engine.connect() as connection:
            found = connection.execute(
                sa.select(sa.func.json_extract(_TEXT, "$.device"))
                .where(EVENTS.c.name == "SessionAuthorised", sa.func.instr(EVENTS.c.body, to_json(session_id)) > 0)
                .limit(1)
            ).scalar()
            return None if found is None else str(found)
    except sa.exc.DatabaseError as error:
        raise unreadable(error, 1) from error
    finally:
        engine.dispose()
