"""The supervisor with real processes: starts again at once, dies with its worker's parent, ends cleanly."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from fleet.adapters.lock import one_instance
from fleet.adapters.systemd import notify
from tests.forked import forked

# Each worker appends a line with its pid; what it does then is the test's.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from fleet import supervisor
from fleet.service import Life

def worker(alive):
    with open(sys.argv[1], "a") as book:
        book.write(f"{os.getpid()} {time.clock_gettime(time.CLOCK_BOOTTIME)}\\n")
    starts = len(Path(sys.argv[1]).read_text().splitlines())
    WORK

def work(alive, for_s=60.0):
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        alive(Life.CARRIES)
        time.sleep(0.05)

def wait(alive, for_s=60.0):
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        alive(Life.STARTS)
        time.sleep(0.05)

os.environ["NOTIFY_SOCKET"] = sys.argv[2]
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
for name, value in {SET}.items():
    setattr(supervisor, name, value)
sys.exit(supervisor.keep_running(worker))
"""


class Supervisor:
    """A supervisor process and the book in which its workers write."""

    def __init__(self, folder: Path, work: str, notify_socket: str = "", **constants: float) -> None:
        self.book = folder / "book"
        self.book.touch()
        program = PROGRAM.replace("WORK", work).replace("{SET}", repr(constants))
        self.process = forked(program, str(self.book), notify_socket)

    def starts(self) -> list[tuple[int, float]]:
        return [(int(pid), float(at_s)) for pid, at_s in map(str.split, self.book.read_text().splitlines())]

    def ended(self, within_s: float) -> int | None:
        """Its exit status, once it has ended; None: it still runs."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within_s)
        return self.process.poll()

    def nth(self, n: int) -> int:
        """The pid of the nth worker, once it runs."""
        wait_until(lambda: len(self.starts()) >= n)
        return self.starts()[n - 1][0]


def wait_until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "it did not come true in time"
        time.sleep(0.01)  # polls what another process does


def has_set(pid: int, mask: str, number: signal.Signals) -> bool:
    """Whether a process blocks (`SigBlk`) or ignores (`SigIgn`) a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (value,) = (int(line.split()[1], 16) for line in lines if line.startswith(f"{mask}:"))
    return bool(value & 1 << (number - 1))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    all_started: list[Supervisor] = []

    def start(work: str, **rest: object) -> Supervisor:
        all_started.append(Supervisor(tmp_path, work, **rest))  # type: ignore[arg-type] # handed on as given
        return all_started[-1]

    yield start
    for supervisor in all_started:
        supervisor.process.kill()
        supervisor.process.wait()


def test_a_killed_worker_is_started_again_at_once_however_often(started: Callable[..., Supervisor]) -> None:
    supervisor = started("work(alive)", QUICK_S=0.0)
    for n in range(1, 6):
        pid = supervisor.nth(n)
        time.sleep(0.3)  # long enough for signs of life to have been heard: one that shows none is slowed down
        killed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.kill(pid, signal.SIGKILL)
        supervisor.nth(n + 1)
        assert supervisor.starts()[n][1] - killed_s < 1.0


def test_sigterm_is_passed_on_and_all_ends_in_order(started: Callable[..., Supervisor]) -> None:
    supervisor = started(
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "    while signal.SIGTERM not in signal.sigpending(): time.sleep(0.01)\n"
        "    return 0"
    )
    pid = supervisor.nth(1)
    wait_until(lambda: has_set(pid, "SigBlk", signal.SIGTERM))
    supervisor.process.terminate()
    assert supervisor.ended(10) == 0
    assert not runs(pid)
    assert len(supervisor.starts()) == 1


def test_a_worker_that_does_not_listen_yet_ends_all_the_same(started: Callable[..., Supervisor]) -> None:
    supervisor = started("work(alive)")
    pid = supervisor.nth(1)
    supervisor.process.terminate()
    assert supervisor.ended(10) == 0
    assert not runs(pid)


def test_a_worker_that_will_not_end_is_killed(started: Callable[..., Supervisor]) -> None:
    supervisor = started("signal.signal(signal.SIGTERM, signal.SIG_IGN) and None or work(alive)", END_S_MAX=0.5)
    pid = supervisor.nth(1)
    wait_until(lambda: has_set(pid, "SigIgn", signal.SIGTERM))
    supervisor.process.terminate()
    assert supervisor.ended(10) == 1
    assert not runs(pid)


def test_the_worker_dies_with_a_killed_supervisor(started: Callable[..., Supervisor]) -> None:
    supervisor = started("work(alive)")
    pid = supervisor.nth(1)
    time.sleep(0.3)  # it asks the kernel for this right after its first line
    supervisor.process.kill()
    wait_until(lambda: not runs(pid), within_s=5)


@pytest.mark.parametrize("status", [0, 75])
def test_an_end_in_order_and_a_take_over_end_all(started: Callable[..., Supervisor], status: int) -> None:
    supervisor = started(f"return {status}")
    assert supervisor.ended(20) == status
    assert len(supervisor.starts()) == 1


def test_a_site_that_cannot_be_used_is_not_tried_again_at_the_first_start(started: Callable[..., Supervisor]) -> None:
    supervisor = started("return 78")
    assert supervisor.ended(20) == 78
    assert len(supervisor.starts()) == 1


def test_once_it_has_been_at_work_it_is_tried_for_ever(started: Callable[..., Supervisor]) -> None:
    """Somebody spoils the registry while the service restarts: it comes back when the registry does."""
    supervisor = started("if starts in (2, 3): return 78\n    work(alive)", QUICK_S=0.0)
    pid = supervisor.nth(1)
    time.sleep(0.5)  # long enough for signs of life to have been heard
    os.kill(pid, signal.SIGKILL)
    assert runs(supervisor.nth(4))


