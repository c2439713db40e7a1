"""The registry is read strictly: anything wrong is one sentence that names the place."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.pki.checks import DoneCheck, Every, Upkeep
from broker.pki.clinic import ClinicSettings
from broker.pki.registry import BadRegistry, Device, Operator, Registry
from broker.pki.registry_file import load_registry, save_registry

POINT = "04" + "ab" * 64
REGISTRY = Registry(
    site="north",
    time_zone="Europe/Vienna",
    broker_host="mqtt.clinic",
    broker_port=8883,
    clinic_limits={"peak_ma_max": 80.0, "ramp_up_s_min": 1.0},
    devices={
        "stim-1": Device("stim-1", "room-1", "s1", "generic", (POINT,), date(2028, 1, 31)),
        "stim-2": Device("stim-2", "room-1", "s2", "generic", (POINT, POINT), date(2028, 1, 31), struck_off=True),
        "stim-3": Device(
            "stim-3",
            "room-2",
            "s3",
            "generic",
            (POINT,),
            date(2028, 1, 31),
            limits={"peak_ma_max": 60.0},
            service_hold=True,
            checks={"safety": DoneCheck(date(2026, 11, 1), Every(hours=100.0)), "firmware": DoneCheck()},
        ),
    },
    operators={"ana": Operator("ana", {"generic": date(2027, 1, 31)})},
    clinic=ClinicSettings(idle_period_s=2.0, live_period_s=0.25, lease_ttl_ms=6_000),
    models={"generic": {"pulse_width_us_max": 400.0}},
    dose_rules={"nmes": {"sessions_per_7_days_max": 2, "duration_s_max": 1500.0}},
    upkeep={"generic": Upkeep({"safety": Every(365, 500.0, 2000)}, "2.1", date(2026, 12, 31)), "old": Upkeep()},
    opening_hours={"mon": "08:00-12:00 13:00-18:00", "sat": ""},
)


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    save_registry(tmp_path, REGISTRY)
    document: dict[str, Any] = json.loads((tmp_path / "registry.json").read_text())
    return document


def loaded(tmp_path: Path, document: Any) -> Registry:
    (tmp_path / "registry.json").write_text(json.dumps(document))
    return load_registry(tmp_path)


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    save_registry(tmp_path, REGISTRY)
    assert load_registry(tmp_path) == load_registry(tmp_path / "registry.json") == REGISTRY


def test_a_registry_from_before_enrolments_were_counted_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    for device in document["devices"]:
        del device["enrolled_n"]
    assert loaded(tmp_path, document) == REGISTRY


def test_a_registry_from_before_there_were_settings_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    for name in ("clinic", "models"):
        del document[name]
    for device in document["devices"]:
        del device["limits"], device["service_hold"]
    before = loaded(tmp_path, document)
    assert before.clinic == ClinicSettings(5.0, 0.5, 120.0, 600.0, 5_000)
    assert before.models == {}
    assert {(str(device.limits), device.service_hold) for device in before.devices.values()} == {("{}", False)}
    assert before.clinic_limits == REGISTRY.clinic_limits


def test_what_the_clinic_does_not_say_is_as_the_contract_has_it(tmp_path: Path, document: dict[str, Any]) -> None:
    document["clinic"] = {"live_period_s": 0.05, "lease_ttl_ms": 10_000}
    assert loaded(tmp_path, document).clinic == ClinicSettings(5.0, 0.05, 120.0, 600.0, 10_000)


def test_a_registry_from_before_there_were_opening_hours_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    del document["opening_hours"]
    assert loaded(tmp_path, document) == replace(REGISTRY, opening_hours={})


def test_a_registry_from_before_there_were_dose_rules_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    del document["dose_rules"]
    assert loaded(tmp_path, document) == replace(REGISTRY, dose_rules={})


def test_a_registry_from_before_anything_was_checked_is_read(tmp_path: Path, document: dict[str, Any]) -> None:
    del document["upkeep"]
    for device in document["devices"]:
        del device["checks"]
    before = loaded(tmp_path, document)
    assert before.upkeep == {}
    assert [device.checks for device in before.devices.values()] == [{}, {}, {}]


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    save_registry(tmp_path, REGISTRY)
    with pytest.raises(BadRegistry, match=r"cannot be written: the registry\.broker_port is 0"):
        save_registry(tmp_path, replace(REGISTRY, broker_port=0))
    assert load_registry(tmp_path) == REGISTRY


def test_active_are_those_that_are_not_struck_off() -> None:
    assert [device.id for device in REGISTRY.active_devices] == ["stim-1", "stim-3"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("site",), "North", "site is 'North'"),
        (("site",), 7, "site is 7"),
        (("time_zone",), "Mars/Olympus", "does not know as a time zone"),
        (("time_zone",), "../../etc/passwd", "time_zone"),
        (("broker_port",), 0, "no port"),
        (("broker_port",), True, "no port"),
        (("broker_port",), "8883", "no port"),
        (("broker_host",), "a b", "broker_host"),
        (("devices",), {}, "devices is no list"),
        (("devices", 0), "stim-1", r"devices\[0\] is no object"),
        (("devices", 0, "id"), "fleet", r"devices\[0\].id is 'fleet', which is reserved"),
        (("devices", 0, "id"), "stim-2", "has 'stim-2' twice"),
        (("devices", 1, "room"), "Room 1", r"devices\[1\].room"),
        (("devices", 2, "checks"), [], r"devices\[2\].checks is no object"),
        (("devices", 2, "checks", "blessing"), {}, r"checks names 'blessing', which is no check"),
        (("devices", 2, "checks", "safety", "done"), "2026-11-31", "which is no day"),
        (("devices", 2, "checks", "safety", "done"), 7, r"checks.safety.done is 7"),
        (("devices", 2, "checks", "safety", "every"), 365, r"checks.safety.every is no object"),
        (("devices", 2, "checks", "safety", "every", "weeks"), 4, "every has 'weeks', which is unknown"),
        (("upkeep",), [], "upkeep is no object"),
        (("upkeep", "a\nb"), {}, "upkeep is 'a"),
        (("upkeep", "generic", "every", "safety", "days"), 0, "safety.days is 0, which is not from 1 to 3650"),
        (("upkeep", "generic", "every", "safety", "days"), 3651, "which is not from 1 to 3650"),
        (("upkeep", "generic", "every", "safety", "days"), 30.5, "which is no whole number"),
        (("upkeep", "generic", "every", "safety", "days"), True, "which is no whole number"),
        (("upkeep", "generic", "every", "safety", "hours"), "500", "which is no number"),
        (("upkeep", "generic", "every", "safety", "hours"), 0.5, "which is not from 1 to 100000"),
        (("upkeep", "generic", "every", "safety", "sessions"), 1000001, "which is not from 1 to 1e[+]06"),
        (("upkeep", "generic", "firmware_min"), "v2", r"firmware_min is 'v2'"),
        (("upkeep", "generic", "firmware_by"), "soon", r"firmware_by is 'soon'"),
        (("devices", 0, "serial"), "", r"devices\[0\].serial"),
        (("devices", 0, "serial"), "s\n1", r"devices\[0\].serial"),
        (("devices", 0, "public_keys"), [], "public_keys is empty"),
        (("devices", 0, "public_keys"), ["04ab"], r"public_keys\[0\]"),
        (("devices", 0, "public_keys"), ["05" + "ab" * 64], r"public_keys\[0\]"),
        (("devices", 0, "struck_off"), 0, "neither true nor false"),
        (("devices", 0, "enrolled_n"), 0, r"devices\[0\].enrolled_n is 0, which does not count from 1"),
        (("devices", 0, "enrolled_n"), True, "does not count from 1"),
        (("devices", 0, "enrolled_n"), "2", "does not count from 1"),
        (("devices", 0, "certificate_until"), "2028-02-30", "no day"),
        (("devices", 0, "certificate_until"), "20280130", "certificate_until"),
        (("devices", 0, "colour"), "red", "has 'colour', which is unknown"),
        (("clinic_limits",), [], "clinic_limits is no object"),
        (("clinic_limits", "volume_max"), 11, "names 'volume_max', which is no limit"),
        (("clinic_limits", "peak_ma_max"), True, "no number"),
        (("clinic_limits", "peak_ma_max"), -1, "no number"),
        (("clinic_limits", "peak_ma_max"), 130.1, "looser than the envelope's 130.0"),
        (("clinic_limits", "ramp_up_s_min"), 0.4, "looser than the envelope's 0.5"),
        (("devices", 2, "limits"), [], r"devices\[2\].limits is no object"),
        (("devices", 2, "limits", "peak_ma_max"), "60", r"devices\[2\].limits.peak_ma_max is '60', which is no number"),
        (("devices", 2, "limits", "peak_ma_max"), 131, "looser than the envelope's 130.0"),
        (("devices", 2, "limits", "loudness"), 1, "names 'loudness', which is no limit"),
        (("devices", 2, "service_hold"), "on", "neither true nor false"),
        (("clinic",), [], "clinic is no object"),
        (("clinic", "idle_period_s"), 0.9, "clinic.idle_period_s is 0.9, which is not from 1 to 10"),
        (("clinic", "idle_period_s"), 10.1, "which is not from 1 to 10"),
        (("clinic", "live_period_s"), 0.04, "which is not from 0.05 to 0.5"),
        (("clinic", "live_period_s"), 0.51, "which is not from 0.05 to 0.5"),
        (("clinic", "live_period_s"), True, "which is no number"),
        (("clinic", "start_within_s"), 9, "which is not from 10 to 3600"),
        (("clinic", "pause_total_s"), 601, "which is not from 0 to 600"),
        (("clinic", "lease_ttl_ms"), 3_999, "which is not from 4000 to 10000"),
        (("clinic", "lease_ttl_ms"), 10_001, "which is not from 4000 to 10000"),
        (("clinic", "lease_ttl_ms"), 5_000.0, "which is no whole number"),
        (("clinic", "colour"), "red", "clinic has 'colour', which is unknown"),
        (("models",), [], "models is no object"),
        (("models", "generic"), 7, "models.generic is no object"),
        (("models", "a\nb"), {}, "which does not match"),
        (("models", "generic", "pulse_width_us_max"), 501, "models.generic.pulse_width_us_max is 501, looser than"),
        (("dose_rules",), [], "dose_rules is no object"),
        (("opening_hours",), [], "opening_hours: that is no object of words"),
        (("opening_hours", "mon"), 8, "opening_hours: that is no object of words"),
        (("opening_hours", "mon"), "8-18", "opening_hours: mon says '8-18', which is nothing like 08:00-18:00"),
        (("opening_hours", "mo"), "08:00-18:00", "opening_hours: 'mo' is no weekday of mon, tue"),
        (("dose_rules", "ems"), {}, "dose_rules names 'ems', which is no modality"),
        (("dose_rules", "nmes"), 3, "dose_rules.nmes is no object"),
        (("dose_rules", "nmes", "volume_max"), 3, "dose_rules.nmes: 'volume_max' is no dose rule"),
        (("dose_rules", "nmes", "modality"), 3, "dose_rules.nmes: 'modality' is no dose rule"),
        (("dose_rules", "nmes", "rest_days_min"), "1", "rest_days_min is '1', which is no whole number"),
        (("dose_rules", "nmes", "sessions_per_7_days_max"), 4, "is 4, looser than the domain's 3"),
        (("operators", 0, "instructed_until"), [], "instructed_until is no object"),
        (("operators", 0, "instructed_until", "generic"), "soon", "instructed_until.generic"),
        (("operators", 0, "instructed_until", "generic"), "9999-12-31", "which is not from 2000 to 2999"),
        (("operators", 0, "instructed_until", "generic"), "1999-12-31", "which is not from 2000 to 2999"),
        (("operators", 0, "id"), "Ana", r"operators\[0\].id"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(
    tmp_path: Path, document: dict[str, Any], path: tuple[str | int, ...], value: Any, words: str
) -> None:
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with pytest.raises(BadRegistry, match=words) as bad:
        loaded(tmp_path, document)
    assert str(bad.value).endswith(".")


@pytest.mark.parametrize("name", ["site", "devices", "operators", "clinic_limits", "time_zone"])
def test_a_missing_field_is_named(tmp_path: Path, document: dict[str, Any], name: str) -> None:
    del document[name]
    with pytest.raises(BadRegistry, match=f"has no '{name}'"):
        loaded(tmp_path, document)


@pytest.mark.parametrize("limit", [130.0, 130, 0.0])
def test_a_limit_equal_to_the_envelopes_or_below_is_a_limit(
    tmp_path: Path, document: dict[str, Any], limit: float
) -> None:
    document["clinic_limits"] = {"peak_ma_max": limit}
    assert loaded(tmp_path, document).clinic_limits == {"peak_ma_max": float(limit)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[]", "the registry is no object"),
        (b"null", "the registry is no object"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"site": "a", "site": "b"}', "'site' is there twice"),
        (b'{"site": NaN}', "NaN is no number"),
        (b'{"site": -Infinity}', "-Infinity is no number"),
    ],
)
def test_what_is_no_registry_at_all_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "registry.json").write_bytes(content)
    with pytest.raises(BadRegistry, match=words):
        load_registry(tmp_path)


def test_a_missing_registry_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRegistry, match="cannot be read: No such file"):
        load_registry(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data(), json_values)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_a_field_it_is_read_or_refused_and_crashes_nothing(
    tmp_path: Path, data: st.DataObject, value: Any
) -> None:
    save_registry(tmp_path, REGISTRY)
    document = json.loads((tmp_path / "registry.json").read_text())
    target = data.draw(st.sampled_from([document, document["devices"][0], document["operators"][0]]))
    target[data.draw(st.sampled_from(sorted(target)))] = value
    try:
        registry = loaded(tmp_path, document)
    except BadRegistry:
        return
    save_registry(tmp_path, registry)
    assert load_registry(tmp_path) == registry
