"""The outermost dose rules, as domain.md has them, and that a clinic may only tighten them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.dose import DOSE_RULE_NAMES, DOSE_RULES, DoseRefused, dose_rules
from broker.contract.plan import Modality

DOMAIN = {
    # at most, in 7 days | whole days between | longest, s | longest first, s | conditioning, days | longest meanwhile
    "nmes": (3, 1, 1800.0, 1800.0, 0, 1800.0),
    "wb_ems": (1, 4, 1200.0, 720.0, 70, 1200.0),
}


@pytest.mark.parametrize("modality", Modality)
def test_the_rules_are_those_of_the_domain(modality: Modality) -> None:
    rules = dose_rules(modality)
    assert tuple(getattr(rules, name) for name in DOSE_RULE_NAMES) == DOMAIN[modality.value]
    assert rules == DOSE_RULES[modality]


@pytest.mark.parametrize(
    ("modality", "rule", "value"),
    [
        ("nmes", "sessions_per_7_days_max", 1),
        ("nmes", "rest_days_min", 13),
        ("nmes", "duration_s_max", 300),
        ("nmes", "conditioning_days", 28),
        ("wb_ems", "sessions_per_7_days_max", 1),
        ("wb_ems", "first_duration_s_max", 600.5),
        ("wb_ems", "conditioning_days", 182),
        ("wb_ems", "conditioning_duration_s_max", 900.0),
    ],
)
def test_a_tighter_rule_holds_and_leaves_the_others(modality: str, rule: str, value: float) -> None:
    ours, domain = dose_rules(Modality(modality), **{rule: value}), DOSE_RULES[Modality(modality)]
    assert getattr(ours, rule) == value
    assert type(getattr(ours, rule)) is type(getattr(domain, rule))
    assert all(getattr(ours, name) == getattr(domain, name) for name in DOSE_RULE_NAMES if name != rule)


@pytest.mark.parametrize(
    ("modality", "rule", "value", "words"),
    [
        ("nmes", "sessions_per_7_days_max", 4, "sessions_per_7_days_max is 4, looser than the domain's 3"),
        ("nmes", "rest_days_min", 0, "rest_days_min is 0, looser than the domain's 1"),
        ("wb_ems", "duration_s_max", 1200.1, "duration_s_max is 1200.1, looser than the domain's 1200"),
        ("wb_ems", "first_duration_s_max", 721, "first_duration_s_max is 721, looser than the domain's 720"),
        ("wb_ems", "conditioning_days", 69, "conditioning_days is 69, looser than the domain's 70"),
        ("nmes", "sessions_per_7_days_max", 0, "is 0, which is no whole number from 1 to 7"),
        ("nmes", "rest_days_min", 14, "is 14, which is no whole number from 0 to 13"),
        ("nmes", "rest_days_min", 1.5, "is 1.5, which is no whole number"),
        ("nmes", "rest_days_min", True, "is True, which is no whole number"),
        ("nmes", "duration_s_max", 299.9, "is 299.9, which is no number from 300 to 1800"),
        ("nmes", "duration_s_max", float("nan"), "is nan, which is no number"),
        ("nmes", "duration_s_max", "900", "is '900', which is no number"),
        ("nmes", "volume_max", 1, "'volume_max' is no dose rule"),
        ("nmes", "modality", 1, "'modality' is no dose rule"),
    ],
)
def test_a_looser_rule_or_none_at_all_is_refused_by_name(modality: str, rule: str, value: Any, words: str) -> None:
    with pytest.raises(DoseRefused) as refused:
        dose_rules(Modality(modality), **{rule: value})
    assert words in str(refused.value)


@given(st.sampled_from(Modality), st.dictionaries(st.sampled_from(DOSE_RULE_NAMES), st.floats(-10.0, 2000.0)))
def test_whatever_a_clinic_sets_nothing_is_looser_than_the_domain(modality: Modality, wanted: dict[str, float]) -> None:
    try:
        rules = dose_rules(modality, **wanted)
    except DoseRefused:
        return
    most, rest, longest, first, conditioning, meanwhile = DOMAIN[modality.value]
    assert 1 <= rules.sessions_per_7_days_max <= most
    assert rest <= rules.rest_days_min <= 13
    assert 300.0 <= rules.duration_s_max <= longest
    assert 300.0 <= rules.first_duration_s_max <= first
    assert conditioning <= rules.conditioning_days
    assert 300.0 <= rules.conditioning_duration_s_max <= meanwhile
