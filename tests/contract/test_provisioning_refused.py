"""Provisioning that cannot be done, in which words, and files that are whole or not there."""

import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from broker.pki import durable, keys
from broker.pki.devices import provision_device, provision_operator, renew_device, strike_off
from broker.pki.folder import ProvisioningRefused
from broker.pki.registry import Device
from broker.pki.registry_file import load_registry
from broker.pki.site import drop_old_site_key, provision_service, provision_site, renew_service, rotate_site_key

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    provision_site(tmp_path / "site", tmp_path / "ca", "north", now=NOW, broker_port=18883, hosts=["mqtt.clinic"])
    return tmp_path


def add(root: Path, device: str = "stim-1", serial: str = "s1", out: str = "papers") -> Device:
    return provision_device(root / "site", root / "ca", device, "room-1", serial, "generic", root / out, now=NOW)


Attempt = Callable[[Path], object]
ATTEMPTS: list[tuple[Attempt, str]] = [
    (lambda root: provision_site(root / "site", root / "ca", "north", now=NOW), "already holds a site"),
    (lambda root: provision_site(root / "new", root / "new" / "ca", "north", now=NOW), "must not lie inside"),
    (lambda root: provision_site(root / "new", root / "new", "north", now=NOW), "must not lie inside"),
    (lambda root: provision_site(root / "new", root / "ca", "south", now=NOW), "not that of the site south"),
    (lambda root: provision_site(root / "new", root / "ca2", "North", now=NOW), "The site 'North' must be"),
    (
        lambda root: provision_site(root / "new", root / "ca", "north", now=NOW, time_zone="Moon/Base"),
        "does not know as a time zone",
    ),
    (
        lambda root: provision_site(root / "new", root / "ca", "north", now=NOW, clinic_limits={"peak_ma_max": 500}),
        "looser than the envelope",
    ),
    (add, "provisioned already; renew it"),
    (lambda root: add(root, "stim-2", "s1"), "serial s1 is provisioned already, as stim-1"),
    (lambda root: add(root, "fleet-safety", "s2"), "is reserved"),
    (lambda root: add(root, "all", "s2"), "is reserved"),
    (lambda root: add(root, "Stim_2", "s2"), "The device 'Stim_2' must be"),
    (lambda root: add(root, "stim-2", "s\n2"), "The serial"),
    (
        lambda root: provision_device(
            root / "site", root / "ca", "stim-2", "Room 1", "s2", "generic", root / "x", now=NOW
        ),
        "The room 'Room 1' must be",
    ),
    (
        lambda root: provision_device(root / "site", root / "ca", "stim-2", "room-1", "s2", "", root / "x", now=NOW),
        "The model",
    ),
    (
        lambda root: provision_device(
            root / "nowhere", root / "ca", "stim-2", "room-1", "s2", "generic", root / "x", now=NOW
        ),
        "holds no site",
    ),
    (
        lambda root: provision_device(
            root / "site", root / "gone", "stim-2", "room-1", "s2", "generic", root / "x", now=NOW
        ),
        "The CA folder .* cannot be read: No such file",
    ),
    (lambda root: renew_device(root / "site", root / "ca", "stim-9", root / "x", now=NOW), "has no device stim-9"),
    (lambda root: strike_off(root / "site", "stim-9"), "has no device stim-9"),
    (lambda root: drop_old_site_key(root / "site"), "no rotation is under way"),
    (lambda root: provision_service(root / "site", root / "ca", "fleet-intake", now=NOW), "already has a certificate"),
    (lambda root: provision_service(root / "site", root / "ca", "grafana", now=NOW), "There is no service 'grafana'"),
    (lambda root: renew_service(root / "site", root / "ca", "grafana", now=NOW), "There is no service 'grafana'"),
    (lambda root: provision_operator(root / "site", "Ana!", {}), "The operator id"),
    (lambda root: provision_operator(root / "site", "ana", {"": date(2027, 1, 1)}), "The model"),
]


@pytest.mark.parametrize(("attempt", "words"), ATTEMPTS, ids=[words for _, words in ATTEMPTS])
def test_what_cannot_be_done_is_refused_in_one_sentence(root: Path, attempt: Attempt, words: str) -> None:
    add(root)
    before = (root / "site" / "registry.json").read_bytes()
    with pytest.raises(ProvisioningRefused, match=words) as refused:
        attempt(root)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert (root / "site" / "registry.json").read_bytes() == before
    assert not (root / "new" / "registry.json").exists()


def test_a_second_rotation_waits_for_the_end_of_the_first(root: Path) -> None:
    rotate_site_key(root / "site")
    with pytest.raises(ProvisioningRefused, match="under way already"):
        rotate_site_key(root / "site")


def test_a_spoiled_registry_is_named_and_left_alone(root: Path) -> None:
    (root / "site" / "registry.json").write_text('{"site": "north"}')
    with pytest.raises(ProvisioningRefused, match=r"registry\.json cannot be used: the registry has no"):
        add(root)
    assert (root / "site" / "registry.json").read_text() == '{"site": "north"}'


def test_striking_off_twice_is_said(root: Path) -> None:
    add(root)
    strike_off(root / "site", "stim-1")
    with pytest.raises(ProvisioningRefused, match="struck off already"):
        strike_off(root / "site", "stim-1")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ca.key", b"no key", "no usable CA key"),
        ("ca.crt", b"no certificate", "no usable CA key"),
        ("ca.key", keys.key_pem(keys.new_key()), "do not belong together"),
    ],
)
def test_a_spoiled_ca_is_refused(root: Path, name: str, content: bytes, words: str) -> None:
    (root / "ca" / name).write_bytes(content)
    with pytest.raises(ProvisioningRefused, match=words):
        add(root)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_a_key_of_another_curve_is_refused(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    with pytest.raises(ValueError, match="P-256"):
        keys.key_from_pem(keys.key_pem(key))
    with pytest.raises(ValueError, match="P-256"):
        keys.public_from_pem(keys.public_pem(key.public_key()))


# --- durable files ---------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.write_public(tmp_path / "a", b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        durable.write_public(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_what_a_crash_left_beside_a_file_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}").write_bytes(b"half")
    durable.write_secret(tmp_path / "a", b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def add_operators(site_dir: Path, prefix: str) -> None:
    for n in range(10):
        provision_operator(site_dir, f"{prefix}{n}", {"generic": date(2027, 1, 31)})


def test_two_commands_at_once_lose_nothing(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=add_operators, args=(root / "site", prefix)) for prefix in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(load_registry(root / "site").operators) == 20
