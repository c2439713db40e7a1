"""Ledgers of the web process that are counted along when somebody asks, in the thread of the reports."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from fastapi import Depends

from fleet.adapters.journal.errors import JournalError
from fleet.api.answers import Declined
from fleet.api.asking import Reporting
from fleet.api.reports import Reports
from fleet.reports.alarm_ledger import AlarmLedger
from fleet.reports.journal_ledger import Counts, JournalLedger, open_alarms, open_sessions
from fleet.reports.session_ledger import SessionLedger

T = TypeVar("T")
Counted = TypeVar("Counted", bound=Counts)
ALARMS, SESSIONS = "alarms.json", "sessions.json"  # the checkpoints, beside the usage ledger's
SAVED_EVERY = 20_000  # rows: what a restart has to count again at most
COUNTING_S_MAX = 4.0  # a long journal, counted for the first time, is not waited for


@dataclass(slots=True)
class AskedLedger(Generic[Counted]):
    """`reports` has the thread, and knows where the journal is; `opens` the ledger, by its checkpoint's name."""

    reports: Reports
    opens: Callable[[Path, Path], JournalLedger[Counted]]
    checkpoint: str
    _ledger: JournalLedger[Counted] | None = field(default=None)

    async def of_ledger(self, make: Callable[[Counted], T]) -> T:
        """What `make` says of everything so far. Rows are counted 500 at a time: other reports have their turn. Where
        there is nothing new it is one place in the reports' thread, whatever `make` reads besides.

        Raises:
            Declined: 503, the journal cannot be read, by `make` neither; or counting takes longer than anybody waits.
        """
        ends_wall_s = self.reports.walltime() + COUNTING_S_MAX

        def look() -> tuple[T] | None:
            counted = self._look()
            return None if counted is None else (make(counted),)

        try:
            while (made := await self.reports.apart(look)) is None:
                if self.reports.walltime() > ends_wall_s:
                    raise Declined(503, "counting", "The journal is still being counted: ask again in some seconds.")
        except FileNotFoundError:
            raise Declined(503, "counting", "There is no journal yet: ask again in some seconds.") from None
        except (JournalError, OSError) as error:
            raise Declined(503, "journal", f"The journal cannot be read: {error}.") from error
        return made[0]

    def _look(self) -> Counted | None:
        """What was counted, once that is everything."""
        if self._ledger is None:
            self._ledger = self.opens(self.reports.journal, self.reports.checkpoint.with_name(self.checkpoint))
        try:
            rows = self._ledger.look()
        except (JournalError, OSError):
            self._ledger.close()
            self._ledger = None  # opened anew by whoever asks next
            raise
        if self._ledger.tip.position - self._ledger.saved.position >= SAVED_EVERY:
            self._save(self._ledger)
        return None if rows else self._ledger.counted

    def _save(self, ledger: JournalLedger[Counted]) -> None:
        with suppress(OSError):  # nothing is lost but time
            ledger.save()

    def close(self) -> None:
        """Keep what was counted."""
        if self._ledger is not None:
            self._save(self._ledger)
            self._ledger.close()
            self._ledger = None


def alarm_ledger(reports: Reports) -> AskedLedger[AlarmLedger]:
    return AskedLedger(reports, open_alarms, ALARMS)


def session_ledger(reports: Reports) -> AskedLedger[SessionLedger]:
    return AskedLedger(reports, open_sessions, SESSIONS)


@dataclass(frozen=True)
class _Of(Generic[Counted]):
    """The dependency: the process's one ledger of its kind, made when it is first asked for."""

    makes: Callable[[Reports], AskedLedger[Counted]]

    async def __call__(self, reports: Reporting) -> AskedLedger[Counted]:
        found: AskedLedger[Counted] | None = reports.asked.get(self.makes)
        if found is None:
            found = reports.asked[self.makes] = self.makes(reports)
            reports.at_end.append(found.close)
        return found


Alarming = Annotated[AskedLedger[AlarmLedger], Depends(_Of(alarm_ledger))]
Listing = Annotated[AskedLedger[SessionLedger], Depends(_Of(session_ledger))]
