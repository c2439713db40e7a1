"""What a site may set about the history of its samples, and the store that comes of it.

In rising order of precedence: `recorder.toml` in the site's folder, the environment (`STIMFLEET_RECORDER_RAW_DAYS`),
and what the command line gives. Unknown or out of range: refused, naming the field.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from fleet.adapters.history.port import History, HistoryReader
from fleet.settings import SettingsRefused, SiteSettings, own_address

if TYPE_CHECKING:
    from fleet.adapters.history.influx_reading import Where

MEGABYTE = 1_000_000


class RecorderSettings(SiteSettings):
    """Of one recorder and of whoever reads what it wrote. Sizes in samples, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="STIMFLEET_RECORDER_")
    file_name = "recorder.toml"
    of = "the recorder"
    do_not_go_together = "The recorder's settings do not go together"

    store: Literal["embedded", "influxdb"] = "embedded"
    # The embedded store's. An agent may send what is a day old: less than two days of rows would not take that.
    raw_days: Annotated[int, Field(ge=2, le=3_650)] = 14
    rollup_months: Annotated[int, Field(ge=1, le=240)] = 24
    # InfluxDB's; how long it keeps what it has is set there, at the bucket.
    influx_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None
    influx_org: Annotated[str, Field(min_length=1, max_length=128)] = "stimfleet"
    influx_bucket: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,63}$")] = "stimfleet"
    influx_token: SecretStr | None = None
    influx_token_file: Path | None = None  # instead of the token itself
    spill_mb_max: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    # In memory, while a batch is being written or nothing can be; what comes beyond that is lost and counted.
    waiting_samples_max: Annotated[int, Field(ge=1_000, le=10_000_000)] = 200_000
    batch_samples_max: Annotated[int, Field(ge=100, le=50_000)] = 10_000
    # Where /metrics is; 0: nowhere.
    http_host: Annotated[str, AfterValidator(own_address)] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    batch_period_s: Annotated[float, Field(ge=0.05, le=10.0)] = 0.5

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.store == "influxdb" and self.influx_url is None:
            raise ValueError("influx_url must say where the InfluxDB is")
        if self.influx_token is not None and self.influx_token_file is not None:
            raise ValueError("influx_token and influx_token_file: one of them, not both")
        return self

    @property
    def control_path(self) -> Path:
        return self.data_dir / "control.sock"

    @property
    def status_path(self) -> Path:
        return self.data_dir / "recorder.sock"

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "recorder.lock"

    @property
    def folder(self) -> Path:
        """The embedded store's files, or what waits for InfluxDB."""
        return self.data_dir / ("history" if self.store == "embedded" else "history-waiting")


load_recorder_settings = RecorderSettings.load


def open_history(settings: RecorderSettings, zone: ZoneInfo, walltime: Callable[[], float]) -> History:
    """The store to write, in a running loop. `zone`: the clinic's.

    Raises:
        OSError: its folder cannot be used.
        SettingsRefused: the token cannot be read.
    """
    # Each store has its own imports, of which the other has no need.
    if settings.store == "embedded":
        from fleet.adapters.history.embedded import EmbeddedHistory, Kept

        kept = Kept(settings.raw_days, settings.rollup_months)
        return EmbeddedHistory(settings.folder, zone, kept, walltime)
    from fleet.adapters.history.influx import InfluxHistory

    where, spill_bytes_max = _where(settings), settings.spill_mb_max * MEGABYTE
    return InfluxHistory(where, settings.folder, zone, walltime, spill_bytes_max)


def open_history_reader(settings: RecorderSettings, zone: ZoneInfo) -> HistoryReader:
    """The store to read, in any process, whether a recorder runs or not. `zone`: the clinic's.

    Raises:
        SettingsRefused: the token cannot be read.
    """
    if settings.store == "embedded":
        from fleet.adapters.history.embedded_reading import EmbeddedReader

        return EmbeddedReader(settings.folder, zone)
    from fleet.adapters.history.influx_reading import InfluxReader

    return InfluxReader(_where(settings), zone)


def _where(settings: RecorderSettings) -> "Where":
    from fleet.adapters.history.influx_reading import Where

    assert settings.influx_url is not None
    return Where(settings.influx_url, settings.influx_org, settings.influx_bucket, _token(settings))


def _token(settings: RecorderSettings) -> str | None:
    if settings.influx_token is not None:
        return settings.influx_token.get_secret_value()
    if settings.influx_token_file is None:
        return None
    try:
        return settings.influx_token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"influx_token_file {settings.influx_token_file} cannot be read: {error}.") from None
