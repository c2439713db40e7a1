"""What tests fork (tests/forked.py) is gone with them, however they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import await_that
from tests.forked import ADDRESS, begin_forking

PROGRAM = """
import signal, sys
from pathlib import Path
from tests.forked import begin_forked
folder = Path(sys.argv[1])
one = begin_forked(["stimulators", f"--dir={folder}", "--device=stim-01"], folder / "log", 0, ())
print(one.pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("began_forking", [False, True])
def test_what_was_forked_ends_with_whoever_had_it_forked(tmp_path: Path, began_forking: bool) -> None:
    """A worker of this run, and a pytest by itself: that one began what forks as well."""
    begin_forking()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not (began_forking and name == ADDRESS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        there = Path(f"/proc/{int(parent.stdout.readline())}")
        await_that("it is ready", lambda: "ready" in (tmp_path / "log").read_text(), 20.0)
        assert there.exists()
        parent.send_signal(signal.SIGKILL)
    await_that("it is gone", lambda: not there.exists(), 20.0)
