"""P-256 keys of a site and of its devices, as they stand in files and in the registry.

Apart from certificates, which an agent never reads: it starts without the half of `cryptography` that they need.
"""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def new_key() -> PrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8: the file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def point_hex(key: PublicKey) -> str:
    """A public key as its uncompressed SEC1 point, 130 hex digits: how the registry lists it."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()


def key_from_pem(pem: bytes) -> PrivateKey:
    """The P-256 private key in `pem`.

    Raises:
        ValueError: no such key in there.
    """
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 private key")
    return key


def public_from_pem(pem: bytes) -> PublicKey:
    """The P-256 public key in `pem`.

    Raises:
        ValueError: no such key in there.
    """
    key = load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 public key")
    return key


def public_from_point(point: str) -> PublicKey:
    """The key of an uncompressed point in hex.

    Raises:
        ValueError: not a point of P-256.
    """
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(point))
