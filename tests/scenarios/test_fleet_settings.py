"""Settings that change while sessions run, rooms that change, and the lease that a clinic makes shorter (rule 7)."""

from dataclasses import replace

import pytest

from broker.contract.limits import ENVELOPE, Layer, Limit
from broker.contract.messages import Phase
from fleet.core.fold_devices import SETTINGS_KEPT
from fleet.core.inputs import Received
from fleet.core.leases import SETTLING_S, ZERO_AFTER_S
from tests.core.clinic import Clinic

STOPPED = ["SessionWithheld limit", "StopOrdered stim-12 rule_stop", "! stop stim-12 rule_stop hold"]


@pytest.fixture
def clinic() -> Clinic:
    """A session runs at 30 mA."""
    clinic = Clinic()
    clinic.running()
    return clinic


def sets(clinic: Clinic, **limits: float) -> None:
    """The clinic sets limits of stim-12, none to take them away; the device has taken them over."""
    own = ENVELOPE.tightened_by(Layer.SETTINGS, **limits) if limits else None
    clinic.changes_device("stim-12", limits=own)
    clinic.stims["stim-12"].settings_version = clinic.settings_of("stim-12").version


def lease(clinic: Clinic) -> list[str]:
    return [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]


def test_h20_tightened_and_loosened_again_the_session_keeps_the_tighter_one(clinic: Clinic) -> None:
    sets(clinic, peak_ma_max=20.0)
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0) == lease(clinic)
    sets(clinic)
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=19.0) == lease(clinic)
    assert clinic.shows("stim-12", setting_ma=21.0, amplitude_ma=20.0) == ["LimitExceeded setting_ma", *STOPPED]


def test_h20_what_was_loosened_holds_for_the_next_session(clinic: Clinic) -> None:
    sets(clinic, peak_ma_max=20.0)
    clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0)
    sets(clinic)
    clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0)
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.ended(None))
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    clinic.shows("stim-12")
    clinic.running(request_id="request-2", client="c-4712")
    assert clinic.shows("stim-12", setting_ma=21.0, amplitude_ma=20.0) == lease(clinic)


def test_settings_that_never_reached_the_device_are_not_held_against_it(clinic: Clinic) -> None:
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=20.0))
    clinic.changes_device("stim-12", limits=None)
    clinic.stims["stim-12"].settings_version = 3  # never 2
    assert clinic.shows("stim-12") == lease(clinic)


def test_a_late_sample_is_judged_by_the_version_that_it_names_and_nothing_is_forgotten_over_it(clinic: Clinic) -> None:
    late = clinic.stims["stim-12"].sample(late=True)  # 30 mA under version 1
    sets(clinic, peak_ma_max=20.0)
    clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0)
    clinic.now_s += SETTLING_S
    assert clinic.hears(Received("stim-12", late, clinic.now_s, clinic.wall_s)) == []
    # Had it been remembered, what is measured now would have time to settle once more.
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=29.0) == ["LimitExceeded amplitude_ma", *STOPPED]


def test_h05_a_session_that_was_made_shorter_is_not_made_longer_again(clinic: Clinic) -> None:
    sets(clinic, session_s_max=600.0)
    clinic.shows("stim-12")
    sets(clinic)
    clinic.shows("stim-12", elapsed_s=590.0)
    clinic.now_s += 10.0
    assert clinic.shows("stim-12", elapsed_s=605.0)[0] == "StopOrdered stim-12 session_cap"


def test_h05_a_fleet_that_was_restarted_times_by_the_newest_settings_until_it_hears_which_are_named(
    clinic: Clinic,
) -> None:
    sets(clinic, session_s_max=600.0)
    clinic.shows("stim-12")
    clinic.restarts()
    assert "! count settings_unknown" in clinic.shows("stim-12", settings_version=9)
    assert "StopOrdered stim-12 session_cap" in clinic.after(610.0)


def looser(clinic: Clinic, times: int) -> None:
    """The clinic changes its mind about what does not matter here, each time further up."""
    for n in range(times):
        sets(clinic, peak_ma_max=90.0 + n)
        clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=19.0)


