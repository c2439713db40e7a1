"""The session at the device: what a person may do and when, what is counted and told, and that doubt is zero."""

import math
from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.drivers.port import ZERO, Drive, Identity
from agents.session import begin, step
from agents.simulation.faults import FaultKind
from agents.state import State, conditions
from agents.steps import Announce, Durable, Emit, Persist, Press, Pressed, Reply, Sample, Tick, Written
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    ClockStepped,
    Condition,
    EventKind,
    Measured,
    Phase,
    SelfTestFailed,
    SettingChanged,
)
from tests.agents.clinic import PLAN, SESSION, SETTINGS, WALL_AT_BOOT_S, Clinic

# --- arm, start, raise, resume ----------------------------------------------------------------------------------------


def test_a_session_from_authorisation_to_its_end() -> None:
    clinic = Clinic()
    clinic.authorise()
    assert clinic.press(Press.ARM).words == "Armed. Setting 0."
    assert clinic.on_disk.live_session_id == SESSION, "the marker is on disk before anything can flow"
    clinic.run(0.7)
    assert clinic.state.drive.test_pulse
    assert clinic.press(Press.START).words == "Running. Setting 0."
    clinic.run(2.0)
    assert clinic.true_ma() == 0.0, "running, and still at zero"
    clinic.raise_to(3.0)
    clinic.until_on_phase()
    assert clinic.true_ma() == pytest.approx(3.0)
    assert clinic.press(Press.LOWER).words == "Setting 2.0 mA."
    clinic.press(Press.LOWER, 50.0)
    assert clinic.setting_ma == 0.0
    clinic.press(Press.PAUSE)
    clinic.run(1.0)
    assert clinic.press(Press.RESUME).accepted
    clinic.press(Press.STOP)
    assert clinic.press(Press.STOP).accepted, "a second stop is no mistake"
    clinic.run(1.5)
    assert clinic.kinds() == [
        EventKind.SESSION_ARMED,
        EventKind.SESSION_STARTED,
        EventKind.SETTING_CHANGED,
        EventKind.SETTING_CHANGED,
        EventKind.SETTING_CHANGED,
        EventKind.SETTING_CHANGED,
        EventKind.SESSION_PAUSED,
        EventKind.SESSION_RESUMED,
        EventKind.SESSION_ENDED,
    ]
    changed = [each.detail for each in clinic.events(EventKind.SETTING_CHANGED)]
    assert changed == [SettingChanged(2.0), SettingChanged(3.0), SettingChanged(2.0), SettingChanged(0.0)]
    assert {each.session_id for each in clinic.events()} == {SESSION}


def test_the_marker_is_on_disk_before_the_device_is_armed() -> None:
    clinic = Clinic()
    clinic.authorise()
    clinic.disk = False
    clinic.stepper.feed(Pressed(clinic.now_s, 900, Press.ARM))
    clinic.run(2.0)
    assert clinic.phase() is Phase.AUTHORISED
    assert not clinic.state.drive.test_pulse
    clinic.disk = True
    clinic.run(0.1)
    assert clinic.phase() is Phase.ARMED
    assert clinic.reply(900).accepted


def test_disarm_and_arm_again() -> None:
    clinic = Clinic()
    clinic.until_armed()
    assert clinic.press(Press.DISARM).accepted
    assert clinic.phase() is Phase.AUTHORISED
    assert clinic.on_disk.live_session_id is None
    clinic.run(0.2)
    assert not clinic.state.drive.test_pulse
    assert clinic.press(Press.ARM).accepted
    clinic.run(0.7)
    assert clinic.press(Press.START).accepted


