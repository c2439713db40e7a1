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
from tests.agents.clinic import LEASE_TTL_S, PLAN, SESSION, Clinic

RAMP_S = 1.0
MEASURED_WITHIN_S = 0.3  # zero ordered to zero measured: window 100 ms, and ticks


def running_at(setting_ma: float) -> Clinic:
    clinic = Clinic()
    clinic.until_running(setting_ma)
    clinic.until_on_phase()
    clinic.forget()
    return clinic


def assert_latched(clinic: Clinic, cause: Cause, reset_by: ResetBy) -> None:
    assert clinic.phase() is Phase.LATCHED
    assert clinic.state.durable.latch is cause
    assert clinic.state.durable.reset_by is reset_by
    assert clinic.on_disk == clinic.state.durable, "the latch is on disk"
    assert clinic.on_disk.live_session_id is None
    assert clinic.true_ma() == 0.0


def assert_nobody_can_go_on(clinic: Clinic) -> None:
    for press in (Press.ARM, Press.START, Press.RAISE, Press.RESUME):
        assert not clinic.press(press).accepted
    clinic.authorise()
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.true_ma() == 0.0


def reset(clinic: Clinic, who: ResetBy) -> None:
    """After 3 s at measured zero a person resets; nothing starts by that."""
    clinic.run(3.2)
    reply = clinic.press(Press.RESET, who=who)
    assert reply.accepted, reply.words
    clinic.run(1.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.true_ma() == 0.0


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


def assert_zero_at_once(clinic: Clinic) -> None:
    """Whatever flowed, nothing flows after the outcome was applied, without waiting for a tick."""
    assert clinic.true_ma() == 0.0


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
        clinic.run(2.0)
        assert not clinic.press(Press.RESET).accepted, "let go only 2 s ago"
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
    assert clinic.on_disk.holds == type(clinic.on_disk.holds)()
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


def test_over_limit_counts_by_the_day() -> None:
    """A day later the second one is a first one again."""
    clinic = running_at(20.0)
    clinic.suffer(FaultKind.OUTPUT_ABOVE, 1.5)
    clinic.run(1.0)
    reset(clinic, ResetBy.THERAPIST)
    clinic.stimulator.heal(FaultKind.OUTPUT_ABOVE)
    clinic.wall_step_s = 24 * 3600.0
    clinic.until_running(20.0)
    clinic.until_on_phase()
    clinic.suffer(FaultKind.OUTPUT_ABOVE, 1.5)
    clinic.run(1.0)
    assert_latched(clinic, Cause.OVER_LIMIT, ResetBy.THERAPIST)


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


# --- electrodes: zero at once, pause, resume from 0 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "size", "cause"),
    [
        (FaultKind.ELECTRODE_LIFTS, 0.0, Cause.ELECTRODE_OPEN),
        (FaultKind.ELECTRODE_SHORTS, 40.0, Cause.ELECTRODE_SHORT),
        (FaultKind.PAD_DRIES, 2.5, Cause.ELECTRODE_DEGRADED),
    ],
)
def test_electrode_fault(fault: FaultKind, size: float, cause: Cause) -> None:
    """A pad lifts, shorts or dries: zero at once, paused; mended, the therapist resumes, from 0."""
    clinic = running_at(30.0)
    clinic.suffer(fault, size)
    clinic.run(3 * TICK_S)
    assert clinic.phase() is Phase.PAUSED
    assert clinic.true_ma() == 0.0
    assert clinic.setting_ma == 0.0
    assert clinic.on_disk.latch is None
    assert [each.cause for each in clinic.events(EventKind.SESSION_PAUSED)] == [cause]
    assert cause.value in [each.kind.value for each in clinic.events() if each.cause is cause]
    clinic.run(1.0)
    assert not clinic.press(Press.RESUME).accepted, "the pads do not read as good"
    clinic.stimulator.heal(fault)
    clinic.run(1.0)
    assert clinic.press(Press.RESUME).accepted
    clinic.run(1.0)
    assert clinic.phase() is Phase.RUNNING
    assert clinic.true_ma() == 0.0, "from zero"
    clinic.raise_to(10.0)
    clinic.until_on_phase()
    assert clinic.true_ma() == pytest.approx(10.0)


# --- engineer's business ----------------------------------------------------------------------------------------------


def test_sensor_frozen() -> None:
    """The converter repeats itself: zero within ten readings, latched, engineer."""
    clinic = running_at(30.0)
    frozen_s = clinic.now_s
    clinic.suffer(FaultKind.SENSOR_FROZEN)
    clinic.run(1.0)
    zero_s = clinic.stimulator.trace.zero_since()
    assert zero_s is not None
    assert zero_s - frozen_s <= 11 * TICK_S
    clinic.stimulator.heal(FaultKind.SENSOR_FROZEN)
    clinic.run(1.0)
    assert clinic.state.durable.latch in {Cause.SENSOR_FROZEN, Cause.OUTPUT_STUCK}
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER


