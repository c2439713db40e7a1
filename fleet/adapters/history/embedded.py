"""The embedded store: SQLite files in a folder, written by one process from a thread of its own.

A write returns when its rows are on the disk (WAL, synchronous FULL). What the disk refuses is tried again until it
takes it; nothing waits for that but the history itself.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from fleet.adapters.history.days import RAW, Days, Written
from fleet.adapters.history.embedded_reading import EmbeddedReader
from fleet.adapters.history.files import drop
from fleet.adapters.history.months import ROLLUP, Months, month_before
from fleet.adapters.history.port import HistoryRefuses, Sample, Status, checked

log = logging.getLogger(__name__)
RETRY_S = 0.5
UPKEEP_S = 5.0
FOR_EVER_MS = 2**53
RIPE_S = 10.0  # after a minute's end most of what comes of it has come; what comes later has it summed up again
MINUTES_AT_ONCE = 100  # between two pieces of summing up, writes have their turn

_Args = ParamSpec("_Args")
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class Kept:
    """How much is kept: rows of so many days (the last ones that have any), summaries of so many months before this."""

    raw_days: int = 14
    rollup_months: int = 24


class EmbeddedHistory(EmbeddedReader):
    """A `History` in a folder. One process writes; `walltime` is Unix time."""

    def __init__(self, folder: Path, zone: ZoneInfo, kept: Kept, walltime: Callable[[], float]) -> None:
        super().__init__(folder, zone)
        self._kept = kept
        self._walltime = walltime
        self._days = Days(folder, kept.raw_days)
        self._months = Months(folder)
        self._status = Status()
        self._closing = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")

    def status(self) -> Status:
        return self._status

    async def write(self, samples: Sequence[Sample]) -> None:
        checked(samples)
        for part in self._days.parts(samples):
            written = await self._insist(self._days.write, part)
            self._status = replace(
                self._status,
                taken=self._status.taken + len(part),
                written=self._status.written + written.new,
                doubles=self._status.doubles + written.doubles,
                expired=self._status.expired + written.expired,
            )

    async def flush(self) -> None:
        """What a write has confirmed can be read: there is nothing to wait for but the thread."""
        await self._in_thread(lambda: None)

    async def run(self) -> None:
        while True:
            await self.upkeep()
            await asyncio.sleep(UPKEEP_S)

    async def upkeep(self) -> None:
        """Sum up the minutes that are ripe, and drop what is not kept any more. A disk that refuses has it done later,
        and what is not summed up is read from its rows.
        """
        raw = RAW.all(self._folder)
        surplus = raw[: -self._kept.raw_days]
        for path in raw:
            try:
                await self._sum_up(path, FOR_EVER_MS if path in surplus else round((self._walltime() - RIPE_S) * 1000))
                if path in surplus:
                    await self._in_thread(self._drop, path)
            except HistoryRefuses as refused:
                self._refused(refused)
        months = ROLLUP.all(self._folder)
        for path in months:
            if path.name < month_before(months[-1], self._kept.rollup_months):
                await self._in_thread(self._drop, path)

    async def close(self) -> None:
        """Let go of the files. What no write has confirmed is not taken."""
        self._closing.set()
        # Closing merges the log into the file; on a full disk the next process does that.
        with suppress(sqlite3.Error):
            await self._in_thread(self._close)
        self._thread.shutdown(wait=True)

    async def _sum_up(self, path: Path, before_ms: int) -> None:
        while await self._in_thread(self._days.sum_up, path, before_ms, MINUTES_AT_ONCE, self._months.keep):
            self._takes_again()

    def _drop(self, path: Path) -> None:
        log.info("%s is older than what is kept: dropped", path.name)
        self._days.let_go(path)
        self._months.close()
        drop(path)

    def _close(self) -> None:
        self._days.close()
        self._months.close()

    async def _insist(self, write: Callable[[Sequence[Sample]], Written], part: Sequence[Sample]) -> Written:
        while True:
            if self._closing.is_set():
                raise HistoryRefuses("The history was closed before it could take that.")
            try:
                written = await self._in_thread(write, part)
            except HistoryRefuses as refused:
                self._refused(refused)
            else:
                self._takes_again()
                return written
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), RETRY_S)

    def _refused(self, refused: HistoryRefuses) -> None:
        if self._status.refusing is None:
            log.error("the history cannot be written: %s", refused)
        self._status = replace(self._status, refusing=str(refused))

    def _takes_again(self) -> None:
        if self._status.refusing is not None:
            log.info("the history is written again")
            self._status = replace(self._status, refusing=None)

    async def _in_thread(self, do: Callable[_Args, _Done], *args: _Args.args, **named: _Args.kwargs) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: do(*args, **named))