# A device's record has four older versions: with more, the strict one is not among them any more.
@pytest.mark.parametrize("times", [1, SETTINGS_KEPT, SETTINGS_KEPT + 1, SETTINGS_KEPT + 3])
def test_h20_a_fleet_that_was_restarted_keeps_the_strictest_settings_of_the_session(clinic: Clinic, times: int) -> None:
    late = clinic.stims["stim-12"].sample(late=True)
    sets(clinic, peak_ma_max=20.0)
    clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=20.0)
    looser(clinic, times)
    clinic.restarts()
    clinic.hears(Received("stim-12", late, clinic.now_s, clinic.wall_s))  # names the first version
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=19.0) == lease(clinic)
    assert clinic.shows("stim-12", setting_ma=21.0, amplitude_ma=20.0) == ["LimitExceeded setting_ma", *STOPPED]


def test_h20_several_that_the_record_has_dropped_hold_by_the_strictest_of_them(clinic: Clinic) -> None:
    for peak_ma_max in (25.0, 20.0, 22.0):
        sets(clinic, peak_ma_max=peak_ma_max)
        clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=19.0)
    looser(clinic, SETTINGS_KEPT + 1)
    clinic.restarts()
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=19.0) == lease(clinic)
    assert clinic.shows("stim-12", setting_ma=21.0, amplitude_ma=20.0) == ["LimitExceeded setting_ma", *STOPPED]


@pytest.mark.parametrize("times", [1, SETTINGS_KEPT + 3])
def test_h20_what_was_strict_before_the_session_is_not_held_against_it_after_a_restart(times: int) -> None:
    clinic = Clinic()
    clinic.ready()
    sets(clinic, peak_ma_max=20.0)
    sets(clinic)
    clinic.running()
    looser(clinic, times)
    clinic.restarts()
    assert clinic.shows("stim-12") == lease(clinic)


def test_h20_what_was_on_its_way_at_the_restart_counts_once_it_is_named(clinic: Clinic) -> None:
    sets(clinic, peak_ma_max=20.0)
    clinic.stims["stim-12"].settings_version = 1
    clinic.restarts()
    assert clinic.shows("stim-12")[:1] == lease(clinic)
    clinic.stims["stim-12"].settings_version = 2
    assert clinic.shows("stim-12", setting_ma=21.0, amplitude_ma=29.0) == ["LimitExceeded setting_ma", *STOPPED]


def test_h20_after_a_restart_nobody_knows_that_strict_settings_never_arrived_and_the_doubt_ends_at_zero(
    clinic: Clinic,
) -> None:
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=20.0))
    clinic.changes_device("stim-12", limits=None)
    clinic.stims["stim-12"].settings_version = 3
    clinic.restarts()
    assert clinic.shows("stim-12") == ["LimitExceeded amplitude_ma", *STOPPED]


def test_h05_a_session_that_was_made_shorter_is_not_made_longer_by_a_restart(clinic: Clinic) -> None:
    sets(clinic, session_s_max=600.0)
    clinic.shows("stim-12")
    sets(clinic)
    clinic.shows("stim-12", elapsed_s=590.0)
    clinic.restarts()
    clinic.now_s += 10.0
    clinic.shows("stim-12", elapsed_s=605.0)
    assert "session_cap" in {stop.stop.cause for stop in clinic.state.durable.stops.values()}


@pytest.mark.parametrize("limits", [{"pulse_width_us_max": 200.0}, {"frequency_hz_min": 50.0}, {"peak_ma_max": 5.0}])
def test_h20_a_session_that_new_settings_forbid_comes_to_zero_by_itself(
    clinic: Clinic, limits: dict[str, float]
) -> None:
    sets(clinic, **limits)
    clinic.stims["stim-12"].phase = Phase.STOPPING
    assert clinic.shows("stim-12", setting_ma=20.0, amplitude_ma=29.0) == ["SessionAdvanced stopping", *lease(clinic)]
    assert clinic.shows("stim-12", setting_ma=0.0, amplitude_ma=0.3) == lease(clinic)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
def test_h20_a_session_that_goes_on_with_a_forbidden_pulse_is_stopped(clinic: Clinic, phase: Phase) -> None:
    sets(clinic, pulse_width_us_max=200.0)
    clinic.stims["stim-12"].phase = phase
    assert "LimitExceeded pulse_width_us" in clinic.shows("stim-12", setting_ma=0.0, amplitude_ma=0.3)