def test_sensor_lost() -> None:
    """No reading for a second while on: zero, latched. Without a reading nobody can call it zero: the relay opens."""
    clinic = running_at(30.0)
    lost_s = clinic.now_s
    clinic.suffer(FaultKind.SENSOR_LOST)
    clinic.run(0.9)
    clinic.run(0.4)
    assert clinic.true_ma() == 0.0
    assert clinic.true_peak_ma(lost_s + 1.1) == 0.0
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER
    clinic.run(5.0)
    assert clinic.phase() is Phase.STOPPING, "not ended: zero was never measured"
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.SENSOR_LOST)
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.ended()[1].gaps >= 1
    reset(clinic, ResetBy.ENGINEER)


def test_over_temperature() -> None:
    """Too warm: zero, latched, engineer, and not while it is still warm."""
    clinic = running_at(30.0)
    clinic.suffer(FaultKind.OVERHEATS, 60.0)
    clinic.run(TICK_S)
    assert_zero_at_once(clinic)
    clinic.run(4.0)
    assert_latched(clinic, Cause.OVER_TEMPERATURE, ResetBy.ENGINEER)
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.OVERHEATS)
    reset(clinic, ResetBy.ENGINEER)


def test_self_test_failed() -> None:
    """It comes up latched; no reset before a start at which the test passes."""
    clinic = Clinic()
    clinic.suffer(FaultKind.SELF_TEST_FAILS)
    clinic.run(0.5)
    clinic.forget()
    clinic.switch_on_agent(clinic.on_disk)
    assert_latched(clinic, Cause.SELF_TEST_FAILED, ResetBy.ENGINEER)
    assert EventKind.SELF_TEST_FAILED in clinic.kinds()
    clinic.run(4.0)
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.SELF_TEST_FAILS)
    clinic.switch_on_agent(clinic.on_disk)
    assert_latched(clinic, Cause.SELF_TEST_FAILED, ResetBy.ENGINEER)
    reset(clinic, ResetBy.ENGINEER)


def test_watchdog_tripped() -> None:
    """The agent was held up for two seconds: the stimulator's own watchdog ended output; the agent latches."""
    clinic = running_at(30.0)
    held_up_s = clinic.now_s
    clinic.now_s += 2.0
    clinic.run(0.5)
    assert clinic.true_peak_ma(held_up_s + 1.0) == 0.0
    clinic.run(1.0)
    assert_latched(clinic, Cause.WATCHDOG_TRIPPED, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.WATCHDOG_TRIPPED)) == 1
    reset(clinic, ResetBy.THERAPIST)


@pytest.mark.parametrize("live_in", [Phase.ARMED, Phase.RUNNING, Phase.PAUSED])
def test_reboot(live_in: Phase) -> None:
    """The agent dies in a live session and starts again: latched at zero, the session reported as ended."""
    clinic = Clinic()
    clinic.until_armed() if live_in is Phase.ARMED else clinic.until_running(30.0)
    if live_in is Phase.PAUSED:
        clinic.press(Press.PAUSE)
    assert clinic.phase() is live_in
    clinic.now_s += 8.0  # dead; the stimulator's watchdog has long ended output
    clinic.forget()
    boot_n = clinic.boot_n
    clinic.switch_on_agent(clinic.on_disk)
    assert clinic.boot_n == boot_n + 1
    assert_latched(clinic, Cause.REBOOT, ResetBy.THERAPIST)
    cause, _ = clinic.ended()
    assert cause is Cause.REBOOT
    assert clinic.events(EventKind.SESSION_ENDED)[0].session_id == SESSION
    assert_nobody_can_go_on(clinic)
    reset(clinic, ResetBy.THERAPIST)


def test_reboot_while_idle() -> None:
    """Nothing was live: idle again, with the next boot number."""
    clinic = Clinic()
    clinic.switch_on_agent(clinic.on_disk)
    assert clinic.phase() is Phase.IDLE
    assert clinic.boot_n == 8


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
        Cause.ELECTRODE_OPEN: test_electrode_fault,
        Cause.ELECTRODE_SHORT: test_electrode_fault,
        Cause.ELECTRODE_DEGRADED: test_electrode_fault,
        Cause.SENSOR_FROZEN: test_sensor_frozen,
        Cause.OVER_TEMPERATURE: test_over_temperature,
        Cause.SELF_TEST_FAILED: test_self_test_failed,
        Cause.WATCHDOG_TRIPPED: test_watchdog_tripped,
        Cause.REBOOT: test_reboot,
    }
    assert set(told) == set(Cause)
