"""Every doubt ends at zero current: single readings, silence, bugs, times that make no sense."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agents.control import TICK_S
from agents.drivers.port import ZERO, Drive, Identity, Reading
from agents.session import begin, step
from agents.simulation.faults import FaultKind
from agents.state import State, conditions
from agents.steps import (
    Announce,
    Connected,
    Durable,
    Emit,
    Heard,
    HeardStop,
    Input,
    Passed,
    Persist,
    Press,
    Pressed,
    Reply,
    Sample,
    Tick,
    Written,
)
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import (
    Condition,
    EventKind,
    Lease,
    Phase,
    Scope,
    SelfTestFailed,
)
from tests.agents.clinic import PLAN, SESSION, WALL_AT_BOOT_S, Clinic


def running() -> State:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    return clinic.state


def tick(state: State, after_s: float = TICK_S, **changed: Any) -> tuple[State, Drive, tuple[object, ...]]:
    """One more honest reading, but for what is changed."""
    now_s = state.now_s + after_s
    reading = state.watch.reading
    assert reading is not None
    reading = replace(reading, taken_s=now_s, raw_n=reading.raw_n + 1)
    reading = replace(reading, raw_amplitude=reading.raw_n % 7, **changed)
    after, outcome = step(state, Tick(now_s, WALL_AT_BOOT_S + now_s, reading))
    return after, outcome.drive, outcome.outputs


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"impedance_ohm": None}, Cause.ELECTRODE_OPEN),
        ({"impedance_ohm": math.nan}, Cause.ELECTRODE_OPEN),
        ({"impedance_ohm": math.inf}, Cause.ELECTRODE_OPEN),
        ({"impedance_ohm": 10_001.0}, Cause.ELECTRODE_OPEN),
        ({"impedance_ohm": 149.0}, Cause.ELECTRODE_SHORT),
        ({"impedance_ohm": -800.0}, Cause.ELECTRODE_SHORT),
        ({"impedance_ohm": 5001.0}, Cause.ELECTRODE_DEGRADED),
        ({"amplitude_ma": 12.1}, Cause.OVER_LIMIT),
        ({"amplitude_ma": -12.1}, Cause.OVER_LIMIT),
        ({"temperature_c": 60.1}, Cause.OVER_TEMPERATURE),
        ({"hand_switch_pressed": True}, Cause.PATIENT_STOP),
        ({"watchdog_tripped": True}, Cause.WATCHDOG_TRIPPED),
    ],
)
def test_one_reading_that_ends_output_at_once(changed: dict[str, Any], cause: Cause) -> None:
    state, drive, outputs = tick(running(), **changed)
    assert drive == ZERO
    assert state.phase in {Phase.PAUSED, Phase.STOPPING}
    told = [each.cause for each in outputs if isinstance(each, Emit)]
    assert told[0] is cause


@pytest.mark.parametrize(
    "changed",
    [
        {"impedance_ohm": 1400.0},
        {"amplitude_ma": 11.9},
        {"amplitude_ma": None},
        {"amplitude_ma": math.nan},
        {"temperature_c": 60.0},
        {"temperature_c": math.nan},
        {"battery_pct": None},
        {"battery_pct": 5.0},
    ],
)
def test_one_reading_that_does_not(changed: dict[str, Any]) -> None:
    state, drive, _ = tick(running(), **changed)
    assert drive.enabled
    assert state.phase is Phase.RUNNING


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_a_second_without_a_peak_is_zero(nothing: float | None) -> None:
    state = running()
    for _ in range(19):
        state, drive, _ = tick(state, amplitude_ma=nothing)
        assert drive.enabled
    for _ in range(2):
        state, drive, _ = tick(state, amplitude_ma=nothing)
    assert drive == ZERO
    assert state.durable.latch is Cause.SENSOR_FROZEN


def test_silence_is_judged_by_every_input_not_only_by_a_tick() -> None:
    """The last tick found nothing to read, a second ago less a moment; the disk's word comes first after that."""
    state = running()
    read_s = state.watch.peak_read_s
    state, _, _ = tick(state, 0.95, amplitude_ma=None)
    assert state.session is not None
    assert state.session.permission.allows(read_s + 1.01)
    after, outcome = step(state, Written(read_s + 1.01, 0))
    assert outcome.drive == ZERO
    assert after.durable.latch is Cause.SENSOR_FROZEN


