"""How a whole run of the tests is shared out among its workers, so that none waits for the last one.

Most of its time is waiting: for sessions, leases, processes that come back. So what waits goes out first, the longest
before the others, and beside it one worker computes all the while: more would hold up what waits, and none would leave
a processor idle now and all the computing for the end. Tests that share a clinic stay with one worker: it takes seconds
to open.
"""

from collections.abc import Iterable
from typing import Final

from xdist.scheduler.loadfile import LoadFileScheduling
from xdist.workermanage import WorkerController

SHARING: Final = ("tests/browser", "tests/api/live", "tests/dashboards", "tests/faults")
"""Folders whose tests share one clinic, whatever their file: but for the files that are named below by themselves."""

TOGETHER: Final = {
    "tests/browser/test_alarms.py": "tests/browser/test_stops.py",
    "tests/browser/test_truth.py": "tests/browser/test_stops.py",
    "tests/browser/test_whose_page.py": "tests/browser/test_stops.py",
}
"""Files that share a clinic with one that is named by itself, and not with their folder: two workers open one each."""

WAITING: Final = (
    "tests/api/live",
    "tests/browser",
    "tests/browser/test_stops.py",
    "tests/faults",
    "tests/api/live/test_contract.py",
    "tests/api/live/test_absence.py",
    "tests/paging/test_pager.py",
    "tests/dashboards",
    "tests/faults/test_store_alarm.py",
    "tests/paging/test_unwritten.py",
    "tests/deploy/test_containers.py",
    "tests/faults/test_killed_again_and_again.py",
    "tests/agents_shell/test_agent.py",
    "tests/bench/test_bench.py",
    "tests/faults/test_demo.py",
    "tests/demo/test_simulate.py",
    "tests/api/live/test_late.py",
    "tests/demo/test_past.py",
    "tests/adapters/test_service.py",
    "tests/deploy/test_rehearsal.py",
    "tests/deploy/test_operations.py",
    "tests/adapters",
    "tests/deploy",
    "tests/agents_shell",
    "tests/agents/test_control.py",
    "tests/demo",
    "tests/paging",
    "tests/journal",
)
"""What waits for other processes, the longest first: files, and folders with all that is not named by itself."""


def unit(nodeid: str) -> str:
    """What stays with one worker: a file that is named by itself, with what shares its clinic; a folder that shares a
    clinic; else the file.
    """
    path = nodeid.split("::", 1)[0]
    path = TOGETHER.get(path, path)
    if path in WAITING:
        return path
    return next((folder for folder in SHARING if path.startswith(f"{folder}/")), path)


def in_turn(units: Iterable[str]) -> list[str]:
    """The units as they go out: the longest that waits, and so on, and after them all that only computes."""
    return sorted(units, key=_place)


def waits(one: str) -> bool:
    """Whether a unit is one of those that wait for other processes."""
    return _place(one) < len(WAITING)


def _place(one: str) -> int:
    """Where it stands in `WAITING`, by itself or with its folder; behind its end where it only computes."""
    if one in WAITING:
        return WAITING.index(one)
    return next((n for n, named in enumerate(WAITING) if one.startswith(f"{named}/")), len(WAITING))


class InTurn(LoadFileScheduling):  # type: ignore[misc] # xdist ships no types
    """xdist's own, by our units and in our order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next_for(node), last=False)
        super()._assign_work_unit(node)

    def _next_for(self, node: WorkerController) -> str:
        """The first that waits, where another worker computes; else the first that only computes; in the end any."""
        another_computes = any(self._computes(other) for other in self.assigned_work if other is not node)
        units: list[str] = list(self.workqueue)
        return next((one for one in units if waits(one) == another_computes), units[0])

    def _computes(self, node: WorkerController) -> bool:
        """Whether it has tests before it that only compute."""
        return any(not waits(one) and not all(tests.values()) for one, tests in self.assigned_work[node].items())
