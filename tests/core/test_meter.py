"""What a device has run: seconds and sessions since a day, whatever order the records come in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleet.core.meter import MARKS_KEPT, SESSIONS_KEPT, UNUSED, Meter, Ran, with_session

DAY_1 = date(2026, 11, 2)


def day(n: int) -> date:
    return DAY_1 + timedelta(days=n - 1)


def ran(session_id: str, on: int, used_s: float, *, by_device: bool = True) -> Ran:
    return Ran(session_id=session_id, day=day(on), used_s=used_s, by_device=by_device)


def metered(*sessions: Ran, checked_on: tuple[int, ...] = ()) -> Meter:
    meter = UNUSED
    for session in sessions:
        meter = with_session(meter, session, [day(n) for n in checked_on])
    return meter


def test_what_was_never_used_has_run_nothing() -> None:
    assert UNUSED.since(None) == UNUSED.since(day(1)) == (0.0, 0)


def test_use_counts_from_the_beginning_of_a_day() -> None:
    meter = metered(ran("a", 1, 600.0), ran("b", 1, 300.0), ran("c", 5, 60.0))
    assert [meter.since(day(n)) for n in (1, 2, 5, 6)] == [(960.0, 3), (60.0, 1), (60.0, 1), (0.0, 0)]
    assert meter.since(None) == (960.0, 3)


def test_a_session_counts_once_and_its_device_knows_best() -> None:
    """Seen to start, ended by the fleet's own time, then told by its device: less, and more."""
    meter = metered(ran("a", 1, 0.0, by_device=False))
    assert meter.since(None) == (0.0, 1)
    meter = with_session(meter, ran("a", 1, 611.0, by_device=False), [])
    assert with_session(meter, ran("a", 2, 580.0), []).since(day(1)) == (580.0, 1)
    assert with_session(meter, ran("a", 2, 900.0), []).since(day(1)) == (900.0, 1)
    told = with_session(meter, ran("a", 2, 580.0), [])
    assert with_session(told, ran("a", 2, 700.0, by_device=False), []) == told, "a whole record is the last word"
    assert with_session(told, ran("a", 2, 20.0), []).since(None) == (580.0, 1), "of two records the longer"
    assert with_session(meter, ran("a", 2, 20.0, by_device=False), []).since(None) == (611.0, 1)


def test_a_later_word_changes_the_day_of_the_session_and_never_makes_a_check_later() -> None:
    """Assumed on day 1, checked on day 2, told on day 3: what was assumed too much is not taken from day 2."""
    meter = metered(ran("a", 1, 1_200.0, by_device=False), ran("b", 2, 100.0))
    told = with_session(meter, ran("a", 3, 300.0), [])
    assert told.since(day(2)) == meter.since(day(2)) == (100.0, 1)
    assert told.since(day(1)) == (400.0, 2)


def test_when_the_clinic_changes_its_time_zone_a_day_may_come_before_the_newest() -> None:
    meter = metered(ran("a", 2, 100.0), ran("b", 1, 10.0))
    assert meter.since(day(2)) == (110.0, 2)


def test_it_does_not_grow_and_still_knows_the_day_of_a_check() -> None:
    everyday = [ran(f"s-{n}", n, 60.0) for n in range(1, 401)]
    meter = metered(*everyday, checked_on=(10, 200))
    assert (len(meter.marks), len(meter.newest)) == (MARKS_KEPT + 2, SESSIONS_KEPT)
    assert meter.since(day(10)) == (391 * 60.0, 391)
    assert meter.since(day(200)) == (201 * 60.0, 201)
    assert meter.since(day(380)) == (21 * 60.0, 21)
    assert meter.since(day(300)) == (201 * 60.0, 201), "a day that nobody counted from: more, and never less"
    assert meter.since(None) == (400 * 60.0, 400)


def test_a_check_on_the_first_day_or_before_it_counts_everything() -> None:
    everyday = [ran(f"s-{n}", n, 60.0) for n in range(1, 101)]
    meter = metered(*everyday, checked_on=(1,))
    assert len(meter.marks) == MARKS_KEPT
    assert meter.since(day(1)) == meter.since(day(-5)) == (6_000.0, 100)


@dataclass
class ByHand:
    """All sessions, added up anew each time."""

    found: dict[str, Ran] = field(default_factory=dict)

    def add(self, one: Ran) -> None:
        known = self.found.get(one.session_id)
        if known is None:
            self.found[one.session_id] = one
        elif one.by_device and not known.by_device:
            self.found[one.session_id] = Ran(
                session_id=one.session_id, day=known.day, used_s=one.used_s, by_device=True
            )
        elif one.by_device or not known.by_device:
            longest = max(known.used_s, one.used_s)
            self.found[one.session_id] = Ran(
                session_id=one.session_id, day=known.day, used_s=longest, by_device=known.by_device
            )

    def since(self, first: date) -> tuple[float, int]:
        counted = [one for one in self.found.values() if one.day >= first]
        return sum(one.used_s for one in counted), len(counted)


WORDS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 3_600), st.booleans()), max_size=40)


@given(WORDS, st.sets(st.integers(-2, 90), max_size=3))
def test_it_is_what_adding_up_by_hand_gives(words: list[tuple[int, int, int, bool]], checks: set[int]) -> None:
    """Few sessions at a time, each told of several times on days that only rise."""
    meter, by_hand, today, begun = UNUSED, ByHand(), 1, 0
    for back, later, used_s, by_device in words:
        today += later
        begun += back == 0
        one = ran(f"s-{begun - back if back < begun else begun}", today, float(used_s), by_device=by_device)
        meter = with_session(meter, one, [day(n) for n in checks])
        by_hand.add(one)
    for n in {*checks, 1, today}:
        assert meter.since(day(n)) == by_hand.since(day(n))


def test_marks_say_the_totals_at_the_end_of_their_day() -> None:
    meter = metered(ran("a", 1, 600.0), ran("b", 3, 300.0))
    said: Mapping[date, tuple[float, int]] = {mark.day: (mark.used_s, mark.sessions) for mark in meter.marks}
    assert said == {day(1): (600.0, 1), day(3): (900.0, 2)}
