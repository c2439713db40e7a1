"""What a site may set about its processes, and about its fleet service. Unknown or out of range: it refuses to start
and names the field.

Site id, time zone, broker and devices are the registry's (`broker.pki.registry`), said once for everybody. For the
fleet service: `fleet.toml`, `STIMFLEET_FLEET_LEASE_TTL_MS`.
"""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)


class SettingsRefused(ValueError):
    """The settings cannot be used; the text is one sentence that names the field."""


def own_address(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        raise ValueError("it must be an address of this machine, like 127.0.0.1, or 0.0.0.0 for all of them") from None


class SiteSettings(BaseSettings):
    """Of one process of a site. What it is called, and its file, say the subclasses; of the environment, `env_prefix`.

    In rising order of precedence: the file in the site's folder, the environment, and what the command line gives.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)
    file_name: ClassVar[str]
    of: ClassVar[str]
    do_not_go_together: ClassVar[str] = "They do not go together"
    repeats: ClassVar[bool] = True  # what was given, where it is refused; False: somebody may have put a secret there

    site_dir: Path
    data_dir: Path  # the fleet's: its journal and its sockets are there

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, Path(init_settings()["site_dir"]) / cls.file_name)
        return init_settings, env_settings, toml

    @classmethod
    def load(cls, site_dir: Path, data_dir: Path, **given: object) -> Self:
        """The settings; `given` is what the command line names, e.g. `lease_ttl_ms=6000`.

        Raises:
            SettingsRefused: with one sentence that names the field.
        """
        prefix = cls.model_config["env_prefix"]
        known = {f"{prefix}{name}".upper() for name in cls.model_fields}
        for name in os.environ:
            if name.upper().startswith(prefix) and name.upper() not in known:
                raise SettingsRefused(f"{name} in the environment is no setting of {cls.of}.")
        named: dict[str, Any] = {"site_dir": site_dir, "data_dir": data_dir, **given}
        try:
            return cls(**named)
        except ValidationError as refused:
            raise SettingsRefused(cls._words(refused)) from None
        except (SettingsError, ValueError) as error:  # a file that is no TOML, a value that cannot be read
            why = error if cls.repeats else type(error).__name__
            raise SettingsRefused(f"{cls.file_name} cannot be read: {why}.") from None

    @classmethod
    def _words(cls, refused: ValidationError) -> str:
        error = refused.errors(include_url=False)[0]
        field, why = ".".join(str(part) for part in error["loc"]), error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            return f"{field} is no setting of {cls.of}."
        if not field:
            return f"{cls.do_not_go_together}: {why}."
        return f"{field} cannot be {repr(error['input']) if cls.repeats else 'used'}: {why}."

    @property
    def journal_path(self) -> Path:
        return self.data_dir / "journal.db"

    @property
    def control_path(self) -> Path:
        return self.data_dir / "control.sock"

    @property
    def feed_path(self) -> Path:
        return self.data_dir / "feed.sock"


class Settings(SiteSettings):
    """Of one fleet service. Periods in seconds, sizes in items, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="STIMFLEET_FLEET_")
    file_name = "fleet.toml"
    of = "the fleet service"

    # None: the registry's, as for every device of the site.
    broker_host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    broker_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    # None: the registry's (`stimfleet provision clinic`). 5 s, its default: a message lost each way with 5 % ends 2 in
    # a million 20-minute sessions (contract.md, rule 1).
    lease_ttl_ms: Annotated[int, Field(ge=4_000, le=10_000)] | None = None
    # A restart folds what came after the snapshot: docs/decisions/2026-11-22-restart.md.
    snapshot_period_s: Annotated[float, Field(ge=1.0, le=3_600.0)] = 10.0
    tick_period_s: Annotated[float, Field(ge=0.02, le=0.5)] = 0.1
    inbox_items_max: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    outbox_items_max: Annotated[int, Field(ge=100, le=100_000)] = 5_000
    # /healthz and /metrics: no secrets, no users. The port is the broker's usual one and a thousand; 0: off.
    http_host: Annotated[str, AfterValidator(own_address)] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 9_883

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "fleet.lock"


load_settings = Settings.load
