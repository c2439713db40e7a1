"""Leases, stops, holds and settings at the device: permission runs out, holds stay, limits only get tighter."""

from dataclasses import replace

import pytest

from agents.simulation.faults import FaultKind
from agents.steps import Durable, HeardStop, Press
from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    AckStatus,
    CommandRefusal,
    CommandRefused,
    EventKind,
    Holds,
    Lease,
    Phase,
    Scope,
    Settings,
)
from tests.agents.clinic import SESSION, SETTINGS, Clinic

OTHER_SESSION = "77" * 16
REFUSED = AckStatus.REFUSED.value


def only_ack(clinic: Clinic, command_id: str) -> str | None:
    """The reason of a refusal that was received and then refused; None where it was done."""
    received, outcome = clinic.acks(command_id)
    assert received == ("received", None)
    return outcome[1] if outcome[0] == REFUSED else None


# --- lease ------------------------------------------------------------------------------------------------------------


def paused_without_link() -> Clinic:
    """Permission has run out in a pause; samples go out, nothing is answered."""
    clinic = Clinic()
    clinic.until_running()
    clinic.press(Press.PAUSE)
    clinic.link = False
    clinic.run(6.0)
    assert not clinic.press(Press.RESUME).accepted
    return clinic


def margin_s(clinic: Clinic) -> float:
    assert clinic.state.session is not None
    return clinic.state.session.permission.margin_s(clinic.now_s)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"boot_n": 6}, CommandRefusal.OTHER_BOOT),
        ({"fleet_n": 2}, CommandRefusal.OLD_FLEET),
        ({"answers": 3}, CommandRefusal.UNKNOWN_SAMPLE),
        ({"session_id": OTHER_SESSION}, None),
    ],
)
def test_a_lease_that_allows_nothing(changed: dict[str, object], told: CommandRefusal | None) -> None:
    clinic = paused_without_link()
    before = clinic.state.leases_refused
    clinic.lease(clinic.last_seq, **changed)
    assert margin_s(clinic) < 0.0
    assert clinic.state.leases_refused == before + 1
    assert [each.detail for each in clinic.events(EventKind.COMMAND_REFUSED)] == (
        [] if told is None else [CommandRefused("lease", None, told)]
    )
    clinic.lease(clinic.last_seq)
    assert margin_s(clinic) > 4.0


def test_a_retained_lease_allows_nothing() -> None:
    clinic = paused_without_link()
    clinic.hear(Lease(3, clinic.boot_n, SESSION, clinic.last_seq, 5000), retained=True)
    assert margin_s(clinic) < 0.0


def test_a_lease_is_worth_what_is_left_since_its_sample_was_sent() -> None:
    clinic = paused_without_link()
    seq = clinic.last_seq
    sent_s = next(each.sent_s for each in clinic.state.sent.samples if each.seq == seq)
    clinic.run(3.0)
    clinic.lease(seq, ttl_ms=4500)
    assert margin_s(clinic) == pytest.approx(sent_s + 4.5 - clinic.now_s)
    clinic.lease(seq, ttl_ms=10_000)
    assert margin_s(clinic) == pytest.approx(sent_s + 4.5 - clinic.now_s), "a repeated one extends nothing"
    clinic.run(1.4)
    assert clinic.press(Press.RESUME).accepted
    clinic.run(0.3)
    assert clinic.state.durable.latch is Cause.LEASE_LOST


def test_a_late_lease_is_worth_nothing() -> None:
    clinic = paused_without_link()
    seq = clinic.last_seq
    clinic.run(5.1)
    clinic.lease(seq)
    assert margin_s(clinic) < 0.0


def test_a_lease_without_a_session_or_for_an_idle_sample() -> None:
    clinic = Clinic()
    idle_seq = clinic.last_seq
    clinic.lease(idle_seq)
    assert clinic.state.leases_refused == 1
    clinic.authorise()
    clinic.press(Press.ARM)
    clinic.lease(idle_seq)
    assert clinic.state.leases_refused == 2


def test_the_thinnest_margin_is_kept() -> None:
    clinic = Clinic()
    clinic.until_running()
    clinic.run(5.0)
    assert clinic.state.session is not None
    least_s = clinic.state.session.margin_least_s
    assert least_s is not None
    assert least_s == pytest.approx(4.5, abs=0.11)


def test_a_new_fleet_instance_is_remembered() -> None:
    clinic = Clinic()
    clinic.until_running()
    clinic.run(0.5)
    clinic.link = False
    clinic.run(0.6)
    clinic.lease(clinic.last_seq, fleet_n=9)
    assert clinic.on_disk.fleet_n == 9


