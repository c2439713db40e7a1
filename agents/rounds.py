"""One thread that visits many controls: for many simulated devices in one process, whose threads would stand in each
other's way (one interpreter runs one thread at a time).

What arrives is taken in before what is merely due, so a stop waits for one visit, never for a round.
"""

import heapq
import itertools
import math
import threading
from collections.abc import Callable, Iterator
from typing import Final

from agents.control import TICK_S, Control

LATE_MS_MAX: Final = 1_000
SLOTS: Final = 10  # of a tick: those of one slot are visited in one go, for each wake of a thread costs the others
_SLOT_S: Final = TICK_S / SLOTS


class Lateness:
    """How late ticks were, in whole milliseconds; what is later than a second counts as a second."""

    def __init__(self) -> None:
        self.ticks_by_ms = [0] * (LATE_MS_MAX + 1)

    def note(self, late_s: float) -> None:
        self.ticks_by_ms[min(int(late_s * 1000.0), LATE_MS_MAX)] += 1

    @property
    def ticks(self) -> int:
        return sum(self.ticks_by_ms)

    def percentile_ms(self, percent: float) -> int | None:
        """No more than `percent` of the ticks were later than this, to the millisecond; None: there were none."""
        left = self.ticks * percent / 100.0
        for late_ms, ticks in enumerate(self.ticks_by_ms):
            left -= ticks
            if left <= 1e-9 and self.ticks:
                return late_ms
        return None

    @property
    def worst_ms(self) -> int | None:
        return max((late_ms for late_ms, ticks in enumerate(self.ticks_by_ms) if ticks), default=None)


class Rounds:
    """Implements `agents.control.Round` for any number of controls."""

    def __init__(self, boottime_s: Callable[[], float]) -> None:
        self.lateness = Lateness()
        self._boottime_s = boottime_s
        self._news = threading.Condition()
        self._called: dict[Control, None] = {}  # in the order of the calls
        self._due: list[tuple[float, int, Control]] = []  # a heap; what names an earlier due time is stale
        self._ended: dict[Control, threading.Event] = {}
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._go, name="rounds", daemon=True)

    def take_on(self, control: Control) -> None:
        with self._news:
            control.due_s = _slot_after(control.due_s) + _SLOT_S * (len(self._ended) % SLOTS)
            self._ended[control] = threading.Event()
            self._put_down(control)
            self._news.notify()
            if not self._thread.is_alive():
                self._thread.start()

    def call(self, control: Control) -> None:
        with self._news:
            self._called[control] = None
            self._news.notify()

    def wait_for_end(self, control: Control) -> None:
        with self._news:
            ended = self._ended[control]
        ended.wait()

    def _go(self) -> None:
        while True:
            for control in self._next():
                before_s = control.due_s
                if not control.visit():
                    self._ended[control].set()
                elif control.due_s != before_s:
                    self.lateness.note(control.late_s)
                    control.due_s = _slot_after(control.due_s - 1e-6)
                    with self._news:
                        self._put_down(control)

    def _next(self) -> tuple[Control, ...]:
        """Whoever was called; else whoever is due first, waited for."""
        with self._news:
            while True:
                called = tuple(filter(self._is_on, self._called))
                self._called.clear()
                if called:
                    return called
                if due := tuple(self._take_due()):
                    return due
                self._news.wait(self._due[0][0] - self._boottime_s() if self._due else None)

    def _take_due(self) -> Iterator[Control]:
        now_s = self._boottime_s()
        while self._due and self._due[0][0] <= now_s:
            due_s, _, control = heapq.heappop(self._due)
            if due_s == control.due_s and self._is_on(control):
                yield control

    def _is_on(self, control: Control) -> bool:
        """Called before it has begun, or after it has ended, a control is not visited."""
        return control in self._ended and not self._ended[control].is_set()

    def _put_down(self, control: Control) -> None:
        heapq.heappush(self._due, (control.due_s, next(self._order), control))


def _slot_after(at_s: float) -> float:
    return math.ceil(at_s / _SLOT_S) * _SLOT_S
