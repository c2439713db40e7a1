"""What an agent has sent and been granted, counted where no SIGKILL can take it back.

A small file of counters, mapped into memory: what was counted before a kill is in the file, without a write for each
count. For reports only, nothing is decided by it; it does not survive a power cut for certain. Counters that are
damaged are begun anew; a file of something else is left as it is, and refused. Control loop and event loop count, and
neither may wait for a disk: the file belongs on a memory file system, or into a simulation, and an agent that is not
told of one counts nothing.

    8 bytes MAGIC, then unsigned 64-bit numbers: telemetry_published, leases, and leases by the margin that was left
    when they arrived, in steps of 20 ms from 0 (what had run out counts as 0)
"""

import errno
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = "counters"
MARGIN_STEP_S: Final = 0.02
_MAGIC: Final = b"STIMCNT1"
_MARGINS: Final = 512  # up to 10 s, the longest lease
_TELEMETRY, _LEASES, _FIRST_MARGIN = range(3)
_NUMBERS: Final = _FIRST_MARGIN + _MARGINS
_SIZE: Final = len(_MAGIC) + 8 * _NUMBERS


@dataclass(frozen=True, slots=True)
class Counted:
    """What a file says. `margins`: how many leases, but a session's first, left how many steps of MARGIN_STEP_S."""

    telemetry_published: int = 0
    leases: int = 0
    margins: tuple[int, ...] = (0,) * _MARGINS


class NotCounted:
    """An agent that was told of no file."""

    def published(self) -> None:
        """Nobody wants to know."""

    def leased(self, margin_s: float | None) -> None:
        """Nor this."""

    def close(self) -> None:
        """Nothing is open."""


class Counters(NotCounted):
    """One agent's counters. Each number is counted up in one thread only."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError: the file cannot be kept, or holds something else and is left as it is."""
        raw = _head(path)
        if raw and not raw.startswith(_MAGIC):
            raise FileExistsError(errno.EEXIST, "it is a file of something else; name another one")
        if _numbers(raw) is None:
            path.touch(mode=0o600)
            path.write_bytes(_MAGIC.ljust(_SIZE, b"\0"))
        with path.open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), _SIZE)

    def published(self) -> None:
        """A sample is handed to the connection, live or late, perhaps for the second time: each is one message."""
        self._count(_TELEMETRY)

    def leased(self, margin_s: float | None) -> None:
        """A lease has extended permission; None: it was the session's first."""
        self._count(_LEASES)
        if margin_s is not None:
            self._count(_FIRST_MARGIN + min(max(0, int(margin_s / MARGIN_STEP_S)), _MARGINS - 1))

    def close(self) -> None:
        self._numbers.close()

    def _count(self, number: int) -> None:
        offset = len(_MAGIC) + 8 * number
        (count,) = struct.unpack_from("<Q", self._numbers, offset)
        struct.pack_into("<Q", self._numbers, offset, count + 1)


def read_counters(path: Path) -> Counted:
    """What has been counted so far; nothing where there is no such file."""
    numbers = _numbers(_head(path))
    if numbers is None:
        return Counted()
    return Counted(numbers[_TELEMETRY], numbers[_LEASES], numbers[_FIRST_MARGIN:])


def _head(path: Path) -> bytes:
    """As much as tells whether these are counters; nothing where there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(_SIZE + 1)
    except FileNotFoundError:
        return b""


def _numbers(raw: bytes) -> tuple[int, ...] | None:
    if len(raw) != _SIZE or not raw.startswith(_MAGIC):
        return None
    return struct.unpack_from(f"<{_NUMBERS}Q", raw, len(_MAGIC))
