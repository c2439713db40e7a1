"""What the API answers with about stops and releases. Seconds; null is "not heard (yet)"."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from fleet.api.models import Hold, Time


class Command(BaseModel):
    """One stop: `device` is `all` for the site."""

    device: Annotated[str, Field(examples=["stim-01"])]
    command_id: Annotated[str, Field(examples=["5f0c4a1be2d94d0f8f8a6f0f5c1e2a3b"])]


class Commands(BaseModel):
    """The stops that went out. Follow each at `/stops/{command_id}` until zero is measured."""

    commands: list[Command]


class DeviceStop(BaseModel):
    """What became of a stop at one device. Seconds; null: not heard (yet)."""

    device: str
    room: str | None
    followed_by: Annotated[str, Field(description="the stop that waits for its zero: this one, or an earlier open one")]
    urgent: Annotated[bool, Field(description="a session or output was known of")]
    standing: Literal["ordered", "sent", "received", "zero", "off_by_person"]
    unconfirmed: Annotated[bool, Field(description="past its time, and zero is not measured: switch it off")]
    was_unconfirmed: bool
    cause_to_sent_s: float | None
    sent_to_received_s: float | None
    sent_to_zero_s: float | None
    amplitude_ma: Annotated[float | None, Field(description="measured, at zero; null: nothing was measured")]
    confirmed_by: Literal["ack", "telemetry", "person"] | None
    confirmed_at: Time | None
    words: Annotated[str, Field(examples=["zero current measured after 62 ms"])]


class Stop(BaseModel):
    """A stop with what became of it."""

    command_id: str
    scope: Literal["device", "site"]
    device: Annotated[str, Field(description="`all` for the site")]
    cause: Annotated[str, Field(examples=["emergency_stop"])]
    hold: bool
    issued_by: str
    reason: str
    ordered_at: Time
    cause_to_sent_s: float | None
    pushed_again: int
    released_at: Time | None
    released_by: str | None
    confirmed: Annotated[bool, Field(description="zero at every device, and there is one")]
    devices: list[DeviceStop]


class Stops(BaseModel):
    """The newest stops, newest first."""

    as_of: Time
    stops: list[Stop]


class ReleaseCondition(BaseModel):
    """One thing that a release needs."""

    condition: Annotated[str, Field(examples=["zero_measured"])]
    holds: bool
    words: str


class Releasable(BaseModel):
    """Whether a hold may be lifted now, and what is missing. A release starts nothing."""

    device: str
    may: bool
    holds: list[Hold]
    conditions: list[ReleaseCondition]
    afterwards: Annotated[str | None, Field(description="what is left to do at the device, by a person")]
