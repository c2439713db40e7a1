"""The observer can fail: hand-made output that breaks one rule at a time, and output that breaks none."""

import math
from dataclasses import replace
from typing import Any

import pytest

from agents.simulation.trace import Trace, TrueOutput
from demo.evidence import Authorised, CutOff, Gone, Pushed, Suffered
from demo.observer import Violation, allowed_peak_ma, observe
from fleet.adapters.journal.reading import Told
from tests.demo.hand_made import (
    DEVICE,
    LIMITS,
    PLAN,
    SESSION,
    authorised,
    by_hand,
    evidence,
    pressed,
    proper,
    pulses,
    raised,
    reported,
    told,
)


def seen(rows: list[TrueOutput], *journal: Told, **changes: Any) -> list[Violation]:
    return list(observe(evidence(rows, *journal, **changes)))


def rules(found: list[Violation]) -> list[str]:
    return [violation.rule for violation in found]


def only(found: list[Violation]) -> Violation:
    (violation,) = found
    assert violation.device == DEVICE
    return violation


def when(violation: Violation) -> tuple[str, float]:
    return violation.rule, round(violation.at_s, 6)


def test_a_session_that_goes_as_it_should_breaks_nothing() -> None:
    assert seen(proper()) == []


def without_end() -> list[TrueOutput]:
    """As if nobody had pressed stop: 12 mA until 140.0."""
    return [row for row in proper() if row.at_s < 130.0] + [*pulses(130.0, 140.0, 12.0), TrueOutput(140.0, 0.0)]


def test_output_that_nobody_started() -> None:
    violation = only(seen([*proper(), *pulses(95.0, 95.5, 3.0), TrueOutput(95.5, 0.0)]))
    assert (violation.rule, violation.what) == ("start", "output without a start")
    assert violation.at_s == 95.0
    assert violation.for_s == pytest.approx(0.5)
    assert violation.ma == 3.0


def test_a_start_that_the_device_refused_starts_nothing() -> None:
    presses = (pressed("start", 102.0, accepted=False),)
    violation = only(seen(proper(), presses=presses))
    assert violation.rule == "start"
    assert violation.at_s == pytest.approx(102.4, abs=0.03)
    assert violation.for_s == pytest.approx(28.5, abs=0.05)


def test_a_press_without_an_answer_may_have_begun_output_but_ends_none() -> None:
    unanswered = (replace(pressed("start", 102.0), accepted=None), replace(pressed("pause", 110.0), accepted=None))
    raises = by_hand()[1:]
    assert seen(proper(), presses=(*unanswered, *raises, pressed("stop", 130.0))) == []


def test_output_without_an_authorisation() -> None:
    assert rules(seen(proper(), journal=raised())) == ["start"]


def test_output_after_the_ending_by_hand() -> None:
    """Stop pressed at 130.0: taken within 0.3 s, a ramp of 1 s, one pulse period: 131.325."""
    violation = only(seen(without_end()))
    assert (violation.rule, violation.what) == ("end", "output after stop was pressed")
    assert violation.at_s == pytest.approx(130.0 + 0.3 + 1.0 + 0.025)
    assert violation.for_s == pytest.approx(140.0 - 131.325)


def test_an_output_that_sticks_until_the_relay_opens_is_in_time_where_the_fault_was_declared() -> None:
    """Pause at 120.0: zero by 120.325, and 200 ms later by the relay."""

    def sticks(until_s: float) -> list[TrueOutput]:
        rows = [row for row in proper() if row.at_s < 120.0]
        return [*rows, *pulses(120.0, until_s, 12.0), TrueOutput(until_s, 0.0)]

    paused = by_hand(pressed("pause", 120.0))
    assert seen(sticks(120.325), presses=paused) == []
    assert rules(seen(sticks(120.525), presses=paused)) == ["pause"]
    stuck = (Suffered(DEVICE, "output_stuck", 119.9),)
    assert seen(sticks(120.525), presses=paused, suffered=stuck) == []
    assert rules(seen(sticks(120.6), presses=paused, suffered=stuck)) == ["pause"]


