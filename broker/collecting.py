"""When the interpreter looks for objects that only keep each other: seldom, and never for what a start has made.

A start makes a hundred thousand objects (modules, classes, validators) that stay until the end. By default the
collector looks at them over and over while they are made, and again while the process ends: a third of the processor
time of a short command (docs/decisions/2026-11-26-start.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Samples leave nothing behind for it, and one look at the state of a thousand devices holds up every stop for 0.1 s.
# What does leave cycles (a connection to the control socket: five objects) is found among the youngest, after so many
# objects more, in less than a millisecond.
COLLECT_AFTER: Final = (5_000, 20, 100)


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """For the whole life of a process: what is alive at its end is not looked at again, the kernel takes it back."""
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.freeze()
