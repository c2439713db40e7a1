"""The registry: every device and operator that a site knows, and the clinic's own limits, in `registry.json`.

It is written by `stimfleet provision` and its kin, read by the fleet and by whoever writes the ACL (`registry_file`).
Reading is strict (`registry_form`): whatever is not exactly so is refused with one sentence that names the place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from broker.pki.checks import DoneCheck, Upkeep
from broker.pki.clinic import ClinicSettings

FILE_NAME = "registry.json"
OPERATOR_PATTERN = r"[a-z0-9][a-z0-9.-]{0,63}"
LABEL_PATTERN = r"[^\x00-\x1f\x7f]{1,64}"


class BadRegistry(ValueError):
    """The registry cannot be used as it is; the text is one sentence that says where and why."""


@dataclass(frozen=True, slots=True)
class Device:
    """A stimulator with its agent.

    `public_keys` are uncompressed points in hex, newest last; more than one only while a key is renewed.
    `certificate_until` is the last day of its newest certificate. A struck-off id is never used again: its
    certificate stays good to the CA, only the ACL and the registry know better. `enrolled_n` counts how often it was
    taken as new: each time the fleet forgets its boots and spools. `limits` are its own settings: limit name to value.
    `checks` are by kind (`checks.CheckKind`).
    """

    id: str
    room: str
    serial: str
    model: str
    public_keys: tuple[str, ...]
    certificate_until: date
    struck_off: bool = False
    enrolled_n: int = 1
    limits: Mapping[str, float] = field(default_factory=dict)
    service_hold: bool = False
    checks: Mapping[str, DoneCheck] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operator:
    """A trained professional: the last day of the instruction, per model of stimulator.

    Only a clinician may override a relative contraindication, by name and on record.
    """

    id: str
    instructed_until: Mapping[str, date] = field(default_factory=dict)
    clinician: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """A site. `clinic_limits` tightens the envelope: limit name to value; `models` does so for each model, besides what
    its devices say of themselves; `dose_rules` tightens the domain's: modality to rule to value. `upkeep` says for each
    model what is to be checked. `time_zone` is what calendar rules go by; `opening_hours` (`opening`) allow nothing.
    """

    site: str
    time_zone: str
    broker_host: str
    broker_port: int
    clinic_limits: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    operators: Mapping[str, Operator] = field(default_factory=dict)
    clinic: ClinicSettings = field(default_factory=ClinicSettings)
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    dose_rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    upkeep: Mapping[str, Upkeep] = field(default_factory=dict)
    opening_hours: Mapping[str, str] = field(default_factory=dict)

    @property
    def active_devices(self) -> tuple[Device, ...]:
        return tuple(device for device in self.devices.values() if not device.struck_off)
