"""The table of causes at the device, one story a row: what flows, what latches, what is told, who may reset.

The judge is the simulated stimulator's true output, not what the agent says of it.
"""

from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.simulation.faults import FaultKind
from agents.state import conditions
from agents.steps import Press
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import Condition, EventKind, HoldChanged, Phase, Scope
from tests.agents import test_causes_of_faults as of_faults
from tests.agents.after import (
    MEASURED_WITHIN_S,
    RAMP_S,
    assert_latched,
    assert_nobody_can_go_on,
    assert_zero_at_once,
    reset,
    running_at,
)
from tests.agents.clinic import LEASE_TTL_S, PLAN, SESSION, Clinic

# --- soft: ramp of up to 1 s, no latch --------------------------------------------------------------------------------


def test_completed() -> None:
    """After its five minutes the session ramps down and ends as completed, though its last lease ran out as well."""
    clinic = Clinic()
    clinic.until_running(40.0)
    began_s = clinic.now_s - clinic.state.session.numbers.elapsed_s  # type: ignore[union-attr]
    clinic.run(began_s + 299.0 - clinic.now_s)
    assert clinic.phase() is Phase.RUNNING
    clinic.run(1.0 + RAMP_S + MEASURED_WITHIN_S)
    cause, numbers = clinic.ended()
    assert cause is Cause.COMPLETED
    assert clinic.phase() is Phase.IDLE
    assert numbers.elapsed_s == pytest.approx(300.0, abs=0.06)
    assert clinic.true_peak_ma(began_s + 300.0 + RAMP_S + TICK_S) == 0.0
    assert clinic.on_disk.latch is None
    assert clinic.on_disk.live_session_id is None


def test_completion_is_judged_before_permission() -> None:
    """The link went down 4.9 s before the end: permission and session run out in the same tick; it is completed."""
    clinic = Clinic()
    clinic.until_running(10.0)
    session = clinic.state.session
    assert session is not None
    clinic.run(300.0 - session.numbers.elapsed_s - 4.6)
    clinic.link = False
    while clinic.phase() is Phase.RUNNING:
        clinic.run(TICK_S)
    clinic.run(2.0)
    assert clinic.ended()[0] is Cause.COMPLETED


def test_therapist_stop() -> None:
    """The therapist ends the session: down within a second, not at once, and nothing latches."""
    clinic = running_at(50.0)
    clinic.press(Press.STOP)
    clinic.run(0.3)
    assert 10.0 < clinic.true_ma() < 50.0, "an abrupt stop hurts"
    clinic.run(RAMP_S - 0.3)
    assert clinic.true_ma() == 0.0
    clinic.run(MEASURED_WITHIN_S)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.THERAPIST_STOP
    assert clinic.on_disk.latch is None
    clinic.authorise()
    assert clinic.phase() is Phase.AUTHORISED


