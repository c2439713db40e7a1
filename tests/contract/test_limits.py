"""Output physics, layers and refusals. Figures are domain.md's; expected values are by hand or by fractions."""

import math
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract.limits import (
    ENVELOPE,
    GENERIC_PROFILE,
    LIMIT_NAMES,
    Breach,
    Layer,
    Limit,
    Limits,
    allowed_peak_ma,
    breaches,
    charge_uc,
    density_ma_cm2,
    exceeds,
    falls_short,
    limits_of,
    pulse_energy_mj,
    rms_envelope_ma,
    rms_ma,
)
from broker.contract.plan import BodySite, Modality, Plan

PLAN = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=50.0,
    frequency_hz=50.0,
    pulse_width_us=300.0,
    setting_ma_max=60.0,
    duration_s=1200.0,
    on_s=6.0,
    off_s=12.0,
    ramp_up_s=1.0,
    ramp_down_s=1.0,
)
# A stimulator that could do more than the generic one, to reach the boundaries of rms and density.
STRONG = limits_of(
    Layer.MODEL,
    peak_ma_max=300.0,
    pulse_width_us_min=1.0,
    pulse_width_us_max=1000.0,
    frequency_hz_min=1.0,
    frequency_hz_max=2000.0,
    rms_ma_max=1000.0,
    density_ma_cm2_max=2.0,
    pulse_energy_mj_max=300.0,
    setting_step_ma_max=2.0,
    setting_rise_ma_per_s_max=5.0,
    ramp_up_s_min=0.5,
    session_s_max=1800.0,
    pause_s_max=300.0,
)


def pulse(peak_ma: float, width_us: float, frequency_hz: float, area_cm2: float = 50.0) -> Plan:
    return replace(
        PLAN,
        setting_ma_max=peak_ma,
        pulse_width_us=width_us,
        frequency_hz=frequency_hz,
        electrode_area_cm2=area_cm2,
    )


def refused(plan: Plan, limits: Limits) -> set[str]:
    return {breach.quantity for breach in breaches(plan, limits)}


# --- domain.md's check values ---------------------------------------------------------------------------------------


def test_200_ma_450_us_25_hz_is_30_ma_rms() -> None:
    assert rms_ma(200.0, 450.0, 25.0) == pytest.approx(30.0, rel=1e-12)
    assert density_ma_cm2(30.0, 20.0) == 1.5
    assert density_ma_cm2(30.0, 10.0) == 3.0


def test_250_ma_400_us_50_hz_on_25_cm2_is_exactly_the_boundary_and_passes() -> None:
    plan = pulse(250.0, 400.0, 50.0, 25.0)
    assert rms_ma(250.0, 400.0, 50.0) == pytest.approx(50.0, rel=1e-12)
    assert density_ma_cm2(50.0, 25.0) == 2.0
    assert breaches(plan, STRONG) == ()


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (pulse(250.0001, 400.0, 50.0, 25.0), {"rms_ma", "density_ma_cm2"}),
        (pulse(250.0, 400.001, 50.0, 25.0), {"rms_ma", "density_ma_cm2"}),
        (pulse(250.0, 400.0, 50.0001, 25.0), {"rms_ma", "density_ma_cm2"}),
        (pulse(250.0, 400.0, 50.0, 24.9999), {"density_ma_cm2"}),
        (pulse(250.0001, 400.0, 50.0, 26.0), {"rms_ma"}),
    ],
)
def test_a_hair_beyond_the_boundary_is_refused(plan: Plan, expected: set[str]) -> None:
    assert refused(plan, STRONG) == expected


def test_120_ma_500_us_120_hz_on_16_cm2_fails_on_density_while_its_energy_is_fine() -> None:
    plan = pulse(120.0, 500.0, 120.0, 16.0)
    assert pulse_energy_mj(120.0, 500.0) == pytest.approx(7.2, rel=1e-12)
    assert density_ma_cm2(rms_ma(120.0, 500.0, 120.0), 16.0) == pytest.approx(2.598, abs=1e-3)
    assert refused(plan, GENERIC_PROFILE) == {"density_ma_cm2"}


