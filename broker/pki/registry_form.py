"""What `registry.json` may hold, place by place: a document is exactly a registry, or it is refused."""

from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.contract.dose import DoseRefused, dose_rules
from broker.contract.limits import ENVELOPE, LIMIT_NAMES, Layer
from broker.contract.plan import Modality
from broker.contract.shapes import NAME_PATTERN
from broker.contract.topics import RESERVED_IDS
from broker.pki.checks import BOUNDS, VERSION_PATTERN, CheckKind, DoneCheck, Every, Upkeep, wrong_interval
from broker.pki.clinic import ClinicSettings, loosened, out_of_bounds
from broker.pki.opening import NoHours, hours_said
from broker.pki.registry import LABEL_PATTERN, OPERATOR_PATTERN, Device, Operator, Registry
from broker.pki.strict import Read, Wrong, check_object, day_said, fields, flag, list_of, or_none, ordinal, string

POINT_PATTERN = r"04[0-9a-f]{128}"
HOST_PATTERN = r"[A-Za-z0-9.:-]{1,253}"


def _device_id(where: str, value: Any) -> str:
    name = string(NAME_PATTERN, where, value)
    if name in RESERVED_IDS:
        raise Wrong(f"{where} is {name!r}, which is reserved")
    return name


def _time_zone(where: str, value: Any) -> str:
    name = string(r"[A-Za-z0-9_+/-]{1,64}", where, value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Wrong(f"{where} is {name!r}, which this machine does not know as a time zone") from error
    return name


def _port(where: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 65_535:
        raise Wrong(f"{where} is {value!r}, which is no port")
    return value


def _days_by_model(where: str, value: Any) -> dict[str, date]:
    check_object(where, value)
    return {string(LABEL_PATTERN, where, model): day_said(f"{where}.{model}", day) for model, day in value.items()}


def _limits(layer: Layer, where: str, value: Any) -> dict[str, float]:
    """Limits of one layer; one that loosens the envelope is refused, because it would be ignored."""
    check_object(where, value)
    for name, number in value.items():
        if name not in LIMIT_NAMES:
            raise Wrong(f"{where} names {name!r}, which is no limit")
        if type(number) not in (int, float) or not 0.0 <= number <= 1e6:
            raise Wrong(f"{where}.{name} is {number!r}, which is no number from 0 to 1000000")
        outer = loosened(ENVELOPE, layer, name, float(number))
        if outer is not None:
            raise Wrong(f"{where}.{name} is {number!r}, looser than the envelope's {outer.value!r}")
    return {name: float(number) for name, number in value.items()}


def _by_model(where: str, value: Any) -> dict[str, dict[str, float]]:
    check_object(where, value)
    return {
        string(LABEL_PATTERN, where, model): _limits(Layer.MODEL, f"{where}.{model}", limits)
        for model, limits in value.items()
    }


def _chosen(name: str, where: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise Wrong(f"{where} is {value!r}, which is no number")
    if why := out_of_bounds(name, value):
        raise Wrong(f"{where} is {value!r}, {why}")
    return int(value) if name.endswith("_ms") else float(value)


def _clinic(where: str, value: Any) -> ClinicSettings:
    """What is not said is as the contract has it."""
    check_object(where, value)
    usual = asdict(ClinicSettings())
    return ClinicSettings(**fields(where, {**usual, **value}, {name: partial(_chosen, name) for name in usual}))


def _dose_rules(where: str, value: Any) -> dict[str, dict[str, float]]:
    """Rules of the clinic, per modality; one that loosens the domain's is refused."""
    check_object(where, value)
    found = {}
    for name, rules in value.items():
        if name not in set(Modality):
            raise Wrong(f"{where} names {name!r}, which is no modality")
        check_object(f"{where}.{name}", rules)
        try:
            ours = dose_rules(Modality(name), **rules)
        except DoseRefused as refused:
            raise Wrong(f"{where}.{name}: {refused}") from refused
        found[name] = {rule: getattr(ours, rule) for rule in rules}
    return found


def _opening_hours(where: str, value: Any) -> dict[str, str]:
    try:
        return hours_said(value)
    except NoHours as wrong:
        raise Wrong(f"{where}: {wrong}") from wrong


def _interval(name: str, where: str, value: Any) -> float:
    if why := wrong_interval(name, value):
        raise Wrong(f"{where} is {value!r}, {why}")
    return float(value) if name == "hours" else int(value)


def _every(where: str, value: Any) -> Every:
    return Every(**fields(where, value, {name: partial(or_none, partial(_interval, name)) for name in BOUNDS}))


def _by_check(read: Read, where: str, value: Any) -> dict[str, Any]:
    check_object(where, value)
    for name in value:
        if name not in set(CheckKind):
            raise Wrong(f"{where} names {name!r}, which is no check")
    return {name: read(f"{where}.{name}", item) for name, item in value.items()}


def _done(where: str, value: Any) -> DoneCheck:
    return DoneCheck(**fields(where, value, {"done": partial(or_none, day_said), "every": _every}))


def _upkeep(where: str, value: Any) -> dict[str, Upkeep]:
    check_object(where, value)
    readers: dict[str, Read] = {
        "every": partial(_by_check, _every),
        "firmware_min": partial(or_none, partial(string, VERSION_PATTERN)),
        "firmware_by": partial(or_none, day_said),
    }
    return {
        string(LABEL_PATTERN, where, model): Upkeep(**fields(f"{where}.{model}", item, readers))
        for model, item in value.items()
    }


_DEVICE: dict[str, Read] = {
    "id": _device_id,
    "room": partial(string, NAME_PATTERN),
    "serial": partial(string, LABEL_PATTERN),
    "model": partial(string, LABEL_PATTERN),
    "public_keys": partial(list_of, partial(string, POINT_PATTERN)),
    "certificate_until": day_said,
    "struck_off": flag,
    "enrolled_n": ordinal,
    "limits": partial(_limits, Layer.SETTINGS),
    "service_hold": flag,
    "checks": partial(_by_check, _done),
}
_OPERATOR: dict[str, Read] = {
    "id": partial(string, OPERATOR_PATTERN),
    "instructed_until": _days_by_model,
    "clinician": flag,
}


def _device(where: str, value: Any) -> Device:
    if isinstance(value, dict):
        # A registry from before there were any.
        value = {"enrolled_n": 1, "limits": {}, "service_hold": False, "checks": {}, **value}
    device = Device(**fields(where, value, _DEVICE))
    if not device.public_keys:
        raise Wrong(f"{where}.public_keys is empty")
    return device


def _operator(where: str, value: Any) -> Operator:
    return Operator(**fields(where, value, _OPERATOR))


def _by_id(read: Read, where: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in list_of(read, where, value):
        if item.id in found:
            raise Wrong(f"{where} has {item.id!r} twice")
        found[item.id] = item
    return found


_REGISTRY: dict[str, Read] = {
    "site": partial(string, NAME_PATTERN),
    "time_zone": _time_zone,
    "broker_host": partial(string, HOST_PATTERN),
    "broker_port": _port,
    "clinic_limits": partial(_limits, Layer.CLINIC),
    "devices": partial(_by_id, _device),
    "operators": partial(_by_id, _operator),
    "clinic": _clinic,
    "models": _by_model,
    "dose_rules": _dose_rules,
    "upkeep": _upkeep,
    "opening_hours": _opening_hours,
}


def registry_said(document: Any) -> Registry:
    """The registry that a document is.

    Raises:
        Wrong: it is none.
    """
    if isinstance(document, dict):  # perhaps from before there were any of these
        document = {"clinic": {}, "models": {}, "dose_rules": {}, "upkeep": {}, "opening_hours": {}, **document}
    return Registry(**fields("the registry", document, _REGISTRY))