HELD_UP: dict[str, Callable[[State, float], Input]] = {
    "tick": lambda state, now_s: Tick(now_s, WALL_AT_BOOT_S + now_s, next_reading(state, now_s)),
    "unanswered tick": lambda _, now_s: Tick(now_s, WALL_AT_BOOT_S + now_s, None),
    "time": lambda _, now_s: Passed(now_s),
    "disk": lambda _, now_s: Written(now_s, 0),
    "connected": lambda _, now_s: Connected(now_s),
    "lease": lambda state, now_s: Heard(now_s, Lease(3, state.durable.boot_n, SESSION, state.seq - 1, 5000)),
    "pause": lambda _, now_s: Pressed(now_s, 1, Press.PAUSE),
    "normal stop": lambda _, now_s: Pressed(now_s, 1, Press.STOP),
    "stop": lambda _, now_s: HeardStop(now_s, Scope.DEVICE, None, "ab" * 8),
}


def next_reading(state: State, now_s: float) -> Reading:
    assert state.watch.reading is not None
    return replace(state.watch.reading, taken_s=now_s, raw_n=state.watch.reading.raw_n + 1)


@pytest.mark.parametrize("held_up_s", [1.01, 3.0, 3600.0])
@pytest.mark.parametrize("first", HELD_UP)
def test_after_a_freeze_who_may_reset_does_not_depend_on_what_comes_first(first: str, held_up_s: float) -> None:
    state = running()
    after, outcome = step(state, HELD_UP[first](state, state.now_s + held_up_s))
    assert outcome.drive == ZERO
    assert after.durable.latch is Cause.WATCHDOG_TRIPPED
    assert after.durable.reset_by is ResetBy.THERAPIST


def test_a_freeze_heard_of_in_pieces_is_the_same_freeze() -> None:
    """What waited in the inbox carries times of its own: the stimulator was not asked in all of them."""
    state = running()
    began_s = state.now_s
    for waited_s in (0.4, 0.8, 1.2):
        state, outcome = step(state, Connected(began_s + waited_s))
    assert outcome.drive == ZERO
    assert state.durable.latch is Cause.WATCHDOG_TRIPPED


def watched(clinic: Clinic) -> list[tuple[Drive, State]]:
    """What the driver is given from now on, and what was known when it was."""
    applied: list[tuple[Drive, State]] = []
    driver = clinic.stepper._stimulator

    class Watched:
        def exchange(self, drive: Drive) -> Reading:
            applied.append((drive, clinic.state))
            return driver.exchange(drive)

    clinic.stepper._stimulator = Watched()  # type: ignore[assignment]
    return applied


def test_the_driver_is_given_nothing_old_after_a_hold_up() -> None:
    """Held up for 0.45 s, beyond the permission: the first drive after it is one that was decided after it."""
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    applied = watched(clinic)
    assert clinic.state.session is not None
    gone = replace(clinic.state.session.permission, until_s=clinic.now_s + 0.05)
    clinic.stepper.state = replace(clinic.state, session=replace(clinic.state.session, permission=gone))
    clinic.now_s += 0.45
    clinic.stepper.tick()
    _, knew = applied[0]
    assert knew.now_s == clinic.now_s
    assert knew.durable.latch is Cause.LEASE_LOST, "permission was judged before anything was applied"
    assert clinic.state.phase is Phase.STOPPING


def test_an_hour_asleep_applies_zero_first() -> None:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    applied = watched(clinic)
    clinic.now_s += 3600.0
    clinic.stepper.tick()
    drive, _ = applied[0]
    assert drive == ZERO
    assert not drive.feed_watchdog


def test_permission_is_judged_by_every_input_not_only_by_a_tick() -> None:
    """The ramp begins with the first thing that happens after permission ran out."""
    state = running()
    assert state.session is not None
    gone = replace(state.session.permission, until_s=state.now_s + 0.01)
    state = replace(state, session=replace(state.session, permission=gone))
    after, outcome = step(state, Pressed(state.now_s + 0.02, 1, Press.RAISE))
    assert after.durable.latch is Cause.LEASE_LOST
    assert outcome.drive.enabled
    assert outcome.drive.setting_ma <= 10.0


def test_a_converter_that_no_longer_converts() -> None:
    """Peaks are still shown, no new pulse is measured: frozen after a second and a half of a pulse period."""
    state = running()
    assert state.watch.reading is not None
    raw_n = state.watch.reading.raw_n
    for _ in range(20):
        state, drive, _ = tick(state, raw_n=raw_n)
        assert drive.enabled
    for _ in range(2):
        state, drive, _ = tick(state, raw_n=raw_n)
    assert not drive.enabled
    assert state.durable.latch is Cause.SENSOR_FROZEN


