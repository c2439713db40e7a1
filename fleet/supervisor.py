"""The small process above the fleet service: it has imported everything that the service needs, and forks it.

A worker that is killed is forked again at once: no interpreter to start, nothing to import (docs/decisions/
2026-11-22-restart.md has the figures). For that the supervisor has no threads, no event loop and no connection: a fork
of it is as good as a fresh process. A worker that hangs is killed. If the supervisor dies, the kernel kills the worker;
two fleets never run because one was orphaned.
"""

import ctypes
import gc
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from broker.scheduling import ask_for_turns
from fleet import service
from fleet.adapters.systemd import notify
from fleet.service import Life
from fleet.settings import Settings

log = logging.getLogger(__name__)
Run = Callable[[service.Alive], int]

# By how many workers in a row died without ever getting ready, or at once after it. Whoever was at work is started
# again at once, however often it is killed.
BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
QUICK_S = 1.0
HUNG_S = 2.0  # without a sign of life, once the worker has been ready: 5 s of lease leave no more
STARTING_S_MAX = 120.0  # without a sign of life before that; waiting for the lock and a long journal show life
END_S_MAX = 8.0  # from SIGTERM to SIGKILL
KEEP_ALIVE_S = 0.5  # how often systemd is told that we live
# For how long another thread of the worker may keep the interpreter from the one that decides: 5 ms by default.
SWITCH_S = 0.001
# Samples leave nothing behind for the collector, and one look at the state of a thousand devices holds up every stop
# for 0.1 s: it comes ten times as seldom as in any other command. What does leave cycles (a connection to the control
# socket: five objects) is found among the youngest, after so many objects more, in less than a millisecond.
COLLECT_AFTER = (5_000, 20, 100)
PR_SET_PDEATHSIG = 1
ENDS_ALL = frozenset({service.EXIT_ENDED, service.EXIT_TAKEN_OVER, service.EXIT_JOURNAL})


def supervise(settings: Settings) -> int:
    """Run the fleet service of `settings` until it ends in order; its exit status."""
    service.warm_up()
    return keep_running(lambda alive: service.run_fleet(settings, alive))


def keep_running(run: Run) -> int:
    """Fork `run`, again whenever it dies; its exit status when starting again is no use (`ENDS_ALL`, or refused)."""
    assert threading.active_count() == 1, "a fork takes only the calling thread along"
    gc.freeze()  # the workers share these pages, and their collector never looks at them
    with _signals() as signals:
        return _Supervisor(run, signals).keep()


@dataclass(slots=True)
class _Worker:
    """A forked worker: its process, and the pipe in which it shows signs of life."""

    pid: int
    pidfd: int
    pipe: int
    started_s: float
    heard_s: float
    ready: bool = False  # its turns turn
    carries: bool = False  # both connections carry: samples are answered

    def close(self) -> None:
        os.close(self.pidfd)
        os.close(self.pipe)


