"""Provisioning, renewing and striking off devices, and operators.

    device folder, handed to the device:  device.key  device.crt  ca.crt  site.pub  device.json

Every function raises `ProvisioningRefused` with one sentence for people. The registry is written last, so that a
command that was interrupted can be given again: for a new device with another folder, as papers are kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from broker.contract.topics import RESERVED_IDS
from broker.pki import certificates as certs
from broker.pki import keys
from broker.pki.durable import make_folder, write_public, write_secret
from broker.pki.folder import (
    ProvisioningRefused,
    authority_of,
    changing,
    check_label,
    check_name,
    last_day,
    registry_of,
    save,
)
from broker.pki.papers import refuse_taken
from broker.pki.registry import OPERATOR_PATTERN, Device, Operator, Registry


def provision_device(
    site_dir: Path,
    ca_dir: Path,
    device: str,
    room: str,
    serial: str,
    model: str,
    out_dir: Path,
    *,
    now: datetime,
) -> Device:
    """A new device: its folder, made in `out_dir` and handed to it, and its line in the registry."""
    check_name("device", device)
    check_name("room", room)
    if device in RESERVED_IDS:
        raise ProvisioningRefused(f"The device id {device!r} is reserved; choose another.")
    check_label("serial", serial)
    check_label("model", model)
    with changing(site_dir):
        registry = registry_of(site_dir)
        _check_new(registry, device, serial)
        authority = authority_of(ca_dir, registry.site)
        key = keys.new_key()
        certificate = certs.issue(authority, device, key.public_key(), certs.Use.CLIENT, now)
        refuse_taken(out_dir, registry.site)
        make_folder(out_dir)
        write_secret(out_dir / "device.key", keys.key_pem(key))
        write_public(out_dir / "device.crt", certs.certificate_pem(certificate))
        known = Device(device, room, serial, model, (keys.point_hex(key.public_key()),), last_day(certificate))
        _write_device_papers(site_dir, out_dir, registry, known)
        _save_device(site_dir, registry, known)
        return known


def renew_device(
    site_dir: Path, ca_dir: Path, device: str, out_dir: Path, *, now: datetime, new_key: bool = False
) -> Device:
    """A new certificate for a device, over the key it has, or with `new_key` over a fresh one.

    With a fresh key both are known to the registry until `drop_old_keys`: the device changes over when it can. Until
    then there is no third: the one that it uses would have to go.
    """
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        if new_key and len(known.public_keys) > 1:
            raise ProvisioningRefused(
                f"The device {device} has a new key already; end that renewal with --finish once it uses it."
            )
        authority = authority_of(ca_dir, registry.site)
        refuse_taken(out_dir, registry.site, device)
        make_folder(out_dir)
        public_keys = known.public_keys
        if new_key:
            key = keys.new_key()
            write_secret(out_dir / "device.key", keys.key_pem(key))
            public_keys = (*known.public_keys, keys.point_hex(key.public_key()))
        public = keys.public_from_point(public_keys[-1])
        certificate = certs.issue(authority, device, public, certs.Use.CLIENT, now)
        write_public(out_dir / "device.crt", certs.certificate_pem(certificate))
        renewed = replace(known, public_keys=public_keys, certificate_until=last_day(certificate))
        _write_device_papers(site_dir, out_dir, registry, renewed)
        _save_device(site_dir, registry, renewed)
        return renewed


def drop_old_keys(site_dir: Path, device: str) -> Device:
    """Forget every key of a device but its newest: the overlap of a renewal is over."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        kept = replace(known, public_keys=known.public_keys[-1:])
        _save_device(site_dir, registry, kept)
        return kept


def strike_off(site_dir: Path, device: str) -> Device:
    """Take a device off the list, for good. Its rights end when the ACL is written anew and the broker reloads."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        struck = replace(known, struck_off=True)
        _save_device(site_dir, registry, struck)
        return struck


def enrol_again(site_dir: Path, device: str) -> Device:
    """Take a device as new: the fleet forgets its boots and spools. For one whose disk was replaced or restored."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        enrolled = replace(known, enrolled_n=known.enrolled_n + 1)
        _save_device(site_dir, registry, enrolled)
        return enrolled


def move(site_dir: Path, device: str, room: str) -> Device:
    """Put a device into another room. The registry only: its papers keep the room that they were made for."""
    check_name("room", room)
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = replace(known_device(registry, device), room=room)
        _save_device(site_dir, registry, known)
        return known


def provision_operator(
    site_dir: Path, operator: str, instructed_until: Mapping[str, date], *, clinician: bool = False
) -> Operator:
    """Add an operator, or add to what one is instructed on: model to last day. Once a clinician, always one."""
    if not re.fullmatch(OPERATOR_PATTERN, operator):
        raise ProvisioningRefused(f"The operator id {operator!r} must be 1 to 64 of a-z, 0-9, '.' and '-'.")
    for model in instructed_until:
        check_label("model", model)
    with changing(site_dir):
        registry = registry_of(site_dir)
        before = registry.operators.get(operator, Operator(operator))
        known = replace(
            before,
            instructed_until={**before.instructed_until, **instructed_until},
            clinician=before.clinician or clinician,
        )
        save(site_dir, replace(registry, operators={**registry.operators, operator: known}))
        return known


def known_device(registry: Registry, device: str) -> Device:
    """A device that is on the list and not struck off."""
    known = registry.devices.get(device)
    if known is None:
        raise ProvisioningRefused(f"The site {registry.site} has no device {device}.")
    if known.struck_off:
        raise ProvisioningRefused(f"The device {device} is struck off already.")
    return known


# --- the insides ----------------------------------------------------------------------------------------------------


def _check_new(registry: Registry, device: str, serial: str) -> None:
    known = registry.devices.get(device)
    if known is not None and known.struck_off:
        raise ProvisioningRefused(
            f"The device {device} was struck off, and its id is never used again; choose another."
        )
    if known is not None:
        raise ProvisioningRefused(f"The device {device} is provisioned already; renew it.")
    for other in registry.active_devices:
        if other.serial == serial:
            raise ProvisioningRefused(f"The stimulator with serial {serial} is provisioned already, as {other.id}.")


def _save_device(site_dir: Path, registry: Registry, device: Device) -> None:
    save(site_dir, replace(registry, devices={**registry.devices, device.id: device}))


def _write_device_papers(site_dir: Path, out_dir: Path, registry: Registry, device: Device) -> None:
    """What a device needs besides its key and certificate; device.json last, so that it stands for the whole."""
    for name in ("ca.crt", "site.pub"):
        write_public(out_dir / name, (site_dir / name).read_bytes())
    papers = {
        "site": registry.site,
        "device": device.id,
        "room": device.room,
        "serial": device.serial,
        "model": device.model,
        "broker_host": registry.broker_host,
        "broker_port": registry.broker_port,
    }
    write_public(out_dir / "device.json", f"{json.dumps(papers, indent=2)}\n".encode())
