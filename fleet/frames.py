"""PUBLISH packets of MQTT 5, both ways, as bytes.

gmqtt takes each of them apart and puts it together in so many steps that at 5,000 samples and as many leases a second
it cost more than deciding on them (docs/decisions/2026-11-25-bench.md).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PUBLISH = 0x30
PUBACK = 0x40
USER_PROPERTY = 0x26
EXPIRY_INTERVAL = 0x02
SUBSCRIPTION_IDENTIFIER = 0x0B
# Whoever publishes chooses what else a PUBLISH carries: all of it is known here, and passed over. But for the topic
# alias, which no broker may use towards us, because we announce no maximum.
FIXED_BYTES = {0x01: 1, EXPIRY_INTERVAL: 4}  # payload format
STRINGS = frozenset({0x03, 0x08, 0x09})  # content type, response topic, correlation data


class MalformedFrame(Exception):
    """Not a PUBLISH of MQTT 5: a broker that sends such a thing is none."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as it left the socket."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    user_properties: tuple[tuple[str, str], ...]


def published(first: int, body: bytes) -> tuple[Arrived, int]:
    """What a PUBLISH says, and its packet id (0 at QoS 0), from its first byte and what follows its length.

    Raises:
        MalformedFrame
    """
    try:
        end = 2 + (body[0] << 8 | body[1])
        topic = body[2:end].decode()
        qos, packet_id = first >> 1 & 3, 0
        if qos:
            packet_id, end = body[end] << 8 | body[end + 1], end + 2
        length, start = _varint(body, end)
        ends = start + length
        pairs = _user_properties(body, start, ends)
    except (IndexError, UnicodeDecodeError) as error:
        raise MalformedFrame("a PUBLISH that ends too early, or whose topic is no UTF-8") from error
    if ends > len(body):
        raise MalformedFrame("a PUBLISH that ends too early")
    return Arrived(topic, body[ends:], qos, bool(first & 1), pairs), packet_id


def publish_frame(
    topic: str,
    payload: bytes,
    *,
    qos: int,
    retain: bool,
    packet_id: int,
    expiry_s: int | None,
    user_properties: Sequence[tuple[str, str]],
) -> bytes:
    """A PUBLISH. `packet_id` counts at QoS 1 only."""
    properties = b"" if expiry_s is None else struct.pack("!BI", EXPIRY_INTERVAL, expiry_s)
    for name, value in user_properties:
        properties += b"%c%b%b" % (USER_PROPERTY, _string(name), _string(value))
    numbered = struct.pack("!H", packet_id) if qos else b""
    head = _string(topic) + numbered + length_of(len(properties)) + properties
    return bytes((PUBLISH | qos << 1 | retain,)) + length_of(len(head) + len(payload)) + head + payload


def puback_frame(packet_id: int) -> bytes:
    """A PUBACK: success, and nothing more to say."""
    return struct.pack("!BBH", PUBACK, 2, packet_id)


def length_of(number: int) -> bytes:
    """A length as MQTT writes it: seven bits a byte, the lowest first."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _string(words: str) -> bytes:
    octets = words.encode()
    return struct.pack("!H", len(octets)) + octets


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """The length at `at`, and where what it counts begins."""
    number = shift = 0
    while body[at] & 0x80:
        number |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | body[at] << shift, at + 1


def _user_properties(body: bytes, at: int, ends: int) -> tuple[tuple[str, str], ...]:
    """The user properties among the properties."""
    pairs = []
    while at < ends:
        kind = body[at]
        if kind == USER_PROPERTY:
            middle = at + 3 + (body[at + 1] << 8 | body[at + 2])
            end = middle + 2 + (body[middle] << 8 | body[middle + 1])
            pairs.append((_text(body[at + 3 : middle]), _text(body[middle + 2 : end])))
            at = end
        elif kind in FIXED_BYTES:
            at += 1 + FIXED_BYTES[kind]
        elif kind in STRINGS:
            at += 3 + (body[at + 1] << 8 | body[at + 2])
        elif kind == SUBSCRIPTION_IDENTIFIER:
            _, at = _varint(body, at + 1)
        else:
            raise MalformedFrame(f"a PUBLISH with the property {kind:#x}")
    if at != ends:
        raise MalformedFrame("properties that end elsewhere than they say")
    return tuple(pairs)


def _text(octets: bytes) -> str:
    """What is no UTF-8 here can be no MAC of ours: the message is refused for that, and not the connection."""
    return octets.decode("utf-8", "replace")