def test_h20_a_session_that_does_not_come_to_zero_under_new_settings_is_stopped(clinic: Clinic) -> None:
    sets(clinic, pulse_width_us_max=200.0)
    clinic.stims["stim-12"].phase = Phase.STOPPING
    clinic.shows("stim-12", setting_ma=0.0, amplitude_ma=0.3)
    clinic.now_s += ZERO_AFTER_S - 0.5
    assert clinic.shows("stim-12", setting_ma=0.0, amplitude_ma=0.3)[0] == "LimitExceeded pulse_width_us"


def test_a_lease_that_the_clinic_makes_shorter_is_shorter_at_once_and_a_longer_one_waits(clinic: Clinic) -> None:
    def ttl_ms(clinic_s_ms: int) -> int:
        clinic.changes_registry(clinic=replace(clinic.registry.clinic, lease_ttl_ms=clinic_s_ms))
        clinic.now_s += 0.5
        sample = clinic.stims["stim-12"].sample()
        (sent,) = clinic.decides(Received("stim-12", sample, clinic.now_s, clinic.wall_s)).at_once
        ttl_ms: int = sent.message.ttl_ms  # type: ignore[union-attr] # it is a lease
        return ttl_ms

    assert clinic.session_on().authorisation.lease_ttl_ms == 5_000
    assert [ttl_ms(each) for each in (4_000, 5_000, 10_000)] == [4_000, 5_000, 5_000]


def test_what_the_clinic_knows_of_a_model_holds_at_the_device_and_says_so(clinic: Clinic) -> None:
    clinic.changes_device("stim-7", profile=ENVELOPE.tightened_by(Layer.MODEL, peak_ma_max=50.0, rms_ma_max=20.0))
    clinic.ready("stim-7")
    limits = clinic.settings_of("stim-7").limits
    assert limits.peak_ma_max == Limit(50.0, Layer.MODEL)
    assert limits.rms_ma_max == Limit(20.0, Layer.MODEL)
    clinic.changes_registry(
        clinic=replace(clinic.registry.clinic, limits=ENVELOPE.tightened_by(Layer.CLINIC, peak_ma_max=45.0))
    )
    assert clinic.settings_of("stim-7").limits.peak_ma_max == Limit(45.0, Layer.CLINIC)


def test_h14_a_device_that_moves_in_a_session_keeps_the_session_s_room_and_the_next_one_needs_the_new_one(
    clinic: Clinic,
) -> None:
    assert clinic.changes_device("stim-12", room="room-9")[1:] == ["SettingsIssued", "> settings stim-12 2"]
    stim = clinic.stims["stim-12"]
    stim.settings_version = 2
    assert clinic.shows("stim-12") == lease(clinic)
    assert clinic.session_on().authorisation.room == "room-4"

    clinic.says("stim-12", stim.ended(None))
    stim.phase, stim.session_id, stim.shown = Phase.IDLE, None, {}
    clinic.shows("stim-12")
    again = {"client": "c-4712", "request_id": "request-2"}
    assert clinic.asks(**again)[-1] == "> refused room"
    assert clinic.asks(**again, room="room-9")[-1].startswith("> granted")
    assert [session.authorisation.room for session in clinic.state.durable.sessions.values()] == ["room-4", "room-9"]


def test_h14_moved_before_it_was_told_the_device_is_not_authorised_there(clinic: Clinic) -> None:
    clinic.ready("stim-7")
    clinic.changes_device("stim-7", room="room-9")
    refused = clinic.asks(device="stim-7", room="room-9", client="c-4713", request_id="request-3")
    assert refused[-1] == "> refused device_settings"


def test_out_of_service_is_told_by_the_clinic_s_list_before_the_device_knows(clinic: Clinic) -> None:
    clinic.ready("stim-7")
    clinic.changes_device("stim-7", service_hold=True)
    refused = clinic.asks(device="stim-7", room="room-1", client="c-4713", request_id="request-3")
    assert refused[-1] == "> refused in_service_hold, device_settings"


def test_a_device_whose_birth_came_before_it_was_on_the_list_gets_its_settings_by_its_sample() -> None:
    """Put on the list and switched on within half a second: the fleet has not believed its birth, and gets no other."""
    clinic = Clinic()
    stim = clinic.stims["stim-12"]
    assert "> settings stim-12 1" in clinic.shows("stim-12")
    stim.settings_version = 1
    assert clinic.says("stim-12", stim.birth()) == ["DeviceBorn"]  # the settings bring about another birth
    clinic.shows("stim-12")
    assert clinic.asks()[0] == "SessionAuthorised"