@pytest.mark.parametrize(("peak_ma", "width_us", "expected_uc"), [(100.0, 300.0, 30.0), (31.0, 250.0, 7.75)])
def test_charge_of_one_phase(peak_ma: float, width_us: float, expected_uc: float) -> None:
    assert charge_uc(peak_ma, width_us) == expected_uc


@pytest.mark.parametrize(
    ("frequency_hz", "limit_ma"),
    [(0.0, 80.0), (0.001, 50.0), (1.0, 50.0), (400.0, 50.0), (400.001, 80.0), (1500.0, 80.0), (1500.001, 100.0)],
)
def test_the_standards_rms_limit_by_frequency(frequency_hz: float, limit_ma: float) -> None:
    assert rms_envelope_ma(frequency_hz) == limit_ma


def test_the_envelope_is_domain_mds() -> None:
    assert {name: getattr(ENVELOPE, name).value for name in LIMIT_NAMES} == {
        "peak_ma_max": 130.0,
        "pulse_width_us_min": 20.0,
        "pulse_width_us_max": 500.0,
        "frequency_hz_min": 1.0,
        "frequency_hz_max": 120.0,
        "rms_ma_max": 50.0,
        "density_ma_cm2_max": 2.0,
        "pulse_energy_mj_max": 300.0,
        "setting_step_ma_max": 2.0,
        "setting_rise_ma_per_s_max": 5.0,
        "ramp_up_s_min": 0.5,
        "session_s_max": 1800.0,
        "pause_s_max": 300.0,
    }
    assert {getattr(ENVELOPE, name).layer for name in LIMIT_NAMES} == {Layer.ENVELOPE}


def test_the_generic_model_is_0_to_120_ma_and_from_50_us() -> None:
    assert GENERIC_PROFILE.peak_ma_max == Limit(120.0, Layer.MODEL)
    assert GENERIC_PROFILE.pulse_width_us_min == Limit(50.0, Layer.MODEL)
    same = [name for name in LIMIT_NAMES if getattr(GENERIC_PROFILE, name) == getattr(ENVELOPE, name)]
    assert len(same) == len(LIMIT_NAMES) - 2


# --- each limit refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "quantity", "limit"),
    [
        (replace(PLAN, setting_ma_max=120.001), "peak_ma", Limit(120.0, Layer.MODEL)),
        (replace(PLAN, pulse_width_us=500.001), "pulse_width_us", Limit(500.0, Layer.ENVELOPE)),
        (replace(PLAN, pulse_width_us=49.999), "pulse_width_us", Limit(50.0, Layer.MODEL)),
        (replace(PLAN, frequency_hz=120.001), "frequency_hz", Limit(120.0, Layer.ENVELOPE)),
        (replace(PLAN, frequency_hz=0.999), "frequency_hz", Limit(1.0, Layer.ENVELOPE)),
        (replace(PLAN, ramp_up_s=0.499), "ramp_up_s", Limit(0.5, Layer.ENVELOPE)),
        (replace(PLAN, duration_s=1800.001), "session_s", Limit(1800.0, Layer.ENVELOPE)),
        (replace(PLAN, duration_s=299.999), "session_s", Limit(300.0, Layer.ENVELOPE)),
    ],
)
def test_a_refusal_names_quantity_value_limit_and_layer(plan: Plan, quantity: str, limit: Limit) -> None:
    (breach,) = breaches(plan, GENERIC_PROFILE)
    assert (breach.quantity, breach.limit) == (quantity, limit)
    assert breach.value in (
        plan.setting_ma_max,
        plan.pulse_width_us,
        plan.frequency_hz,
        plan.ramp_up_s,
        plan.duration_s,
    )


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        replace(PLAN, setting_ma_max=120.0, electrode_area_cm2=200.0),
        replace(PLAN, pulse_width_us=500.0),
        replace(PLAN, pulse_width_us=50.0),
        replace(PLAN, frequency_hz=120.0),
        replace(PLAN, frequency_hz=1.0),
        replace(PLAN, ramp_up_s=0.5),
        replace(PLAN, duration_s=1800.0),
        replace(PLAN, duration_s=300.0),
    ],
)
def test_exactly_on_a_limit_is_within_it(plan: Plan) -> None:
    assert breaches(plan, GENERIC_PROFILE) == ()


