"""The stores as the suite sees them, and samples as a clinic makes them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract.messages import Phase
from fleet.adapters.history.embedded import EmbeddedHistory, Kept
from fleet.adapters.history.embedded_reading import EmbeddedReader
from fleet.adapters.history.influx import InfluxHistory
from fleet.adapters.history.influx_reading import InfluxReader, Where
from fleet.adapters.history.port import ROWS_MAX, History, HistoryReader, Sample

BERLIN = ZoneInfo("Europe/Berlin")
NOON_S = 1_795_608_000.0  # 2026-11-25 12:00 UTC
QUICK = (0.05, 0.2)  # waits between tries to reach a store that is down


@dataclass
class Shelf:
    """One store's place. `where` None: the embedded one. `now_s`: the clock that it is given."""

    folder: Path
    where: Where | None = None
    zone: ZoneInfo = BERLIN
    kept: Kept = field(default_factory=Kept)
    now_s: float = NOON_S
    spill_bytes_max: int = 10**9
    run_id: str = field(default_factory=lambda: token_hex(4))

    def device(self, n: int = 1) -> str:
        """A device that no other test has."""
        return f"stim-{self.run_id}-{n}"

    def store(self) -> Any:
        """The writing side, closed by whoever opens it."""
        if self.where is None:
            return EmbeddedHistory(self.folder, self.zone, self.kept, lambda: self.now_s)
        return InfluxHistory(self.where, self.folder, self.zone, lambda: self.now_s, self.spill_bytes_max, QUICK)

    def reader(self, rows_max: int = ROWS_MAX) -> HistoryReader:
        if self.where is None:
            return EmbeddedReader(self.folder, self.zone, rows_max)
        return InfluxReader(self.where, self.zone, rows_max)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[History]:
        """The writing side with its task."""
        store = self.store()
        running = asyncio.create_task(store.run(), name="history")
        try:
            yield store
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await store.close()

    @asynccontextmanager
    async def reading(self, rows_max: int = ROWS_MAX) -> AsyncIterator[HistoryReader]:
        """The other side, as another process has it."""
        reader = self.reader(rows_max)
        try:
            yield reader
        finally:
            await reader.close()


def sample(device: str, seq: int, at_s: float, **changed: Any) -> Sample:
    """A sample of a session that runs, received 80 ms after it was taken."""
    usual = Sample(
        device=device,
        boot_n=3,
        seq=seq,
        session_id="ab" * 16,
        phase=Phase.RUNNING,
        at_s=at_s,
        wall_s=round(at_s + 0.08, 3),
        received_s=round(at_s - NOON_S + 100_000.0, 3),
        elapsed_s=12.5,
        setting_ma=20.0,
        amplitude_ma=17.503,
        pulse_width_us=300.0,
        frequency_hz=35.0,
        impedance_ohm=812.25,
        battery_pct=88.0,
        temperature_c=31.1,
        lease_margin_s=4.317,
        late=False,
    )
    return replace(usual, **changed)


def late(one: Sample, by_s: float) -> Sample:
    """The same sample, sent when the link was there again."""
    return replace(one, late=True, wall_s=one.wall_s + by_s, received_s=one.received_s + by_s)


async def until(what: str, ask: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait for a condition that other tasks bring about."""
    give_up_s = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < give_up_s, f"within {within_s:g} s: {what}"
        await asyncio.sleep(0.01)  # looked at again and again: nobody tells of it