def test_pause_timeout() -> None:
    """Paused over five minutes: the session ends."""
    clinic = running_at(20.0)
    clinic.press(Press.PAUSE)
    clinic.run(299.0)
    assert clinic.phase() is Phase.PAUSED
    clinic.run(2.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.PAUSE_TIMEOUT


def test_ten_minutes_of_pauses_in_total() -> None:
    """Three pauses of 3, 4 and then more than 3 minutes: over 10 in total, the session ends."""
    clinic = running_at(5.0)
    for pause_s in (180.0, 240.0):
        clinic.press(Press.PAUSE)
        clinic.run(pause_s)
        assert clinic.press(Press.RESUME).accepted
    clinic.press(Press.PAUSE)
    clinic.run(178.0)
    assert clinic.phase() is Phase.PAUSED
    clinic.run(3.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.PAUSE_TIMEOUT


def test_battery_empty() -> None:
    """Below 5 % the session ends at zero; below 20 % none is begun."""
    clinic = running_at(30.0)
    clinic.suffer(FaultKind.BATTERY_DIES, 4.0)
    clinic.run(RAMP_S + MEASURED_WITHIN_S)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.BATTERY_EMPTY
    assert clinic.events(EventKind.BATTERY_LOW)
    assert len(clinic.events(EventKind.BATTERY_EMPTY)) == 1
    assert clinic.on_disk.latch is None
    clinic.authorise()
    assert clinic.phase() is Phase.IDLE


def test_cancelled() -> None:
    """The fleet withdraws an authorisation: armed or not, it is over, without a latch."""
    from broker.contract.messages import Cancel

    for arm in (False, True):
        clinic = Clinic()
        clinic.authorise()
        if arm:
            clinic.press(Press.ARM)
        command_id = clinic.command_id()
        clinic.hear(Cancel(clinic.boot_n, command_id, SESSION))
        clinic.run(MEASURED_WITHIN_S)
        assert clinic.phase() is Phase.IDLE
        assert clinic.acks(command_id) == [("received", None), ("done", None)]
        assert clinic.ended()[0] is Cause.CANCELLED
        assert clinic.on_disk.live_session_id is None


# --- zero at once, latched --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hand switch", "red button"])
def test_patient_stop(how: str) -> None:
    """The patient presses: zero at once, latched, the therapist resets once the switch is let go."""
    clinic = running_at(60.0)
    if how == "hand switch":
        clinic.suffer(FaultKind.HAND_SWITCH)
        clinic.run(TICK_S)
    else:
        assert clinic.press(Press.STOP_BUTTON).accepted
    assert_zero_at_once(clinic)
    clinic.run(4.0)
    assert_latched(clinic, Cause.PATIENT_STOP, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.STOP_PRESSED)) == 1
    assert clinic.ended()[0] is Cause.PATIENT_STOP
    assert_nobody_can_go_on(clinic)
    if how == "hand switch":
        assert not clinic.press(Press.RESET).accepted, "still pressed"
        clinic.stimulator.heal(FaultKind.HAND_SWITCH)
        clinic.run(2.9)
        assert not clinic.press(Press.RESET).accepted, "let go only 2.9 s ago"
    reset(clinic, ResetBy.THERAPIST)


@pytest.mark.parametrize("cause", [Cause.EMERGENCY_STOP, Cause.RULE_STOP])
def test_pushed_stop(cause: Cause) -> None:
    """Zero at once, latch and hold on disk, then told; done when measured; reset only after the release."""
    clinic = running_at(60.0)
    stop = clinic.stop_from_fleet(cause)
    assert_zero_at_once(clinic)
    assert clinic.acks(stop.command_id) == [("received", None)]
    clinic.run(MEASURED_WITHIN_S)
    assert clinic.acks(stop.command_id) == [("received", None), ("done", None)]
    assert_latched(clinic, cause, ResetBy.THERAPIST)
    assert clinic.on_disk.holds.device == ("ab" * 8,)
    (held,) = clinic.events(EventKind.HOLD_SET)
    assert held.detail == HoldChanged(Scope.DEVICE, "ab" * 8)
    assert_nobody_can_go_on(clinic)
    clinic.run(3.2)
    assert not clinic.press(Press.RESET).accepted, "a hold of the fleet is on the device"
    clinic.release("ab" * 8)
    assert clinic.phase() is Phase.LATCHED, "lifting starts nothing and resets nothing"
    assert clinic.on_disk.holds == type(clinic.on_disk.holds).of()
    reset(clinic, ResetBy.THERAPIST)


def test_session_cap() -> None:
    """The fleet's second timer stops the session: ramp, latched, therapist."""
    clinic = running_at(50.0)
    clinic.stop_from_fleet(Cause.SESSION_CAP, hold=False)
    clinic.run(0.3)
    assert 10.0 < clinic.true_ma() < 50.0
    clinic.run(RAMP_S - 0.3)
    assert clinic.true_ma() == 0.0
    clinic.run(MEASURED_WITHIN_S)
    assert_latched(clinic, Cause.SESSION_CAP, ResetBy.THERAPIST)
    reset(clinic, ResetBy.THERAPIST)


def test_lease_lost() -> None:
    """The link goes: zero within lease + tick + ramp of the last sample that was answered, latched."""
    clinic = Clinic(plan=replace(PLAN, off_s=0.0))
    clinic.until_running(50.0)
    clinic.run(1.0)
    clinic.link = False
    clinic.run(0.05)
    answered_s = max(
        sent.sent_s
        for sent in clinic.state.sent.samples
        if sent.seq == clinic.state.session.permission.answered_seq  # type: ignore[union-attr]
    )
    clinic.run(12.0)
    zero_s = clinic.stimulator.trace.zero_since()
    assert zero_s is not None
    assert zero_s - answered_s <= LEASE_TTL_S + TICK_S + RAMP_S
    assert zero_s - answered_s > LEASE_TTL_S, "a lost message or two end nothing"
    assert_latched(clinic, Cause.LEASE_LOST, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.LEASE_LOST)) == 1
    clinic.link = True
    assert_nobody_can_go_on(clinic)
    reset(clinic, ResetBy.THERAPIST)


