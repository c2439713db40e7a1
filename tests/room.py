"""Room on the machine for one more: a worker of a run waits for it before it begins something new.

Where the processors are busy anyway little is gained by more of them at once, and what has to be in time is late. How
many fit depends on how fast the machine is just now. So it is looked at and not reckoned: what one gets of a processor.
"""

import fcntl
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

DOOR = Path(__file__)
"""Whoever has it locked is the one who looks, of those that need much."""
ROOM: Final = 0.4
"""What one has to get of a processor: of two, with four others that want one."""
LONGEST_S: Final = 60.0
"""Whoever has looked for so long begins all the same."""
IN_VAIN: Final = 3
"""So often a worker looks for so long: after that the machine is taken to be busy with something else."""
SHOWS_S: Final = 4.0
"""What was begun before is seen by then: its clinic opens."""
LOOKS: Final = 5
LOOKS_EVERY_S: Final = 0.2
SPINS_S: Final = 0.01
"""[s of processor] One look: longer than the turn that the kernel gives to whoever has slept."""


class Patience:
    """Of one worker."""

    def __init__(self) -> None:
        self._in_vain = 0

    def await_room(self, *, much: bool) -> None:
        """Return when there is room, or it was looked for in vain.

        `much`: for what opens a clinic. Those go one after the other, and each sees what the one before takes.
        """
        if self._in_vain == IN_VAIN:
            return
        with DOOR.open("rb") as door:
            if much:
                with suppress(OSError):  # a file system that knows no locks
                    fcntl.flock(door, fcntl.LOCK_EX)
                time.sleep(SHOWS_S)  # it can be seen in nothing else
            if not _comes(LOOKS if much else 1):
                self._in_vain += 1


def _comes(looks: int) -> bool:
    give_up_s = time.monotonic() + LONGEST_S
    while statistics.median(_look() for _ in range(looks)) < ROOM:
        if time.monotonic() >= give_up_s:
            return False
    return True


def _look() -> float:
    """What one gets of a processor."""
    time.sleep(LOOKS_EVERY_S)  # it is looked at over some time
    began_s, ends_s = time.monotonic(), time.thread_time() + SPINS_S
    while time.thread_time() < ends_s:
        pass
    return SPINS_S / (time.monotonic() - began_s)
