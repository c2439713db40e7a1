"""What a run could not do here, said plainly at its end: programs that not every release of a distribution has."""

import os
import shutil

import pytest

from tests.adapters.history.engines import other_influx

os.environ["PATH"] += ":/usr/sbin:/sbin"  # an ordinary account on Debian has neither, and nginx lives there

ENGINES = ("influxd", "nginx", "prometheus", "promtool", "prometheus-alertmanager", "amtool")
NOT_ASKED = (
    "the suite of the history stores on InfluxDB 2 (STIMFLEET_TEST_INFLUX_URL, _ORG, _BUCKET and _TOKEN say which)"
)


def missing(item: pytest.Item) -> set[str]:
    """The programs that a test is marked to need and that are not here."""
    needed = {program for mark in item.iter_markers("needs") for program in mark.args}
    return {program for program in needed if shutil.which(program) is None}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run. `tools/set-up engines browser` has installed what there is a package for."""
    left_out = [item for item in items if missing(item)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it, also where the tests ran in other processes."""
    gone = [program for program in (*ENGINES, "chromium") if shutil.which(program) is None]
    if gone:
        terminalreporter.write_line(
            f"NOT RUN, for want of {' and '.join(gone)}: every test marked as needing it", red=True
        )
    if other_influx() is None:
        terminalreporter.write_line(f"not run: {NOT_ASKED}")
