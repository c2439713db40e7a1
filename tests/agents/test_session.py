"""The session at the device: what a person may do and when, what is counted and told, and that doubt is zero."""

import math
from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.simulation.faults import FaultKind
from agents.state import conditions
from agents.steps import Announce, Persist, Press, Pressed, Sample, Written
from broker.contract.causes import ResetBy
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    ClockStepped,
    Condition,
    EventKind,
    Measured,
    Phase,
    SettingChanged,
)
from tests.agents.clinic import PLAN, SESSION, SETTINGS, Clinic

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


def test_another_write_that_is_confirmed_is_not_the_marker() -> None:
    clinic = Clinic()
    clinic.authorise()
    clinic.disk = False
    clinic.hear(replace(SETTINGS, version=2))
    clinic.stepper.feed(Pressed(clinic.now_s, 900, Press.ARM))
    clinic.stepper.feed(Written(clinic.now_s, clinic.state.ordered_n - 1))
    assert clinic.phase() is Phase.AUTHORISED
    clinic.stepper.feed(Written(clinic.now_s, clinic.state.ordered_n))
    assert clinic.phase() is Phase.ARMED


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
        (Phase.IDLE, "arm disarm start raise lower pause resume stop reset"),
        (Phase.AUTHORISED, "disarm start raise lower pause resume reset"),
        (Phase.ARMED, "arm raise lower pause resume reset"),
        (Phase.RUNNING, "arm disarm start resume reset"),
        (Phase.PAUSED, "arm disarm start raise lower pause reset"),
    ],
)
def test_what_may_not_be_pressed_where(phase: Phase, presses: str) -> None:
    """It does nothing, and says why."""
    for press in map(Press, presses.split()):
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
    assert clinic.press(Press.START).words == "The electrodes do not read as good (open): check the pads."
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
    assert clinic.press(Press.RAISE, 10.0).words == "Setting 2.0 mA: raised by 2 mA, the largest step here."
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
    assert not clinic.press(Press.RAISE, 0.05).accepted
    assert not clinic.press(Press.LOWER, math.inf).accepted
    for nothing in (0.0, -5.0, math.nan):
        assert not clinic.press(Press.RAISE, nothing).accepted
        assert not clinic.press(Press.LOWER, nothing).accepted
    assert clinic.setting_ma == 21.5


def test_less_is_always_free_however_little_or_much() -> None:
    clinic = Clinic()
    clinic.until_running(2.0)
    assert clinic.press(Press.RAISE, 2.0).accepted
    from_ma = clinic.setting_ma
    assert clinic.press(Press.LOWER, 0.05).accepted
    assert clinic.setting_ma == pytest.approx(from_ma - 0.05)
    assert clinic.press(Press.LOWER, 1e300).words == "Setting 0.0 mA."
    assert clinic.setting_ma == 0.0


def test_no_raise_beyond_the_plan_or_the_limits() -> None:
    clinic = Clinic(plan=replace(PLAN, setting_ma_max=5.0))
    clinic.until_running(4.0)
    assert clinic.press(Press.RAISE, 2.0).words == "Setting 5.0 mA, the limit (plan)."
    assert clinic.setting_ma == 5.0
    clinic.run(1.0)
    assert clinic.press(Press.RAISE).words == "5.0 mA is the limit (plan)."
    still = Clinic(limits=GENERIC_PROFILE.tightened_by(Layer.CLINIC, setting_rise_ma_per_s_max=0.0))
    still.until_running()
    assert still.press(Press.RAISE).words == "The limits allow no raising: ask for a session with another plan."


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
    """20 mA for 60 s without a break at 40 Hz and 300 us: 6 uC a pulse, 14.4 mC in all; a pause is not elapsed."""
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
        clinic.stop_from_fleet,
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