@pytest.mark.parametrize(
    ("phase", "presses"),
    [
        (Phase.IDLE, {Press.ARM, Press.DISARM, Press.START, Press.RAISE, Press.LOWER, Press.PAUSE, Press.RESUME, Press.STOP}),
        (Phase.AUTHORISED, {Press.DISARM, Press.START, Press.RAISE, Press.LOWER, Press.PAUSE, Press.RESUME, Press.RESET}),
        (Phase.ARMED, {Press.ARM, Press.RAISE, Press.LOWER, Press.PAUSE, Press.RESUME, Press.RESET}),
        (Phase.RUNNING, {Press.ARM, Press.DISARM, Press.START, Press.RESUME, Press.RESET}),
        (Phase.PAUSED, {Press.ARM, Press.DISARM, Press.START, Press.RAISE, Press.LOWER, Press.PAUSE, Press.RESET}),
    ],
)  # fmt: skip
def test_what_may_not_be_pressed_where(phase: Phase, presses: set[Press]) -> None:
    """It does nothing, and says why."""
    for press in presses:
        clinic = Clinic()
        if phase is Phase.AUTHORISED:
            clinic.authorise()
        elif phase is Phase.ARMED:
            clinic.until_armed()
        elif phase in {Phase.RUNNING, Phase.PAUSED}:
            clinic.until_running()
        if phase is Phase.PAUSED:
            clinic.press(Press.PAUSE)
        reply = clinic.press(press)
        assert not reply.accepted
        assert reply.words
        assert clinic.phase() is phase


def test_start_needs_good_pads_and_a_lease() -> None:
    clinic = Clinic()
    clinic.suffer(FaultKind.ELECTRODE_LIFTS, 0.0)
    clinic.until_armed()
    assert clinic.press(Press.START).words == "The electrodes do not read as good: open."
    clinic.stimulator.heal(FaultKind.ELECTRODE_LIFTS)
    clinic.link = False
    clinic.run(6.0)
    assert "leased" in clinic.press(Press.START).words
    clinic.link = True
    clinic.run(0.6)
    assert clinic.press(Press.START).accepted


def test_arming_needs_a_stimulator_that_is_ready() -> None:
    clinic = Clinic()
    clinic.authorise()
    clinic.suffer(FaultKind.BATTERY_DIES, 15.0)
    clinic.run(0.1)
    assert "battery" in clinic.press(Press.ARM).words


def test_a_step_is_2_ma_below_20_and_1_ma_from_there_and_5_ma_a_second() -> None:
    clinic = Clinic()
    clinic.until_running()
    clinic.press(Press.RAISE, 10.0)
    assert clinic.setting_ma == 2.0
    assert clinic.press(Press.RAISE).words == "Too fast: wait a moment."
    clinic.run(0.35)
    assert not clinic.press(Press.RAISE).accepted
    clinic.run(0.05)
    assert clinic.press(Press.RAISE).accepted
    clinic.run(0.4)
    clinic.raise_to(20.0)
    clinic.press(Press.RAISE, 2.0)
    assert clinic.setting_ma == 21.0
    clinic.run(0.2)
    assert clinic.press(Press.RAISE, 0.5).accepted
    for nothing in (0.0, -5.0, math.nan):
        assert not clinic.press(Press.RAISE, nothing).accepted
        assert not clinic.press(Press.LOWER, nothing).accepted
    assert clinic.setting_ma == 21.5


def test_no_raise_beyond_the_plan_or_the_limits() -> None:
    clinic = Clinic(plan=replace(PLAN, setting_ma_max=5.0))
    clinic.until_running(4.0)
    clinic.press(Press.RAISE, 2.0)
    assert clinic.setting_ma == 5.0
    clinic.run(1.0)
    assert clinic.press(Press.RAISE).words == "5.0 mA is the limit (plan)."
    still = Clinic(limits=GENERIC_PROFILE.tightened_by(Layer.CLINIC, setting_rise_ma_per_s_max=0.0))
    still.until_running()
    assert still.press(Press.RAISE).words == "The limits allow no raising."


def test_pausing_sets_the_setting_to_zero_and_resuming_starts_there() -> None:
    """Paused at 100 mA: no jump back."""
    clinic = Clinic(plan=replace(PLAN, setting_ma_max=100.0, electrode_area_cm2=50.0))
    clinic.until_running(100.0)
    clinic.press(Press.PAUSE)
    assert clinic.setting_ma == 0.0
    assert clinic.true_ma() == 0.0
    assert not clinic.press(Press.RESUME).accepted, "zero has to be measured first"
    clinic.run(1.0)
    resumed_s = clinic.now_s
    assert clinic.press(Press.RESUME).accepted
    clinic.run(12.0)
    assert clinic.true_peak_ma(resumed_s) == 0.0


