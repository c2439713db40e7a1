"""Many control loops in one thread: each ticks, none waits for the round when something arrives, each ends at zero."""

import time
from collections.abc import Iterator

import pytest

from agents.control import TICK_S
from agents.drivers.port import ZERO
from agents.rounds import Lateness, Rounds
from broker.contract.messages import Phase
from tests.agents.room import Room, await_true, boottime_s


@pytest.fixture
def rooms() -> Iterator[list[Room]]:
    rounds = Rounds(boottime_s)
    rooms = [Room(round_=rounds) for _ in range(8)]
    yield rooms
    for room in rooms:
        room.control.stop()
        assert room.stimulator.ordered[-1][1] == ZERO, "the last word is zero"
        assert room.deaths == []


def test_each_ticks_every_50_ms_whoever_else_there_is(rooms: list[Room]) -> None:
    for room in rooms:
        room.control.start()
    before = [len(room.stimulator.ordered) for room in rooms]
    began_s = boottime_s()
    time.sleep(2.0)  # the ticks of two seconds are counted
    most = (boottime_s() - began_s) / TICK_S + 2
    for room, count in zip(rooms, before, strict=True):
        assert 20 <= len(room.stimulator.ordered) - count <= most, "40, less on a busy machine"


def test_a_stop_for_one_waits_for_no_round(rooms: list[Room], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tick of 0.6 s, heard just after one, the stop is zero long before the next."""
    for room in rooms:
        room.control.start()
    treated = rooms[3]
    treated.until_running(4.0)
    monkeypatch.setattr(
        "agents.simulation.stimulator.HOST_WATCHDOG_S", 8.0
    )  # fed at each tick: it would end output before the stop does
    monkeypatch.setattr("agents.control.TICK_S", 0.6)
    ticks = len(treated.stimulator.ordered)
    await_true(lambda: len(treated.stimulator.ordered) > ticks + 1)
    assert treated.phase() is Phase.RUNNING
    heard_s = boottime_s()
    treated.stop_from_fleet()
    await_true(lambda: not treated.stimulator.ordered[-1][1].enabled)
    zero_s = next(at_s for at_s, drive in treated.stimulator.ordered if at_s > heard_s and not drive.enabled)
    assert zero_s - heard_s < 0.2
    monkeypatch.undo()
    await_true(lambda: treated.phase() is Phase.LATCHED)


def test_one_that_has_ended_is_visited_no_more_and_the_others_go_on(rooms: list[Room]) -> None:
    for room in rooms:
        room.control.start()
    rooms[0].control.stop()
    exchanges, others = len(rooms[0].stimulator.ordered), len(rooms[1].stimulator.ordered)
    rooms[0].control.connected()  # whoever still calls it wakes nobody
    await_true(lambda: len(rooms[1].stimulator.ordered) > others + 5)
    assert len(rooms[0].stimulator.ordered) == exchanges


def test_what_one_dies_of_is_told_and_it_ends_at_zero(rooms: list[Room]) -> None:
    for room in rooms:
        room.control.start()
    broken = rooms.pop(2)
    broken.stimulator.error = RuntimeError("a bug")
    assert broken.died.wait(5.0)
    assert [str(death) for death in broken.deaths] == ["a bug"]
    broken.stimulator.error = None
    broken.control.stop()


def test_lateness_in_percentiles_by_hand() -> None:
    lateness = Lateness()
    assert (lateness.ticks, lateness.percentile_ms(50.0), lateness.worst_ms) == (0, None, None)
    for late_s in (0.0004, 0.0019, 0.0019, 0.0105, 7.0):
        lateness.note(late_s)
    assert lateness.ticks == 5
    assert [lateness.percentile_ms(percent) for percent in (20.0, 50.0, 60.0, 80.0, 100.0)] == [0, 1, 1, 10, 1000]
    assert lateness.worst_ms == 1000, "a second stands for everything beyond"
