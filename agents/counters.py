"""What an agent has sent and been granted, counted where no SIGKILL can take it back.

A small file of counters, mapped into memory: what was counted before a kill is in the file, without a write for each
count. For reports only, nothing is decided by it; it does not survive a power cut for certain, and a file that is none
is begun anew. Control loop and event loop count, and neither may wait for a disk: the file belongs on a memory file
system, or into a simulation, and an agent that is not told of one counts nothing.

    8 bytes MAGIC, then unsigned 64-bit numbers: telemetry_published, leases, and leases by the margin that was left
    when they arrived, in steps of 20 ms from 0 (what had run out counts as 0)
"""

import contextlib
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
        path.touch(mode=0o600)
        if _numbers(path.read_bytes()) is None:
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
    with contextlib.suppress(FileNotFoundError):
        if (numbers := _numbers(path.read_bytes())) is not None:
            return Counted(numbers[_TELEMETRY], numbers[_LEASES], numbers[_FIRST_MARGIN:])
    return Counted()


def _numbers(raw: bytes) -> tuple[int, ...] | None:
    if len(raw) != _SIZE or not raw.startswith(_MAGIC):
        return None
    return struct.unpack_from(f"<{_NUMBERS}Q", raw, len(_MAGIC))
