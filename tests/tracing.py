"""What a whole run traces to prove branches, and that it traces nothing else: tracing doubles what a test costs."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import Final

import pytest
from hypothesis import is_hypothesis_test

PROVING: Final = (
    "tests/agents/",
    "tests/contract/test_dose.py",
    "tests/contract/test_limits.py",
    "tests/contract/test_topics.py",
    "tests/core/",
    "tests/reports/test_health.py",
    "tests/reports/test_usage_ledger.py",
    "tests/scenarios/",
)
"""Together they reach every branch of what is to be proved, each time: the run fails when they do not."""

NOT_TRACED: Final = (
    "tests/agents/test_causes.py::test_completed",
    "tests/agents/test_causes.py::test_completion_is_judged_before_permission",
    "tests/agents/test_causes.py::test_ten_minutes_of_pauses_in_total",
    "tests/agents/test_doubt.py::test_after_a_freeze_who_may_reset_does_not_depend_on_what_comes_first",
    "tests/agents/test_doubt.py::test_an_hour_asleep_applies_zero_first",
    "tests/agents/test_doubt.py::test_one_reading_that_ends_output_at_once",
    "tests/agents/test_gravest.py::test_nothing_that_comes_later_closes_the_relay",
    "tests/agents/test_interlock.py::test_every_setting_over_the_whole_cube_is_clamped_to_the_strictest_limit",
    "tests/agents/test_latch.py::test_power_cut_at_every_write_of_the_agents_life",
    "tests/agents/test_ramps.py",
    "tests/core/test_alarm_properties.py",
    "tests/core/test_dose_machine.py",
    "tests/core/test_session_machine.py",
    "tests/core/test_stop_machine.py",
    "tests/scenarios/test_alarm_rungs.py::test_medium_is_told_after_two_minutes_after_five_and_then_every_ten",
    "tests/scenarios/test_alarm_store.py::test_the_journal_has_what_changes_and_not_each_word",
    "tests/scenarios/test_alarm_storm.py::test_medium_that_comes_and_goes_climbs_one_ladder_however_often",
    "tests/scenarios/test_alarm_unproven.py",
    "tests/scenarios/test_mad_agent.py::test_h21_a_device_that_goes_on_changing_its_phase_is_not_leased_each_time",
    "tests/scenarios/test_mad_agent.py::test_h21_a_mad_agent_floods_boots_and_its_session_ends_with_the_first",
    "tests/scenarios/test_mad_agent.py::test_h21_a_mad_agent_floods_events_and_its_session_ends_with_its_own_word",
    "tests/scenarios/test_mad_agent.py::test_h21_a_mad_agent_floods_every_kind_of_event_at_once",
    "tests/scenarios/test_mad_agent.py::test_h21_a_spool_of_5000_events_drains_and_nothing_is_lost",
)
"""Long ways to what others of them reach as well."""


def proves(item: pytest.Item) -> bool:
    """Whether it is to reach branches: nothing drawn at random does, for each has to be reached every time."""
    if is_hypothesis_test(getattr(item, "obj", None)):
        return False
    return item.nodeid.startswith(PROVING) and not item.nodeid.startswith(NOT_TRACED)


def to_prove(config: pytest.Config) -> list[str]:
    """The modules and packages whose branches this run is to prove, by name."""
    return [source for source in config.getoption("cov_source", []) if isinstance(source, str)]


def load(sources: Iterable[str]) -> None:
    """Import all of these, which is traced where they are imported first: their lines outside functions."""
    for source in sources:
        module = import_module(source)
        for below in walk_packages(getattr(module, "__path__", ()), f"{source}."):
            import_module(below.name)


@contextmanager
def untraced() -> Iterator[None]:
    """Trace nothing in here, neither in this thread nor in those that it starts.

    Coverage traces by `sys.settrace` where the interpreter is older than 3.14, and in a process of xdist it is started
    twice, of which pytest-cov would pause one.
    """
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(here)
        threading.settrace(in_threads)
