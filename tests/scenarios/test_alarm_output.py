"""A01 and A02: output that is not known to be zero, and output that should not have been."""

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, EventKind, Holds, Measured, Phase
from fleet.core import inputs
from fleet.core.events import AlarmRaised
from tests.core.clinic import ONE, WALL, Clinic

PULSE_PERIOD_S = 1 / 40


def raised(clinic: Clinic, code: str) -> AlarmRaised:
    """The newest alarm of a code."""
    return next(e for e in reversed(clinic.journal) if isinstance(e, AlarmRaised) and e.code == code)


def confirms_off(clinic: Clinic, device: str = "stim-12") -> list[str]:
    return clinic.hears(
        inputs.ConfirmOff(request_id="off-1", device=device, issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s)
    )


# --- A01 ------------------------------------------------------------------------------------------------------------


def test_a01_a_stop_whose_zero_does_not_come_names_the_room_until_zero_is_measured() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    ordered_s = clinic.now_s - 0.01
    # Ramp 0, one pulse period and a second: not before.
    clinic.now_s = ordered_s
    assert "AlarmRaised A01 high room-4/stim-12 on" not in clinic.after(PULSE_PERIOD_S + 0.999)
    clinic.now_s = ordered_s
    assert clinic.after(PULSE_PERIOD_S + 1.001) == [
        "StopUnconfirmed room-4 stim-12",
        "AlarmRaised A01 high room-4/stim-12 on",
        "! stop stim-12 emergency_stop hold",
    ]
    alarm = raised(clinic, "A01")
    assert (alarm.session_id, alarm.why.cause, alarm.why.quantity) == (session.session_id, "emergency_stop", "waited_s")
    assert alarm.why.value == pytest.approx(PULSE_PERIOD_S + 1.001)
    # It stays while current is measured, and while nothing is.
    assert clinic.shows("stim-12", amplitude_ma=29.5) == []
    assert clinic.after(1.0) == []
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-12", amplitude_ma=None) == ["SessionAdvanced stopping"]
    # Zero: cleared in the same turn, so that nobody goes to the wall in vain. That it was there stays to be told.
    assert clinic.shows("stim-12") == [
        "StopConfirmed stim-12 telemetry",
        "AlarmCleared A01 high room-4/stim-12 latched",
    ]


def test_a01_of_a_device_that_is_dead_waits_for_a_person_at_the_wall() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    clinic.after(2.0)
    for _ in range(3):
        clinic.after(600.0)
    assert "A01/stim-12" in clinic.state.durable.alarms
    assert confirms_off(clinic) == [
        "StopConfirmed stim-12 person",
        "SessionEnded aborted None",
        "AlarmCleared A01 high room-4/stim-12 latched",
        "> ordered",
    ]


def test_a01_is_one_alarm_however_many_stops_wait_for_the_same_zero() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.pushes_stop()
    clinic.pushes_stop(None)
    for command_id in list(clinic.state.durable.stops):
        clinic.sent(command_id, command_id[:16])
    assert clinic.after(2.0) == [
        "StopUnconfirmed room-4 stim-12",
        "StopUnconfirmed room-4 stim-12",
        "AlarmRaised A01 high room-4/stim-12 on",
        "! stop stim-12 emergency_stop hold",
        "! stop stim-12 emergency_stop",
    ]
    # The first is done; the second still has to be.
    first, second = clinic.state.durable.stops
    done = messages.Ack(7, first, AckStatus.DONE, None, 0.2, WALL)
    assert clinic.says("stim-12", done) == ["StopConfirmed stim-12 ack"]
    done = messages.Ack(7, second, AckStatus.DONE, None, 0.2, WALL)
    assert clinic.says("stim-12", done) == [
        "StopConfirmed stim-12 ack",
        "AlarmCleared A01 high room-4/stim-12 latched",
    ]


def stuck(clinic: Clinic) -> messages.Event:
    return clinic.stims["stim-12"].event(
        EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK, Measured("amplitude_ma", 12.0, 1.0)
    )


