"""The alarm ledger of the web process: counted along when somebody asks, in the thread of the reports."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from fleet.adapters.journal.errors import JournalError
from fleet.api.answers import Declined
from fleet.api.reports import Reports
from fleet.reports.alarm_ledger import AlarmLedger
from fleet.reports.journal_ledger import JournalLedger, open_alarms

log = logging.getLogger(__name__)
T = TypeVar("T")
CHECKPOINT = "alarms.json"  # beside the usage ledger's
SAVED_EVERY = 20_000  # rows: what a restart has to count again at most
COUNTING_S_MAX = 4.0  # a long journal, counted for the first time, is not waited for


@dataclass(slots=True)
class AlarmReports:
    """`reports` has the thread, and knows where the journal is."""

    reports: Reports
    _ledger: JournalLedger[AlarmLedger] | None = field(default=None)

    async def of_ledger(self, make: Callable[[AlarmLedger], T]) -> T:
        """What `make` says of every alarm so far. Rows are counted 500 at a time: other reports have their turn.

        Raises:
            Declined: 503, the journal cannot be read, or counting it takes longer than anybody waits.
        """
        ends_wall_s = self.reports.walltime() + COUNTING_S_MAX
        try:
            while await self.reports.apart(self._look):
                if self.reports.walltime() > ends_wall_s:
                    raise Declined(503, "counting", "The journal is still being counted: ask again in some seconds.")
        except FileNotFoundError:
            raise Declined(503, "counting", "There is no journal yet: ask again in some seconds.") from None
        except (JournalError, OSError) as error:
            raise Declined(503, "journal", f"The journal cannot be read: {error}.") from error
        return await self.reports.apart(lambda: make(self._counted()))

    def _look(self) -> int:
        if self._ledger is None:
            self._ledger = open_alarms(self.reports.journal, self.reports.checkpoint.with_name(CHECKPOINT))
        try:
            rows = self._ledger.look()
        except (JournalError, OSError):
            self._ledger.close()
            self._ledger = None  # opened anew by whoever asks next
            raise
        if self._ledger.tip.position - self._ledger.saved.position >= SAVED_EVERY:
            self._save(self._ledger)
        return rows

    def _save(self, ledger: JournalLedger[AlarmLedger]) -> None:
        with suppress(OSError):  # nothing is lost but time
            ledger.save()

    def _counted(self) -> AlarmLedger:
        return AlarmLedger() if self._ledger is None else self._ledger.counted

    def close(self) -> None:
        """Keep what was counted."""
        if self._ledger is not None:
            self._save(self._ledger)
            self._ledger.close()
            self._ledger = None
