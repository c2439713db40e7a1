"""A device is moved to another room: what has not started there is withdrawn, what runs goes on (H14)."""

import pytest

from broker.contract.messages import Ack, AckStatus, CommandRefusal, Phase
from fleet.core.events import SessionCancelled, SessionState
from tests.core.clinic import WALL, Clinic

MOVED = ["RegistryAdopted", "SettingsIssued"]


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def moves(clinic: Clinic, room: str = "room-9") -> list[str]:
    return clinic.changes_device("stim-12", room=room)


@pytest.mark.parametrize("phase", [Phase.AUTHORISED, Phase.ARMED])
def test_h14_what_has_not_started_is_withdrawn_and_says_why(clinic: Clinic, phase: Phase) -> None:
    start = clinic.authorised if phase is Phase.AUTHORISED else clinic.armed
    start()
    assert moves(clinic) == [*MOVED, "SessionCancelled", "! cancel stim-12", "> settings stim-12 2"]
    (event,) = [event for event in clinic.journal if isinstance(event, SessionCancelled)]
    assert event.issued_by == "fleet: the device was moved to another room"
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.ARMED
    assert "lease" not in " ".join(clinic.shows("stim-12"))
    stim.phase, stim.session_id = Phase.IDLE, None
    clinic.shows("stim-12")
    stim.settings_version = 2
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    assert "SessionAuthorised" in clinic.asks(request_id="request-2", room="room-9"), "there it can be asked for again"


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
def test_h14_what_runs_or_pauses_goes_on_and_keeps_its_room(clinic: Clinic, phase: Phase) -> None:
    clinic.running()
    stim = clinic.stims["stim-12"]
    if phase is Phase.PAUSED:
        stim.phase, stim.shown = phase, {}
        clinic.shows("stim-12")
    assert moves(clinic) == [*MOVED, "> settings stim-12 2"]
    stim.settings_version = 2
    assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]
    assert clinic.session_on().authorisation.room == "room-4"


def test_h14_one_that_was_started_before_the_cancel_came_goes_on(clinic: Clinic) -> None:
    clinic.armed()
    moves(clinic)
    cancel_id = clinic.session_on().cancel_id
    assert cancel_id is not None
    overtaken = Ack(7, cancel_id, AckStatus.REFUSED, CommandRefusal.ALREADY_RUNNING, None, WALL)
    assert clinic.says("stim-12", overtaken) == ["CancelOvertaken"]
    assert clinic.session_on().state is SessionState.RUNNING


def test_h14_another_change_of_the_list_withdraws_nothing(clinic: Clinic) -> None:
    clinic.authorised()
    assert "SessionCancelled" not in clinic.changes_device("stim-7", room="room-9")
    assert clinic.session_on().state is SessionState.AUTHORISED
