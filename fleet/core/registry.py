"""What the clinic has put on its list: devices, operators and its own limits.

The shell reads it from wherever it is kept and hands it over as a whole (`inputs.RegistryChanged`). Wall times are
Unix seconds.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from broker.contract.dose import DOSE_RULES, DoseRules
from broker.contract.limits import ENVELOPE, Limits
from broker.contract.plan import Modality
from broker.contract.shapes import Strict
from fleet.core.refusals import RuleLayer


class CheckKind(StrEnum):
    """What a person checks on a device, and the clinic records as done."""

    CALIBRATION = "calibration"
    SAFETY = "safety"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound(Strict):
    """The most that may lie between two checks, in days, hours of use or sessions; and who says so."""

    most: float
    layer: RuleLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck(Strict):
    """One check of one device. `done`: on which local day; None: never recorded, overdue where there is a bound."""

    done: date | None = None
    days: Bound | None = None
    hours: Bound | None = None
    sessions: Bound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareMin(Strict):
    """The oldest firmware that a model's devices may have after the day `by`; None: at once."""

    version: str
    by: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredDevice(Strict):
    """One stimulator. `enrolment` changes whenever it is enrolled anew: that forgets its boots and its spools.

    `limits` are the settings' own, tighter than the clinic's (None: nothing beyond the clinic's); `profile` is what
    the clinic believes of the model, on top of what the device says in its birth (None: the birth's alone).
    """

    device: str
    room: str
    model: str
    serial: str
    enrolment: str
    due_wall_s: float | None = None  # its certificate's end: overdue blocks start
    struck_off: bool = False
    service_hold: bool = False
    profile: Limits | None = None
    limits: Limits | None = None
    checks: dict[CheckKind, DeviceCheck] = field(default_factory=dict)
    firmware: FirmwareMin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(Strict):
    """A trained professional. `instructed_until_wall_s` by model; only a clinician may override a screening."""

    operator: str
    instructed_until_wall_s: dict[str, float]
    clinician: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic(Strict):
    """What one site has chosen, within contract.md's bounds. Calendar rules go by `time_zone` (IANA)."""

    limits: Limits = ENVELOPE
    lease_ttl_ms: int = 5_000
    idle_period_s: float = 5.0
    live_period_s: float = 0.5
    start_within_s: float = 120.0
    pause_total_s: float = 600.0
    time_zone: str = "UTC"
    dose: dict[Modality, DoseRules] = field(default_factory=lambda: dict(DOSE_RULES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry(Strict):
    """Everything above, by id."""

    clinic: Clinic = Clinic()
    devices: dict[str, RegisteredDevice] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)
