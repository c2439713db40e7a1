"""A stop, from the push to measured zero."""

from dataclasses import replace

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, Phase
from broker.contract.topics import ALL
from fleet.core import inputs
from fleet.core.effects import SendStop
from fleet.core.events import AlarmRaised, StopConfirmed, StopPublished, StopReceived, StopUnconfirmed
from fleet.core.state import LIVE_STATES
from tests.core.clinic import ONE, TWO, WALL, Clinic

PULSE_PERIOD_S = 1 / 40  # of the plan


def test_a_stop_is_done_when_the_device_has_measured_zero_and_each_latency_is_kept() -> None:
    clinic = Clinic()
    clinic.running()
    ordered_s = clinic.now_s
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    assert clinic.sent(command_id, ONE, after_s=0.02) == ["StopPublished"]
    assert clinic.sent(command_id, ONE, after_s=0.0) == []

    clinic.now_s = ordered_s + 0.05
    received = messages.Ack(7, command_id, AckStatus.RECEIVED, None, None, WALL)
    decision = clinic.decides(inputs.Received("stim-12", received, clinic.now_s, clinic.wall_s))
    (event,) = decision.events
    assert isinstance(event, StopReceived)
    assert event.sent_to_received_s == pytest.approx(0.03)
    assert clinic.says("stim-12", received) == []

    clinic.now_s = ordered_s + 0.25
    done = messages.Ack(7, command_id, AckStatus.DONE, None, 0.2, WALL)
    decision = clinic.decides(inputs.Received("stim-12", done, clinic.now_s, clinic.wall_s))
    (event,) = decision.events
    assert isinstance(event, StopConfirmed)
    assert (event.device, event.by, event.amplitude_ma) == ("stim-12", "ack", 0.2)
    assert event.cause_to_sent_s == pytest.approx(0.02)
    assert event.sent_to_received_s == pytest.approx(0.03)
    assert event.sent_to_zero_s == pytest.approx(0.23)
    assert clinic.state.durable.stops == {}
    assert clinic.says("stim-12", done) == []


@pytest.mark.parametrize("amplitude_ma", [None, 1.0, 30.0])
def test_h12_done_without_a_measured_zero_is_not_done(amplitude_ma: float | None) -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    clinic.sent(command_id, ONE)
    assert clinic.says("stim-12", messages.Ack(7, command_id, AckStatus.DONE, None, amplitude_ma, WALL)) == []
    assert clinic.says("stim-12", messages.Ack(7, command_id, AckStatus.DONE, None, 0.99, WALL)) == [
        "StopConfirmed stim-12 ack"
    ]


def test_an_ack_of_another_boot_or_another_command_confirms_nothing() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    clinic.sent(command_id, ONE)
    assert clinic.says("stim-12", messages.Ack(6, command_id, AckStatus.DONE, None, 0.0, WALL)) == []
    assert clinic.says("stim-12", messages.Ack(7, "d" * 32, AckStatus.DONE, None, 0.0, WALL)) == []
    clinic.ready("stim-7")
    assert clinic.says("stim-7", messages.Ack(7, command_id, AckStatus.DONE, None, 0.0, WALL)) == []


def test_an_ack_may_overtake_the_report_that_the_stop_was_sent() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    received = messages.Ack(7, command_id, AckStatus.RECEIVED, None, None, WALL)
    assert clinic.says("stim-12", received) == ["StopReceived stim-12"]
    done = messages.Ack(7, command_id, AckStatus.DONE, None, 0.0, WALL)
    assert clinic.says("stim-12", done) == ["StopConfirmed stim-12 ack"]
    # It stays open until the hold's id is known.
    assert clinic.sent(command_id, ONE) == ["StopPublished"]
    assert clinic.state.durable.stops == {}
    assert [hold.hold_id for hold in clinic.state.durable.holds["stim-12"]] == [ONE]


