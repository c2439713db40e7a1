"""Reading along in the journal of a running service: what `stimfleet journal tail` and a waiting `stop` look at."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored
from fleet.adapters.journal.forms import Forms
from fleet.adapters.journal.rows import EVENTS, Row, Tip, being_made, open_database, unreadable
from fleet.adapters.journal.salvage import Damaged, Found, audited, before_the_first, found_after, last_of, tip_at


@dataclass(frozen=True, slots=True)
class Told:
    """One journaled event as plain JSON. `at` is wall time, UTC.

    `unread`: what stands there in place of an event that cannot be read, in words; then the rest is empty. `kept`: what
    is in the file of it all the same, an export has.
    """

    position: int
    at: str
    name: str
    body: Mapping[str, Any]
    unread: str | None = None
    kept: bool = False


class JournalReader:
    """Reads on from where it last was. A reader never holds the writer up.

    With `forms` an event of an older version is told as the present one; without them as it is stored. What lies at or
    before the position `after` is not read. `made`: the journal is there, so a file without its tables is damaged, and
    not one that is being made at this moment.
    """

    def __init__(self, path: Path, forms: Forms | None = None, after: int = 0, *, made: bool = False) -> None:
        self._path = path
        self._forms = forms
        self._after = after
        self._begun = after > 0
        self._tip: Tip | None = None  # of the row at `_after`, where it was read
        self._made = made
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
                if self._just_made(connection):
                    return
                self._after = max(0, (connection.scalar(newest) or 0) - keep)
                self._tip, self._begun = None, True
        except sa.exc.DatabaseError as error:
            raise unreadable(error, 1) from error

    def new(self, mentioning: str = "") -> Iterator[Told]:
        """The events since the last call, those in which the text `mentioning` occurs; none without a journal.

        What cannot be read, is missing or is not what was written is told as that, whatever is sought.

        Raises:
            JournalCorrupt: nothing can be read from some row on.
            JournalUnwritable: the disk refuses.
        """
        if (engine := self._opened()) is None:
            return
        sought = mentioning.encode()
        with engine.connect() as connection:
            if self._just_made(connection):
                return
            if not self._begun:
                self._begun = True
                yield from map(self._told, before_the_first(connection))
            tip = self._tip or tip_at(connection, self._after)
            for found in audited(found_after(connection, self._after), connection, self._after, tip, self._forms):
                if isinstance(found, Damaged) and found.last is None:
                    raise JournalCorrupt(found.position, found.why)
                self._after = last_of(found)
                self._tip = Tip(found.position, found.hash) if isinstance(found, Row) else None
                if isinstance(found, Damaged) or sought in found.body:
                    yield self._told(found)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _told(self, found: Found) -> Told:
        if isinstance(found, Damaged):
            return Told(found.position, "", "", {}, str(found), kept=found.cells is not None)
        try:
            return Told(found.position, found.at, found.name, self._body(found))
        except (JournalCorrupt, UnknownStored) as error:
            return Told(found.position, found.at, "", {}, f"row {found.position} {error.text}", kept=True)

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
            self._tip = None
            self._file = found.st_dev, found.st_ino
        if self._engine is None:
            self._engine = open_database(self._path, create=False, salvage=True)
        return self._engine

    def _just_made(self, connection: sa.Connection) -> bool:
        """The service is making the file at this moment: there is no table yet."""
        if self._made:
            return False
        try:
            return being_made(connection)
        except sa.exc.DatabaseError:
            return False  # whoever looks for rows next finds out what it is, and names it
