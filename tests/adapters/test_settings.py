"""Settings: unknown or out of range, and the service refuses to start, naming the field in one sentence."""

from pathlib import Path
from typing import Any

import pytest

from fleet.settings import SettingsRefused, load_settings


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_nothing_said_is_the_contracts_defaults(site: Path, tmp_path: Path) -> None:
    settings = load_settings(site, tmp_path)
    assert settings.lease_ttl_ms is None, "the registry says it"
    assert settings.broker_port is None
    assert (settings.journal_path, settings.lock_path) == (tmp_path / "journal.db", tmp_path / "fleet.lock")


def test_health_and_metrics_are_for_this_machine_unless_somebody_says_otherwise(site: Path, tmp_path: Path) -> None:
    settings = load_settings(site, tmp_path)
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 9_883)
    (site / "fleet.toml").write_text("http_host = '0.0.0.0'\nhttp_port = 0\n")
    settings = load_settings(site, tmp_path)
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 0)  # noqa: S104 # what a clinic may choose
    assert load_settings(site, tmp_path, http_host="::1").http_host == "::1"


def test_an_address_that_is_none_is_refused_with_what_it_should_be(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused) as refused:
        load_settings(site, tmp_path, http_host="fleet.clinic")
    assert str(refused.value) == (
        "http_host cannot be 'fleet.clinic': it must be an address of this machine, like 127.0.0.1, "
        "or 0.0.0.0 for all of them."
    )


def test_the_command_line_beats_the_environment_beats_the_file(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "fleet.toml").write_text("lease_ttl_ms = 6000\nbroker_port = 2000\ntick_period_s = 0.2\n")
    monkeypatch.setenv("STIMFLEET_FLEET_BROKER_PORT", "3000")
    monkeypatch.setenv("STIMFLEET_FLEET_LEASE_TTL_MS", "7000")
    settings = load_settings(site, tmp_path, lease_ttl_ms=8000)
    assert (settings.lease_ttl_ms, settings.broker_port, settings.tick_period_s) == (8000, 3000, 0.2)


@pytest.mark.parametrize("ttl_ms", [4_000, 10_000])
def test_the_bounds_of_the_lease_are_allowed(site: Path, tmp_path: Path, ttl_ms: int) -> None:
    assert load_settings(site, tmp_path, lease_ttl_ms=ttl_ms).lease_ttl_ms == ttl_ms


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"lease_ttl_ms": 3_999}, "lease_ttl_ms"),
        ({"lease_ttl_ms": 10_001}, "lease_ttl_ms"),
        ({"lease_ttl_ms": "soon"}, "lease_ttl_ms"),
        ({"broker_port": 0}, "broker_port"),
        ({"broker_host": ""}, "broker_host"),
        ({"snapshot_period_s": 0.5}, "snapshot_period_s"),
        ({"snapshot_period_s": float("nan")}, "snapshot_period_s"),
        ({"tick_period_s": 5}, "tick_period_s"),
        ({"inbox_items_max": 1}, "inbox_items_max"),
        ({"colour": "red"}, "colour"),
        ({"http_port": -1}, "http_port"),
        ({"http_port": 65_536}, "http_port"),
        ({"http_port": "web"}, "http_port"),
        ({"http_host": "fleet.clinic"}, "http_host"),
        ({"http_host": ""}, "http_host"),
        ({"http_host": "300.1.1.1"}, "http_host"),
    ],
)
def test_what_cannot_be_is_refused_by_name(site: Path, tmp_path: Path, given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        load_settings(site, tmp_path, **given)
    sentence = str(refused.value)
    assert sentence.startswith(f"{named} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("text", "named"),
    [("colour = 'red'", "colour"), ("lease_ttl_ms = 1", "lease_ttl_ms"), ("lease_ttl_ms =", "fleet.toml")],
)
def test_so_is_what_the_file_says(site: Path, tmp_path: Path, text: str, named: str) -> None:
    (site / "fleet.toml").write_text(text)
    with pytest.raises(SettingsRefused, match=f"^{named} "):
        load_settings(site, tmp_path)


def test_a_misspelt_variable_is_found_out(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIMFLEET_FLEET_LEASE_TTL", "6000")
    with pytest.raises(SettingsRefused, match=r"STIMFLEET_FLEET_LEASE_TTL in the environment is no setting"):
        load_settings(site, tmp_path)
    monkeypatch.delenv("STIMFLEET_FLEET_LEASE_TTL")
    monkeypatch.setenv("STIMFLEET_FLEET_LEASE_TTL_MS", "x")
    with pytest.raises(SettingsRefused, match=r"^lease_ttl_ms cannot be 'x'"):
        load_settings(site, tmp_path)
