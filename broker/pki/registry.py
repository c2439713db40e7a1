"""The registry: every device and operator that a site knows, and the clinic's own limits, in `registry.json`.

It is written by `stimfleet provision` and its kin, read by the fleet and by whoever writes the ACL. Reading is
strict: whatever is not exactly as written here is refused with one sentence that names the place.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.contract.dose import DoseRefused, dose_rules
from broker.contract.limits import ENVELOPE, LIMIT_NAMES, Layer
from broker.contract.plan import Modality
from broker.contract.shapes import COUNT_MAX, NAME_PATTERN
from broker.contract.topics import RESERVED_IDS
from broker.pki.checks import BOUNDS, VERSION_PATTERN, CheckKind, DoneCheck, Every, Upkeep, wrong_interval
from broker.pki.clinic import ClinicSettings, loosened, out_of_bounds
from broker.pki.durable import write_public
from broker.pki.opening import NoHours, hours_said

FILE_NAME = "registry.json"
OPERATOR_PATTERN = r"[a-z0-9][a-z0-9.-]{0,63}"
LABEL_PATTERN = r"[^\x00-\x1f\x7f]{1,64}"
POINT_PATTERN = r"04[0-9a-f]{128}"
HOST_PATTERN = r"[A-Za-z0-9.:-]{1,253}"


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


def load_registry(path: Path) -> Registry:
    """Read `path`, the file or the site's folder.

    Raises:
        BadRegistry: it is not there, cannot be read, or is not exactly a registry.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRegistry(f"The registry {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadRegistry(f"The registry {file} is not UTF-8 text.") from error
    try:
        return _registry(json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise BadRegistry(f"The registry {file} is not JSON: {error.msg} in line {error.lineno}.") from error
    except RecursionError as error:
        raise BadRegistry(f"The registry {file} is nested too deeply.") from error
    except _Wrong as wrong:
        raise BadRegistry(f"The registry {file} cannot be used: {wrong}.") from wrong


def save_registry(site_dir: Path, registry: Registry) -> None:
    """Write the registry into its site's folder, whole or not at all.

    Raises:
        BadRegistry: it could not be read again; nothing is written.
    """
    document = asdict(registry)
    document["devices"] = [asdict(device) for device in registry.devices.values()]
    document["operators"] = [asdict(operator) for operator in registry.operators.values()]
    text = json.dumps(document, indent=2, default=date.isoformat)
    try:
        _registry(json.loads(text))
    except _Wrong as wrong:
        raise BadRegistry(f"The registry cannot be written: {wrong}.") from wrong
    write_public(site_dir / FILE_NAME, f"{text}\n".encode())


# --- strict reading -------------------------------------------------------------------------------------------------

_Read = Callable[[str, Any], Any]


class _Wrong(ValueError):
    """What is wrong, and where."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise _Wrong(f"{twice!r} is there twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise _Wrong(f"{name} is no number")


def _string(pattern: str, where: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise _Wrong(f"{where} is {value!r}, which does not match {pattern}")
    return value


def _device_id(where: str, value: Any) -> str:
    name = _string(NAME_PATTERN, where, value)
    if name in RESERVED_IDS:
        raise _Wrong(f"{where} is {name!r}, which is reserved")
    return name


def _day(where: str, value: Any) -> date:
    try:
        day = date.fromisoformat(_string(r"\d{4}-\d\d-\d\d", where, value))
    except ValueError as error:
        raise _Wrong(f"{where} is {value!r}, which is no day like 2027-01-31") from error
    if not 2000 <= day.year <= 2999:  # the day after 9999-12-31 is none, and would end whoever reckons with it
        raise _Wrong(f"{where} is {value!r}, which is not from 2000 to 2999")
    return day


def _time_zone(where: str, value: Any) -> str:
    name = _string(r"[A-Za-z0-9_+/-]{1,64}", where, value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _Wrong(f"{where} is {name!r}, which this machine does not know as a time zone") from error
    return name


def _port(where: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 65_535:
        raise _Wrong(f"{where} is {value!r}, which is no port")
    return value


def _ordinal(where: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= COUNT_MAX:
        raise _Wrong(f"{where} is {value!r}, which does not count from 1")
    return value


def _flag(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"{where} is {value!r}, which is neither true nor false")
    return value


def _list(read: _Read, where: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _Wrong(f"{where} is no list")
    return tuple(read(f"{where}[{n}]", item) for n, item in enumerate(value))


def _or_none(read: _Read, where: str, value: Any) -> Any:
    return None if value is None else read(where, value)


def _days_by_model(where: str, value: Any) -> dict[str, date]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    return {_string(LABEL_PATTERN, where, model): _day(f"{where}.{model}", day) for model, day in value.items()}


def _limits(layer: Layer, where: str, value: Any) -> dict[str, float]:
    """Limits of one layer; one that loosens the envelope is refused, because it would be ignored."""
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    for name, number in value.items():
        if name not in LIMIT_NAMES:
            raise _Wrong(f"{where} names {name!r}, which is no limit")
        if type(number) not in (int, float) or not 0.0 <= number <= 1e6:
            raise _Wrong(f"{where}.{name} is {number!r}, which is no number from 0 to 1000000")
        outer = loosened(ENVELOPE, layer, name, float(number))
        if outer is not None:
            raise _Wrong(f"{where}.{name} is {number!r}, looser than the envelope's {outer.value!r}")
    return {name: float(number) for name, number in value.items()}


def _by_model(where: str, value: Any) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    return {
        _string(LABEL_PATTERN, where, model): _limits(Layer.MODEL, f"{where}.{model}", limits)
        for model, limits in value.items()
    }


def _chosen(name: str, where: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise _Wrong(f"{where} is {value!r}, which is no number")
    if why := out_of_bounds(name, value):
        raise _Wrong(f"{where} is {value!r}, {why}")
    return int(value) if name.endswith("_ms") else float(value)


def _clinic(where: str, value: Any) -> ClinicSettings:
    """What is not said is as the contract has it."""
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    usual = asdict(ClinicSettings())
    return ClinicSettings(**_fields(where, {**usual, **value}, {name: partial(_chosen, name) for name in usual}))


def _dose_rules(where: str, value: Any) -> dict[str, dict[str, float]]:
    """Rules of the clinic, per modality; one that loosens the domain's is refused."""
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    found = {}
    for name, rules in value.items():
        if name not in set(Modality):
            raise _Wrong(f"{where} names {name!r}, which is no modality")
        if not isinstance(rules, dict):
            raise _Wrong(f"{where}.{name} is no object")
        try:
            ours = dose_rules(Modality(name), **rules)
        except DoseRefused as refused:
            raise _Wrong(f"{where}.{name}: {refused}") from refused
        found[name] = {rule: getattr(ours, rule) for rule in rules}
    return found


def _opening_hours(where: str, value: Any) -> dict[str, str]:
    try:
        return hours_said(value)
    except NoHours as wrong:
        raise _Wrong(f"{where}: {wrong}") from wrong


def _interval(name: str, where: str, value: Any) -> float:
    if why := wrong_interval(name, value):
        raise _Wrong(f"{where} is {value!r}, {why}")
    return float(value) if name == "hours" else int(value)


def _every(where: str, value: Any) -> Every:
    return Every(**_fields(where, value, {name: partial(_or_none, partial(_interval, name)) for name in BOUNDS}))


def _by_check(read: _Read, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    for name in value:
        if name not in set(CheckKind):
            raise _Wrong(f"{where} names {name!r}, which is no check")
    return {name: read(f"{where}.{name}", item) for name, item in value.items()}


def _done(where: str, value: Any) -> DoneCheck:
    return DoneCheck(**_fields(where, value, {"done": partial(_or_none, _day), "every": _every}))


def _upkeep(where: str, value: Any) -> dict[str, Upkeep]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    readers: dict[str, _Read] = {
        "every": partial(_by_check, _every),
        "firmware_min": partial(_or_none, partial(_string, VERSION_PATTERN)),
        "firmware_by": partial(_or_none, _day),
    }
    return {
        _string(LABEL_PATTERN, where, model): Upkeep(**_fields(f"{where}.{model}", item, readers))
        for model, item in value.items()
    }


def _fields(where: str, value: Any, readers: Mapping[str, _Read]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is no object")
    for name in value.keys() - readers.keys():
        raise _Wrong(f"{where} has {name!r}, which is unknown")
    for name in readers.keys() - value.keys():
        raise _Wrong(f"{where} has no {name!r}")
    return {name: read(f"{where}.{name}", value[name]) for name, read in readers.items()}


_DEVICE: dict[str, _Read] = {
    "id": _device_id,
    "room": partial(_string, NAME_PATTERN),
    "serial": partial(_string, LABEL_PATTERN),
    "model": partial(_string, LABEL_PATTERN),
    "public_keys": partial(_list, partial(_string, POINT_PATTERN)),
    "certificate_until": _day,
    "struck_off": _flag,
    "enrolled_n": _ordinal,
    "limits": partial(_limits, Layer.SETTINGS),
    "service_hold": _flag,
    "checks": partial(_by_check, _done),
}
_OPERATOR: dict[str, _Read] = {
    "id": partial(_string, OPERATOR_PATTERN),
    "instructed_until": _days_by_model,
    "clinician": _flag,
}


def _device(where: str, value: Any) -> Device:
    if isinstance(value, dict):
        # A registry from before there were any.
        value = {"enrolled_n": 1, "limits": {}, "service_hold": False, "checks": {}, **value}
    device = Device(**_fields(where, value, _DEVICE))
    if not device.public_keys:
        raise _Wrong(f"{where}.public_keys is empty")
    return device


def _operator(where: str, value: Any) -> Operator:
    return Operator(**_fields(where, value, _OPERATOR))


def _by_id(read: _Read, where: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in _list(read, where, value):
        if item.id in found:
            raise _Wrong(f"{where} has {item.id!r} twice")
        found[item.id] = item
    return found


_REGISTRY: dict[str, _Read] = {
    "site": partial(_string, NAME_PATTERN),
    "time_zone": _time_zone,
    "broker_host": partial(_string, HOST_PATTERN),
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


def _registry(document: Any) -> Registry:
    if isinstance(document, dict):  # perhaps from before there were any of these
        document = {"clinic": {}, "models": {}, "dose_rules": {}, "upkeep": {}, "opening_hours": {}, **document}
    return Registry(**_fields("the registry", document, _REGISTRY))
