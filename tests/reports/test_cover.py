"""The rota ahead, against a clock that is asked every quarter of an hour: who has it, and where nobody is reached."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.core.alarm_events import Priority
from fleet.core.rota import EVERYONE, Method, Override, Person, Rota, Rotation, on_call, people_of
from fleet.reports.cover import gaps, next_change_s, turns

ZONE = ZoneInfo("Europe/Vienna")
MONDAY = date(2026, 11, 23)
QUARTER_S = 900.0


def at(local: str) -> float:
    return datetime.fromisoformat(local).replace(tzinfo=ZONE).timestamp()


def told(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, ZONE).strftime("%Y-%m-%d %H:%M")


def rotation(*overrides: Override, last_day: date | None = None, first_day: date = MONDAY) -> Rotation:
    return Rotation(
        rotation="on-call",
        people=("anna", "ben", "cleo"),
        first_day=first_day,
        hand_over_local_min=8 * 60,
        last_day=last_day,
        overrides=overrides,
    )


def instead(person: str | None, begin: str, end: str) -> Override:
    return Override(person=person, from_wall_s=at(begin), until_wall_s=at(end))


def clinic(of: Rotation, **more: object) -> Rota:
    by_phone = Method(method="phone", kind="apprise", priorities=(Priority.HIGH, Priority.MEDIUM))
    people = {name: Person(person=name, name=name.title(), methods=(by_phone,)) for name in of.people}
    rungs = {Priority.HIGH: (("on-call",), (EVERYONE,)), Priority.MEDIUM: ((EVERYONE,),)}
    return Rota(people=people, rotations={"on-call": of}, rungs=rungs, **more)  # type: ignore[arg-type]


def test_a_week_each_handed_over_at_eight() -> None:
    found = turns(rotation(), at("2026-11-25T00:00"), at("2026-12-09T00:00"), ZONE)
    assert [(one.person, told(one.from_s), told(one.until_s), one.override) for one in found] == [
        ("anna", "2026-11-25 00:00", "2026-11-30 08:00", False),
        ("ben", "2026-11-30 08:00", "2026-12-07 08:00", False),
        ("cleo", "2026-12-07 08:00", "2026-12-09 00:00", False),
    ]


def test_who_stands_in_has_it_and_the_week_goes_on_after() -> None:
    found = turns(
        rotation(instead("cleo", "2026-11-28T10:00", "2026-11-28T18:00")),
        at("2026-11-28T00:00"),
        at("2026-11-29T00:00"),
        ZONE,
    )
    assert [(one.person, told(one.from_s)[11:], told(one.until_s)[11:], one.override) for one in found] == [
        ("anna", "00:00", "10:00", False),
        ("cleo", "10:00", "18:00", True),
        ("anna", "18:00", "00:00", False),
    ]


def test_the_hand_over_is_at_eight_also_where_the_clocks_change() -> None:
    begun = rotation(first_day=date(2026, 10, 18))  # a Sunday; clocks go back on the 25th
    found = turns(begun, at("2026-10-24T12:00"), at("2026-10-26T12:00"), ZONE)
    assert [(one.person, told(one.until_s)) for one in found] == [
        ("anna", "2026-10-25 08:00"),
        ("ben", "2026-10-26 12:00"),
    ]


def test_a_gap_is_said_with_its_rung_its_beginning_and_its_end() -> None:
    rota = clinic(rotation(instead(None, "2026-11-27T12:00", "2026-11-27T18:00"), last_day=date(2026, 12, 7)))
    found = gaps(rota, at("2026-11-25T00:00"), at("2026-12-09T00:00"), ZONE)
    assert [(one.priority, one.engineers, told(one.from_s), told(one.until_s)) for one in found] == [
        (Priority.HIGH, False, "2026-11-27 12:00", "2026-11-27 18:00"),
        (Priority.HIGH, False, "2026-12-07 08:00", "2026-12-09 00:00"),
    ]


def test_engineers_have_gaps_of_their_own_and_a_rota_that_covers_all_has_none() -> None:
    ends = rotation(last_day=date(2026, 12, 7))
    rota = clinic(ends, engineer_rungs={Priority.MEDIUM: (("on-call",),)})
    found = gaps(rota, at("2026-12-06T00:00"), at("2026-12-08T00:00"), ZONE)
    assert [(one.priority, one.engineers) for one in found] == [(Priority.HIGH, False), (Priority.MEDIUM, True)]
    assert gaps(clinic(rotation()), at("2026-11-25T00:00"), at("2027-11-25T00:00"), ZONE) == ()


def test_who_comes_next_is_said_with_when() -> None:
    rota = clinic(rotation())
    now_s, until_s = at("2026-11-25T00:00"), at("2026-12-09T00:00")
    change_s = next_change_s(rota, ("on-call",), now_s, until_s, ZONE)
    assert change_s is not None
    assert told(change_s) == "2026-11-30 08:00"
    assert next_change_s(rota, (EVERYONE,), now_s, until_s, ZONE) is None
    assert next_change_s(rota, ("on-call", "ben"), at("2026-12-01T00:00"), at("2026-12-06T00:00"), ZONE) is None


HOURS = st.integers(0, 28 * 24).map(lambda hour: datetime(2026, 10, 12, tzinfo=UTC).timestamp() + hour * 3600.0)
OVERRIDES = st.builds(
    lambda person, begin_s, hours: Override(person=person, from_wall_s=begin_s, until_wall_s=begin_s + hours * 3600.0),
    st.sampled_from(["anna", "ben", "cleo", None]),
    HOURS,
    st.integers(1, 200),
)


@given(st.lists(OVERRIDES, max_size=4), st.sampled_from([None, date(2026, 10, 26), date(2026, 11, 2)]), HOURS)
@settings(max_examples=60, deadline=None)
def test_it_says_what_a_clock_says_that_is_asked_all_the_time(
    overrides: list[Override], last_day: date | None, from_s: float
) -> None:
    of = rotation(*overrides, last_day=last_day, first_day=date(2026, 10, 12))
    until_s = from_s + timedelta(days=14).total_seconds()
    shown, open_gaps = turns(of, from_s, until_s, ZONE), gaps(clinic(of), from_s, until_s, ZONE)
    assert [one.from_s for one in shown[1:]] == [one.until_s for one in shown[:-1]], "without a hole"
    assert (shown[0].from_s, shown[-1].until_s) == (from_s, until_s)
    moment = from_s
    while moment < until_s:
        (turn,) = [one for one in shown if one.from_s <= moment < one.until_s]
        assert turn.person == on_call(of, moment, ZONE)
        in_gap = any(one.from_s <= moment < one.until_s for one in open_gaps)
        assert in_gap is not bool(people_of(clinic(of), ("on-call",), moment, ZONE))
        moment += QUARTER_S * 4


@pytest.mark.parametrize("from_local", ["2026-11-20T00:00", "2026-11-23T07:59"])
def test_before_it_begins_nobody_has_it(from_local: str) -> None:
    first = turns(rotation(), at(from_local), at("2026-11-24T00:00"), ZONE)[0]
    assert (first.person, told(first.until_s)) == (None, "2026-11-23 08:00")
