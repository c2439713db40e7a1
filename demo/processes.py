"""Real processes, started by the commands that a clinic uses, watched, signalled, and ended in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

ENDS_WITHIN_S = 15.0
_ASK_EVERY_S = 0.02
_ASK_EVERY_S_MAX = 0.1

_Answer = TypeVar("_Answer")


class DidNotHappen(TimeoutError):
    """Something that had to happen did not in its time. The text says what, and what the logs said last."""


def await_that(what: str, ask: Callable[[], _Answer | None], within_s: float, hint: Callable[[], str] = str) -> _Answer:
    """The first answer of `ask` that is neither None nor False.

    It is asked less often the longer it takes: the answer comes late by 20 ms in the first 0.4 s, then by a twentieth
    of the wait, and by 0.1 s at most.

    Raises:
        DidNotHappen: none came within `within_s` seconds; `hint()` is added to the text.
    """
    began_s = time.monotonic()
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        waited_s = time.monotonic() - began_s
        if waited_s > within_s:
            raise DidNotHappen(f"within {within_s:g} s: {what}. {hint()}".rstrip())
        time.sleep(min(max(_ASK_EVERY_S, waited_s / 20), _ASK_EVERY_S_MAX))


class Running(Protocol):
    """A process that was started: as much of `subprocess.Popen` as is asked of it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: signal.Signals) -> None: ...


def begin(words: Sequence[str], log: Path, nice: int, within: Sequence[str]) -> Running:
    """Start `stimfleet` with these words, by an interpreter of its own."""
    with log.open("ab") as said:
        return subprocess.Popen(
            ["nice", f"-n{nice}", *within, sys.executable, "-m", "demo.child", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # a Ctrl-C at the terminal is passed on by whoever ends us, in order
        )


class Process:
    """One `stimfleet` command as a process of its own. Its output goes to `log`.

    A command that is only known when it starts (a port that another process has chosen) is given as a callable.

    `within` is a command that it is started by, one that ends in running what stands behind it.

    `nice` gives it so much less of the processor than the others get.

    It gets SIGTERM when the process that started it dies, whatever that died of: a demo leaves nothing behind.
    """

    begin = staticmethod(begin)  # how each is started; tests fork theirs

    def __init__(
        self,
        name: str,
        command: Sequence[str] | Callable[[], Sequence[str]],
        log: Path,
        nice: int = 0,
        within: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._nice = nice
        self._within = within
        self.log = log
        self._command = command if callable(command) else lambda: command
        self._running: Running | None = None

    @property
    def pid(self) -> int:
        if self._running is None:
            raise DidNotHappen(f"{self.name} was not started")
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    @property
    def was_started(self) -> bool:
        return self._running is not None

    def start(self) -> None:
        if self.alive:
            raise AssertionError(f"{self.name} is running")
        self._running = Process.begin(self._command(), self.log, self._nice, self._within)

    def send(self, number: signal.Signals) -> None:
        if self._running is not None:
            self._running.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        if self._running is not None:
            self._running.wait()

    def wait(self, within_s: float) -> int | None:
        """Its exit status once it has ended; None if it has not within `within_s`."""
        if self._running is None:
            return None
        try:
            return self._running.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> str | None:
        """End it with SIGTERM. None when it went cleanly, else what was wrong."""
        if self._running is None:
            return None
        if (status := self._running.poll()) is not None:
            return self._complaint("had ended by itself", status)
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        status = self.wait(ENDS_WITHIN_S)
        if status is None:
            self.kill()
            return f"{self.name} did not end within {ENDS_WITHIN_S:g} s and was killed; see {self.log}"
        return None if status == 0 else self._complaint("ended badly", status)

    def last_words(self, lines: int = 3) -> str:
        """The end of its log, for an error message."""
        said = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return f"{self.name} said last: " + (" / ".join(said[-lines:]) or "nothing")

    def _complaint(self, what: str, status: int) -> str:
        return f"{self.name} {what} (status {status}); {self.last_words()}"
