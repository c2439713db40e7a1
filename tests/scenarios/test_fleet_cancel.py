"""A session is withdrawn before it starts; and what happens where it has started already."""

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, CommandRefusal, Phase
from fleet.core import inputs
from fleet.core.events import SessionState
from tests.core.clinic import WALL, Clinic


def test_a_therapist_withdraws_a_session_before_it_starts() -> None:
    clinic = Clinic()
    clinic.armed()
    assert clinic.cancels() == ["SessionCancelled", "! cancel stim-12", "> ordered"]
    assert clinic.cancels() == ["> refused session_over"]
    # The device reports the withdrawal; the session stays what it is, with its numbers.
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.ended(Cause.CANCELLED)) == [
        "DeviceReported session_ended",
        "SessionEnded cancelled cancelled",
        "> receipt stim-12 1",
    ]


@pytest.mark.parametrize("amplitude_ma", [100.0, None])
def test_h01_a_withdrawn_session_under_current_is_stopped(amplitude_ma: float | None) -> None:
    """It says that it is only armed: what counts is what is measured, and what is not measured is not zero."""
    clinic = Clinic()
    clinic.armed()
    clinic.cancels()
    clinic.shows("stim-12", amplitude_ma=0.0)
    clinic.now_s += 1.0
    clinic.shows("stim-12", amplitude_ma=amplitude_ma)
    clinic.now_s += 2.0
    assert clinic.shows("stim-12", amplitude_ma=amplitude_ma) == [
        "OutputUnpermitted",
        "StopOrdered stim-12 rule_stop",
        "! cancel stim-12",
        "! stop stim-12 rule_stop hold",
    ]


def test_a_device_that_reports_the_withdrawal_first_has_withdrawn_it() -> None:
    clinic = Clinic()
    clinic.armed()
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.CANCELLED))
    assert clinic.session_on().state is SessionState.CANCELLED


def test_a_running_session_is_not_cancelled_and_an_unknown_one_not_found() -> None:
    clinic = Clinic()
    session = clinic.running()
    for session_id, rule in ((session.session_id, "session_running"), ("f" * 32, "session_unknown")):
        cancel = inputs.CancelSession(
            request_id="r", session_id=session_id, issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s
        )
        assert clinic.hears(cancel) == [f"> refused {rule}"]


def too_late(clinic: Clinic) -> messages.Ack:
    """What the device says to the cancel of a session that runs."""
    command_id = clinic.session_on().cancel_id
    assert command_id is not None
    return messages.Ack(7, command_id, AckStatus.REFUSED, CommandRefusal.ALREADY_RUNNING, None, WALL)


def test_a_cancel_that_comes_after_the_start_ends_nothing() -> None:
    clinic = Clinic()
    clinic.armed()
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.RUNNING
    started = stim.sample()
    clinic.cancels()
    assert clinic.says("stim-12", started) == []
    # The therapist at the device has started it: it is a session like any other, and no rule stop follows.
    assert clinic.says("stim-12", too_late(clinic)) == ["CancelOvertaken"]
    assert clinic.says("stim-12", too_late(clinic)) == []
    clinic.now_s += 3.0
    assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]
    assert clinic.session_on().state is SessionState.RUNNING
    assert clinic.cancels() == ["> refused session_running"]
    clinic.says("stim-12", stim.ended(Cause.COMPLETED))
    assert clinic.session_on().state is SessionState.COMPLETED


def test_a_cancelled_session_that_is_over_or_whose_client_sits_elsewhere_stays_cancelled() -> None:
    clinic = Clinic()
    clinic.armed()
    clinic.cancels()
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.CANCELLED))
    assert clinic.says("stim-12", too_late(clinic)) == []

    clinic = Clinic()
    clinic.armed()
    clinic.cancels()
    clinic.ready("stim-7")
    clinic.asks(device="stim-7", room="room-1", request_id="request-2")
    assert clinic.says("stim-12", too_late(clinic)) == []
    # What runs there has no permission.
    clinic.stims["stim-12"].phase = Phase.RUNNING
    clinic.shows("stim-12")
    clinic.now_s += 2.0
    assert clinic.shows("stim-12")[:2] == ["OutputUnpermitted", "StopOrdered stim-12 rule_stop"]


def test_what_a_stop_withdrew_stays_withdrawn_whatever_the_device_says() -> None:
    clinic = Clinic()
    clinic.authorised()
    clinic.pushes_stop()
    running = messages.Ack(7, clinic.open_stop(), AckStatus.REFUSED, CommandRefusal.ALREADY_RUNNING, None, WALL)
    assert clinic.says("stim-12", running) == []
    assert clinic.session_on().state is SessionState.CANCELLED
