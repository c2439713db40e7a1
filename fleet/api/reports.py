"""What people ask of weeks, off the loop: the usage ledger, counted along, and whatever is slow to read.

One thread has all of it: reports wait for each other, and nobody else waits for them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from broker.pki.opening import OpeningHours
from fleet.adapters.history.port import HistoryReader
from fleet.adapters.journal.errors import JournalError
from fleet.api.answers import Declined
from fleet.reports.journal_ledger import JournalLedger, open_usage
from fleet.reports.usage_ledger import UsageLedger

log = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_PERIOD_S = 1.0
SAVE_EVERY_LOOKS = 60
WAITING_MAX = 8
READING_S_MAX = 10.0
CHECKPOINT = "usage.json"


@dataclass(slots=True)
class Reports:
    """`counted_up`: every event there is has been counted at least once."""

    journal: Path
    checkpoint: Path
    history: HistoryReader
    opening_hours: OpeningHours
    zone: ZoneInfo
    walltime: Callable[[], float]
    counted_up: bool = False
    at_end: list[Callable[[], None]] = field(default_factory=list)  # done in the thread, before it ends
    asked: dict[object, Any] = field(default_factory=dict)  # ledgers that are counted when somebody asks
    _ledger: JournalLedger[UsageLedger] | None = None
    _waiting: int = 0
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "reports"))

    async def of_ledger(self, make: Callable[[UsageLedger], T]) -> T:
        """What `make` says of everything that was counted.

        Raises:
            Declined: 503, nothing is counted yet, or too many ask.
        """
        if self._ledger is None or not self.counted_up:
            raise Declined(503, "counting", "The journal is still being counted: ask again in some seconds.")
        ledger = self._ledger
        return await self.apart(lambda: make(ledger.counted))

    async def apart(self, make: Callable[[], T]) -> T:
        """What `make` says, made in the thread of the reports.

        Raises:
            Declined: 503, too many ask.
        """
        if self._waiting >= WAITING_MAX:
            raise Declined(503, "busy", "Too many reports are being made: ask again in some seconds.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, make)
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def in_turn(self) -> AsyncIterator[None]:
        """Two at a time read the history store, and nobody waits for ever.

        Raises:
            Declined: 503, too many read.
        """
        try:
            async with asyncio.timeout(READING_S_MAX):
                await self._reading.acquire()
        except TimeoutError:
            raise Declined(503, "busy", "Too many read the history: ask again in some seconds.") from None
        try:
            yield
        finally:
            self._reading.release()

    def today(self) -> date:
        """The clinic's."""
        return datetime.fromtimestamp(self.walltime(), self.zone).date()

    async def run(self) -> None:
        """Count along, until cancelled. A journal that cannot be read is tried again, and told once."""
        told = False
        try:
            while True:
                try:
                    await self._count()
                except FileNotFoundError:
                    pass  # there is no journal yet
                except (JournalError, OSError) as error:
                    if not told:
                        log.error("usage cannot be counted: %s", error)
                    told = True
                await asyncio.sleep(LOOK_PERIOD_S)
        finally:
            for end in (self._close, *self.at_end):
                await asyncio.get_running_loop().run_in_executor(self._thread, end)
            self._thread.shutdown()

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        self.counted_up = False  # of another journal nothing is told until all of it is counted
        await loop.run_in_executor(self._thread, self._close)
        self._ledger = await loop.run_in_executor(self._thread, open_usage, self.journal, self.checkpoint)
        looks = 0
        while True:
            rows = await loop.run_in_executor(self._thread, self._ledger.look)
            if rows:  # a long journal in small pieces, between which reports and the loop have their turn
                continue
            self.counted_up = True
            looks += 1
            if looks % SAVE_EVERY_LOOKS == 0:
                await loop.run_in_executor(self._thread, self._save)
            await asyncio.sleep(LOOK_PERIOD_S)

    def _save(self) -> None:
        try:
            if self._ledger is not None:
                self._ledger.save()
        except OSError as error:
            log.warning("what was counted could not be kept: %s", error)

    def _close(self) -> None:
        if self._ledger is not None:
            self._save()
            self._ledger.close()
            self._ledger = None