def test_h02_a_device_that_calls_its_output_stuck_is_a01_until_zero_and_a02_until_an_engineer_has_reset_it() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    assert clinic.says("stim-12", stuck(clinic)) == [
        "DeviceReported output_stuck",
        "AlarmRaised A01 high room-4/stim-12 on",
        "AlarmRaised A02 high room-4/stim-12 on",
        "> receipt stim-12 1",
    ]
    assert raised(clinic, "A01").why == raised(clinic, "A02").why
    assert (raised(clinic, "A01").why.value, raised(clinic, "A01").why.limit) == (12.0, 1.0)
    stim = clinic.stims["stim-12"]
    clinic.latches(cause=Cause.OUTPUT_STUCK)
    assert clinic.says("stim-12", stim.birth(conditions=(messages.Condition.OUTPUT_STUCK,))) == ["DeviceBorn"]
    # The relay opens. The sample that may have been measured before the fault says nothing; the next one does.
    assert clinic.shows("stim-12") == []
    assert clinic.after(1.0) == []
    assert clinic.shows("stim-12") == []
    assert clinic.after(1.0) == ["ZeroConfirmed stim-12 telemetry", "AlarmCleared A01 high room-4/stim-12 latched"]
    assert clinic.shows("stim-12") == []
    assert clinic.after(10.0) == ["AlarmChanged A02 medium room-4/stim-12 on"]
    # Listed again, it is no news.
    assert clinic.says("stim-12", stim.birth(conditions=(messages.Condition.OUTPUT_STUCK,))) == ["DeviceBorn"]
    # An engineer has reset it.
    stim.phase, stim.latched = Phase.IDLE, None
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    clinic.shows("stim-12")
    assert clinic.after(1.0) == []
    clinic.shows("stim-12")
    assert clinic.after(8.4) == []
    assert clinic.after(1.1) == ["AlarmCleared A02 medium room-4/stim-12 latched"]


def test_h22_a_stuck_device_that_dies_waits_for_a_person() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.says("stim-12", stuck(clinic))
    clinic.after(13.0)
    assert confirms_off(clinic) == [
        "ZeroConfirmed stim-12 person",
        "AlarmCleared A01 high room-4/stim-12 latched",
        "> ordered",
    ]
    assert confirms_off(clinic) == ["> refused nothing_open"]


def test_a01_that_was_open_is_open_after_a_restart() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    clinic.pushes_stop()
    clinic.after(2.0)
    clinic.restarts()
    assert clinic.after(1.0) == ["! stop stim-12 emergency_stop hold"]
    assert set(clinic.state.durable.alarms) == {"A01/stim-12", "A03/stim-12"}


# --- A02 ------------------------------------------------------------------------------------------------------------


def test_a02_a_sample_over_a_limit_is_high_until_zero_and_medium_until_it_is_reset() -> None:
    clinic = Clinic(alarms=True)
    session = clinic.running()
    assert clinic.shows("stim-12", amplitude_ma=60.0) == [
        "LimitExceeded amplitude_ma",
        "SessionWithheld limit",
        "StopOrdered stim-12 rule_stop",
        "AlarmRaised A02 high room-4/stim-12 on",
        "! stop stim-12 rule_stop hold",
    ]
    why = raised(clinic, "A02").why
    # 40 mA of the plan: over above 1.1 times that and 1 mA for the noise of reading back.
    assert (why.quantity, why.value) == ("amplitude_ma", 60.0)
    assert why.limit == pytest.approx(45.0)
    assert raised(clinic, "A02").session_id == session.session_id
    command_id = clinic.open_stop()
    clinic.sent(command_id, ONE)
    stim = clinic.stims["stim-12"]
    clinic.latches(cause=Cause.RULE_STOP)
    stim.holds = Holds.of(device=(ONE,))
    clinic.says("stim-12", messages.Ack(7, command_id, AckStatus.DONE, None, 0.2, WALL))
    assert clinic.state.durable.alarms["A02/stim-12"].priority == "high"
    clinic.says("stim-12", stim.birth())
    assert clinic.after(9.9) == []
    assert clinic.after(1.0) == ["AlarmChanged A02 medium room-4/stim-12 on"]
    # The hold is released: the latch is left. It is reset: nothing is.
    clinic.releases()
    clinic.cleared()
    stim.holds = Holds.of()
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn", "HoldLifted stim-12"]
    clinic.shows("stim-12")
    assert clinic.after(20.0) == []
    clinic.says("stim-12", stim.ended(Cause.RULE_STOP, session.session_id))
    stim.latched, stim.phase = None, Phase.IDLE
    clinic.says("stim-12", stim.event(EventKind.LATCH_RESET, Cause.RULE_STOP))
    clinic.says("stim-12", stim.birth())
    assert clinic.shows("stim-12") == ["SessionCleared"]
    assert clinic.after(1.0) == []
    clinic.shows("stim-12")
    assert clinic.after(9.6) == ["AlarmCleared A02 medium room-4/stim-12 latched"]


