"""A ledger of a journal on disk: counted along in another process than the fleet's, and kept over restarts.

ledger = open_usage(data_dir / "journal.db", state_dir / "usage.json")
while ledger.look():         # 500 rows at a time: 60,000 events take a second or so once, then none
    await asyncio.sleep(0)
ledger.counted.add_up(By.DAY)
ledger.save()                # now and then, and at the end
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, get_args

from fleet.adapters.journal.checkpoint import Checkpoint
from fleet.adapters.journal.errors import JournalReplaced
from fleet.adapters.journal.rows import Tip
from fleet.adapters.journal.tail import Tail
from fleet.core.events import Event
from fleet.reports import alarm_ledger, session_ledger, stored_ledger, usage_ledger
from fleet.reports.alarm_ledger import AlarmLedger
from fleet.reports.session_ledger import SessionLedger
from fleet.reports.usage_ledger import UsageLedger
from fleet.stored import FORMS


class Counts(Protocol):
    def counts(self, event: Event) -> None: ...


Counted = TypeVar("Counted", bound=Counts)


@dataclass(frozen=True)
class _Kind(Generic[Counted]):
    """What is counted, and how a file holds it. `counting` is raised when the same events come to be counted
    otherwise.
    """

    begin: Callable[[], Counted]
    events: frozenset[type[Any]]
    form: type[Any]
    stored: Callable[[Counted], Any]
    restored: Callable[[Any], Counted]
    counting: int = 1

    @property
    def passed_over(self) -> frozenset[str]:
        """Names that this program knows and does not count: their rows are checked, and not read. Any other name is
        read, and refused where a newer program wrote it.
        """
        return frozenset(event.__name__ for event in set(get_args(Event)) - self.events)


_USAGE = _Kind(
    UsageLedger, usage_ledger.COUNTED, stored_ledger.StoredLedger, stored_ledger.stored, stored_ledger.restored
)
_ALARMS = _Kind(
    AlarmLedger, alarm_ledger.COUNTED, alarm_ledger.StoredAlarms, alarm_ledger.stored, alarm_ledger.restored
)
_SESSIONS = _Kind(
    SessionLedger, session_ledger.COUNTED, session_ledger.StoredSessions, session_ledger.stored, session_ledger.restored
)


@dataclass(slots=True)
class JournalLedger(Generic[Counted]):
    """`counted` up to the row at `tip`; `saved` is the row up to which the checkpoint has it.

    `from_checkpoint`: what an earlier run had counted was used.
    """

    counted: Counted
    tip: Tip
    saved: Tip
    from_checkpoint: bool
    _kind: _Kind[Counted]
    _tail: Tail
    _passed_over: frozenset[str]
    _checkpoint: "Checkpoint[Any]"

    @classmethod
    def opened(cls, kind: _Kind[Counted], path: Path, checkpoint: Path) -> "JournalLedger[Counted]":
        """What the checkpoint has, where it is of this journal; else nothing yet. `look` counts the rest.

        Raises:
            FileNotFoundError: there is no journal yet.
            JournalCorrupt, JournalUnwritable: it cannot be read.
        """
        tail, kept = Tail(path, "counted"), Checkpoint(checkpoint, kind.form, kind.counting)
        try:
            found = kept.load(tail.opened())
        except BaseException:
            tail.close()
            raise
        tip, counted = (Tip(), kind.begin()) if found is None else (found[0], kind.restored(found[1]))
        return cls(counted, tip, tip, found is not None, kind, tail, kind.passed_over, kept)

    def look(self) -> int:
        """Count what was committed since the last look, 500 rows at most; how many they were. 0: up to date.

        Raises:
            JournalReplaced: open it anew.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read.
        """
        if not self._tail.path.exists():
            raise JournalReplaced(f"{self._tail.path.name} is another journal than the one that was counted")
        before = self.tip.position
        for row in self._tail.rows(self.tip):
            if row.name not in self._passed_over:
                self.counted.counts(FORMS.load(row.position, row.name, row.version, row.body))
            self.tip = Tip(row.position, row.hash)
        return self.tip.position - before

    def save(self) -> None:
        """Keep what was counted, if anything was since the last time.

        Raises:
            OSError: the disk refuses; nothing is lost but time.
        """
        if self.tip != self.saved:
            self._checkpoint.save(self.tip, self._kind.stored(self.counted))
            self.saved = self.tip

    def close(self) -> None:
        self._tail.close()


def open_usage(path: Path, checkpoint: Path) -> JournalLedger[UsageLedger]:
    """What was done. As `JournalLedger.opened`."""
    return JournalLedger.opened(_USAGE, path, checkpoint)


def open_alarms(path: Path, checkpoint: Path) -> JournalLedger[AlarmLedger]:
    """Every alarm. As `JournalLedger.opened`."""
    return JournalLedger.opened(_ALARMS, path, checkpoint)


def open_sessions(path: Path, checkpoint: Path) -> JournalLedger[SessionLedger]:
    """Every session. As `JournalLedger.opened`."""
    return JournalLedger.opened(_SESSIONS, path, checkpoint)