def test_no_raise_on_degraded_pads_which_are_told_once() -> None:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    clinic.suffer(FaultKind.PAD_DRIES, 1.7)
    clinic.run(20.0)
    assert clinic.phase() is Phase.RUNNING
    (degraded,) = clinic.events(EventKind.ELECTRODE_DEGRADED)
    assert degraded.cause is None
    assert conditions(clinic.state) == (Condition.ELECTRODE_DEGRADED,)
    clinic.until_on_phase()
    assert "degraded" in clinic.press(Press.RAISE).words


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_numbers_of_a_session() -> None:
    """20 mA for 60 s of continuous current at 40 Hz and 300 us: 6 uC a pulse, 14.4 mC in all; a pause is not elapsed."""
    clinic = Clinic(plan=replace(PLAN, off_s=0.0))
    clinic.until_running(20.0)
    before = clinic.state.session.numbers  # type: ignore[union-attr]
    clinic.run(60.0)
    after = clinic.state.session.numbers  # type: ignore[union-attr]
    assert after.elapsed_s - before.elapsed_s == pytest.approx(60.0)
    assert after.on_time_s - before.on_time_s == pytest.approx(60.0)
    assert after.charge_uc - before.charge_uc == pytest.approx(60 * 40 * 20.0 * 0.3, rel=0.02)
    assert after.peak_ma == pytest.approx(20.0, abs=1.0)
    clinic.press(Press.PAUSE)
    clinic.run(30.0)
    clinic.press(Press.RESUME)
    clinic.run(1.0)
    assert clinic.state.session.numbers.elapsed_s - after.elapsed_s == pytest.approx(1.0)  # type: ignore[union-attr]
    elapsed = [sample.elapsed_s for sample in clinic.samples() if sample.session_id]
    assert elapsed == sorted(elapsed)


def test_what_was_not_read_is_a_gap_and_not_a_guess() -> None:
    clinic = Clinic(plan=replace(PLAN, off_s=0.0))
    clinic.until_running(10.0)
    clinic.run(5.0)
    before = clinic.state.session.numbers  # type: ignore[union-attr]
    clinic.now_s += 0.4
    clinic.run(TICK_S)
    after = clinic.state.session.numbers  # type: ignore[union-attr]
    assert after.gaps == before.gaps + 1
    assert after.on_time_s == before.on_time_s
    assert after.elapsed_s - before.elapsed_s == pytest.approx(0.4 + TICK_S)


# --- telemetry --------------------------------------------------------------------------------------------------------


def test_samples_count_on_from_the_first_number_and_come_at_once_when_the_phase_changes() -> None:
    clinic = Clinic()
    clinic.until_running(2.0)
    clinic.press(Press.PAUSE)
    paused_s = clinic.now_s
    clinic.run(TICK_S)
    sample = next(each for each in reversed(clinic.told) if isinstance(each, Sample))
    assert sample.telemetry.phase is Phase.PAUSED
    assert sample.sent_s <= paused_s + TICK_S
    sequence = [each.seq for each in clinic.samples()]
    assert sequence == list(range(4711, 4711 + len(sequence)))
    assert {each.boot_n for each in clinic.samples()} == {7}


def test_a_sample_says_what_is_measured_and_none_where_nothing_is() -> None:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    clinic.run(0.5)
    sample = clinic.samples()[-1]
    assert sample.setting_ma == 10.0
    assert sample.amplitude_ma == pytest.approx(10.0, abs=1.0)
    assert sample.impedance_ohm == pytest.approx(1000.0, rel=0.3)
    assert sample.lease_margin_s is not None
    assert (sample.pulse_width_us, sample.frequency_hz, sample.settings_version) == (300.0, 40.0, 1)
    clinic.suffer(FaultKind.SENSOR_LOST)
    clinic.run(0.6)
    assert clinic.samples()[-1].amplitude_ma is None
    clinic.suffer(FaultKind.DRIVER_SILENT)
    clinic.run(5.5)
    sample = clinic.samples()[-1]
    assert (sample.amplitude_ma, sample.battery_pct, sample.temperature_c, sample.impedance_ohm) == (None,) * 4


