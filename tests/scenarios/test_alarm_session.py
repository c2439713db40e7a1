"""A05, A06 and A08: what a therapist at the device sees to, or plans."""

from dataclasses import replace

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import (
    Ack,
    AckStatus,
    CommandRefusal,
    CommandRefused,
    Condition,
    Event,
    EventKind,
    Measured,
    Phase,
)
from tests.core.clinic import PLAN, WALL, Clinic
from tests.scenarios.test_alarm_output import raised

# --- A05 ------------------------------------------------------------------------------------------------------------


def electrode_opens(clinic: Clinic) -> list[str]:
    """A pad has come off: the device pauses the session, and says so."""
    stim = clinic.stims["stim-12"]
    event = stim.event(EventKind.ELECTRODE_OPEN, Cause.ELECTRODE_OPEN, Measured("impedance_ohm", None, 10_000.0))
    lines = clinic.says("stim-12", event)
    clinic.says("stim-12", stim.event(EventKind.SESSION_PAUSED, Cause.ELECTRODE_OPEN))
    stim.phase, stim.shown = Phase.PAUSED, {}
    clinic.says("stim-12", stim.birth(conditions=(Condition.ELECTRODE_OPEN,)))
    clinic.shows("stim-12", impedance_ohm=None)
    return lines


def goes_on(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.event(EventKind.SESSION_RESUMED))
    stim.phase, stim.shown = Phase.RUNNING, {"setting_ma": 20.0, "amplitude_ma": 19.0}
    stim.elapsed_s += 4.0
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")


def test_a05_is_held_back_for_a_minute_and_then_told() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    assert electrode_opens(clinic) == [
        "DeviceReported electrode_open",
        "AlarmRaised A05 medium room-4/stim-12 held_back",
        "> receipt stim-12 1",
    ]
    alarm = raised(clinic, "A05")
    assert (alarm.why.cause, alarm.why.quantity, alarm.why.limit) == ("electrode_open", "impedance_ohm", 10_000.0)
    assert alarm.session_id == session.session_id
    for _ in range(2):
        clinic.after(25.0)
        clinic.shows("stim-12", impedance_ohm=None)
    clinic.now_s = alarm.now_s
    assert clinic.after(59.9) == []
    assert clinic.after(1.0) == ["AlarmChanged A05 medium room-4/stim-12 on"]
    # Handled now, it is over; nobody need be told once more.
    goes_on(clinic)
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A05 medium room-4/stim-12 off"]


def test_a05_that_is_handled_at_the_device_within_a_minute_goes_to_the_digest() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    electrode_opens(clinic)
    clinic.after(20.0)
    clinic.shows("stim-12", impedance_ohm=None)
    clinic.after(25.0)
    goes_on(clinic)
    assert clinic.after(1.0) == []
    clinic.shows("stim-12")
    assert clinic.after(10.0) == ["AlarmCleared A05 medium room-4/stim-12 digest"]


def test_a05_ends_with_its_session() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    electrode_opens(clinic)
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.PAUSE_TIMEOUT))
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A05 medium room-4/stim-12 digest"]


def test_a05_pads_that_get_worse_are_none_until_they_end_output() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    worse = Measured("impedance_ohm", 3_500.0, 800.0)
    drying = (Condition.ELECTRODE_DEGRADED,)
    assert clinic.says("stim-12", stim.event(EventKind.ELECTRODE_DEGRADED, None, worse)) == [
        "DeviceReported electrode_degraded",
        "> receipt stim-12 1",
    ]
    assert clinic.says("stim-12", stim.birth(conditions=drying)) == ["DeviceBorn"]
    beyond = Measured("impedance_ohm", 5_500.0, 5_000.0)
    assert clinic.says("stim-12", stim.event(EventKind.ELECTRODE_DEGRADED, Cause.ELECTRODE_DEGRADED, beyond))[1] == (
        "AlarmRaised A05 medium room-4/stim-12 held_back"
    )
    # The birth has one word for both: it does not take back what ended output. Going on does.
    clinic.says("stim-12", stim.birth(conditions=drying))
    assert clinic.after(11.0) == []
    clinic.says("stim-12", stim.event(EventKind.SESSION_RESUMED))
    clinic.says("stim-12", stim.birth(conditions=drying))
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A05 medium room-4/stim-12 digest"]


@pytest.mark.parametrize("condition", [Condition.ELECTRODE_OPEN, Condition.ELECTRODE_SHORT])
def test_a05_a_birth_that_lists_a_bad_pad_opens_it_in_a_session_only(condition: Condition) -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.birth(conditions=(condition,))) == ["DeviceBorn"]
    clinic.authorised()
    stim.phase = Phase.PAUSED
    assert clinic.says("stim-12", stim.birth(conditions=(condition,))) == ["DeviceBorn"]
    # The fleet has been away: it hears only now that the session is on.
    assert clinic.shows("stim-12") == [
        "SessionAdvanced paused",
        "AlarmRaised A05 medium room-4/stim-12 held_back",
        f"! lease stim-12 {stim.seq}",
    ]


# --- A06 ------------------------------------------------------------------------------------------------------------


def test_a06_a_request_beyond_a_limit_stays_a_quarter_of_an_hour() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    strong = replace(PLAN, setting_ma_max=101.0)  # the clinic allows 100 mA
    assert clinic.asks(plan=strong) == [
        "SessionRefused",
        "AlarmRaised A06 low room-4/stim-12 digest",
        "> refused limit",
    ]
    why = raised(clinic, "A06").why
    assert (why.quantity, why.value, why.limit) == ("peak_ma", 101.0, 100.0)
    clinic.after(600.0)
    clinic.shows("stim-12")
    # Tried again: the same alarm, and the quarter of an hour begins anew.
    tried_s = clinic.now_s
    assert clinic.asks(plan=strong) == ["SessionRefused", "> refused limit"]
    clinic.now_s = tried_s
    assert not any("A06" in line for line in clinic.after(899.9))
    assert "AlarmCleared A06 low room-4/stim-12 digest" in clinic.after(1.0)
    assert clinic.state.durable.moments == {}


