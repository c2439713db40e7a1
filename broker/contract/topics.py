"""Channels and topics: one row a channel, from which QoS, retention, ACL, liveness, documents and metrics follow.

>>> topic_for("north", "stim-12", Channel.TELEMETRY)
'stim/v1/north/stim-12/telemetry'
>>> parse_topic("stim/v1/north/stim-12/telemetry")
Address(site='north', device='stim-12', channel=<Channel.TELEMETRY: 'telemetry'>)
>>> parse_topic("stim/v1/north/all/stop").is_site_wide
True
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from broker.contract import messages
from broker.contract.shapes import NAME_PATTERN

ROOT = "stim/v1"
ALL = "all"  # the site-wide stop
FLEET = "fleet"  # the fleet's own echo
FLEET_INTAKE = "fleet-intake"  # the identity that may only read uplinks
FLEET_SAFETY = "fleet-safety"  # the identity that may only write downlinks
RESERVED_IDS = frozenset({ALL, FLEET, FLEET_INTAKE, FLEET_SAFETY})
PAYLOAD_BYTES_MAX = 8 * 1024
TOPICS_REMEMBERED = 16_384  # of either function below: all channels of a thousand devices


class Channel(StrEnum):
    """The last word of a topic."""

    BIRTH = "birth"
    PRESENCE = "presence"
    TELEMETRY = "telemetry"
    EVENT = "event"
    ACK = "ack"
    LEASE = "lease"
    AUTHORISATION = "authorisation"
    CANCEL = "cancel"
    STOP = "stop"
    RELEASE = "release"
    SETTINGS = "settings"
    RECEIPT = "receipt"
    ECHO = "echo"


class Direction(StrEnum):
    """Who writes a channel."""

    UPLINK = "uplink"  # the device writes, fleet-intake reads
    DOWNLINK = "downlink"  # fleet-safety writes, the device reads
    LOOP = "loop"  # fleet-safety writes, fleet-intake reads


class Retained(StrEnum):
    """Whether the broker keeps the last message for whoever connects."""

    NEVER = "never"
    ALWAYS = "always"
    HOLD = "hold"  # only a stop that is a hold


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """Everything that follows from a channel. `None` periods: written when something happens."""

    channel: Channel
    message: type[messages.Message] | None  # None: the echo's payload is the fleet's own business
    direction: Direction
    qos: int
    retained: Retained
    expiry_s: int | None = None
    period_s: float | None = None  # the longest regular interval between two messages
    stale_after_s: float | None = None
    lost_after_s: float | None = None


_row = ChannelRow
CHANNELS: dict[Channel, ChannelRow] = {
    row.channel: row
    for row in (
        _row(Channel.BIRTH, messages.Birth, Direction.UPLINK, 1, Retained.ALWAYS),
        _row(Channel.PRESENCE, messages.Presence, Direction.UPLINK, 1, Retained.ALWAYS),
        # Idle devices speak every 5 s by default (10 s at most): two missed are stale, six are lost.
        _row(
            Channel.TELEMETRY,
            messages.Telemetry,
            Direction.UPLINK,
            0,
            Retained.NEVER,
            period_s=5.0,
            stale_after_s=12.0,
            lost_after_s=30.0,
        ),
        _row(Channel.EVENT, messages.Event, Direction.UPLINK, 1, Retained.NEVER),
        _row(Channel.ACK, messages.Ack, Direction.UPLINK, 1, Retained.NEVER),
        _row(Channel.LEASE, messages.Lease, Direction.DOWNLINK, 0, Retained.NEVER),
        _row(Channel.AUTHORISATION, messages.Authorisation, Direction.DOWNLINK, 1, Retained.NEVER, expiry_s=30),
        _row(Channel.CANCEL, messages.Cancel, Direction.DOWNLINK, 1, Retained.NEVER, expiry_s=30),
        _row(Channel.STOP, messages.Stop, Direction.DOWNLINK, 1, Retained.HOLD),
        _row(Channel.RELEASE, messages.Release, Direction.DOWNLINK, 1, Retained.NEVER, expiry_s=30),
        _row(Channel.SETTINGS, messages.Settings, Direction.DOWNLINK, 1, Retained.ALWAYS),
        _row(Channel.RECEIPT, messages.Receipt, Direction.DOWNLINK, 1, Retained.NEVER),
        _row(Channel.ECHO, None, Direction.LOOP, 0, Retained.NEVER, period_s=0.5),
    )
}
CHANNEL_OF: dict[type[messages.Message], Channel] = {
    row.message: row.channel for row in CHANNELS.values() if row.message is not None
}
UPLINKS = tuple(row for row in CHANNELS.values() if row.direction is Direction.UPLINK)
DOWNLINKS = tuple(row for row in CHANNELS.values() if row.direction is Direction.DOWNLINK)


class NotATopic(ValueError):
    """A string that is no topic of this contract."""


@dataclass(frozen=True, slots=True)
class Address:
    """A topic, taken apart."""

    site: str
    device: str
    channel: Channel

    @property
    def is_site_wide(self) -> bool:
        return self.device == ALL


_name = re.compile(NAME_PATTERN)
# Reserved ids have only their own channel; a real device has every channel but the echo.
_ONLY_CHANNEL = {ALL: Channel.STOP, FLEET: Channel.ECHO}


def _belongs(device: str, channel: Channel) -> bool:
    if device in RESERVED_IDS:
        return _ONLY_CHANNEL.get(device) is channel
    return channel is not Channel.ECHO


def topic_for(site: str, device: str, channel: Channel) -> str:
    """The topic of a channel.

    Raises:
        NotATopic: a name that the contract does not allow, or a channel that a reserved id does not have.
    """
    return _written(site, device, channel)


@lru_cache(TOPICS_REMEMBERED)
def _written(site: str, device: str, channel: Channel) -> str:
    if not _name.fullmatch(site) or not _name.fullmatch(device) or not _belongs(device, channel):
        raise NotATopic(f"no topic for site {site!r}, device {device!r}, channel {channel}")
    return f"{ROOT}/{site}/{device}/{channel}"


def parse_topic(topic: str) -> Address:
    """Take a topic apart: the inverse of `topic_for`.

    Raises:
        NotATopic: anything that `topic_for` would not have written.
    """
    return _parsed(topic)


@lru_cache(TOPICS_REMEMBERED)
def _parsed(topic: str) -> Address:
    parts = topic.split("/")
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT or parts[4] not in CHANNELS:
        raise NotATopic(f"not a topic of {ROOT}: {topic!r}")
    site, device, channel = parts[2], parts[3], Channel(parts[4])
    topic_for(site, device, channel)  # refuses names and reserved ids that do not fit
    return Address(site, device, channel)
