"""Settings: what the clinic sets on a device, and that device and fleet agree on the version (contract.md, rule 7)."""

from functools import reduce

from broker.contract.limits import Limits
from broker.contract.messages import Settings
from broker.contract.topics import Channel
from fleet.core.effects import SendSettings
from fleet.core.events import SettingsIssued
from fleet.core.registry import Clinic, RegisteredDevice
from fleet.core.state import Device
from fleet.core.turn import Turn

CAPABILITIES: tuple[str, ...] = ()  # optional keys that this fleet understands: none in version 1
REPEAT_S = 5.0
RAISE_PERIOD_S = 60.0  # a device that goes on naming a higher version does not fill the journal
VERSION_RISE_MAX = 1_000_000  # a device that far ahead is wrong, and must not use the versions up


def _desired(version: int, registered: RegisteredDevice, clinic: Clinic) -> Settings:
    outermost_first = (registered.profile, clinic.limits, registered.limits)
    limits = reduce(Limits.tightened, (layer for layer in outermost_first if layer is not None))
    return Settings(
        version=version,
        capabilities=CAPABILITIES,
        room=registered.room,
        idle_period_s=clinic.idle_period_s,
        live_period_s=clinic.live_period_s,
        limits=limits,
        service_hold=registered.service_hold,
    )


def agree(turn: Turn, name: str, device_version: int) -> None:
    """Bring a device to the settings that the registry says, given the version that it has.

    The next version is one above the higher of both sides'; the same settings are sent again while it has an older one.
    """
    registered = turn.state.registered(name)
    if registered is None:
        return
    newest = turn.state.device(name).settings
    ours = 0 if newest is None else newest.version
    if device_version - ours > VERSION_RISE_MAX:
        turn.refused(name, Channel.BIRTH, "settings_version_implausible")
        return
    clinic = turn.state.durable.registry.clinic
    # In this order: what has to be issued anyway is no raise.
    if (
        newest is None
        or newest != _desired(ours, registered, clinic)
        or (device_version > ours and turn.due(f"settings raise/{name}", RAISE_PERIOD_S))
    ):
        newest = _desired(max(ours, device_version) + 1, registered, clinic)
        turn.happened(SettingsIssued(**turn.at, device=name, settings=newest))
        turn.state.fleeting.sent_s.pop(f"settings/{name}", None)
    if newest.version > device_version and turn.due(f"settings/{name}", REPEAT_S):
        turn.after_commit(SendSettings(name, newest))


def named(device: Device, version: int) -> Settings | None:
    """The settings of a version that this device was given; None where it is none of the remembered ones."""
    if device.settings is not None and device.settings.version == version:
        return device.settings
    return next((older for older in device.older_settings if older.version == version), None)
