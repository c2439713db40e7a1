"""A09 and A11: what an engineer sees to. And reconciling: what a device lists, and what comes late."""

from copy import deepcopy
from dataclasses import replace

import pytest

from broker.contract.causes import AlarmCode, Cause
from broker.contract.messages import (
    ClockStepped,
    CommandRefusal,
    CommandRefused,
    Condition,
    EventKind,
    Measured,
    Phase,
)
from broker.contract.topics import Channel
from fleet.core import inputs
from fleet.core.alarm_table import ROWS
from fleet.core.decide import decide
from fleet.core.state import State
from tests.core.clinic import HOUR_S, SUNDAY_NOON_WALL_S, Clinic
from tests.core.in_words import in_words
from tests.scenarios.test_alarm_output import raised

DAY_S = 24 * HOUR_S

# --- A09 ------------------------------------------------------------------------------------------------------------


def rejects(clinic: Clinic, device: str | None, reason: str = "mac_invalid") -> list[str]:
    """The edge has dropped something."""
    return clinic.hears(inputs.Rejected(device, Channel.TELEMETRY, reason, clinic.now_s, clinic.wall_s))


def test_a09_forged_messages_until_a_quarter_of_an_hour_after_the_last() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    assert rejects(clinic, "stim-12") == [
        "SecurityNoticed mac_invalid",
        "AlarmRaised A09 medium room-4/stim-12 on",
        "! count mac_invalid",
    ]
    assert (raised(clinic, "A09").why.quantity, raised(clinic, "A09").session_id) == ("mac_invalid", None)
    # A flood is one alarm, and one record a minute.
    said = []
    for _ in range(700):
        clinic.now_s += 0.1
        said += rejects(clinic, "stim-12")
    assert [line for line in said if not line.startswith("!")] == ["SecurityNoticed mac_invalid"]
    last_s = next(e.now_s for e in reversed(clinic.journal) if type(e).__name__ == "SecurityNoticed")
    clinic.now_s = last_s
    assert not any("A09" in line for line in clinic.after(899.9))
    assert "AlarmCleared A09 medium room-4/stim-12 off" in clinic.after(1.0)


def test_a09_names_that_nobody_registered_share_the_sites() -> None:
    clinic = Clinic(alarms=True)
    assert rejects(clinic, None)[1] == "AlarmRaised A09 medium site on"
    for n in range(50):
        rejects(clinic, f"intruder-{n}", "unregistered")
    assert list(clinic.state.durable.alarms) == ["A09/all"]


@pytest.mark.parametrize("reason", CommandRefusal)
def test_a09_what_a_device_refused_because_it_was_not_the_fleets(reason: CommandRefusal) -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    refused = CommandRefused("lease", None, reason)
    said = clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.COMMAND_REFUSED, None, refused))
    forged = reason in {CommandRefusal.NOT_AUTHENTIC, CommandRefusal.UNREADABLE, CommandRefusal.RETAINED}
    assert ("AlarmRaised A09 medium room-4/stim-12 on" in said) is forged


def test_a09_a_stepped_clock() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stepped = clinic.stims["stim-12"].event(EventKind.CLOCK_STEPPED, None, ClockStepped(-3600.0))
    assert clinic.says("stim-12", replace(stepped, at="2026-11-22T11:00:00.000Z"))[1] == (
        "AlarmRaised A09 medium room-4/stim-12 on"
    )
    assert (raised(clinic, "A09").why.quantity, raised(clinic, "A09").why.value) == ("clock_step_s", -3600.0)


def test_a09_a_boot_number_that_went_back() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    assert clinic.shows("stim-12", boot_n=3)[:2] == [
        "SecurityNoticed boot_n_went_back",
        "AlarmRaised A09 medium room-4/stim-12 on",
    ]


def test_h14_a09_two_devices_with_one_name() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    assert clinic.says("stim-12", clinic.stims["stim-12"].birth(serial="SN-13"))[:2] == [
        "SecurityNoticed duplicate_identity",
        "AlarmRaised A09 medium room-4/stim-12 on",
    ]


def test_a09_two_events_under_one_number_and_one_that_cannot_be_read() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    latched = clinic.stims["stim-12"].event(EventKind.HOLD_LIFTED)
    clinic.says("stim-12", latched)
    assert clinic.says("stim-12", replace(latched, event_id="e" * 32))[:3] == [
        "EventConflicted",
        "SecurityNoticed event_conflict",
        "AlarmRaised A09 medium room-4/stim-12 on",
    ]
    other = clinic.stims["stim-7"].spool_id
    unreadable = inputs.Unreadable("stim-7", other, 1, "5" * 64, clinic.now_s, clinic.wall_s)
    assert clinic.hears(unreadable)[:3] == [
        "SecurityNoticed unreadable",
        "EventUnreadable",
        "AlarmRaised A09 medium room-1/stim-7 on",
    ]


