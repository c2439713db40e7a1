"""Counters that no SIGKILL takes back."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.counters import Counted, Counters, read_counters


def margins(*steps: int) -> tuple[int, ...]:
    return tuple(steps.count(step) for step in range(512))


def test_nothing_was_counted_yet(tmp_path: Path) -> None:
    assert read_counters(tmp_path / "counters") == Counted(0, 0, (0,) * 512)
    Counters(tmp_path / "counters").close()
    assert read_counters(tmp_path / "counters") == Counted(0, 0, (0,) * 512)


def test_what_is_counted_can_be_read_at_once_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = Counters(path)
    counters.published()
    counters.published()
    counters.leased(None)  # a session's first: nothing was left before it
    counters.leased(4.51)
    assert read_counters(path) == Counted(2, 2, margins(225)), "4.51 s are 225 whole steps of 20 ms"
    counters.close()

    counters = Counters(path)
    counters.published()
    counters.leased(-0.3)
    counters.leased(99.0)
    assert read_counters(path) == Counted(3, 4, margins(225, 0, 511))
    counters.close()


@pytest.mark.parametrize("damaged", [b"", b"STIMCNT1", b"STIMCNT1" + b"\1" * 5000])
def test_counters_that_are_damaged_are_begun_anew(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "counters"
    path.write_bytes(damaged)
    assert read_counters(path) == Counted()
    counters = Counters(path)
    counters.published()
    assert read_counters(path).telemetry_published == 1
    counters.close()


@pytest.mark.parametrize(
    "foreign", [b"x" * 4120, b'{"latch": "over_limit"}', b"SQLite format 3\0" + b"\1" * 8000, b"STIM"]
)
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, foreign: bytes) -> None:
    """Such as a latch or a spool that was named by mistake."""
    path = tmp_path / "latch"
    path.write_bytes(foreign)
    with pytest.raises(FileExistsError, match="it is a file of something else; name another one"):
        Counters(path)
    assert path.read_bytes() == foreign
    assert read_counters(path) == Counted()


def test_a_kill_loses_no_count(tmp_path: Path) -> None:
    """A process counts to 1,000, says so, and is killed where it stands."""
    script = (
        "import sys, time; from pathlib import Path; from agents.counters import Counters\n"
        "counters = Counters(Path(sys.argv[1]))\n"
        "for _ in range(1000): counters.published()\n"
        "print('counted', flush=True); time.sleep(60)"
    )
    path = tmp_path / "counters"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as counting:
        assert counting.stdout is not None
        assert counting.stdout.readline() == "counted\n"
        counting.send_signal(signal.SIGKILL)
    assert read_counters(path).telemetry_published == 1000
