"""One fleet instance for one data folder: a lock that the kernel lets go of with the process, however it ends.

The kernel locks the file, not its name: whoever has locked a file that has lost its name locks out nobody.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LIFE_S = 0.5
WHO_BYTES_MAX = 200


class Held(Exception):
    """Another process has the lock; the text says which one."""


class Lost(Exception):
    """The lock's file was removed, and another process holds the one that has the name now; the text says which."""


@dataclass(slots=True)
class Lock:
    """A lock that is held, as `who`."""

    path: Path
    who: str
    _held: int

    def look(self) -> None:
        """Take the lock again if its file has the name no more. Once a second is enough.

        Raises:
            Lost: another process was faster.
            OSError: no file can be made there.
        """
        if _has_the_name(self._held, self.path):
            return
        try:
            held = _taken(self.path)
        except Held as holder:
            raise Lost(f"{holder} holds {self.path}, since the file that was locked there was removed") from None
        os.close(self._held)
        self._held = held
        _say_who(held, self.who)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._held)


@contextmanager
def one_instance(path: Path, waiting: Callable[[], None], alive: Callable[[], None] = lambda: None) -> Iterator[Lock]:
    """Hold the lock at `path`; if another process has it, say so once by `waiting` and wait until it ends.

    While it waits, `alive` is called twice a second: whoever watches this process sees that it does not hang.
    """
    try:
        held = _taken(path)
    except Held:
        waiting()
        held = _waited_for(path, alive)
    with _holding(Lock(path, "fleet service", held)) as lock:
        yield lock


@contextmanager
def not_running(path: Path, who: str) -> Iterator[None]:
    """Hold the lock at `path` as `who`, without waiting for it.

    Raises:
        Held: by another process, which is named.
    """
    with _holding(Lock(path, who, _taken(path))):
        yield


@contextmanager
def _holding(lock: Lock) -> Iterator[Lock]:
    try:
        _say_who(lock._held, lock.who)
        yield lock
    finally:
        lock.close()


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _has_the_name(held: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except FileNotFoundError:
        return False


def _taken(path: Path) -> int:
    """The locked file that has the name.

    Raises:
        Held: by another process, which is named.
    """
    while True:
        held = _opened(path)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(held, WHO_BYTES_MAX, 0).decode(errors="replace").strip()
            os.close(held)
            raise Held(holder or "another process") from None
        if _has_the_name(held, path):
            return held
        os.close(held)


def _waited_for(path: Path, alive: Callable[[], None]) -> int:
    """The locked file that has the name by the time that the lock is free."""
    while True:
        held = _opened(path)
        _wait_for(held, alive)
        if _has_the_name(held, path):
            return held
        os.close(held)


def _say_who(held: int, who: str) -> None:
    """For people only: the kernel alone knows whether somebody holds it. A full disk keeps nobody from leading."""
    with suppress(OSError):
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
