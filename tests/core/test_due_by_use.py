"""Devices that are due by what they have run: exactly the hour, exactly the session, whoever counted them."""

from datetime import date, timedelta
from typing import Any

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from fleet.core.due import dues, most_pressing
from fleet.core.meter import Mark, Meter
from fleet.views import device_rows
from tests.core.clinic import HOUR_S, Clinic
from tests.core.test_due import DAY_S, SAFETY, SUNDAY, checked, due_refusals, model


def used(clinic: Clinic, *marks: tuple[date, float, int]) -> None:
    """stim-12 has run so many hours and sessions by the end of these days."""
    found = tuple(Mark(day=day, used_s=hours * HOUR_S, sessions=sessions) for day, hours, sessions in marks)
    clinic.state.durable.meters["stim-12"] = Meter(marks=found)


@pytest.mark.parametrize(
    ("hours", "refused"),
    [
        (499.999, []),
        (500.0, [("calibration_hours", 500.0, 500.0)]),
        (501.5, [("calibration_hours", 501.5, 500.0)]),
    ],
)
def test_exactly_the_hour(hours: float, refused: list[Any]) -> None:
    clinic = Clinic()
    checked(clinic, done=SUNDAY - timedelta(days=9), hours=model(500.0))
    used(clinic, (SUNDAY - timedelta(days=10), 90.0, 40), (SUNDAY, 90.0 + hours, 80))
    registered = clinic.registry.devices["stim-12"]
    found = [due.refusal for due in dues(clinic.state.durable, registered, clinic.wall_s) if due.overdue]
    assert [(one.quantity, one.value, one.limit) for one in found] == refused


def test_exactly_the_session() -> None:
    """Three sessions are allowed between two safety checks: the third runs, the fourth is refused."""
    clinic = Clinic(alarms=True)
    checked(clinic, SAFETY, done=SUNDAY, sessions=model(3))
    for n in range(3):
        clinic.goes_to(clinic.wall_s + 2 * DAY_S)  # one rest day between
        assert due_refusals(clinic) == []
        clinic.running(request_id=f"session {n}", client=f"c-47{n}")
        over(clinic, elapsed_s=600.0)
    assert clinic.state.durable.meters["stim-12"].since(SUNDAY) == (1_800.0, 3)
    assert due_refusals(clinic) == [("safety_sessions", 3.0, 3.0)]
    (row,) = (row for row in device_rows(clinic.state, clinic.now_s, clinic.wall_s) if row["device"] == "stim-12")
    assert row["due"] == [
        {
            "check": "safety",
            "due_on": None,
            "days_left": None,
            "hours_left": None,
            "sessions_left": 0.0,
            "overdue": True,
            "soon": True,
            "found": None,
            "layer": "model",
        }
    ]
    # Checked again, the same day: what was used on that day counts, what was before does not.
    checked(clinic, SAFETY, done=SUNDAY + timedelta(days=6), sessions=model(3))
    assert due_refusals(clinic) == []
    assert clinic.state.durable.meters["stim-12"].since(SUNDAY + timedelta(days=6)) == (600.0, 1)


def over(clinic: Clinic, *, elapsed_s: float, gaps: int = 0, cause: Cause = Cause.COMPLETED) -> list[str]:
    """The session of stim-12 ends, with its device's numbers."""
    stim = clinic.stims["stim-12"]
    numbers = messages.SessionEnded(
        elapsed_s=elapsed_s, on_time_s=elapsed_s / 3, peak_ma=31.0, charge_uc=9.0e4, gaps=gaps
    )
    said = clinic.says("stim-12", stim.event(messages.EventKind.SESSION_ENDED, cause, numbers))
    stim.phase, stim.session_id, stim.shown = messages.Phase.IDLE, None, {}
    return said + clinic.shows("stim-12")


def test_the_alarm_is_raised_by_the_session_that_uses_it_up() -> None:
    clinic = Clinic(alarms=True)
    checked(clinic, done=SUNDAY, hours=model(0.5))
    clinic.running()
    assert "AlarmRaised A11 info room-4/stim-12 off" in over(clinic, elapsed_s=1_200.0)
    (alarm,) = clinic.state.durable.alarms.values()
    assert alarm.why.quantity == "calibration_hours_left"
    assert alarm.why.value == pytest.approx(0.5 - 1_200.0 / HOUR_S)


