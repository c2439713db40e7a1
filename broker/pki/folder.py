"""What every change of a site's folders stands on: who refuses, who may change now, and with which CA."""

import re
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

from cryptography import x509

from broker.contract.shapes import NAME_PATTERN
from broker.pki import certificates as certs
from broker.pki import keys
from broker.pki.durable import only_one
from broker.pki.registry import FILE_NAME, LABEL_PATTERN, BadRegistry, Registry
from broker.pki.registry_file import load_registry, save_registry


class ProvisioningRefused(Exception):
    """What was asked for cannot be done; the text is one sentence for people."""


def changing(site_dir: Path) -> AbstractContextManager[None]:
    if not (site_dir / FILE_NAME).exists():
        raise ProvisioningRefused(f"The folder {site_dir} holds no site; run `stimfleet provision site` first.")
    return only_one(site_dir)


def registry_of(site_dir: Path) -> Registry:
    try:
        return load_registry(site_dir)
    except BadRegistry as bad:
        raise ProvisioningRefused(str(bad)) from bad


def save(site_dir: Path, registry: Registry) -> None:
    try:
        save_registry(site_dir, registry)
    except BadRegistry as bad:
        raise ProvisioningRefused(str(bad)) from bad


def check_name(what: str, name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ProvisioningRefused(
            f"The {what} {name!r} must be 1 to 32 of a-z, 0-9 and '-', beginning with a letter or digit."
        )


def authority_of(ca_dir: Path, site: str) -> certs.Authority:
    try:
        key = keys.key_from_pem((ca_dir / "ca.key").read_bytes())
        certificate = x509.load_pem_x509_certificate((ca_dir / "ca.crt").read_bytes())
    except OSError as error:
        raise ProvisioningRefused(f"The CA folder {ca_dir} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ProvisioningRefused(f"The CA folder {ca_dir} holds no usable CA key and certificate.") from error
    name = certificate.subject.rfc4514_string()
    if name != f"CN={certs.authority_name(site)}":
        raise ProvisioningRefused(f"The CA folder {ca_dir} is not that of the site {site}.")
    if key.public_key() != certificate.public_key():
        raise ProvisioningRefused(f"The CA key and certificate in {ca_dir} do not belong together.")
    return certs.Authority(key, certificate)


def certificate_in(path: Path) -> x509.Certificate:
    """Raises: OSError, ValueError: there is none, or it is none."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def last_day(certificate: x509.Certificate) -> date:
    return certificate.not_valid_after_utc.date()


def check_label(what: str, label: str) -> None:
    if not re.fullmatch(LABEL_PATTERN, label):
        raise ProvisioningRefused(f"The {what} {label!r} must be 1 to 64 printable characters.")
