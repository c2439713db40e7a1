"""The site's registry as the core gets it: days become moments, the clinic's limits tighten the envelope."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from broker.contract.dose import dose_rules
from broker.contract.limits import Layer, Limit
from broker.contract.plan import Modality
from broker.pki.checks import DoneCheck, Every, Upkeep
from broker.pki.clinic import ClinicSettings
from broker.pki.registry import Device, Operator, Registry
from fleet.core.refusals import RuleLayer
from fleet.core.registry import Bound, CheckKind, DeviceCheck, FirmwareMin
from fleet.roster import core_registry

POINT = "04" + "0" * 128


def site(time_zone: str) -> Registry:
    return Registry(
        "north",
        time_zone,
        "127.0.0.1",
        8883,
        clinic_limits={"peak_ma_max": 80.0},
        devices={
            "stim-01": Device("stim-01", "room-1", "s-1", "model-a", (POINT,), date(2027, 3, 27)),
            "stim-02": Device("stim-02", "room-2", "s-2", "model-b", (POINT,), date(2027, 3, 27), struck_off=True),
        },
        operators={"anna": Operator("anna", {"model-a": date(2027, 3, 27)})},
        dose_rules={"wb_ems": {"rest_days_min": 6}},
    )


@pytest.mark.parametrize(
    ("time_zone", "end"),
    [
        ("UTC", datetime(2027, 3, 28, 0, 0, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2027, 3, 27, 23, 0, tzinfo=UTC)),  # the night of the clock change, before it
        ("America/New_York", datetime(2027, 3, 28, 4, 0, tzinfo=UTC)),
    ],
)
def test_a_day_is_good_to_its_end_in_the_clinics_time_zone(time_zone: str, end: datetime) -> None:
    registry = core_registry(site(time_zone), 5_000)
    assert registry.devices["stim-01"].due_wall_s == end.timestamp()
    assert registry.operators["anna"].instructed_until_wall_s == {"model-a": end.timestamp()}


def test_devices_operators_and_limits_are_all_there() -> None:
    registry = core_registry(site("UTC"), 6_000)
    assert registry.clinic.lease_ttl_ms == 6_000
    assert registry.clinic.limits.peak_ma_max == Limit(80.0, Layer.CLINIC)
    first, second = registry.devices["stim-01"], registry.devices["stim-02"]
    assert (first.room, first.model, first.serial, first.struck_off) == ("room-1", "model-a", "s-1", False)
    assert second.struck_off


def test_settings_of_clinic_model_and_device_are_layers_of_their_own() -> None:
    registry = site("UTC")
    with_own = replace(registry.devices["stim-01"], limits={"peak_ma_max": 60.0}, service_hold=True)
    registry = replace(
        registry,
        devices={**registry.devices, "stim-01": with_own},
        models={"model-a": {"pulse_width_us_max": 400.0}},
        clinic=ClinicSettings(2.0, 0.25, 60.0, 300.0, 7_000),
    )
    core = core_registry(registry, None)
    clinic = core.clinic
    assert (clinic.idle_period_s, clinic.live_period_s, clinic.start_within_s) == (2.0, 0.25, 60.0)
    assert (clinic.pause_total_s, clinic.lease_ttl_ms) == (300.0, 7_000)
    assert core_registry(registry, 6_000).clinic.lease_ttl_ms == 6_000, "fleet.toml goes before the registry"
    first, second = core.devices["stim-01"], core.devices["stim-02"]
    assert first.limits is not None
    assert first.profile is not None
    assert (first.limits.peak_ma_max, first.service_hold) == (Limit(60.0, Layer.SETTINGS), True)
    assert first.profile.pulse_width_us_max == Limit(400.0, Layer.MODEL)
    assert (second.limits, second.profile, second.service_hold) == (None, None, False)


def test_a_device_is_checked_as_often_as_the_stricter_of_its_model_and_itself_says() -> None:
    registry = site("UTC")
    done = date(2026, 11, 1)
    checks = {"safety": DoneCheck(done, Every(days=90, hours=600.0)), "firmware": DoneCheck(done)}
    with_own = replace(registry.devices["stim-01"], checks=checks)
    every = {"safety": Every(days=365, hours=500.0), "calibration": Every(sessions=2000)}
    registry = replace(
        registry,
        devices={**registry.devices, "stim-01": with_own},
        upkeep={"model-a": Upkeep(every, "2.1", done)},
    )
    first, second = core_registry(registry, None).devices.values()
    model, own = RuleLayer.MODEL, RuleLayer.SETTINGS
    assert first.checks == {
        CheckKind.CALIBRATION: DeviceCheck(sessions=Bound(most=2000.0, layer=model)),
        CheckKind.SAFETY: DeviceCheck(
            done=done, days=Bound(most=90.0, layer=own), hours=Bound(most=500.0, layer=model)
        ),
        CheckKind.FIRMWARE: DeviceCheck(done=done),
    }
    assert first.firmware == FirmwareMin(version="2.1", by=done)
    assert (second.checks, second.firmware) == ({}, None)


def test_the_clinic_s_zone_and_its_dose_rules_are_there() -> None:
    clinic = core_registry(site("Europe/Berlin"), 5_000).clinic
    assert clinic.time_zone == "Europe/Berlin"
    assert clinic.dose == {
        Modality.NMES: dose_rules(Modality.NMES),
        Modality.WB_EMS: dose_rules(Modality.WB_EMS, rest_days_min=6),
    }


def test_a_renewed_key_is_no_new_enrolment_but_another_stimulator_or_a_persons_word_is() -> None:
    """A new enrolment forgets a device's boots, and so would end its session."""
    before = site("UTC").devices["stim-01"]
    renewed = Device("stim-01", "room-1", "s-1", "model-a", (POINT, "04" + "1" * 128), date(2028, 1, 1))
    exchanged = Device("stim-01", "room-1", "s-9", "model-a", (POINT,), date(2027, 3, 27))

    by_a_person = replace(before, enrolled_n=2)
    moved = replace(before, room="room-9")

    def enrolment(device: Device) -> str:
        return (
            core_registry(Registry("n", "UTC", "h", 1, devices={"stim-01": device}), 5_000).devices["stim-01"].enrolment
        )

    assert enrolment(renewed) == enrolment(before)
    assert enrolment(moved) == enrolment(before)
    assert len({enrolment(before), enrolment(exchanged), enrolment(by_a_person)}) == 3
