"""InfluxDB, written: batches of our own through influxdb-client's asynchronous write API.

A batch goes to the store, or, while that is down or anything waits, to the disk, from where it is sent in order for as
long as it takes. Only what the store calls unfit (400, 422) is given up: it goes to the file of dead letters. A token
that is refused or a bucket that is missing is no fault of the batch, and somebody will mend it.
"""

import asyncio
import logging
import random
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from fleet.adapters.history.dead_letters import DeadLetters
from fleet.adapters.history.influx_reading import MEANING, InfluxReader, Where
from fleet.adapters.history.lines import minute_of, point, session_minute
from fleet.adapters.history.port import CLOCK_OFF_S_MAX, HistoryRefuses, Sample, Status, checked
from fleet.adapters.history.seen import Seen
from fleet.adapters.history.spill import Batch, Spill

log = logging.getLogger(__name__)
SAMPLES_AT_ONCE = 2_000  # a request of less than a megabyte, which every proxy takes by default
REQUEST_S_MAX = 10.0
DISK_RETRY_S = 0.5
BACKOFF_S = (0.5, 30.0)  # the first and the longest
UNFIT = frozenset({400, 422})
MINUTES_MAX = 20_000  # of sessions, remembered

_Args = ParamSpec("_Args")
_Done = TypeVar("_Done")


class _Sent(Enum):
    TAKEN = auto()
    UNFIT = auto()
    DOWN = auto()


