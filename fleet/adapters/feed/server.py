"""The feed's writing end, in the fleet's loop: it never waits for a reader, and costs next to nothing without one.

What comes within `FLUSH_S` is written at once. A reader that does not keep up loses what does not fit and is told how
much, before the next that it gets: a gap is a gap, and never delays a verdict.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from broker.unix_sockets import place_for, take_away
from fleet.adapters.feed.frames import beat_frame, missed_frame, sample_frame

log = logging.getLogger(__name__)
FLUSH_S = 0.05
BEAT_S = 1.0
WAITING_BYTES_MAX = 4 * 1024 * 1024  # for one reader; some seconds of 5,000 samples a second
READERS_MAX = 8


class Feed:
    """Takes samples, hands them on. `missed` counts what slow readers were not given."""

    def __init__(self, boottime: Callable[[], float]) -> None:
        self.missed = 0
        self._boottime = boottime
        self._readers: list[_Reader] = []
        self._frames: list[bytes] = []
        self._flushing: asyncio.TimerHandle | None = None

    @property
    def readers(self) -> int:
        return len(self._readers)

    def sample(self, device: str, payload: bytes, received_s: float, wall_s: float) -> None:
        """Hand on a telemetry message that was taken in."""
        if not self._readers:
            return
        self._frames.append(sample_frame(device, received_s, wall_s, payload))
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    @asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[None]:
        """Let readers in at `path` while the context is open.

        Raises:
            OSError: the path cannot be bound.
        """
        loop = asyncio.get_running_loop()
        with place_for(path):
            listening = await loop.create_unix_server(lambda: _Reader(self._joined, self._left), path)
        try:
            yield
        finally:
            listening.close()
            for reader in tuple(self._readers):
                reader.transport.abort()
            if self._flushing is not None:
                self._flushing.cancel()
            take_away(path)

    async def beats(self) -> None:
        """Say once a second that the fleet is there."""
        while True:
            for reader in self._readers:
                reader.give([beat_frame(self._boottime())], samples=0)
            await asyncio.sleep(BEAT_S)

    def _flush(self) -> None:
        frames, self._frames, self._flushing = self._frames, [], None
        for reader in self._readers:
            self.missed += reader.give(frames, samples=len(frames))

    def _joined(self, reader: "_Reader") -> None:
        if len(self._readers) >= READERS_MAX:
            log.error("the feed has %d readers already: one more is not let in", READERS_MAX)
            reader.transport.abort()
            return
        self._readers.append(reader)

    def _left(self, reader: "_Reader") -> None:
        if reader in self._readers:
            self._readers.remove(reader)


class _Reader(asyncio.Protocol):
    """One who reads along, and has nothing to say."""

    def __init__(self, joined: Callable[["_Reader"], None], left: Callable[["_Reader"], None]) -> None:
        self._joined = joined
        self._left = left
        self._missed = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._left(self)

    def data_received(self, data: bytes) -> None:
        self.transport.abort()

    def give(self, frames: list[bytes], samples: int) -> int:
        """Write them all, or none; how many samples it was not given."""
        if self.transport.get_write_buffer_size() + sum(map(len, frames)) > WAITING_BYTES_MAX:
            self._missed += samples
            return samples
        if self._missed:
            frames = [missed_frame(self._missed), *frames]
            self._missed = 0
        self.transport.write(b"".join(frames))
        return 0
