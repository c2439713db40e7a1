"""What a run could not do here, said plainly at its end: programs that not every release of a distribution has."""

import atexit
import gc
import os
import shutil
import sys
import threading
from collections.abc import Generator

import pytest
from hypothesis import is_hypothesis_test
from xdist.remote import Producer
from xdist.scheduler.protocol import Scheduling

from tests.adapters.history.engines import other_influx
from tests.browser.chromium import CHROMIUM
from tests.order import InTurn, in_turn, unit

atexit.register(gc.freeze)  # at the end of a worker nothing is looked at once more: half a second each
os.environ["PATH"] += ":/usr/sbin:/sbin"  # an ordinary account on Debian has neither, and nginx lives there

ENGINES = ("influxd", "nginx", "prometheus", "promtool", "prometheus-alertmanager", "amtool")
# Together they reach every branch of what is to be proved, each time: the run fails when they do not.
PROVING = (
    "tests/agents/",
    "tests/contract/test_dose.py",
    "tests/contract/test_limits.py",
    "tests/contract/test_topics.py",
    "tests/core/",
    "tests/reports/test_health.py",
    "tests/reports/test_usage_ledger.py",
    "tests/scenarios/",
)
# Long ways to what others of them reach as well.
NOT_TRACED = (
    "tests/agents/test_causes.py::test_completed",
    "tests/agents/test_causes.py::test_completion_is_judged_before_permission",
    "tests/agents/test_causes.py::test_ten_minutes_of_pauses_in_total",
    "tests/agents/test_doubt.py::test_after_a_freeze_who_may_reset_does_not_depend_on_what_comes_first",
    "tests/agents/test_doubt.py::test_one_reading_that_ends_output_at_once",
    "tests/agents/test_gravest.py::test_nothing_that_comes_later_closes_the_relay",
    "tests/agents/test_latch.py::test_power_cut_at_every_write_of_the_agents_life",
    "tests/core/test_alarm_properties.py",
    "tests/scenarios/test_alarm_storm.py::test_medium_that_comes_and_goes_climbs_one_ladder_however_often",
)
NOT_ASKED = (
    "the suite of the history stores on InfluxDB 2 (STIMFLEET_TEST_INFLUX_URL, _ORG, _BUCKET and _TOKEN say which)"
)


def missing(item: pytest.Item) -> set[str]:
    """The programs that a test is marked to need and that are not here."""
    needed = {program for mark in item.iter_markers("needs") for program in mark.args}
    return {program for program in needed if shutil.which(program) is None}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return InTurn(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run. `tools/set-up engines browser` has installed what there is a package for.

    And put the rest in the order in which it is shared out. Tracing doubles what a test costs: where branches are to be
    proved, only what is to prove them is traced, and nothing that is drawn at random: each is to be reached every time.
    """
    left_out = [item for item in items if missing(item)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workerinput"):
        turn = {one: n for n, one in enumerate(in_turn(dict.fromkeys(unit(item.nodeid) for item in items)))}
        items.sort(key=lambda item: turn[unit(item.nodeid)])
    if any(isinstance(source, str) for source in config.getoption("cov_source", [])):
        for item in items:
            proves = item.nodeid.startswith(PROVING) and not item.nodeid.startswith(NOT_TRACED)
            if not proves or is_hypothesis_test(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """In a process of xdist coverage is started twice, and pytest-cov pauses one of them: the other would trace on."""
    if item.get_closest_marker("no_cover") is None:
        return (yield)
    traced, traced_in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(traced)
        threading.settrace(traced_in_threads)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it, also where the tests ran in other processes."""
    gone = [program for program in (*ENGINES, CHROMIUM) if shutil.which(program) is None]
    if gone:
        terminalreporter.write_line(
            f"NOT RUN, for want of {' and '.join(gone)}: every test marked as needing it", red=True
        )
    if other_influx() is None:
        terminalreporter.write_line(f"not run: {NOT_ASKED}")