class InfluxHistory(InfluxReader):
    """A `History` in one bucket, with a folder for what waits. One process writes; `walltime` is Unix time.

    Raises:
        OSError: the folder cannot be used.
    """

    def __init__(
        self,
        where: Where,
        folder: Path,
        zone: ZoneInfo,
        walltime: Callable[[], float],
        spill_bytes_max: int,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        super().__init__(where, zone)
        self._walltime = walltime
        self._began_s = walltime()
        self._backoff_s = backoff_s
        self._spill = Spill(folder / "spill", spill_bytes_max)
        self._dead = DeadLetters(folder / "dead-letters.lp")
        self._seen = Seen()
        self._minutes: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._status = Status()
        self._turn = asyncio.Lock()
        self._closing = asyncio.Event()
        self._waits = asyncio.Event()
        self._drained = asyncio.Event()
        self._client: InfluxDBClientAsync | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")
        if self._spill.samples:
            self._waits.set()
        else:
            self._drained.set()

    def status(self) -> Status:
        head = self._spill.peeked
        return replace(
            self._status,
            spilled=self._spill.samples,
            dead_lettered=self._dead.samples,
            oldest_waiting_s=None if head is None else head.oldest_s,
        )

    async def write(self, samples: Sequence[Sample]) -> None:
        checked(samples)
        for begin in range(0, len(samples), SAMPLES_AT_ONCE):
            async with self._turn:
                await self._take(samples[begin : begin + SAMPLES_AT_ONCE])

    async def flush(self) -> None:
        """Until nothing waits on disk: as long as the store is down."""
        await self._drained.wait()

    async def run(self) -> None:
        """Send what waits, in its order, for ever."""
        backoff_s = self._backoff_s[0]
        while True:
            await self._waits.wait()
            try:
                sent = await self._send_next()
            except OSError as error:
                self._refused(f"the disk refuses: {error}")
                sent = _Sent.DOWN
            if sent is _Sent.DOWN:
                await asyncio.sleep(backoff_s * random.uniform(0.8, 1.2))
                backoff_s = min(2 * backoff_s, self._backoff_s[1])
            else:
                backoff_s = self._backoff_s[0]

    async def close(self) -> None:
        self._closing.set()
        await super().close()
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
        await self._in_thread(self._spill.close)
        self._thread.shutdown(wait=True)

    # --- taking -----------------------------------------------------------------------------------------------------

    async def _take(self, samples: Sequence[Sample]) -> None:
        await self._recall(samples)
        new: dict[tuple[str, int, int], Sample] = {}
        for sample in samples:
            if not self._seen.has(sample.device, sample.boot_n, sample.seq):
                new.setdefault((sample.device, sample.boot_n, sample.seq), sample)
        if new:
            lines, minutes = self._lines(list(new.values()))
            oldest_s = min(sample.time_s for sample in new.values())
            await self._keep(Batch("\n".join(lines).encode(), len(new), oldest_s))
            self._remember(list(new), minutes)
        status = self._status
        self._status = replace(
            status, taken=status.taken + len(samples), doubles=status.doubles + len(samples) - len(new)
        )

    async def _recall(self, samples: Sequence[Sample]) -> None:
        """Late samples from before this process may be in the store, and their copies may say another millisecond: what
        is there is asked for. A store that does not answer is not waited for.
        """
        asked: dict[tuple[str, int], list[float]] = {}
        for one in samples:
            if one.late and one.time_s < self._began_s and not self._seen.has(one.device, one.boot_n, one.seq):
                asked.setdefault((one.device, one.boot_n), []).append(one.time_s)
        for (device, boot_n), times_s in asked.items():
            span = round((min(times_s) - CLOCK_OFF_S_MAX) * 1000), round((max(times_s) + CLOCK_OFF_S_MAX) * 1000)
            with suppress(HistoryRefuses):
                for seq in await self.numbers(device, boot_n, span):
                    self._seen.add(device, boot_n, seq)

    def _lines(self, samples: Sequence[Sample]) -> tuple[list[str], list[tuple[str, str, int]]]:
        minutes: dict[tuple[str, str, int], Sample] = {}
        for sample in samples:
            if sample.session_id is not None:
                minutes.setdefault((sample.device, sample.session_id, minute_of(sample)), sample)
        said = [key for key in minutes if key not in self._minutes]
        lines = [point(sample) for sample in samples]
        lines += [line for key in said if (line := session_minute(minutes[key])) is not None]
        return lines, said

    def _remember(self, seen: Sequence[tuple[str, int, int]], minutes: Sequence[tuple[str, str, int]]) -> None:
        for key in seen:
            self._seen.add(*key)
        self._minutes.update(dict.fromkeys(minutes))
        while len(self._minutes) > MINUTES_MAX:
            self._minutes.popitem(last=False)

    async def _keep(self, batch: Batch) -> None:
        """To the store, or to the disk. What waits goes first, so nothing is sent past it."""
        if not self._spill.samples and await self._send(batch) is not _Sent.DOWN:
            return
        while True:
            if self._closing.is_set():
                raise HistoryRefuses("The history was closed before it could take that.")
            try:
                await self._in_thread(self._spill.append, batch)
            except (OSError, HistoryRefuses) as error:
                self._refused(f"nothing more can wait on disk: {error}")
            else:
                self._drained.clear()
                self._waits.set()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), DISK_RETRY_S)

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _send_next(self) -> _Sent:
        batch = await self._in_thread(self._spill.head)
        if batch is None:
            if self._spill.samples:
                return _Sent.DOWN  # one may just have been put there; whatever else it is must not go round and round
            self._waits.clear()
            self._drained.set()
            return _Sent.TAKEN
        sent = await self._send(batch)
        if sent is not _Sent.DOWN:
            await self._in_thread(self._spill.sent)
        return sent

    async def _send(self, batch: Batch) -> _Sent:
        try:
            await self._write_api().write(
                self._where.bucket, self._where.org, batch.lines, write_precision=WritePrecision.NS
            )
        except ApiException as answered:
            why = str(answered.body or answered.reason or "")
            if answered.status in UNFIT:
                return await self._bury(batch, f"{answered.status} {why}")
            meaning = MEANING.get(answered.status, " ".join(why.split())[:100])
            self._refused(f"InfluxDB answers {answered.status}: {meaning}")
            return _Sent.DOWN
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._refused(f"InfluxDB cannot be reached: {error or type(error).__name__}")
            return _Sent.DOWN
        if self._status.refusing is not None:
            log.info("InfluxDB takes samples again")
        self._status = replace(self._status, written=self._status.written + batch.samples, refusing=None)
        return _Sent.TAKEN

    async def _bury(self, batch: Batch, why: str) -> _Sent:
        log.error("InfluxDB refuses %d samples, they are in the file of dead letters: %s", batch.samples, why)
        at = datetime.fromtimestamp(self._walltime(), UTC).isoformat(timespec="milliseconds")
        try:
            await self._in_thread(self._dead.put, batch, at, why)
        except OSError as error:
            self._refused(f"the file of dead letters cannot be written: {error}")
            return _Sent.DOWN
        return _Sent.UNFIT

    def _write_api(self) -> Any:
        if self._client is None:
            # The system's authorities are read for https only: that takes 20 ms. Without them no redirect leads there.
            reads_none = None if self._where.url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._client = InfluxDBClientAsync(
                url=self._where.url,
                token=self._where.token or "",
                org=self._where.org,
                timeout=round(REQUEST_S_MAX * 1000),
                ssl_context=reads_none,
            )
        return self._client.write_api()

    def _refused(self, why: str) -> None:
        if self._status.refusing is None:
            log.error("%s: what comes waits on disk", why)
        self._status = replace(self._status, refusing=why)

    async def _in_thread(self, do: Callable[_Args, _Done], *args: _Args.args, **named: _Args.kwargs) -> _Done:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: do(*args, **named))
