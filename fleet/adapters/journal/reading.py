"""Reading along in the journal of a running service: what `stimfleet journal tail` and a waiting `stop` look at."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import EVENTS, Row, open_database, unreadable
from fleet.adapters.journal.salvage import Damaged, Found, found_after


@dataclass(frozen=True, slots=True)
class Told:
    """One journaled event as plain JSON. `at` is wall time, UTC.

    `unread`: what stands there in place of an event that cannot be read, in words; then the rest is empty.
    """

    position: int
    at: str
    name: str
    body: Mapping[str, Any]
    unread: str | None = None


class JournalReader:
    """Reads on from where it last was. A reader never holds the writer up.

    With `forms` an event of an older version is told as the present one; without them as it is stored. What lies at or
    before the position `after` is not read.
    """

    def __init__(self, path: Path, forms: Forms | None = None, after: int = 0) -> None:
        self._path = path
        self._forms = forms
        self._after = after
        self._engine: sa.Engine | None = None
        self._file: tuple[int, int] | None = None

    def skip(self, keep: int = 0) -> None:
        """Go to the end, but for the last `keep` events: what lies before is not read.

        Raises:
            JournalCorrupt, JournalUnwritable: the file cannot be read.
        """
        newest = sa.select(sa.func.max(EVENTS.c.position))
        if (engine := self._opened()) is None:
            return
        try:
            with engine.connect() as connection:
                self._after = max(0, (connection.scalar(newest) or 0) - keep)
        except sa.exc.DatabaseError as error:
            if not _just_made(error):
                raise unreadable(error, 1) from error

    def new(self, mentioning: str = "") -> Iterator[Told]:
        """The events since the last call, those in which the text `mentioning` occurs; none without a journal.

        What cannot be read is told as that, whatever is sought.

        Raises:
            JournalCorrupt: nothing can be read from some row on.
            JournalUnwritable: the disk refuses.
        """
        if (engine := self._opened()) is None:
            return
        sought = mentioning.encode()
        with engine.connect() as connection:
            try:
                connection.execute(sa.select(EVENTS.c.position).limit(1)).first()
            except sa.exc.DatabaseError as error:
                if _just_made(error):
                    return
            for found in found_after(connection, self._after):
                if isinstance(found, Damaged) and found.last is None:
                    raise JournalCorrupt(found.position, found.why)
                self._after = found.position
                if isinstance(found, Damaged) or sought in found.body:
                    yield self._told(found)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _told(self, found: Found) -> Told:
        if isinstance(found, Damaged):
            return Told(found.position, "", "", {}, str(found))
        try:
            return Told(found.position, found.at, found.name, self._body(found))
        except (JournalCorrupt, UnknownStored) as error:
            return Told(found.position, found.at, "", {}, f"row {found.position} {error.text}")

    def _body(self, row: Row) -> Any:
        if self._forms is not None:
            event = self._forms.load(row.position, row.name, row.version, row.body)
            return json.loads(self._forms.dump(event)[2])
        try:
            body = json.loads(row.body)
        except ValueError as error:
            raise JournalCorrupt(row.position, f"is no JSON ({error})") from error
        if not isinstance(body, dict):
            raise JournalCorrupt(row.position, "is no JSON object")
        return body

    def _opened(self) -> sa.Engine | None:
        """The engine on the file that has the name now: a restore puts another one there."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        if self._file != (found.st_dev, found.st_ino):
            self.close()
            self._file = found.st_dev, found.st_ino
        if self._engine is None:
            self._engine = open_database(self._path, create=False)
        return self._engine


def _just_made(error: sa.exc.DatabaseError) -> bool:
    """The service is making the file at this moment."""
    return "no such table" in str(error.orig)
