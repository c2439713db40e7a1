"""Reading along in the journal of a running service: what `stimfleet journal tail` and a waiting `stop` look at."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.rows import EVENTS, open_database, rows_after

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Told:
    """One journaled event as plain JSON. `at` is wall time, UTC."""

    position: int
    at: str
    name: str
    body: Mapping[str, Any]


class JournalReader:
    """Reads on from where it last was. A reader never holds the writer up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._after = 0
        self._engine: sa.Engine | None = None

    def skip(self, keep: int = 0) -> None:
        """Go to the end, but for the last `keep` events: what lies before is not read."""
        newest = sa.select(sa.func.max(EVENTS.c.position))
        self._read(lambda connection: self._go_to((connection.scalar(newest) or 0) - keep))

    def new(self, mentioning: str = "") -> list[Told]:
        """The events since the last call, those in which the text `mentioning` occurs; none without a journal.

        Raises:
            JournalCorrupt: the file cannot be read.
        """
        sought = mentioning.encode()

        def read(connection: sa.Connection) -> list[Told]:
            found = []
            for row in rows_after(connection, self._after):
                self._after = row.position
                if sought in row.body:
                    found.append(Told(row.position, row.at, row.name, json.loads(row.body)))
            return found

        return self._read(read) or []

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def _go_to(self, position: int) -> None:
        self._after = max(0, position)

    def _read(self, read: Callable[[sa.Connection], _Read]) -> _Read | None:
        if self._engine is None:
            if not self._path.exists():
                return None
            self._engine = open_database(self._path, create=False)
        try:
            with self._engine.connect() as connection:
                return read(connection)
        except sa.exc.DatabaseError as error:
            if "no such table" in str(error.orig):  # the service is just making the file
                return None
            raise JournalCorrupt(self._after + 1, f"cannot be read ({error.orig})") from error
