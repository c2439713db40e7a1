"""Whom a stop follows, what it finds there, and how long: nothing that a device says puts it off, and nothing that
people push grows without a bound.
"""

from copy import deepcopy
from dataclasses import replace

import pytest

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, Phase, Scope
from fleet.core import inputs
from fleet.core.events import AlarmRaised, StopFoundLive, StopOrdered, StopPushedAgain, StopUnconfirmed
from fleet.core.fold_stops import UNKNOWN_KEPT
from fleet.core.state import State
from tests.core.clinic import ONE, TWO, WALL, Clinic

# --- output that is seen after the stop -----------------------------------------------------------------------------


def test_h12_output_that_is_seen_after_the_stop_opens_a01() -> None:
    clinic = Clinic()
    clinic.authorised()
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    clinic.sent(command_id, ONE)
    stim = clinic.stims["stim-12"]
    stim.phase, stim.shown = Phase.RUNNING, {"setting_ma": 30.0, "amplitude_ma": 29.5}
    clinic.now_s += 0.5
    decision = clinic.decides(inputs.Received("stim-12", stim.sample(), clinic.now_s, clinic.wall_s))
    (event,) = decision.events
    assert isinstance(event, StopFoundLive)
    assert (event.command_id, event.device, event.phase) == (command_id, "stim-12", "running")
    assert (event.boot_n, event.seq, event.amplitude_ma) == (7, stim.seq, 29.5)
    assert event.pulse_period_s == pytest.approx(1 / 40)
    found_s = clinic.now_s
    # Now it is as urgent as one that was live: repeated, and A01 a second and one pulse period from here.
    assert clinic.after(0.0) == ["! stop stim-12 emergency_stop hold"]
    assert clinic.after(0.326) == ["! stop stim-12 emergency_stop hold"]
    clinic.now_s = found_s
    assert "StopUnconfirmed room-4 stim-12" not in clinic.after(1.024)
    decision = clinic.decides(inputs.Tick(found_s + 1.026, clinic.wall_s))
    event, alarm = decision.events
    assert isinstance(event, StopUnconfirmed)
    assert event.waited_s == pytest.approx(1.026)
    assert isinstance(alarm, AlarmRaised)
    # Found once; and nobody releases what has output.
    assert clinic.shows("stim-12") == []
    assert clinic.releases() == ["> refused stop_unconfirmed"]
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry"]
    assert clinic.releases()[0] == "HoldReleased"


def test_h12_output_without_a_session_after_a_restart_opens_a01() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.restarts()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.shows("stim-12", amplitude_ma=None) == []
    assert clinic.shows("stim-12", amplitude_ma=0.99, phase=Phase.STOPPING) == ["StopFoundLive"]
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(1.01)


def test_one_milliampere_in_an_idle_device_after_a_stop_is_output() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.pushes_stop()
    assert clinic.shows("stim-12", amplitude_ma=1.0) == ["StopFoundLive"]


def test_each_device_of_a_site_stop_is_urgent_by_itself() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.pushes_stop(None)
    clinic.sent(clinic.open_stop(), ONE)
    clinic.shows("stim-7", amplitude_ma=5.0, frequency_hz=2.0)
    assert clinic.after(1.499) == ["! stop all emergency_stop hold"]
    assert clinic.after(0.002) == ["StopUnconfirmed room-1 stim-7", "! stop stim-7 emergency_stop"]


def test_what_was_found_live_is_known_after_a_restart_and_a_zero_from_before_it_is_old() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.pushes_stop()
    recorded = clinic.stims["stim-12"].sample()
    clinic.shows("stim-12", amplitude_ma=9.0)
    clinic.sent(clinic.open_stop(), ONE)
    clinic.restarts()
    assert clinic.says("stim-12", recorded) == ["! count overtaken"]
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(2.0)


def test_after_a_boot_of_the_host_a01_counts_from_the_take_over() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop(None)
    clinic.now_s = 50.0
    clinic.state = State(durable=deepcopy(clinic.state.durable))
    clinic.hears(inputs.TookOver("host-boot-2", clinic.now_s, clinic.wall_s))
    assert clinic.after(1.0) == ["! stop all emergency_stop hold"]
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(0.03)


def test_a_session_is_urgent_by_the_journal_too_when_no_sample_has_come_yet() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.restarts()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(2.0)


def test_a_waiting_authorisation_opens_no_a01_and_1_ma_does() -> None:
    clinic = Clinic()
    clinic.authorised()
    clinic.pushes_stop()
    assert "StopUnconfirmed room-4 stim-12" not in clinic.after(3.0)
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.shows("stim-12", amplitude_ma=1.0)
    clinic.pushes_stop()
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(3.0)


# --- how long -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency_hz", [0.001, 0.5, 1.0])
def test_h12_no_frequency_that_a_device_names_puts_off_the_repeat_or_a01(frequency_hz: float) -> None:
    # 1 Hz is the lowest that any plan may have: a period is a second at most.
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.shows("stim-12", amplitude_ma=9.0, frequency_hz=frequency_hz)
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE, after_s=0.0)
    assert clinic.after(1.299) == []
    assert clinic.after(0.002) == ["! stop stim-12 emergency_stop hold"]
    assert clinic.after(0.698) == []
    assert clinic.after(0.002) == ["StopUnconfirmed room-4 stim-12", "! stop stim-12 emergency_stop hold"]


