"""Device and fleet agree on a version of the settings (contract.md, rule 7)."""

from dataclasses import replace

from broker.contract.limits import ENVELOPE, Layer
from fleet.core.configuration import named
from fleet.core.fold_devices import SETTINGS_KEPT
from tests.core.clinic import Clinic


def test_the_first_version_is_one_above_the_device_s() -> None:
    clinic = Clinic()
    clinic.stims["stim-12"].settings_version = 41
    assert clinic.says("stim-12", clinic.stims["stim-12"].birth())[-1] == "> settings stim-12 42"
    settings = clinic.settings_of("stim-12")
    assert (settings.version, settings.room, settings.service_hold) == (42, "room-4", False)
    assert (settings.idle_period_s, settings.live_period_s, settings.capabilities) == (5.0, 0.5, ())


def test_settings_are_sent_again_every_5_s_while_the_device_has_older_ones() -> None:
    clinic = Clinic()
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    assert clinic.shows("stim-12") == ["DeviceReturned"]
    clinic.now_s += 3.9
    assert clinic.shows("stim-12") == []
    clinic.now_s += 0.1
    assert clinic.shows("stim-12") == ["> settings stim-12 1"]
    clinic.stims["stim-12"].settings_version = 1
    clinic.now_s += 10.0
    assert clinic.shows("stim-12") == []


def test_a_device_with_a_higher_version_gets_the_next_one() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.shows("stim-12", settings_version=7) == ["SettingsIssued", "> settings stim-12 8"]


def test_a_device_that_goes_on_naming_a_higher_version_gets_one_a_minute() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    began_s = clinic.now_s + 0.5
    for _ in range(100):
        clinic.shows("stim-12", settings_version=clinic.settings_of("stim-12").version + 1)
    assert clinic.settings_of("stim-12").version == 3
    # What the clinic itself changes never waits.
    assert "SettingsIssued" in clinic.changes_device("stim-12", room="room-5")
    clinic.now_s = began_s + 60.0 - 0.5
    assert "SettingsIssued" in clinic.shows("stim-12", settings_version=9)


def test_a_device_cannot_use_the_versions_up() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.shows("stim-12", settings_version=2_000_000) == [
        "SecurityNoticed settings_version_implausible",
        "! count settings_version_implausible",
    ]


def test_the_registry_changes_settings_of_those_it_concerns_once_they_are_known() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    assert clinic.changes_device("stim-12", room="room-5") == [
        "RegistryAdopted",
        "SettingsIssued",
        "> settings stim-12 2",
    ]
    assert clinic.changes_device("stim-7", room="room-5") == ["RegistryAdopted"]
    assert clinic.settings_of("stim-12").room == "room-5"


def test_a_device_off_the_list_gets_no_settings() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    clinic.changes_registry(devices={})
    assert clinic.shows("stim-12", settings_version=0) == []


def test_settings_carry_the_strictest_of_clinic_and_device() -> None:
    clinic = Clinic()
    own = ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=60.0, frequency_hz_max=90.0)
    clinic.changes_registry(
        clinic=replace(clinic.registry.clinic, limits=ENVELOPE.tightened_by(Layer.CLINIC, frequency_hz_max=80.0))
    )
    clinic.changes_device("stim-12", limits=own)
    clinic.ready("stim-12")
    limits = clinic.settings_of("stim-12").limits
    assert (limits.peak_ma_max.value, limits.peak_ma_max.layer) == (60.0, Layer.SETTINGS)
    assert (limits.frequency_hz_max.value, limits.frequency_hz_max.layer) == (80.0, Layer.CLINIC)


def test_older_versions_are_remembered_for_judging_and_not_for_ever() -> None:
    clinic = Clinic()
    clinic.ready("stim-12")
    for room in range(SETTINGS_KEPT + 1):
        clinic.changes_device("stim-12", room=f"room-1{room}")
    device = clinic.state.device("stim-12")
    newest = clinic.settings_of("stim-12").version
    assert newest == SETTINGS_KEPT + 2
    assert named(device, 1) is None
    for version in range(2, newest + 1):
        settings = named(device, version)
        assert settings is not None
        assert settings.version == version
