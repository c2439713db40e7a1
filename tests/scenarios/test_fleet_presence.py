"""Who is there: lost and back again, boots, doubles, take-overs; and what a restart remembers."""

from dataclasses import replace

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import Phase, Presence
from broker.contract.shapes import COUNT_MAX
from broker.contract.topics import Channel
from fleet.core import inputs
from fleet.core.events import SessionState
from fleet.core.presence import Liveness, liveness
from tests.core.clinic import Clinic, Stimulator


def test_fresh_stale_and_lost_by_the_channel_s_figures() -> None:
    clinic = Clinic()
    assert liveness(clinic.state, "stim-12", clinic.now_s) is Liveness.LOST
    clinic.shows("stim-12")
    heard_s = clinic.now_s
    for silent_s, expected in ((11.99, "fresh"), (12.0, "stale"), (29.99, "stale"), (30.0, "lost")):
        assert liveness(clinic.state, "stim-12", heard_s + silent_s).value == expected


def test_h11_a_device_that_falls_silent_is_lost_with_its_session_until_the_end_is_reported() -> None:
    clinic = Clinic()
    session = clinic.running()
    stim = clinic.stims["stim-12"]
    heard_s = clinic.now_s
    assert clinic.after(29.0) == []
    clinic.now_s = heard_s
    assert clinic.after(30.0) == ["DeviceLost stim-12", "SessionLost"]
    assert clinic.after(30.0) == []
    # Nobody else gets the device or the client meanwhile.
    assert "client_in_session" in clinic.asks(request_id="r2")[-1]

    # It comes back, latched by itself when its lease ran out, and reports.
    clinic.latches(cause=Cause.LEASE_LOST)
    assert clinic.shows("stim-12") == ["DeviceReturned", "SessionAdvanced stopping"]
    assert clinic.says("stim-12", stim.ended(Cause.LEASE_LOST, session.session_id)) == [
        "DeviceReported session_ended",
        "SessionEnded stopped_latched lease_lost",
        "> receipt stim-12 1",
    ]


def test_a_lost_session_that_comes_back_running_is_stopped() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.after(31.0)
    assert clinic.shows("stim-12") == [
        "DeviceReturned",
        "SecurityNoticed impossible_phase",
        "! count impossible_phase",
    ]
    clinic.now_s += 2.0
    assert "StopOrdered stim-12 rule_stop" in clinic.shows("stim-12")


def test_a_device_that_is_lost_without_a_live_session_loses_nothing_else() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.after(31.0) == ["DeviceLost stim-12"]
    clinic = Clinic()
    clinic.authorised()
    assert clinic.after(31.0) == ["DeviceLost stim-12"]
    assert clinic.session_on().state is SessionState.AUTHORISED


def test_presence_is_a_hint_and_decides_nothing() -> None:
    clinic = Clinic()
    clinic.running()
    assert clinic.says("stim-12", Presence(7, False), retained=True) == []
    assert clinic.says("stim-12", Presence(3, True)) == []
    assert clinic.shows("stim-12") == [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]


def test_gaps_are_counted() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.stims["stim-12"].seq += 3
    clinic.shows("stim-12")
    clinic.shows("stim-12")
    seen = clinic.state.newest("stim-12")
    assert seen is not None
    assert seen.missed == 3


# --- boots and doubles ----------------------------------------------------------------------------------------------


def test_h13_a_lower_boot_is_a_disk_that_went_back_and_refused() -> None:
    clinic = Clinic()
    clinic.running()
    assert clinic.shows("stim-12", boot_n=6) == ["SecurityNoticed boot_n_went_back", "! count boot_n_went_back"]
    assert clinic.shows("stim-12", boot_n=6) == ["! count boot_n_went_back"]
    stim = clinic.stims["stim-12"]
    assert clinic.says("stim-12", stim.birth(boot_n=6)) == [
        "SecurityNoticed boot_n_went_back",
        "! count boot_n_went_back",
    ]
    # A minute later it is told again.
    clinic.now_s += 60.0
    assert clinic.shows("stim-12", boot_n=6)[0] == "SecurityNoticed boot_n_went_back"
    # What a broker has kept from before its crash is no sign of a second disk.
    assert clinic.says("stim-12", stim.birth(boot_n=6), retained=True) == ["! count old_birth"]


def test_enrolled_anew_a_lower_boot_is_the_first_one() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    assert clinic.changes_device("stim-12", enrolment="second") == [
        "RegistryAdopted",
        "SessionEnded stopped_latched reboot",
        "DeviceEnrolled",
    ]
    stim.boot_n, stim.seq = 1, 55
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    assert clinic.shows("stim-12") == ["DeviceBooted", "SessionCleared"]
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]