# --- stops and holds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_any_bytes_stop_in_any_phase(phase: Phase) -> None:
    """Something that cannot be believed arrives on the stop topic: emergency stop, with a hold."""
    clinic = Clinic()
    match phase:
        case Phase.AUTHORISED:
            clinic.authorise()
        case Phase.ARMED:
            clinic.until_armed()
        case Phase.RUNNING | Phase.PAUSED | Phase.STOPPING:
            clinic.until_running(5.0)
            if phase is Phase.PAUSED:
                clinic.press(Press.PAUSE)
            if phase is Phase.STOPPING:
                clinic.press(Press.STOP)
        case Phase.LATCHED:
            clinic.press(Press.STOP_BUTTON)
        case Phase.FAULT:
            clinic.suffer(FaultKind.DRIVER_SILENT)
            clinic.run(2.0)
        case Phase.IDLE:
            pass
    assert clinic.phase() is phase
    clinic.stepper.feed(HeardStop(clinic.now_s, Scope.ALL, None, "cd" * 8, retained=True))
    clinic.settle_disk()
    assert clinic.true_ma() == 0.0
    assert not clinic.state.drive.enabled
    assert clinic.on_disk.holds.all == ("cd" * 8,)
    expected = Cause.PATIENT_STOP if phase is Phase.LATCHED else Cause.EMERGENCY_STOP
    assert clinic.on_disk.latch is expected
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED


def test_a_stop_whose_cause_would_not_latch_is_an_emergency_stop() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    clinic.stop_from_fleet(Cause.THERAPIST_STOP)
    assert clinic.true_ma() == 0.0
    assert clinic.on_disk.latch is Cause.EMERGENCY_STOP


def test_a_repeated_stop_adds_nothing_but_is_answered() -> None:
    clinic = Clinic()
    stop = clinic.stop_from_fleet()
    clinic.run(1.1)
    clinic.forget()
    clinic.stepper.feed(HeardStop(clinic.now_s, Scope.DEVICE, stop, "ab" * 8))
    clinic.run(0.3)
    assert clinic.acks(stop.command_id) == [("received", None), ("done", None)]
    assert clinic.events() == []
    assert clinic.on_disk.holds.device == ("ab" * 8,)


def test_a_stop_repeated_by_the_thousand_is_obeyed_each_time_and_answered_once_a_second() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    stop = clinic.stop_from_fleet()
    for _ in range(20):
        for _ in range(200):
            clinic.stepper.feed(HeardStop(clinic.now_s, Scope.DEVICE, stop, "ab" * 8))
        assert clinic.true_ma() == 0.0
        clinic.run(0.05)
    clinic.run(0.3)
    assert clinic.acks(stop.command_id).count(("received", None)) <= 2
    assert 1 <= clinic.acks(stop.command_id).count(("done", None)) <= 2


def test_a_repeat_with_another_hold_is_done_when_that_hold_is_on_disk() -> None:
    clinic = Clinic()
    stop = clinic.stop_from_fleet()
    clinic.run(0.3)
    clinic.forget()
    clinic.disk = False
    clinic.stepper.feed(HeardStop(clinic.now_s, Scope.ALL, stop, "cd" * 8))
    clinic.run(0.3)
    assert clinic.acks(stop.command_id) == []
    clinic.disk = True
    clinic.run(0.3)
    assert clinic.acks(stop.command_id) == [("done", None)]
    assert clinic.on_disk.holds.all == ("cd" * 8,)


def test_done_waits_for_the_disk() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    clinic.disk = False
    stop = clinic.stop_from_fleet()
    clinic.run(2.0)
    assert clinic.true_ma() == 0.0
    assert clinic.acks(stop.command_id) == []
    assert [each.command_id for each in clinic.state.stops] == [stop.command_id], "not done, whatever is measured"
    clinic.disk = True
    clinic.run(0.3)
    assert clinic.acks(stop.command_id) == [("received", None), ("done", None)]


def test_done_waits_for_measured_zero_and_no_reading_is_not_zero() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    clinic.suffer(FaultKind.SENSOR_LOST)
    stop = clinic.stop_from_fleet()
    clinic.run(3.0)
    assert clinic.acks(stop.command_id) == [("received", None)]
    clinic.stimulator.heal(FaultKind.SENSOR_LOST)
    clinic.run(1.0)
    assert clinic.acks(stop.command_id)[-1] == ("done", None)


def test_sixteen_holds_by_name_then_more() -> None:
    clinic = Clinic()
    names = [f"{number:016x}" for number in range(20)]
    for scope in (Scope.DEVICE, Scope.ALL):
        for name in names:
            clinic.stop_from_fleet(scope=scope, hold_id=name)
    assert clinic.on_disk.holds == Holds.of(tuple(names[:16]), tuple(names[:16]), service=False, more=True)
    assert len(clinic.events(EventKind.HOLD_SET)) == 33, "each by name, and once that there are more"
    clinic.run(0.3)
    clinic.release(*names[:16])
    assert clinic.on_disk.holds == Holds.of((), tuple(names[:16]), service=False, more=True)
    clinic.release(*names[:16], scope=Scope.ALL)
    assert not clinic.on_disk.holds, "the fleet sends again what it finds missing"
    assert len(clinic.events(EventKind.HOLD_LIFTED)) == 32