@dataclass(slots=True)
class _Supervisor:
    run: Run
    signals: int
    quick_deaths: int = 0
    was_ready: bool = False
    told_s: float = field(default=float("-inf"))
    ending_s: float | None = None

    def keep(self) -> int:
        while True:
            worker = self._fork()
            self._tell_systemd(worker, worker.started_s)
            status = self._watch(worker)
            lived_s = service.boottime_s() - worker.started_s
            if self.ending_s is not None:  # a worker that had not even begun dies of the signal itself
                return service.EXIT_ENDED if status in (service.EXIT_ENDED, -signal.SIGTERM) else service.EXIT_FAILED
            if status in ENDS_ALL:
                return status
            if status == service.EXIT_REFUSED and not self.was_ready:
                return status
            self.quick_deaths = 0 if worker.ready and lived_s >= QUICK_S else self.quick_deaths + 1
            log.error("the fleet service ended (%s) after %.1f s: starting it again", _said(status), lived_s)
            if self._interrupted(BACKOFF_S[min(self.quick_deaths, len(BACKOFF_S) - 1)]):
                return service.EXIT_ENDED

    def _fork(self) -> _Worker:
        listen, speak = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(listen)
            _be_worker(self.run, speak, supervisor)
        os.close(speak)
        now_s = service.boottime_s()
        return _Worker(pid, os.pidfd_open(pid), listen, now_s, now_s)

    def _watch(self, worker: _Worker) -> int:
        """Until the worker is gone; its exit status, negative for a signal."""
        try:
            while True:
                readable, _, _ = select.select([worker.pidfd, worker.pipe, self.signals], [], [], KEEP_ALIVE_S)
                now_s = service.boottime_s()
                if worker.pidfd in readable:
                    return os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
                if worker.pipe in readable:
                    self._hear(worker, now_s)
                if self.signals in readable:
                    self._end(worker, now_s)
                self._tell_systemd(worker, now_s)
                self._kill_if_hung(worker, now_s)
        finally:
            worker.close()

    def _hear(self, worker: _Worker, now_s: float) -> None:
        said = os.read(worker.pipe, 4096)
        if not said:  # its end of the pipe closed: it is about to be gone, which is no sign of life
            return
        worker.heard_s = now_s
        if not worker.ready and said.strip(Life.STARTS.value):
            worker.ready = self.was_ready = True
            notify(os.environ, "READY=1", "STATUS=running")
        if Life.CARRIES.value in said and not worker.carries:
            worker.carries = True
            log.info("the fleet service answers samples %.2f s after its start", now_s - worker.started_s)

    def _end(self, worker: _Worker, now_s: float) -> None:
        os.read(self.signals, 4096)
        self.ending_s = now_s if self.ending_s is None else self.ending_s
        notify(os.environ, "STOPPING=1")
        os.kill(worker.pid, signal.SIGTERM)

    def _tell_systemd(self, worker: _Worker | None, now_s: float) -> None:
        """While none runs or it starts, we answer for it; once it runs, only its own signs of life count."""
        lives = worker is None or not worker.ready or now_s - worker.heard_s < KEEP_ALIVE_S * 2
        if lives and now_s - self.told_s >= KEEP_ALIVE_S:
            self.told_s = now_s
            notify(os.environ, "WATCHDOG=1")

    def _kill_if_hung(self, worker: _Worker, now_s: float) -> None:
        silent_s = now_s - worker.heard_s
        hung = silent_s > (HUNG_S if worker.ready else STARTING_S_MAX) and self.ending_s is None
        late = self.ending_s is not None and now_s - self.ending_s > END_S_MAX
        if hung or late:
            log.error("the fleet service shows no sign of life for %.1f s: killing it", silent_s)
            os.kill(worker.pid, signal.SIGKILL)

    def _interrupted(self, for_s: float) -> bool:
        """Wait before the next start, unless somebody asks us to end."""
        until_s = service.boottime_s() + for_s
        while True:
            now_s = service.boottime_s()
            self._tell_systemd(None, now_s)
            left_s = max(0.0, until_s - now_s)
            if select.select([self.signals], [], [], min(left_s, KEEP_ALIVE_S))[0]:
                return True
            if left_s <= KEEP_ALIVE_S:
                return False


def _be_worker(run: Run, pipe: int, supervisor: int) -> None:
    """In the fork: run, and never return into the supervisor's code."""
    status = service.EXIT_FAILED
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _die_with(supervisor)
        gc.set_threshold(*COLLECT_AFTER)
        sys.setswitchinterval(SWITCH_S)
        ask_for_turns()
        status = run(lambda life: _show_life(pipe, life))
    except BaseException:  # the last frame of this process: say what happened, then end it
        log.exception("the fleet service failed")
    finally:
        logging.shutdown()
        os._exit(status)


def _show_life(pipe: int, life: Life) -> None:
    # A full pipe: the supervisor is very late, and what is in the pipe already says that we live.
    with suppress(BlockingIOError):
        os.write(pipe, life.value)


def _die_with(supervisor: int) -> None:
    """Have the kernel kill this process when the supervisor ends, however it ends.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != supervisor:  # it ended before we asked
        os._exit(service.EXIT_FAILED)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that becomes readable when SIGTERM or SIGINT comes."""
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def noted(_number: int, _frame: FrameType | None) -> None:
        """The wake-up descriptor tells; this only replaces dying."""

    before = {number: signal.signal(number, noted) for number in (signal.SIGTERM, signal.SIGINT)}
    woken = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(woken)
        for number, action in before.items():
            signal.signal(number, action)
        os.close(read)
        os.close(write)


def _said(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
