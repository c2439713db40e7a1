"""Devices that are due: the day before, the day, the day after; exactly the hour, exactly the session."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from fleet.core import inputs
from fleet.core.due import dues, is_below, most_pressing
from fleet.core.meter import Mark, Meter
from fleet.core.refusals import Refusal, RuleLayer
from fleet.core.registry import Bound, CheckKind, DeviceCheck, FirmwareMin
from fleet.core.registry import Clinic as ClinicSettings
from fleet.views import device_rows, instruction_rows
from tests.core.clinic import HOUR_S, Clinic

SUNDAY = date(2026, 11, 22)  # the clinic's first day
DAY_S = 24 * HOUR_S
CALIBRATION, SAFETY, FIRMWARE = CheckKind


def model(most: float) -> Bound:
    return Bound(most=most, layer=RuleLayer.MODEL)


def checked(clinic: Clinic, kind: CheckKind = CALIBRATION, **check: Any) -> list[str]:
    """stim-12 needs this check."""
    return clinic.changes_device("stim-12", checks={kind: DeviceCheck(**check)})


def due_refusals(clinic: Clinic) -> list[tuple[str | None, float | None, float | None]]:
    """What a request is refused for, of what is due."""
    clinic.ready("stim-12")
    registered = clinic.registry.devices["stim-12"]
    found = [due.refusal for due in dues(clinic.state.durable, registered, clinic.wall_s) if due.overdue]
    refused = any("device_due" in line for line in clinic.asks(request_id=f"at {clinic.now_s}"))
    assert refused == bool(found), "the request is refused for what is overdue"
    return [(refusal.quantity, refusal.value, refusal.limit) for refusal in found]


def at(clinic: Clinic, local: datetime) -> None:
    clinic.wall_s = local.timestamp()
    clinic.now_s += 1.0


# --- by the calendar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "America/New_York", "Pacific/Auckland"])
def test_the_last_day_is_good_to_its_end_where_the_clinic_is(zone: str) -> None:
    """Done on 1 March, every 28 days: the last day is the 29th, on which Vienna's clocks change."""
    clinic = Clinic(settings=ClinicSettings(time_zone=zone))
    place = ZoneInfo(zone)
    checked(clinic, done=date(2027, 3, 1), days=model(28))
    last_second = datetime(2027, 3, 29, 23, 59, 59, tzinfo=place)
    for moment, refused in (
        (datetime(2027, 3, 28, 12, tzinfo=place), []),
        (datetime(2027, 3, 29, 0, 0, tzinfo=place), []),
        (last_second, []),
        (datetime(2027, 3, 30, 0, 0, tzinfo=place), [("calibration_days_overdue", 1.0, None)]),
        (datetime(2027, 3, 31, 0, 0, tzinfo=place), [("calibration_days_overdue", 2.0, None)]),
    ):
        at(clinic, moment)
        assert due_refusals(clinic) == refused, moment


def test_it_is_told_of_thirty_days_ahead_from_midnight_on() -> None:
    clinic = Clinic(settings=ClinicSettings(time_zone="Europe/Vienna"), alarms=True)
    vienna = ZoneInfo("Europe/Vienna")
    instructed(clinic, ada=500)
    checked(clinic, done=date(2026, 11, 1), days=model(365))  # the last day is 2027-11-01
    at(clinic, datetime(2027, 10, 1, 23, 59, 58, tzinfo=vienna))
    assert clinic.after(1.0) == []
    assert clinic.after(1.0) == ["AlarmRaised A11 info room-4/stim-12 off"], "2027-10-02, thirty days before"
    (alarm,) = clinic.state.durable.alarms.values()
    assert (alarm.why.quantity, alarm.why.value) == ("calibration_days_left", 30.0)
    at(clinic, datetime(2027, 11, 2, tzinfo=vienna))
    assert clinic.after(1.0) == [], "overdue, it is the same alarm"
    assert due_refusals(clinic) == [("calibration_days_overdue", 1.0, None)]
    assert checked(clinic, done=date(2027, 11, 2), days=model(365))[-1] == "AlarmCleared A11 info room-4/stim-12 off"
    assert due_refusals(clinic) == []


