"""The alarm ledger of a journal on disk, counted along by whoever asks, and kept over restarts, as `journal_ledger`."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import sqlalchemy as sa

from fleet.adapters.journal.checkpoint import Checkpoint
from fleet.adapters.journal.errors import JournalReplaced
from fleet.adapters.journal.rows import Tip, checked, open_database, rows_after
from fleet.core.events import Event
from fleet.reports.alarm_ledger import COUNTED, AlarmLedger, StoredAlarms, restored, stored
from fleet.stored import FORMS

ROWS_A_LOOK = 500  # some 10 ms
SAVED_EVERY = 20_000  # rows: what a restart has to count again at most
COUNTING = 1  # raised when the same events come to be counted as something else
_PASSED_OVER = {event.__name__ for event in set(get_args(Event)) - COUNTED}


@dataclass(slots=True)
class JournalAlarms:
    """`counted` up to the row at `tip`."""

    path: Path
    counted: AlarmLedger
    tip: Tip
    _checkpoint: "Checkpoint[StoredAlarms]"
    _saved: Tip
    _engine: sa.Engine
    _file: tuple[int, int]

    @classmethod
    def opened(cls, path: Path, checkpoint: Path) -> "JournalAlarms":
        """What the checkpoint has, where it is of this journal; else nothing yet.

        Raises:
            FileNotFoundError: there is no journal yet.
            JournalCorrupt, JournalUnwritable: it cannot be read.
        """
        file = _identity(path)
        kept: Checkpoint[StoredAlarms] = Checkpoint(checkpoint, StoredAlarms, COUNTING)
        engine = open_database(path, create=False)
        try:
            with engine.connect() as connection:
                found = kept.load(connection)
        except BaseException:
            engine.dispose()
            raise
        tip, counted = (Tip(), AlarmLedger()) if found is None else (found[0], restored(found[1]))
        return cls(path, counted, tip, kept, tip, engine, file)

    def look(self) -> int:
        """Count what was committed since the last look, 500 rows at most; how many they were. 0: up to date.

        Raises:
            JournalReplaced: open it anew.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read.
        """
        try:
            replaced = _identity(self.path) != self._file
        except FileNotFoundError:
            replaced = True
        if replaced:
            raise JournalReplaced(f"{self.path.name} is another journal than the one that was counted")
        rows = 0
        with self._engine.connect() as connection:
            for row in checked(rows_after(connection, self.tip.position), self.tip):
                if row.name not in _PASSED_OVER:
                    self.counted.counts(FORMS.load(row.position, row.name, row.version, row.body))
                self.tip = Tip(row.position, row.hash)
                rows += 1
                if rows == ROWS_A_LOOK:
                    break
        if self.tip.position - self._saved.position >= SAVED_EVERY:
            self.save()
        return rows

    def save(self) -> None:
        """Keep what was counted, if anything was since the last time.

        Raises:
            OSError: the disk refuses; nothing is lost but time.
        """
        if self.tip != self._saved:
            self._checkpoint.save(self.tip, stored(self.counted))
            self._saved = self.tip

    def close(self) -> None:
        self._engine.dispose()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
