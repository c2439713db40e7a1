"""Room on the machine for one more: a worker of a run waits for it before it begins something new.

Where the processors are busy anyway nothing is gained by more of them at once, and what has to be in time is late. How
many fit depends on how fast the machine is just now. So it is looked at and not reckoned: what one gets of a processor.
"""

import fcntl
import statistics
import time
from pathlib import Path
from typing import Final

DOOR = Path(__file__)
"""Whoever has it locked is the one who looks."""
ROOM: Final = 0.4
"""What one has to get of a processor: of two, with four others that want one."""
LONGEST_S: Final = 60.0
"""Whoever has waited so long begins all the same: the machine may be busy with something else."""
SHOWS_S: Final = 1.0
"""By then it is seen what has been begun: it opens a clinic, or computes."""
LOOKS: Final = 3
LOOKS_EVERY_S: Final = 0.2
SPINS_S: Final = 0.01
"""[s of processor] One look: longer than the turn that the kernel gives to whoever has slept."""


def await_room(*, much: bool) -> None:
    """Return when there is room, after a minute at most.

    `much`: for what opens a clinic. Those go one after the other, and each sees what the one before it takes.
    """
    give_up_s = time.monotonic() + LONGEST_S
    with DOOR.open("rb") as door:
        while much and not _is_first(door.fileno()):
            if time.monotonic() > give_up_s:
                return
            time.sleep(LOOKS_EVERY_S)  # another process has it: it can only be asked again
        if much:
            time.sleep(SHOWS_S)  # what the one before does is seen in nothing else
        while _share(LOOKS if much else 1) < ROOM and time.monotonic() < give_up_s:
            pass


def _is_first(door: int) -> bool:
    try:
        fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _share(looks: int) -> float:
    """What one gets of a processor: the median of some looks."""
    return statistics.median(_look() for _ in range(looks))


def _look() -> float:
    time.sleep(LOOKS_EVERY_S)  # it is looked at over some time
    began_s, ends_s = time.monotonic(), time.thread_time() + SPINS_S
    while time.thread_time() < ends_s:
        pass
    return SPINS_S / (time.monotonic() - began_s)