def test_energy_above_300_mj_is_refused() -> None:
    """300 mJ into 500 ohm in 2 x 10 ms takes 173.2 mA."""
    wide = replace(STRONG, pulse_width_us_max=Limit(10_000.0, Layer.MODEL), density_ma_cm2_max=Limit(9.0, Layer.MODEL))
    assert "pulse_energy_mj" not in refused(pulse(173.2, 10_000.0, 1.0, 10_000.0), wide)
    assert "pulse_energy_mj" in refused(pulse(173.3, 10_000.0, 1.0, 10_000.0), wide)


def test_every_rule_that_refuses_is_named_at_once() -> None:
    plan = Plan(Modality.NMES, BodySite.THIGH, 1.0, 121.0, 501.0, 131.0, 1801.0, 6.0, 12.0, 0.4, 1.0)
    assert refused(plan, GENERIC_PROFILE) == {
        "peak_ma",
        "pulse_width_us",
        "frequency_hz",
        "density_ma_cm2",
        "ramp_up_s",
        "session_s",
    }


def test_a_limit_that_two_layers_share_is_named_once_and_two_limits_each() -> None:
    plan = pulse(130.0, 500.0, 250.0, 500.0)  # 65 mA rms
    strong = STRONG.tightened_by(Layer.ENVELOPE, rms_ma_max=50.0)
    assert [breach.limit for breach in breaches(plan, strong)] == [Limit(50.0, Layer.ENVELOPE)]
    clinic = strong.tightened_by(Layer.CLINIC, rms_ma_max=40.0)
    assert [breach.limit for breach in breaches(plan, clinic)] == [
        Limit(40.0, Layer.CLINIC),
        Limit(50.0, Layer.ENVELOPE),
    ]


def test_above_400_hz_the_standard_allows_more_and_a_tighter_layer_still_wins() -> None:
    plan = pulse(80.0, 500.0, 1000.0, 500.0)  # 80 mA rms, exactly the limit there
    assert "rms_ma" not in refused(plan, STRONG)
    assert "rms_ma" in refused(plan, STRONG.tightened_by(Layer.CLINIC, rms_ma_max=79.9))


@pytest.mark.parametrize("name", ["setting_ma_max", "pulse_width_us", "frequency_hz", "ramp_up_s", "duration_s"])
def test_not_a_number_is_refused_everywhere(name: str) -> None:
    changes: dict[str, Any] = {name: math.nan}
    assert breaches(replace(PLAN, **changes), GENERIC_PROFILE)


def test_rounding_is_forgiven_to_one_in_a_billion_and_no_further() -> None:
    assert not exceeds(50.0 * (1 + 0.9e-9), 50.0)
    assert exceeds(50.0 * (1 + 1.1e-9), 50.0)
    assert not falls_short(50.0 * (1 - 0.9e-9), 50.0)
    assert falls_short(50.0 * (1 - 1.1e-9), 50.0)
    assert exceeds(math.nan, 50.0)
    assert falls_short(math.nan, 50.0)


# --- layers ---------------------------------------------------------------------------------------------------------

values = st.floats(0.0, 1e6)
any_limits = st.builds(
    Limits, **{field.name: st.builds(Limit, values, st.sampled_from(Layer)) for field in fields(Limits)}
)


@given(any_limits, any_limits)
@settings(max_examples=100)
def test_the_strictest_of_two_layers_wins_in_every_field_and_a_tie_keeps_the_outer(one: Limits, other: Limits) -> None:
    both = one.tightened(other)
    for name in LIMIT_NAMES:
        values_of = (getattr(one, name).value, getattr(other, name).value)
        strictest = max(values_of) if name.endswith("_min") else min(values_of)
        assert getattr(both, name).value == strictest
    assert one.tightened(one) == one
    assert [getattr(both, name).value for name in LIMIT_NAMES] == [
        getattr(other.tightened(one), name).value for name in LIMIT_NAMES
    ]


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_layer_may_tighten_each_limit_and_loosen_none(name: str) -> None:
    before = getattr(ENVELOPE, name).value
    tighter, looser = (before * 2, before / 2) if name.endswith("_min") else (before / 2, before * 2)
    assert getattr(ENVELOPE.tightened_by(Layer.CLINIC, **{name: tighter}), name) == Limit(tighter, Layer.CLINIC)
    assert ENVELOPE.tightened_by(Layer.CLINIC, **{name: looser}) == ENVELOPE
    assert ENVELOPE.tightened_by(Layer.CLINIC, **{name: before}) == ENVELOPE