def test_what_only_the_interlock_notices_is_a_fault_of_the_agent() -> None:
    """A setting that is no number, by whatever bug: zero, latched, engineer."""
    state = running()
    assert state.session is not None
    after, drive, outputs = tick(replace(state, session=replace(state.session, setting_ma=math.nan)))
    assert drive == ZERO
    assert after.durable.latch is Cause.SELF_TEST_FAILED
    details = [each.detail for each in outputs if isinstance(each, Emit)]
    assert SelfTestFailed("interlock: not_a_number") in details


def test_readings_beyond_what_a_message_may_carry() -> None:
    state = running()
    _, _, outputs = tick(
        state, after_s=0.5, amplitude_ma=1e300, impedance_ohm=-5.0, battery_pct=140.0, temperature_c=-400.0
    )
    (sample,) = (each.telemetry for each in outputs if isinstance(each, Sample))
    assert (sample.amplitude_ma, sample.impedance_ohm) == (1000.0, 0.0)
    assert (sample.battery_pct, sample.temperature_c) == (100.0, -100.0)


def test_time_that_runs_back_changes_nothing() -> None:
    state = running()
    after, _, _ = tick(state, after_s=-30.0)
    assert after.now_s == state.now_s
    assert after.session is not None
    assert state.session is not None
    assert after.session.numbers.elapsed_s == state.session.numbers.elapsed_s


def test_a_start_with_a_failed_self_test_and_a_live_session() -> None:
    identity = Identity("S-1", "bench", "1.0", GENERIC_PROFILE)
    state, outcome = begin(Durable(1, live_session_id=SESSION), identity, "output_stage", 5.0, 100)
    assert state.phase is Phase.LATCHED
    assert state.durable.latch is Cause.SELF_TEST_FAILED
    assert isinstance(outcome.outputs[0], Persist)
    assert outcome.outputs[-1] == Announce()
    assert conditions(state) == (Condition.SELF_TEST_FAILED,)


def test_a_marker_is_found_and_the_stimulator_does_not_answer() -> None:
    """Nobody can say that nothing flows: the relay opens."""
    clinic = Clinic()
    clinic.until_running(5.0)
    clinic.suffer(FaultKind.SENSOR_LOST)
    clinic.switch_on_agent(clinic.on_disk)
    assert clinic.state.durable.latch is Cause.OUTPUT_STUCK
    assert clinic.state.drive.relay_open


def test_the_reply_to_a_press_is_told_once() -> None:
    clinic = Clinic()
    clinic.press(Press.START)
    assert len([each for each in clinic.told if isinstance(each, Reply)]) == 1


def test_a_slow_pulse_train_is_not_called_frozen_or_stuck() -> None:
    """At 1 Hz the whole second between two pulses is silence, and zero takes a second to be measured."""
    clinic = Clinic(plan=replace(PLAN, frequency_hz=1.0))
    clinic.until_running(20.0)
    clinic.run(60.0)
    assert clinic.phase() is Phase.RUNNING
    clinic.press(Press.STOP)
    clinic.run(3.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.kinds().count(EventKind.SESSION_ENDED) == 1


def test_a_loop_held_up_while_it_ramps_down_does_not_take_what_it_ordered_for_too_much() -> None:
    """Half way down it stands still for 0.35 s, and so does the output; then both go on down, to idle."""
    clinic = Clinic()
    clinic.until_running(20.0)
    clinic.until_on_phase()
    clinic.press(Press.STOP)
    clinic.run(0.4)
    stood_still_at_ma = clinic.true_ma()
    assert 5.0 < stood_still_at_ma < 15.0
    clinic.now_s += 0.35
    clinic.forget()
    clinic.run(2.0)
    assert clinic.kinds() == [EventKind.SESSION_ENDED]
    assert clinic.ended()[0] is Cause.THERAPIST_STOP
    assert clinic.phase() is Phase.IDLE


def test_what_stays_up_when_it_is_lowered_is_still_too_much() -> None:
    """0.2 s after the setting was lowered nothing of what flowed before shows any more: an output that does not follow
    is over the limit."""
    clinic = Clinic()
    clinic.until_running(20.0)
    clinic.until_on_phase()
    clinic.suffer(FaultKind.OUTPUT_STUCK)
    clinic.press(Press.LOWER, 10.0)
    clinic.run(0.15)
    assert clinic.phase() is Phase.RUNNING
    clinic.run(0.15)
    assert clinic.phase() is not Phase.RUNNING
    clinic.run(0.5)
    assert clinic.true_ma() == 0.0