# --- A11 ------------------------------------------------------------------------------------------------------------


def test_a11_thirty_days_ahead_as_information() -> None:
    clinic = Clinic(alarms=True)
    due_s = clinic.wall_s + 31 * DAY_S
    clinic.changes_device("stim-12", due_wall_s=due_s)
    clinic.goes_to(due_s - 30 * DAY_S - 3.0)
    clinic.after(1.0)  # A12 meanwhile: nobody is on call here
    assert clinic.after(1.0) == []
    assert clinic.after(1.0) == ["AlarmRaised A11 info room-4/stim-12 off"]
    assert (raised(clinic, "A11").why.quantity, raised(clinic, "A11").why.value) == ("certificate_days_left", 30.0)
    # Overdue, it is the same alarm, and refuses what is asked for.
    clinic.goes_to(due_s)
    assert not any("A11" in line for line in clinic.after(1.0))
    clinic.ready("stim-12")
    assert clinic.asks()[-1].startswith("> refused")
    assert "device_due" in clinic.asks(request_id="request-2")[-1]
    # Renewed.
    said = clinic.changes_device("stim-12", due_wall_s=due_s + 365 * DAY_S)
    assert said == ["RegistryAdopted", "AlarmCleared A11 info room-4/stim-12 off"]


def test_a11_at_once_when_the_list_says_so_and_not_for_a_device_that_is_struck_off() -> None:
    clinic = Clinic(alarms=True)
    soon_s = SUNDAY_NOON_WALL_S + DAY_S
    assert clinic.changes_device("stim-7", due_wall_s=soon_s) == [
        "RegistryAdopted",
        "AlarmRaised A11 info room-1/stim-7 off",
    ]
    assert clinic.changes_device("stim-12", due_wall_s=soon_s, struck_off=True) == ["RegistryAdopted"]
    assert clinic.after(1.0) == []


# --- reconciled -------------------------------------------------------------------------------------------------------

LATCHES = {
    Cause.PATIENT_STOP: "A03",
    Cause.EMERGENCY_STOP: "A03",
    Cause.RULE_STOP: "A02",
    Cause.SESSION_CAP: "A02",
    Cause.LEASE_LOST: "A04",
    Cause.OVER_LIMIT: "A02",
    Cause.OUTPUT_STUCK: "A01",
    Cause.SENSOR_FROZEN: "A02",
    Cause.OVER_TEMPERATURE: "A02",
    Cause.SELF_TEST_FAILED: "A02",
    Cause.WATCHDOG_TRIPPED: "A04",
    Cause.REBOOT: "A04",
}


@pytest.mark.parametrize(("cause", "code"), LATCHES.items())
def test_a_birth_that_is_latched_opens_the_alarm_of_its_cause_and_one_that_is_not_clears_it(
    cause: Cause, code: str
) -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.latches(cause=cause)
    stim = clinic.stims["stim-12"]
    said = clinic.says("stim-12", stim.birth())
    assert f"AlarmRaised {code} {ROWS[AlarmCode(code)].priority} room-4/stim-12 on" in said
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    for _ in range(8):
        clinic.after(1.0)
        clinic.shows("stim-12")
    stim.latched, stim.phase = None, Phase.IDLE
    clinic.says("stim-12", stim.birth())
    clinic.after(1.0)
    clinic.shows("stim-12")
    clinic.after(10.0)
    assert clinic.state.durable.alarms == {}


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_that_a_birth_may_list_is_understood(condition: Condition) -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    said = clinic.says("stim-12", clinic.stims["stim-12"].birth(conditions=(condition,)))
    # A pad that is getting worse is no fault yet; an empty battery is one once it has ended a session.
    quiet = condition in {Condition.ELECTRODE_DEGRADED, Condition.BATTERY_EMPTY}
    assert any(line.startswith("AlarmRaised") for line in said) is not quiet


def test_a_program_that_knows_more_alarms_than_the_one_before_opens_them_when_it_takes_over() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.latches(cause=Cause.LEASE_LOST)
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    state = State(durable=deepcopy(clinic.state.durable))
    state.durable.alarms.clear()
    took_over = decide(state, inputs.TookOver("host-boot-1", clinic.now_s, clinic.wall_s))
    assert in_words(took_over) == ["FleetTookOver", "AlarmRaised A04 medium room-4/stim-12 on"]


def test_a_condition_without_a_latch_is_one_too() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    said = clinic.says("stim-12", clinic.stims["stim-12"].birth(conditions=(Condition.SELF_TEST_FAILED,)))
    assert said == ["DeviceBorn", "AlarmRaised A02 high room-4/stim-12 on"]


