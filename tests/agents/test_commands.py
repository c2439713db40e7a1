"""What the fleet's messages may do at the device: refused with the reason, repeated without effect, never loosening."""

from dataclasses import replace

import pytest

from agents.simulation.faults import FaultKind
from agents.steps import Durable, Press
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    AckStatus,
    Cancel,
    CommandRefusal,
    CommandRefused,
    EventKind,
    Holds,
    Phase,
)
from tests.agents.clinic import PLAN, SESSION, SETTINGS, Clinic

OTHER_SESSION = "77" * 16
REFUSED = AckStatus.REFUSED.value


def only_ack(clinic: Clinic, command_id: str) -> str | None:
    """The reason of a refusal that was received and then refused; None where it was done."""
    received, outcome = clinic.acks(command_id)
    assert received == ("received", None)
    return outcome[1] if outcome[0] == REFUSED else None


# --- authorisation ----------------------------------------------------------------------------------------------------


def test_an_authorisation_that_fits_is_accepted() -> None:
    clinic = Clinic()
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) is None
    assert clinic.phase() is Phase.AUTHORISED
    assert clinic.on_disk.fleet_n == 3
    assert clinic.true_ma() == 0.0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"boot_n": 6}, CommandRefusal.OTHER_BOOT),
        ({"answers": 1}, CommandRefusal.UNKNOWN_SAMPLE),
        ({"answers": 10**9}, CommandRefusal.UNKNOWN_SAMPLE),
        ({"room": "room-5"}, CommandRefusal.OTHER_ROOM),
        ({"plan": replace(PLAN, setting_ma_max=121.0)}, CommandRefusal.BEYOND_LIMITS),
        ({"plan": replace(PLAN, pulse_width_us=501.0)}, CommandRefusal.BEYOND_LIMITS),
        ({"plan": replace(PLAN, frequency_hz=121.0)}, CommandRefusal.BEYOND_LIMITS),
        ({"plan": replace(PLAN, electrode_area_cm2=4.0)}, CommandRefusal.BEYOND_LIMITS),
        ({"plan": replace(PLAN, ramp_up_s=0.4)}, CommandRefusal.BEYOND_LIMITS),
        ({"plan": replace(PLAN, duration_s=1801.0)}, CommandRefusal.BEYOND_LIMITS),
        ({"limits": GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=59.0)}, CommandRefusal.BEYOND_LIMITS),
    ],
)
def test_an_authorisation_that_does_not_fit(changed: dict[str, object], reason: CommandRefusal) -> None:
    clinic = Clinic()
    wanted = clinic.authorisation(**changed)
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == reason.value
    assert clinic.phase() is Phase.IDLE
    (refused,) = clinic.events(EventKind.COMMAND_REFUSED)
    assert refused.detail == CommandRefused("authorisation", wanted.command_id, reason)


def test_the_devices_own_settings_refuse_what_the_fleet_would_allow() -> None:
    settings = replace(SETTINGS, limits=GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=50.0))
    clinic = Clinic(durable=Durable(boot_n=1, settings=settings))
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == "beyond_limits"


def test_a_device_that_nobody_put_into_a_room_is_in_none() -> None:
    clinic = Clinic(durable=Durable(boot_n=1))
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == "other_room"
    assert clinic.samples()[-1].settings_version == 0


def test_a_replaced_fleet_instance_is_not_heard() -> None:
    clinic = Clinic(durable=Durable(boot_n=1, fleet_n=4, settings=SETTINGS))
    wanted = clinic.authorisation(fleet_n=3)
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == "old_fleet"
    clinic.authorise(fleet_n=4)
    assert clinic.phase() is Phase.AUTHORISED


@pytest.mark.parametrize("age_s", [29.9, 30.1])
def test_an_authorisation_is_worth_30_s_from_its_sample(age_s: float) -> None:
    clinic = Clinic()
    wanted = clinic.authorisation()
    sent_s = next(each.sent_s for each in clinic.state.sent.samples if each.seq == wanted.answers)
    clinic.run(sent_s + age_s - clinic.now_s)
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == (None if age_s < 30.0 else "stale")


def test_a_retained_authorisation_is_worth_nothing() -> None:
    clinic = Clinic()
    wanted = clinic.authorisation()
    clinic.hear(wanted, retained=True)
    assert only_ack(clinic, wanted.command_id) == "stale"
    assert clinic.phase() is Phase.IDLE
    clinic.hear(wanted)
    assert clinic.phase() is Phase.AUTHORISED, "a refusal for staleness is not stored"


def test_a_repeated_authorisation_repeats_its_outcome_and_does_nothing() -> None:
    clinic = Clinic()
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    clinic.press(Press.STOP)
    clinic.run(0.5)
    assert clinic.phase() is Phase.IDLE
    clinic.run(0.6)  # a second after it was answered it is answered again
    clinic.hear(wanted)
    assert clinic.acks(wanted.command_id) == [("received", None), ("done", None), ("done", None)]
    assert clinic.phase() is Phase.IDLE
    refused = clinic.authorisation(room="room-9")
    clinic.hear(refused)
    clinic.run(1.1)
    clinic.hear(refused)
    assert clinic.acks(refused.command_id)[1:] == [(REFUSED, "other_room"), (REFUSED, "other_room")]


