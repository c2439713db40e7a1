"""What may be raised, what a reading may be off, what an impedance says: domain.md's boundary cases."""

import math
from dataclasses import replace

import pytest

from broker.contract import limits
from broker.contract.limits import (
    GENERIC_PROFILE,
    Contact,
    Layer,
    Limit,
    contact,
    over_limit_threshold_ma,
    setting_step_max_ma,
)
from broker.contract.plan import EXCLUDED_SITES


@pytest.mark.parametrize(("setting_ma", "step_ma"), [(0.0, 2.0), (19.9, 2.0), (20.0, 1.0), (60.0, 1.0)])
def test_a_raise_is_2_ma_below_20_ma_and_1_ma_from_there(setting_ma: float, step_ma: float) -> None:
    assert setting_step_max_ma(setting_ma, GENERIC_PROFILE) == step_ma
    coarse = replace(GENERIC_PROFILE, setting_step_ma_max=Limit(9.0, Layer.MODEL))
    assert setting_step_max_ma(setting_ma, coarse) == step_ma
    gentle = GENERIC_PROFILE.tightened_by(Layer.CLINIC, setting_step_ma_max=0.5)
    assert setting_step_max_ma(setting_ma, gentle) == 0.5


@pytest.mark.parametrize(("limit_ma", "threshold_ma"), [(0.0, 1.0), (10.0, 12.0), (100.0, 111.0)])
def test_the_read_back_may_be_ten_percent_and_1_ma_off(limit_ma: float, threshold_ma: float) -> None:
    assert over_limit_threshold_ma(limit_ma) == pytest.approx(threshold_ma, rel=1e-12)


@pytest.mark.parametrize(
    ("impedance_ohm", "baseline_ohm", "expected"),
    [
        (None, None, Contact.OPEN),
        (None, 800.0, Contact.OPEN),
        (math.nan, None, Contact.OPEN),
        (10_000.1, None, Contact.OPEN),
        (10_000.0, None, Contact.BEYOND_DEGRADED),
        (5000.1, None, Contact.BEYOND_DEGRADED),
        (5000.0, None, Contact.DEGRADED),
        (3000.1, None, Contact.DEGRADED),
        (3000.0, None, Contact.GOOD),
        (150.0, None, Contact.GOOD),
        (149.9, None, Contact.SHORT),
        (0.0, None, Contact.SHORT),
        (1200.0, 800.0, Contact.GOOD),
        (1200.1, 800.0, Contact.DEGRADED),
        (1600.0, 800.0, Contact.DEGRADED),
        (1600.1, 800.0, Contact.BEYOND_DEGRADED),
        (149.9, 800.0, Contact.SHORT),
    ],
)
def test_what_an_impedance_says(impedance_ohm: float | None, baseline_ohm: float | None, expected: Contact) -> None:
    assert contact(impedance_ohm, baseline_ohm) is expected


def test_the_sites_that_are_never_treated() -> None:
    assert {site.value for site in EXCLUDED_SITES} == {
        "eyes",
        "face_sinuses",
        "mouth",
        "front_of_neck",
        "across_head",
        "across_heart",
        "reproductive_organs",
        "wound_or_damaged_skin",
    }


def test_the_fixed_figures_are_domain_mds() -> None:
    """Zero below 1 mA; start from 20 % battery, end at 5 %; 10 min of pause; ten identical readings or none for 1 s."""
    assert limits.ZERO_MA == 1.0
    assert (limits.BATTERY_START_PCT, limits.BATTERY_END_PCT) == (20.0, 5.0)
    assert limits.OVER_TEMPERATURE_C == 60.0
    assert (limits.SESSION_S_MIN, limits.PAUSE_TOTAL_S) == (300.0, 600.0)
    assert (limits.FROZEN_READINGS, limits.NO_READING_S) == (10, 1.0)