def test_a_birth_says_what_has_changed() -> None:
    """Latch, holds, conditions, session and settings are in the birth: each change announces one, nothing else does."""
    clinic = Clinic()
    clinic.run(20.0)
    assert [each for each in clinic.told if isinstance(each, Announce)] == [Announce()]
    for change in (
        clinic.authorise,
        lambda: clinic.hear(replace(SETTINGS, version=2)),
        lambda: clinic.stop_from_fleet(),
    ):
        clinic.forget()
        change()
        assert [each for each in clinic.told if isinstance(each, Announce)] == [Announce()]
        persisted = [index for index, each in enumerate(clinic.told) if isinstance(each, Persist)]
        assert persisted, "what a birth says is on disk before"
        assert max(persisted) < clinic.told.index(Announce())


# --- clocks, battery, driver ------------------------------------------------------------------------------------------


def test_a_step_of_the_wall_clock_is_told_and_decides_nothing() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    elapsed_s = clinic.state.session.numbers.elapsed_s  # type: ignore[union-attr]
    clinic.wall_step_s = -3600.0
    clinic.run(1.0)
    (stepped,) = clinic.events(EventKind.CLOCK_STEPPED)
    assert isinstance(stepped.detail, ClockStepped)
    assert stepped.detail.step_s == pytest.approx(-3600.0)
    assert clinic.phase() is Phase.RUNNING
    assert clinic.state.session.numbers.elapsed_s - elapsed_s == pytest.approx(1.0)  # type: ignore[union-attr]


def test_a_low_battery_is_told_once_and_hovering_is_one_occurrence() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    for percent in (19.5, 20.5, 19.5, 21.9, 19.9):
        clinic.stimulator.heal(FaultKind.BATTERY_DIES)
        clinic.suffer(FaultKind.BATTERY_DIES, percent)
        clinic.run(0.2)
    (low,) = clinic.events(EventKind.BATTERY_LOW)
    assert low.detail == Measured("battery_pct", 19.5, 20.0)
    assert conditions(clinic.state) == (Condition.BATTERY_LOW,)
    assert clinic.phase() is Phase.RUNNING
    clinic.suffer(FaultKind.BATTERY_DIES, 3.0)
    clinic.run(2.0)
    assert conditions(clinic.state) == (Condition.BATTERY_LOW, Condition.BATTERY_EMPTY)


def test_a_stimulator_that_is_unplugged_while_idle_and_while_running() -> None:
    clinic = Clinic()
    clinic.suffer(FaultKind.DRIVER_SILENT)
    clinic.run(1.2)
    assert clinic.phase() is Phase.FAULT
    clinic.stimulator.heal(FaultKind.DRIVER_SILENT)
    clinic.run(0.1)
    assert clinic.phase() is Phase.IDLE
    clinic.until_running(10.0)
    clinic.until_on_phase()
    lost_s = clinic.now_s
    clinic.suffer(FaultKind.DRIVER_SILENT)
    clinic.run(3.0)
    assert clinic.phase() is Phase.STOPPING, "nobody has measured zero"
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER
    clinic.stimulator.heal(FaultKind.DRIVER_SILENT)
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.true_peak_ma(lost_s + 0.6) == 0.0, "its own watchdog ended output"


# --- endings that meet ------------------------------------------------------------------------------------------------


def test_a_stop_cuts_the_ramp_of_a_soft_ending() -> None:
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.until_on_phase()
    clinic.press(Press.STOP)
    clinic.run(0.2)
    assert clinic.true_ma() > 20.0
    clinic.stop_from_fleet(hold=False)
    assert clinic.true_ma() == 0.0
    clinic.run(0.5)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.ended()[0] is Cause.EMERGENCY_STOP