def test_an_older_birth_changes_nothing_and_the_same_one_again_neither() -> None:
    clinic = Clinic()
    stim = clinic.stims["stim-12"]
    old, new = stim.birth(latched=Cause.PATIENT_STOP), stim.birth()
    clinic.says("stim-12", new)
    assert clinic.says("stim-12", old) == []
    clinic.now_s += 6.0
    assert clinic.says("stim-12", new, retained=True) == ["> settings stim-12 1"]
    birth = clinic.state.device("stim-12").birth
    assert birth == new


def test_h14_two_agents_with_one_name() -> None:
    clinic = Clinic()
    clinic.running()
    stim = clinic.stims["stim-12"]
    double = Stimulator("stim-12", "SN-99", seq=99_000_000_000)
    for seq in (stim.seq + 1_000_001, stim.seq - 1_000_001):
        clinic.now_s += 61.0
        assert clinic.says("stim-12", stim.sample(seq=seq)) == [
            "SecurityNoticed duplicate_identity",
            "! count duplicate_identity",
        ]
    assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]
    assert clinic.says("stim-12", double.birth()) == [
        "SecurityNoticed duplicate_identity",
        "! count duplicate_identity",
    ]


def test_a_device_that_is_on_no_list_is_not_heard() -> None:
    clinic = Clinic()
    stranger = Stimulator("stim-66", "SN-66")
    assert clinic.says("stim-66", stranger.sample()) == ["SecurityNoticed unregistered", "! count unregistered"]
    # However many names it makes up: one record a burst, and no record of it in the state.
    assert clinic.says("stim-67", stranger.sample()) == ["! count unregistered"]
    assert set(clinic.state.durable.devices) == {"stim-12", "stim-7"}
    unreadable = inputs.Unreadable("stim-66", None, None, "0" * 64, clinic.now_s, clinic.wall_s)
    assert clinic.hears(unreadable) == ["SecurityNoticed unregistered", "! count unregistered"]


def test_what_the_edge_dropped_is_counted_always_and_recorded_once_a_burst() -> None:
    clinic = Clinic()
    rejected = inputs.Rejected("stim-12", Channel.TELEMETRY, "mac_invalid", clinic.now_s, clinic.wall_s)
    assert clinic.hears(rejected) == ["SecurityNoticed mac_invalid", "! count mac_invalid"]
    assert clinic.hears(rejected) == ["! count mac_invalid"]
    assert clinic.hears(replace(rejected, channel=Channel.ACK)) == [
        "SecurityNoticed mac_invalid",
        "! count mac_invalid",
    ]
    assert clinic.hears(replace(rejected, device=None, channel=None)) == [
        "SecurityNoticed mac_invalid",
        "! count mac_invalid",
    ]
    assert clinic.hears(replace(rejected, received_s=rejected.received_s + 60.0)) == [
        "SecurityNoticed mac_invalid",
        "! count mac_invalid",
    ]


# --- take-over ------------------------------------------------------------------------------------------------------


def test_the_fleet_s_number_is_above_the_journal_s_every_birth_s_and_what_it_is_told() -> None:
    clinic = Clinic()
    assert clinic.state.fleet_n == 1
    clinic.restarts()
    assert clinic.state.fleet_n == 2
    clinic.hears(inputs.TookOver("host-boot-1", clinic.now_s, clinic.wall_s, fleet_n_min=40))
    assert clinic.state.fleet_n == 41
    # The journal was restored from a backup: a device has seen a later fleet.
    clinic.stims["stim-12"].fleet_n = 50
    assert clinic.says("stim-12", clinic.stims["stim-12"].birth())[2] == "FleetNumberRaised"
    assert clinic.state.fleet_n == 51
    clinic.restarts()
    assert clinic.state.fleet_n == 52


@pytest.mark.parametrize("claimed", [1_000_002, COUNT_MAX])
def test_a_device_cannot_use_the_fleet_s_numbers_up(claimed: int) -> None:
    clinic = Clinic()
    clinic.stims["stim-12"].fleet_n = claimed
    assert "SecurityNoticed fleet_n_implausible" in clinic.says("stim-12", clinic.stims["stim-12"].birth())
    assert clinic.state.fleet_n == 1
    # Nor the next instance's.
    clinic.restarts()
    assert clinic.state.fleet_n == 2


