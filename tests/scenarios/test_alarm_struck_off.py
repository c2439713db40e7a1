"""A device is struck off in a session: somebody has to look, whatever becomes of the session (H22, H24)."""

import pytest

from broker.contract.messages import Phase
from fleet.core import inputs
from fleet.core.events import SessionState
from tests.core.clinic import Clinic

RAISED = "AlarmRaised A04 medium room-4/stim-12 on"
OVER = "AlarmCleared A04 medium room-4/stim-12 latched"


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic(alarms=True)
    clinic.running()
    return clinic


def minutes(clinic: Clinic, count: int) -> list[str]:
    return [line for _ in range(count * 60) for line in clinic.after(1.0)]


def is_off(clinic: Clinic) -> list[str]:
    """A person has gone there."""
    return clinic.hears(
        inputs.ConfirmOff(request_id="off", device="stim-12", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s)
    )


def test_h22_a_live_session_that_is_lost_and_given_up_leaves_its_alarm_until_a_person_has_looked(
    clinic: Clinic,
) -> None:
    clinic.changes_device("stim-12", struck_off=True)
    assert minutes(clinic, 10) == ["DeviceLost stim-12", "SessionLost", RAISED, "SessionEnded aborted None"]
    assert clinic.session_on().state is SessionState.ABORTED
    assert is_off(clinic) == ["ZeroConfirmed stim-12 person", "> ordered"]
    assert minutes(clinic, 1) == [OVER]
    assert is_off(clinic) == ["> refused nothing_open"]


@pytest.mark.parametrize("removed", [False, True])
def test_h22_a_session_that_was_lost_before_leaves_its_alarm_too(clinic: Clinic, removed: bool) -> None:
    assert RAISED in clinic.after(31.0)
    if removed:
        clinic.changes_registry(devices={})
    else:
        clinic.changes_device("stim-12", struck_off=True)
    assert minutes(clinic, 10) == ["SessionEnded aborted None"]
    clinic.restarts("host-boot-2")
    assert minutes(clinic, 10) == []
    is_off(clinic)
    assert minutes(clinic, 1) == [OVER]


def test_h22_a_device_that_still_shows_zero_needs_nobody(clinic: Clinic) -> None:
    clinic.changes_device("stim-12", struck_off=True)
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
    clinic.after(0.5)
    clinic.shows("stim-12")
    assert clinic.after(0.5) == ["ZeroConfirmed stim-12 telemetry"]
    minutes(clinic, 10)
    assert clinic.session_on().state is SessionState.ABORTED
    assert clinic.state.durable.alarms == {}


def test_h22_one_that_ends_there_without_a_reading_is_not_known_to_be_zero(clinic: Clinic) -> None:
    clinic.changes_device("stim-12", struck_off=True)
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {"amplitude_ma": None}
    for _ in range(70):
        clinic.shows("stim-12")
        clinic.after(0.0)
    assert clinic.session_on().state is SessionState.ABORTED
    assert list(clinic.state.durable.alarms) == ["A04/stim-12"]


def test_h22_what_is_started_on_a_device_that_was_struck_off_is_looked_at_as_well() -> None:
    clinic = Clinic(alarms=True)
    clinic.authorised()
    clinic.changes_device("stim-12", struck_off=True)
    clinic.stims["stim-12"].phase = Phase.RUNNING
    clinic.shows("stim-12")
    minutes(clinic, 10)
    assert clinic.session_on().state is SessionState.ABORTED
    assert list(clinic.state.durable.alarms) == ["A04/stim-12"]


def test_what_was_authorised_only_and_struck_off_raises_nothing() -> None:
    clinic = Clinic(alarms=True)
    clinic.authorised()
    clinic.changes_device("stim-12", struck_off=True)
    minutes(clinic, 10)
    assert clinic.session_on().state is SessionState.EXPIRED
    assert clinic.state.durable.alarms == {}
