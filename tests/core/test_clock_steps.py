"""Whatever steps the host's wall clock makes: no rest is shorter by boot time, which nobody can set (H06)."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.contract.messages import Phase
from fleet.core import inputs, steady
from fleet.core.clock_events import FleetClockStepped
from fleet.core.events import DrainOrdered
from fleet.core.evolve import evolve
from fleet.core.fold_doses import local_day
from fleet.core.state import State
from fleet.core.turn import Turn
from tests.core.practice import DAY_S, Practice

HOUR_S = 3600.0

# Hours that pass, and by how many seconds somebody sets the clock then.
visits = st.lists(
    st.tuples(
        st.sampled_from((0.1, 1.0, 11.0, 24.0, 24.0, 30.0, 48.0, 120.0)),
        st.one_of(
            st.just(0.0),
            st.sampled_from((60.0, 119.0, 121.0, HOUR_S, 12 * HOUR_S, DAY_S, 30 * DAY_S)),
            st.sampled_from((-60.0, -HOUR_S, -DAY_S)),
            st.floats(-2 * DAY_S, 2 * DAY_S),
        ),
        st.booleans(),
    ),
    min_size=4,
    max_size=16,
)


def comes(clinic: Practice) -> bool:
    """A client is treated, if the fleet allows it."""
    if clinic.asked():
        return False
    session_id, stim = clinic.session_on().session_id, clinic.stims["stim-12"]
    stim.session_id = session_id
    for phase in (Phase.ARMED, Phase.RUNNING):
        stim.phase = phase
        clinic.shows("stim-12")
    clinic.ran(session_id, 390.0)
    clinic.is_idle()
    clinic.shows("stim-12")
    return True


def most_by_boot_time(seconds: float) -> float:
    """How far the clinic's time may go in so much boot time: two minutes, and 100 ppm, too far."""
    return seconds + 120.0 + seconds * 100e-6 + 0.01


@pytest.mark.timeout(600)
@given(visits=visits)
@example(visits=[(24.0, 119.0, False)] * 16)  # always a little
@example(visits=[(0.1, DAY_S, True)] * 8)
@example(visits=[(24.0, DAY_S, True), (24.0, -DAY_S, False)] * 8)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_h06_no_rest_is_shorter_by_boot_time_whatever_steps_the_clock_makes(
    visits: list[tuple[float, float, bool]],
) -> None:
    clinic, right_s = Practice(), 0.0
    right_s = clinic.wall_s - clinic.now_s
    treated_s: list[float] = []
    for hours, step_s, right_again in visits:
        clinic.days_later(hours / 24.0)
        clinic.wall_s = clinic.now_s + right_s if right_again else clinic.wall_s + step_s
        clinic.after(1.0)
        clinic.after(61.0)
        if comes(clinic):
            treated_s.append(clinic.now_s)
    # One rest day between two: a day at least. Three in 7 dates: from the first to the fourth, six days at least.
    for apart, least_s in ((1, DAY_S), (3, 6 * DAY_S)):
        for earlier_s, later_s in zip(treated_s, treated_s[apart:], strict=False):
            assert most_by_boot_time(later_s - earlier_s) >= least_s - 10.0, treated_s
    # And what is in the journal never runs ahead, from any event on.
    journal = clinic.journal
    for n, earlier in enumerate(journal):
        for later in journal[n + 1 :]:
            assert later.wall_s - earlier.wall_s <= most_by_boot_time(max(0.0, later.now_s - earlier.now_s))


def test_before_anybody_leads_nothing_is_known_of_the_clock() -> None:
    """A journal that somebody has cut to pieces: every clock is believed until an instance takes over."""
    state = State()
    evolve(state, DrainOrdered(now_s=10.0, wall_s=1000.0, issued_by="ada"))
    assert steady.wall_s(state.durable, 11.0) is None
    assert Turn(state, 11.0, 9000.0).wall_s == 9000.0


def test_boot_times_that_overtake_one_another_leave_the_steady_time_alone() -> None:
    clinic = Practice()
    before = clinic.state.durable.steady
    for late_s in (0.0, 0.002) * 500:
        clinic.hears(inputs.Rejected(None, None, "malformed", clinic.now_s - late_s, clinic.wall_s))
        clinic.state.fleeting.noticed_s.clear()
    after = clinic.state.durable.steady
    assert after == before


def test_the_visits_of_that_property_are_real_ones() -> None:
    clinic = Practice()
    came = []
    for _ in range(7):
        came.append(comes(clinic))
        clinic.days_later(1.0)
    assert came == [True, False, True, False, True, False, False]
    clinic.wall_s += DAY_S
    assert not comes(clinic)
    assert [type(event) for event in clinic.journal].count(FleetClockStepped) == 1
    assert local_day(clinic.state.durable, clinic.state.durable.wall_s).isoformat() == "2026-11-29"
