"""What has to be so after a session ended at the device."""

from agents.steps import Press
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import Phase
from tests.agents.clinic import Clinic

RAMP_S = 1.0
MEASURED_WITHIN_S = 0.3  # zero ordered to zero measured: window 100 ms, and ticks


def running_at(setting_ma: float) -> Clinic:
    clinic = Clinic()
    clinic.until_running(setting_ma)
    clinic.until_on_phase()
    clinic.forget()
    return clinic


def assert_latched(clinic: Clinic, cause: Cause, reset_by: ResetBy) -> None:
    assert clinic.phase() is Phase.LATCHED
    assert clinic.state.durable.latch is cause
    assert clinic.state.durable.reset_by is reset_by
    assert clinic.on_disk == clinic.state.durable, "the latch is on disk"
    assert clinic.on_disk.live_session_id is None
    assert clinic.true_ma() == 0.0


def assert_nobody_can_go_on(clinic: Clinic) -> None:
    for press in (Press.ARM, Press.START, Press.RAISE, Press.RESUME):
        assert not clinic.press(press).accepted
    clinic.authorise()
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.true_ma() == 0.0


def reset(clinic: Clinic, who: ResetBy) -> None:
    """After 3 s at measured zero a person resets; nothing starts by that."""
    clinic.run(3.2)
    reply = clinic.press(Press.RESET, who=who)
    assert reply.accepted, reply.words
    clinic.run(1.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.true_ma() == 0.0


def assert_zero_at_once(clinic: Clinic) -> None:
    """Whatever flowed, nothing flows after the outcome was applied, without waiting for a tick."""
    assert clinic.true_ma() == 0.0
