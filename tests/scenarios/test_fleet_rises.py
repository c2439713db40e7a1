"""The setting rises no faster than the device's own rules let it: 2 mA a step below 20 mA, 1 mA from there, 5 mA/s."""

from dataclasses import replace

import pytest

from broker.contract.limits import ENVELOPE, Layer, Limit
from broker.contract.messages import Phase
from fleet.core.events import LimitExceeded
from tests.core.clinic import Clinic

STOPPED = [
    "LimitExceeded setting_rise_ma",
    "SessionWithheld limit",
    "StopOrdered stim-12 rule_stop",
    "! stop stim-12 rule_stop hold",
]


@pytest.fixture
def clinic() -> Clinic:
    """A session has been at 30 mA since its 6th second."""
    clinic = Clinic()
    clinic.running()
    return clinic


def lease(clinic: Clinic) -> list[str]:
    return [f"! lease stim-12 {clinic.stims['stim-12'].seq}"]


def breach(clinic: Clinic) -> LimitExceeded:
    (event,) = [event for event in clinic.journal if isinstance(event, LimitExceeded)]
    return event


def test_h04_a_jump_of_the_setting_stops_the_session(clinic: Clinic) -> None:
    """0.5 s and 2 control ticks at 5 mA/s are 3 mA, and a step of 1 mA: 34 mA, and no more."""
    assert clinic.shows("stim-12", setting_ma=34.1, elapsed_s=6.5) == STOPPED
    assert breach(clinic).value == pytest.approx(4.1)
    assert breach(clinic).limit.value == pytest.approx(4.0)
    assert breach(clinic).limit.layer is Layer.ENVELOPE


def test_h04_the_steepest_rise_that_is_allowed_is_leased(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", setting_ma=34.0, elapsed_s=6.5) == lease(clinic)


def test_h04_below_20_ma_a_step_is_2_ma() -> None:
    clinic = Clinic()
    clinic.armed()
    clinic.stims["stim-12"].phase = Phase.RUNNING
    assert clinic.shows("stim-12", setting_ma=2.5)[-1:] == lease(clinic), "one step, and 2 control ticks"
    assert clinic.shows("stim-12", setting_ma=5.1)[-4:] == STOPPED, "while no running time was counted"


def test_h04_a_count_that_stands_still_allows_no_second_rise() -> None:
    clinic = Clinic()
    clinic.running()
    clinic.after(5.0)
    assert clinic.shows("stim-12", setting_ma=32.0) == STOPPED


def test_h04_what_is_lost_between_two_samples_makes_no_false_alarm(clinic: Clinic) -> None:
    assert clinic.shows("stim-12", setting_ma=25.0, elapsed_s=6.5) == lease(clinic), "lower at once"
    assert clinic.shows("stim-12", setting_ma=36.0, elapsed_s=8.6) == lease(clinic), "2.1 s later, in half a second"


@pytest.mark.parametrize(("setting_ma", "seconds", "is_too_fast"), [(7.5, 1.0, False), (7.6, 1.0, True)])
def test_h04_after_a_pause_it_rises_from_zero(
    clinic: Clinic, setting_ma: float, seconds: float, is_too_fast: bool
) -> None:
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.PAUSED
    clinic.shows("stim-12", setting_ma=0.0, amplitude_ma=0.1)
    clinic.now_s += 60.0
    stim.phase = Phase.RUNNING
    lines = clinic.shows("stim-12", setting_ma=setting_ma, amplitude_ma=7.0, elapsed_s=6.0 + seconds)
    assert (lines[-4:] == STOPPED, lines[-1:] == lease(clinic)) == (is_too_fast, not is_too_fast)


def test_h04_a_jump_from_a_pause_to_the_old_setting_is_stopped(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    stim.phase = Phase.PAUSED
    clinic.shows("stim-12", setting_ma=30.0, amplitude_ma=0.1)  # whatever it shows: paused means from zero
    stim.phase = Phase.RUNNING
    assert clinic.shows("stim-12", elapsed_s=6.5)[-4:] == STOPPED


@pytest.mark.parametrize(("setting_ma", "is_too_fast"), [(34.5, False), (34.6, True)])
def test_h04_a_fleet_that_was_restarted_judges_from_the_beginning(
    clinic: Clinic, setting_ma: float, is_too_fast: bool
) -> None:
    """6.7 s at 5 mA/s, and a step."""
    clinic.restarts()
    lines = clinic.shows("stim-12", setting_ma=setting_ma, elapsed_s=6.6)
    assert lines == (STOPPED if is_too_fast else lease(clinic))


def test_h04_late_samples_are_judged_by_those_before_them(clinic: Clinic) -> None:
    stim = clinic.stims["stim-12"]
    late = [stim.sample(late=True, setting_ma=ma, elapsed_s=s) for ma, s in ((30.0, 7.0), (31.0, 7.5), (36.0, 8.0))]
    assert clinic.shows("stim-12", elapsed_s=60.0) == lease(clinic)
    assert clinic.says("stim-12", late[0]) == []
    assert clinic.says("stim-12", late[1]) == []
    assert clinic.says("stim-12", late[2]) == STOPPED


def test_h04_tighter_settings_are_for_the_raises_after_them(clinic: Clinic) -> None:
    tighter = ENVELOPE.tightened_by(Layer.SETTINGS, setting_rise_ma_per_s_max=1.0)
    clinic.changes_device("stim-12", limits=tighter)
    clinic.stims["stim-12"].settings_version = 2
    assert clinic.shows("stim-12", setting_ma=33.0, elapsed_s=6.6) == lease(clinic), "it may have been raised before"
    assert clinic.shows("stim-12", setting_ma=35.0, elapsed_s=7.6) == lease(clinic), "1.1 s at 1 mA/s, and a step"
    assert clinic.shows("stim-12", setting_ma=37.2, elapsed_s=8.6) == STOPPED
    assert replace(breach(clinic).limit, value=2.1) == Limit(2.1, Layer.SETTINGS)
