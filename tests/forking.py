"""The process from which the tests' processes are forked: it has imported all that they load, once for a whole run.

    python -m tests.forking LISTENING        the number of a socket that listens already

A connection is a process: what is to run comes in, its number goes out, and how it ended. The process is killed when
its connection is closed, for then nobody waits for it; and all are when this one's standard input ends, which is held
by whoever began the run. So none is left behind, whatever pytest died of.
"""

import gc
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import TextIOWrapper
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Final

import agents.agent
import agents.simulation.bench
import demo.simulate
import fleet.api.application
import fleet.commands.recorder
import fleet.recording.metrics
import fleet.recording.recorder
import fleet.web
import stimfleet
from broker.mosquitto import running
from demo import child
from fleet import service, supervisor
from fleet.adapters.history import embedded, embedded_reading, influx
from fleet.adapters.notify import apprise_url
from fleet.paging import pager
from tests.forked import Asked

__all__ = ["agents", "demo", "embedded", "embedded_reading", "fleet", "influx", "pager", "running", "supervisor"]

_CONTEXT: Final = multiprocessing.get_context("fork")  # nothing here has threads
STDIN: Final = 0


class Server:
    """What runs, by the connection of whoever asked for it."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._processes: dict[Connection, ForkProcess] = {}
        self._ends: dict[int, Connection] = {}  # by the pidfd, and not by a pipe: that would end with an exec, too

    def serve(self) -> None:
        """Until whoever began the run is gone."""
        while STDIN not in (ready := wait([STDIN, self._listening, *self._processes, *self._ends])):
            for one in ready:
                if one is self._listening:
                    self._begin(Connection(self._listening.accept()[0].detach()))
                elif isinstance(one, Connection):
                    self._end(one)
                elif isinstance(one, int):
                    self._tell(one)
        for connection in list(self._processes):
            self._end(connection)

    def _begin(self, connection: Connection) -> None:
        try:
            asked: Asked = connection.recv()
        except EOFError:
            connection.close()
            return
        others = [self._listening.close, connection.close, *(other.close for other in self._processes)]
        process = _CONTEXT.Process(target=_run, args=(asked, others))
        process.start()
        assert process.pid is not None
        self._processes[connection] = process
        self._ends[os.pidfd_open(process.pid)] = connection
        with suppress(BrokenPipeError):  # nobody waits: the connection says so, too
            connection.send(process.pid)

    def _tell(self, end: int) -> None:
        """How it has ended."""
        connection = self._ends.pop(end)
        os.close(end)
        if (process := self._processes.get(connection)) is not None:
            process.join()
            with suppress(BrokenPipeError):
                connection.send(process.exitcode)

    def _end(self, connection: Connection) -> None:
        """Nobody waits for it any more."""
        process = self._processes.pop(connection)
        process.kill()
        process.join()
        connection.close()


def _run(asked: Asked, others: list[Callable[[], None]]) -> None:
    """Run it in the environment and folder of whoever asked, with nothing of the server's open."""
    for close in others:
        close()
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    os.chdir(asked.folder)
    sys.argv[1:] = asked.words
    _take((STDIN,), os.devnull, os.O_RDONLY)
    if asked.program is not None:
        exec(asked.program, {"__name__": "__main__"})  # noqa: S102 # a test's own
        return
    os.setsid()
    os.nice(asked.nice)
    if asked.log is not None:
        _take((1, 2), asked.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(write_through=True)
    sys.exit(child.main())


def _take(numbers: Iterable[int], path: str, flags: int) -> None:
    opened = os.open(path, flags, 0o666)
    for number in numbers:
        os.dup2(opened, number)
    os.close(opened)


def main() -> None:
    stimfleet.parser()
    service.warm_up()
    apprise_url.warm_up()
    gc.freeze()
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
