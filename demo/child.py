"""A `stimfleet` command that ends with whoever started it: `python -m demo.child fleet --site-dir ...`.

It asks the kernel for SIGTERM when its parent dies, whatever that died of: a demo leaves nothing behind. By itself, as
a process of its own: between fork and exec, in a parent that has threads, nothing may be done.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from broker.scheduling import ORDINARY_NS, ask_for_turns

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> int:
    """Run the command line; its exit status."""
    from stimfleet import command

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it has just died
        return 1
    _be_nice_to_other_sessions()
    return command()


def _be_nice_to_other_sessions() -> None:
    """Linux shares the processor out among sessions first (sched(7), autogroup): niceness counts inside one only.

    The child begins a session of its own. So what it was given as niceness is said for its session too; systemd, which
    has no sessions, says it by CPUWeight.
    """
    if (nice := os.nice(0)) > 0:
        ask_for_turns(ORDINARY_NS)
        with suppress(OSError):  # a kernel without autogroups
            Path("/proc/self/autogroup").write_text(str(nice))


if __name__ == "__main__":
    sys.exit(main())
