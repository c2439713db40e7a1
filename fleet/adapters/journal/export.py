"""The journal as JSON lines, for archives and for other programs.

A row: {"position", "at", "name", "version", "body", "hash"}, the body exactly as it is stored, so that whoever has
every line can check the chain without this program. What cannot be read stands in its place: {"position", "problem"}
and its columns as they lie in the file, bytes as hex; rows that are not there: {"position", "to", "problem"}.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import sqlalchemy as sa

from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import EVENTS, Row, open_database
from fleet.adapters.journal.salvage import Cell, Damaged, Found, audited, before_the_first, found_after, tip_at

READ_BY_PEOPLE = {"at": "text", "name": "text", "version": "integer"}  # what these columns should be


def exported(
    path: Path, forms: Forms, *, first: int = 1, last: int | None = None, since: str | None = None
) -> Iterator[tuple[Found, str]]:
    """Each row from `first` to `last`, or from the first one at or after the wall time `since`, with its line. With the
    first row comes what stands before it.

    Raises:
        JournalUnwritable: the disk refuses for now.
        FileNotFoundError: there is no journal.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    engine = open_database(path, create=False, salvage=True)
    try:
        with engine.connect() as connection:
            if since is not None:
                first = max(first, _first_since(connection, since))
            strangers = before_the_first(connection) if first == 1 else ()
            found = found_after(connection, first - 1, last)
            for each in chain(strangers, audited(found, connection, first - 1, tip_at(connection, first - 1), forms)):
                yield each, line(each)
    finally:
        engine.dispose()


def _first_since(connection: sa.Connection, since: str) -> int:
    """The first position whose wall time is not before `since`. From there on all is wanted: clocks may step back."""
    for each in found_after(connection, 0):
        if isinstance(each, Damaged) or each.at >= since:
            return each.position
    newest = connection.scalar(sa.select(sa.func.max(EVENTS.c.position))) or 0
    return int(newest) + 1


def line(found: Found) -> str:
    """One line, without its end."""
    if isinstance(found, Row):
        head = json.dumps({"position": found.position, "at": found.at, "name": found.name, "version": found.version})
        body = found.body.decode().replace("\n", " ")  # none that this program wrote has one
        return f'{head[:-1]}, "body": {body}, "hash": "{found.hash.hex()}"}}'
    told: dict[str, object] = {"position": found.position}
    if found.last != found.position:
        told["to"] = found.last
    told["problem"] = found.why
    for name, cell in (found.cells or {}).items():
        told.update(_as_it_is(name, cell))
    return json.dumps(told)


def _as_it_is(name: str, cell: Cell) -> dict[str, object]:
    if cell.type == READ_BY_PEOPLE.get(name) and cell.content is not None:
        try:
            text = cell.content.decode()
        except UnicodeDecodeError:
            pass  # then as bytes
        else:
            return {name: int(text) if cell.type == "integer" else text}
    content = None if cell.content is None else cell.content.hex()
    if name == "hash" and cell.type == "blob":
        return {name: content}
    return {f"{name}_hex": content, **({} if cell.type == "blob" else {f"{name}_type": cell.type})}
