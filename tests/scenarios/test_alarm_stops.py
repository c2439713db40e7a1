"""A03 and A04: an emergency stop, and a session that ended because nobody said any more that it may run."""

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Holds, Phase, Scope
from broker.contract.topics import ALL
from fleet.core.registry import RegisteredDevice
from tests.core.clinic import ONE, Clinic
from tests.scenarios.test_alarm_output import confirms_off, raised

# --- A03 ------------------------------------------------------------------------------------------------------------


def test_a03_pushed_until_the_hold_is_released_and_the_latch_is_reset() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    assert clinic.pushes_stop() == [
        "StopOrdered stim-12 emergency_stop",
        "SessionWithheld stop",
        "AlarmRaised A03 medium room-4/stim-12 on",
        "! stop stim-12 emergency_stop hold",
        "> ordered",
    ]
    assert (raised(clinic, "A03").why.cause, raised(clinic, "A03").session_id) == ("emergency_stop", session.session_id)
    clinic.sent(clinic.open_stop(), ONE)
    stim = clinic.stims["stim-12"]
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    stim.holds = Holds.of(device=(ONE,))
    clinic.says("stim-12", stim.birth())
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry", "SessionAdvanced stopping"]
    # Pushed again it is the same alarm.
    clinic.pushes_stop()
    assert len(clinic.state.durable.alarms) == 1
    clinic.sent(clinic.open_stop(), "0011223344556603")
    clinic.shows("stim-12")
    # Without the hold the latch is left; a person resets it.
    clinic.releases()
    clinic.cleared()
    stim.holds = Holds.of()
    clinic.says("stim-12", stim.birth())
    clinic.says("stim-12", stim.ended(Cause.EMERGENCY_STOP, session.session_id))
    clinic.shows("stim-12")
    assert clinic.after(11.0) == []
    stim.phase, stim.latched = Phase.IDLE, None
    clinic.says("stim-12", stim.birth())
    assert clinic.shows("stim-12") == ["SessionCleared"]
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A03 medium room-4/stim-12 latched"]


def test_a03_pressed_at_the_device() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP)) == [
        "DeviceReported stop_pressed",
        "AlarmRaised A03 medium room-4/stim-12 on",
        "> receipt stim-12 1",
    ]
    # Latched, and reset by hand: the device says both before its birth does.
    assert clinic.says("stim-12", stim.event(EventKind.LATCHED, Cause.PATIENT_STOP))[0] == "DeviceReported latched"
    clinic.says("stim-12", stim.ended(Cause.PATIENT_STOP))
    clinic.latches(cause=Cause.PATIENT_STOP)
    clinic.shows("stim-12")
    clinic.says("stim-12", stim.event(EventKind.LATCH_RESET, Cause.PATIENT_STOP))
    stim.phase = Phase.IDLE
    clinic.shows("stim-12")
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A03 medium room-4/stim-12 latched"]


def test_a03_a_stop_for_the_site_is_one_alarm_and_each_device_that_it_latched_is_another() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    lines = clinic.pushes_stop(None)
    assert [line for line in lines if line.startswith("Alarm")] == ["AlarmRaised A03 medium site on"]
    clinic.sent(clinic.open_stop(), ONE)
    for name in ("stim-12", "stim-7"):
        clinic.latches(name, Cause.EMERGENCY_STOP)
        clinic.stims[name].holds = Holds.of(all=(ONE,))
        clinic.says(name, clinic.stims[name].birth())
        clinic.shows(name)
    assert list(clinic.state.durable.alarms) == ["A03/all", "A03/stim-12", "A03/stim-7"]
    # The site is released: what is left is the work at each device.
    clinic.releases(None, scope=Scope.ALL)
    clinic.cleared(ALL)
    assert clinic.after(1.0) == []
    assert "AlarmCleared A03 medium site latched" in clinic.after(10.0)
    assert list(clinic.state.durable.alarms) == ["A03/stim-12", "A03/stim-7"]


def test_a03_of_the_site_says_nothing_of_a_device_that_has_not_said_that_it_is_latched() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.pushes_stop(None)
    clinic.restarts()
    assert list(clinic.state.durable.alarms) == ["A03/all"]


