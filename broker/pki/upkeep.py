"""Recording what was checked on a device, and saying how often a model needs it. The fleet reads it by itself."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from broker.pki.checks import CheckKind, DoneCheck, Every, Upkeep, is_version, loosened, wrong_interval
from broker.pki.devices import known_device
from broker.pki.folder import ProvisioningRefused, changing, check_label, registry_of, save
from broker.pki.registry import Device, Registry

Number = TypeVar("Number", int, float)


def record_check(
    site_dir: Path, device: str, kind: CheckKind, done: date | None, every: Mapping[str, float], *, today: date
) -> Registry:
    """Note that a check was done, or how often this device needs it; what is not named stays.

    Raises:
        ProvisioningRefused: it was done after `today`, or is to be done less often than its model says.
    """
    if done is not None and done > today:
        raise ProvisioningRefused(f"The {kind} check of {device} cannot have been done on {done}: it is {today}.")
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        before = known.checks.get(kind.value, DoneCheck())
        model = registry.upkeep.get(known.model, Upkeep()).every.get(kind.value, Every())
        changed = _changed(before.every, every)
        for name, value in every.items():
            ours = loosened(model, name, value)
            if ours is not None:
                raise ProvisioningRefused(
                    f"The {kind} check of {device} cannot be due every {value:g} {name}, less often than the {ours:g} "
                    f"of model {known.model}: a device may only be checked more often."
                )
        if done is None and not every:
            return registry
        after = DoneCheck(before.done if done is None else done, changed)
        return _save(site_dir, registry, replace(known, checks={**known.checks, kind.value: after}))


def forget_intervals(site_dir: Path, device: str, kind: CheckKind) -> Registry:
    """From now on the device needs a check as often as its model says."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        known = known_device(registry, device)
        after = DoneCheck(known.checks.get(kind.value, DoneCheck()).done)
        return _save(site_dir, registry, replace(known, checks={**known.checks, kind.value: after}))


def set_interval(site_dir: Path, model: str, kind: CheckKind, every: Mapping[str, float]) -> Registry:
    """How often every device of a model needs a check; what is not named stays."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        before = _upkeep(registry, model)
        known = _changed(before.every.get(kind.value, Every()), every)
        if not every:
            return registry
        return _save_model(site_dir, registry, model, replace(before, every={**before.every, kind.value: known}))


def drop_interval(site_dir: Path, model: str, kind: CheckKind) -> Registry:
    """A model does not need this check any more; a device's own interval stays."""
    with changing(site_dir):
        registry = registry_of(site_dir)
        before = _upkeep(registry, model)
        left = {name: every for name, every in before.every.items() if name != kind.value}
        return _save_model(site_dir, registry, model, replace(before, every=left))


def require_firmware(site_dir: Path, model: str, version: str | None, by: date | None) -> Registry:
    """The oldest firmware that a model's devices may have after the day `by`; `version` None: whatever they have."""
    if version is not None and not is_version(version):
        raise ProvisioningRefused(f"The firmware {version!r} must be numbers with dots between, such as 2.1.")
    with changing(site_dir):
        registry = registry_of(site_dir)
        before = _upkeep(registry, model)
        return _save_model(site_dir, registry, model, replace(before, firmware_min=version, firmware_by=by))


def in_force(registry: Registry, device: Device, kind: CheckKind) -> Every:
    """How often a device needs a check: the shorter of its model's interval and its own."""
    model = registry.upkeep.get(device.model, Upkeep()).every.get(kind.value, Every())
    own = device.checks.get(kind.value, DoneCheck()).every
    return Every(
        _shorter(model.days, own.days), _shorter(model.hours, own.hours), _shorter(model.sessions, own.sessions)
    )


def _shorter(one: Number | None, other: Number | None) -> Number | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _changed(before: Every, every: Mapping[str, float]) -> Every:
    for name, value in every.items():
        if why := wrong_interval(name, value):
            raise ProvisioningRefused(f"A check cannot be due every {value:g} {name}, {why}.")
    changed: dict[str, Any] = {**asdict(before), **every}
    return Every(**changed)


def _upkeep(registry: Registry, model: str) -> Upkeep:
    check_label("model", model)
    known = sorted({device.model for device in registry.devices.values()})
    if model not in known:
        raise ProvisioningRefused(
            f"The site {registry.site} has no device of model {model}; its models: {', '.join(known) or 'none'}."
        )
    return registry.upkeep.get(model, Upkeep())


def _save(site_dir: Path, registry: Registry, device: Device) -> Registry:
    changed = replace(registry, devices={**registry.devices, device.id: device})
    save(site_dir, changed)
    return changed


def _save_model(site_dir: Path, registry: Registry, model: str, upkeep: Upkeep) -> Registry:
    changed = replace(registry, upkeep={**registry.upkeep, model: upkeep})
    save(site_dir, changed)
    return changed
