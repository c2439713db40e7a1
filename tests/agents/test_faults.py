"""What a reading says, at the exact bounds of domain.md. Expected values are domain.md's, not the code's constants."""

import math
from dataclasses import replace

import pytest

from agents.drivers.port import ZERO, Drive, Pattern, Reading
from agents.faults import Finding, Watch, findings, number, ordered, peak_ma, silence, watched
from broker.contract.causes import Cause

NOW_S = 50.0
PATTERN = Pattern(300.0, 40.0, on_s=7.0, off_s=3.0, ramp_up_s=1.0, ramp_down_s=1.0)
SLOW = replace(PATTERN, frequency_hz=1.0)
ON = Drive(True, 20.0, PATTERN, test_pulse=False, feed_watchdog=True)
FINE = Reading(
    taken_s=NOW_S,
    amplitude_ma=20.0,
    raw_amplitude=440,
    raw_n=1,
    impedance_ohm=800.0,
    setting_ma=20.0,
    level_ma=20.0,
    in_on_phase=True,
    battery_pct=80.0,
    temperature_c=30.0,
    relay_closed=True,
    watchdog_tripped=False,
    hand_switch_pressed=False,
)
RESTING = replace(FINE, amplitude_ma=0.0, impedance_ohm=None, in_on_phase=False, setting_ma=0.0, level_ma=0.0)


def flowing(drive: Drive = ON, for_s: float = 2.0) -> tuple[Watch, float]:
    """After `for_s` of good readings every 50 ms; when the last one was."""
    watch = ordered(Watch(0.0, 1.0, was_driven=False), NOW_S, ZERO, drive)
    now_s = NOW_S
    for count in range(round(for_s / 0.05)):
        now_s = NOW_S + 0.05 * count
        watch = watched(watch, now_s, replace(FINE, taken_s=now_s, raw_n=count, raw_amplitude=400 + count % 3), drive)
    return watch, now_s


def causes(watch: Watch, now_s: float, drive: Drive, baseline_ohm: float | None = None) -> list[Cause]:
    return [finding.cause for finding in findings(watch, now_s, drive, baseline_ohm)]


def after(reading: Reading | None, drive: Drive = ON, baseline_ohm: float | None = None) -> list[Cause]:
    """What is found when one more reading comes 50 ms after good ones."""
    watch, now_s = flowing()
    now_s += 0.05
    if reading is not None:
        reading = replace(reading, taken_s=now_s, raw_n=999)
    return causes(watched(watch, now_s, reading, drive), now_s, drive, baseline_ohm)


def test_good_readings_say_nothing() -> None:
    watch, now_s = flowing()
    assert findings(watch, now_s, ON, 800.0) == ()
    assert after(FINE) == []
    assert after(None) == [], "one answer that does not come is not yet a fault"


@pytest.mark.parametrize(
    ("impedance_ohm", "cause"),
    [
        (0.0, Cause.ELECTRODE_SHORT),
        (149.9, Cause.ELECTRODE_SHORT),
        (150.0, None),
        (3000.0, None),
        (3001.0, None),  # degraded: told, not ended
        (5000.0, None),
        (5000.1, Cause.ELECTRODE_DEGRADED),
        (10_000.0, Cause.ELECTRODE_DEGRADED),
        (10_000.1, Cause.ELECTRODE_OPEN),
        (math.inf, Cause.ELECTRODE_OPEN),
        (math.nan, Cause.ELECTRODE_OPEN),
        (None, Cause.ELECTRODE_OPEN),
    ],
)
def test_impedance_at_its_bounds(impedance_ohm: float | None, cause: Cause | None) -> None:
    assert after(replace(FINE, impedance_ohm=impedance_ohm)) == ([] if cause is None else [cause])


@pytest.mark.parametrize(("impedance_ohm", "ends"), [(1500.0, False), (1600.0, False), (1600.1, True)])
def test_twice_the_baseline_ends_output(impedance_ohm: float, ends: bool) -> None:
    found = after(replace(FINE, impedance_ohm=impedance_ohm), baseline_ohm=800.0)
    assert found == ([Cause.ELECTRODE_DEGRADED] if ends else [])