def test_a03_a_stop_that_nobody_of_this_fleet_sent_is_told_by_the_device() -> None:
    """Any message on a stop topic is a stop: the device latches, and its birth says so."""
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    assert clinic.says("stim-12", clinic.stims["stim-12"].birth()) == [
        "DeviceBorn",
        "AlarmRaised A03 medium room-4/stim-12 on",
    ]


def test_a03_for_a_name_that_nobody_registered_is_the_sites() -> None:
    clinic = Clinic(alarms=True)
    assert "AlarmRaised A03 medium site on" in clinic.pushes_stop("stim-9")
    assert not any(line.startswith("Alarm") for line in clinic.pushes_stop("stim-8"))
    # As soon as it is registered, it is its own.
    new = RegisteredDevice(device="stim-9", room="room-2", model="sim-1", serial="SN-09", enrolment="first")
    lines = clinic.changes_registry(devices={**clinic.registry.devices, "stim-9": new})
    assert lines == ["RegistryAdopted", "DeviceEnrolled", "AlarmRaised A03 medium room-2/stim-9 on"]


# --- A04 ------------------------------------------------------------------------------------------------------------


def test_h11_a04_a_lost_lease_until_the_latch_is_reset() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.event(EventKind.LEASE_LOST, Cause.LEASE_LOST)) == [
        "DeviceReported lease_lost",
        "AlarmRaised A04 medium room-4/stim-12 on",
        "> receipt stim-12 1",
    ]
    assert raised(clinic, "A04").session_id == session.session_id
    clinic.says("stim-12", stim.event(EventKind.LATCHED, Cause.LEASE_LOST))
    clinic.latches(cause=Cause.LEASE_LOST)
    clinic.says("stim-12", stim.birth())
    clinic.says("stim-12", stim.ended(Cause.LEASE_LOST, session.session_id))
    clinic.shows("stim-12")
    assert clinic.after(11.0) == []
    stim.phase, stim.latched = Phase.IDLE, None
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A04 medium room-4/stim-12 latched"]


def test_h22_a04_a_live_session_whose_agent_is_gone_names_the_room() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    assert clinic.after(29.9) == []
    assert clinic.after(1.0) == [
        "DeviceLost stim-12",
        "SessionLost",
        "AlarmRaised A04 medium room-4/stim-12 on",
    ]
    assert (raised(clinic, "A04").why.quantity, raised(clinic, "A04").session_id) == (
        "session_lost",
        session.session_id,
    )
    # Nothing else is raised for it however long it lasts: it is offline, with a session.
    for _ in range(10):
        assert clinic.after(60.0) == []
    # A person at the device has seen that it is off. From now on it is only offline.
    assert confirms_off(clinic)[0] == "SessionEnded aborted None"
    assert clinic.after(1.0) == ["AlarmRaised A07 low room-4/stim-12 digest"]
    assert clinic.after(10.0) == ["AlarmCleared A04 medium room-4/stim-12 latched"]


def test_a04_an_agent_that_comes_back_latched_is_the_same_alarm() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.after(31.0)
    stim = clinic.stims["stim-12"]
    stim.boot_n += 1
    clinic.latches(cause=Cause.REBOOT)
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    assert clinic.after(11.0) == []
    assert list(clinic.state.durable.alarms) == ["A04/stim-12"]
    # Reset at the device.
    stim.latched, stim.phase = None, Phase.IDLE
    clinic.says("stim-12", stim.birth())
    assert clinic.shows("stim-12") == ["SessionCleared"]
    assert clinic.after(1.0) == []
    assert clinic.after(10.0) == ["AlarmCleared A04 medium room-4/stim-12 latched"]


def test_a04_a_boot_in_a_live_session_is_one_though_the_device_does_not_say_that_it_is_latched() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    stim.boot_n, stim.phase, stim.session_id, stim.shown = 8, Phase.LATCHED, None, {}
    assert clinic.shows("stim-12") == [
        "DeviceBooted",
        "SessionEnded stopped_latched reboot",
        "AlarmRaised A04 medium room-4/stim-12 on",
    ]
    stim.phase = Phase.IDLE
    assert clinic.shows("stim-12") == ["SessionCleared"]


def test_a04_the_stimulators_own_watchdog() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    tripped = clinic.stims["stim-12"].event(EventKind.WATCHDOG_TRIPPED, Cause.WATCHDOG_TRIPPED)
    assert clinic.says("stim-12", tripped)[1] == "AlarmRaised A04 medium room-4/stim-12 on"
