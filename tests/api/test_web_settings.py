"""What a site may set about its web server, and what it is told where that cannot be."""

from pathlib import Path
from typing import Any

import pytest

from fleet.api.settings import load_web_settings
from fleet.settings import SettingsRefused


def loaded(folder: Path, toml: str = "", **given: Any) -> Any:
    (folder / "web.toml").write_text(toml)
    return load_web_settings(folder, folder / "fleet", **given)


def test_nothing_said_is_this_machine_only(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert (settings.host, settings.port, settings.over_tls) == ("127.0.0.1", 8080, False)
    assert settings.host_names == {"127.0.0.1", "localhost", "[::1]"}


def test_the_command_line_is_before_the_environment_is_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STIMFLEET_WEB_PORT", "8082")
    assert loaded(tmp_path, "port = 8081").port == 8082
    assert loaded(tmp_path, "port = 8081", port=8083).port == 8083
    monkeypatch.delenv("STIMFLEET_WEB_PORT")
    assert loaded(tmp_path, "port = 8081").port == 8081


def test_a_clinic_that_listens_to_all_says_what_it_is_called(tmp_path: Path) -> None:
    settings = loaded(tmp_path, 'host = "0.0.0.0"\nallowed_hosts = ["fleet.clinic.example"]\ntls_by_proxy = true')
    assert "fleet.clinic.example" in settings.host_names
    assert settings.over_tls
    with pytest.raises(SettingsRefused, match="allowed_hosts must say what browsers call this server"):
        loaded(tmp_path, 'host = "0.0.0.0"')


def test_who_is_not_on_this_machine_signs_in_over_tls_or_the_clinic_says_that_it_means_it(tmp_path: Path) -> None:
    open_to_all = 'host = "192.0.2.1"\n'
    with pytest.raises(SettingsRefused, match="passwords would cross the network in the clear"):
        loaded(tmp_path, open_to_all)
    for means_it in ("tls_by_proxy = true", "plain_http = true", 'tls_certificate = "c.pem"\ntls_key = "k.pem"'):
        assert loaded(tmp_path, open_to_all + means_it).host == "192.0.2.1"
    for here in ("127.0.0.1", "127.0.0.2", "::1"):
        assert not loaded(tmp_path, f'host = "{here}"').over_tls


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("colour = 1", "colour is no setting of the web server."),
        ("port = 70000", "port cannot be 70000"),
        ('host = "localhost"', "it must be an address of this machine"),
        ('tls_certificate = "x.pem"', "tls_certificate and tls_key go together"),
        ('allowed_hosts = ["*"]', "allowed_hosts.0 cannot be '*'"),
        ('trusted_proxies = ["proxy"]', "trusted_proxies.0 cannot be 'proxy'"),
        ("port = ", "web.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        loaded(tmp_path, toml)
    assert says in str(refused.value)


def test_a_variable_that_is_no_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIMFLEET_WEB_PROT", "1")
    with pytest.raises(SettingsRefused, match="STIMFLEET_WEB_PROT in the environment is no setting"):
        loaded(tmp_path)
