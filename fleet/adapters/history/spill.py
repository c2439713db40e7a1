"""What waits on disk for a store that is down: batches in the order in which they came, given back in the same.

A batch that `append` has returned for is on the disk. Files are 16 MB at most, and dropped when all that is in them has
been sent; a process that dies sends the rest of the present one again, which writes no point twice. Half a batch at the
end of a file was never confirmed and is left out. Nothing is written behind what could not be taken back: then the next
batch begins a file. What was confirmed and cannot be read any more is set aside, and said.
"""

import logging
import os
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from fleet.adapters.history.folders import make_folder, sync_folder
from fleet.adapters.history.port import HistoryRefuses

log = logging.getLogger(__name__)
FILE_BYTES_MAX = 16 * 1024 * 1024
# length of the lines, samples in them, the oldest of them (Unix time), checksum of the lines
_HEAD = struct.Struct("<IIdI")


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines for the store. `oldest_s`: when the first of its samples was taken, Unix time."""

    lines: bytes
    samples: int
    oldest_s: float


class Spill:
    """The waiting batches of a folder; one thread's at a time. `samples` is how many wait, in `size_bytes`."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        """Find what an earlier process left.

        Raises:
            OSError: the folder cannot be used.
        """
        make_folder(folder)
        self._folder = folder
        self._bytes_max = bytes_max
        self._files: deque[Path] = deque(sorted(folder.glob("*.spill")))
        self._next = 1 + max((int(path.stem) for path in self._files), default=0)
        self._ends: dict[Path, int] = {}  # where what is confirmed ends, in files that could not be shortened
        self._writing: BinaryIO | None = None
        self._reading: BinaryIO | None = None
        self._head: Batch | None = None
        self.samples = 0
        self.size_bytes = 0
        for path in tuple(self._files):
            self._take_in(path)

    def _take_in(self, path: Path) -> None:
        with path.open("rb") as file:
            while (batch := _read(file)) is not None:
                self.samples += batch.samples
                self.size_bytes += _HEAD.size + len(batch.lines)

    def append(self, batch: Batch) -> None:
        """Put a batch at the end.

        Raises:
            OSError: the disk refuses; nothing was put there.
            HistoryRefuses: there is more than may wait.
        """
        frame = _HEAD.pack(len(batch.lines), batch.samples, batch.oldest_s, crc32(batch.lines)) + batch.lines
        if self.size_bytes + len(frame) > self._bytes_max:
            raise HistoryRefuses(f"{self.samples} samples wait for the store, which is all that may")
        file = self._file_with_room(len(frame))
        begin = file.tell()
        try:
            _write(file, frame)
            os.fsync(file.fileno())
        except OSError:
            self._take_back(file, begin)
            raise
        self.samples += batch.samples
        self.size_bytes += len(frame)

    def _take_back(self, file: BinaryIO, begin: int) -> None:
        """What was written behind `begin` was never confirmed."""
        try:
            os.ftruncate(file.fileno(), begin)
            file.seek(begin)
        except OSError as error:
            log.error("%s cannot be shortened (%s): another is begun", self._files[-1].name, error.strerror)
            self._ends[self._files[-1]] = begin
            self._writing = None
            with suppress(OSError):
                file.close()

    def head(self) -> Batch | None:
        """The batch that is next; None: nothing waits.

        Raises:
            OSError: the disk refuses.
        """
        while self._head is None and self._files:
            if self._reading is None:
                self._reading = self._files[0].open("rb")
            end = self._ends.get(self._files[0])
            self._head = None if end is not None and self._reading.tell() >= end else _read(self._reading)
            if self._head is None and (len(self._files) > 1 or self.samples == 0):
                self._drop_first()
            elif self._head is None:
                self._give_up_last()
        return self._head

    @property
    def peeked(self) -> Batch | None:
        """The batch that is next, where it has been looked at."""
        return self._head

    def sent(self) -> None:
        """The batch that was next has been sent."""
        assert self._head is not None
        self.samples -= self._head.samples
        self.size_bytes -= _HEAD.size + len(self._head.lines)
        self._head = None
        if self.samples == 0:
            while self._files:
                self._drop_first()

    def close(self) -> None:
        """Let go of the files; what waits, waits."""
        for file in (self._reading, self._writing):
            if file is not None:
                file.close()
        self._reading = self._writing = None

    def _file_with_room(self, size: int) -> BinaryIO:
        if self._writing is None or self._writing.tell() + size > FILE_BYTES_MAX:
            path = self._folder / f"{self._next:012d}.spill"
            file = path.open("xb", buffering=0)  # stays open until it is full
            self._next += 1
            self._files.append(path)
            sync_folder(self._folder)
            if self._writing is not None:
                self._writing.close()
            self._writing = file  # unbuffered: what is not on the disk is known
        assert self._writing is not None
        return self._writing

    def _drop_first(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        path = self._files.popleft()
        self._ends.pop(path, None)
        if not self._files and self._writing is not None:
            self._writing.close()
            self._writing = None
        path.unlink(missing_ok=True)

    def _give_up_last(self) -> None:
        """More waits than can be read: of what was confirmed something is damaged."""
        (path,) = self._files
        beside = path.with_name(f"{path.name}.damaged")
        path.rename(beside)
        log.error("%d samples that waited for the store cannot be read: %s", self.samples, beside.name)
        self.samples = self.size_bytes = 0
        self._drop_first()


def _write(file: BinaryIO, frame: bytes) -> None:
    """All of it: a disk that is nearly full takes a part, and refuses at the next call."""
    rest = memoryview(frame)
    while rest:
        rest = rest[file.write(rest) :]


def _read(file: BinaryIO) -> Batch | None:
    """The next whole batch; None at the end, or where the rest cannot be read."""
    begin = file.tell()
    head = file.read(_HEAD.size)
    if len(head) == _HEAD.size:
        length, samples, oldest_s, checksum = _HEAD.unpack(head)
        lines = file.read(length)
        if len(lines) == length and crc32(lines) == checksum:
            return Batch(lines, samples, oldest_s)
    if head:
        log.warning("%s: what follows byte %d was never confirmed, and is left out", Path(file.name).name, begin)
    file.seek(begin)
    return None
