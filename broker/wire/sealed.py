"""A message with its address and MAC, to a packet and back: the one piece of code that intake, downlink and link share.

    pack(address, message, keys) -> Packet          what an MQTT client publishes
    Opener(site, Direction.UPLINK, ring).open(...)  what came in: Received, Stopped, Cleared or Refused

Whatever comes in, `open` returns and never raises. It reads the topic first, then the MAC, then the payload: nothing
of a payload is parsed before its MAC is good. The one exception is a stop (contract.md): any non-empty bytes on a
stop topic stop, and only without a good MAC none of its fields is believed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from broker.contract.messages import Message, Stop
from broker.contract.shapes import HOLD_ID_HEX
from broker.contract.topics import (
    ALL,
    CHANNEL_OF,
    CHANNELS,
    PAYLOAD_BYTES_MAX,
    Address,
    Channel,
    Direction,
    NotATopic,
    Retained,
    parse_topic,
    topic_for,
)
from broker.wire.codec import Malformed, MalformedMessage, decode, encode
from broker.wire.mac import LinkKeys, seal, verify

UserProperties = Iterable[tuple[str, str]]
Ring = Mapping[str, Mapping[str, LinkKeys]]  # device -> kid -> keys


@dataclass(frozen=True, slots=True)
class Packet:
    """Everything that an MQTT client needs to publish. `expiry_s` None: the message does not expire."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    user_properties: tuple[tuple[str, str], ...]


class RefusedFor(StrEnum):
    """Why a packet is dropped, before and besides `Malformed`."""

    NOT_A_TOPIC = "not_a_topic"
    OTHER_SITE = "other_site"
    UNKNOWN_DEVICE = "unknown_device"  # no key for it: foreign, struck off, or not ours to hear
    WRONG_DIRECTION = "wrong_direction"
    TOO_LARGE = "too_large"
    NO_MAC = "no_mac"  # none, or not exactly one mac and one kid
    UNKNOWN_KID = "unknown_kid"
    BAD_MAC = "bad_mac"


@dataclass(frozen=True, slots=True)
class Received:
    """An authentic message. `kid` names the keys that it came under."""

    address: Address
    message: Message
    kid: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stop. `fields` None: without a good MAC, or unreadable: an emergency stop with a hold.

    `why_bare` says why there are no fields; None for `all/stop`, which never carries a MAC.
    """

    address: Address
    hold_id: str
    fields: Stop | None
    why_bare: "RefusedFor | Malformed | None" = None


@dataclass(frozen=True, slots=True)
class Cleared:
    """An empty message where the broker may retain one: that was taken away. It says nothing."""

    address: Address


@dataclass(frozen=True, slots=True)
class Refused:
    """A packet that is dropped. `authentic`: its MAC is good, so its sender is known and an answer is owed."""

    address: Address | None
    reason: RefusedFor | Malformed
    text: str
    authentic: bool = False


Opened = Received | Stopped | Cleared | Refused


def hold_id_of(payload: bytes) -> str:
    """The id of the hold that a retained stop with this payload sets."""
    return hashlib.sha256(payload).hexdigest()[:HOLD_ID_HEX]


def pack(site: str, device: str, message: Message, keys: LinkKeys | None) -> Packet:
    """The packet that says `message` on its channel of `device`.

    `keys` is None for `all/stop` only, which everybody must be able to obey.

    Raises:
        UnencodableMessage: a message that its own rules refuse.
        NotATopic: a device that has no such channel.
        ValueError: keys missing, or given for `all/stop`.
    """
    row = CHANNELS[CHANNEL_OF[type(message)]]
    if (keys is None) != (device == ALL):
        raise ValueError("every message carries a MAC, and only all/stop never does")
    topic = topic_for(site, device, row.channel)
    payload = encode(message)
    properties: tuple[tuple[str, str], ...] = ()
    if keys is not None:
        sealed = seal(keys, row.direction, topic, payload)
        properties = (("mac", sealed.mac), ("kid", sealed.kid))
    return Packet(topic, payload, row.qos, _retain(row.retained, message), row.expiry_s, properties)


def _retain(retained: Retained, message: Message) -> bool:
    return retained is Retained.ALWAYS or (retained is Retained.HOLD and isinstance(message, Stop) and message.hold)


@dataclass(frozen=True, slots=True)
class Opener:
    """Reads what comes in at one side of one site.

    `hears` is the direction that this side listens to; `ring` holds the keys of every device that it may hear from,
    an agent only its own. The ring may be a live mapping: it is read anew for every packet.
    """

    site: str
    hears: Direction
    ring: Ring

    def open(self, topic: str, payload: bytes, user_properties: UserProperties) -> Opened:
        """What a packet is. Never raises."""
        try:
            address = parse_topic(topic)
        except NotATopic:
            return Refused(None, RefusedFor.NOT_A_TOPIC, "not a topic of this contract")
        foreign = self._foreign(address)
        if foreign is not None:
            return foreign
        row = CHANNELS[address.channel]
        if not payload and row.retained is not Retained.NEVER:
            return Cleared(address)
        keys = self._authentic(address, topic, payload, user_properties)
        if address.channel is Channel.STOP:
            return _stopped(address, payload, keys if isinstance(keys, RefusedFor) else None)
        if isinstance(keys, RefusedFor):
            return Refused(address, keys, f"{keys} on {address.channel} of {address.device}")
        try:
            return Received(address, decode(address.channel, payload), keys.kid)
        except MalformedMessage as malformed:
            return Refused(address, malformed.reason, f"{malformed} of {address.device}", authentic=True)

    def _foreign(self, address: Address) -> Refused | None:
        if address.site != self.site:
            return Refused(address, RefusedFor.OTHER_SITE, "a message of another site")
        if CHANNELS[address.channel].direction is not self.hears:
            return Refused(address, RefusedFor.WRONG_DIRECTION, f"{address.channel} does not go this way")
        if address.device not in self.ring and not address.is_site_wide:
            return Refused(address, RefusedFor.UNKNOWN_DEVICE, f"no key for device {address.device}")
        return None

    def _authentic(
        self, address: Address, topic: str, payload: bytes, user_properties: UserProperties
    ) -> LinkKeys | RefusedFor:
        """The keys that the message came under; otherwise why it is not authentic."""
        if address.is_site_wide:
            return RefusedFor.NO_MAC
        if len(payload) > PAYLOAD_BYTES_MAX:
            return RefusedFor.TOO_LARGE
        named = [pair for pair in user_properties if pair[0] in ("mac", "kid")]
        values = dict(named)
        if len(named) != 2 or len(values) != 2:
            return RefusedFor.NO_MAC
        keys = self.ring.get(address.device, {}).get(values["kid"])
        if keys is None:
            return RefusedFor.UNKNOWN_KID
        return keys if verify(keys, self.hears, topic, payload, values["mac"]) else RefusedFor.BAD_MAC


def _stopped(address: Address, payload: bytes, forged: RefusedFor | None) -> Stopped:
    hold_id = hold_id_of(payload)
    if address.is_site_wide:
        return Stopped(address, hold_id, None)
    if forged is not None:
        return Stopped(address, hold_id, None, forged)
    try:
        message = decode(Channel.STOP, payload)
    except MalformedMessage as malformed:
        return Stopped(address, hold_id, None, malformed.reason)
    assert isinstance(message, Stop)
    return Stopped(address, hold_id, message)
