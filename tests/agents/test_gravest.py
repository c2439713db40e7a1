"""A stuck output is graver than anything else, and one occurrence of a fault is told once, however it bounces."""

from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.drivers.port import Drive, Reading, Stimulator
from agents.simulation.faults import FaultKind
from agents.state import conditions
from agents.steps import Announce, Durable, OverLimit, Press
from broker.contract.causes import CONSEQUENCES, Cause, ResetBy
from broker.contract.messages import Condition, EventKind, Phase
from tests.agents.after import running_at
from tests.agents.clinic import SETTINGS, Clinic

OTHER_LATCHES = [cause for cause, row in CONSEQUENCES.items() if row.latches and cause is not Cause.OUTPUT_STUCK]
ENGINEERS = [cause for cause in OTHER_LATCHES if CONSEQUENCES[cause].reset_by is ResetBy.ENGINEER]


def assert_relay_open(clinic: Clinic) -> None:
    assert clinic.state.durable.latch is Cause.OUTPUT_STUCK
    assert clinic.on_disk.latch is Cause.OUTPUT_STUCK
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER
    assert clinic.state.drive.relay_open
    assert Condition.OUTPUT_STUCK in conditions(clinic.state), "the birth lists it"
    assert clinic.true_ma() == 0.0, "the relay cuts it"


@pytest.mark.parametrize("reset_by", [ResetBy.THERAPIST, ResetBy.ENGINEER])
@pytest.mark.parametrize("first", OTHER_LATCHES)
def test_a_stuck_output_opens_the_relay_whatever_was_latched_before(first: Cause, reset_by: ResetBy) -> None:
    clinic = Clinic(durable=Durable(boot_n=6, settings=SETTINGS, latch=first, reset_by=reset_by))
    clinic.suffer(FaultKind.OUTPUT_STUCK, 30.0)
    clinic.run(1.0)
    assert_relay_open(clinic)


@pytest.mark.parametrize(
    "first", [FaultKind.OVERHEATS, FaultKind.SENSOR_FROZEN, FaultKind.OUTPUT_ABOVE], ids=lambda kind: kind.value
)
def test_an_engineers_fault_in_a_session_whose_output_then_sticks(first: FaultKind) -> None:
    """Too hot, frozen, or over the limit for the second time today; and then zero is ordered in vain."""
    clinic = running_at(30.0)
    an_hour_ago = OverLimit(clinic.state.durable.boot_n, clinic.now_s - 3600.0)
    clinic.stepper.state = replace(clinic.state, durable=replace(clinic.state.durable, over_limits=(an_hour_ago,)))
    clinic.suffer(FaultKind.OUTPUT_STUCK)
    clinic.suffer(first, 2.0 if first is FaultKind.OUTPUT_ABOVE else None)
    clinic.run(2.0)
    assert clinic.events(EventKind.LATCHED)[0].cause in {*ENGINEERS, Cause.OVER_LIMIT}
    assert_relay_open(clinic)
    # A frozen sensor measures no zero, so that session is still ending.
    ended = [] if first is FaultKind.SENSOR_FROZEN else [Cause.OUTPUT_STUCK]
    assert [each.cause for each in clinic.events(EventKind.SESSION_ENDED)] == ended


@pytest.mark.parametrize("later", OTHER_LATCHES)
def test_nothing_that_comes_later_closes_the_relay(later: Cause) -> None:
    clinic = running_at(30.0)
    clinic.suffer(FaultKind.OUTPUT_STUCK)
    clinic.stop_from_fleet()
    clinic.run(2.0)
    assert_relay_open(clinic)
    clinic.stop_from_fleet(later)
    clinic.press(Press.STOP_BUTTON)
    clinic.run(1.0)
    assert_relay_open(clinic)


class Bouncing:
    """A hand switch that opens and closes, and a battery round 5 %, on every other reading."""

    def __init__(self, driver: Stimulator) -> None:
        self._driver = driver
        self._reads = 0

    def exchange(self, drive: Drive) -> Reading:
        self._reads += 1
        odd = self._reads % 2 == 1
        return replace(self._driver.exchange(drive), hand_switch_pressed=odd, battery_pct=5.1 if odd else 4.9)


def test_a_bouncing_hand_switch_and_a_battery_at_its_end_are_told_once() -> None:
    clinic = Clinic()
    clinic.forget()
    clinic.stepper._stimulator = Bouncing(clinic.stepper._stimulator)  # type: ignore[assignment]
    clinic.run(60.0)
    assert clinic.kinds() == [EventKind.STOP_PRESSED, EventKind.LATCHED]
    assert sum(isinstance(each, Announce) for each in clinic.told) <= 2, "latched, and the battery is empty"


def test_a_switch_that_was_let_go_for_a_second_is_told_again() -> None:
    clinic = Clinic()
    for let_go_s, told in ((0.5, 1), (1.0 + 2 * TICK_S, 2)):
        clinic.suffer(FaultKind.HAND_SWITCH)
        clinic.run(0.2)
        clinic.stimulator.heal(FaultKind.HAND_SWITCH)
        clinic.run(let_go_s)
        clinic.suffer(FaultKind.HAND_SWITCH)
        clinic.run(0.2)
        clinic.stimulator.heal(FaultKind.HAND_SWITCH)
        assert len(clinic.events(EventKind.STOP_PRESSED)) == told
    assert clinic.state.durable.latch is Cause.PATIENT_STOP


def test_an_empty_battery_keeps_nobody_from_resetting() -> None:
    """The latch's cause is gone: that the battery is empty is told where it matters, at the next start."""
    clinic = Clinic()
    clinic.press(Press.STOP_BUTTON)
    clinic.suffer(FaultKind.BATTERY_DIES, 3.0)
    clinic.run(4.0)
    assert Condition.BATTERY_EMPTY in conditions(clinic.state)
    assert clinic.press(Press.RESET).accepted
    assert clinic.phase() is Phase.IDLE
