"""Reading a journal that may be damaged: every row, and in its place whatever cannot be read. Nothing is left out.

Used where people look at the record (`stimfleet journal export` and `tail`). What leads the fleet reads strictly
(`rows.rows_after`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import BEFORE_THE_FIRST, EVENTS, PAGE_ROWS, TYPES, Row, Tip, next_row, unreadable

SOUGHT_ROWS_MAX = 10_000  # in a row without one that can be read, where nobody knows how many there are: a few seconds
COLUMNS = tuple(column.name for column in EVENTS.columns)[1:]

# Behind a cut they are asked thousands of times: to compose them anew takes three times what SQLite does.
_ROW = sa.select(EVENTS).where(EVENTS.c.position == sa.bindparam("position"))
_CELLS = sa.select(
    *(part for name in COLUMNS for part in (sa.func.typeof(EVENTS.c[name]), sa.cast(EVENTS.c[name], sa.LargeBinary)))
).where(EVENTS.c.position == sa.bindparam("position"))

CUT_OR_TORN = "database disk image is malformed"  # SQLITE_CORRUPT: of anything else no row can be read


class Cell(NamedTuple):
    """A column of a row as it lies in the file: SQLite's name of its type, and its bytes."""

    type: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Damaged:
    """Rows `position` to `last` cannot be read, or not as what was written. `last` None: to the end of the file.

    `cells`: what is there all the same, by column, of a single row.
    """

    position: int
    last: int | None
    why: str
    cells: dict[str, Cell] | None = None

    def __str__(self) -> str:
        if self.last == self.position:
            return f"row {self.position} {self.why}"
        return f"rows {self.position} to {'the end' if self.last is None else self.last} {self.why}"


Found = Row | Damaged


def found_after(connection: sa.Connection, position: int, upto: int | None = None) -> Iterator[Found]:
    """Everything after `position` and up to `upto`, in order. A row that cannot be read does not hide the next one.

    Raises:
        JournalUnwritable: the disk refuses for now; that is no damage.
    """
    while True:
        try:
            page = connection.execute(_chosen(position, upto).limit(PAGE_ROWS)).all()
        except sa.exc.DatabaseError as error:
            why, newest = _damage(error, position + 1), _newest(connection, upto)
            if newest is None:
                yield from _as_far_as_it_goes(connection, position, upto, why)
                return
            # Where a page cannot be read, its neighbours still can, by their own positions.
            last = min(position + PAGE_ROWS, newest)
            for one in range(position + 1, last + 1):
                yield from _at(connection, one)
            position = last
            if position == newest:
                return
        else:
            if not page:
                return
            for row in page:
                yield _found(connection, row)
            position = page[-1].position


def before_the_first(connection: sa.Connection) -> Iterator[Damaged]:
    """What stands at positions at which there are no rows, each with its bytes.

    Raises:
        JournalUnwritable: the disk refuses for now.
    """
    chosen = sa.select(EVENTS.c.position).where(EVENTS.c.position < 1).order_by(EVENTS.c.position)
    try:
        for position in connection.scalars(chosen):
            yield Damaged(position, position, BEFORE_THE_FIRST, cells(connection, position))
    except sa.exc.DatabaseError as error:
        _damage(error, 1)  # whoever reads on from the first row finds the same, and names it


def _as_far_as_it_goes(connection: sa.Connection, position: int, upto: int | None, why: str) -> Iterator[Found]:
    """What is after `position` in a file whose last row cannot be found: a cut one. Its pages are in no order, so rows
    are looked for behind others that are lost.
    """
    first = position + 1  # of those that are lost, one after the other
    for one in count(first) if why.endswith(f"({CUT_OR_TORN})") else ():
        if one - first >= SOUGHT_ROWS_MAX or (upto is not None and one > upto):
            break
        for found in _at(connection, one):
            if isinstance(found, Damaged) and found.cells is None:
                continue
            if one > first:
                yield Damaged(first, one - 1, why)
            yield found
            first = one + 1
    if upto is None or first <= upto:
        yield Damaged(first, upto, why)


def _at(connection: sa.Connection, position: int) -> Iterator[Found]:
    """What is at a position; nothing where there is no row."""
    try:
        rows = connection.execute(_ROW, {"position": position}).all()
    except sa.exc.DatabaseError as error:
        yield Damaged(position, position, _damage(error, position), cells(connection, position))
    else:
        yield from (_found(connection, row) for row in rows)


def _found(connection: sa.Connection, row: Any) -> Found:
    if [type(value) for value in row] == TYPES:
        return Row(*row)
    return Damaged(row.position, row.position, "is not what was written", cells(connection, row.position))


def _chosen(position: int, upto: int | None) -> sa.Select[Any]:
    chosen = sa.select(EVENTS).where(EVENTS.c.position > position).order_by(EVENTS.c.position)
    return chosen if upto is None else chosen.where(EVENTS.c.position <= upto)


def _damage(error: sa.exc.DBAPIError, position: int) -> str:
    """What is damaged, in words; raises whatever is none."""
    meaning = unreadable(error, position)
    if not isinstance(meaning, JournalCorrupt):
        raise meaning from error
    return f"cannot be read ({error.orig})"


def _newest(connection: sa.Connection, upto: int | None) -> int | None:
    """The last position; None where not even that can be read."""
    chosen = sa.select(EVENTS.c.position).order_by(EVENTS.c.position.desc()).limit(1)
    try:
        newest: int = connection.scalar(chosen if upto is None else chosen.where(EVENTS.c.position <= upto)) or 0
    except sa.exc.DatabaseError as error:
        _damage(error, 1)
        return None
    return newest


def cells(connection: sa.Connection, position: int) -> dict[str, Cell] | None:
    """The columns of a row as they lie in the file; None where SQLite cannot get at them."""
    try:
        row = connection.execute(_CELLS, {"position": position}).one_or_none()
    except sa.exc.DatabaseError:
        return None
    if row is None:
        return None
    return {name: Cell(row[2 * n], row[2 * n + 1]) for n, name in enumerate(COLUMNS)}


def audited(
    found: Iterable[Found], connection: sa.Connection, after: int, tip: Tip | None, forms: Forms | None
) -> Iterator[Found]:
    """What was found after the row `after`, compared with the chain and with what this program knows.

    Rows that are missing are named. `tip` None: the row before cannot be read, so the next one's hash is not checked.
    `forms` None: whether this program knows an event is not asked.
    """
    for each in found:
        if each.position > after + 1:
            yield Damaged(after + 1, each.position - 1, "missing")
            tip = None
        if isinstance(each, Row):
            why = _problem(each, tip, forms)
            yield each if why is None else Damaged(each.position, each.position, why, cells(connection, each.position))
            tip = Tip(each.position, each.hash)
        else:
            yield each
            tip = None
        after = last_of(each)


def last_of(found: Found) -> int:
    """The last position that is told by it."""
    return found.position if isinstance(found, Row) or found.last is None else found.last


def tip_at(connection: sa.Connection, position: int) -> Tip | None:
    """What the chain after `position` hangs on; None where the row there cannot be read."""
    if position < 1:
        return Tip()
    there = next(found_after(connection, position - 1, position), None)
    return Tip(there.position, there.hash) if isinstance(there, Row) else None


def _problem(row: Row, tip: Tip | None, forms: Forms | None) -> str | None:
    if tip is not None and row != next_row(tip, row.at, row.name, row.version, row.body):
        return "is not what was written"
    if forms is None:
        return None
    try:
        forms.load(row.position, row.name, row.version, row.body)
    except (JournalCorrupt, UnknownStored) as error:
        return error.text
    return None
