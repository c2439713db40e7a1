"""Endings that meet: the graver one wins, and a latch stays until a person resets it."""

from agents.simulation.faults import FaultKind
from agents.steps import Durable, Press
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import (
    EventKind,
    Phase,
)
from tests.agents.clinic import SESSION, Clinic


def test_a_stop_cuts_the_ramp_of_a_soft_ending() -> None:
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.until_on_phase()
    clinic.press(Press.STOP)
    clinic.run(0.2)
    assert clinic.true_ma() > 20.0
    clinic.stop_from_fleet(hold=False)
    assert clinic.true_ma() == 0.0
    clinic.run(0.5)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.ended()[0] is Cause.EMERGENCY_STOP


def test_a_pad_that_lifts_in_the_ramp_cuts_it_and_changes_nothing_else() -> None:
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.until_on_phase()
    clinic.press(Press.STOP)
    clinic.run(0.2)
    clinic.suffer(FaultKind.ELECTRODE_LIFTS, 0.0)
    clinic.run(0.2)
    assert clinic.true_ma() == 0.0
    clinic.run(0.5)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.THERAPIST_STOP


def test_a_soft_ending_does_not_soften_a_hard_one() -> None:
    """The therapist presses stop while an emergency stop waits for measured zero."""
    clinic = Clinic()
    clinic.until_running(50.0)
    clinic.stop_from_fleet(hold=False)
    clinic.press(Press.STOP)
    clinic.run(0.5)
    assert clinic.ended()[0] is Cause.EMERGENCY_STOP
    assert clinic.phase() is Phase.LATCHED


def test_a_graver_latch_takes_the_place_of_a_lesser_one_and_not_the_other_way_round() -> None:
    clinic = Clinic()
    clinic.stop_from_fleet(hold=False)
    clinic.suffer(FaultKind.OUTPUT_STUCK, 25.0)
    clinic.run(0.4)
    assert clinic.on_disk.latch is Cause.OUTPUT_STUCK
    clinic.stop_from_fleet(hold=False)
    assert clinic.on_disk.latch is Cause.OUTPUT_STUCK
    assert [each.cause for each in clinic.events(EventKind.LATCHED)] == [Cause.EMERGENCY_STOP, Cause.OUTPUT_STUCK]


def test_a_reset_needs_a_key_and_a_latch() -> None:
    clinic = Clinic()
    assert not clinic.press(Press.RESET).accepted
    clinic.press(Press.STOP_BUTTON)
    clinic.run(3.5)
    assert clinic.press(Press.RESET, who=ResetBy.NOBODY).words == "Only a person with a key resets."
    assert clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    (reset,) = clinic.events(EventKind.LATCH_RESET)
    assert reset.cause is Cause.PATIENT_STOP
    assert clinic.on_disk.latch is None


def test_a_latch_survives_any_number_of_starts() -> None:
    clinic = Clinic()
    clinic.press(Press.STOP_BUTTON)
    for _ in range(3):
        clinic.switch_on_agent(clinic.on_disk)
        assert clinic.phase() is Phase.LATCHED
        assert clinic.on_disk.latch is Cause.PATIENT_STOP


def test_a_session_that_died_latched_is_reported_with_its_own_cause() -> None:
    """The stop was on disk; power went before the session was reported as ended."""
    durable = Durable(1, Cause.EMERGENCY_STOP, ResetBy.THERAPIST, live_session_id=SESSION)
    clinic = Clinic(durable=durable)
    cause, numbers = clinic.ended()
    assert cause is Cause.EMERGENCY_STOP
    assert numbers.gaps == 1
    assert clinic.on_disk.latch is Cause.EMERGENCY_STOP
    assert clinic.on_disk.live_session_id is None
