"""What a demo must not end with, and what its own incidents excuse."""

from typing import Any

import pytest

from demo.bookkeeping import unexpected
from demo.evidence import CutOff, Evidence, Gone, Suffered
from fleet.adapters.journal.reading import Told
from tests.demo.hand_made import DEVICE, reported, told


def found(*journal: Told, **changes: Any) -> list[tuple[str, float, str]]:
    evidence = Evidence(devices=(DEVICE, "stim-02"), traces={}, journal=journal, **changes)
    return [(each.device, each.at_s, each.rule) for each in unexpected(evidence)]


def ordered(*devices: str) -> Told:
    targets = [{"device": device} for device in devices]
    stop = {"command_id": "c", "cause": "emergency_stop"}
    return told("StopOrdered", now_s=120.0, device="all", stop=stop, targets=targets)


def confirmed(device: str, by: str = "ack") -> Told:
    return told("StopConfirmed", command_id="c", device=device, by=by)


def test_a_stop_without_a_measured_zero() -> None:
    assert found(ordered(DEVICE, "stim-02"), confirmed(DEVICE)) == [("stim-02", 120.0, "unconfirmed")]
    assert found(ordered(DEVICE), confirmed(DEVICE, by="person")) == [(DEVICE, 120.0, "unconfirmed")]
    assert found(ordered(DEVICE), confirmed(DEVICE, by="telemetry")) == []


@pytest.mark.parametrize(
    ("injected", "is_excused"),
    [
        ({"suffered": (Suffered(DEVICE, "output_stuck", 119.0),)}, True),
        ({"gone": (Gone(DEVICE, 119.0),)}, True),
        ({"suffered": (Suffered(DEVICE, "output_above", 119.0),)}, False),
        ({"suffered": (Suffered("stim-02", "output_stuck", 119.0),)}, False),
        ({"gone": (Gone("stim-02", 119.0),)}, False),
    ],
)
def test_it_is_excused_where_somebody_made_it_impossible(injected: dict[str, Any], is_excused: bool) -> None:
    assert (found(ordered(DEVICE), **injected) == []) is is_excused


@pytest.mark.parametrize(
    ("injected", "is_excused"),
    [
        ({}, False),
        ({"cut_off": (CutOff(DEVICE, 114.0, 118.0),)}, True),
        ({"cut_off": (CutOff(None, 114.0, 125.0),)}, True),
        ({"cut_off": (CutOff("stim-02", 114.0, 125.0),)}, False),
        ({"cut_off": (CutOff(DEVICE, 121.0, 125.0),)}, False),
        ({"cut_off": (CutOff(DEVICE, 100.0, 105.0),)}, False),
        ({"gone": (Gone(DEVICE, 119.0),)}, True),
        ({"gone": (Gone(DEVICE, 121.0),)}, False),
    ],
)
def test_a_session_that_was_lost_by_lease_is_excused_by_a_cut_or_a_kill_before_it(
    injected: dict[str, Any], is_excused: bool
) -> None:
    expected = [] if is_excused else [(DEVICE, 120.0, "lease")]
    assert found(reported("lease_lost", 120.0, "lease_lost"), **injected) == expected
