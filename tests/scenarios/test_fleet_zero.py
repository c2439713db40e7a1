"""Where output has to be zero: armed, paused, and at the end of a session (domain.md "Session", invariants)."""

import pytest

from broker.contract.messages import Phase
from tests.core.clinic import Clinic

STOPPED = ["SessionWithheld limit", "StopOrdered stim-12 rule_stop", "! stop stim-12 rule_stop hold"]


def lease(clinic: Clinic) -> str:
    """The lease that answers the newest sample of stim-12."""
    return f"! lease stim-12 {clinic.stims['stim-12'].seq}"


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.running()
    return clinic


def test_h01_armed_is_zero_and_output_there_is_a_rule_stop_at_once() -> None:
    clinic = Clinic()
    clinic.armed()
    # Test pulses of 0.5 mA and the noise of the read-back are no output.
    assert clinic.shows("stim-12", amplitude_ma=0.99) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=1.0) == ["LimitExceeded amplitude_ma", *STOPPED]


def test_h01_output_while_armed_is_one_also_where_it_is_heard_of_late() -> None:
    clinic = Clinic()
    clinic.armed()
    assert clinic.shows("stim-12", late=True, amplitude_ma=30.0) == ["LimitExceeded amplitude_ma", *STOPPED]


@pytest.mark.parametrize("phase", [Phase.ARMED, Phase.PAUSED])
def test_h03_a_setting_above_zero_while_armed_or_paused_gets_no_lease_so_nothing_starts(phase: Phase) -> None:
    clinic = Clinic()
    clinic.armed()
    stim = clinic.stims["stim-12"]
    stim.phase = phase
    clinic.shows("stim-12")
    assert clinic.shows("stim-12", setting_ma=30.0) == ["! count setting_not_zero"]
    assert clinic.shows("stim-12", setting_ma=0.0) == [lease(clinic)]


def test_h01_output_in_a_pause_has_a_ramp_s_time_and_no_more(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    stim.phase, stim.shown = Phase.PAUSED, {}
    assert clinic.shows("stim-12", amplitude_ma=20.0) == ["SessionAdvanced paused", lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=20.0) == [lease(clinic)]
    clinic.now_s += 2.0
    assert clinic.shows("stim-12", amplitude_ma=0.9) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=None) == ["! count reading_missing"]
    assert clinic.shows("stim-12", amplitude_ma=1.0) == ["LimitExceeded amplitude_ma", *STOPPED]


def test_output_in_a_pause_is_a_breach_3_s_after_it_began(clinic: Clinic) -> None:
    clinic.stims["stim-12"].phase, clinic.stims["stim-12"].shown = Phase.PAUSED, {}
    clinic.shows("stim-12", amplitude_ma=20.0)
    clinic.now_s += 2.49
    assert clinic.shows("stim-12", amplitude_ma=20.0) == [lease(clinic)]
    clinic.now_s = clinic.session_on().since_s + 2.5
    assert clinic.shows("stim-12", amplitude_ma=20.0)[0] == "LimitExceeded amplitude_ma"


def test_h01_the_end_of_a_session_has_a_ramp_s_time_and_no_more(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.STOPPING
    assert clinic.shows("stim-12", amplitude_ma=29.0) == ["SessionAdvanced stopping", lease(clinic)]
    clinic.now_s += 2.0
    assert clinic.shows("stim-12", amplitude_ma=20.0) == [lease(clinic)]
    # Zero is three seconds away at most.
    assert clinic.shows("stim-12", amplitude_ma=0.9) == [lease(clinic)]
    assert clinic.shows("stim-12", amplitude_ma=1.0) == ["LimitExceeded amplitude_ma", *STOPPED]


def test_h05_a_device_that_never_ends_stopping_is_stopped(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    stim.phase, stim.shown = Phase.STOPPING, {}
    clinic.shows("stim-12")
    stopping_s = clinic.session_on().since_s
    clinic.now_s = stopping_s + 9.9 - 0.5
    assert clinic.shows("stim-12") == [lease(clinic)]
    assert clinic.after(5.0) == []  # only a device that says so is stopping for so long: an end may be told much later
    assert clinic.shows("stim-12") == [
        "StopOrdered stim-12 session_cap",
        "SessionWithheld stop",
        "! stop stim-12 session_cap",
    ]
