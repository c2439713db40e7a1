"""The usage ledger of a journal on disk: counted along in another process than the fleet's, and kept over restarts.

ledger = JournalLedger.opened(data_dir / "journal.db", state_dir / "usage.json")
while ledger.look():         # 500 rows at a time: 60,000 events take a second or so once, then none
    await asyncio.sleep(0)
ledger.counted.add_up(By.DAY)
ledger.save()                # now and then, and at the end
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import sqlalchemy as sa

from fleet.adapters.journal.checkpoint import Checkpoint
from fleet.adapters.journal.errors import JournalReplaced
from fleet.adapters.journal.rows import Tip, checked, open_database, rows_after
from fleet.core.events import Event
from fleet.reports.stored_ledger import StoredLedger, restored, stored
from fleet.reports.usage_ledger import COUNTED, UsageLedger
from fleet.stored import FORMS

ROWS_A_LOOK = 500  # some 10 ms
COUNTING = 1  # raised when the same events come to be counted as something else
# Names that this program knows and does not count: their rows are checked, and not read. Any other name is read, and
# refused where a newer program wrote it.
_PASSED_OVER = {event.__name__ for event in set(get_args(Event)) - COUNTED}


@dataclass(slots=True)
class JournalLedger:
    """`counted` up to the row at `tip`. `from_checkpoint`: what an earlier run had counted was used."""

    path: Path
    counted: UsageLedger
    tip: Tip
    from_checkpoint: bool
    _checkpoint: "Checkpoint[StoredLedger]"
    _saved: Tip
    _engine: sa.Engine
    _file: tuple[int, int]

    @classmethod
    def opened(cls, path: Path, checkpoint: Path) -> "JournalLedger":
        """What the checkpoint has, where it is of this journal; else nothing yet. `look` counts the rest.

        Raises:
            FileNotFoundError: there is no journal yet.
            JournalCorrupt, JournalUnwritable: it cannot be read.
        """
        file = _identity(path)
        kept: Checkpoint[StoredLedger] = Checkpoint(checkpoint, StoredLedger, COUNTING)
        engine = open_database(path, create=False)
        try:
            with engine.connect() as connection:
                found = kept.load(connection)
        except BaseException:
            engine.dispose()
            raise
        tip, counted = (Tip(), UsageLedger()) if found is None else (found[0], restored(found[1]))
        return cls(path, counted, tip, found is not None, kept, tip, engine, file)

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
