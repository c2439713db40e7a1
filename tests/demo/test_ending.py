"""When a demo has not gone well: its exit status, and what `make seeds` makes of it."""

from typing import Any

import pytest

from demo.bookkeeping import unexpected
from demo.ending import status
from demo.evidence import Evidence
from demo.report import Heard, Sources, Spooled, report
from tests.demo.hand_made import DEVICE, SPOOL, reported, told
from tools.seeds import none_is_wrong

STOP = {"command_id": "c", "cause": "emergency_stop"}
UNCONFIRMED = told("StopOrdered", now_s=120.0, device=DEVICE, stop=STOP, targets=[{"device": DEVICE}])
ONE_EVENT = Spooled(DEVICE, SPOOL, 1)
LEASE_LOST = reported("lease_lost", 120.0, "lease_lost")


def figures(*journal: Any, **changes: Any) -> dict[str, Any]:
    """The report of a clinic in which that was journaled."""
    evidence = Evidence((DEVICE,), {}, journal)
    given: dict[str, Any] = {"counted": {}, "spooled": (), "heard": (), "violations": tuple(unexpected(evidence))}
    return report(Sources(seconds=60.0, devices=1, journal=journal, **{**given, **changes}))


def test_all_is_well() -> None:
    assert status(figures(), []) == 0
    assert none_is_wrong(0, figures(), [])


@pytest.mark.parametrize(
    "found",
    [
        figures(UNCONFIRMED),
        figures(heard=(Heard(1, 0),)),
        figures(spooled=(ONE_EVENT,)),
        figures(LEASE_LOST, spooled=(ONE_EVENT,)),
    ],
    ids=["a stop without a measured zero", "more heard than sent", "an event missing", "a session lost by lease"],
)
def test_what_is_wrong_ends_with_1_and_is_not_fine(found: dict[str, Any]) -> None:
    assert status(found, []) == 1
    assert not none_is_wrong(0, found, []), "by the figures alone"


def test_what_did_not_end_cleanly_or_did_not_happen_is_not_fine_either() -> None:
    assert status(figures(), ["fleet had to be killed"]) == 1
    assert not none_is_wrong(1, figures(), [])
    assert not none_is_wrong(0, figures(), ["link cut"])
    assert not none_is_wrong(0, None, [])
