"""The state of a fleet, read along in another process: the fold of its journal, and the newest samples off its feed.

The rules of this file:
- It only reads. The fleet does not know that it is there, and is never held up by it.
- It is the same fold as the fleet's own (`fleet.stored.FOLD`), so `fleet.views` shows a replica as it shows the state.
- It is behind by the journal's group commit and by its own look. `fleeting` holds the newest samples and nothing else:
  nothing may be decided on a replica.
- Another journal under the same name (one that was restored) cannot be followed: `JournalReplaced`, and whoever reads
  along begins anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from broker.contract.messages import Telemetry
from fleet.adapters.journal.errors import JournalError, JournalUnwritable
from fleet.adapters.journal.restore import restore
from fleet.adapters.journal.rows import Row, Tip, checked, open_database, reading, rows_after
from fleet.core.events import Event
from fleet.core.presence import SEQ_JUMP_MAX
from fleet.core.state import Seen, State
from fleet.stored import FOLD

LOOK_PERIOD_S = 0.05
ROWS_A_LOOK = 500  # a look that finds more leaves the rest to the next one, so that nobody in this loop waits long


class JournalReplaced(JournalError):
    """There is another journal under the name of the one that was followed."""


Heard = Callable[[int, Event, State], None]  # position, the event, the state after it


@dataclass(slots=True)
class Replica:
    """`state` and the journal's `tip` that it is of. `heard` is told each event, in order, after it was folded.

    `failing`: why the last look of `follow` read nothing; None: it read all that was there for it.
    """

    path: Path
    state: State
    tip: Tip
    heard: list[Heard] = field(default_factory=list)
    failing: str | None = None
    _engine: sa.Engine | None = None
    _file: tuple[int, int] | None = None

    @classmethod
    def from_snapshot(cls, path: Path) -> "Replica":
        """From the newest snapshot and the rows after it: quick.

        Raises:
            FileNotFoundError: there is no journal yet.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read.
        """
        file = _identity(path)
        engine = open_database(path, create=False)
        try:
            with reading(engine) as connection:
                restored = restore(connection, FOLD)
        except BaseException:
            engine.dispose()
            raise
        return cls(path, restored.state, restored.tip, [], None, engine, file)

    @classmethod
    def from_the_start(cls, path: Path, *heard: Heard) -> "Replica":
        """From the first row on, so that `heard` is told everything. `look` reads it."""
        return cls(path, State(), Tip(), list(heard))

    def look(self) -> int:
        """Fold what was committed since the last look, 500 rows at most; how many they were. 0: up to date.

        Raises:
            JournalReplaced: begin anew.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read, or is gone.
        """
        engine = self._opened()
        if engine is None:
            return 0
        count = 0
        with reading(engine) as connection:
            for row in checked(rows_after(connection, self.tip.position), self.tip):
                self._fold(row)
                count += 1
                if count == ROWS_A_LOOK:
                    break
        return count

    async def follow(self, looked: Callable[[int], None] = lambda rows: None) -> None:
        """Look for ever, twenty times a second. `looked` hears after each how many rows were folded.

        A disk that refuses for now, or a file that is gone, is tried again; `failing` says so meanwhile.

        Raises:
            JournalReplaced, JournalCorrupt, UnknownStored
        """
        while True:
            try:
                rows, self.failing = self.look(), None
            except JournalUnwritable as error:
                rows, self.failing = 0, str(error)
            looked(rows)
            await asyncio.sleep(0.0 if rows == ROWS_A_LOOK else LOOK_PERIOD_S)

    def sample(self, device: str, sample: Telemetry, received_s: float) -> bool:
        """Take in a sample off the feed; whether it is the newest of its device's present boot, and live."""
        known = self.state.durable.devices.get(device)
        if known is None or sample.late or sample.boot_n < known.boot_n:
            return False
        seen = self.state.newest(device)
        missed = 0
        if seen is not None and seen.sample.boot_n == sample.boot_n:
            ahead = sample.seq - seen.sample.seq
            if not 0 < ahead <= SEQ_JUMP_MAX:
                return False
            missed = seen.missed + ahead - 1
        self.state.fleeting.seen[device] = Seen(sample, received_s, missed)
        return True

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _fold(self, row: Row) -> None:
        event = FOLD.forms.load(row.position, row.name, row.version, row.body)
        FOLD.evolve(self.state, event)
        self.tip = Tip(row.position, row.hash)
        for told in self.heard:
            told(row.position, event, self.state)

    def _opened(self) -> sa.Engine | None:
        try:
            file = _identity(self.path)
        except FileNotFoundError:
            if self._file is None:
                return None  # there is no fleet yet
            raise JournalUnwritable(f"{self.path.name} is not there any more") from None
        if self._file not in (None, file):
            raise JournalReplaced(f"{self.path.name} is another journal than the one that was followed")
        if self._engine is None:
            self._engine = open_database(self.path, create=False)
            self._file = file
        return self._engine


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
