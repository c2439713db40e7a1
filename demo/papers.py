"""Papers for simulated devices: who is on the site's list already, and who is put on it now.

Whoever has the CA's folder may provision; without it nothing is made, and what to type is said.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from agents.simulation.bench import MODEL, OnBench
from broker.pki.devices import provision_device, provision_operator
from broker.pki.folder import registry_of
from broker.pki.registry import Registry

OPERATOR = "sim.therapist"


class CannotSimulate(Exception):
    """The text is one sentence for people: what is missing, and what to do."""


def names(agents: int) -> tuple[str, ...]:
    """stim-01, stim-02, ... as many as asked for."""
    width = max(2, len(str(agents)))
    return tuple(f"stim-{n:0{width}d}" for n in range(1, agents + 1))


def rooms_of(devices: tuple[str, ...], rooms: int) -> dict[str, str]:
    """Spread evenly, neighbours together."""
    return {device: f"room-{1 + n * rooms // len(devices)}" for n, device in enumerate(devices)}


def provision_missing(
    site_dir: Path, ca_dir: Path, papers_dir: Path, wanted: Mapping[str, str], now: datetime
) -> tuple[tuple[str, ...], Registry]:
    """Put those devices of `wanted` (device to room) on the list that are not yet: who was new, and the list.

    Raises:
        CannotSimulate: a device is on the list and its papers are not here, or there is no CA to make papers with.
        ProvisioningRefused: the site's folder is none.
    """
    registry = registry_of(site_dir)
    new = tuple(device for device in wanted if device not in registry.devices)
    if new and not (ca_dir / "ca.key").exists():
        raise CannotSimulate(
            f"Not on the list of {site_dir}: {some(new)}, and there is no CA in {ca_dir} to put them on it (--ca-dir). "
            f"By hand: stimfleet provision device {new[0]} --site-dir {site_dir} --room {wanted[new[0]]} "
            f"--serial SN-{new[0]} --model {MODEL} --out {papers_dir / new[0]}"
        )
    for device in wanted:
        known = registry.devices.get(device)
        if known is not None and not (papers_dir / device / "device.json").exists():
            raise CannotSimulate(
                f"{device} is on the list of {site_dir}, but its papers are not in {papers_dir / device} "
                "(--papers-dir)."
            )
        if known is not None and (known.struck_off or known.model != MODEL):
            raise CannotSimulate(f"{device} is struck off, or no {MODEL}: only those are simulated.")
    for device in new:
        provision_device(site_dir, ca_dir, device, wanted[device], f"SN-{device}", MODEL, papers_dir / device, now=now)
    return new, registry_of(site_dir)


def standing(registry: Registry, devices: tuple[str, ...]) -> tuple[OnBench, ...]:
    """The stimulators for these devices, with the serials of their papers."""
    return tuple(OnBench(device, registry.devices[device].serial, registry.devices[device].model) for device in devices)


def operator_of(site_dir: Path, ca_dir: Path, now: datetime) -> str:
    """Somebody who may treat with the simulated model; made up where whoever asks has the CA.

    Raises:
        CannotSimulate: there is nobody.
    """
    today = now.date()
    for operator in registry_of(site_dir).operators.values():
        if operator.instructed_until.get(MODEL, today - timedelta(days=1)) >= today:
            return operator.id
    if not (ca_dir / "ca.key").exists():
        raise CannotSimulate(
            f"Nobody on the list of {site_dir} may treat with {MODEL}: stimfleet provision operator {OPERATOR} "
            f"--site-dir {site_dir} --instructed {MODEL}={today + timedelta(days=365)}"
        )
    provision_operator(site_dir, OPERATOR, {MODEL: today + timedelta(days=365)})
    return OPERATOR


def some(devices: tuple[str, ...]) -> str:
    """So many devices in a few words.

    >>> some(("stim-01",)), some(("stim-01", "stim-02", "stim-03"))
    ('stim-01', 'stim-01 to stim-03 (3)')
    """
    return devices[0] if len(devices) == 1 else f"{devices[0]} to {devices[-1]} ({len(devices)})"
