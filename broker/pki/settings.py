"""Changing what a clinic sets: for the site, for a model, for one device. The fleet reads it by itself.

A layer may only tighten what lies outside it: what would be ignored is refused. Layers that lie inside are left alone:
tightening the outer one never waits for them, because the strictest wins.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from broker.contract.limits import ENVELOPE, LIMIT_NAMES, Layer, Limits
from broker.pki.clinic import ClinicSettings, contradiction, loosened, out_of_bounds
from broker.pki.devices import known_device
from broker.pki.folder import ProvisioningRefused, changing, check_label, registry_of, save
from broker.pki.opening import USUAL, NoHours, OpeningHours
from broker.pki.registry import Device, Registry

LIMIT_MAX = 1e6


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different in one layer's limits: those to set, by name, and those to take away."""

    limits: Mapping[str, float] = field(default_factory=dict)
    without: tuple[str, ...] = ()


def set_clinic(site_dir: Path, change: Change, settings: Mapping[str, float]) -> Registry:
    """The clinic's own limits and settings (`broker.pki.clinic.ClinicSettings`, by name)."""
    for name, value in settings.items():
        if why := out_of_bounds(name, value):
            raise ProvisioningRefused(f"The clinic's {name} cannot be {value:g}, {why}.")
    with changing(site_dir):
        registry = registry_of(site_dir)
        limits = _changed("The clinic", registry.clinic_limits, change, ENVELOPE, Layer.CLINIC)
        changed = replace(
            registry, clinic_limits=limits, clinic=ClinicSettings(**{**asdict(registry.clinic), **settings})
        )
        save(site_dir, changed)
        return changed


def set_hours(site_dir: Path, said: Mapping[str, str]) -> Mapping[str, str]:
    """When the clinic is open, by weekday. Days that are not named stay; one without hours is closed. What holds."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        hours = {**(registry.opening_hours or USUAL), **said}
        try:
            OpeningHours.of(hours)
        except NoHours as wrong:
            raise ProvisioningRefused(f"The opening hours cannot be set: {wrong}.") from wrong
        if said:
            save(site_dir, replace(registry, opening_hours=hours))
        return hours


def set_model(site_dir: Path, model: str, change: Change) -> Registry:
    """What the clinic allows every device of a model, besides what the devices say of themselves."""
    check_label("model", model)
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = sorted({device.model for device in registry.devices.values()})
        if model not in known:
            raise ProvisioningRefused(
                f"The site {registry.site} has no device of model {model}; its models: {', '.join(known) or 'none'}."
            )
        limits = _changed(f"The model {model}", registry.models.get(model, {}), change, ENVELOPE, Layer.MODEL)
        changed = replace(registry, models={**registry.models, model: limits})
        save(site_dir, changed)
        return changed


def set_device(site_dir: Path, device: str, change: Change) -> Registry:
    """One device's own limits."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        limits = _changed(f"The device {device}", known.limits, change, outside(registry, known), Layer.SETTINGS)
        return _save(site_dir, registry, replace(known, limits=limits))


def hold_for_service(site_dir: Path, device: str, *, hold: bool) -> Registry:
    """Take a device out of service, or allow it back: there its hold stays until a person releases it."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        return _save(site_dir, registry, replace(known_device(registry, device), service_hold=hold))


def outside(registry: Registry, device: Device) -> Limits:
    """The limits that lie outside a device's own settings, as far as the registry knows: not what it says of itself."""
    model = ENVELOPE.tightened_by(Layer.MODEL, **registry.models.get(device.model, {}))
    return model.tightened_by(Layer.CLINIC, **registry.clinic_limits)


def in_force(registry: Registry, device: Device) -> Limits:
    """The limits of a device, each with the layer that set it."""
    return outside(registry, device).tightened_by(Layer.SETTINGS, **device.limits)


def _changed(whose: str, before: Mapping[str, float], change: Change, outer: Limits, layer: Layer) -> dict[str, float]:
    for name in (*change.limits, *change.without):
        if name not in LIMIT_NAMES:
            raise ProvisioningRefused(f"There is no limit {name}; there are {', '.join(LIMIT_NAMES)}.")
    for name in change.without:
        if name in change.limits:
            raise ProvisioningRefused(f"{whose}: {name} cannot be set and taken away at once.")
        if name not in before:
            raise ProvisioningRefused(f"{whose} has no limit {name} of its own.")
    for name, value in change.limits.items():
        if not (math.isfinite(value) and 0.0 <= value <= LIMIT_MAX):
            raise ProvisioningRefused(f"{whose}: {name} cannot be {value:g}, which is not from 0 to {LIMIT_MAX:g}.")
        stricter = loosened(outer, layer, name, value)
        if stricter is not None:
            raise ProvisioningRefused(
                f"{whose}: {name} cannot be {value:g}, looser than the {stricter.value:g} of the {stricter.layer} "
                "layer: settings may only tighten."
            )
    after = {name: value for name, value in {**before, **change.limits}.items() if name not in change.without}
    if change.limits and (words := contradiction(outer.tightened_by(layer, **after))):
        raise ProvisioningRefused(f"{whose}: {words}: nothing could be treated.")
    return after


def _save(site_dir: Path, registry: Registry, device: Device) -> Registry:
    changed = replace(registry, devices={**registry.devices, device.id: device})
    save(site_dir, changed)
    return changed
