"""A worker waits where there is no room on the machine, and begins all the same in the end."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import room


@pytest.fixture
def crowd() -> Iterator[None]:
    """Four that compute and do nothing else, on the one processor that this process keeps to as well."""
    here = os.sched_getaffinity(0)
    with ExitStack() as crowd:
        crowd.callback(os.sched_setaffinity, 0, here)
        os.sched_setaffinity(0, {max(here)})
        for _ in range(4):
            one = subprocess.Popen(
                [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
            )
            crowd.callback(one.communicate)
            crowd.callback(one.kill)
            assert one.stdout is not None
            assert one.stdout.readline() == b"\n"
        yield


def waited_s(*, much: bool) -> float:
    began_s = time.monotonic()
    room.await_room(much=much)
    return time.monotonic() - began_s


@pytest.mark.usefixtures("crowd")
def test_in_a_crowd_it_is_waited_for_until_it_has_been_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST_S", 1.0)
    assert waited_s(much=False) >= 1.0


def test_what_needs_much_goes_one_after_the_other_and_what_does_not_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "door").touch()
    monkeypatch.setattr(room, "DOOR", tmp_path / "door")
    monkeypatch.setattr(room, "_look", lambda: 1.0)
    with room.DOOR.open("rb") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        assert waited_s(much=False) < 30.0
        monkeypatch.setattr(room, "LONGEST_S", 1.0)
        assert waited_s(much=True) > 1.0
    monkeypatch.setattr(room, "LONGEST_S", 60.0)
    assert room.SHOWS_S <= waited_s(much=True) < 30.0
