"""Provisioning on disk: what is made, who may read it, what is refused and in which words."""

import json
import os
import socket
import ssl
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker.contract.messages import Message
from broker.contract.topics import Channel, Direction
from broker.pki import certificates as certs
from broker.pki import durable, keys
from broker.pki.devices import drop_old_keys, provision_device, provision_operator, renew_device, strike_off
from broker.pki.folder import ProvisioningRefused
from broker.pki.link import device_links, load_papers, site_links
from broker.pki.registry import BadRegistry, Device, Registry
from broker.pki.registry_file import load_registry
from broker.pki.site import drop_old_site_key, provision_service, provision_site, renew_service, rotate_site_key
from broker.wire.examples import EXAMPLES
from broker.wire.mac import LinkKeys
from broker.wire.sealed import Opener, Received, pack

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = datetime(2028, 10, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    provision_site(tmp_path / "site", tmp_path / "ca", "north", now=NOW, broker_port=18883, hosts=["mqtt.clinic"])
    return tmp_path


def add(root: Path, device: str = "stim-1", serial: str = "s1", out: str = "papers") -> Device:
    return provision_device(root / "site", root / "ca", device, "room-1", serial, "generic", root / out, now=NOW)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def fleet_hears(root: Path, links: dict[str, LinkKeys], kid: str | None = None) -> bool:
    """Whether the fleet believes a device that seals with the first, or the named, of its links."""
    registry = load_registry(root / "site")
    link = links[kid] if kid else next(iter(links.values()))
    packet = pack("north", "stim-1", EXAMPLES[Channel.TELEMETRY], link)
    opener = Opener("north", Direction.UPLINK, site_links(root / "site", registry))
    return isinstance(opener.open(packet.topic, packet.payload, packet.user_properties), Received)


# --- what is made ---------------------------------------------------------------------------------------------------


def test_a_site_has_its_keys_certificates_and_an_empty_registry(root: Path) -> None:
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {
        "ca/ca.key",
        "ca/ca.crt",
        "site/.lock",
        "site/ca.crt",
        "site/site.key",
        "site/site.pub",
        "site/registry.json",
        "site/broker/server.key",
        "site/broker/server.crt",
        "site/services/fleet-intake.key",
        "site/services/fleet-intake.crt",
        "site/services/fleet-safety.key",
        "site/services/fleet-safety.crt",
    }
    assert load_registry(root / "site") == Registry("north", "UTC", "127.0.0.1", 18883)


def test_a_device_gets_its_folder_and_its_line(root: Path) -> None:
    device = add(root)
    assert {path.name for path in (root / "papers").iterdir()} == {
        "device.key",
        "device.crt",
        "ca.crt",
        "site.pub",
        "device.json",
    }
    papers = load_papers(root / "papers")
    assert (papers.site, papers.device, papers.room, papers.serial) == ("north", "stim-1", "room-1", "s1")
    assert (papers.model, papers.broker_host, papers.broker_port) == ("generic", "127.0.0.1", 18883)
    assert {papers.key, papers.certificate, papers.ca} < set((root / "papers").iterdir())
    assert load_registry(root / "site").devices == {"stim-1": device}
    assert device.certificate_until == date(2028, 11, 21)
    assert device.public_keys == (keys.point_hex(keys.key_from_pem(papers.key.read_bytes()).public_key()),)


def test_every_key_is_its_owners_only_and_every_folder_too(root: Path) -> None:
    add(root)
    rotate_site_key(root / "site")
    keys = [path for path in root.rglob("*") if path.name.endswith((".key", ".key.old"))]
    assert len(keys) == 7
    for path in keys:
        assert path.stat().st_mode & 0o777 == 0o600, path
    for folder in (path for path in root.rglob("*") if path.is_dir()):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_a_key_is_its_owners_only_from_its_first_byte_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        modes.append(os.fstat(descriptor).st_mode)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    before = os.umask(0)
    try:
        durable.write_secret(tmp_path / "a.key", b"secret")
    finally:
        os.umask(before)
    assert [mode & 0o777 for mode in modes if mode & 0o100000] == [0o600]


def test_the_ca_key_is_nowhere_but_in_its_own_folder(root: Path) -> None:
    add(root)
    secret = (root / "ca" / "ca.key").read_bytes()
    elsewhere = [path for path in root.rglob("*") if path.is_file() and path.parent.name != "ca"]
    assert elsewhere
    assert all(secret not in path.read_bytes() for path in elsewhere)


def test_certificates_say_who_for_what_and_until_when(root: Path) -> None:
    add(root)
    for path, name, use in (
        (root / "papers" / "device.crt", "stim-1", ExtendedKeyUsageOID.CLIENT_AUTH),
        (root / "site" / "services" / "fleet-intake.crt", "fleet-intake", ExtendedKeyUsageOID.CLIENT_AUTH),
        (root / "site" / "services" / "fleet-safety.crt", "fleet-safety", ExtendedKeyUsageOID.CLIENT_AUTH),
        (root / "site" / "broker" / "server.crt", "server", ExtendedKeyUsageOID.SERVER_AUTH),
    ):
        found = certificate(path)
        assert found.subject.rfc4514_string() == f"CN={name}"
        assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [use]
        assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert isinstance(found.public_key(), ec.EllipticCurvePublicKey)
        assert found.not_valid_before_utc == datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        assert found.not_valid_after_utc == datetime(2028, 11, 21, 12, 0, tzinfo=UTC)
        found.verify_directly_issued_by(certificate(root / "ca" / "ca.crt"))


def test_the_brokers_certificate_is_good_for_this_machine_and_for_its_names(root: Path) -> None:
    names = certificate(root / "site" / "broker" / "server.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name.value) for name in names.value] == ["localhost", "127.0.0.1", "::1", "mqtt.clinic"]


def test_a_devices_certificate_cannot_pose_as_the_broker(root: Path) -> None:
    """Python's own TLS refuses it, as the agents do."""
    now = datetime.now(UTC)
    authority = certs.new_authority("south", now)
    key = keys.new_key()
    posing = certs.issue(authority, "127.0.0.1", key.public_key(), certs.Use.CLIENT, now, ["127.0.0.1"])
    (root / "posing.key").write_bytes(keys.key_pem(key))
    (root / "posing.crt").write_bytes(certs.certificate_pem(posing))
    (root / "posing-ca.crt").write_bytes(certs.certificate_pem(authority.certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(root / "posing.crt", root / "posing.key")
    client = ssl.create_default_context(cafile=str(root / "posing-ca.crt"))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, pytest.raises(ssl.SSLError):
            server.wrap_socket(theirs, server_side=True)

    thread = threading.Thread(target=serve)
    thread.start()
    with ours, pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        client.wrap_socket(ours, server_hostname="127.0.0.1")
    thread.join()


# --- links, renewal, rotation ---------------------------------------------------------------------------------------


def test_device_and_fleet_derive_the_same_link_from_what_is_on_disk(root: Path) -> None:
    add(root)
    links = device_links(load_papers(root / "papers"))
    assert site_links(root / "site", load_registry(root / "site")) == {"stim-1": links}


def test_a_renewed_certificate_over_the_same_key_changes_nothing_but_its_end(root: Path) -> None:
    device = add(root)
    renewed = renew_device(root / "site", root / "ca", "stim-1", root / "renewed", now=LATER)
    assert renewed.public_keys == device.public_keys
    assert renewed.certificate_until == date(2030, 10, 1)
    assert not (root / "renewed" / "device.key").exists()
    key = keys.key_from_pem((root / "papers" / "device.key").read_bytes())
    assert certificate(root / "renewed" / "device.crt").public_key() == key.public_key()


def test_while_a_devices_key_is_renewed_both_are_good_and_after_that_the_new_one_only(root: Path) -> None:
    add(root)
    old = device_links(load_papers(root / "papers"))
    renew_device(root / "site", root / "ca", "stim-1", root / "renewed", now=LATER, new_key=True)
    new = device_links(load_papers(root / "renewed"))
    ring = site_links(root / "site", load_registry(root / "site"))["stim-1"]
    assert list(ring) == [*new, *old]
    assert fleet_hears(root, old)
    assert fleet_hears(root, new)

    drop_old_keys(root / "site", "stim-1")
    assert not fleet_hears(root, old)
    assert fleet_hears(root, new)


def test_a_second_renewal_before_the_first_is_finished_leaves_the_key_in_use_good(root: Path) -> None:
    """It would have dropped the key that the device still speaks with."""
    add(root)
    in_use = device_links(load_papers(root / "papers"))
    renew_device(root / "site", root / "ca", "stim-1", root / "renewed", now=LATER, new_key=True)
    before = load_registry(root / "site")
    with pytest.raises(ProvisioningRefused, match="has a new key already; end that renewal with --finish"):
        renew_device(root / "site", root / "ca", "stim-1", root / "again", now=LATER, new_key=True)
    assert fleet_hears(root, in_use)
    assert load_registry(root / "site") == before
    assert not (root / "again").exists()


def test_a_certificate_may_be_renewed_while_a_key_is(root: Path) -> None:
    """Over the newer key: the device has perhaps not changed over yet."""
    add(root)
    renew_device(root / "site", root / "ca", "stim-1", root / "renewed", now=LATER, new_key=True)
    renew_device(root / "site", root / "ca", "stim-1", root / "renewed", now=LATER)
    assert fleet_hears(root, device_links(load_papers(root / "papers")))
    assert fleet_hears(root, device_links(load_papers(root / "renewed")))


def test_while_the_site_key_is_rotated_devices_change_over_one_by_one(root: Path) -> None:
    add(root)
    old = device_links(load_papers(root / "papers"))
    rotate_site_key(root / "site")
    assert fleet_hears(root, old)
    (root / "papers" / "site.pub").write_bytes((root / "site" / "site.pub").read_bytes())
    new = device_links(load_papers(root / "papers"))
    assert new.keys().isdisjoint(old)
    assert fleet_hears(root, new)
    assert fleet_hears(root, old)

    drop_old_site_key(root / "site")
    assert not fleet_hears(root, old)
    assert fleet_hears(root, new)


def test_renewing_a_service_gives_it_a_new_key_and_the_broker_keeps_its_names(root: Path) -> None:
    for name, folder in (("fleet-safety", "services"), ("fleet-intake", "services"), ("server", "broker")):
        before = certificate(root / "site" / folder / f"{name}.crt")
        after = certificate(renew_service(root / "site", root / "ca", name, now=LATER))
        key = keys.key_from_pem((root / "site" / folder / f"{name}.key").read_bytes())
        assert after.public_key() == key.public_key() != before.public_key()
        assert after.not_valid_after_utc > before.not_valid_after_utc
    names = after.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["localhost", "127.0.0.1", "::1", "mqtt.clinic"]


def test_a_missing_service_certificate_is_provisioned_again(root: Path) -> None:
    (root / "site" / "services" / "fleet-intake.crt").unlink()
    path = provision_service(root / "site", root / "ca", "fleet-intake", now=NOW)
    assert certificate(path).subject.rfc4514_string() == "CN=fleet-intake"


def test_a_device_struck_off_has_no_link_and_no_second_life(root: Path) -> None:
    add(root)
    links = device_links(load_papers(root / "papers"))
    assert strike_off(root / "site", "stim-1").struck_off
    assert site_links(root / "site", load_registry(root / "site")) == {}
    assert not fleet_hears(root, links)
    with pytest.raises(ProvisioningRefused, match="never used again"):
        add(root, out="again")
    add(root, "stim-2", "s1", out="again")  # the stimulator itself may come back under another id


def test_operators_are_added_to(root: Path) -> None:
    provision_operator(root / "site", "ana", {"generic": date(2027, 1, 31)})
    provision_operator(root / "site", "ana", {"rehastim2": date(2027, 6, 30), "generic": date(2028, 1, 31)})
    provision_operator(root / "site", "ben", {"generic": date(2027, 1, 31)})
    operators = load_registry(root / "site").operators
    assert list(operators) == ["ana", "ben"]
    assert operators["ana"].instructed_until == {"generic": date(2028, 1, 31), "rehastim2": date(2027, 6, 30)}


def test_an_interrupted_site_can_be_provisioned_again_under_its_ca(root: Path) -> None:
    (root / "site" / "registry.json").unlink()
    ca = (root / "ca" / "ca.crt").read_bytes()
    provision_site(root / "site", root / "ca", "north", now=NOW)
    assert (root / "site" / "ca.crt").read_bytes() == ca


# --- a device's papers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b"\xff",
        b'{"site": "north"}',
        json.dumps(
            dict.fromkeys(("site", "device", "room", "serial", "model", "broker_host", "broker_port"), 1)
        ).encode(),
    ],
)
def test_papers_that_are_none_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "device.json").write_bytes(content)
    with pytest.raises(BadRegistry, match="are not what `stimfleet provision device` writes"):
        load_papers(tmp_path)


def test_missing_papers_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadRegistry, match="cannot be read: No such file"):
        load_papers(tmp_path)


def test_the_examples_of_the_contract_travel_over_a_provisioned_link(root: Path) -> None:
    add(root)
    registry = load_registry(root / "site")
    fleet = Opener("north", Direction.UPLINK, site_links(root / "site", registry))
    agent = Opener("north", Direction.DOWNLINK, {"stim-1": device_links(load_papers(root / "papers"))})
    (link,) = device_links(load_papers(root / "papers")).values()
    for channel, example in EXAMPLES.items():
        message: Message = example
        packet = pack("north", "stim-1", message, link)
        opened = [side.open(packet.topic, packet.payload, packet.user_properties) for side in (fleet, agent)]
        assert sum(getattr(one, "message", getattr(one, "fields", None)) == message for one in opened) == 1, channel