def test_a06_refused_for_another_reason_is_none() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    assert clinic.asks(room="room-1") == ["SessionRefused", "> refused room"]


def test_a06_for_a_device_that_nobody_knows_is_the_sites() -> None:
    clinic = Clinic(alarms=True)
    lines = clinic.asks(device="stim-9", plan=replace(PLAN, setting_ma_max=101.0))
    assert lines[1] == "AlarmRaised A06 low site digest"


@pytest.mark.parametrize("reason", CommandRefusal)
def test_a06_a_device_that_refuses_a_plan_beyond_its_own_limits(reason: CommandRefusal) -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.asks()
    session = clinic.session_on()
    refused = Ack(7, session.authorisation.command_id, AckStatus.REFUSED, reason, None, WALL)
    beyond = reason is CommandRefusal.BEYOND_LIMITS
    expected = ["AlarmRaised A06 low room-4/stim-12 digest"] if beyond else []
    assert clinic.says("stim-12", refused) == ["SessionDeclined", *expected]
    # Its own event of the same is no second one.
    event = clinic.stims["stim-12"].event(
        EventKind.COMMAND_REFUSED, None, CommandRefused("authorisation", session.authorisation.command_id, reason)
    )
    said = clinic.says("stim-12", event)
    assert not any("A06" in line for line in said)


def test_a06_by_the_devices_event_alone() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    beyond = CommandRefused("authorisation", None, CommandRefusal.BEYOND_LIMITS)
    assert clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.COMMAND_REFUSED, None, beyond))[1] == (
        "AlarmRaised A06 low room-4/stim-12 digest"
    )


# --- A08 ------------------------------------------------------------------------------------------------------------


def battery(clinic: Clinic, percent: float | None) -> list[str]:
    """A sample with this charge, and the next look a second later."""
    clinic.shows("stim-12", battery_pct=percent)
    return clinic.after(1.0)


def test_a08_low_below_20_percent_in_a_session_and_medium_below_10() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    assert battery(clinic, 20.0) == []
    assert battery(clinic, 19.9) == ["AlarmRaised A08 low room-4/stim-12 digest"]
    why = raised(clinic, "A08").why
    assert (why.quantity, why.value, why.limit) == ("battery_pct", 19.9, 20.0)
    assert raised(clinic, "A08").session_id == session.session_id
    assert battery(clinic, 10.0) == []
    assert battery(clinic, 9.9) == ["AlarmChanged A08 medium room-4/stim-12 on"]
    # A reading that comes and goes around a bound is one occurrence; what was prompt stays so.
    assert battery(clinic, 10.1) == []
    assert battery(clinic, 9.9) == []
    assert battery(clinic, None) == []
    assert battery(clinic, 21.9) == []
    for _ in range(12):
        battery(clinic, 21.9)
    assert "A08/stim-12" in clinic.state.durable.alarms
    assert battery(clinic, 22.0) == []
    said = [battery(clinic, 22.0) for _ in range(7)]
    assert said == [[]] * 6 + [["AlarmCleared A08 medium room-4/stim-12 off"]]


def test_a08_samples_are_looked_at_once_a_second() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.after(1.0)
    clinic.shows("stim-12", battery_pct=15.0)
    assert clinic.after(0.4) == []
    assert clinic.after(0.1) == ["AlarmRaised A08 low room-4/stim-12 digest"]


def test_a08_a_low_battery_without_a_session_is_none() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.birth(conditions=(Condition.BATTERY_LOW, Condition.BATTERY_EMPTY))) == [
        "DeviceBorn"
    ]
    assert battery(clinic, 4.0) == []


def low(clinic: Clinic) -> Event:
    return clinic.stims["stim-12"].event(EventKind.BATTERY_LOW, None, Measured("battery_pct", 19.0, 20.0))


def test_a08_by_the_devices_word_and_over_a_restart_until_something_is_heard() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    assert clinic.says("stim-12", low(clinic)) == [
        "DeviceReported battery_low",
        "AlarmRaised A08 low room-4/stim-12 digest",
        "> receipt stim-12 1",
    ]
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    clinic.restarts()
    assert clinic.after(1.0) == []
    assert clinic.after(11.0) == []
    clinic.shows("stim-12")
    assert clinic.after(1.0) == []
    clinic.shows("stim-12")
    assert clinic.after(9.5) == ["AlarmCleared A08 low room-4/stim-12 digest"]


def test_a08_a_session_that_an_empty_battery_ended_until_it_is_charged() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    empty = Measured("battery_pct", 4.9, 5.0)
    assert clinic.says("stim-12", stim.event(EventKind.BATTERY_EMPTY, Cause.BATTERY_EMPTY, empty)) == [
        "DeviceReported battery_empty",
        "> receipt stim-12 1",
    ]
    assert clinic.says("stim-12", stim.ended(Cause.BATTERY_EMPTY)) == [
        "DeviceReported session_ended",
        "SessionEnded aborted battery_empty",
        "AlarmRaised A08 medium room-4/stim-12 on",
        "> receipt stim-12 2",
    ]
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    clinic.says("stim-12", stim.birth(conditions=(Condition.BATTERY_LOW, Condition.BATTERY_EMPTY)))
    clinic.shows("stim-12")
    assert clinic.after(11.0) == []
    clinic.says("stim-12", stim.birth(conditions=(Condition.BATTERY_LOW,)))
    clinic.shows("stim-12")
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A08 medium room-4/stim-12 off"]
