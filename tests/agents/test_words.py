"""What a therapist reads when a press does nothing: why, and what to do."""

import pytest

from agents.simulation.faults import FaultKind
from agents.steps import Press
from broker.contract.causes import Cause
from broker.contract.messages import Phase
from tests.agents.clinic import Clinic

NO_SESSION = "Nothing is authorised: ask for a session first."
NOTHING_TO_STOP = "There is no session to stop, and nothing flows."
NOT_LATCHED = "Not latched: there is nothing to reset."
STOPPING = "It is stopping: wait until zero has been measured."


def in_phase(phase: Phase) -> Clinic:
    clinic = Clinic()
    match phase:
        case Phase.AUTHORISED:
            clinic.authorise()
        case Phase.ARMED:
            clinic.until_armed()
        case Phase.RUNNING | Phase.PAUSED | Phase.STOPPING:
            clinic.until_running(4.0)
        case Phase.FAULT:
            clinic.suffer(FaultKind.DRIVER_SILENT)
            clinic.run(2.0)
        case Phase.LATCHED:
            clinic.press(Press.STOP_BUTTON)
            clinic.run(0.2)
        case _:
            pass
    if phase is Phase.PAUSED:
        clinic.press(Press.PAUSE)
    if phase is Phase.STOPPING:
        clinic.stop_from_fleet(Cause.LEASE_LOST, hold=False)
    assert clinic.phase() is phase
    return clinic


@pytest.mark.parametrize(
    ("phase", "press", "words"),
    [
        (Phase.IDLE, Press.ARM, NO_SESSION),
        (Phase.IDLE, Press.START, NO_SESSION),
        (Phase.IDLE, Press.STOP, NOTHING_TO_STOP),
        (Phase.IDLE, Press.RESET, NOT_LATCHED),
        (Phase.AUTHORISED, Press.START, "Not armed: arm first."),
        (Phase.AUTHORISED, Press.DISARM, "Not armed: there is nothing to disarm."),
        (Phase.ARMED, Press.ARM, "Armed already: start, or disarm."),
        (Phase.ARMED, Press.RAISE, "Armed, not running yet: start first."),
        (Phase.RUNNING, Press.START, "It is running already: pause or stop it first."),
        (Phase.RUNNING, Press.ARM, "It is running already: pause or stop it first."),
        (Phase.RUNNING, Press.RESET, NOT_LATCHED),
        (Phase.PAUSED, Press.START, "Paused, the setting is 0: resume or stop."),
        (Phase.STOPPING, Press.START, STOPPING),
        (Phase.STOPPING, Press.RESET, STOPPING),
        (Phase.LATCHED, Press.ARM, "Latched: reset first."),
        (Phase.LATCHED, Press.STOP, NOTHING_TO_STOP),
        (Phase.LATCHED, Press.RESET, "The cause has to be gone, and zero measured, for 3 s: wait, then press again."),
        (
            Phase.FAULT,
            Press.ARM,
            "The stimulator does not answer, or zero has not been measured yet: check its power and its cable.",
        ),
        (Phase.FAULT, Press.RESET, NOT_LATCHED),
    ],
)
def test_a_refusal_says_why_and_what_to_do(phase: Phase, press: Press, words: str) -> None:
    reply = in_phase(phase).press(press)
    assert not reply.accepted
    assert reply.words == words


def test_a_hold_names_who_releases_it() -> None:
    clinic = Clinic()
    clinic.stop_from_fleet()
    clinic.run(4.0)
    words = "A hold of the fleet is on this device; the front desk releases it: stimfleet release DEVICE."
    assert clinic.press(Press.RESET).words == words
    clinic.release("ab" * 8)
    assert clinic.press(Press.RESET).accepted


def test_a_raise_that_was_cut_says_to_what_and_why() -> None:
    clinic = Clinic()
    clinic.until_running()
    assert clinic.press(Press.RAISE, 5.0).words == "Setting 2.0 mA: raised by 2 mA, the largest step here."
    clinic.run(0.4)
    assert clinic.press(Press.RAISE, 1.5).words == "Setting 3.5 mA."
    clinic.run(0.4)
    clinic.raise_to(20.0)
    clinic.run(0.4)
    assert clinic.press(Press.RAISE, 2.0).words == "Setting 21.0 mA: raised by 1 mA, the largest step here."