def test_while_the_broker_has_not_got_it_even_a_late_stop_is_sent_at_the_full_rate() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop()
    assert clinic.after(1.1) == ["StopUnconfirmed room-4 stim-12", "! stop stim-12 emergency_stop hold"]
    assert clinic.after(0.31) == ["! stop stim-12 emergency_stop hold"]
    assert clinic.after(0.31) == ["! stop stim-12 emergency_stop hold"]


# --- pushed again and again -----------------------------------------------------------------------------------------


def test_a_second_push_joins_the_stop_that_is_open_and_goes_out_at_once() -> None:
    clinic = Clinic()
    clinic.running()
    first = clinic.decides(clinic.push())
    decision = clinic.decides(replace(clinic.push(), issued_by="dr-noor", reason="still in pain"))
    (event,) = decision.events
    assert isinstance(event, StopPushedAgain)
    assert (event.device, event.issued_by, event.reason) == ("stim-12", "dr-noor", "still in pain")
    assert decision.at_once == (first.at_once[0],)
    assert decision.after_commit == first.after_commit
    for _ in range(1000):
        clinic.pushes_stop()
        clinic.now_s += 0.001
    assert len(clinic.state.durable.stops) == len(clinic.state.durable.holds["stim-12"]) == 1
    # Nothing is confirmed by pushing again, and A01 counts from the first time.
    assert "StopUnconfirmed room-4 stim-12" in clinic.after(0.03)


def test_a_push_after_zero_was_measured_is_a_stop_of_its_own() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.stopped(ONE)
    assert clinic.pushes_stop()[0] == "StopOrdered stim-12 emergency_stop"
    clinic.sent(clinic.open_stop(), TWO)
    assert [hold.hold_id for hold in clinic.state.durable.holds["stim-12"]] == [ONE, TWO]


def test_a_push_for_the_site_follows_anew_only_what_is_not_followed() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.pushes_stop(None)
    first = clinic.open_stop()
    clinic.sent(first, ONE)
    clinic.shows("stim-12")
    # stim-7 has not shown zero yet; stim-12 has, and gets a command that only a new zero answers.
    decision = clinic.decides(clinic.push(None))
    (event,) = decision.events
    assert isinstance(event, StopOrdered)
    assert [target.device for target in event.targets] == ["stim-12"]
    clinic.sent(event.stop.command_id, TWO)
    assert clinic.says("stim-12", messages.Ack(7, first, AckStatus.DONE, None, 0.0, WALL)) == []
    for _ in range(20):
        clinic.pushes_stop(None)
        assert list(clinic.state.durable.stops) == [first, event.stop.command_id]
    assert clinic.shows("stim-7") == ["StopConfirmed stim-7 telemetry"]
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry"]
    assert (clinic.state.durable.stops, clinic.state.durable.pursued) == ({}, {})


def test_stops_for_names_that_nobody_knows_all_go_out_and_the_newest_are_remembered() -> None:
    clinic = Clinic()
    clinic.pushes_stop("stim-7")
    clinic.pushes_stop(None)
    names = [f"unknown-{n}" for n in range(UNKNOWN_KEPT + 10)]
    for name in names:
        assert f"! stop {name} emergency_stop hold" in clinic.pushes_stop(name)
    followed = [stop.device for stop in clinic.state.durable.stops.values()]
    assert followed == ["stim-7", "all", *names[10:]]
    assert list(clinic.state.durable.holds) == ["stim-7", "all", *names[10:]]
    assert set(clinic.state.durable.pursued) == {"stim-7", "stim-12", *names[10:]}
    # What was forgotten may still be reported, and is still lifted for as long as it is known.
    forgotten = next(e.stop.command_id for e in clinic.journal if isinstance(e, StopOrdered) and e.device == names[0])
    assert clinic.sent(forgotten, ONE) == []
    assert clinic.releases(names[0]) == ["> refused no_hold"]


# --- whom -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reserved", ["fleet", "fleet-safety", "fleet-intake"])
def test_a_name_that_no_device_can_have_gets_no_stop(reserved: str) -> None:
    clinic = Clinic()
    assert clinic.pushes_stop(reserved) == ["> refused device_unknown"]
    assert clinic.pushes_stop("all")[:2] == ["StopOrdered all emergency_stop", "! stop all emergency_stop hold"]


def test_stop_all_does_not_wait_for_ever_for_a_device_off_the_list_that_is_not_heard() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.changes_device("stim-7", struck_off=True)
    assert clinic.pushes_stop(None)[1] == "! stop all emergency_stop hold"
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry"]
    assert clinic.state.durable.stops == {}


def test_stop_all_follows_a_device_off_the_list_that_is_heard_or_had_a_session() -> None:
    clinic = Clinic()
    clinic.ready("stim-7")
    clinic.running("stim-12")
    clinic.changes_registry(devices={})
    clinic.pushes_stop(None)
    assert set(clinic.state.durable.pursued) == {"stim-12", "stim-7"}
    # Both fall silent. Only the one that was in a session still counts.
    clinic = Clinic()
    clinic.ready("stim-7")
    clinic.running("stim-12")
    clinic.changes_registry(devices={})
    clinic.after(31.0)
    clinic.pushes_stop(None)
    assert set(clinic.state.durable.pursued) == {"stim-12"}
    clinic.sent(clinic.open_stop(), ONE)
    assert "StopUnconfirmed  stim-12" in clinic.after(2.0)


def test_a_site_without_devices_is_stopped_too() -> None:
    clinic = Clinic()
    clinic.changes_registry(devices={})
    clinic.pushes_stop(None)
    assert clinic.pushes_stop(None)[0] == "StopPushedAgain"
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.state.durable.stops == {}
    assert clinic.releases(None, Scope.ALL)[0] == "HoldReleased"
