"""The limits that are drawn are those that the device clamps by and the fleet judges by, at every moment."""

import pytest

from broker.contract.limits import Contact, Layer, contact
from fleet.api.in_force import in_force, of_device
from tests.core.clinic import Clinic


def tightened(clinic: Clinic, peak_ma: float) -> None:
    """The clinic tightens what a device may give; the device takes it over."""
    limits = clinic.registry.clinic.limits.tightened_by(Layer.CLINIC, peak_ma_max=peak_ma)
    clinic.changes_registry(clinic=type(clinic.registry.clinic)(limits=limits))


def test_tighter_settings_count_from_the_sample_that_names_them() -> None:
    clinic = Clinic()
    clinic.ready()
    session = clinic.running()
    before = in_force(clinic.state, session)
    assert before.peak_ma_max == pytest.approx(session.plan.setting_ma_max), "the plan's is the lowest"
    tightened(clinic, 31.0)
    assert in_force(clinic.state, session).peak_ma_max == before.peak_ma_max, "the device does not have them yet"
    clinic.stims["stim-12"].settings_version = clinic.settings_of("stim-12").version
    clinic.shows("stim-12")
    now = of_device(clinic.state, "stim-12")
    assert now is not None
    assert (now.peak_ma_max, now.setting_ma_max) == (31.0, 31.0)
    assert of_device(clinic.state, "stim-7") is None, "no session is open there"


def test_looser_settings_change_nothing_for_the_session_that_is_on() -> None:
    clinic = Clinic()
    clinic.ready()
    session = clinic.running()
    for peak_ma in (31.0, 90.0):
        tightened(clinic, peak_ma)
        clinic.stims["stim-12"].settings_version = clinic.settings_of("stim-12").version
        clinic.shows("stim-12")
    assert in_force(clinic.state, session).peak_ma_max == 31.0


@pytest.mark.parametrize("baseline_ohm", [None, 400.0, 800.0, 2_400.0])
def test_the_electrode_is_drawn_as_it_is_judged(baseline_ohm: float | None) -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.armed()
    if baseline_ohm is not None:
        clinic.stims["stim-12"].phase = type(clinic.stims["stim-12"].phase).RUNNING
        clinic.shows("stim-12", setting_ma=10.0, amplitude_ma=9.0, elapsed_s=2.0, impedance_ohm=baseline_ohm)
    drawn = in_force(clinic.state, clinic.session_on())
    assert drawn.baseline_ohm == baseline_ohm
    for bound_ohm, below, above in (
        (drawn.short_ohm, Contact.SHORT, Contact.GOOD),
        (drawn.degraded_ohm, Contact.GOOD, Contact.DEGRADED),
        (drawn.beyond_ohm, Contact.DEGRADED, Contact.BEYOND_DEGRADED),
        (drawn.open_ohm, Contact.BEYOND_DEGRADED, Contact.OPEN),
    ):
        assert contact(bound_ohm - 0.1, baseline_ohm) is below
        assert contact(bound_ohm + 0.1, baseline_ohm) is above


def test_a_lease_begins_with_its_whole_life() -> None:
    clinic = Clinic()
    clinic.ready()
    session = clinic.armed()
    assert in_force(clinic.state, session).lease_ttl_s == session.authorisation.lease_ttl_ms / 1000.0
