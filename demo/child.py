"""A `stimfleet` command that ends with whoever started it: `python -m demo.child fleet --site-dir ...`.

It asks the kernel for SIGTERM when its parent dies, whatever that died of: a demo leaves nothing behind. By itself, as
a process of its own: between fork and exec, in a parent that has threads, nothing may be done.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> int:
    """Run the command line; its exit status."""
    from stimfleet import main as stimfleet

    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it has just died
        return 1
    return stimfleet()


if __name__ == "__main__":
    sys.exit(main())
