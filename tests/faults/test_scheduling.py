"""On a busy machine what stops people's current goes first: short turns of the processor, as the kernel shows them."""

import ctypes
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import scheduling
from broker.scheduling import ORDINARY_NS, SHORT_NS, ask_for_turns
from tests.faults.conftest import Ward

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
ACTS_ON_IT = (6, 12)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process at niceness 5."""
    running = subprocess.Popen(["sleep", "60"])
    os.setpriority(os.PRIO_PROCESS, running.pid, 5)
    yield running.pid
    running.kill()
    running.wait()


def shown(pid: int) -> tuple[int, int, int]:
    """Policy, niceness and the turn in ns, read back from the kernel."""
    buffer = ctypes.create_string_buffer(scheduling._SCHED_ATTR.size)
    number = SCHED_GETATTR[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, pid, buffer, len(buffer), 0) == 0
    _size, policy, _flags, nice, _priority, turn_ns, _deadline, _period = scheduling._SCHED_ATTR.unpack(buffer.raw)
    return policy, nice, turn_ns


def granted() -> bool:
    """Whether this kernel acts on it: then it also shows it."""
    major, minor, *_ = platform.release().split(".")
    return (int(major), int(minor.partition("-")[0])) >= ACTS_ON_IT


def test_the_turn_becomes_short_and_nothing_else(sleeper: int) -> None:
    assert ask_for_turns(pid=sleeper)
    policy, nice, turn_ns = shown(sleeper)
    assert (policy, nice) == (os.SCHED_OTHER, 5)
    assert turn_ns == SHORT_NS or not granted()


def test_whoever_only_reads_along_gets_the_ordinary_turn_back(sleeper: int) -> None:
    before = shown(sleeper)
    assert ask_for_turns(pid=sleeper)
    assert ask_for_turns(ORDINARY_NS, sleeper)
    assert shown(sleeper) == before


def test_a_policy_that_somebody_chose_is_left_alone(sleeper: int) -> None:
    os.sched_setscheduler(sleeper, os.SCHED_BATCH, os.sched_param(0))
    before = shown(sleeper)
    assert not ask_for_turns(pid=sleeper)
    assert shown(sleeper) == before


def test_a_process_that_is_gone_is_asked_for_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert not ask_for_turns(pid=gone.pid)


def test_on_a_machine_that_nobody_tried_nothing_is_asked(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shown(sleeper)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not ask_for_turns(pid=sleeper)
    monkeypatch.undo()
    assert shown(sleeper) == before


def test_broker_fleet_and_agents_have_it(ward: Ward) -> None:
    fleet = ward.clinic.fleet.pid
    (worker,) = Path(f"/proc/{fleet}/task/{fleet}/children").read_text().split()
    for pid in (ward.clinic.broker.pid, int(worker), ward.clinic.agents["stim-01"].pid):
        assert shown(pid)[2] == SHORT_NS or not granted()
