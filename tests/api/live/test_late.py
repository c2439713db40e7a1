"""What a device tells once the broker is back: shown as late, in its place; then it is no gap any more."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from demo.processes import await_that
from tests.api.live.house import House, opened_house
from tests.faults.conftest import LEASE_S

LATE_MIN = 2  # samples, of two a second
# What was on its way when the broker died is gone for good, and shown as that; the rest is twice a second.
GAP_MAX_S = 1.5


@pytest.fixture(scope="module")
def house_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose broker may be killed."""
    with opened_house(tmp_path_factory.mktemp("alone"), {"stim-01": "room-1"}, alone=("stim-01",)) as house:
        yield house


def trace(house: House, session: str) -> dict[str, Any]:
    found: dict[str, Any] = house.viewer.get(f"/sessions/{session}/trace")
    return found


def unix_s(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def test_samples_of_while_the_broker_was_away_are_late_and_close_their_gap(house_alone: House) -> None:
    house = house_alone
    session = house.ward.treat("stim-01", to_ma=4)
    await_that("some of it is shown", lambda: len(trace(house, session)["columns"]["at"]) >= LATE_MIN, 15.0)
    await_that("its newest is shown", lambda: _silent_s(trace(house, session)) < 0.5, 15.0)
    house.clinic.broker.kill()
    await_that("its lease has run out", lambda: _silent_s(trace(house, session)) > LEASE_S + 1.0, 15.0)
    house.clinic.broker.start()
    found = await_that("what was kept is told", lambda: _without_gap(trace(house, session)), 20.0, house.web.last_words)
    at = found["columns"]["at"]
    assert at == sorted(at), "each in its place"
    assert max(later - before for before, later in pairwise(map(unix_s, at))) < GAP_MAX_S
    house.ward.await_record(session, ("stopped_latched", "lease_lost"))
    house.ward.reset("stim-01")


def _silent_s(found: dict[str, Any]) -> float:
    return time.time() - unix_s(found["columns"]["at"][-1])


def _without_gap(found: dict[str, Any]) -> dict[str, Any] | None:
    """It, once late samples are shown and no gap is: those of after the broker's return are told beside them."""
    open_s = [unix_s(end) - unix_s(begin) for begin, end in found["gaps"]]
    late = sum(found["columns"]["late"])
    return found if late >= LATE_MIN and max(open_s, default=0.0) < GAP_MAX_S else None
