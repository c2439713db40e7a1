"""Opening hours by the clock on the clinic's wall, also where that clock is put forward or back."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.pki.opening import NoHours, OpeningHours

VIENNA = ZoneInfo("Europe/Vienna")
HOUR_S = 3600.0
WEDNESDAY = date(2026, 11, 25)
SATURDAY = date(2026, 11, 28)


def test_nothing_said_is_monday_to_friday_from_eight_to_six() -> None:
    hours = OpeningHours.of({})
    assert [hours.open_s(date(2026, 11, n), VIENNA) / HOUR_S for n in range(23, 30)] == [10.0] * 5 + [0.0] * 2


def test_a_day_may_have_several_stretches_and_what_is_not_named_is_closed() -> None:
    hours = OpeningHours.of({"wed": "08:00-12:00 13:30-24:00"})
    assert hours.open_s(WEDNESDAY, VIENNA) == 14.5 * HOUR_S
    assert hours.open_s(SATURDAY, VIENNA) == 0.0


def test_only_what_has_passed_counts() -> None:
    hours = OpeningHours.of({"wed": "08:00-12:00 13:00-18:00"})

    def until(clock: str) -> float:
        now_s = datetime.fromisoformat(f"2026-11-25 {clock}").replace(tzinfo=VIENNA).timestamp()
        return hours.open_s(WEDNESDAY, VIENNA, now_s) / HOUR_S

    assert [until(clock) for clock in ("07:00", "08:30", "12:30", "13:15", "20:00")] == [0.0, 0.5, 4.0, 4.25, 9.0]


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (date(2026, 3, 29), 23.0),  # the night in which an hour is left out
        (date(2026, 10, 25), 25.0),  # the night in which an hour comes twice
        (date(2026, 10, 26), 24.0),
    ],
)
def test_a_house_that_is_always_open_has_the_hours_that_the_day_has(day: date, hours: float) -> None:
    always = OpeningHours.of(dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "00:00-24:00"))
    assert always.open_s(day, VIENNA) == hours * HOUR_S


def test_hours_of_the_day_are_the_same_when_the_night_before_was_longer() -> None:
    assert OpeningHours.of({"sun": "08:00-18:00"}).open_s(date(2026, 10, 25), VIENNA) == 10.0 * HOUR_S


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"mo": "08:00-18:00"}, "'mo' is no weekday"),
        ({"mon": "8-18"}, "nothing like"),
        ({"mon": "08:00-24:30"}, "nothing like"),
        ({"mon": "08:00-25:00"}, "nothing like"),
        ({"mon": "18:00-08:00"}, "ends before it begins"),
        ({"mon": "08:00-08:00"}, "ends before it begins"),
        ({"mon": "08:00-12:00 11:00-18:00"}, "begins before the stretch before it ends"),
        ({"mon": " ".join(f"0{n}:00-0{n}:30" for n in range(7))}, "more than 6 stretches"),
    ],
)
def test_what_is_no_opening_hours_is_told(said: dict[str, str], why: str) -> None:
    with pytest.raises(NoHours, match=why):
        OpeningHours.of(said)
