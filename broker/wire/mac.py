"""One MAC on every message, both ways, from keys that both ends derive (contract.md "Authenticity").

    shared = ECDH-P256(own private key, the other's public key)      the 32-byte x coordinate
    key    = HKDF-SHA256(shared, salt = "stimfleet v1", info = "up|site/device" or "down|site/device"), 32 bytes
    kid    = first 8 hex of SHA-256(device's point + site's point), each uncompressed SEC1: 04, X, Y, 65 bytes
    mac    = first 16 bytes of HMAC-SHA256(key, topic + LF + payload), as 32 hex

`+` is concatenation, strings are ASCII. mac and kid travel as the MQTT 5 user properties `mac` and `kid`.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from broker.contract.topics import Direction

if TYPE_CHECKING:  # deriving loads cryptography, sealing and verifying need only the standard library
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

SALT = b"stimfleet v1"
KEY_BYTES = 32
MAC_BYTES = 16
KID_HEX = 8


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """What one device and its fleet share: a key each way, under the name of the pair of keys they come from."""

    kid: str
    up: bytes
    down: bytes

    def __repr__(self) -> str:
        return f"LinkKeys(kid={self.kid!r})"  # keys never reach a log


@dataclass(frozen=True, slots=True)
class Seal:
    """What a message carries as user properties."""

    mac: str
    kid: str


def device_link(
    device_key: "EllipticCurvePrivateKey", site_public: "EllipticCurvePublicKey", site: str, device: str
) -> LinkKeys:
    """The link's keys as the device derives them."""
    return _derive(device_key, site_public, device_key.public_key(), site_public, site, device)


def site_link(
    site_key: "EllipticCurvePrivateKey", device_public: "EllipticCurvePublicKey", site: str, device: str
) -> LinkKeys:
    """The same keys as the fleet derives them."""
    return _derive(site_key, device_public, device_public, site_key.public_key(), site, device)


def by_kid(keys: Iterable[LinkKeys]) -> dict[str, LinkKeys]:
    """Several pairs of keys at once, for the overlap while one side is renewed."""
    return {one.kid: one for one in keys}


def seal(keys: LinkKeys, direction: Direction, topic: str, payload: bytes) -> Seal:
    """The MAC of a message that goes in `direction`."""
    return Seal(_mac(_key(keys, direction), topic, payload), keys.kid)


def verify(keys: LinkKeys, direction: Direction, topic: str, payload: bytes, mac: str) -> bool:
    """Whether `mac` is that of the message; in constant time."""
    return hmac.compare_digest(_mac(_key(keys, direction), topic, payload).encode(), mac.encode("utf-8", "replace"))


def kid_of(device_public: "EllipticCurvePublicKey", site_public: "EllipticCurvePublicKey") -> str:
    """The name of a pair of keys."""
    return hashlib.sha256(_point(device_public) + _point(site_public)).hexdigest()[:KID_HEX]


def _derive(
    own: "EllipticCurvePrivateKey",
    other: "EllipticCurvePublicKey",
    device_public: "EllipticCurvePublicKey",
    site_public: "EllipticCurvePublicKey",
    site: str,
    device: str,
) -> LinkKeys:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDH

    shared = own.exchange(ECDH(), other)
    return LinkKeys(
        kid_of(device_public, site_public),
        up=_hkdf(shared, f"up|{site}/{device}"),
        down=_hkdf(shared, f"down|{site}/{device}"),
    )


def _hkdf(shared: bytes, info: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, SALT, info.encode("ascii")).derive(shared)


def _point(public: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _key(keys: LinkKeys, direction: Direction) -> bytes:
    match direction:
        case Direction.UPLINK:
            return keys.up
        case Direction.DOWNLINK:
            return keys.down
        case Direction.LOOP:
            raise ValueError("the fleet's echo carries no MAC")
        case _:
            assert_never(direction)


def _mac(key: bytes, topic: str, payload: bytes) -> str:
    return hmac.digest(key, topic.encode() + b"\n" + payload, "sha256")[:MAC_BYTES].hex()
