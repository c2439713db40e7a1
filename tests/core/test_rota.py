"""Who is on call when, in the clinic's own time: the expected moments are written in UTC by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.core.rota import (
    Override,
    Quiet,
    Rota,
    Rotation,
    gap,
    is_quiet,
    ladder,
    last_at,
    local_day,
    methods_for,
    on_call,
    people_of,
)
from tests.core.on_call import HIGH, INFO, LOW, MAIL, MEDIUM, ROTA, person, phone

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600.0


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def weekly(first_day: date, hand_over: int = 8 * 60, **changes: object) -> Rotation:
    plain = Rotation(
        rotation="on-call", people=("anna", "ben", "cleo"), first_day=first_day, hand_over_local_min=hand_over
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # a table of fields


MONDAY = weekly(date(2026, 11, 23))


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        ("2026-11-23T06:59:59", None),  # winter: 08:00 in Berlin is 07:00 UTC
        ("2026-11-23T07:00:00", "anna"),
        ("2026-11-30T06:59:59", "anna"),
        ("2026-11-30T07:00:00", "ben"),
        ("2026-12-07T07:00:00", "cleo"),
        ("2026-12-14T07:00:00", "anna"),
        ("2027-03-29T05:59:59", "cleo"),  # the clocks went forward on the 28th: the 18th week begins at 06:00 UTC
        ("2027-03-29T06:00:00", "anna"),
    ],
)
def test_a_week_each_handed_over_at_the_clinics_own_hour(moment: str, who: str | None) -> None:
    assert on_call(MONDAY, utc(moment), BERLIN) == who


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        # 2026-10-25: 02:30 comes twice, at 00:30 and at 01:30 UTC. The first time is the hand-over, and it is one.
        ("2026-10-25T00:29:59", "anna"),
        ("2026-10-25T00:30:00", "ben"),
        ("2026-10-25T01:15:00", "ben"),  # 02:15 for the second time
        ("2026-10-25T01:30:00", "ben"),
    ],
)
def test_an_hour_that_comes_twice_hands_over_once(moment: str, who: str) -> None:
    assert on_call(weekly(date(2026, 10, 18), 150), utc(moment), BERLIN) == who


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        # 2026-03-29: 02:30 is left out; the clocks show 03:30 by then, which is 01:30 UTC.
        ("2026-03-29T01:29:59", "anna"),
        ("2026-03-29T01:30:00", "ben"),
    ],
)
def test_an_hour_that_is_left_out_hands_over_all_the_same(moment: str, who: str) -> None:
    assert on_call(weekly(date(2026, 3, 22), 150), utc(moment), BERLIN) == who


@given(st.integers(0, 60 * 24 * 400), st.integers(0, 1439))
def test_turns_only_ever_go_on_to_the_next(minutes: int, hand_over: int) -> None:
    """Minute by minute over a year with both changes of clocks: whoever is on call stays, or the next one comes."""
    rotation = weekly(date(2026, 1, 5), hand_over)
    at_s = utc("2026-01-07T00:00:00") + minutes * 60.0
    before, after = (on_call(rotation, moment, BERLIN) for moment in (at_s, at_s + 60.0))
    assert before is not None
    assert after in (before, {"anna": "ben", "ben": "cleo", "cleo": "anna"}[before])


def test_an_override_goes_before_the_turn_and_a_later_one_before_an_earlier() -> None:
    from_s, until_s = utc("2026-11-24T07:00:00"), utc("2026-11-25T07:00:00")
    rotation = replace(
        MONDAY,
        overrides=(
            Override(person="cleo", from_wall_s=from_s, until_wall_s=until_s),
            Override(person=None, from_wall_s=from_s + HOUR_S, until_wall_s=from_s + 2 * HOUR_S),
        ),
    )
    assert on_call(rotation, from_s - 1.0, BERLIN) == "anna"
    assert on_call(rotation, from_s, BERLIN) == "cleo"
    assert on_call(rotation, from_s + HOUR_S, BERLIN) is None
    assert on_call(rotation, from_s + 2 * HOUR_S, BERLIN) == "cleo"
    assert on_call(rotation, until_s, BERLIN) == "anna"


def test_a_rotation_ends_on_its_last_day_at_the_hand_over() -> None:
    rotation = replace(MONDAY, last_day=date(2026, 12, 7))
    assert on_call(rotation, utc("2026-12-07T06:59:59"), BERLIN) == "ben"
    assert on_call(rotation, utc("2026-12-07T07:00:00"), BERLIN) is None


# --- rungs ----------------------------------------------------------------------------------------------------------


def test_a_rung_names_people_rotations_and_everyone_and_tells_each_once() -> None:
    at_s = utc("2026-11-25T12:00:00")
    assert people_of(ROTA, ("ben", "on-call", "ben"), at_s, BERLIN) == ["ben", "anna"]
    assert people_of(ROTA, ("cleo", "everyone"), at_s, BERLIN) == ["cleo", "anna", "ben"]
    ended = replace(ROTA, rotations={"on-call": replace(ROTA.rotations["on-call"], last_day=date(2026, 11, 23))})
    assert people_of(ended, ("on-call",), at_s, BERLIN) == []


def test_each_way_is_for_its_priorities() -> None:
    rota = replace(ROTA, people={"anna": person("anna", phone(HIGH), MAIL), "ben": person("ben")})
    ways = {priority: [m.method for _, m in methods_for(rota, ("anna", "ben"), priority)] for priority in (HIGH, LOW)}
    assert ways == {HIGH: ["phone"], LOW: ["mail"]}


def test_engineers_have_rungs_of_their_own_where_the_rota_says_so() -> None:
    rota = replace(ROTA, engineer_rungs={MEDIUM: (("cleo",),)})
    assert ladder(rota, MEDIUM, engineers=True) == (("cleo",),)
    assert ladder(rota, MEDIUM, engineers=False) == (("on-call",), ("ben",), ("cleo",))
    assert ladder(rota, HIGH, engineers=True) == (("on-call",), ("ben",), ("cleo",))
    assert ladder(replace(ROTA, rungs={}), INFO, engineers=False) == ()


# --- cover ----------------------------------------------------------------------------------------------------------


def covered_by(rotation: Rotation) -> Rota:
    return replace(ROTA, rotations={"on-call": rotation})


def test_a_gap_is_found_a_day_ahead_and_no_sooner() -> None:
    ends_s = utc("2026-12-07T07:00:00")
    rota = covered_by(replace(MONDAY, last_day=date(2026, 12, 7)))
    assert gap(rota, ends_s - 24 * HOUR_S - 1.0, BERLIN) is None
    assert gap(rota, ends_s - 24 * HOUR_S, BERLIN) == ends_s
    assert gap(rota, ends_s + HOUR_S, BERLIN) == ends_s + HOUR_S, "it is now"
    assert gap(covered_by(MONDAY), utc("2026-11-22T12:00:00"), BERLIN) == utc("2026-11-22T12:00:00")


def test_a_gap_that_somebody_fills_is_none() -> None:
    ends_s = utc("2026-12-07T07:00:00")
    fills = Override(person="cleo", from_wall_s=ends_s, until_wall_s=ends_s + 6 * HOUR_S)
    rota = covered_by(replace(MONDAY, last_day=date(2026, 12, 7), overrides=(fills,)))
    assert gap(rota, ends_s - 18 * HOUR_S - 1.0, BERLIN) is None
    assert gap(rota, ends_s - 18 * HOUR_S, BERLIN) == ends_s + 6 * HOUR_S


def test_engineers_need_cover_too_and_a_higher_rung_does_not_count() -> None:
    nobody = replace(MONDAY, rotation="engineer", last_day=date(2026, 11, 24))
    rota = replace(
        ROTA,
        rotations={**ROTA.rotations, "engineer": nobody},
        engineer_rungs={MEDIUM: (("engineer",), ("cleo",)), LOW: (("engineer",),)},
    )
    at_s = utc("2026-11-25T12:00:00")
    assert gap(rota, at_s, BERLIN) == at_s
    assert gap(replace(rota, engineer_rungs={LOW: (("engineer",),)}), at_s, BERLIN) is None, "low may wait"


# --- the clinic's day -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quiet", "moment", "is_so"),
    [
        (None, "2026-11-25T22:00:00", False),
        (Quiet(from_local_min=1200, until_local_min=420), "2026-11-25T18:59:00", False),  # 19:59 in Berlin
        (Quiet(from_local_min=1200, until_local_min=420), "2026-11-25T19:00:00", True),
        (Quiet(from_local_min=1200, until_local_min=420), "2026-11-26T05:59:00", True),
        (Quiet(from_local_min=1200, until_local_min=420), "2026-11-26T06:00:00", False),
        (Quiet(from_local_min=720, until_local_min=780), "2026-11-25T10:59:00", False),
        (Quiet(from_local_min=720, until_local_min=780), "2026-11-25T11:00:00", True),
        (Quiet(from_local_min=720, until_local_min=780), "2026-11-25T12:00:00", False),
    ],
)
def test_quiet_hours_may_go_over_midnight(quiet: Quiet | None, moment: str, is_so: bool) -> None:
    assert is_quiet(replace(ROTA, quiet=quiet), utc(moment), BERLIN) is is_so


def test_the_newest_moment_of_an_hour_is_todays_or_yesterdays() -> None:
    assert last_at(utc("2026-11-25T06:30:00"), 450, BERLIN) == utc("2026-11-25T06:30:00")
    assert last_at(utc("2026-11-25T06:29:59"), 450, BERLIN) == utc("2026-11-24T06:30:00")
    assert local_day(utc("2026-11-25T23:30:00"), BERLIN) == date(2026, 11, 26)
