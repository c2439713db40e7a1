"""What one agent is told. Unknown or out of range: it refuses to start and names the field.

Site, device, room and broker are in the papers that `stimfleet provision device` wrote into `device_dir`. The rest
comes, in rising order of precedence, from the environment (`STIMFLEET_AGENT_DATA_DIR`) and the command line.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

ENVIRONMENT_PREFIX = "STIMFLEET_AGENT_"


class SettingsRefused(ValueError):
    """The settings cannot be used; the text is one sentence that names the field."""


class Settings(BaseSettings):
    """Of one agent."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True)

    device_dir: Path  # key, certificates and device.json
    data_dir: Path  # latch, spool, panel socket: the device's own, on a disk that keeps what it has taken
    stimulator: Path  # the stimulator's Unix socket
    # None: those of the papers.
    broker_host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    broker_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    # Where it counts what it sends, for reports; None: nowhere. On a memory file system, or in a simulation: who counts
    # must not wait for a disk (`agents.counters`).
    counters: Path | None = None
    spool_events_max: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000


def load_settings(**given: object) -> Settings:
    """The settings of an agent; `given` is what the command line names, None where it names nothing.

    Raises:
        SettingsRefused: with one sentence that names the field.
    """
    known = {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name.upper() not in known:
            raise SettingsRefused(f"{name} in the environment is no setting of the agent.")
    try:
        named = {name: value for name, value in given.items() if value is not None}
        return Settings(**named)  # type: ignore[arg-type] # checked right here
    except ValidationError as refused:
        error = refused.errors(include_url=False)[0]
        field = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            raise SettingsRefused(f"{field} is no setting of the agent.") from None
        if error["type"] == "missing":
            variable = f"{ENVIRONMENT_PREFIX}{field}".upper()
            raise SettingsRefused(f"{field} is missing: give --{field.replace('_', '-')}, or set {variable}.") from None
        raise SettingsRefused(f"{field} cannot be {error['input']!r}: {error['msg']}.") from None
    except SettingsError as error:
        raise SettingsRefused(f"The environment cannot be read: {error}.") from None
