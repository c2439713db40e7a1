"""Our processes, forked from one that has already imported what they are made of, like the fleet's own worker.

To import a service takes half a second of a processor, here once for all of a run. They are processes of their own all
the same: with a session, a log and an environment of their own, killed by real signals, and gone when pytest's is. What
they do not show: how an interpreter starts and ends, and what a module would miss that another one has loaded. That is
shown by tests/faults/test_demo.py and test_killed_again_and_again.py, tests/deploy, tests/test_start.py and
tests/test_readme.py.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from io import TextIOWrapper
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import SIGKILL, Signals
from threading import RLock
from typing import Any

from demo import child
from demo.processes import Running, begin

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.warm"])
_ASKING = RLock()  # whether one has ended is asked by a read that only one may do
_started: list["Forked"] = []


def forked(program: str, *words: str) -> ForkServerProcess:
    """Start `program`, with `words` behind its name in `sys.argv`."""
    process = _CONTEXT.Process(target=_run, args=(program, words, *_here()), daemon=True)
    with _ASKING:
        process.start()
    return process


def _run(program: str, words: tuple[str, ...], environment: dict[str, str], folder: str) -> None:
    _be_elsewhere(environment, folder)
    sys.argv[1:] = words
    exec(program, {"__name__": "__main__"})  # noqa: S102 # a test's own


class Forked:
    """What `subprocess.Popen` is of a process that was started by its command."""

    def __init__(self, words: Sequence[str], log: Path, nice: int) -> None:
        log.touch()
        self._process = _CONTEXT.Process(target=_command, args=(tuple(words), str(log), nice, *_here()), daemon=True)
        with _ASKING:
            self._process.start()
        _started.append(self)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with _ASKING:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        wait([self._process.sentinel], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return status

    def send_signal(self, number: Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def begin_forked(words: Sequence[str], log: Path, nice: int, within: Sequence[str]) -> Running:
    """`demo.processes.begin`; what is run within another command cannot be forked."""
    return begin(words, log, nice, within) if within else Forked(words, log, nice)


@atexit.register
def _kill_what_is_left() -> None:
    """What a failed test has left, stopped or deaf: multiprocessing would ask it to end, and wait for ever."""
    for one in _started:
        one.send_signal(SIGKILL)


def _command(words: tuple[str, ...], log: str, nice: int, *here: Any) -> None:
    """What the kernel, `nice` and a new interpreter would do before `demo.child` begins, and that."""
    os.setsid()
    os.nice(nice)
    _be_elsewhere(*here)
    for numbers, name, flags in (
        ((0,), os.devnull, os.O_RDONLY),
        ((1, 2), log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ):
        opened = os.open(name, flags, 0o666)
        for number in numbers:
            os.dup2(opened, number)
        os.close(opened)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(write_through=True)
    sys.argv[1:] = words
    sys.exit(child.main())


def _here() -> tuple[dict[str, str], str]:
    return dict(os.environ), str(Path.cwd())


def _be_elsewhere(environment: dict[str, str], folder: str) -> None:
    """In the environment and folder of whoever asked for the fork, and not one of those that keep the server alive."""
    os.close(vars(forkserver._forkserver)["_forkserver_alive_fd"])
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
