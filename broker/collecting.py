"""When the interpreter looks for objects that only keep each other: seldom, and not once more at the end.

A start makes a hundred thousand objects (modules, classes, validators) that stay until the end. By default the
collector looks at them over and over while they are made, and again while the process ends: a third of the processor
time of a short command (docs/decisions/2026-11-26-start.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

COLLECT_AFTER: Final = (5_000, 20, 10)  # by default 700, 10 and 10


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """For the whole life of a process: what is alive at its end is not looked at again, the kernel takes it back."""
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.freeze()


@contextmanager
def loading() -> Iterator[None]:
    """While a process loads what it works with until its end: nothing is looked for, and none of it is looked at later.

    Nothing is frozen where somebody else's process is only used for a command: a test's.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_threshold()[:2] == COLLECT_AFTER[:2]:
            gc.freeze()
        if looked:
            gc.enable()
