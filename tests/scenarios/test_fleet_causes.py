"""One story per row of the table of causes (domain.md), as the fleet lives it.

What ends at the device is reported, and the session becomes what the table says; a latch waits for a person there.
What the fleet ends by itself is pushed with the row's cause, and with a hold where the row has one.
"""

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Measured, Phase
from fleet.core import inputs
from fleet.core.events import SessionState
from tests.core.clinic import ONE, Clinic

ENDS_WITHOUT_A_LATCH = {
    Cause.COMPLETED: SessionState.COMPLETED,
    Cause.THERAPIST_STOP: SessionState.ABORTED,
    Cause.PAUSE_TIMEOUT: SessionState.ABORTED,
    Cause.BATTERY_EMPTY: SessionState.ABORTED,
    Cause.CANCELLED: SessionState.ABORTED,  # once it ran, there is nothing to withdraw
}
LATCHES_AT_THE_DEVICE = [
    Cause.PATIENT_STOP,
    Cause.LEASE_LOST,
    Cause.OVER_LIMIT,
    Cause.OUTPUT_STUCK,
    Cause.SENSOR_FROZEN,
    Cause.OVER_TEMPERATURE,
    Cause.SELF_TEST_FAILED,
    Cause.WATCHDOG_TRIPPED,
]
PAUSES = {
    Cause.ELECTRODE_OPEN: EventKind.ELECTRODE_OPEN,
    Cause.ELECTRODE_SHORT: EventKind.ELECTRODE_SHORT,
    Cause.ELECTRODE_DEGRADED: EventKind.ELECTRODE_DEGRADED,
}
ENDED_BY_THE_FLEET = [Cause.EMERGENCY_STOP, Cause.RULE_STOP, Cause.SESSION_CAP, Cause.REBOOT]


def test_every_row_of_the_table_has_its_story() -> None:
    told = [*ENDS_WITHOUT_A_LATCH, *LATCHES_AT_THE_DEVICE, *PAUSES, *ENDED_BY_THE_FLEET]
    assert sorted(told) == sorted(Cause)


@pytest.mark.parametrize(("cause", "state"), ENDS_WITHOUT_A_LATCH.items())
def test_it_ends_softly_and_the_device_may_be_asked_for_again(cause: Cause, state: SessionState) -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]

    # The output ramps down, and the end is reported.
    stim.phase, stim.shown = Phase.STOPPING, {"setting_ma": 10.0, "amplitude_ma": 9.0}
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping", f"! lease stim-12 {stim.seq}"]
    assert clinic.says("stim-12", stim.ended(cause)) == [
        "DeviceReported session_ended",
        f"SessionEnded {state} {cause}",
        "> receipt stim-12 1",
    ]

    # No latch: the device is idle, and free for the next client.
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    assert clinic.shows("stim-12") == []
    asked = clinic.asks(client="c-4712", request_id="request-2")
    assert asked == ["SessionAuthorised", "> authorisation stim-12", "> granted"]


@pytest.mark.parametrize("cause", LATCHES_AT_THE_DEVICE)
def test_it_latches_at_the_device_until_a_person_resets_it_there(cause: Cause) -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]

    clinic.latches(cause=cause)
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping"]
    assert clinic.says("stim-12", stim.ended(cause, session.session_id)) == [
        "DeviceReported session_ended",
        f"SessionEnded stopped_latched {cause}",
        "> receipt stim-12 1",
    ]

    # While it is latched, nothing is authorised there.
    assert clinic.asks(client="c-4712", request_id="request-2") == [
        "SessionRefused",
        "> refused device_latched, device_not_idle",
    ]

    # The latch is reset at the device: cleared, and running again it is not.
    stim.latched, stim.phase = None, Phase.IDLE
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    assert clinic.shows("stim-12") == ["SessionCleared"]
    assert clinic.session_on().state is SessionState.CLEARED


@pytest.mark.parametrize(("cause", "kind"), PAUSES.items())
def test_an_electrode_fault_pauses_and_the_session_goes_on_from_zero(cause: Cause, kind: EventKind) -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]

    stim.phase, stim.shown = Phase.PAUSED, {"impedance_ohm": None}
    assert clinic.says("stim-12", stim.event(kind, cause, Measured("impedance_ohm", 12_000.0, 10_000.0))) == [
        f"DeviceReported {kind}",
        "> receipt stim-12 1",
    ]
    assert clinic.shows("stim-12") == ["SessionAdvanced paused", f"! lease stim-12 {stim.seq}"]

    # The pad is put back, and the therapist resumes.
    stim.phase, stim.shown = Phase.RUNNING, {}
    assert clinic.shows("stim-12") == ["SessionAdvanced running", f"! lease stim-12 {stim.seq}"]

    # Ended out of such a pause, it was aborted.
    clinic.says("stim-12", stim.ended(cause, session.session_id))
    assert clinic.session_on().state is SessionState.ABORTED


def test_emergency_stop_is_pushed_with_a_hold() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.pushes_stop() == [
        "StopOrdered stim-12 emergency_stop",
        "SessionWithheld stop",
        "! stop stim-12 emergency_stop hold",
        "> ordered",
    ]
    assert clinic.shows("stim-12") == []
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    clinic.sent(clinic.open_stop(), ONE)
    assert clinic.shows("stim-12") == ["StopConfirmed stim-12 telemetry", "SessionAdvanced stopping"]
    clinic.says("stim-12", stim.ended(Cause.EMERGENCY_STOP, session.session_id))
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED


def test_rule_stop_follows_a_broken_limit_with_a_hold() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.shows("stim-12", setting_ma=40.5) == [
        "LimitExceeded setting_ma",
        "SessionWithheld limit",
        "StopOrdered stim-12 rule_stop",
        "! stop stim-12 rule_stop hold",
    ]
    clinic.says("stim-12", stim.ended(Cause.RULE_STOP, session.session_id))
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED


def test_session_cap_is_pushed_without_a_hold() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.shows("stim-12", elapsed_s=1206.0) == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "! stop stim-12 session_cap",
    ]
    assert clinic.state.durable.holds == {}
    clinic.says("stim-12", stim.ended(Cause.SESSION_CAP, session.session_id))
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED


def test_reboot_ends_a_live_session_latched() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    stim.boot_n += 1
    clinic.latches(cause=Cause.REBOOT)
    assert clinic.says("stim-12", stim.birth()) == [
        "DeviceBooted",
        "SessionEnded stopped_latched reboot",
        "DeviceBorn",
    ]
    assert clinic.shows("stim-12") == []
    # The spool that survived the power cut brings the numbers.
    assert clinic.says("stim-12", stim.ended(Cause.REBOOT, session.session_id)) == [
        "DeviceReported session_ended",
        "SessionEnded stopped_latched reboot",
        "> receipt stim-12 1",
    ]
    stim.latched, stim.phase = None, Phase.IDLE
    assert clinic.shows("stim-12") == ["SessionCleared"]


def test_a_reboot_before_the_session_was_armed_lets_the_authorisation_go() -> None:
    clinic = Clinic()
    clinic.authorised()
    stim = clinic.stims["stim-12"]
    stim.boot_n += 1
    stim.phase, stim.session_id = Phase.IDLE, None
    assert clinic.shows("stim-12") == ["DeviceBooted", "SessionExpired"]
    received = inputs.Received("stim-12", stim.sample(), clinic.now_s, clinic.wall_s)
    assert clinic.hears(received) == []