def test_one_that_dies_at_once_is_started_ever_more_slowly(started: Callable[..., Supervisor]) -> None:
    supervisor = started("os.abort()", BACKOFF_S=(0.0, 0.1, 0.4))
    supervisor.nth(5)
    at_s = [started_s for _, started_s in supervisor.starts()[:5]]
    pauses_s = [after - before for before, after in pairwise(at_s)]
    assert pauses_s[0] >= 0.1
    assert all(pause_s >= 0.4 for pause_s in pauses_s[1:])


def test_a_worker_that_hangs_is_killed_and_started_again(started: Callable[..., Supervisor]) -> None:
    supervisor = started(
        "if starts == 1: work(alive, 0.3)\n    if starts == 1: time.sleep(60)\n    work(alive)", HUNG_S=0.6
    )
    first = supervisor.nth(1)
    supervisor.nth(2)
    assert not runs(first)


def test_a_stopped_worker_hangs_too(started: Callable[..., Supervisor]) -> None:
    supervisor = started("work(alive)", HUNG_S=0.6)
    first = supervisor.nth(1)
    time.sleep(0.5)  # long enough for signs of life to have been heard
    os.kill(first, signal.SIGSTOP)
    supervisor.nth(2)
    assert not runs(first)


def test_systemd_hears_that_it_is_ready_lives_and_ends(started: Callable[..., Supervisor], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        supervisor = started("work(alive)", notify_socket=str(tmp_path / "notify"))
        said = [systemd.recv(1000).decode() for _ in range(4)]
        assert said.count("WATCHDOG=1") >= 2
        assert sum(text.startswith("READY=1\n") for text in said) == 1
        supervisor.process.terminate()
        while (text := systemd.recv(1000).decode()) != "STOPPING=1":
            assert text == "WATCHDOG=1"
        assert supervisor.ended(10) == 0


def test_systemd_hears_nothing_of_a_worker_that_hangs(started: Callable[..., Supervisor], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        supervisor = started("work(alive)", notify_socket=str(tmp_path / "notify"), HUNG_S=1e9)
        first = supervisor.nth(1)
        time.sleep(1.0)  # long enough for signs of life to have been heard
        os.kill(first, signal.SIGSTOP)
        time.sleep(1.2)  # what was said before has to run out: twice the period
        while select.select([systemd], [], [], 0)[0]:
            systemd.recv(1000)
        assert not select.select([systemd], [], [], 1.5)[0]
        os.kill(first, signal.SIGCONT)


def test_systemd_hears_that_the_supervisor_lives_while_workers_die(
    started: Callable[..., Supervisor], tmp_path: Path
) -> None:
    """A crash loop, e.g. a full disk: systemd must not end whoever is trying."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        supervisor = started("os.abort()", notify_socket=str(tmp_path / "notify"), BACKOFF_S=(0.0, 1.5))
        heard_s = []
        for _ in range(5):
            assert systemd.recv(1000) == b"WATCHDOG=1"
            heard_s.append(time.monotonic())
        assert max(after - before for before, after in pairwise(heard_s)) < 1.2  # it says so every 0.5 s
        assert len(supervisor.starts()) < 4


def test_a_worker_that_waits_or_reads_for_long_is_neither_killed_nor_called_ready(
    started: Callable[..., Supervisor], tmp_path: Path
) -> None:
    """For the lock, or a long journal: it shows life, and nobody may take that for being at work."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        supervisor = started(
            "wait(alive, 1.5)\n    work(alive)",
            notify_socket=str(tmp_path / "notify"),
            STARTING_S_MAX=0.5,
            HUNG_S=0.2,
        )
        first, began_s = supervisor.nth(1), time.monotonic()
        while not systemd.recv(1000).startswith(b"READY=1"):
            pass
        assert time.monotonic() - began_s > 1.0
        assert runs(first)
        assert len(supervisor.starts()) == 1


def test_nobody_listens_where_there_is_no_systemd(tmp_path: Path) -> None:
    assert not notify({}, "READY=1")
    assert not notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}, "READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0stimfleet-test-{os.getpid()}")
        assert notify({"NOTIFY_SOCKET": f"@stimfleet-test-{os.getpid()}"}, "READY=1", "STATUS=x")
        assert systemd.recv(100) == b"READY=1\nSTATUS=x"


# --- one instance -----------------------------------------------------------------------------------------------------

SECOND = """
import sys
from pathlib import Path
from fleet.adapters.lock import one_instance
with one_instance(
    Path(sys.argv[1]), lambda: print("waiting", flush=True), lambda: print("alive", flush=True)
):
    print("leads", flush=True)
    sys.stdin.read()
"""


def test_a_second_instance_waits_says_so_and_follows_a_killed_first(tmp_path: Path) -> None:
    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", SECOND, str(tmp_path / "lock")]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "leads\n"
        with start() as second:
            assert second.stdout is not None
            assert [second.stdout.readline() for _ in range(3)] == ["waiting\n", "alive\n", "alive\n"]
            first.kill()
            while (said := second.stdout.readline()) == "alive\n":
                pass
            assert said == "leads\n"
            second.kill()


def test_the_lock_is_free_after_its_holder(tmp_path: Path) -> None:
    waited: list[bool] = []
    for _ in range(2):
        with one_instance(tmp_path / "lock", lambda: waited.append(True)):
            pass
    assert waited == []
