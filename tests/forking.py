"""The process from which the tests' processes are forked: it has imported all that they load, once for a whole run.

    python -m tests.forking LISTENING FOLDER [TESTS...]     a socket that listens already, and the folder it is in

With tests that it has collected, the workers that run them are forked from it; else what a clinic is made of.

A connection is a process: what is to run comes in, its number goes out, and how it ended. The process is killed when
its connection is closed, for then nobody waits for it; and all are when this one's standard input ends, which is held
by whoever began the run. So none is left behind, whatever pytest died of.
"""

import ctypes
import gc
import multiprocessing
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import TextIOWrapper
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from multiprocessing.reduction import recv_handle
from pathlib import Path
from signal import SIGKILL
from typing import Final

import pytest

from tests.forked import STREAMS, Asked

SERVICES: Final = (
    "agents.agent",
    "agents.simulation.bench",
    "broker.mosquitto.running",
    "demo.child",
    "demo.simulate",
    "fleet.adapters.history.embedded",
    "fleet.adapters.history.embedded_reading",
    "fleet.adapters.history.influx",
    "fleet.api.application",
    "fleet.commands.recorder",
    "fleet.paging.pager",
    "fleet.recording.metrics",
    "fleet.recording.recorder",
    "fleet.supervisor",
    "fleet.web",
)
"""What a clinic's processes load. Not with the tests: pytest has its plugins loaded before what they rewrite."""

_CONTEXT: Final = multiprocessing.get_context("fork")  # nothing here has threads
STDIN: Final = 0
ALONE: Final = ("-n", "0", "--no-cov", "-p", "no:cacheprovider")  # whatever anybody has configured
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class Server:
    """What has been asked for and runs, by the connection of whoever asked."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._new: set[Connection] = set()
        self._processes: dict[Connection, ForkProcess] = {}
        self._ends: dict[int, Connection] = {}  # by the pidfd, and not by a pipe: that would end with an exec, too

    def serve(self) -> None:
        """Until whoever began the run is gone."""
        try:
            while STDIN not in (ready := wait([STDIN, self._listening, *self._new, *self._processes, *self._ends])):
                for one in ready:
                    if one is self._listening:
                        self._new.add(Connection(self._listening.accept()[0].detach()))
                    elif isinstance(one, Connection):
                        self._hear(one)
                    elif isinstance(one, int):
                        self._tell(one)
        finally:
            self._listening.close()
            for connection in list(self._processes):
                self._end(connection)

    def _hear(self, connection: Connection) -> None:
        """What is asked for; or, of one that runs, that nobody waits for it any more."""
        if connection in self._processes:
            self._end(connection)
            return
        self._new.remove(connection)
        try:
            self._begin(connection, connection.recv())
        except (EOFError, OSError):  # whoever asked is gone, or the kernel gives no process: they hear its end
            connection.close()

    def _begin(self, connection: Connection, asked: Asked) -> None:
        streams = [recv_handle(connection) for _ in STREAMS] if asked.streams else []
        try:
            arguments = (asked, streams, self._close, connection)
            process = _CONTEXT.Process(target=_run, args=arguments, daemon=not streams)  # a worker may have children
            process.start()
        finally:
            for stream in streams:
                os.close(stream)
        assert process.pid is not None
        self._ends[os.pidfd_open(process.pid)] = connection
        self._processes[connection] = process
        with suppress(BrokenPipeError):  # nobody waits: the connection says so, too
            connection.send(process.pid)

    def _tell(self, end: int) -> None:
        """How it has ended; then all is said, and whoever else waits for it hears that."""
        connection = self._ends.pop(end)
        os.close(end)
        if (process := self._processes.pop(connection, None)) is not None:
            process.join()
            with suppress(BrokenPipeError):
                connection.send(process.exitcode)
            connection.close()

    def _end(self, connection: Connection) -> None:
        process = self._processes.pop(connection)
        process.kill()
        process.join()
        connection.close()

    def _close(self) -> None:
        """In what was forked: nothing of all this is its own."""
        self._listening.close()
        for connection in (*self._new, *self._processes):
            connection.close()
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _run(asked: Asked, streams: Sequence[int], close: Callable[[], None], connection: Connection) -> None:
    """Run it as the kernel, `nice` and a new interpreter would, in the environment and folder of whoever asked."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    for number, taken in enumerate(streams):
        os.dup2(taken, number)
    connection.close()
    close()
    os.setsid()
    os.nice(asked.nice)
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    os.chdir(asked.folder)
    sys.argv[1:] = asked.words
    if streams:
        sys.stdin = open(STDIN, closefd=False)  # noqa: SIM115 # multiprocessing has closed it
    else:
        _take((STDIN,), os.devnull, os.O_RDONLY)
    if asked.log is not None:
        _take((1, 2), asked.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(write_through=True)
    _execute(asked)


def _execute(asked: Asked) -> None:
    if asked.program is None:
        sys.exit(import_module("demo.child").main())
    exec(asked.program, {"__name__": "__main__"})  # noqa: S102 # a test's own


# CPython has the frames of a thread in chunks of 16 KB, and a call at the end of one maps the next: again and again,
# where that is what a loop calls. From a frame as large as this, half of a chunk of 512 KB, what is called in this
# thread stays within the other half.
_execute.__code__ = _execute.__code__.replace(co_stacksize=2**15)


def _take(numbers: Iterable[int], path: str, flags: int) -> None:
    opened = os.open(path, flags, 0o666)
    for number in numbers:
        os.dup2(opened, number)
    os.close(opened)


def _load() -> None:
    for service in SERVICES:
        import_module(service)
    import_module("stimfleet").parser()
    for warm in ("fleet.service", "fleet.adapters.notify.apprise_url"):
        import_module(warm).warm_up()


class _Collected:
    """Whether every file that was collected is whole. Python keeps of a module what came before its error."""

    whole = True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.whole &= report.passed


def _collect(tests: Sequence[str]) -> None:
    """Import them as pytest does, and say nothing: what is wrong with one of them is said by whoever runs it.

    Raises:
        SystemExit: something is, and no worker is to take what is left of it for the whole.
    """
    collected = _Collected()
    os.environ.pop("PYTEST_ADDOPTS", None)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        status = pytest.main([*ALONE, "--collect-only", *tests], [collected])
    if status != pytest.ExitCode.OK or not collected.whole:
        raise SystemExit


def main() -> None:
    listening, folder, *tests = sys.argv[1:]
    try:
        if tests:
            _collect(tests)
        else:
            _load()
        gc.freeze()
        Server(socket.socket(fileno=int(listening))).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