def test_a_check_that_was_never_recorded_lets_nothing_start() -> None:
    clinic = Clinic(alarms=True)
    assert checked(clinic, SAFETY, days=model(365))[-1] == "AlarmRaised A11 info room-4/stim-12 off"
    assert due_refusals(clinic) == [("safety_never_recorded", None, None)]
    checked(clinic, SAFETY, sessions=model(10))
    assert due_refusals(clinic) == [("safety_never_recorded", None, None)]
    checked(clinic, SAFETY, done=SUNDAY)
    assert due_refusals(clinic) == [], "recorded, and needed by nothing"
    checked(clinic, SAFETY)
    assert due_refusals(clinic) == [], "neither"


def test_the_layer_is_that_of_whoever_says_how_often() -> None:
    clinic = Clinic()
    own = Bound(most=10.0, layer=RuleLayer.SETTINGS)
    checked(clinic, done=SUNDAY - timedelta(days=20), days=own, sessions=model(0.0))
    registered = clinic.registry.devices["stim-12"]
    assert [due.refusal.layer for due in dues(clinic.state.durable, registered, clinic.wall_s)] == [
        RuleLayer.SETTINGS,
        RuleLayer.MODEL,
    ]


# --- by hours and sessions --------------------------------------------------------------------------------------------


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
        clinic.wall_s += 2 * DAY_S  # one rest day between
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
    assert (used_s, sessions) == (pytest.approx(ran_s + 11.0), 1)
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
    """The clinic folds its journal anew after every step, and so proves it; this is the restart."""
    clinic = Clinic()
    clinic.running()
    over(clinic, elapsed_s=600.0)
    before = clinic.state.durable.meters["stim-12"]
    clinic.restarts()
    assert clinic.state.durable.meters["stim-12"] == before


# --- firmware ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("firmware", "needed", "below"),
    [
        ("1.0", "1.1", True),
        ("1.1", "1.1", False),
        ("1.1.0", "1.1", False),
        ("1.1", "1.1.0", False),
        ("1.10", "1.9", False),
        ("1.1.1", "1.1", False),
        ("v1.1", "1.1", False),
        ("1.1-rc1", "1.1", True),
        ("1.2-rc1", "1.1", False),
        ("1.1 beta", "1.1", True),
        ("0.0", "0", False),
        ("blue", "1.1", True),
        ("", "1.1", True),
    ],
)
def test_a_firmware_that_cannot_be_compared_is_below(firmware: str, needed: str, below: bool) -> None:
    assert is_below(firmware, needed) is below


def test_a_firmware_below_its_models_minimum() -> None:
    """The simulated stimulators have 1.0."""
    clinic = Clinic(alarms=True)
    clinic.ready("stim-12")
    clinic.changes_device("stim-12", firmware=FirmwareMin(version="1.0"))
    assert due_refusals(clinic) == []
    said = clinic.changes_device("stim-12", firmware=FirmwareMin(version="1.1"))
    assert said[-1] == "AlarmRaised A11 info room-4/stim-12 off"
    assert due_refusals(clinic) == [("firmware_version_1.0_below_1.1", None, None)]
    stim = clinic.stims["stim-12"]
    assert "AlarmCleared A11 info room-4/stim-12 off" in clinic.says("stim-12", stim.birth(firmware="1.1"))
    # Flashed back: its next birth raises it at once.
    assert "AlarmRaised A11 info room-4/stim-12 off" in clinic.says("stim-12", stim.birth(firmware="1.0"))


def test_a_minimum_with_a_day_is_told_of_before_it() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.changes_device("stim-12", firmware=FirmwareMin(version="2.0", by=SUNDAY + timedelta(days=40)))
    assert most_pressing(clinic.state.durable, clinic.registry.devices["stim-12"], clinic.wall_s) is None
    clinic.changes_device("stim-12", firmware=FirmwareMin(version="2.0", by=SUNDAY))
    assert due_refusals(clinic) == []
    clinic.wall_s += DAY_S
    assert due_refusals(clinic) == [("firmware_version_days_overdue", 1.0, None)]


def test_a_device_that_was_never_heard_is_not_asked_for_its_firmware() -> None:
    clinic = Clinic()
    clinic.changes_device("stim-12", firmware=FirmwareMin(version="9.0"))
    registered = clinic.registry.devices["stim-12"]
    assert dues(clinic.state.durable, registered, clinic.wall_s) == []


# --- which is told ----------------------------------------------------------------------------------------------------