def test_a_loop_held_up_over_the_end_of_the_lease_gives_the_ramp_no_more_time() -> None:
    clinic = Clinic(plan=replace(PLAN, off_s=0.0))
    clinic.until_running(50.0)
    clinic.link = False
    assert clinic.state.session is not None
    until_s = clinic.state.session.permission.until_s
    clinic.run(until_s - clinic.now_s - 0.1)
    clinic.now_s += 0.4  # nobody looks for 0.4 s, 0.3 s of them without permission
    clinic.run(3.0)
    zero_s = clinic.stimulator.trace.zero_since()
    assert zero_s is not None
    assert until_s < zero_s <= until_s + TICK_S + RAMP_S
    assert_latched(clinic, Cause.LEASE_LOST, ResetBy.THERAPIST)


def test_over_limit() -> None:
    """Half as much again flows as was set: zero, latched. The second time in 24 h takes an engineer."""
    clinic = running_at(20.0)
    clinic.suffer(FaultKind.OUTPUT_ABOVE, 1.5)
    clinic.run(3 * TICK_S)
    assert_zero_at_once(clinic)
    clinic.run(1.0)
    assert_latched(clinic, Cause.OVER_LIMIT, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.OVER_LIMIT)) == 1
    reset(clinic, ResetBy.THERAPIST)

    clinic.until_running()
    for _ in range(10):
        clinic.press(Press.RAISE, 2.0)
        clinic.run(0.4)
    assert_latched(clinic, Cause.OVER_LIMIT, ResetBy.ENGINEER)
    clinic.run(3.2)
    assert not clinic.press(Press.RESET, who=ResetBy.THERAPIST).accepted
    reset(clinic, ResetBy.ENGINEER)


def test_output_stuck() -> None:
    """Zero was ordered and something flows on: after one pulse period + 200 ms the relay opens; an engineer resets."""
    clinic = running_at(40.0)
    clinic.suffer(FaultKind.OUTPUT_STUCK)
    clinic.press(Press.STOP_BUTTON)
    ordered_s = clinic.now_s
    clinic.run(0.2)
    assert clinic.true_ma() == pytest.approx(40.0), "this stimulator ignores zero"
    clinic.run(0.2)
    assert clinic.true_ma() == 0.0
    zero_s = clinic.stimulator.trace.zero_since()
    assert zero_s is not None
    assert zero_s - ordered_s <= 1 / 40.0 + 0.2 + 2 * TICK_S
    clinic.run(2.0)
    assert_latched(clinic, Cause.OUTPUT_STUCK, ResetBy.ENGINEER)
    assert clinic.state.drive.relay_open
    assert clinic.ended()[0] is Cause.OUTPUT_STUCK
    assert conditions(clinic.state) == (Condition.OUTPUT_STUCK,)
    clinic.run(3.2)
    assert not clinic.press(Press.RESET, who=ResetBy.THERAPIST).accepted
    clinic.stimulator.heal(FaultKind.OUTPUT_STUCK)
    reset(clinic, ResetBy.ENGINEER)
    assert not clinic.state.drive.relay_open


def test_output_that_nobody_ordered() -> None:
    """In an idle device current flows: relay, latch, engineer."""
    clinic = Clinic()
    clinic.suffer(FaultKind.OUTPUT_STUCK, 25.0)
    clinic.run(0.4)
    assert_latched(clinic, Cause.OUTPUT_STUCK, ResetBy.ENGINEER)


def test_every_cause_has_its_story() -> None:
    told = {
        Cause.COMPLETED: test_completed,
        Cause.THERAPIST_STOP: test_therapist_stop,
        Cause.PAUSE_TIMEOUT: test_pause_timeout,
        Cause.BATTERY_EMPTY: test_battery_empty,
        Cause.CANCELLED: test_cancelled,
        Cause.PATIENT_STOP: test_patient_stop,
        Cause.EMERGENCY_STOP: test_pushed_stop,
        Cause.RULE_STOP: test_pushed_stop,
        Cause.SESSION_CAP: test_session_cap,
        Cause.LEASE_LOST: test_lease_lost,
        Cause.OVER_LIMIT: test_over_limit,
        Cause.OUTPUT_STUCK: test_output_stuck,
        Cause.ELECTRODE_OPEN: of_faults.test_electrode_fault,
        Cause.ELECTRODE_SHORT: of_faults.test_electrode_fault,
        Cause.ELECTRODE_DEGRADED: of_faults.test_electrode_fault,
        Cause.SENSOR_FROZEN: of_faults.test_sensor_frozen,
        Cause.OVER_TEMPERATURE: of_faults.test_over_temperature,
        Cause.SELF_TEST_FAILED: of_faults.test_self_test_failed,
        Cause.WATCHDOG_TRIPPED: of_faults.test_watchdog_tripped,
        Cause.REBOOT: of_faults.test_reboot,
    }
    assert set(told) == set(Cause)
