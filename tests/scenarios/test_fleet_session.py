"""A session as the fleet lives it: asked for, authorised, armed, run, paused, ended; and every way that it is not."""

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import Layer, Limit
from broker.contract.messages import AckStatus, CommandRefusal, Phase
from fleet.core import inputs
from fleet.core.effects import Answer, Granted, SendAuthorisation, SendLease
from fleet.core.events import SessionState
from fleet.views import session_row
from tests.core.clinic import PLAN, WALL, Clinic


def test_a_session_from_the_request_to_its_completion() -> None:
    clinic = Clinic()
    stim = clinic.stims["stim-12"]

    # The device comes up for the first time, and is given its settings.
    assert clinic.says("stim-12", stim.birth()) == [
        "DeviceBooted",
        "DeviceBorn",
        "SettingsIssued",
        "> settings stim-12 1",
    ]
    stim.settings_version = 1
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]
    assert clinic.shows("stim-12") == ["DeviceReturned"]

    # The therapist asks; nothing goes to the device before it is in the journal.
    decision = clinic.decides(clinic.request())
    assert [type(event).__name__ for event in decision.events] == ["SessionAuthorised"]
    assert decision.at_once == ()
    sent = decision.after_commit[0]
    assert isinstance(sent, SendAuthorisation)
    assert (sent.device, sent.message.client, sent.message.operator, sent.message.room) == (
        "stim-12",
        "c-4711",
        "ada",
        "room-4",
    )
    assert (sent.message.boot_n, sent.message.answers, sent.message.fleet_n) == (7, stim.seq, 1)
    assert (sent.message.plan, sent.message.lease_ttl_ms, sent.message.start_within_s) == (PLAN, 5000, 120.0)
    assert sent.message.issued_at == "2026-11-22T12:00:00.500Z"
    assert sent.message.limits.peak_ma_max == Limit(100.0, Layer.CLINIC)

    # The device answers, and waits.
    ack = messages.Ack(7, sent.message.command_id, AckStatus.RECEIVED, None, None, WALL)
    assert clinic.says("stim-12", ack) == []
    assert clinic.says("stim-12", messages.Ack(7, ack.command_id, AckStatus.DONE, None, None, WALL)) == [
        "AuthorisationAccepted"
    ]
    stim.phase, stim.session_id = Phase.AUTHORISED, sent.message.session_id
    assert clinic.shows("stim-12") == []

    # Armed at the device: from now on every sample is answered, in order, each once.
    stim.phase = Phase.ARMED
    assert clinic.shows("stim-12") == ["SessionAdvanced armed", f"! lease stim-12 {stim.seq}"]
    assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]

    # Started, and raised. The first current gives the impedance that drying pads are compared with.
    stim.phase = Phase.RUNNING
    assert clinic.shows("stim-12") == ["SessionAdvanced running", f"! lease stim-12 {stim.seq}"]
    assert clinic.shows("stim-12", setting_ma=30.0, amplitude_ma=29.6, elapsed_s=6.0) == [
        "BaselineMeasured",
        f"! lease stim-12 {stim.seq}",
    ]

    # Paused, and resumed.
    stim.phase = Phase.PAUSED
    assert clinic.shows("stim-12", elapsed_s=6.5) == ["SessionAdvanced paused", f"! lease stim-12 {stim.seq}"]
    stim.phase = Phase.RUNNING
    assert clinic.shows("stim-12", elapsed_s=6.5) == ["SessionAdvanced running", f"! lease stim-12 {stim.seq}"]

    # Its time is reached: the last second is still leased, then the device reports, and is idle.
    stim.phase = Phase.STOPPING
    assert clinic.shows("stim-12", elapsed_s=1200.0) == ["SessionAdvanced stopping", f"! lease stim-12 {stim.seq}"]
    assert clinic.says("stim-12", stim.ended(Cause.COMPLETED)) == [
        "DeviceReported session_ended",
        "SessionEnded completed completed",
        "> receipt stim-12 1",
    ]
    stim.phase, stim.session_id = Phase.IDLE, None
    assert clinic.shows("stim-12") == []
    over = clinic.session_on()
    assert (over.state, over.cause) == (SessionState.COMPLETED, Cause.COMPLETED)
    assert over.ended is not None
    assert over.ended.peak_ma == 31.0
    assert session_row(over)["elapsed_s"] == 600.0, "how long it lasted is the device's word, not the last sample's"


