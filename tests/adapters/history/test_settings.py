"""Settings of the recorder: unknown or out of range, and it refuses, naming the field in one sentence."""

from pathlib import Path

import pytest

import stimfleet
from fleet.adapters.history.embedded_reading import EmbeddedReader
from fleet.adapters.history.influx import InfluxHistory
from fleet.adapters.history.influx_reading import InfluxReader, Where
from fleet.adapters.history.settings import load_recorder_settings, open_history, open_history_reader
from fleet.settings import SettingsRefused
from tests.adapters.history.shelf import BERLIN, NOON_S

TOGETHER = "The recorder's settings do not go together: "
INFLUX = 'store = "influxdb"\ninflux_url = "http://influx.clinic:8086"\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_nothing_said_is_the_embedded_store_two_weeks_and_two_years(site: Path, tmp_path: Path) -> None:
    settings = load_recorder_settings(site, tmp_path)
    assert (settings.store, settings.raw_days, settings.rollup_months) == ("embedded", 14, 24)
    assert (settings.feed_path, settings.folder) == (tmp_path / "feed.sock", tmp_path / "history")
    assert isinstance(open_history_reader(settings, BERLIN), EmbeddedReader)


def test_the_environment_beats_the_file(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "recorder.toml").write_text("raw_days = 30\nrollup_months = 60\n")
    monkeypatch.setenv("STIMFLEET_RECORDER_RAW_DAYS", "31")
    settings = load_recorder_settings(site, tmp_path)
    assert (settings.raw_days, settings.rollup_months) == (31, 60)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("raw_day = 3", "raw_day is no setting of the recorder."),
        ("raw_days = 1", "raw_days cannot be 1: Input should be greater than or equal to 2."),
        ('store = "influx"', "store cannot be 'influx': Input should be 'embedded' or 'influxdb'."),
        (
            'store = "influxdb"',
            TOGETHER + "influx_url must say where the InfluxDB is.",
        ),
        (
            INFLUX.replace("http:", "ftp:"),
            "influx_url cannot be 'ftp://influx.clinic:8086': String should match pattern",
        ),
        (INFLUX + 'influx_bucket = "a&db=b"', "influx_bucket cannot be 'a&db=b': String should match pattern"),
        (
            INFLUX + 'influx_token = "x"\ninflux_token_file = "y"',
            TOGETHER + "influx_token and influx_token_file: one of them, not both.",
        ),
        ("raw_days =", "recorder.toml cannot be read: "),
    ],
)
def test_what_cannot_be_is_refused(site: Path, tmp_path: Path, said: str, words: str) -> None:
    (site / "recorder.toml").write_text(said + "\n")
    with pytest.raises(SettingsRefused) as refused:
        load_recorder_settings(site, tmp_path)
    assert str(refused.value).startswith(words)


def test_a_variable_that_is_no_setting_is_refused(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STIMFLEET_RECORDER_RAWDAYS", "30")
    assert stimfleet.main(["recorder", f"--site-dir={site}", f"--data-dir={tmp_path}"]) == 78
    assert "STIMFLEET_RECORDER_RAWDAYS in the environment is no setting of the recorder." in capsys.readouterr().err


async def test_the_token_comes_from_a_file_and_is_shown_to_nobody(site: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    (site / "recorder.toml").write_text(INFLUX + f'influx_token_file = "{token}"\n')
    settings = load_recorder_settings(site, tmp_path)
    with pytest.raises(SettingsRefused, match=r"influx_token_file .* cannot be read"):
        open_history_reader(settings, BERLIN)
    token.write_text("very-secret\n")
    reader = open_history_reader(settings, BERLIN)
    assert isinstance(reader, InfluxReader)
    assert reader._where == Where("http://influx.clinic:8086", "stimfleet", "stimfleet", "very-secret")
    assert "very-secret" not in repr(reader._where)
    store = open_history(settings, BERLIN, lambda: NOON_S)
    assert isinstance(store, InfluxHistory)
    await store.close()
    (site / "recorder.toml").write_text(INFLUX + 'influx_token = "very-secret"\n')
    assert "very-secret" not in repr(load_recorder_settings(site, tmp_path))
