"""What tests fork (tests/forked.py) is gone with them, however they end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from demo.processes import await_that
from tests.forked import ADDRESS, WORKERS, begin_forking, forked

PROGRAM = """
import signal, sys
from pathlib import Path
from tests.forked import begin_forked, begin_forking
folder = Path(sys.argv[1])
one = begin_forked(["stimulators", f"--dir={folder}", "--device=stim-01"], folder / "log", 0, ())
print(one.pid, begin_forking(), flush=True)
signal.pause()
"""
SLEEPER = "import signal; signal.pause()"


@pytest.mark.parametrize("began_forking", [False, True])
def test_what_was_forked_ends_with_whoever_had_it_forked(tmp_path: Path, began_forking: bool) -> None:
    """A worker of this run, and a pytest by itself: that one began what forks as well, which leaves nothing either."""
    begin_forking()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not (began_forking and name == ADDRESS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid, address = parent.stdout.readline().split()
        there = Path(f"/proc/{pid}")
        await_that("it is ready", lambda: "ready" in (tmp_path / "log").read_text(), 20.0)
        assert there.exists()
        parent.send_signal(signal.SIGKILL)
    await_that("it is gone", lambda: not there.exists(), 20.0)
    await_that("nothing is left of who forked it", lambda: Path(address).exists() is not began_forking, 20.0)


def test_how_one_ends_is_told_while_others_wait_for_it() -> None:
    sleeper = forked(SLEEPER)
    with ThreadPoolExecutor(2) as others:
        waiting = [others.submit(sleeper.wait) for _ in range(2)]
        assert sleeper.poll() is None
        sleeper.kill()
        assert [one.result(20.0) for one in waiting] == [-signal.SIGKILL] * 2
    assert sleeper.wait() == -signal.SIGKILL, "and whoever asks later"
    assert forked("raise SystemExit(3)").wait(20.0) == 3


def test_whoever_asks_for_nothing_or_stops_in_the_middle_keeps_nobody_waiting() -> None:
    with closing(Client(begin_forking())), socket.socket(socket.AF_UNIX) as torn:
        torn.connect(begin_forking())
        torn.send(b"\0\0\4\0half of it")
        torn.close()
        stopped = forked(SLEEPER)
        stopped.send_signal(signal.SIGSTOP)
        stopped.kill()
        assert stopped.wait(20.0) == -signal.SIGKILL


def test_one_has_nothing_open_of_another(tmp_path: Path) -> None:
    others = [forked(SLEEPER) for _ in range(3)]
    told = tmp_path / "open"
    program = "import os, sys; open(sys.argv[1], 'w').write(' '.join(os.listdir('/proc/self/fd')))"
    assert forked(program, str(told)).wait(20.0) == 0
    assert len(told.read_text().split()) <= 5, "the three, the listing and the file"
    assert [other.poll() for other in others] == [None] * 3


WORKER = """
import os, sys, threading
try:
    print(sys.stdin.readline().strip(), os.getpid(), threading.active_count(), flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr, flush=True)
    sys.exit(3)
"""


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever runs the tests in the background may have them ignore Ctrl-C, and all that they have started."""
    monkeypatch.delenv(WORKERS, raising=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    ("number", "status", "says"), [(signal.SIGINT, 3, "interrupted\n"), (signal.SIGKILL, -signal.SIGKILL, "")]
)
def test_a_worker_is_spoken_to_and_ends_as_the_process_that_stands_for_it(
    number: signal.Signals, status: int, says: str
) -> None:
    begin_forking(WORKERS, __file__)
    command = [sys.executable, "-c", "from tests.worker import main; main()", "-u", "-c", WORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as stand_in:
        assert stand_in.stdin is not None
        assert stand_in.stdout is not None
        stand_in.stdin.write("a line\n")
        stand_in.stdin.flush()
        *line, pid, threads = stand_in.stdout.readline().split()
        assert (line, threads) == (["a", "line"], "1")
        assert pid != str(stand_in.pid)
        stand_in.send_signal(number)
        assert stand_in.wait(20.0) == status
        assert stand_in.communicate() == ("", says)
    await_that("it is gone", lambda: not Path(f"/proc/{pid}").exists(), 20.0)


@pytest.mark.parametrize(
    "file", ["def test(:", "raise RuntimeError", "import pytest; pytest.skip(allow_module_level=True)"]
)
def test_what_is_left_of_a_broken_file_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """A worker that was forked would have it imported already, and say nothing."""
    (tmp_path / "test_broken.py").write_text(file)
    monkeypatch.delenv(WORKERS, raising=False)
    begin_forking(WORKERS, str(tmp_path))
    command = [
        sys.executable,
        "-c",
        "from tests.worker import main; main()",
        "-u",
        "-c",
        "import os; print(os.getpid())",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stand_in:
        said, _ = stand_in.communicate(timeout=30.0)
    assert said == f"{stand_in.pid}\n"