def test_a_layer_in_full_says_every_limit() -> None:
    with pytest.raises(TypeError):
        limits_of(Layer.MODEL, peak_ma_max=100.0)


# --- the whole parameter cube ---------------------------------------------------------------------------------------

plans = st.builds(pulse, st.floats(0.1, 150.0), st.floats(10.0, 600.0), st.floats(0.5, 150.0), st.floats(0.5, 200.0))


@given(plans)
@settings(max_examples=500)
def test_nothing_that_passes_is_over_any_limit_by_exact_arithmetic(plan: Plan) -> None:
    """Over-output, H01: rms and density squared, so that fractions stay exact."""
    if breaches(plan, GENERIC_PROFILE):
        return
    peak, width, frequency, area = (
        Fraction(value)
        for value in (plan.setting_ma_max, plan.pulse_width_us, plan.frequency_hz, plan.electrode_area_cm2)
    )
    rms_squared = peak**2 * 2 * width * frequency / 10**6
    slack = Fraction(1_000_000_003, 1_000_000_000)
    assert rms_squared <= 50**2 * slack
    assert rms_squared <= (2 * area) ** 2 * slack
    assert (peak / 1000) ** 2 * 500 * 2 * width / 10**6 * 1000 <= 300 * slack
    assert peak <= 120 * slack
    assert 50 / slack <= width <= 500 * slack
    assert 1 / slack <= frequency <= 120 * slack


@given(plans)
@settings(max_examples=500)
def test_the_allowed_peak_is_the_last_one_that_passes(plan: Plan) -> None:
    within = replace(
        plan,
        pulse_width_us=min(max(plan.pulse_width_us, 50.0), 500.0),
        frequency_hz=min(max(plan.frequency_hz, 1.0), 120.0),
        setting_ma_max=1000.0,
    )
    allowed = allowed_peak_ma(GENERIC_PROFILE, within)
    assert breaches(replace(within, setting_ma_max=allowed.value), GENERIC_PROFILE) == ()
    over = breaches(replace(within, setting_ma_max=allowed.value * 1.00001), GENERIC_PROFILE)
    assert allowed in {breach.limit for breach in over} or allowed.layer in {breach.limit.layer for breach in over}


def test_the_plan_itself_bounds_the_peak() -> None:
    assert allowed_peak_ma(GENERIC_PROFILE, PLAN) == Limit(60.0, Layer.PLAN)


@pytest.mark.parametrize(
    ("limits", "plan", "expected"),
    [
        (GENERIC_PROFILE, replace(PLAN, setting_ma_max=500.0, electrode_area_cm2=500.0), Limit(120.0, Layer.MODEL)),
        # 2 mA/cm2 on 25 cm2 is 50 mA rms, at 400 us and 50 Hz 250 mA peak
        (STRONG, pulse(500.0, 400.0, 50.0, 25.0), Limit(250.0, Layer.ENVELOPE)),
        (STRONG, pulse(500.0, 400.0, 50.0, 12.5), Limit(125.0, Layer.MODEL)),
        (STRONG.tightened_by(Layer.CLINIC, rms_ma_max=20.0), pulse(500.0, 400.0, 50.0), Limit(100.0, Layer.CLINIC)),
        (
            STRONG.tightened_by(Layer.CLINIC, pulse_energy_mj_max=4.0),  # 4 mJ in 2 x 400 us: 100 mA
            pulse(500.0, 400.0, 50.0),
            Limit(100.0, Layer.CLINIC),
        ),
    ],
    ids=["peak", "standard's rms", "density", "clinic's rms", "energy"],
)
def test_each_quantity_can_be_what_bounds_the_peak(limits: Limits, plan: Plan, expected: Limit) -> None:
    allowed = allowed_peak_ma(limits, plan)
    assert allowed.value == pytest.approx(expected.value, rel=1e-12)
    assert allowed.layer is expected.layer


def test_a_breach_is_a_value() -> None:
    assert Breach("peak_ma", 130.0, Limit(120.0, Layer.MODEL)) in breaches(
        replace(PLAN, setting_ma_max=130.0), GENERIC_PROFILE
    )
