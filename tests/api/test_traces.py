"""What is asked of the history store beside what is in memory: a device's clock, or a late sample, hides nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker.contract.messages import Phase
from fleet.adapters.history.port import HistoryError
from fleet.api.reports import Reports
from fleet.api.sight import Sight
from fleet.api.traces import _Asked, _read
from fleet.api.window import Window
from tests.api.test_window import NOON_S, SESSION, sample


@dataclass
class Store:
    """A store that does not answer, and remembers what it was asked. It is also the reports' turn at it."""

    asked: list[str] = field(default_factory=list)

    @property
    def history(self) -> "Store":
        return self

    @asynccontextmanager
    async def in_turn(self) -> AsyncIterator[None]:
        yield

    async def trace(self, *_: object) -> Any:
        self.asked.append("trace")
        raise HistoryError("it is away")

    async def samples(self, *_: object) -> Any:
        self.asked.append("samples")
        raise HistoryError("it is away")


async def read(window: Window, asked: _Asked) -> tuple[list[int], list[str]]:
    """The numbers of the samples that were found, and what the store was asked for."""
    store = Store()
    found = await _read(cast(Sight, SimpleNamespace(window=window)), cast(Reports, store), asked)
    return [point.seq for point in found.points], store.asked


@pytest.mark.parametrize("off_s", [-59.0, 0.0, 59.0])
async def test_a_session_is_whole_whatever_its_devices_clock_says(off_s: float) -> None:
    """Authorised at noon, two samples a second; the web process has been there for a quarter of an hour."""
    window = Window(40)
    window.take("stim-01", sample(1, NOON_S - 900.0 + off_s, phase=Phase.IDLE, session_id=None), 0.0, NOON_S - 900.0)
    for n in range(240):
        at_s = NOON_S + n / 2
        window.take("stim-01", sample(2 + n, at_s + off_s), 900.0 + n / 2, at_s)
    numbers, asked = await read(window, _Asked("stim-01", NOON_S, NOON_S + 1_000.0, SESSION))
    assert numbers == list(range(2, 242))
    assert not asked


async def test_memory_that_begins_within_a_believed_clock_of_what_is_asked_is_not_all() -> None:
    """A sample by a clock that is ahead was received before it was taken: perhaps before this process was there."""
    window = Window(40)
    window.take("stim-01", sample(1, NOON_S - 30.0), 0.0, NOON_S - 30.0)
    assert await read(window, _Asked("stim-01", NOON_S, NOON_S + 60.0)) == ([], ["samples"])


async def test_one_late_sample_hides_no_store() -> None:
    """The first that this process heard, two minutes ago, was taken half an hour before: of the time between them the
    store knows.
    """
    window = Window(40)
    window.take("stim-01", sample(1, NOON_S - 1_800.0, late=True), 0.0, NOON_S - 119.0)
    for n in range(24):
        window.take("stim-01", sample(400 + n, NOON_S - 118.0 + 5 * n), 1.0 + 5 * n, NOON_S - 118.0 + 5 * n)
    numbers, asked = await read(window, _Asked("stim-01", NOON_S - 600.0, NOON_S))
    assert numbers == list(range(400, 424))
    assert asked == ["samples"]