def test_a_release_that_lifts_nothing() -> None:
    clinic = Clinic(durable=Durable(boot_n=1, fleet_n=3, settings=SETTINGS))
    clinic.stop_from_fleet(hold_id="ab" * 8)
    for changed, reason in (
        ({"holds": ("ee" * 8,)}, "unknown_hold"),
        ({"scope": Scope.ALL}, "unknown_hold"),
        ({"scope": Scope.SERVICE}, "unknown_hold"),
        ({"boot_n": 1}, "other_boot"),
        ({"answers": 1}, "unknown_sample"),
        ({"fleet_n": 2}, "old_fleet"),
    ):
        command_id = clinic.command_id()
        clinic.release("ab" * 8, command_id=command_id, **changed)
        assert only_ack(clinic, command_id) == reason
        assert clinic.on_disk.holds.device == ("ab" * 8,)


# --- settings ---------------------------------------------------------------------------------------------------------


def limited(version: int, **values: float) -> Settings:
    return replace(SETTINGS, version=version, limits=GENERIC_PROFILE.tightened_by(Layer.CLINIC, **values))


def test_only_a_higher_version_counts() -> None:
    clinic = Clinic()
    clinic.hear(replace(limited(1, peak_ma_max=10.0)))
    assert clinic.state.durable.settings == SETTINGS
    clinic.hear(limited(5, peak_ma_max=70.0), retained=True)
    assert clinic.on_disk.settings == limited(5, peak_ma_max=70.0)
    clinic.hear(limited(4))
    assert clinic.on_disk.settings == limited(5, peak_ma_max=70.0)


def test_the_fleet_hears_at_once_that_new_settings_are_in_force() -> None:
    clinic = Clinic()
    clinic.run(1.0)
    clinic.hear(limited(5))
    clinic.run(0.05)
    assert clinic.samples()[-1].settings_version == 5


def test_tighter_applies_at_once_looser_with_the_next_authorisation() -> None:
    clinic = Clinic()
    clinic.until_running(30.0)
    clinic.hear(limited(2, peak_ma_max=20.0))
    assert clinic.setting_ma == 20.0
    clinic.run(0.05)
    assert clinic.true_ma() <= 20.0 + 1e-9
    clinic.until_on_phase()
    assert clinic.true_ma() == pytest.approx(20.0)
    clinic.hear(limited(3))
    assert not clinic.press(Press.RAISE).accepted, "20 mA stays the limit of this session"
    clinic.press(Press.STOP)
    clinic.run(2.0)
    clinic.until_running(22.0)
    assert clinic.setting_ma == 22.0


def test_a_pulse_that_new_settings_forbid_ends_the_session() -> None:
    clinic = Clinic()
    clinic.until_running(10.0)
    clinic.hear(limited(2, pulse_width_us_max=250.0))
    assert clinic.true_ma() == 0.0, "not even the ramp is within the limits"
    clinic.run(1.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.CANCELLED


def test_a_shorter_session_is_over_when_it_has_lasted_longer() -> None:
    clinic = Clinic()
    clinic.until_running()
    clinic.run(10.0)
    clinic.hear(limited(2, session_s_max=5.0))
    clinic.run(0.5)
    assert clinic.ended()[0] is Cause.COMPLETED


def test_service_hold_stops_a_session_and_only_its_release_lifts_it() -> None:
    clinic = Clinic()
    clinic.until_running(5.0)
    clinic.hear(replace(SETTINGS, version=2, service_hold=True))
    assert clinic.true_ma() == 0.0
    clinic.run(4.0)
    assert clinic.on_disk.latch is Cause.RULE_STOP
    clinic.hear(replace(SETTINGS, version=3, service_hold=False))
    assert clinic.on_disk.holds.service, "settings do not lift it"
    assert not clinic.press(Press.RESET).accepted
    clinic.release(scope=Scope.SERVICE)
    assert not clinic.on_disk.holds
    assert clinic.press(Press.RESET).accepted


def test_service_hold_withdraws_an_authorisation_and_holds_an_idle_device() -> None:
    clinic = Clinic()
    clinic.authorise()
    clinic.hear(replace(SETTINGS, version=2, service_hold=True))
    assert clinic.phase() is Phase.IDLE
    assert clinic.ended()[0] is Cause.CANCELLED
    clinic.hear(replace(SETTINGS, version=3, service_hold=True))
    assert len(clinic.events(EventKind.HOLD_SET)) == 1
    assert clinic.on_disk.latch is None


def test_periods_come_from_settings() -> None:
    clinic = Clinic(durable=Durable(boot_n=1, settings=replace(SETTINGS, idle_period_s=1.0, live_period_s=0.1)))
    clinic.forget()
    clinic.run(10.0)
    assert len(clinic.samples()) in {9, 10, 11}
    clinic.until_armed()
    clinic.forget()
    clinic.run(3.0)
    assert len(clinic.samples()) in {29, 30, 31}
    plain = Clinic(durable=Durable(boot_n=1))
    plain.forget()
    plain.run(20.0)
    assert len(plain.samples()) in {3, 4, 5}
