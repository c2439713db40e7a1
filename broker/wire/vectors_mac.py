"""Test vectors of the MAC: keys, what is derived from them, good messages and bad ones."""

from collections.abc import Iterator
from typing import Any

from broker.contract.topics import CHANNELS, Channel, Direction, topic_for
from broker.wire.codec import encode
from broker.wire.examples import DEVICE, EXAMPLES, SITE
from broker.wire.mac import LinkKeys, seal
from broker.wire.vector_keys import vector_key, vector_link

Vector = dict[str, Any]
_PAIRS = (("device", "site", DEVICE), ("device", "renewed site", DEVICE), ("other device", "site", "stim-13"))


def links() -> Iterator[Vector]:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDH
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    for device_name, site_name, device in _PAIRS:
        link = vector_link(device_name, site_name, device)
        link_vector: Vector = {"site": SITE, "device": device}
        for side, name in (("device", device_name), ("site", site_name)):
            key = vector_key(name)
            public = key.public_key()
            link_vector[f"{side}_private_scalar"] = f"{key.private_numbers().private_value:064x}"
            link_vector[f"{side}_private_pem"] = key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode()
            link_vector[f"{side}_public_point"] = public.public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            ).hex()
        shared = vector_key(device_name).exchange(ECDH(), vector_key(site_name).public_key())
        yield link_vector | {
            "shared_secret": shared.hex(),
            "kid": link.kid,
            "up_key": link.up.hex(),
            "down_key": link.down.hex(),
        }


def good() -> Iterator[Vector]:
    for channel in EXAMPLES:
        yield _sealed(f"example {channel}", channel, encode(EXAMPLES[channel]).decode(), vector_link())
    yield _sealed(
        "after a rotation",
        Channel.LEASE,
        encode(EXAMPLES[Channel.LEASE]).decode(),
        vector_link("device", "renewed site"),
    )
    yield _sealed("a payload that is no JSON", Channel.EVENT, "no JSON at all", vector_link())
    yield _sealed("an empty payload", Channel.EVENT, "", vector_link())


def _sealed(name: str, channel: Channel, payload: str, link: LinkKeys) -> Vector:
    row = CHANNELS[channel]
    topic = topic_for(SITE, DEVICE, channel)
    sealed = seal(link, row.direction, topic, payload.encode())
    return {
        "name": name,
        "direction": row.direction.value,
        "topic": topic,
        "payload": payload,
        "user_properties": [["mac", sealed.mac], ["kid", sealed.kid]],
    }


def bad() -> Iterator[Vector]:
    """What an agent of `stim-12` must drop, its key pairs being both of its links above."""
    lease = _sealed("", Channel.LEASE, encode(EXAMPLES[Channel.LEASE]).decode(), vector_link())
    (_, mac), (_, kid) = lease["user_properties"]
    other = vector_link("other device", "site", "stim-13")
    up = seal(vector_link(), Direction.UPLINK, lease["topic"], lease["payload"].encode())
    foreign = seal(other, Direction.DOWNLINK, lease["topic"], lease["payload"].encode())
    flipped = f"{int(mac[0], 16) ^ 1:x}{mac[1:]}"
    for name, change, reason in (
        ("no user properties", {"user_properties": []}, "no_mac"),
        ("no kid", {"user_properties": [["mac", mac]]}, "no_mac"),
        ("no mac", {"user_properties": [["kid", kid]]}, "no_mac"),
        ("two macs", {"user_properties": [["mac", flipped], ["mac", mac], ["kid", kid]]}, "no_mac"),
        ("one bit of the mac", {"user_properties": [["mac", flipped], ["kid", kid]]}, "bad_mac"),
        ("half of the mac", {"user_properties": [["mac", mac[:16]], ["kid", kid]]}, "bad_mac"),
        ("an empty mac", {"user_properties": [["mac", ""], ["kid", kid]]}, "bad_mac"),
        ("a mac in capitals", {"user_properties": [["mac", mac.upper()], ["kid", kid]]}, "bad_mac"),
        ("an unknown kid", {"user_properties": [["mac", mac], ["kid", "00000000"]]}, "unknown_kid"),
        ("another device's key", {"user_properties": [["mac", foreign.mac], ["kid", foreign.kid]]}, "unknown_kid"),
        ("another device's key, our kid", {"user_properties": [["mac", foreign.mac], ["kid", kid]]}, "bad_mac"),
        ("the key of the other direction", {"user_properties": [["mac", up.mac], ["kid", up.kid]]}, "bad_mac"),
        ("an altered payload", {"payload": lease["payload"].replace("5000", "9999")}, "bad_mac"),
        ("another channel", {"topic": topic_for(SITE, DEVICE, Channel.RECEIPT)}, "bad_mac"),
        ("another device's topic", {"topic": topic_for(SITE, "stim-13", Channel.LEASE)}, "unknown_device"),
        ("another site's topic", {"topic": topic_for("south", DEVICE, Channel.LEASE)}, "other_site"),
        ("our own uplink come back", {"topic": topic_for(SITE, DEVICE, Channel.ACK)}, "wrong_direction"),
    ):
        yield {**lease, "name": name, **change, "reason": reason}
