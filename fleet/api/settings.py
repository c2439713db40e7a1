"""What a site may set about its web server. Unknown or out of range: it refuses to start and names the field.

In rising order of precedence: `web.toml` in the site's folder, the environment (`STIMFLEET_WEB_PORT`), and what the
command line gives.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from fleet.settings import SiteSettings, own_address

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


# As a browser sends it: a name or an address, without a port.
HostName = Annotated[str, Field(pattern=r"^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])$")]


class WebSettings(SiteSettings):
    """Of one web server. Periods in seconds, sizes in items, unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="STIMFLEET_WEB_")
    file_name = "web.toml"
    of = "the web server"
    do_not_go_together = "The web server cannot be set up so"

    host: Annotated[str, AfterValidator(own_address)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_080  # 0: any that is free; the log says which
    # Both or neither; PEM. Without them whoever is not on this host should come through a proxy that has them.
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    # What browsers may call this server, beside `host` and this machine's own names. Anything else is answered 400: a
    # foreign name that was pointed here must not be able to speak with the session of somebody who is signed in.
    allowed_hosts: tuple[HostName, ...] = ()
    language: Literal["en"] = "en"  # of the page's texts
    simulated: bool = False  # every page says so
    # Addresses of proxies of ours, whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: tuple[Annotated[str, AfterValidator(own_address)], ...] = ()
    plain_http: bool = False  # nobody but this house's own wire sees passwords and sessions: whoever sets it knows that
    tls_by_proxy: bool = False  # browsers reach us over TLS, which a proxy in front of us ends
    connections_max: Annotated[int, Field(ge=8, le=10_000)] = 512
    streams_max: Annotated[int, Field(ge=1, le=1_000)] = 128
    # How much of what devices sent is kept in memory, in minutes; older samples come from the history store.
    window_min: Annotated[int, Field(ge=1, le=240)] = 40

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if ip_address(self.host).is_unspecified and not self.allowed_hosts:
            raise ValueError(f"allowed_hosts must say what browsers call this server when it listens on {self.host}")
        if not (ip_address(self.host).is_loopback or self.over_tls or self.plain_http):
            raise ValueError(
                f"on {self.host} passwords would cross the network in the clear: set tls_certificate and tls_key, or "
                "tls_by_proxy where a proxy of yours has them, or plain_http if you mean it"
            )
        return self

    @property
    def over_tls(self) -> bool:
        """Whether browsers reach it over TLS."""
        return self.tls_certificate is not None or self.tls_by_proxy

    @property
    def host_names(self) -> frozenset[str]:
        """Every name by which it answers."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset({own, *LOCAL_NAMES, *self.allowed_hosts})


load_web_settings = WebSettings.load