def test_output_in_a_pause() -> None:
    found = seen(proper(), reported("session_paused", 120.0), presses=by_hand())
    assert rules(found) == ["pause"]
    assert found[0].at_s == pytest.approx(120.0 + 0.025 + 0.2 + 0.1)


def test_a_resume_begins_output_again_and_from_zero() -> None:
    rows = [row for row in proper() if row.at_s < 120.0] + [TrueOutput(120.0, 0.0)]
    rows += [*pulses(126.4, 126.8, 0.0, 2.0), *pulses(126.8, 128.0, 2.0), TrueOutput(128.0, 0.0)]
    up = pressed("raise", 126.39, by_ma=2.0)
    presses = by_hand(pressed("pause", 119.99), pressed("resume", 126.0), up, pressed("pause", 128.0))
    again = reported("setting_changed", 126.4, setting_ma=2.0)
    assert seen(rows, again, presses=presses) == []

    jumped = [row for row in rows if row.at_s < 126.4] + [*pulses(126.4, 128.0, 12.0), TrueOutput(128.0, 0.0)]
    assert set(rules(seen(jumped, again, presses=presses))) == {"rise", "setting"}


def test_a_reset_starts_nothing() -> None:
    """Latched at 130, reset at 140, and at 141 something flows."""
    rows = [*proper(), *pulses(141.0, 141.5, 5.0), TrueOutput(141.5, 0.0)]
    presses = by_hand(pressed("stop_button", 130.9), pressed("reset", 140.0))
    violation = only(seen(rows, reported("latched", 130.91, "patient_stop"), presses=presses))
    assert (violation.rule, violation.at_s) == ("reset", 141.0)


def test_output_after_a_stop_that_was_ordered() -> None:
    """Ordered at 120.0, no ramp: one pulse period and a second later, at 121.025, nothing may flow."""
    stop = told(
        "StopOrdered", now_s=120.0, device=DEVICE, stop={"cause": "emergency_stop", "command_id": "c"}, targets=[]
    )
    violation = only(seen(proper(), stop, presses=by_hand()))
    assert (violation.rule, violation.what) == ("stop", "output after a stop was ordered")
    assert violation.at_s == pytest.approx(121.025)


@pytest.mark.parametrize("device", [DEVICE, None])
def test_output_after_a_stop_that_somebody_pushed_whatever_the_journal_has(device: str | None) -> None:
    found = seen(proper(), presses=by_hand(), pushed=(Pushed(device, 120.0),))
    assert rules(found) == ["stop"]
    assert found[0].at_s == pytest.approx(121.025)


def test_a_stop_for_another_device_says_nothing_about_this_one() -> None:
    stop = told(
        "StopOrdered", now_s=120.0, device="stim-02", stop={"cause": "emergency_stop", "command_id": "c"}, targets=[]
    )
    assert seen(proper(), stop, pushed=(Pushed("stim-02", 110.0),)) == []


def test_a_session_cap_may_ramp() -> None:
    stop = told("StopOrdered", now_s=129.9, device=DEVICE, stop={"cause": "session_cap", "command_id": "c"}, targets=[])
    assert seen(proper(), stop) == []


def test_output_after_permission_ran_out() -> None:
    """Cut off at 110.0: the last lease is worth until 115.0; a tick and a ramp later, at 116.05, nothing may flow."""
    cut = (CutOff(DEVICE, 110.0, 125.0),)
    violation = only(seen(proper(), cut_off=cut))
    assert when(violation) == ("permission", 116.05)

    stops_in_time = [row for row in proper() if row.at_s < 115.1]
    stops_in_time += [*pulses(115.1, 116.0, 12.0, 0.0), TrueOutput(116.0, 0.0)]
    assert seen(stops_in_time, cut_off=cut) == []
    assert rules(seen(proper(), cut_off=(CutOff(None, 110.0, 125.0),))) == ["permission"], "a fleet that is gone"


def test_a_short_cut_is_bridged_and_another_device_s_is_not_ours() -> None:
    assert seen(proper(), cut_off=(CutOff(DEVICE, 110.0, 114.0), CutOff("stim-02", 110.0, 125.0))) == []