def test_a_pad_that_lifts_in_the_ramp_cuts_it_and_changes_nothing_else() -> None:
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.until_on_phase()
    clinic.press(Press.STOP)
    clinic.run(0.2)
    clinic.suffer(FaultKind.ELECTRODE_LIFTS, 0.0)
    clinic.run(0.2)
    assert clinic.true_ma() == 0.0
    clinic.run(0.5)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.THERAPIST_STOP


def test_a_soft_ending_does_not_soften_a_hard_one() -> None:
    """The therapist presses stop while an emergency stop waits for measured zero."""
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.stop_from_fleet(hold=False)
    clinic.press(Press.STOP)
    clinic.run(0.5)
    assert clinic.ended()[0] is Cause.EMERGENCY_STOP
    assert clinic.phase() is Phase.LATCHED


def test_a_graver_latch_takes_the_place_of_a_lesser_one_and_not_the_other_way_round() -> None:
    clinic = Clinic()
    clinic.stop_from_fleet(hold=False)
    clinic.suffer(FaultKind.OUTPUT_STUCK, 25.0)
    clinic.run(0.4)
    assert clinic.on_disk.latch is Cause.OUTPUT_STUCK
    clinic.stop_from_fleet(hold=False)
    assert clinic.on_disk.latch is Cause.OUTPUT_STUCK
    assert [each.cause for each in clinic.events(EventKind.LATCHED)] == [Cause.EMERGENCY_STOP, Cause.OUTPUT_STUCK]


def test_a_reset_needs_a_key_and_a_latch() -> None:
    clinic = Clinic()
    assert not clinic.press(Press.RESET).accepted
    clinic.press(Press.STOP_BUTTON)
    clinic.run(3.5)
    assert clinic.press(Press.RESET, who=ResetBy.NOBODY).words == "Only a person with a key resets."
    assert clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    (reset,) = clinic.events(EventKind.LATCH_RESET)
    assert reset.cause is Cause.PATIENT_STOP
    assert clinic.on_disk.latch is None


def test_a_latch_survives_any_number_of_starts() -> None:
    clinic = Clinic()
    clinic.press(Press.STOP_BUTTON)
    for _ in range(3):
        clinic.switch_on_agent(clinic.on_disk)
        assert clinic.phase() is Phase.LATCHED
        assert clinic.on_disk.latch is Cause.PATIENT_STOP


def test_a_session_that_died_latched_is_reported_with_its_own_cause() -> None:
    """The stop was on disk; power went before the session was reported as ended."""
    durable = Durable(1, Cause.EMERGENCY_STOP, ResetBy.THERAPIST, live_session_id=SESSION)
    clinic = Clinic(durable=durable)
    cause, numbers = clinic.ended()
    assert cause is Cause.EMERGENCY_STOP
    assert numbers.gaps == 1
    assert clinic.on_disk.latch is Cause.EMERGENCY_STOP
    assert clinic.on_disk.live_session_id is None


# --- doubt ------------------------------------------------------------------------------------------------------------


def running() -> State:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.until_on_phase()
    return clinic.state


def tick(state: State, after_s: float = TICK_S, **changed: object) -> tuple[State, Drive, tuple[object, ...]]:
    now_s = state.now_s + after_s
    reading = state.watch.reading
    assert reading is not None
    reading = replace(reading, taken_s=now_s, raw_n=reading.raw_n + 1)
    reading = replace(reading, raw_amplitude=reading.raw_n % 7, **changed)  # type: ignore[arg-type]
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
def test_one_reading_that_ends_output_at_once(changed: dict[str, object], cause: Cause) -> None:
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
def test_one_reading_that_does_not(changed: dict[str, object]) -> None:
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
    state = running()
    state = replace(state, session=replace(state.session, permission=replace(state.session.permission, until_s=1e9)))  # type: ignore[union-attr, arg-type, type-var]
    after, outcome = step(state, Written(state.now_s + 1.01, 0))
    assert outcome.drive == ZERO
    assert after.durable.latch is Cause.SENSOR_FROZEN


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
    for _ in range(30):
        state, drive, _ = tick(state, raw_n=raw_n)
        state = replace(state, watch=replace(state.watch, reading=replace(state.watch.reading, raw_n=raw_n)))  # type: ignore[type-var]
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
