"""What a site may set about its pager. Unknown or out of range: it refuses to start and names the field.

In rising order of precedence: `pager.toml` in the site's folder, the environment (`STIMFLEET_PAGER_SEND_S`), and what
the command line gives. Who is told, and where, is the rota's (`rota.json`); no secret stands here.
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from broker.contract.shapes import NAME_PATTERN
from fleet.settings import SiteSettings


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be an address like https://fleet.clinic.example, without ? and #")
    if parts.username is not None:
        raise ValueError("it must hold no name and no password: it is shown to people")
    return url.rstrip("/")


class PagerSettings(SiteSettings):
    """Of one pager. Periods in seconds, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="STIMFLEET_PAGER_")
    file_name = "pager.toml"
    of = "the pager"
    repeats = False

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

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "pager.lock"

    @property
    def begun_path(self) -> Path:
        return self.data_dir / "pager.begun"

    @property
    def kept_rota_path(self) -> Path:
        return self.data_dir / "pager.rota.json"


load_pager_settings = PagerSettings.load
