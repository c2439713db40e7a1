"""The recorder of one site: a process beside the fleet, which keeps every sample that the fleet hands on.

    feed.sock -> decoded -> waiting (bounded) -> batches -> history store
                                                  status -> recorder.sock; in a word -> control.sock

It may be killed at any time: what the store has confirmed is kept, and the fleet does not notice. Where the fleet goes,
it waits for it. What finds no room while the store takes nothing is lost, counted and shown; as a gap, like every
sample that is not there.
"""

import asyncio
import logging
import os
import signal
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract.messages import Telemetry
from broker.contract.topics import Channel
from broker.pki.registry import BadRegistry
from broker.pki.registry_file import load_registry
from broker.wire.codec import MalformedMessage, decode
from fleet.adapters.feed import frames
from fleet.adapters.feed.reader import FeedLost, follow_feed
from fleet.adapters.history.port import History, NoSuchName, Sample, device_name, sample_of
from fleet.adapters.history.settings import RecorderSettings, open_history
from fleet.adapters.history.telling import tell_status
from fleet.adapters.lock import Held, not_running
from fleet.adapters.systemd import notify
from fleet.core.store_events import StoreTrouble
from fleet.recording.trouble import Watch
from fleet.recording.word import Word
from fleet.settings import SettingsRefused

log = logging.getLogger(__name__)
EXIT_ENDED = 0
EXIT_FAILED = 1
EXIT_REFUSED = 78  # settings or site cannot be used
ALIVE_S = 1.0  # how often systemd is told
ENDING_S = 5.0  # for what waits, when it is asked to end


class Recorder:
    """Takes frames of the feed, writes them to the store in batches. `counts`: heard, lost, missed, unreadable."""

    def __init__(self, settings: RecorderSettings, store: History) -> None:
        self.counts: Counter[str] = Counter(heard=0, lost=0, missed=0, unreadable=0)
        self.connected = False
        self._settings = settings
        self._store = store
        self._waiting: deque[frames.Sample] = deque()
        self._writing: Sequence[Sample] = ()
        self._writing_s: float | None = None  # since when
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()
        self._watch = Watch(self.status())

    def status(self) -> dict[str, Any]:
        """How it does, for people and for other processes."""
        said = asdict(self._store.status())
        waiting = len(self._waiting) + len(self._writing)
        return {
            "store": self._settings.store,
            "at": datetime.fromtimestamp(walltime_s(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "fleet": self.connected,
            **self.counts,
            "waiting": waiting,
            **said,
        }

    def trouble(self) -> StoreTrouble | None:
        """What is wrong with the store, in a word for the fleet; asked once a second."""
        return self._watch.look(boottime_s(), self.status(), self._writing_s)

    async def hear(self, feed: AsyncIterator[frames.Frame | FeedLost]) -> None:
        """Take what comes, for ever."""
        async for frame in feed:
            self.connected = not isinstance(frame, FeedLost)
            match frame:
                case frames.Sample():
                    self._take(frame)
                case frames.Missed(samples):
                    self.counts["missed"] += samples
                    log.warning("the fleet could not hand on %d samples: they are missing", samples)
                case FeedLost():
                    log.warning("%s: waiting for it", frame)
                case frames.Beat():
                    pass

    def _take(self, frame: frames.Sample) -> None:
        self.counts["heard"] += 1
        if len(self._waiting) >= self._settings.waiting_samples_max:
            self.counts["lost"] += 1
            return
        self._waiting.append(frame)
        self._none.clear()
        self._some.set()

    async def write(self) -> None:
        """Write what waits, for ever: a batch, and then what has come meanwhile."""
        while True:
            await self._some.wait()
            began_s = boottime_s()
            batch_max = min(len(self._waiting), self._settings.batch_samples_max)
            self._writing = self._decoded([self._waiting.popleft() for _ in range(batch_max)])
            if self._writing:
                self._writing_s = boottime_s()
                await self._store.write(self._writing)
            self._writing, self._writing_s = (), None
            if not self._waiting:
                self._some.clear()
                self._none.set()
            if len(self._waiting) < self._settings.batch_samples_max:
                await asyncio.sleep(max(0.0, self._settings.batch_period_s - (boottime_s() - began_s)))

    def _decoded(self, taken: Sequence[frames.Sample]) -> list[Sample]:
        samples = []
        for frame in taken:
            try:
                said = decode(Channel.TELEMETRY, frame.payload)
                device = device_name(frame.device)
            except (MalformedMessage, NoSuchName):  # the fleet took it; another version of this program would read it
                self.counts["unreadable"] += 1
                continue
            assert isinstance(said, Telemetry)
            samples.append(sample_of(device, said, frame.received_s, frame.wall_s))
        return samples

    async def written(self) -> None:
        """Until nothing waits in memory."""
        await self._none.wait()


def boottime_s() -> float:
    """CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def walltime_s() -> float:
    """Unix time."""
    return time.time()


def run_recorder(settings: RecorderSettings) -> int:
    """Record until SIGTERM or SIGINT; the exit status."""
    try:
        zone = ZoneInfo(load_registry(settings.site_dir).time_zone)
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with not_running(settings.lock_path, "recorder"):
            return asyncio.run(_record(settings, zone))
    except Held as held:
        log.error("this data folder has a recorder already (%s)", held)
        return EXIT_FAILED
    except (BadRegistry, SettingsRefused) as refused:
        log.error("%s", refused)
        return EXIT_REFUSED


async def _record(settings: RecorderSettings, zone: ZoneInfo) -> int:
    if settings.http_port:  # without, what it is served by is not even loaded
        from fleet.recording.metrics import serve_metrics
    store = open_history(settings, zone, walltime_s)
    recorder = Recorder(settings, store)
    word = Word(settings.control_path, recorder.trouble, boottime_s)
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    try:
        async with tell_status(settings.status_path, recorder.status), asyncio.TaskGroup() as group:
            hearing = group.create_task(_hear(recorder, settings), name="feed")
            others = [
                group.create_task(recorder.write(), name="batches"),
                group.create_task(store.run(), name="store"),
                group.create_task(_show_life(), name="signs of life"),
                group.create_task(word.keep_told(), name="word to the fleet"),
            ]
            if settings.http_port:
                serving = serve_metrics(settings.http_host, settings.http_port, recorder.status, walltime_s)
                others.append(group.create_task(serving, name="metrics"))
            log.info("recording: %s", settings.store)
            await asked_to_end.wait()
            notify(os.environ, "STOPPING=1")
            hearing.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDING_S):
                    await recorder.written()
            for task in others:
                task.cancel()
        await word.goodbye()
    finally:
        await store.close()
    left = recorder.status()["waiting"]
    if left:
        log.error("%d samples were not written", left)
    return EXIT_FAILED if left else EXIT_ENDED


async def _hear(recorder: Recorder, settings: RecorderSettings) -> None:
    async with aclosing(follow_feed(settings.feed_path)) as feed:
        await recorder.hear(feed)


async def _show_life() -> None:
    notify(os.environ, "READY=1", "STATUS=recording")
    while True:
        notify(os.environ, "WATCHDOG=1")
        await asyncio.sleep(ALIVE_S)