def test_a_stop_that_cannot_arrive_ends_nothing_but_permission_does() -> None:
    """Pushed at 112 into a cut from 110 to 125: judged by 116.05, not by 113.025."""
    found = seen(proper(), cut_off=(CutOff(DEVICE, 110.0, 125.0),), pushed=(Pushed(DEVICE, 112.0),))
    assert [when(each) for each in found] == [("permission", 116.05)]


def test_output_after_leases_were_withheld() -> None:
    withheld = told("SessionWithheld", now_s=110.0, session_id=SESSION, reason="limit")
    violation = only(seen(proper(), withheld))
    assert when(violation) == ("permission", 116.05)
    assert seen(proper(), told("SessionWithheld", now_s=110.0, session_id="00" * 16, reason="limit")) == []


def test_output_after_the_agent_is_gone() -> None:
    violation = only(seen(proper(), gone=(Gone(DEVICE, 110.0), Gone("stim-02", 104.0))))
    assert when(violation) == ("watchdog", 110.6)


def test_output_beyond_the_plan_s_time() -> None:
    """Five minutes from 102.0: the second timer and a ramp later, at 408.0, nothing may flow."""
    rows = [row for row in proper() if row.at_s < 130.0] + [*pulses(130.0, 410.0, 12.0), TrueOutput(410.0, 0.0)]
    violation = only(seen(rows, presses=by_hand()))
    assert when(violation) == ("time", 408.0)


def test_what_was_told_as_ended_is_at_zero() -> None:
    violation = only(seen(proper(), reported("session_ended", 120.0, "completed"), presses=by_hand()))
    assert when(violation) == ("end", 120.05)


def test_a_latch_after_a_soft_cause_leaves_time_for_the_ramp() -> None:
    assert seen(proper(), reported("latched", 129.9, "lease_lost")) == []
    assert rules(seen(proper(), reported("latched", 129.5, "over_limit"))) == ["end"]


def with_a_bump(ma: float, for_s: float = 0.5) -> list[TrueOutput]:
    """In the middle of the ON phase the output is another one, reached slowly enough, and left at once."""
    rows = [row for row in proper() if not 110.0 <= row.at_s < 116.0 + for_s]
    return [*rows, *pulses(110.0, 116.0, 12.0, ma), *pulses(116.0, 116.0 + for_s, ma), TrueOutput(116.0 + for_s, 12.0)]


def test_more_than_was_set_but_for_the_tolerance() -> None:
    """12 mA set: up to 14.2 mA is noise and tolerance."""
    assert seen(with_a_bump(14.2)) == []
    violation = only(seen(with_a_bump(14.5)))
    assert (violation.rule, violation.ma) == ("setting", 14.5)
    assert violation.what == "more than the 12.0 mA that were set"


def test_more_than_the_limits_allow() -> None:
    """A plan of at most 10 mA: 12 is within its tolerance of 12.0, 12.1 is not, whatever was set."""
    assert seen(proper(), journal=(authorised(setting_ma_max=10.0), *raised())) == []
    found = seen(with_a_bump(12.1), journal=(authorised(setting_ma_max=10.0), *raised()))
    assert rules(found) == ["peak"]
    assert found[0].what == "more than the allowed peak of 10.0 mA"


def test_lower_takes_effect_at_once() -> None:
    """Lowered to 6 mA at 110: 0.2 s later 12 mA are too much."""
    violation = only(seen(proper(), reported("setting_changed", 110.0, setting_ma=6.0)))
    assert violation.rule == "setting"
    assert violation.at_s == pytest.approx(110.2, abs=0.03)


def test_a_jump_within_the_limits_is_too_steep() -> None:
    rows = [TrueOutput(90.0, 0.0), *pulses(104.8, 130.0, 12.0), TrueOutput(130.0, 0.0)]
    violation = only(seen(rows))
    assert violation.rule == "rise"
    assert violation.what == "rose by 12.0 mA within 25 ms"


