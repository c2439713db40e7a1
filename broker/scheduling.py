"""Asking the kernel for short turns of the processor: for what has to answer within milliseconds of being woken.

Linux (EEVDF, since 6.12) lets whoever runs finish a turn of some milliseconds before it looks at who was woken; one
that has asked for shorter turns than the other's goes first. It gets no larger share for it and needs no privilege, and
whatever is started from here on, threads and processes, has it too. An older kernel takes the wish and does not act.
"""

import ctypes
import os
import platform
import struct
from typing import Final

SHORT_NS: Final = 100_000
"""The shortest turn that the kernel grants."""
ORDINARY_NS: Final = 0
"""The kernel's own, for whoever was started by somebody with short ones."""

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}  # asm/unistd.h; glibc has a name for it only since 2.41
_SCHED_ATTR: Final = struct.Struct("=IIQiIQQQ")  # linux/sched/types.h: its size, policy, flags, nice, then runtime [ns]


def ask_for_turns(turn_ns: int = SHORT_NS, pid: int = 0) -> bool:
    """For this thread, or for a process; whether the kernel took the wish.

    It is left alone where somebody gave it another policy than the ordinary one, say a unit of systemd a real-time one.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    try:
        if number is None or os.sched_getscheduler(pid) != os.SCHED_OTHER:
            return False
        nice = os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:  # the process is gone, or a container forbids to ask: a mere wish keeps nobody from starting
        return False
    asked = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, turn_ns, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, pid, ctypes.c_char_p(asked), 0) == 0)