def test_a_fleet_that_was_killed_leases_the_next_sample_of_every_session() -> None:
    clinic = Clinic()
    clinic.running("stim-12")
    clinic.running("stim-7", client="c-4712", request_id="r2")
    clinic.restarts()
    for name in ("stim-12", "stim-7"):
        assert clinic.shows(name) == [f"! lease {name} {clinic.stims[name].seq}"]


def test_a_fleet_that_was_away_for_long_stops_nobody_before_it_has_heard_them() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.now_s += 1800.0
    clinic.restarts()
    # The journal says that it runs: half an hour without leases says that it does not.
    assert clinic.after(0.1) == []
    clinic.latches(cause=Cause.LEASE_LOST)
    assert clinic.shows("stim-12") == ["SessionAdvanced stopping"]

    # One that says that it does run is over its time.
    clinic = Clinic()
    clinic.running()
    clinic.now_s += 1800.0
    clinic.restarts()
    assert clinic.shows("stim-12")[0] == "StopOrdered stim-12 session_cap"


def test_h24_what_ran_on_a_device_that_was_struck_off_is_over_once_it_is_lost() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.changes_device("stim-12", struck_off=True)
    assert clinic.after(29.0) == []
    assert clinic.after(1.0) == ["DeviceLost stim-12", "SessionLost"]
    assert clinic.after(0.1) == ["SessionEnded aborted None"]
    # The client may be treated elsewhere.
    clinic.ready("stim-7")
    asked = clinic.asks(device="stim-7", room="room-1", request_id="r2")
    assert asked == ["SessionAuthorised", "> authorisation stim-7", "> granted"]


def test_h24_what_was_lost_on_a_device_that_leaves_the_list_is_over() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.after(31.0)
    assert clinic.after(3600.0) == []
    assert clinic.changes_registry(devices={}) == ["RegistryAdopted", "SessionWithheld struck_off"]
    assert clinic.after(0.1) == ["SessionEnded aborted None"]


def test_a_fleet_that_was_killed_still_knows_how_long_a_session_ran() -> None:
    clinic = Clinic()
    clinic.running()
    started_s = clinic.session_on().since_s
    clinic.now_s = started_s + 1204.0
    clinic.restarts()
    assert clinic.shows("stim-12") == [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]
    clinic.now_s = started_s + 1205.0
    assert clinic.after(0.0)[0] == "StopOrdered stim-12 session_cap"


def test_a_host_that_was_rebooted_counts_from_now_and_by_the_device() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.pushes_stop("stim-7")
    command_id = next(iter(clinic.state.durable.stops))
    clinic.sent(command_id, "a" * 16)
    clinic.state.fleeting.seen.clear()
    clinic.now_s = 12.0  # the clock began anew
    clinic.hears(inputs.TookOver("host-boot-2", clinic.now_s, clinic.wall_s))
    assert clinic.session_on().since_s == 12.0
    assert clinic.state.device("stim-12").settings_since_s == 12.0
    stop = clinic.state.durable.stops[command_id]
    assert (stop.ordered_s, stop.sent_s) == (12.0, None)
    assert clinic.shows("stim-12", elapsed_s=1204.0) == [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]
    assert "StopOrdered stim-12 session_cap" in clinic.shows("stim-12", elapsed_s=1205.0)


def test_devices_known_from_before_are_lost_30_s_after_a_take_over() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.now_s += 100.0
    clinic.restarts()
    assert clinic.after(29.0) == []
    assert clinic.after(1.0) == ["DeviceLost stim-12", "SessionLost"]


def test_the_same_registry_again_changes_nothing() -> None:
    clinic = Clinic()
    assert clinic.changes_registry() == []


def test_a_device_that_has_seen_this_fleet_raises_no_number() -> None:
    clinic = Clinic()
    stim = clinic.stims["stim-12"]
    stim.fleet_n = 1
    assert "FleetNumberRaised" not in clinic.says("stim-12", stim.birth())
    stim.fleet_n = 1_000_001
    assert "FleetNumberRaised" in clinic.says("stim-12", stim.birth())
    assert clinic.state.fleet_n == 1_000_002


def test_what_the_journal_knows_to_be_old_is_old_after_a_restart() -> None:
    clinic = Clinic()
    clinic.armed()
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.RUNNING
    started = stim.sample()
    assert clinic.says("stim-12", started)[0] == "SessionAdvanced running"
    clinic.restarts()
    assert clinic.says("stim-12", started) == ["! count overtaken"]
    assert clinic.shows("stim-12") == [f"! lease stim-12 {stim.seq}"]