def test_a_lease_names_the_sample_the_boot_and_the_session() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    sample = stim.sample()
    decision = clinic.decides(inputs.Received("stim-12", sample, clinic.now_s, clinic.wall_s))
    assert decision.at_once == (
        SendLease("stim-12", messages.Lease(1, 7, session.session_id, sample.seq, ttl_ms=5000)),
    )


def test_the_device_refuses_and_the_client_is_free_again() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.asks()
    session = clinic.session_on()
    refused = messages.Ack(
        7, session.authorisation.command_id, AckStatus.REFUSED, CommandRefusal.OTHER_ROOM, None, WALL
    )
    assert clinic.says("stim-12", refused) == ["SessionDeclined"]
    assert clinic.session_on().state is SessionState.REFUSED
    assert clinic.says("stim-12", refused) == []
    assert clinic.asks(request_id="request-2") == ["SessionAuthorised", "> authorisation stim-12", "> granted"]


def test_the_same_request_again_is_the_same_session() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.asks()
    assert clinic.asks() == ["> granted"]
    assert clinic.asks(request_id="another") == [
        "SessionRefused",
        "> refused client_in_session, dose_rest, device_in_session",
    ]


def test_a_request_that_had_its_session_gets_no_second_one() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.ended(Cause.COMPLETED))
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    clinic.shows("stim-12")
    # A screen repeats what it asked for an hour ago.
    decision = clinic.decides(clinic.request())
    assert decision.events == ()
    assert decision.after_commit == (Answer("request-1", Granted(session.session_id)),)
    assert clinic.asks(client="c-4712", request_id="request-2")[0] == "SessionAuthorised"


def test_an_authorisation_is_sent_again_until_the_device_answers() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.asks()
    assert clinic.shows("stim-12") == []
    clinic.now_s += 1.5
    assert clinic.shows("stim-12") == ["> authorisation stim-12"]
    assert clinic.shows("stim-12") == []
    # It is worth nothing 30 s after the sample that it answers.
    answered_s = clinic.session_on().answered_s
    clinic.now_s = answered_s + 29.9 - 0.5
    assert clinic.shows("stim-12") == ["> authorisation stim-12"]
    clinic.now_s = answered_s + 32.0
    assert clinic.shows("stim-12") == []


def test_a_session_that_nobody_starts_expires_5_s_after_its_time() -> None:
    clinic = Clinic()
    session = clinic.armed()
    stim = clinic.stims["stim-12"]
    while clinic.now_s < session.answered_s + 124.0:
        assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]
    clinic.now_s = session.answered_s + 124.9
    assert clinic.after(0.0) == []
    clinic.now_s = session.answered_s + 125.0
    assert clinic.after(0.0) == ["SessionExpired"]
    # The device still stands armed: no lease, and the session is withdrawn there too, now and every 2 s.
    assert clinic.shows("stim-12") == ["! cancel stim-12"]
    assert clinic.shows("stim-12") == []
    clinic.now_s += 0.9
    assert clinic.shows("stim-12") == []
    clinic.now_s += 0.1
    assert clinic.says("stim-12", stim.sample()) == ["! cancel stim-12"]


def test_disarmed_is_authorised_again_and_gets_no_lease() -> None:
    clinic = Clinic()
    clinic.armed()
    clinic.stims["stim-12"].phase = Phase.AUTHORISED
    assert clinic.shows("stim-12") == ["SessionAdvanced authorised"]
    clinic.stims["stim-12"].phase = Phase.ARMED
    assert clinic.shows("stim-12") == ["SessionAdvanced armed", f"! lease stim-12 {clinic.stims['stim-12'].seq}"]


def test_phases_that_were_missed_are_skipped_forward_and_never_back() -> None:
    clinic = Clinic()
    clinic.authorised()
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.PAUSED
    assert clinic.shows("stim-12") == ["SessionAdvanced paused", f"! lease stim-12 {stim.seq}"]
    stim.phase = Phase.ARMED
    assert clinic.shows("stim-12") == ["SecurityNoticed impossible_phase", "! count impossible_phase"]
    # It insists for two seconds: whatever it does, it has no permission for it.
    clinic.now_s += 1.5
    assert clinic.shows("stim-12") == [
        "OutputUnpermitted",
        "StopOrdered stim-12 rule_stop",
        "SessionWithheld stop",
        "! count impossible_phase",
        "! stop stim-12 rule_stop hold",
    ]


