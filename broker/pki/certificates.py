"""X.509 certificates of a site, over its P-256 keys. The common name is the identity that broker and ACL go by.

Validity in days is own design: a CA outlives the devices, everything else is renewed every second year and announced
30 days ahead (domain.md A11). Certificates begin a day early, because a device's clock may be behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.pki.keys import PrivateKey, PublicKey, new_key

CA_VALID_DAYS = 20 * 365
VALID_DAYS = 2 * 365
EARLY_DAYS = 1


class Use(Enum):
    """What a certificate may be used for: a device's cannot pose as the broker."""

    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Authority:
    """A site's CA: the key that signs and its own certificate."""

    key: PrivateKey
    certificate: x509.Certificate


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def authority_name(site: str) -> str:
    """The common name of a site's CA."""
    return f"StimFleet CA of {site}"


def new_authority(site: str, now: datetime) -> Authority:
    """A self-signed CA for one site; it signs leaves only."""
    key = new_key()
    name = _name(authority_name(site))
    certificate = (
        _builder(name, name, key.public_key(), now, CA_VALID_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return Authority(key, certificate)


def issue(
    authority: Authority, identity: str, key: PublicKey, use: Use, now: datetime, hosts: Sequence[str] = ()
) -> x509.Certificate:
    """A certificate for `identity` over `key`. `hosts` are the names and addresses of a server."""
    builder = (
        _builder(_name(identity), authority.certificate.subject, key, now, VALID_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use.value]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return builder.sign(authority.key, SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, valid_days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=EARLY_DAYS))
        .not_valid_after(now + timedelta(days=valid_days))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