def test_the_first_pulse_of_a_ramp_may_not_have_been_measured_yet() -> None:
    """One reading without impedance is no fault; at the second it is an open lead."""
    watch = ordered(Watch(0.0, 1.0, was_driven=False), NOW_S, ZERO, ON)
    unread = replace(FINE, impedance_ohm=None, in_on_phase=False, level_ma=1.0)
    for count, expected in enumerate(([], [Cause.ELECTRODE_OPEN])):
        now_s = NOW_S + 0.05 * count
        watch = watched(watch, now_s, replace(unread, taken_s=now_s, raw_n=count, raw_amplitude=count), ON)
        assert causes(watch, now_s, ON) == expected


@pytest.mark.parametrize("in_on_phase", [True, False])
@pytest.mark.parametrize(
    ("level_ma", "judged"), [(0.0, False), (0.999, False), (1.0, True), (20.0, True), (math.nan, True)]
)
@pytest.mark.parametrize(
    ("impedance_ohm", "cause"),
    [(None, Cause.ELECTRODE_OPEN), (40.0, Cause.ELECTRODE_SHORT), (6000.0, Cause.ELECTRODE_DEGRADED)],
)
def test_pads_are_judged_from_1_ma_of_ordered_level_in_ramps_too(
    level_ma: float, judged: bool, impedance_ohm: float | None, cause: Cause, in_on_phase: bool
) -> None:
    """At full strength or in a ramp; a level that is no number may be any. Below, a reading says nothing."""
    reading = replace(FINE, amplitude_ma=0.2, impedance_ohm=impedance_ohm, level_ma=level_ma, in_on_phase=in_on_phase)
    assert after(reading) == ([cause] if judged else [])


def test_pads_are_not_judged_by_pulses_once_zero_is_ordered() -> None:
    watch, now_s = flowing()
    watch = ordered(watch, now_s, ON, ZERO)
    late = replace(FINE, taken_s=now_s + 0.05, impedance_ohm=None)
    assert causes(watched(watch, now_s + 0.05, late, ZERO), now_s + 0.05, ZERO) == []


# --- peak -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("peak", "over"), [(22.9, False), (23.0, False), (23.01, True), (-23.01, True), (1e12, True)])
def test_over_limit_is_above_1_1_times_and_1_ma(peak: float, over: bool) -> None:
    assert after(replace(FINE, amplitude_ma=peak)) == ([Cause.OVER_LIMIT] if over else [])


def test_what_was_ordered_before_may_still_show_in_the_window() -> None:
    """Lowered from 20 to 5 mA: for a window the old pulses show; then 20 mA is four times too much."""
    watch, now_s = flowing()
    low = replace(ON, setting_ma=5.0)
    found: dict[int, list[Cause]] = {}
    for count in range(1, 9):
        at_s = now_s + 0.05 * count
        watch = watched(watch, at_s, replace(FINE, taken_s=at_s, raw_n=100 + count, raw_amplitude=count), low)
        found[count] = causes(watch, at_s, low)
    assert [found[count] for count in range(1, 5)] == [[]] * 4
    assert found[8] == [Cause.OVER_LIMIT]


@pytest.mark.parametrize(("pattern", "due_s"), [(PATTERN, 0.225), (SLOW, 1.2)])
def test_stuck_is_one_pulse_period_and_200_ms_after_zero_was_ordered(pattern: Pattern, due_s: float) -> None:
    drive = replace(ON, pattern=pattern)
    watch, now_s = flowing(drive)
    watch = ordered(watch, now_s, drive, ZERO)
    for after_s, expected in ((due_s - 0.001, []), (due_s + 0.001, [Cause.OUTPUT_STUCK])):
        at_s = now_s + after_s
        stuck = watched(watch, at_s, replace(RESTING, taken_s=at_s, amplitude_ma=20.0), ZERO)
        assert causes(stuck, at_s, ZERO) == expected
        unread = watched(watch, at_s, replace(RESTING, taken_s=at_s, amplitude_ma=None), ZERO)
        assert causes(unread, at_s, ZERO) == expected, "no reading is never zero"
        silent = watched(watch, at_s, None, ZERO)
        assert causes(silent, at_s, ZERO) == expected
        zero = watched(watch, at_s, replace(RESTING, taken_s=at_s, amplitude_ma=0.99), ZERO)
        assert causes(zero, at_s, ZERO) == []


