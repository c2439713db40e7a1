"""The site's registry on disk, as the core wants it. Days become moments: the end of the day in the clinic's zone."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broker.contract.dose import dose_rules
from broker.contract.limits import ENVELOPE, Layer, Limits
from broker.contract.plan import Modality
from broker.pki.checks import CheckKind as SiteCheckKind
from broker.pki.checks import DoneCheck, Every, Upkeep
from broker.pki.registry import Device
from broker.pki.registry import Registry as SiteRegistry
from fleet.core.refusals import RuleLayer
from fleet.core.registry import (
    Bound,
    CheckKind,
    Clinic,
    DeviceCheck,
    FirmwareMin,
    Operator,
    RegisteredDevice,
    Registry,
)


def core_registry(site: SiteRegistry, lease_ttl_ms: int | None) -> Registry:
    """What the core is told of the clinic. `lease_ttl_ms` of the fleet's own settings goes before the registry's.

    A device is enrolled anew when it gets another stimulator (serial), and when a person says so because its disk was
    replaced (`stimfleet provision enrol`); renewing its key is no new enrolment, because that would end its session. A
    certificate that has run out makes a device due.
    """
    zone = ZoneInfo(site.time_zone)
    devices = {
        device.id: RegisteredDevice(
            device=device.id,
            room=device.room,
            model=device.model,
            serial=device.serial,
            enrolment=f"{device.serial}/{device.enrolled_n}",
            due_wall_s=_end_of(device.certificate_until, zone),
            struck_off=device.struck_off,
            service_hold=device.service_hold,
            profile=_tightened(Layer.MODEL, site.models.get(device.model, {})),
            limits=_tightened(Layer.SETTINGS, device.limits),
            checks=_checks(device, site.upkeep.get(device.model, Upkeep())),
            firmware=_firmware(site.upkeep.get(device.model, Upkeep())),
        )
        for device in site.devices.values()
    }
    operators = {
        operator.id: Operator(
            operator=operator.id,
            instructed_until_wall_s={model: _end_of(day, zone) for model, day in operator.instructed_until.items()},
            clinician=operator.clinician,
        )
        for operator in site.operators.values()
    }
    clinic = Clinic(
        limits=ENVELOPE.tightened_by(Layer.CLINIC, **site.clinic_limits),
        lease_ttl_ms=site.clinic.lease_ttl_ms if lease_ttl_ms is None else lease_ttl_ms,
        idle_period_s=site.clinic.idle_period_s,
        live_period_s=site.clinic.live_period_s,
        start_within_s=site.clinic.start_within_s,
        pause_total_s=site.clinic.pause_total_s,
        time_zone=site.time_zone,
        dose={modality: dose_rules(modality, **site.dose_rules.get(modality.value, {})) for modality in Modality},
    )
    return Registry(clinic=clinic, devices=devices, operators=operators)


def _tightened(layer: Layer, values: Mapping[str, float]) -> Limits | None:
    return ENVELOPE.tightened_by(layer, **values) if values else None


def _checks(device: Device, model: Upkeep) -> dict[CheckKind, DeviceCheck]:
    """Every check that is needed, or was recorded, with the shorter of the model's interval and the device's own."""
    found = {}
    for kind in SiteCheckKind:
        own, usual = device.checks.get(kind.value, DoneCheck()), model.every.get(kind.value, Every())
        check = DeviceCheck(
            done=own.done,
            days=_bound(usual.days, own.every.days),
            hours=_bound(usual.hours, own.every.hours),
            sessions=_bound(usual.sessions, own.every.sessions),
        )
        if check != DeviceCheck():
            found[CheckKind(kind.value)] = check
    return found


def _bound(usual: float | None, own: float | None) -> Bound | None:
    if own is not None and (usual is None or own < usual):
        return Bound(most=float(own), layer=RuleLayer.SETTINGS)
    return None if usual is None else Bound(most=float(usual), layer=RuleLayer.MODEL)


def _firmware(model: Upkeep) -> FirmwareMin | None:
    return None if model.firmware_min is None else FirmwareMin(version=model.firmware_min, by=model.firmware_by)


def _end_of(day: date, zone: ZoneInfo) -> float:
    """Unix seconds at which `day` is over in `zone`."""
    return datetime.combine(day + timedelta(days=1), time.min, zone).timestamp()
