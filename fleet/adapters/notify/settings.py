"""What a site may set about its pager. Unknown or out of range: it refuses to start and names the field.

In rising order of precedence: `pager.toml` in the site's folder, the environment (`STIMFLEET_PAGER_SEND_S`), and what
the command line gives. Who is told, and where, is the rota's (`rota.json`); no secret stands here.
"""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from broker.contract.shapes import NAME_PATTERN
from fleet.settings import SettingsRefused

ENVIRONMENT_PREFIX = "STIMFLEET_PAGER_"
FILE_NAME = "pager.toml"


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be an address like https://fleet.clinic.example, without ? and #")
    if parts.username is not None:
        raise ValueError("it must hold no name and no password: it is shown to people")
    return url.rstrip("/")


class PagerSettings(BaseSettings):
    """Of one pager. Periods in seconds, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, validate_default=True)

    site_dir: Path
    data_dir: Path  # the fleet's: its journal and its control socket are there
    # Where telephones find the web server; without it messages have no link to answer by.
    public_url: Annotated[str, AfterValidator(_address)] | None = None
    # Where people find dashboards/runbook.md as a page, with headings as GitHub and others anchor them.
    runbook_url: Annotated[str, AfterValidator(_address)] | None = None
    link_ends_after_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    # How long the other side may take to accept a message; the fleet gives one of high priority up after 15 s.
    send_s: Annotated[float, Field(ge=0.5, le=12.0)] = 5.0
    # The name of the secret (a file in the site's `secrets`) that holds the address of a dead-man's switch outside.
    heartbeat_secret: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")] | None = None
    heartbeat_period_s: Annotated[float, Field(ge=1.0, le=600.0)] = 60.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, Path(init_settings()["site_dir"]) / FILE_NAME)
        return init_settings, env_settings, toml

    @property
    def journal_path(self) -> Path:
        return self.data_dir / "journal.db"

    @property
    def control_path(self) -> Path:
        return self.data_dir / "control.sock"

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "pager.lock"

    @property
    def begun_path(self) -> Path:
        return self.data_dir / "pager.begun"

    @property
    def kept_rota_path(self) -> Path:
        return self.data_dir / "pager.rota.json"


def load_pager_settings(site_dir: Path, data_dir: Path, **given: object) -> PagerSettings:
    """The settings of a pager; `given` is what the command line names.

    Raises:
        SettingsRefused: with one sentence that names the field.
    """
    known = {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in PagerSettings.model_fields}
    for name in os.environ:
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name.upper() not in known:
            raise SettingsRefused(f"{name} in the environment is no setting of the pager.")
    named = {"site_dir": site_dir, "data_dir": data_dir, **given}
    try:
        return PagerSettings.model_validate(PagerSettings(**named).model_dump())  # type: ignore[arg-type] # here
    except ValidationError as refused:
        error = refused.errors(include_url=False)[0]
        field = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            raise SettingsRefused(f"{field} is no setting of the pager.") from None
        # What was given is not said again: somebody may have put a secret there.
        raise SettingsRefused(f"{field} cannot be used: {error['msg'].removeprefix('Value error, ')}.") from None
    except (SettingsError, ValueError) as error:  # a file that is no TOML, a value that cannot be read
        raise SettingsRefused(f"{FILE_NAME} cannot be read: {type(error).__name__}.") from None