def test_zero_is_measured_over_a_whole_window_since_it_was_ordered() -> None:
    for pattern, window_s in ((PATTERN, 0.1), (SLOW, 1.0)):
        drive = replace(ON, pattern=pattern)
        watch, now_s = flowing(drive)
        watch = ordered(watch, now_s, drive, ZERO)
        for after_s, expected in ((window_s - 0.001, False), (window_s + 0.001, True)):
            at_s = now_s + after_s
            assert watched(watch, at_s, replace(RESTING, taken_s=at_s), ZERO).zero_measured is expected
        at_s = now_s + window_s + 0.001
        for nothing in (None, math.nan, 1.0, 20.0):
            reading = replace(RESTING, taken_s=at_s, amplitude_ma=nothing)
            assert not watched(watch, at_s, reading, ZERO).zero_measured


def test_once_at_zero_a_driver_that_falls_silent_is_no_stuck_output() -> None:
    watch, now_s = flowing()
    watch = ordered(watch, now_s, ON, ZERO)
    watch = watched(watch, now_s + 0.2, replace(RESTING, taken_s=now_s + 0.2), ZERO)
    assert causes(watched(watch, now_s + 60.0, None, ZERO), now_s + 60.0, ZERO) == []
    flows = watched(watch, now_s + 60.0, replace(RESTING, taken_s=now_s + 60.0, amplitude_ma=9.0), ZERO)
    assert causes(flows, now_s + 60.0, ZERO) == [Cause.OUTPUT_STUCK]


def test_an_order_that_was_not_answered_may_not_have_been_heard() -> None:
    """The line was dead while zero was ordered: a whole window after it answers again has to be zero."""
    watch, now_s = flowing()
    watch = ordered(watch, now_s, ON, ZERO)
    watch = watched(watch, now_s + 0.2, None, ZERO)
    early = watched(watch, now_s + 0.25, replace(RESTING, taken_s=now_s + 0.25), ZERO)
    assert not early.zero_measured
    assert watched(early, now_s + 0.35, replace(RESTING, taken_s=now_s + 0.35), ZERO).zero_measured


# --- sensor -----------------------------------------------------------------------------------------------------------


def test_ten_identical_raw_readings_are_a_frozen_sensor_nine_are_not() -> None:
    watch, now_s = flowing()
    found: list[list[Cause]] = []
    for count in range(1, 11):
        at_s = now_s + 0.05 * count
        watch = watched(watch, at_s, replace(FINE, taken_s=at_s, raw_n=100 + count, raw_amplitude=777), ON)
        found.append(causes(watch, at_s, ON))
    assert found == [[]] * 9 + [[Cause.SENSOR_FROZEN]]