BEFORE, AFTER = "2026-11-22T11:59:00.000Z", "2026-11-22T12:01:00.000Z"


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (EventKind.LEASE_LOST, Cause.LEASE_LOST),
        (EventKind.STOP_PRESSED, Cause.PATIENT_STOP),
        (EventKind.OVER_LIMIT, Cause.OVER_LIMIT),
        (EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK),
        (EventKind.ELECTRODE_OPEN, Cause.ELECTRODE_OPEN),
        (EventKind.BATTERY_LOW, None),
    ],
)
def test_an_event_from_before_the_newest_birth_raises_nothing(kind: EventKind, cause: Cause | None) -> None:
    """The link was down: the device was reset meanwhile, and says in its birth that nothing is wrong."""
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    measured = None if cause in {Cause.LEASE_LOST, Cause.PATIENT_STOP} else Measured("any", 1.0, 2.0)
    old = replace(stim.event(kind, cause, measured), at=BEFORE)
    assert clinic.says("stim-12", old) == [f"DeviceReported {kind}", "> receipt stim-12 1"]
    # The same from after the birth is news.
    said = clinic.says("stim-12", replace(stim.event(kind, cause, measured), at=AFTER))
    assert any(line.startswith("AlarmRaised") for line in said)


def test_an_event_of_an_earlier_boot_raises_nothing() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    old = replace(stim.event(EventKind.LEASE_LOST, Cause.LEASE_LOST), boot_n=6, at=AFTER)
    assert clinic.says("stim-12", old) == ["DeviceReported lease_lost", "> receipt stim-12 1"]


def test_after_a_step_of_its_clock_a_devices_events_are_news_again() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    for event in (
        stim.event(EventKind.CLOCK_STEPPED, None, ClockStepped(-60.0)),
        stim.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP),
    ):
        clinic.says("stim-12", replace(event, at=BEFORE))
    assert list(clinic.state.durable.alarms) == ["A09/stim-12", "A03/stim-12"]


def test_a_late_sample_over_a_limit_stops_its_session_and_that_stop_is_what_is_told() -> None:
    """It is judged as long as its session lasts (contract.md), and what the fleet does about it now is no old news."""
    clinic = Clinic(alarms=True)
    clinic.running()
    late = clinic.stims["stim-12"].sample(late=True, amplitude_ma=60.0)
    assert clinic.says("stim-12", late)[-2:] == [
        "AlarmRaised A02 high room-4/stim-12 on",
        "! stop stim-12 rule_stop hold",
    ]


def test_late_samples_raise_nothing_and_clear_nothing() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.says("stim-12", clinic.stims["stim-12"].sample(late=True, battery_pct=4.0))
    assert clinic.after(1.0) == []
    clinic.shows("stim-12", battery_pct=15.0)
    clinic.after(1.0)
    for _ in range(15):
        clinic.says("stim-12", clinic.stims["stim-12"].sample(late=True, battery_pct=90.0))
        assert clinic.after(1.0) == []
    assert list(clinic.state.durable.alarms) == ["A08/stim-12"]


def test_whatever_is_struck_off_has_nothing_more_to_say_but_what_was_never_measured_as_zero_stays() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    clinic.latches(cause=Cause.OUTPUT_STUCK)
    clinic.says("stim-12", stim.birth())
    clinic.latches("stim-7", Cause.PATIENT_STOP)
    clinic.says("stim-7", clinic.stims["stim-7"].birth())
    clinic.changes_device("stim-12", struck_off=True)
    clinic.changes_device("stim-7", struck_off=True)
    clinic.after(1.0)
    assert clinic.after(10.0) == ["AlarmCleared A03 medium room-1/stim-7 latched"]
    assert list(clinic.state.durable.alarms) == ["A01/stim-12", "A02/stim-12"]


def test_another_stimulator_under_the_name_begins_anew() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.latches(cause=Cause.SENSOR_FROZEN)
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    clinic.changes_device("stim-12", enrolment="second")
    assert clinic.after(11.0) == []
    # But for its output: it may be the same stimulator with another disk.
    stim = clinic.stims["stim-12"]
    stim.boot_n, stim.phase, stim.latched = 1, Phase.IDLE, None
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    assert clinic.after(1.0) == ["ZeroConfirmed stim-12 telemetry"]
    clinic.shows("stim-12")
    assert clinic.after(10.0) == ["AlarmCleared A02 high room-4/stim-12 latched"]


def test_an_ordinary_session_raises_nothing() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    for n in range(1200):
        clinic.shows("stim-12", elapsed_s=6.0 + n * 0.5, amplitude_ma=28.0 + n % 7 / 10)
        clinic.hears(inputs.Tick(clinic.now_s, clinic.wall_s))
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.COMPLETED))
    assert not any(type(event).__name__.startswith("Alarm") for event in clinic.journal)
