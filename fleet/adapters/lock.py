"""One fleet instance for one data folder: a lock that the kernel lets go of with the process, however it ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_instance(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock at `path`; if another process has it, say so once by `waiting` and wait until it ends."""
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