def test_h12_a_stop_is_sent_again_until_zero_is_measured_and_a01_names_room_and_device() -> None:
    clinic = Clinic()
    clinic.running()
    ordered_s = clinic.now_s
    clinic.pushes_stop()
    first = clinic.open_stop()
    clinic.sent(first, ONE)

    # Sent again after the ramp (0), one pulse period and 300 ms: not before.
    clinic.now_s = ordered_s
    assert clinic.after(PULSE_PERIOD_S + 0.299) == []
    assert clinic.after(0.002) == ["! stop stim-12 emergency_stop hold"]
    assert clinic.after(0.3) == []
    assert clinic.after(0.03) == ["! stop stim-12 emergency_stop hold"]

    # A01 opens after the ramp, one pulse period and a second: not before, and once.
    clinic.now_s = ordered_s
    assert "StopUnconfirmed room-4 stim-12" not in clinic.after(PULSE_PERIOD_S + 0.999)
    decision = clinic.decides(inputs.Tick(ordered_s + PULSE_PERIOD_S + 1.001, clinic.wall_s))
    event, alarm = decision.events
    assert isinstance(event, StopUnconfirmed)
    assert isinstance(alarm, AlarmRaised)
    assert (alarm.code, alarm.priority, alarm.room, alarm.device) == ("A01", "high", "room-4", "stim-12")
    assert (event.room, event.device, event.cause) == ("room-4", "stim-12", Cause.EMERGENCY_STOP)
    assert event.waited_s == pytest.approx(PULSE_PERIOD_S + 1.001)
    # From now on a person is on the way, and it is told every 5 s.
    clinic.now_s = ordered_s + PULSE_PERIOD_S + 1.001
    assert clinic.after(4.999) == []
    assert clinic.after(0.002) == ["! stop stim-12 emergency_stop hold"]

    # A sample that is still live, or has no reading, or has current, is no zero.
    assert clinic.shows("stim-12", amplitude_ma=0.0) == []
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-12", amplitude_ma=None) == ["SessionAdvanced stopping"]
    assert clinic.shows("stim-12", amplitude_ma=1.0) == []
    assert clinic.shows("stim-12", amplitude_ma=0.999) == ["StopConfirmed stim-12 telemetry"]
    assert clinic.after(10.0) == []


def test_the_same_bytes_are_sent_every_time() -> None:
    clinic = Clinic()
    clinic.running()
    first = clinic.decides(clinic.push()).at_once[0]
    again = clinic.decides(inputs.Tick(clinic.now_s + 1.0, clinic.wall_s + 1.0)).at_once[0]
    assert isinstance(first, SendStop)
    assert first == again
    assert first.message.issued_by == "ada"


def test_a_soft_stop_has_its_ramp_before_it_is_late() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.shows("stim-12", elapsed_s=1206.0)
    clinic.sent(clinic.open_stop(), None)
    ordered_s = clinic.state.durable.stops[clinic.open_stop()].ordered_s
    clinic.now_s = ordered_s
    assert clinic.after(1.0 + PULSE_PERIOD_S + 0.29) == []
    assert clinic.after(0.02) == ["! stop stim-12 session_cap"]
    clinic.now_s = ordered_s
    assert clinic.after(1.0 + PULSE_PERIOD_S + 0.99) == []
    clinic.now_s = ordered_s
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(1.0 + PULSE_PERIOD_S + 1.01)


def test_a_zero_from_before_the_stop_was_sent_shows_nothing() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.pushes_stop()
    assert clinic.shows("stim-12") == []
    clinic.sent(clinic.open_stop(), ONE)
    stim = clinic.stims["stim-12"]
    overtaken = stim.sample()
    stim.seq += 5
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry"]
    assert clinic.says("stim-12", overtaken) == ["! count overtaken"]


def test_after_a_restart_only_later_samples_than_those_known_confirm() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    clinic.latches()
    clinic.restarts()
    # A recording of an idle moment before the session is played to the fleet that has just started.
    recorded = stim.sample(seq=stim.seq - 5, phase=Phase.IDLE)
    assert clinic.says("stim-12", recorded) == ["! count overtaken"]
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry", "SessionAdvanced stopping"]


def test_a_stop_goes_on_over_a_restart_of_the_fleet() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    clinic.restarts()
    assert clinic.after(0.01) == ["! stop stim-12 emergency_stop hold"]
    assert clinic.shows("stim-12") == []


def test_a_reboot_of_the_device_confirms_by_its_own_zero() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    stim = clinic.stims["stim-12"]
    stim.boot_n, stim.seq = 8, 3
    clinic.latches(cause=Cause.REBOOT)
    assert clinic.shows("stim-12") == [
        "DeviceBooted",
        "SessionEnded stopped_latched reboot",
        "StopConfirmed stim-12 telemetry",
    ]


def test_an_idle_device_is_stopped_too_and_opens_no_a01() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.pushes_stop() == [
        "StopOrdered stim-12 emergency_stop",
        "! stop stim-12 emergency_stop hold",
        "> ordered",
    ]
    clinic.sent(clinic.open_stop(), ONE)
    clinic.now_s += 2.0
    assert clinic.after(0.0) == []  # quiet devices are told every 5 s
    assert clinic.after(3.0) == ["! stop stim-12 emergency_stop hold"]


def test_measured_output_makes_a_stop_urgent_without_a_session() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.shows("stim-12", amplitude_ma=3.0, frequency_hz=1.0)
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    assert "StopUnconfirmed room-4 stim-12" not in clinic.after(1.98)
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(0.1)


def test_a_waiting_authorisation_is_withdrawn_by_a_stop() -> None:
    clinic = Clinic()
    clinic.authorised()
    assert clinic.pushes_stop() == [
        "StopOrdered stim-12 emergency_stop",
        "SessionCancelled",
        "! stop stim-12 emergency_stop hold",
        "> ordered",
    ]


