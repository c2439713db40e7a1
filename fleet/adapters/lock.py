"""One fleet instance for one data folder: a lock that the kernel lets go of with the process, however it ends."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIFE_S = 0.5
WHO_BYTES_MAX = 200


class Held(Exception):
    """Another process has the lock; the text says which one."""


@contextmanager
def one_instance(path: Path, waiting: Callable[[], None], alive: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock at `path`; if another process has it, say so once by `waiting` and wait until it ends.

    While it waits, `alive` is called twice a second: whoever watches this process sees that it does not hang.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            _wait_for(held, alive)
        _say_who(held, "fleet service")
        yield
    finally:
        os.close(held)


@contextmanager
def not_running(path: Path, who: str) -> Iterator[None]:
    """Hold the lock at `path` as `who`, without waiting for it.

    Raises:
        Held: by another process, which is named.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(held, WHO_BYTES_MAX, 0).decode(errors="replace").strip()
            raise Held(holder or "another process") from None
        _say_who(held, who)
        yield
    finally:
        os.close(held)


def _say_who(held: int, who: str) -> None:
    """For people only: the kernel alone knows whether somebody holds it."""
    os.ftruncate(held, 0)
    os.pwrite(held, f"{who}, process {os.getpid()}\n".encode(), 0)


def _wait_for(held: int, alive: Callable[[], None]) -> None:
    """Take the lock in a thread: it is the open file's, whichever thread asks for it, and this one has to show life."""
    taken = threading.Event()

    def take() -> None:
        fcntl.flock(held, fcntl.LOCK_EX)
        taken.set()

    threading.Thread(target=take, name="lock", daemon=True).start()
    while not taken.wait(LIFE_S):
        alive()
