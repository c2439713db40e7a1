"""What a run could not do here, said plainly at its end: programs that not every release of a distribution has."""

import gc
import os
import shlex
import shutil
import sys
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.protocol import Scheduling

from demo.processes import Process
from tests.adapters.history.engines import other_influx
from tests.browser.chromium import CHROMIUM
from tests.forked import ADDRESS, WORKERS, begin_forked, begin_forking
from tests.order import WAITING, InTurn, in_turn, unit
from tests.room import Patience
from tests.tracing import load, proves, to_prove, untraced

os.environ["PATH"] += ":/usr/sbin:/sbin"  # an ordinary account on Debian has neither, and nginx lives there

Process.begin = staticmethod(begin_forked)

ENGINES = ("influxd", "nginx", "prometheus", "promtool", "prometheus-alertmanager", "amtool")
NOT_ASKED = (
    "the suite of the history stores on InfluxDB 2 (STIMFLEET_TEST_INFLUX_URL, _ORG, _BUCKET and _TOKEN say which)"
)

PATIENCE = Patience()
BEGUN = pytest.StashKey[set[str]]()
"""The units that a worker has begun (tests/order.py)."""

# Wherever pytest was called: a dependency has brought a package of this name, too.
WORKER = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from tests.worker import main; main()"


def missing(item: pytest.Item) -> set[str]:
    """The programs that a test is marked to need and that are not here."""
    needed = {program for mark in item.iter_markers("needs") for program in mark.args}
    return {program for program in needed if shutil.which(program) is None}


def pytest_configure(config: pytest.Config) -> None:
    """Workers are forked, and have their processes forked: by one each for all of them, and not by one of another run.

    What is to be proved is imported here, where it is traced; they have it from the one that has collected the tests.
    Where a run measures what is reached of everything, they import it themselves, traced.
    """
    if hasattr(config, "workerinput"):
        return
    for known_as in (ADDRESS, WORKERS):
        os.environ.pop(known_as, None)
    if config.getoption("numprocesses", None):
        begin_forking()
        if config.option.collectonly or (config.getoption("cov_source", []) and not to_prove(config)):
            return
        begin_forking(WORKERS, *(str(config.invocation_params.dir / tests) for tests in config.args))
        worker = shlex.join([sys.executable, "-c", WORKER])
        config.option.tx = [f"popen//python={worker}" for _ in config.option.tx]
        load(to_prove(config))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return InTurn(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Where branches are to be proved, trace what is loaded of that, and nothing of the tests that are collected.

    What a collection makes stays until the end: the garbage collector has nothing to find there.
    """
    gc.disable()
    sources = to_prove(session.config)
    load(sources)
    with untraced() if sources else nullcontext():
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be run. `tools/set-up engines browser` has installed what there is a package for.

    And put the rest in the order in which it is shared out.
    """
    left_out = [item for item in items if missing(item)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workerinput"):
        turn = {one: n for n, one in enumerate(in_turn(dict.fromkeys(unit(item.nodeid) for item in items)))}
        items.sort(key=lambda item: turn[unit(item.nodeid)])


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # tests make much that lives for the whole of one; found later is found as well
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where branches are to be proved, trace only what proves them, and nothing of pytest around the rest.

    A worker begins each unit when there is room on the machine.
    """
    begun = item.config.stash.setdefault(BEGUN, set())
    if hasattr(item.config, "workerinput") and (one := unit(item.nodeid)) not in begun:
        begun.add(one)
        PATIENCE.await_room(much=one in WAITING)
    with untraced() if to_prove(item.config) and not proves(item) else nullcontext():
        return (yield)


def pytest_unconfigure() -> None:
    """What is found now is all: pytest looks five times more for it, and the interpreter at its end."""
    while gc.collect():
        pass
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it, also where the tests ran in other processes."""
    gone = [program for program in (*ENGINES, CHROMIUM) if shutil.which(program) is None]
    if gone:
        terminalreporter.write_line(
            f"NOT RUN, for want of {' and '.join(gone)}: every test marked as needing it", red=True
        )
    if other_influx() is None:
        terminalreporter.write_line(f"not run: {NOT_ASKED}")
