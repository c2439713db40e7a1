"""How long: the first session, conditioning, and who is a novice (H07)."""

from datetime import date
from typing import Any

import pytest

from broker.contract.plan import Modality
from fleet.core.dose import NOVICE_AGAIN_DAYS, Experience
from fleet.core.refusals import Refusal
from tests.core.practice import Practice, lasting

WB = Modality.WB_EMS


def said(refusals: tuple[Refusal, ...]) -> list[tuple[Any, ...]]:
    return [(r.rule.value, r.layer.value, r.quantity, r.value, r.limit, r.again_on) for r in refusals]


def whole_body(minutes: float) -> Any:
    return lasting(minutes * 60.0, WB)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (12.0, []),
        (12.01, [("dose_first", "domain", "duration_s", 12.01 * 60.0, 720.0, None)]),
        (20.0, [("dose_first", "domain", "duration_s", 1200.0, 720.0, None)]),
        (
            20.01,
            [
                ("duration", "domain", "duration_s", 20.01 * 60.0, 1200.0, None),
                ("dose_first", "domain", "duration_s", 20.01 * 60.0, 720.0, None),
            ],
        ),
    ],
)
def test_h07_a_first_whole_body_session_lasts_12_minutes_at_most(minutes: float, expected: list[Any]) -> None:
    assert said(Practice().asked(plan=whole_body(minutes))) == expected


def test_h07_after_a_first_session_the_next_may_be_longer() -> None:
    clinic = Practice()
    clinic.treats(plan=whole_body(12.0))
    clinic.days_later(7)
    assert clinic.why(plan=whole_body(20.0)) == []


def test_local_sessions_are_no_experience_of_whole_body_ones() -> None:
    clinic = Practice()
    clinic.treats()
    clinic.days_later(5)
    assert clinic.why(plan=whole_body(20.0)) == ["dose_first"]


@pytest.mark.parametrize(
    ("on_time_s", "gaps", "proven"), [(59.9, 0, False), (60.0, 0, True), (60.0, 3, True), (0.0, 1, False)]
)
def test_h07_only_the_device_s_own_record_makes_somebody_no_novice(on_time_s: float, gaps: int, proven: bool) -> None:
    """Where it is in doubt, a session counts for the rest (10 minutes by the fleet's time), not as experience."""
    clinic = Practice()
    session_id = clinic.begins(plan=whole_body(12.0))
    clinic.now_s += 600.0
    clinic.wall_s += 600.0
    clinic.ran(session_id, on_time_s, gaps)
    clinic.is_idle()
    clinic.days_later(7)
    assert clinic.why(plan=whole_body(20.0)) == ([] if proven else ["dose_first"])


def test_h07_after_8_weeks_without_a_client_is_a_novice_again() -> None:
    clinic = Practice()
    clinic.treats(plan=whole_body(12.0))
    clinic.days_later(NOVICE_AGAIN_DAYS - 1)
    assert clinic.why(plan=whole_body(20.0)) == []
    clinic.days_later(1)
    assert clinic.why(plan=whole_body(20.0)) == ["dose_first"]
    assert NOVICE_AGAIN_DAYS == 8 * 7


def test_conditioning_lasts_10_weeks_and_a_clinic_may_keep_its_sessions_short() -> None:
    clinic = Practice(wb_ems={"conditioning_duration_s_max": 900.0, "first_duration_s_max": 600.0})
    assert said(clinic.asked(plan=whole_body(12.0))) == [
        ("dose_first", "clinic", "duration_s", 720.0, 600.0, None),
    ]
    clinic.treats(plan=whole_body(10.0))
    for _ in range(9):
        clinic.days_later(7)
        assert said(clinic.asked(plan=whole_body(16.0))) == [
            ("dose_conditioning", "clinic", "duration_s", 960.0, 900.0, None),
        ]
        clinic.treats(plan=whole_body(15.0))
    clinic.days_later(7)
    assert clinic.why(plan=whole_body(20.0)) == []


def test_a_clinic_may_condition_for_longer() -> None:
    clinic = Practice(wb_ems={"conditioning_days": 80, "conditioning_duration_s_max": 900.0})
    for _ in range(11):
        clinic.treats(plan=whole_body(12.0))
        clinic.days_later(7)
    assert clinic.why(plan=whole_body(20.0)) == ["dose_conditioning"]
    clinic.days_later(3)
    assert clinic.why(plan=whole_body(20.0)) == []


def test_a_break_of_8_weeks_begins_a_series_anew_and_a_shorter_one_does_not() -> None:
    clinic = Practice(wb_ems={"conditioning_duration_s_max": 900.0})
    clinic.treats(plan=whole_body(12.0))
    clinic.days_later(NOVICE_AGAIN_DAYS - 1)
    clinic.treats(plan=whole_body(12.0))
    clinic.days_later(15)
    assert clinic.why(plan=whole_body(20.0)) == []  # 70 days after the first
    clinic.days_later(NOVICE_AGAIN_DAYS - 15)
    clinic.treats(plan=whole_body(12.0))
    assert since(clinic) == date(2027, 3, 13)
    clinic.days_later(20)
    assert clinic.why(plan=whole_body(20.0)) == ["dose_conditioning"]


def test_a_report_that_comes_out_of_order_begins_the_series_where_it_began() -> None:
    clinic = Practice(wb_ems={"conditioning_duration_s_max": 900.0})
    first = clinic.begins(plan=whole_body(12.0))
    clinic.boots()
    clinic.days_later(7)
    clinic.treats(name="stim-7", plan=whole_body(12.0))
    assert since(clinic) == date(2026, 11, 29)
    clinic.ran(first, 300.0)
    assert since(clinic) == date(2026, 11, 22)


def test_what_is_reported_from_before_a_break_is_no_part_of_the_series() -> None:
    clinic = Practice()
    first = clinic.begins(plan=whole_body(12.0))
    clinic.after(31.0)  # lost, and for weeks nobody turns the device on
    clinic.days_later(NOVICE_AGAIN_DAYS - 1)
    clinic.is_off()
    clinic.days_later(1)
    clinic.treats(name="stim-7", plan=whole_body(12.0))
    today = date(2027, 1, 17)
    assert since(clinic) == today
    clinic.boots()
    clinic.ran(first, 300.0)
    assert since(clinic) == today
    # The same once the later one is remembered as experience only.
    known = Experience(since=today, last=today)
    assert known.with_session(date(2026, 11, 22)) == known
    assert known.with_session(date(2026, 11, 23)) == Experience(since=date(2026, 11, 23), last=today)


def since(clinic: Practice) -> date:
    return clinic.state.durable.doses["c-4711"].experienced()[WB].since


def test_a_clinic_may_keep_a_first_local_session_short_too() -> None:
    clinic = Practice(nmes={"first_duration_s_max": 600.0})
    assert said(clinic.asked(plan=lasting(1200.0))) == [
        ("dose_first", "clinic", "duration_s", 1200.0, 600.0, None),
    ]
    clinic.treats(plan=lasting(600.0))
    clinic.days_later(2)
    assert clinic.why(plan=lasting(1200.0)) == []
