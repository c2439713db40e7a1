"""Devices that are due: the day before, the day, the day after; exactly the hour, exactly the session."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fleet.core import inputs
from fleet.core.conditions import due_why
from fleet.core.due import dues, is_below, most_pressing
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
    clinic.goes_to(local.timestamp())


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
    at(clinic, datetime(2027, 10, 1, 23, 59, 57, tzinfo=vienna))
    clinic.after(1.0)  # A12 meanwhile: nobody is on call here
    assert clinic.after(1.0) == []
    assert clinic.after(1.0) == ["AlarmRaised A11 info room-4/stim-12 off"], "2027-10-02, thirty days before"
    alarm = clinic.state.durable.alarms["A11/stim-12"]
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
    clinic.goes_to(clinic.wall_s + DAY_S)
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
    clinic.goes_to(clinic.wall_s + DAY_S)
    clinic.after(1.0)  # A12: nobody is on call here
    assert clinic.after(1.0) == []
    clinic.goes_to(clinic.wall_s + DAY_S)
    assert clinic.after(1.0) == ["AlarmRaised A11 info site off"]
    assert instructed(clinic, ada=400, ben=500)[-1] == "AlarmCleared A11 info site off"


def test_a_model_that_the_clinic_has_no_more_needs_no_instruction() -> None:
    clinic = Clinic(alarms=True)
    for name in clinic.registry.devices:
        clinic.changes_device(name, struck_off=True)
    instructed(clinic, ada=3)
    assert clinic.state.durable.alarms == {}
    assert clinic.hears(inputs.Tick(clinic.now_s + 1.0, clinic.wall_s + 1.0)) == []


def test_nothing_is_due_on_a_device_that_may_not_speak_any_more() -> None:
    clinic = Clinic(alarms=True)
    checked(clinic, SAFETY, days=model(365))
    assert due_why(clinic.state.durable, "stim-12", clinic.wall_s) is not None
    assert "AlarmCleared A11 info room-4/stim-12 off" in clinic.changes_device("stim-12", struck_off=True)
    assert due_why(clinic.state.durable, "stim-12", clinic.wall_s) is None
    assert due_why(clinic.state.durable, "stim-99", clinic.wall_s) is None


def test_at_midnight_a_hundred_devices_a_second_are_looked_through() -> None:
    clinic = Clinic(alarms=True)
    due = {CALIBRATION: DeviceCheck(done=SUNDAY - timedelta(days=335), days=model(366))}  # in 31 days
    plain = clinic.registry.devices["stim-12"]
    clinic.changes_registry(
        devices={name: replace(plain, device=name, checks=due) for name in (f"stim-{n:03d}" for n in range(250))}
    )
    assert [clinic.after(1.0) for _ in range(3)] == [[], [], []], "all of them, and none is due within 30 days"
    clinic.goes_to(datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC).timestamp())
    told = [sum("A11" in line for line in clinic.after(1.0)) for _ in range(4)]
    assert told == [100, 100, 50, 0]