def test_a02_output_without_permission() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    clinic.shows("stim-12", amplitude_ma=9.0)
    clinic.now_s += 2.0
    assert clinic.shows("stim-12", amplitude_ma=9.0) == [
        "OutputUnpermitted",
        "StopOrdered stim-12 rule_stop",
        "AlarmRaised A02 high room-4/stim-12 on",
        "! stop stim-12 rule_stop hold",
    ]
    assert (raised(clinic, "A02").why.quantity, raised(clinic, "A02").why.value) == ("amplitude_ma", 9.0)


def test_a02_a_sensor_that_reads_the_same_ten_times() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    said = [clinic.shows("stim-12", amplitude_ma=20.0, impedance_ohm=700.0) for _ in range(10)]
    assert said[-1] == [
        "SensorFlatlined",
        "SessionWithheld flat_line",
        "StopOrdered stim-12 rule_stop",
        "AlarmRaised A02 high room-4/stim-12 on",
        "! stop stim-12 rule_stop hold",
    ]
    assert raised(clinic, "A02").why.value == 10.0


def test_a02_a_session_that_is_over_its_time() -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    assert clinic.shows("stim-12", elapsed_s=1205.0) == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "AlarmRaised A02 high room-4/stim-12 on",
        "! stop stim-12 session_cap",
    ]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (EventKind.OVER_LIMIT, Cause.OVER_LIMIT),
        (EventKind.SENSOR_FROZEN, Cause.SENSOR_FROZEN),
        (EventKind.OVER_TEMPERATURE, Cause.OVER_TEMPERATURE),
        (EventKind.SELF_TEST_FAILED, Cause.SELF_TEST_FAILED),
    ],
)
def test_a02_what_a_device_has_found_itself(kind: EventKind, cause: Cause) -> None:
    clinic = Clinic(alarms=True)
    clinic.running()
    stim = clinic.stims["stim-12"]
    measured = messages.SelfTestFailed("relay") if kind is EventKind.SELF_TEST_FAILED else Measured("any", 5.0, 4.0)
    assert clinic.says("stim-12", stim.event(kind, cause, measured)) == [
        f"DeviceReported {kind}",
        "AlarmRaised A02 high room-4/stim-12 on",
        "> receipt stim-12 1",
    ]
    clinic.latches(cause=cause)
    clinic.says("stim-12", stim.birth())
    # High again with every new fault, also while it is open.
    for _ in range(2):
        clinic.now_s += 1.0
        clinic.shows("stim-12")
        clinic.after(11.0)
        assert clinic.state.durable.alarms["A02/stim-12"].priority == "medium"
        lines = clinic.says("stim-12", stim.event(kind, cause, measured))
        assert lines[1] == "AlarmChanged A02 high room-4/stim-12 on"


def test_a02_is_high_while_nothing_is_heard() -> None:
    clinic = Clinic(alarms=True)
    clinic.ready()
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, Measured("amplitude_ma", 60.0, 45.0)))
    clinic.after(20.0)
    # Neither a missing reading, nor a live phase, nor current is zero.
    for shown in ({"amplitude_ma": None}, {"amplitude_ma": 1.0}):
        clinic.shows("stim-12", **shown)
        assert clinic.after(1.0) == []
    assert clinic.state.durable.alarms["A02/stim-12"].priority == "high"