def test_all_that_is_overdue_refuses_and_the_most_pressing_is_told() -> None:
    clinic = Clinic()
    checks = {
        CALIBRATION: DeviceCheck(done=SUNDAY - timedelta(days=95), days=model(100)),  # in 5 days
        SAFETY: DeviceCheck(done=SUNDAY - timedelta(days=103), days=model(100)),  # 3 days ago
        FIRMWARE: DeviceCheck(done=SUNDAY - timedelta(days=1), days=model(100), hours=model(50.0)),
    }
    clinic.changes_device("stim-12", checks=checks, due_wall_s=clinic.wall_s - 2 * DAY_S)
    registered = clinic.registry.devices["stim-12"]
    pressing = most_pressing(clinic.state.durable, registered, clinic.wall_s)
    assert pressing is not None
    assert (pressing.why.quantity, pressing.why.value) == ("safety_days_left", -3.0)
    assert due_refusals(clinic) == [("certificate_days_overdue", 2.0, None), ("safety_days_overdue", 3.0, None)]
    (row,) = (row for row in device_rows(clinic.state, clinic.now_s, clinic.wall_s) if row["device"] == "stim-12")
    assert [
        (one["check"], one["due_on"], one["days_left"], one["hours_left"], one["overdue"]) for one in row["due"]
    ] == [
        ("certificate", "2026-11-20", -2.0, None, True),
        ("calibration", "2026-11-27", 5.0, None, False),
        ("safety", "2026-11-19", -3.0, None, True),
        ("firmware", "2027-03-01", 99.0, 50.0, False),
    ]


def test_a_refusal_names_rule_layer_check_and_number() -> None:
    clinic = Clinic()
    checked(clinic, done=SUNDAY - timedelta(days=112), days=model(100))
    (due,) = dues(clinic.state.durable, clinic.registry.devices["stim-12"], clinic.wall_s)
    assert due.refusal == Refusal(
        rule=due.refusal.rule, layer=RuleLayer.MODEL, quantity="calibration_days_overdue", value=12.0
    )
    assert due.refusal.rule.value == "device_due"


# --- operators --------------------------------------------------------------------------------------------------------


def instructed(clinic: Clinic, **days: int) -> list[str]:
    """These operators are instructed on sim-1 until the end of a day that is so many days ahead."""
    midnight_s = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    ada = clinic.registry.operators["ada"]
    operators = {
        name: type(ada)(operator=name, instructed_until_wall_s={"sim-1": midnight_s + ahead * DAY_S, "sold": 0.0})
        for name, ahead in days.items()
    }
    return clinic.changes_registry(operators=operators)


@pytest.mark.parametrize(("days", "told"), [(31, False), (30, True), (0, True), (-1, True), (-30, True), (-31, False)])
def test_an_operators_instruction_is_told_of_from_30_days_ahead_to_30_days_after(days: int, told: bool) -> None:
    clinic = Clinic(alarms=True)
    instructed(clinic, ada=days)
    alarms = clinic.state.durable.alarms
    assert set(alarms) == ({"A11/all"} if told else set())
    if told:
        assert (alarms["A11/all"].why.quantity, alarms["A11/all"].why.value) == (
            "instruction_days_left:ada:sim-1",
            float(days),
        )
        assert instruction_rows(clinic.state, clinic.wall_s) == [
            {
                "operator": "ada",
                "model": "sim-1",
                "on": (SUNDAY + timedelta(days=days)).isoformat(),
                "days_left": days,
            }
        ]


def test_the_next_of_several_instructions_is_told_and_time_brings_it() -> None:
    clinic = Clinic(alarms=True)
    instructed(clinic, ada=32, ben=45)
    assert clinic.after(1.0) == []
    clinic.wall_s += DAY_S
    assert clinic.after(1.0) == []
    clinic.wall_s += DAY_S
    assert clinic.after(1.0) == ["AlarmRaised A11 info site off"]
    assert instructed(clinic, ada=400, ben=500)[-1] == "AlarmCleared A11 info site off"


def test_a_model_that_the_clinic_has_no_more_needs_no_instruction() -> None:
    clinic = Clinic(alarms=True)
    for name in clinic.registry.devices:
        clinic.changes_device(name, struck_off=True)
    instructed(clinic, ada=3)
    assert clinic.state.durable.alarms == {}
    assert clinic.hears(inputs.Tick(clinic.now_s + 1.0, clinic.wall_s + 1.0)) == []
