"""The second over-limit within 24 h takes an engineer: by boot time, whatever the wall clock says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.over_limits import DAY_S, KEPT, at_start, recent, seen_by_engineer, with_one_more
from agents.simulation.faults import FaultKind
from agents.steps import OverLimit
from broker.contract.causes import Cause, ResetBy
from tests.agents.after import assert_latched, reset, running_at
from tests.agents.clinic import Clinic


def goes_over(clinic: Clinic, reset_by: ResetBy) -> None:
    """Half as much again flows as was set; and whoever may, resets it."""
    clinic.until_on_phase()
    clinic.suffer(FaultKind.OUTPUT_ABOVE, 1.5)
    clinic.run(1.0)
    assert_latched(clinic, Cause.OVER_LIMIT, reset_by)
    clinic.stimulator.heal(FaultKind.OUTPUT_ABOVE)
    reset(clinic, reset_by)


def again(clinic: Clinic, reset_by: ResetBy) -> None:
    clinic.until_running(20.0)
    goes_over(clinic, reset_by)


def ages(clinic: Clinic, seconds: float) -> None:
    """As if what the device remembers were that much older."""
    known = clinic.state.durable.over_limits
    older = tuple(OverLimit(each.boot_n, (each.boottime_s or 0.0) - seconds) for each in known)
    clinic.stepper.state = replace(clinic.state, durable=replace(clinic.state.durable, over_limits=older))


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 400 * DAY_S])
def test_a_step_of_the_wall_clock_does_not_waive_the_engineer(step_s: float) -> None:
    clinic = running_at(20.0)
    goes_over(clinic, ResetBy.THERAPIST)
    clinic.wall_step_s = step_s
    again(clinic, ResetBy.ENGINEER)


def test_a_day_later_by_boot_time_the_second_one_is_a_first_one_again() -> None:
    clinic = running_at(20.0)
    goes_over(clinic, ResetBy.THERAPIST)
    ages(clinic, DAY_S)
    again(clinic, ResetBy.THERAPIST)


def test_the_boundary_is_24_hours_to_the_tick() -> None:
    known = (OverLimit(7, 100.0),)
    assert recent(known, 100.0 + DAY_S - 0.05) == known
    assert recent(known, 100.0 + DAY_S) == ()


def test_after_a_start_it_counts_until_the_engineer_has_reset() -> None:
    """Nobody knows how long the device was off: in doubt the second takes an engineer, and the next is a first one."""
    clinic = running_at(20.0)
    goes_over(clinic, ResetBy.THERAPIST)
    clinic.wall_step_s = 30 * DAY_S  # a month later, as the wall clock has it
    of_another_boot = tuple(OverLimit(each.boot_n, clinic.now_s + 5_000.0) for each in clinic.on_disk.over_limits)
    clinic.switch_on_agent(replace(clinic.on_disk, over_limits=of_another_boot))
    again(clinic, ResetBy.ENGINEER)
    (left,) = clinic.state.durable.over_limits
    assert left.boot_n == clinic.state.durable.boot_n, "of this start, and not in doubt"
    again(clinic, ResetBy.ENGINEER)


def test_of_an_earlier_boot_it_is_at_least_as_old_as_this_boot() -> None:
    (known,) = at_start((OverLimit(7, 5_000.0),), 8, 12.0)
    assert recent((known,), DAY_S - 0.05) == (known,)
    assert recent((known,), DAY_S) == ()


def test_a_start_of_the_agent_alone_makes_nothing_older() -> None:
    known = (OverLimit(7, 5_000.0),)
    assert at_start(known, 8, 5_012.0) == (OverLimit(8, 5_000.0),), "and it is not in doubt"


def test_one_of_an_old_record_counts_from_the_first_start_on() -> None:
    assert recent((OverLimit(0, None),), 400 * DAY_S) == (OverLimit(0, None),)
    assert at_start((OverLimit(0, None),), 8, 50.0) == (OverLimit(0, 50.0),)


def test_what_is_kept_is_bounded_and_the_newest() -> None:
    known: tuple[OverLimit, ...] = ()
    for second in range(20):
        known = with_one_more(known, 7, float(second))
    assert known == tuple(OverLimit(7, float(second)) for second in range(20 - KEPT, 20))


def test_an_engineer_s_reset_ends_what_is_in_doubt_only() -> None:
    known = (OverLimit(6, 10.0), OverLimit(7, 20.0))
    assert seen_by_engineer(known, 7) == (OverLimit(7, 20.0),)


def test_an_agent_that_is_started_again_before_the_engineer_resets_forgets_nothing() -> None:
    clinic = running_at(20.0)
    goes_over(clinic, ResetBy.THERAPIST)
    clinic.switch_on_agent(clinic.on_disk)
    again(clinic, ResetBy.ENGINEER)
    again(clinic, ResetBy.ENGINEER)


@given(
    happened_s=st.floats(0.0, 1e6),
    spells=st.lists(st.tuples(st.floats(0.0, 1e5), st.booleans(), st.floats(0.0, 1e5)), max_size=6),
)
def test_none_that_is_less_than_24_h_old_is_ever_forgotten(
    happened_s: float, spells: list[tuple[float, bool, float]]
) -> None:
    """Spells of running, then a start of the agent: alone, or with its host, which was off for a while."""
    known: tuple[OverLimit, ...] = (OverLimit(1, happened_s),)
    age_s, now_s = 0.0, happened_s
    for runs_s, with_host, off_s in spells:
        age_s, now_s = age_s + runs_s, now_s + runs_s
        if age_s < DAY_S - 1.0:
            assert recent(known, now_s) == known
        age_s, now_s = age_s + off_s, 0.0 if with_host else now_s + off_s
        known = at_start(known, 1, now_s)