def test_a_setting_rises_no_faster_than_5_ma_a_second_also_within_its_limits() -> None:
    """Set from 12 to 17 mA: up within 1.2 s is proper; by 5 mA within two pulses it is not."""
    further = [reported("setting_changed", 110.0, setting_ma=14.0), reported("setting_changed", 110.1, setting_ma=17.0)]
    rows = [row for row in proper() if not 110.0 <= row.at_s < 130.0]
    slowly = [*rows, *pulses(110.0, 111.2, 12.0, 17.0), *pulses(111.2, 129.9, 17.0), *pulses(129.9, 130.0, 17.0, 12.0)]
    ups = (pressed("raise", 109.99, by_ma=2.0), pressed("raise", 110.09, by_ma=3.0), pressed("stop", 130.0))
    assert seen(slowly, *further, presses=by_hand(*ups)) == []
    at_once = [*rows, *pulses(110.0, 110.2, 12.0), *pulses(110.2, 110.25, 12.0, 17.0), *pulses(110.25, 130.0, 17.0)]
    assert rules(seen(at_once, *further, presses=by_hand(*ups))) == ["rise"]


def test_an_injected_fault_counts_from_200_ms_after_it_began() -> None:
    """18 mA where 12 were set, from 110.0 on: for 190 ms excused, for 300 ms not."""
    presses = by_hand(pressed("stop_button", 110.1))
    declared = (Suffered(DEVICE, "output_above", 110.0),)

    def with_fault(for_s: float) -> list[TrueOutput]:
        rows = [row for row in proper() if row.at_s < 110.0]
        return [*rows, *pulses(110.0, 110.0 + for_s, 18.0), TrueOutput(110.0 + for_s, 0.0)]

    assert seen(with_fault(0.175), presses=presses, suffered=declared) == []
    violation = only(seen(with_fault(0.3), presses=presses, suffered=declared))
    assert when(violation) == ("setting", 110.2)
    assert set(rules(seen(with_fault(0.175), presses=presses))) == {"setting", "rise"}, "undeclared, it counts at once"
    other = (Suffered("stim-02", "output_above", 110.0),)
    assert seen(with_fault(0.175), presses=presses, suffered=other) != []


def test_breaches_that_follow_each_other_are_one_and_others_are_not() -> None:
    rows = [TrueOutput(90.0, 0.0), *pulses(95.0, 95.2, 3.0), TrueOutput(95.2, 0.0)]
    rows += [*pulses(95.8, 96.0, 5.0), TrueOutput(96.0, 0.0), *pulses(99.0, 99.1, 1.0), TrueOutput(99.1, 0.0)]
    found = seen(rows, presses=())
    assert [(each.at_s, round(each.for_s, 3), each.ma) for each in found] == [(95.0, 1.0, 5.0), (99.0, 0.1, 1.0)]


def test_a_stimulator_that_nobody_observed_is_a_violation() -> None:
    assert rules(seen([], traces={})) == ["observed"]
    assert rules(seen([], traces={DEVICE: Trace()})) == ["observed"]


def test_the_allowed_peak_by_the_figures_of_the_domain() -> None:
    """200 mA, 450 us, 25 Hz are 30.0 mA rms and 1.5 mA/cm2 on 20 cm2: so 2 mA/cm2 there are 266.7 mA."""
    free = {"peak_ma_max": 1e6, "rms_ma_max": 1e6, "density_ma_cm2_max": 1e6, "pulse_energy_mj_max": 1e6}
    plan = PLAN | {"pulse_width_us": 450.0, "frequency_hz": 25.0, "electrode_area_cm2": 20.0, "setting_ma_max": 1000.0}

    def peak(**limits: float) -> float:
        return allowed_peak_ma(Authorised(SESSION, 0.0, plan, free | limits, 5.0))

    assert peak() == 1000.0
    assert peak(rms_ma_max=30.0) == pytest.approx(200.0)
    assert peak(density_ma_cm2_max=1.5) == pytest.approx(200.0)
    # 100 mA into 500 ohm for 2 x 450 us are 0.1^2 * 500 * 0.9 ms = 4.5 mJ.
    assert peak(pulse_energy_mj_max=4.5) == pytest.approx(100.0)
    assert peak(peak_ma_max=99.0) == 99.0
    assert allowed_peak_ma(Authorised(SESSION, 0.0, PLAN, LIMITS, 5.0)) == 40.0
    assert math.isfinite(peak())