def test_many_readings_between_two_pulses_are_one_reading() -> None:
    drive = replace(ON, pattern=SLOW)
    watch, now_s = flowing(drive)
    for count in range(1, 40):
        at_s = now_s + 0.05 * count
        reading = replace(FINE, taken_s=at_s, raw_n=100 + count // 20, raw_amplitude=777)
        watch = watched(watch, at_s, reading, drive)
        assert causes(watch, at_s, drive) == []


@pytest.mark.parametrize(("pattern", "due_s"), [(PATTERN, 1.0375), (SLOW, 2.5)])
@pytest.mark.parametrize("raw_amplitude", [440, None])
def test_no_new_pulse_measured_while_on(pattern: Pattern, due_s: float, raw_amplitude: int | None) -> None:
    drive = replace(ON, pattern=pattern)
    watch, now_s = flowing(drive)
    for after_s, expected in ((due_s - 0.01, []), (due_s + 0.01, [Cause.SENSOR_FROZEN])):
        at_s = now_s + after_s
        reading = replace(FINE, taken_s=at_s, raw_n=watch.raw_n, raw_amplitude=raw_amplitude)
        assert causes(watched(watch, at_s, reading, drive), at_s, drive) == expected


@pytest.mark.parametrize(("new_pulse", "frozen_after"), [(False, 6), (True, None)])
def test_pulses_that_are_never_measured_are_missed_over_many_short_cycles(
    new_pulse: bool, frozen_after: int | None
) -> None:
    """0.2 s of pulses in each cycle of 10 s: the sixth makes more than the second; breaks do not count."""
    watch, now_s = flowing()
    watch = watched(watch, now_s + 0.05, replace(RESTING, taken_s=now_s + 0.05, raw_n=watch.raw_n), ON)
    frozen: list[int] = []
    for cycle in range(1, 9):
        now_s += 10.0
        for count in range(5):
            at_s = now_s + 0.05 * count
            raw_n = 1000 + 10 * cycle if new_pulse else watch.raw_n
            reading = replace(FINE, taken_s=at_s, raw_n=raw_n, raw_amplitude=440 + cycle % 3, in_on_phase=False)
            watch = watched(watch, at_s, reading, ON)
            frozen += [cycle] if causes(watch, at_s, ON) == [Cause.SENSOR_FROZEN] else []
        watch = watched(watch, now_s + 0.25, replace(RESTING, taken_s=now_s + 0.25, raw_n=watch.raw_n), ON)
        assert causes(watch, now_s + 0.25, ON) == [], "between the pulses nothing is missed"
    assert (frozen[0] if frozen else None) == frozen_after


def test_silence_is_more_than_a_second_without_a_peak() -> None:
    watch, now_s = flowing()
    assert silence(watch, now_s + 1.0) is None
    found = silence(watch, now_s + 1.001)
    assert isinstance(found, Finding)
    assert found.cause is Cause.SENSOR_FROZEN
    unread = silence(Watch(0.0, 1.0, was_driven=False), now_s)
    assert unread is not None
    assert unread.measured is not None
    assert unread.measured.value is None


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"temperature_c": 60.0}, []),
        ({"temperature_c": 60.1}, [Cause.OVER_TEMPERATURE]),
        ({"temperature_c": None}, []),
        ({"battery_pct": 5.0}, []),
        ({"battery_pct": 4.9}, [Cause.BATTERY_EMPTY]),
        ({"battery_pct": math.nan}, []),
        ({"hand_switch_pressed": True}, [Cause.PATIENT_STOP]),
        ({"watchdog_tripped": True}, [Cause.WATCHDOG_TRIPPED]),
        ({"amplitude_ma": 30.0, "hand_switch_pressed": True}, [Cause.OVER_LIMIT, Cause.PATIENT_STOP]),
    ],
)
def test_what_else_a_reading_says(changed: dict[str, object], found: list[Cause]) -> None:
    assert after(replace(FINE, **changed)) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "said"), [(None, None), ("setting_ma", 0.9), ("setting_ma", math.nan), ("relay_closed", False)]
)
def test_a_stimulator_that_says_for_a_second_that_its_output_is_off_has_tripped(what: str | None, said: object) -> None:
    watch, began_s = flowing()
    began_s += 0.05
    said_so = RESTING if what is None else replace(FINE, **{what: said})  # type: ignore[arg-type]
    withheld = replace(said_so, raw_n=999)
    for now_s, found in ((began_s, []), (began_s + 0.99, []), (began_s + 1.0, [Cause.WATCHDOG_TRIPPED])):
        watch = watched(watch, now_s, replace(withheld, taken_s=now_s), ON)
        assert causes(watch, now_s, ON) == found
    assert causes(watched(watch, now_s, None, ON), now_s, ON) == [Cause.WATCHDOG_TRIPPED], "silence takes nothing back"
    assert causes(ordered(watch, now_s, ON, ZERO), now_s, ZERO) == [], "zero is what is ordered by then"
    again = replace(FINE, taken_s=now_s + 0.05, raw_n=1000)
    assert causes(watched(watch, now_s + 0.05, again, ON), now_s + 0.05, ON) == []


@pytest.mark.parametrize(
    ("drive", "said_ma"),
    [(replace(ON, setting_ma=0.9), 0.0), (replace(ON, setting_ma=1.0), 0.98), (ON, 1.0), (ZERO, 0.0)],
)
def test_a_setting_that_is_about_what_was_ordered_withholds_nothing(drive: Drive, said_ma: float) -> None:
    watch, now_s = flowing(drive)
    for _ in range(40):
        now_s += 0.05
        watch = watched(watch, now_s, replace(RESTING, setting_ma=said_ma, taken_s=now_s), drive)
        assert watch.withheld_s is None


def test_numbers() -> None:
    assert [number(value) for value in (None, math.nan, math.inf, -math.inf)] == [None] * 4
    assert [number(value) for value in (0.0, -3.5, 1e300)] == [0.0, -3.5, 1e9]
    assert peak_ma(None) is None
    assert peak_ma(replace(FINE, amplitude_ma=-4.0)) == 4.0


def test_enabled_without_a_pattern_keeps_the_period_known_before() -> None:
    """No driver is asked for that; if one is, the slower knowledge stays."""
    watch = ordered(Watch(0.0, 1.0, was_driven=False), NOW_S, ZERO, replace(ON, pattern=None))
    assert watch.pulse_period_s == 1.0
    assert watch.was_driven
