"""The keys of the test vectors and of the published examples. They are public: nothing real may ever use them."""

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from broker.wire.examples import DEVICE, SITE
from broker.wire.mac import LinkKeys, device_link

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


@cache
def vector_key(whose: str) -> "EllipticCurvePrivateKey":
    """A fixed private key: the scalar is SHA-256 of `stimfleet test vector: ` and a name."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    scalar = hashlib.sha256(f"stimfleet test vector: {whose}".encode()).digest()
    return derive_private_key(int.from_bytes(scalar, "big"), SECP256R1())


@cache
def vector_link(device_key: str = "device", site_key: str = "site", device: str = DEVICE) -> LinkKeys:
    """The link of two of those keys."""
    return device_link(vector_key(device_key), vector_key(site_key).public_key(), SITE, device)