@pytest.mark.parametrize("stale", [False, True])
def test_a_flood_of_one_recorded_command_costs_no_flood_of_answers(stale: bool) -> None:
    """Stored or not, done or refused: 4,000 a second are answered once a second."""
    clinic = Clinic()
    wanted = clinic.authorisation(answers=1) if stale else Cancel(clinic.boot_n, clinic.command_id(), OTHER_SESSION)
    clinic.forget()
    for _ in range(60):
        for _ in range(200):
            clinic.hear(wanted)
        clinic.run(0.05)
    assert 2 <= len(clinic.acks(wanted.command_id)) <= 2 * 4
    assert clinic.phase() is Phase.IDLE


def test_what_was_stale_a_moment_ago_may_come_again_and_count() -> None:
    """Nothing was stored: the same command with a fresh sample is judged anew, and answered."""
    clinic = Clinic()
    wanted = clinic.authorisation(answers=1)
    clinic.hear(wanted)
    clinic.hear(replace(wanted, answers=clinic.last_seq))
    assert clinic.phase() is Phase.AUTHORISED
    assert clinic.acks(wanted.command_id)[-1] == ("done", None)


def test_outcomes_are_remembered_for_64_commands() -> None:
    clinic = Clinic()
    for _ in range(100):
        clinic.hear(Cancel(clinic.boot_n, clinic.command_id(), OTHER_SESSION))
    assert len(clinic.state.decided) == 64
    assert len(clinic.events(EventKind.COMMAND_REFUSED)) == 1, "a burst is told once"
    clinic.run(10.1)
    clinic.hear(Cancel(clinic.boot_n, clinic.command_id(), OTHER_SESSION))
    assert len(clinic.events(EventKind.COMMAND_REFUSED)) == 2


def test_an_authorisation_counts_in_idle_only() -> None:
    clinic = Clinic()
    clinic.authorise()
    second = clinic.authorisation(session_id=OTHER_SESSION)
    clinic.hear(second)
    assert only_ack(clinic, second.command_id) == "not_idle"
    assert clinic.state.session is not None
    assert clinic.state.session.session_id == SESSION


def test_latched_or_held_nothing_is_authorised() -> None:
    clinic = Clinic()
    clinic.press(Press.STOP_BUTTON)
    latched = clinic.authorisation()
    clinic.hear(latched)
    assert only_ack(clinic, latched.command_id) == "latched"
    held = Clinic(durable=Durable(boot_n=1, settings=SETTINGS, holds=Holds.of(service=True)))
    wanted = held.authorisation()
    held.hear(wanted)
    assert only_ack(held, wanted.command_id) == "held"


@pytest.mark.parametrize(
    ("fault", "size"), [(FaultKind.BATTERY_DIES, 19.9), (FaultKind.OVERHEATS, 60.0), (FaultKind.SENSOR_LOST, None)]
)
def test_a_stimulator_that_is_not_ready(fault: FaultKind, size: float | None) -> None:
    clinic = Clinic()
    clinic.suffer(fault, size)
    clinic.run(2.0)
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    assert only_ack(clinic, wanted.command_id) == "not_ready"


def test_a_disk_that_does_not_answer_makes_not_ready() -> None:
    clinic = Clinic()
    clinic.disk = False
    clinic.hear(replace(SETTINGS, version=2))
    clinic.run(6.0)
    wanted = clinic.authorisation()
    clinic.hear(wanted)
    clinic.disk = True
    clinic.run(0.1)
    assert only_ack(clinic, wanted.command_id) == "not_ready"
    clinic.authorise()
    assert clinic.phase() is Phase.AUTHORISED


def test_too_late_to_start() -> None:
    """120 s after the answered sample the authorisation has expired: authorised or armed, without a word of alarm."""
    clinic = Clinic()
    clinic.authorise()
    clinic.run(121.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.events() == []
    clinic.until_armed()
    clinic.run(121.0)
    assert clinic.phase() is Phase.IDLE
    assert clinic.kinds() == [EventKind.SESSION_ARMED, EventKind.SESSION_DISARMED]
    assert clinic.on_disk.live_session_id is None


# --- cancel -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
def test_a_cancel_that_comes_too_late(phase: Phase) -> None:
    clinic = Clinic()
    clinic.until_running()
    if phase is Phase.PAUSED:
        clinic.press(Press.PAUSE)
    cancel = Cancel(clinic.boot_n, clinic.command_id(), SESSION)
    clinic.hear(cancel)
    assert only_ack(clinic, cancel.command_id) == "already_running"
    assert clinic.phase() is phase


def test_a_cancel_of_another_session_or_boot() -> None:
    clinic = Clinic()
    clinic.authorise()
    for cancel, reason in (
        (Cancel(clinic.boot_n, clinic.command_id(), OTHER_SESSION), "other_session"),
        (Cancel(clinic.boot_n - 1, clinic.command_id(), SESSION), "other_boot"),
    ):
        clinic.hear(cancel)
        assert only_ack(clinic, cancel.command_id) == reason
    assert clinic.phase() is Phase.AUTHORISED


def test_a_cancel_while_arming_is_under_way() -> None:
    """The marker is on its way to the disk when the fleet withdraws: not armed, and the therapist is told."""
    clinic = Clinic()
    clinic.authorise()
    clinic.disk = False
    from agents.steps import Pressed

    clinic.stepper.feed(Pressed(clinic.now_s, 900, Press.ARM))
    clinic.stepper.feed(Pressed(clinic.now_s, 901, Press.ARM))
    clinic.hear(Cancel(clinic.boot_n, clinic.command_id(), SESSION))
    clinic.disk = True
    clinic.run(0.1)
    assert clinic.phase() is Phase.IDLE
    assert not clinic.reply(900).accepted
    assert clinic.reply(901).words == "Arming is under way."
    assert clinic.on_disk.live_session_id is None