def test_elapsed_time_that_went_back_gets_no_lease() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.PAUSED
    stim.shown = {}
    clinic.shows("stim-12", elapsed_s=500.0)
    assert clinic.shows("stim-12", elapsed_s=499.9) == [
        "SecurityNoticed elapsed_decreased",
        "! count elapsed_decreased",
    ]
    assert clinic.shows("stim-12", elapsed_s=500.0) == [f"! lease stim-12 {stim.seq}"]


def test_an_end_that_is_never_reported_is_settled_after_30_s_of_idling() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping"]
    clinic.now_s += 29.0
    assert clinic.shows("stim-12") == []
    assert clinic.shows("stim-12") == ["SessionEnded aborted None"]
    # The numbers come after all.
    assert clinic.says("stim-12", stim.ended(Cause.THERAPIST_STOP, clinic.session_on().session_id)) == [
        "DeviceReported session_ended",
        "SessionEnded aborted therapist_stop",
        "> receipt stim-12 1",
    ]
    # Told twice under another number, it changes nothing more.
    assert clinic.says("stim-12", stim.ended(Cause.COMPLETED, clinic.session_on().session_id)) == [
        "DeviceReported session_ended",
        "> receipt stim-12 2",
    ]


def test_a_device_may_end_only_its_own_sessions() -> None:
    clinic = Clinic()
    session = clinic.running()
    clinic.ready("stim-7")
    assert clinic.says("stim-7", clinic.stims["stim-7"].ended(Cause.COMPLETED, session.session_id)) == [
        "DeviceReported session_ended",
        "SecurityNoticed foreign_session",
        "! count foreign_session",
        "> receipt stim-7 1",
    ]
    assert clinic.session_on().state is SessionState.RUNNING
    unheard_of = clinic.stims["stim-7"].ended(Cause.COMPLETED, "e" * 32)
    assert clinic.says("stim-7", unheard_of) == ["DeviceReported session_ended", "> receipt stim-7 2"]
    nameless = clinic.stims["stim-7"].ended(None)
    assert clinic.says("stim-7", nameless) == ["DeviceReported session_ended", "> receipt stim-7 3"]


def test_an_end_without_a_cause_is_an_abort() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.says("stim-12", clinic.stims["stim-12"].ended(None))
    assert clinic.session_on().state is SessionState.ABORTED


def test_h05_the_second_timer_stops_at_5_s_over_by_the_device_s_own_count() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.shows("stim-12", elapsed_s=1204.9) == [f"! lease stim-12 {stim.seq}"]
    assert clinic.shows("stim-12", elapsed_s=1205.0) == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "! stop stim-12 session_cap",
    ]
    # And by no means a second time.
    assert clinic.shows("stim-12", elapsed_s=1206.0) == []


def test_h05_the_second_timer_counts_by_itself_and_leaves_pauses_out() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    started_s = clinic.session_on().since_s
    clinic.now_s = started_s + 100.0
    stim.phase, stim.shown = Phase.PAUSED, {}
    clinic.says("stim-12", stim.sample())
    clinic.now_s += 250.0
    stim.phase = Phase.RUNNING
    clinic.says("stim-12", stim.sample())
    clinic.now_s = started_s + 250.0 + 1204.9
    clinic.says("stim-12", stim.sample())
    assert clinic.after(0.0) == []
    assert clinic.after(0.1) == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "! stop stim-12 session_cap",
    ]


def test_draining_authorises_nothing_new_and_leases_to_the_end() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.ready("stim-7")
    drain = inputs.Drain(request_id="r", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s)
    assert clinic.hears(drain) == ["DrainOrdered", "> ordered"]
    assert clinic.hears(drain) == ["> ordered"]
    assert clinic.shows("stim-12") == [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]
    asked = clinic.asks(device="stim-7", room="room-1", client="c-4712", request_id="request-2")
    assert asked == ["SessionRefused", "> refused draining"]
    # Nor does a restart open the house again: the supervisor makes one whenever the fleet dies.
    clinic.restarts()
    clinic.shows("stim-7")
    asked = clinic.asks(device="stim-7", room="room-1", client="c-4712", request_id="request-3")
    assert asked == ["SessionRefused", "> refused draining"]
    undrain = inputs.Undrain(request_id="r", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s)
    assert clinic.hears(undrain) == ["DrainLifted", "> ordered"]
    assert clinic.hears(undrain) == ["> ordered"]
    asked = clinic.asks(device="stim-7", room="room-1", client="c-4712", request_id="request-4")
    assert asked == ["SessionAuthorised", "> authorisation stim-7", "> granted"]