def test_hours_and_sessions_are_told_of_at_the_rate_of_the_last_thirty_days() -> None:
    """60 of 500 hours are left: what used 54 in the last thirty days takes longer, what used 60 does not."""
    clinic = Clinic()
    checked(clinic, done=SUNDAY - timedelta(days=300), hours=model(500.0))
    registered = clinic.registry.devices["stim-12"]
    before = SUNDAY - timedelta(days=30)
    for lately, soon in ((54.0, False), (60.0, True)):
        used(clinic, (before, 440.0 - lately, 9), (SUNDAY, 440.0, 99))
        (due,) = dues(clinic.state.durable, registered, clinic.wall_s)
        assert (due.soon, due.overdue, due.left) == (soon, False, 60.0)
    used(clinic, (before, 475.0, 9))  # a twentieth is left, and nothing was used lately
    assert most_pressing(clinic.state.durable, registered, clinic.wall_s) is not None
    used(clinic, (before, 474.0, 9))
    assert most_pressing(clinic.state.durable, registered, clinic.wall_s) is None


def test_the_fleets_own_time_counts_where_the_device_has_none_until_it_does() -> None:
    """Killed in a session: by the fleet's time, and what may have run on unseen. Then the device finds its record."""
    clinic = Clinic()
    session = clinic.running()
    clinic.now_s += 300.0
    stim = clinic.stims["stim-12"]
    stim.boot_n += 1
    clinic.latches(cause=Cause.REBOOT)
    clinic.says("stim-12", stim.birth())
    used_s, sessions = clinic.state.durable.meters["stim-12"].since(None)
    ran_s = clinic.session_on().ran_s
    assert sessions == 1
    assert used_s == pytest.approx(ran_s + 11.0)
    assert ran_s > 300.0
    gone = messages.SessionEnded(elapsed_s=0.0, on_time_s=0.0, peak_ma=0.0, charge_uc=0.0, gaps=1)
    clinic.says("stim-12", stim.event(messages.EventKind.SESSION_ENDED, Cause.REBOOT, gone, session.session_id))
    assert clinic.state.durable.meters["stim-12"].since(None) == (used_s, 1), "its agent has no record"
    numbers = messages.SessionEnded(elapsed_s=290.0, on_time_s=90.0, peak_ma=31.0, charge_uc=9.0e4, gaps=0)
    clinic.says("stim-12", stim.event(messages.EventKind.SESSION_ENDED, Cause.REBOOT, numbers, session.session_id))
    assert clinic.state.durable.meters["stim-12"].since(None) == (290.0, 1)


def test_a_record_with_gaps_counts_as_far_as_it_goes() -> None:
    clinic = Clinic()
    clinic.running()
    over(clinic, elapsed_s=900.0, gaps=2)
    assert clinic.state.durable.meters["stim-12"].since(None) == (900.0, 1)


def test_a_host_that_boots_loses_the_time_and_takes_the_whole_plan_until_the_device_tells() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.authorised("stim-7", request_id="request-2", client="c-4712")
    clinic.restarts("host-boot-2")
    assert clinic.state.durable.meters["stim-12"].since(None) == (1_200.0, 1)
    assert "stim-7" not in clinic.state.durable.meters, "what has not run has used nothing"
    clinic.shows("stim-12")
    over(clinic, elapsed_s=500.0)
    assert clinic.state.durable.meters["stim-12"].since(None) == (500.0, 1)


def test_what_never_ran_is_no_session_and_what_the_fleet_forgot_is_one() -> None:
    clinic = Clinic()
    clinic.armed()
    over(clinic, elapsed_s=0.0, cause=Cause.CANCELLED)
    assert clinic.state.durable.meters == {}
    stim = clinic.stims["stim-7"]
    clinic.ready("stim-7")
    clinic.says("stim-7", stim.ended(Cause.COMPLETED, "f" * 32))
    assert clinic.state.durable.meters["stim-7"].since(None) == (600.0, 1)


def test_a_cancel_that_came_too_late_is_a_session() -> None:
    clinic = Clinic()
    session = clinic.authorised()
    clinic.cancels()
    cancel_id = clinic.session_on().cancel_id
    assert cancel_id is not None
    stim = clinic.stims["stim-12"]
    refused = messages.Ack(
        stim.boot_n,
        cancel_id,
        messages.AckStatus.REFUSED,
        messages.CommandRefusal.ALREADY_RUNNING,
        None,
        stim.sample().at,
    )
    clinic.says("stim-12", refused)
    assert clinic.state.durable.meters["stim-12"].counted(session.session_id) is not None


def test_a_restart_and_a_snapshot_change_nothing_about_the_hours() -> None:
    """The clinic folds every event a second time, and so proves it; this is the restart."""
    clinic = Clinic()
    clinic.running()
    over(clinic, elapsed_s=600.0)
    before = clinic.state.durable.meters["stim-12"]
    clinic.restarts()
    assert clinic.state.durable.meters["stim-12"] == before
