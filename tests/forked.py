"""Our processes, forked from one that has already imported what they are made of, like the fleet's own worker.

To import a service takes half a second of a processor, here once for all of a run. They are processes of their own all
the same: with a session, a log and an environment of their own, killed by real signals, and gone when pytest's is. What
they do not show: how an interpreter starts and ends, and what a module would miss that another one has loaded. That is
shown by tests/faults/test_demo.py and test_killed_again_and_again.py, tests/deploy, tests/test_start.py and
tests/test_readme.py.

So are pytest's workers, from another such process that has collected the tests: to import and collect them takes each
worker 3 s of a processor, and so 1 s (tests/worker.py). They share what was made at collection, the hash seed as well,
and end without `atexit`.
"""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Client, wait
from multiprocessing.reduction import send_handle
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from tempfile import mkdtemp
from threading import RLock
from typing import Final

from demo.processes import Running, begin

ADDRESS: Final = "STIMFLEET_TESTS_FORKING"
"""Where tests/forking.py listens, for all the processes of a run."""
WORKERS: Final = "STIMFLEET_TESTS_WORKERS"
"""Where another one listens, that has collected the tests, for the workers of the run."""
STREAMS: Final = (0, 1, 2)


def _own(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in {ADDRESS, WORKERS}}


@dataclass(frozen=True)
class Asked:
    """What is to be forked: a command of ours with its log, or a program of its own.

    Whoever asks for `streams` sends the standard ones that it is to have, after this.
    """

    words: tuple[str, ...]
    program: str | None = None
    log: str | None = None
    nice: int = 0
    streams: bool = False
    environment: dict[str, str] = field(default_factory=lambda: _own(os.environ))
    folder: str = field(default_factory=os.getcwd)


def begin_forking(known_as: str = ADDRESS, *collected: str) -> str:
    """Where it is asked for; what has not been begun for this run is begun, and ends with this process.

    It has imported what our processes are made of, or has `collected` the tests in these files and folders.
    """
    if known_as not in os.environ:
        folder = mkdtemp(prefix="stimfleet-tests-")  # for nobody else; removed by whoever listens there
        address = f"{folder}/forking"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(address)
            listening.listen()
            forking = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(listening.fileno()), folder, *collected],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                pass_fds=[listening.fileno()],
                start_new_session=True,  # a Ctrl-C is for pytest, and it ends with that
            )
        os.environ[known_as] = address
        atexit.register(_end, forking)
    return os.environ[known_as]


def _end(forking: subprocess.Popen[bytes]) -> None:
    assert forking.stdin is not None
    forking.stdin.close()
    try:
        forking.wait(10.0)
    except subprocess.TimeoutExpired:
        forking.kill()  # and what it has forked dies of that
        forking.wait()


class Forked:
    """What `subprocess.Popen` is of a process that was started by its command. It is killed when this is dropped."""

    def __init__(self, asked: Asked, known_as: str = ADDRESS) -> None:
        self._words = asked.words
        self._connection = Client(begin_forking(known_as))
        self._connection.send(asked)
        for stream in STREAMS if asked.streams else ():
            send_handle(self._connection, stream, None)
        self.pid: Final[int] = self._connection.recv()
        self._status: int | None = None
        self._hearing = RLock()  # how it ended is said once

    def poll(self) -> int | None:
        with self._hearing:
            if self._status is None and self._connection.poll():
                self._status = self._connection.recv()
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        wait([self._connection], timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0.0)
        return status

    def send_signal(self, number: Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(SIGTERM)

    def kill(self) -> None:
        self.send_signal(SIGKILL)


def forked(program: str, *words: str) -> Forked:
    """Start `program`, with `words` behind its name in `sys.argv`."""
    return Forked(Asked(words, program=program))


def begin_forked(words: Sequence[str], log: Path, nice: int, within: Sequence[str]) -> Running:
    """`demo.processes.begin`; what is run within another command cannot be forked."""
    if within:
        return begin(words, log, nice, within)
    log.touch()
    return Forked(Asked(tuple(words), log=str(log), nice=nice))
