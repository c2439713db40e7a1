"""A site on disk: its CA, its site key, its broker's and its services' certificates.

    site folder                                          CA folder, kept off the fleet's host
      registry.json   devices, operators, limits           ca.key  ca.crt
      ca.crt
      site.key        the fleet's half of every MAC
      site.pub        what devices get of it
      site.key.old, site.pub.old   during a rotation
      broker/         server.key  server.crt, and what broker.mosquitto writes
      services/       fleet-intake.key  .crt  fleet-safety.key  .crt

Every function raises `ProvisioningRefused` with one sentence for people. The registry is written last, so that a
command that was interrupted can be given again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from broker.contract.topics import FLEET_INTAKE, FLEET_SAFETY
from broker.pki import certificates as certs
from broker.pki import keys
from broker.pki.durable import make_folder, only_one, write_public, write_secret
from broker.pki.folder import ProvisioningRefused, authority_of, changing, check_name, registry_of, save
from broker.pki.registry import FILE_NAME, Registry

SERVICES = (FLEET_INTAKE, FLEET_SAFETY)
SERVER = "server"
BROKER_FOLDER = "broker"
SERVICES_FOLDER = "services"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORT = 8883


def provision_site(
    site_dir: Path,
    ca_dir: Path,
    site: str,
    *,
    now: datetime,
    broker_host: str = "127.0.0.1",
    broker_port: int = DEFAULT_PORT,
    hosts: Sequence[str] = (),
    time_zone: str = "UTC",
    clinic_limits: Mapping[str, float] | None = None,
) -> Registry:
    """A new site: its CA, its site key, the broker's and both services' certificates, an empty registry.

    `hosts` are further names and addresses that the broker's certificate is good for.
    """
    check_name("site", site)
    if (site_dir / FILE_NAME).exists():
        raise ProvisioningRefused(f"The folder {site_dir} already holds a site; choose another, or renew.")
    if ca_dir.resolve().is_relative_to(site_dir.resolve()):
        raise ProvisioningRefused(
            f"The CA folder {ca_dir} must not lie inside the site folder: the fleet may not see it."
        )
    make_folder(site_dir)
    make_folder(ca_dir)
    with only_one(site_dir):
        authority = _new_or_known_authority(ca_dir, site, now)
        write_public(site_dir / "ca.crt", certs.certificate_pem(authority.certificate))
        _write_site_key(site_dir, keys.new_key())
        for service in SERVICES:
            _issue_service(site_dir, authority, service, now)
        _issue_server(site_dir, authority, now, tuple(dict.fromkeys((*LOCAL_HOSTS, broker_host, *hosts))))
        save(site_dir, Registry(site, time_zone, broker_host, broker_port, clinic_limits=clinic_limits or {}))
        return registry_of(site_dir)


def provision_service(site_dir: Path, ca_dir: Path, service: str, *, now: datetime) -> Path:
    """Key and certificate of one of the fleet's two identities, where they are missing. Its certificate's path."""
    if service not in SERVICES:
        raise ProvisioningRefused(f"There is no service {service!r}; there are {' and '.join(SERVICES)}.")
    with changing(site_dir):
        registry = registry_of(site_dir)
        certificate = site_dir / SERVICES_FOLDER / f"{service}.crt"
        if certificate.exists():
            raise ProvisioningRefused(f"The service {service} already has a certificate; renew it.")
        _issue_service(site_dir, authority_of(ca_dir, registry.site), service, now)
        return certificate


def renew_service(site_dir: Path, ca_dir: Path, service: str, *, now: datetime) -> Path:
    """A new key and certificate for a service or, as `server`, for the broker. Its certificate's path."""
    if service not in (*SERVICES, SERVER):
        raise ProvisioningRefused(f"There is no service {service!r}; there are {', '.join(SERVICES)} and {SERVER}.")
    with changing(site_dir):
        authority = authority_of(ca_dir, registry_of(site_dir).site)
        if service != SERVER:
            return _issue_service(site_dir, authority, service, now)
        return _issue_server(site_dir, authority, now, _hosts_of(site_dir / BROKER_FOLDER / "server.crt"))


def rotate_site_key(site_dir: Path) -> None:
    """A new site key. The old one stays good until `drop_old_site_key`, while devices are given the new site.pub."""
    with changing(site_dir):
        registry_of(site_dir)
        if (site_dir / "site.key.old").exists():
            raise ProvisioningRefused("A rotation is under way already; drop the old site key first.")
        write_secret(site_dir / "site.key.old", (site_dir / "site.key").read_bytes())
        write_public(site_dir / "site.pub.old", (site_dir / "site.pub").read_bytes())
        _write_site_key(site_dir, keys.new_key())


def drop_old_site_key(site_dir: Path) -> None:
    """End a rotation: messages under the old site key are forgeries from now on."""
    with changing(site_dir):
        if not (site_dir / "site.key.old").exists():
            raise ProvisioningRefused("There is no old site key; no rotation is under way.")
        (site_dir / "site.key.old").unlink()
        (site_dir / "site.pub.old").unlink(missing_ok=True)


# --- the insides ----------------------------------------------------------------------------------------------------


def _write_site_key(site_dir: Path, key: keys.PrivateKey) -> None:
    write_secret(site_dir / "site.key", keys.key_pem(key))
    write_public(site_dir / "site.pub", keys.public_pem(key.public_key()))


def _new_or_known_authority(ca_dir: Path, site: str, now: datetime) -> certs.Authority:
    if (ca_dir / "ca.crt").exists():
        return authority_of(ca_dir, site)
    authority = certs.new_authority(site, now)
    write_secret(ca_dir / "ca.key", keys.key_pem(authority.key))
    write_public(ca_dir / "ca.crt", certs.certificate_pem(authority.certificate))
    return authority


def _issue_service(site_dir: Path, authority: certs.Authority, service: str, now: datetime) -> Path:
    return _issue_pair(site_dir / SERVICES_FOLDER, service, authority, certs.Use.CLIENT, now, ())


def _issue_server(site_dir: Path, authority: certs.Authority, now: datetime, hosts: Sequence[str]) -> Path:
    return _issue_pair(site_dir / BROKER_FOLDER, SERVER, authority, certs.Use.SERVER, now, hosts)


def _issue_pair(
    folder: Path, name: str, authority: certs.Authority, use: certs.Use, now: datetime, hosts: Sequence[str]
) -> Path:
    make_folder(folder)
    key = keys.new_key()
    certificate = certs.issue(authority, name, key.public_key(), use, now, hosts)
    write_secret(folder / f"{name}.key", keys.key_pem(key))
    write_public(folder / f"{name}.crt", certs.certificate_pem(certificate))
    return folder / f"{name}.crt"


def _hosts_of(certificate_path: Path) -> tuple[str, ...]:
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in names)
