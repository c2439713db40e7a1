"""The control loop in real time: nothing holds it up, a stop does not wait for the tick, nothing limps on."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.drivers.port import ZERO, DriverLost
from agents.queues import INBOX_MAX
from agents.steps import (
    Acknowledge,
    Emit,
    Input,
    Press,
    Reply,
    Sample,
)
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, EventKind, Phase
from tests.agents.clinic import SESSION
from tests.agents.room import Room, await_true, boottime_s


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.memory.answers.set()
    room.delivers.set()
    room.stimulator.error = None
    room.control.stop()
    assert room.stimulator.ordered[-1][1] == ZERO, "the last word is zero"


def test_it_ticks_every_50_ms_on_boot_time(room: Room) -> None:
    room.control.start()
    time.sleep(0.5)  # the first ticks of a start are not counted
    before = len(room.stimulator.ordered)
    time.sleep(2.0)  # the ticks of two seconds are counted
    assert 20 <= len(room.stimulator.ordered) - before <= 44, "40, less on a busy machine"
    assert room.control.snapshot().boot_n == 9
    assert room.memory.saved[0].boot_n == 9
    assert boottime_s() - room.control.snapshot().stepped_s < 1.0


def test_a_session_and_a_stop_that_does_not_wait_for_the_tick(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tick of 0.45 s, heard just after one, the stop is zero long before the next."""
    room.control.start()
    room.until_running(4.0)
    monkeypatch.setattr("agents.control.TICK_S", 0.45)
    for _ in range(2):
        ticks = len(room.stimulator.ordered)
        await_true(lambda ticks=ticks: len(room.stimulator.ordered) > ticks)  # type: ignore[misc]
    heard_s = boottime_s()
    room.stop_from_fleet()
    await_true(lambda: not room.stimulator.ordered[-1][1].enabled)
    zero_s = next(at_s for at_s, drive in room.stimulator.ordered if at_s > heard_s and not drive.enabled)
    assert zero_s - heard_s < 0.2
    await_true(lambda: room.true_ma() == 0.0, within_s=0.2)
    monkeypatch.undo()
    await_true(lambda: room.phase() is Phase.LATCHED)
    await_true(lambda: any(isinstance(each, Acknowledge) and each.status is AckStatus.DONE for each in room.told[-6:]))
    assert [drive for _, drive in room.stimulator.ordered if drive.feed_watchdog is not drive.enabled] == []


def test_a_hanging_disk_holds_up_neither_stop_nor_loop(room: Room) -> None:
    """Zero at once; nothing is told before it is on disk; then everything, in order."""
    room.control.start()
    room.until_running(2.0)
    room.memory.answers.clear()
    told, exchanges = len(room.told), len(room.stimulator.ordered)
    room.stop_from_fleet()
    await_true(lambda: room.true_ma() == 0.0, within_s=0.5)
    time.sleep(0.5)  # a disk that hangs for half a second
    assert [each for each in room.told[told:] if not isinstance(each, Sample)] == []
    assert len(room.stimulator.ordered) - exchanges >= 5, "the loop goes on"
    room.memory.answers.set()
    await_true(lambda: room.phase() is Phase.LATCHED)
    await_true(lambda: room.memory.saved[-1].latch is Cause.EMERGENCY_STOP)
    await_true(
        lambda: any(isinstance(each, Acknowledge) and each.status is AckStatus.DONE for each in room.told[told:])
    )
    after = [each for each in room.told[told:] if isinstance(each, Acknowledge | Emit)]
    assert isinstance(after[0], Acknowledge)
    assert after[0].status is AckStatus.RECEIVED
    assert isinstance(after[1], Emit)
    assert after[1].kind is EventKind.LATCHED


def test_while_nothing_can_be_delivered_leases_run_out_and_output_ends(room: Room) -> None:
    room.control.start()
    room.until_running(2.0)
    room.delivers.clear()
    hung_s = boottime_s()
    await_true(lambda: room.true_ma() == 0.0, within_s=8.0)
    assert boottime_s() - hung_s <= 4.0 + 0.5 + TICK_S + 1.0
    assert room.control.snapshot().latched is Cause.LEASE_LOST


def test_an_error_of_the_driver_ends_the_process(room: Room) -> None:
    room.control.start()
    room.stimulator.error = ZeroDivisionError("a bug in the driver")
    assert room.died.wait(2.0)
    assert isinstance(room.deaths[0], ZeroDivisionError)


