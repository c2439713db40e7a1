"""What a site may set about its pager: strictly, naming the field, and without saying again what was given."""

from pathlib import Path

import pytest

from fleet.adapters.notify.settings import load_pager_settings
from fleet.settings import SettingsRefused


def loaded(tmp_path: Path, toml: str = "") -> object:
    (tmp_path / "pager.toml").write_text(toml)
    return load_pager_settings(tmp_path, tmp_path / "data")


def test_without_a_file_it_is_as_usual(tmp_path: Path) -> None:
    settings = load_pager_settings(tmp_path, tmp_path / "data")
    assert (settings.public_url, settings.heartbeat_secret, settings.send_s) == (None, None, 5.0)
    assert (settings.heartbeat_period_s, settings.link_ends_after_s) == (60.0, 3_600)
    assert settings.control_path == tmp_path / "data" / "control.sock"


def test_file_environment_and_command_line_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pager.toml").write_text('send_s = 2.0\npublic_url = "https://fleet.clinic.example/"\n')
    assert load_pager_settings(tmp_path, tmp_path).send_s == 2.0
    assert load_pager_settings(tmp_path, tmp_path).public_url == "https://fleet.clinic.example"
    monkeypatch.setenv("STIMFLEET_PAGER_SEND_S", "3.0")
    assert load_pager_settings(tmp_path, tmp_path).send_s == 3.0
    assert load_pager_settings(tmp_path, tmp_path, send_s=4.0).send_s == 4.0


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("colour = 'red'", "colour is no setting of the pager."),
        ("send_s = 13.0", "send_s cannot be used: Input should be less than or equal to 12."),
        ("send_s = 'soon'", "send_s cannot be used"),
        ("heartbeat_period_s = 0.5", "heartbeat_period_s cannot be used"),
        ("heartbeat_secret = '../key'", "heartbeat_secret cannot be used"),
        ("public_url = 'fleet.clinic.example'", "public_url cannot be used: it must be an address like https://"),
        ("public_url = 'https://a:t0ken@fleet.example'", "it must hold no name and no password"),
        ("public_url = 'https://fleet.example/?key=t0ken'", "without [?] and #"),
        ("runbook_url = 'ftp://wiki.example'", "runbook_url cannot be used"),
        ("link_ends_after_s = 59", "link_ends_after_s cannot be used"),
        ("send_s = ", "pager.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(SettingsRefused, match=says) as refused:
        loaded(tmp_path, toml)
    assert "t0ken" not in str(refused.value)


def test_an_unknown_word_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIMFLEET_PAGER_COLOUR", "red")
    with pytest.raises(SettingsRefused, match="STIMFLEET_PAGER_COLOUR in the environment is no setting of the pager"):
        load_pager_settings(tmp_path, tmp_path)
