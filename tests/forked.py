"""Our processes, forked from one that has already imported what they are made of, like the fleet's own worker.

To import a service takes half a second of a processor, here once for all of a run. They are processes of their own all
the same: with a session, a log and an environment of their own, killed by real signals, and gone when that one goes.
How the commands start from nothing is shown by tests/faults/test_demo.py, tests/deploy, tests/test_start.py and
tests/test_readme.py.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from io import TextIOWrapper
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from signal import Signals

from demo import child
from demo.processes import Running, begin

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.warm"])


def forked(program: str, *words: str) -> ForkServerProcess:
    """Start `program`, with `words` behind its name in `sys.argv`; its environment is that of the first one here."""
    process = _CONTEXT.Process(target=_run, args=(program, words), daemon=True)
    process.start()
    return process


def _run(program: str, words: tuple[str, ...]) -> None:
    sys.argv[1:] = words
    exec(program, {"__name__": "__main__"})  # noqa: S102 # a test's own


class Forked:
    """What `subprocess.Popen` is of a process that was started by its command."""

    def __init__(self, words: Sequence[str], log: Path, nice: int) -> None:
        log.touch()
        given = (tuple(words), str(log), nice, dict(os.environ), str(Path.cwd()))
        self._process = _CONTEXT.Process(target=_command, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return status

    def send_signal(self, number: Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def begin_forked(words: Sequence[str], log: Path, nice: int, within: Sequence[str]) -> Running:
    """`demo.processes.begin`; what is run within another command cannot be forked."""
    return begin(words, log, nice, within) if within else Forked(words, log, nice)


def _command(words: tuple[str, ...], log: str, nice: int, environment: dict[str, str], folder: str) -> None:
    """What the kernel, `nice` and a new interpreter would do before `demo.child` begins, and that."""
    os.setsid()
    os.nice(nice)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
        (2, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ):
        os.dup2(os.open(name, flags, 0o666), number)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(write_through=True)
    sys.argv[1:] = words
    sys.exit(child.main())