def test_zero_is_ordered_before_the_process_ends(room: Room) -> None:
    """A bug in the loop: output goes to zero, and only then the process is told to die."""
    room.control.start()
    room.until_running(2.0)
    room.deliver_error = RuntimeError("a bug in the shell")
    assert room.died.wait(2.0)
    assert str(room.deaths[0]) == "a bug in the shell"
    assert room.true_ma() == 0.0
    assert room.stimulator.ordered[-1][1] == ZERO


def test_a_disk_that_fails_ends_the_process_at_zero(room: Room) -> None:
    room.control.start()
    room.until_running(2.0)
    room.memory.error = OSError(28, "No space left on device")
    room.stop_from_fleet()
    assert room.died.wait(2.0)
    assert room.deaths == [room.memory.error]
    assert room.true_ma() == 0.0


def test_a_stimulator_that_does_not_answer_is_silence_not_an_end(room: Room) -> None:
    room.control.start()
    await_true(lambda: room.phase() is Phase.IDLE)
    room.stimulator.error = DriverLost("unplugged")
    await_true(lambda: room.phase() is Phase.FAULT, within_s=2.0)
    assert room.control.snapshot().reading is None
    room.stimulator.error = None
    await_true(lambda: room.phase() is Phase.IDLE)
    assert room.deaths == []


def test_unplugged_while_stopping_it_ends_all_the_same(room: Room) -> None:
    room.control.start()
    room.stimulator.error = DriverLost("unplugged")
    time.sleep(0.1)  # a line that is dead for two ticks
    room.control.stop()
    assert room.deaths == []


def test_a_slow_line_is_counted_and_a_sample_is_dated_before_its_measuring(room: Room) -> None:
    room.control.start()
    room.stimulator.slow_s = 0.12
    await_true(lambda: room.control.snapshot().overruns >= 3)
    sample = next(each for each in reversed(room.told) if isinstance(each, Sample))
    began_s = max(at_s for at_s, _ in room.stimulator.ordered if at_s <= sample.sent_s + 0.01)
    assert sample.sent_s <= began_s
    room.stimulator.slow_s = 0.0


def test_after_a_freeze_the_stimulators_word_comes_before_what_was_heard_meanwhile(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.control.start()
    room.until_running(4.0)
    inbox, thawed = room.control._inbox, threading.Event()
    take = inbox.take

    def frozen_once(patience_s: float) -> list[Input]:
        monkeypatch.setattr(inbox, "take", take)
        snapshot = room.control.snapshot()
        time.sleep(1.5)  # the whole process would be held up; the stimulator's watchdog needs 0.5 s
        room.control.hear(messages.Lease(1, snapshot.boot_n, SESSION, snapshot.seq - 1, 4000))
        thawed.set()
        return take(0.0)

    monkeypatch.setattr(inbox, "take", frozen_once)
    assert thawed.wait(5.0)
    await_true(lambda: room.phase() is Phase.LATCHED)
    assert room.control.snapshot().latched is Cause.WATCHDOG_TRIPPED, "and not a sensor that fell silent"


def test_once_connected_the_next_tick_sends_a_sample(room: Room) -> None:
    room.control.start()
    await_true(lambda: any(isinstance(each, Sample) for each in room.told))
    before = sum(isinstance(each, Sample) for each in room.told)
    began_s = boottime_s()
    room.control.connected()
    await_true(lambda: sum(isinstance(each, Sample) for each in room.told) > before)
    assert boottime_s() - began_s < 1.0, "an idle device speaks every 5 s otherwise"


def test_a_damaged_record_comes_up_latched(room: Room) -> None:
    room.memory.damage = "the latch record is damaged"
    room.control.start()
    assert room.control.snapshot().latched is Cause.SELF_TEST_FAILED
    await_true(lambda: bool(room.told))
    failed = [each for each in room.told if isinstance(each, Emit) and each.kind is EventKind.SELF_TEST_FAILED]
    assert [each.detail for each in failed] == [messages.SelfTestFailed("the latch record is damaged")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "unnamed"),
        (" \n ", "?"),
        ("stage\n2", "stage?2"),
        ("\x00", "?"),
        ("n" * 70, "n" * 64),
        ("Stufe 2 µA", "Stufe 2 µA"),
    ],
)
def test_whatever_a_driver_calls_itself_or_its_fault_can_be_sent(room: Room, said: str, told: str) -> None:
    """A text that no message may carry does not keep the agent from coming up latched, and saying so."""
    simulated = room.stimulator
    honest = simulated.identify()
    simulated.identify = lambda: replace(honest, serial=said, model=said, firmware=said)  # type: ignore[method-assign]
    simulated.self_test = lambda: said  # type: ignore[method-assign]
    room.control.start()
    identity = room.control.snapshot().identity
    assert (identity.serial, identity.model, identity.firmware) == (told, told, told)
    assert identity.profile == honest.profile
    await_true(lambda: any(isinstance(each, Emit) and each.kind is EventKind.SELF_TEST_FAILED for each in room.told))
    (failed,) = [each for each in room.told if isinstance(each, Emit) and each.kind is EventKind.SELF_TEST_FAILED]
    assert failed.detail == messages.SelfTestFailed(told)