def test_a_stop_for_a_device_that_nobody_knows_goes_out_and_is_not_followed_for_ever() -> None:
    clinic = Clinic()
    assert clinic.pushes_stop("stim-99") == [
        "StopOrdered stim-99 emergency_stop",
        "! stop stim-99 emergency_stop hold",
        "> ordered",
    ]
    # Until the broker has it, it is sent again; after that the hold waits there.
    assert clinic.after(0.31) == ["! stop stim-99 emergency_stop hold"]
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.after(60.0) == []


def test_a_broken_device_off_the_list_is_named_without_a_room() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.changes_registry(devices={})
    clinic.pushes_stop()
    assert "StopUnconfirmed  stim-12" in clinic.after(2.0)


def test_a_rule_s_stop_and_a_person_s_are_both_followed_and_both_held() -> None:
    clinic = Clinic()
    clinic.running()
    assert "StopOrdered stim-12 rule_stop" in clinic.shows("stim-12", amplitude_ma=60.0)
    assert clinic.pushes_stop() == [
        "StopOrdered stim-12 emergency_stop",
        "! stop stim-12 emergency_stop hold",
        "> ordered",
    ]
    first, second = clinic.state.durable.stops
    clinic.sent(first, ONE)
    clinic.sent(second, TWO)
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-12") == [
        "StopConfirmed stim-12 telemetry",
        "StopConfirmed stim-12 telemetry",
        "SessionAdvanced stopping",
    ]
    assert [hold.hold_id for hold in clinic.state.durable.holds["stim-12"]] == [ONE, TWO]


# --- the whole site -------------------------------------------------------------------------------------------------


def test_stop_all_reaches_every_device_and_follows_each() -> None:
    clinic = Clinic()
    clinic.running("stim-12")
    clinic.running("stim-7", client="c-4712", request_id="request-2")
    assert clinic.pushes_stop(None) == [
        "StopOrdered all emergency_stop",
        "SessionWithheld stop",
        "SessionWithheld stop",
        "! stop all emergency_stop hold",
        "> ordered",
    ]
    assert not any(session.live and not session.withheld for session in clinic.state.open_sessions())
    clinic.sent(clinic.open_stop(), ONE)
    clinic.latches("stim-7", Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-7") == ["StopConfirmed stim-7 telemetry", "SessionAdvanced stopping"]
    assert clinic.shows("stim-12") == []
    # One message for all, as long as one of them has not measured zero.
    assert clinic.after(0.0) == ["! stop all emergency_stop hold"]
    # Once A01 is open that one alone is told. The site's hold stays where it is retained.
    assert clinic.after(0.03) == ["StopUnconfirmed room-4 stim-12", "! stop stim-12 emergency_stop"]
    assert clinic.after(4.99) == []
    assert clinic.after(0.02) == ["! stop stim-12 emergency_stop"]
    clinic.latches("stim-12", Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry", "SessionAdvanced stopping"]
    assert clinic.after(2.0) == []


def test_stop_all_waits_for_no_device_that_was_lost_and_not_live() -> None:
    clinic = Clinic()
    clinic.ready("stim-7")
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    clinic.shows("stim-7")
    assert list(clinic.state.durable.stops[clinic.open_stop()].pursuits) == ["stim-12"]
    assert clinic.after(6.0) == []  # stim-12 was never heard of: it comes up into the retained hold


def test_a_stop_withholds_whatever_was_live_when_it_was_pushed() -> None:
    for device in ("stim-12", None):
        clinic = Clinic()
        clinic.running()
        clinic.pushes_stop(device)
        assert [s.withheld for s in clinic.state.open_sessions() if s.state in LIVE_STATES] == ["stop"]


def test_a_stop_is_published_once_for_all_its_devices() -> None:
    clinic = Clinic()
    clinic.pushes_stop(None)
    published = [event for event in clinic.journal if isinstance(event, StopPublished)]
    assert published == []
    clinic.sent(clinic.open_stop(), ONE)
    (event,) = [event for event in clinic.journal if isinstance(event, StopPublished)]
    assert event.hold_id == ONE
    assert clinic.state.durable.holds[ALL][0].hold_id == ONE
    assert clinic.hears(inputs.StopSent("c" * 32, TWO, clinic.now_s, clinic.wall_s)) == []


def test_what_somebody_is_called_never_holds_up_a_stop() -> None:
    for called, shown in (("", "-"), ("x" * 80, "x" * 64), ("a\nda", "a da")):
        clinic = Clinic()
        effect = clinic.decides(replace(clinic.push(), issued_by=called)).at_once[0]
        assert isinstance(effect, SendStop)
        assert effect.message.issued_by == shown