def test_stopping_writes_and_tells_what_is_left(room: Room) -> None:
    room.control.start()
    await_true(lambda: room.phase() is Phase.IDLE)
    room.stop_from_fleet()
    await_true(lambda: room.control.snapshot().latched is not None)
    room.control.stop()
    assert room.memory.saved[-1].latch is Cause.EMERGENCY_STOP
    assert any(isinstance(each, Emit) and each.kind is EventKind.LATCHED for each in room.told)


def test_before_it_has_started_there_is_nothing_to_see() -> None:
    room = Room()
    with pytest.raises(RuntimeError, match="not started"):
        room.control.snapshot()
    room.stimulator.error = DriverLost("unplugged")
    with pytest.raises(DriverLost):
        room.control.start()


def test_end_process_ends_with_70() -> None:
    """The supervisor sees that it was a failure."""
    script = "from agents.control import end_process; end_process(RuntimeError('broken'))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 70
    assert "broken" in ended.stderr


def test_what_reduces_is_heard_also_when_the_network_has_filled_the_inbox(room: Room) -> None:
    room.control.start()
    room.stimulator.slow_s = 0.2  # the loop is busy, what arrives has to wait
    time.sleep(0.1)  # until the loop is in a slow exchange
    lease = messages.Lease(1, 9, SESSION, 5, 4000)
    assert [room.control.hear(lease) for _ in range(INBOX_MAX + 1)].count(False) >= 1
    assert not room.control.press(1, Press.ARM)
    assert not room.control.press(1, Press.RAISE)
    reducing = (Press.LOWER, Press.PAUSE, Press.STOP)
    assert [room.control.press(press_id, press) for press_id, press in enumerate(reducing, 10)] == [True] * 3
    assert room.control.press(2, Press.STOP_BUTTON)
    room.stimulator.slow_s = 0.0
    await_true(lambda: room.control.snapshot().latched is Cause.PATIENT_STOP)
    assert room.control.snapshot().shed >= 3
    await_true(lambda: {each.press_id for each in room.told if isinstance(each, Reply)} >= {2, 10, 11, 12})


def test_what_cannot_be_told_at_the_end_is_not_swallowed() -> None:
    room = Room()
    room.control.start()
    await_true(lambda: room.phase() is Phase.IDLE)
    room.delivers.clear()
    room.deliver_error = RuntimeError("the spool is gone")
    room.stop_from_fleet()
    await_true(lambda: room.control.snapshot().latched is not None)
    threading.Timer(0.3, room.delivers.set).start()
    with pytest.raises(RuntimeError, match="the spool is gone"):
        room.control.stop()


def test_the_margin_that_was_left_is_told_of_every_lease_but_the_first(room: Room) -> None:
    """A lease of 4 s in answer to a sample every half second: 3.5 s, less what telling and hearing take."""
    room.control.start()
    room.until_running(2.0)
    await_true(lambda: len(room.margins_s) > 3)
    assert room.margins_s[0] is None
    left_s = [margin_s for margin_s in room.margins_s[1:] if margin_s is not None]
    assert len(left_s) == len(room.margins_s) - 1
    assert 2.0 < min(left_s) <= max(left_s) <= 4.0
    room.control.hear(messages.Lease(1, 9, SESSION, 1, 4000))  # answers no sample: it allows nothing
    told = len(room.margins_s)
    await_true(lambda: room.control.snapshot().leases_refused == 1)
    assert len(room.margins_s) - told <= 1, "at most a good one has come meanwhile"
