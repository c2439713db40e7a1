"""What is due on a device: its certificate, the checks that the clinic wants, the firmware that it must have.

The rules of this file:
- A day counts in the clinic's time zone. The last day is still good; from its end on the check is overdue.
- Hours of use and sessions are counted from the beginning of the day on which the check was done (`meter`); with the
  last hour, or the last session, used up it is overdue.
- What is to be checked and was never recorded is overdue: nobody knows that it was done.
- It is told of 30 days ahead: by the calendar, and by hours and sessions at the rate of the last 30 days, or with a
  twentieth of them left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from broker.contract.limits import falls_short
from fleet.core.alarm_events import Why
from fleet.core.fold_doses import local_day
from fleet.core.meter import UNUSED, Meter
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.registry import DeviceCheck, RegisteredDevice
from fleet.core.state import DueSoon, Durable, State

AHEAD_DAYS = 30
DAY_S = 86_400.0
HOUR_S = 3_600.0
LAST_PART = 20  # told of, however slowly it is used up, when one part of so many is left
CERTIFICATE, FIRMWARE_VERSION = "certificate", "firmware_version"


class Unit(StrEnum):
    """What is counted."""

    DAYS = "days"
    HOURS = "hours"
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One bound of one check. `left` is below zero where it is overdue by the calendar, and None where nothing is
    counted: never recorded, or a firmware that may not be. `ahead_days`: in how many days it will be due.
    """

    check: str
    layer: RuleLayer
    unit: Unit = Unit.DAYS
    overdue: bool
    left: float | None
    ahead_days: float
    used: float | None = None
    most: float | None = None
    on: date | None = None
    what: str = "never_recorded"

    @property
    def soon(self) -> bool:
        return self.overdue or self.ahead_days <= AHEAD_DAYS

    @property
    def refusal(self) -> Refusal:
        """Why no session is started, where it is overdue."""
        if self.left is None:
            quantity, value, limit = f"{self.check}_{self.what}", None, None
        elif self.unit is Unit.DAYS:
            quantity, value, limit = f"{self.check}_days_overdue", max(0.0, -self.left), None
        else:
            quantity, value, limit = f"{self.check}_{self.unit}", self.used, self.most
        return Refusal(rule=Rule.DEVICE_DUE, layer=self.layer, quantity=quantity, value=value, limit=limit)

    @property
    def why(self) -> Why:
        """The same for an alarm, which is open before it is overdue."""
        if self.left is None:
            return Why(quantity=f"{self.check}_{self.what}")
        return Why(quantity=f"{self.check}_{self.unit}_left", value=self.left, limit=self.most)


def dues(durable: Durable, registered: RegisteredDevice, wall_s: float) -> list[Due]:
    """All that is counted on a device, as of `wall_s`."""
    today = local_day(durable, wall_s)
    return [*_certificate(durable, registered, wall_s, today), *_by_day(durable, registered, today)]


def _by_day(durable: Durable, registered: RegisteredDevice, today: date) -> Iterator[Due]:
    """What is the same all day, but for what the device runs and says of itself."""
    meter = durable.meters.get(registered.device, UNUSED)
    lately = meter.since(today - timedelta(days=AHEAD_DAYS - 1))
    for kind, check in registered.checks.items():
        yield from _check(kind.value, check, meter, lately, today)
    yield from _firmware(durable, registered, today)


def is_soon(state: State, registered: RegisteredDevice, wall_s: float) -> bool:
    """Whether anything is overdue or will be within 30 days. Asked every second of whatever is: what was reckoned is
    remembered until the day, the list, what the device has run, or what it says of itself is another.
    """
    durable, name = state.durable, registered.device
    if registered.due_wall_s is not None and registered.due_wall_s - wall_s <= AHEAD_DAYS * DAY_S:
        return True
    device = durable.devices.get(name)
    meter, birth = durable.meters.get(name), None if device is None else device.birth
    today = state.fleeting.dues_day or local_day(durable, wall_s)
    known = state.fleeting.due_soon.get(name)
    # Records are replaced, never changed: the same one says the same.
    if (
        known is None
        or known.registered is not registered
        or known.meter is not meter
        or known.birth is not birth
        or known.today != today
    ):
        soon = any(due.soon for due in _by_day(durable, registered, today))
        known = state.fleeting.due_soon[name] = DueSoon(today, registered, meter, birth, soon)
    return known.soon


def most_pressing(durable: Durable, registered: RegisteredDevice, wall_s: float) -> Due | None:
    """The first of those that are overdue or will be within 30 days; None where there are none."""
    pressing = [due for due in dues(durable, registered, wall_s) if due.soon]
    return min(pressing, key=lambda due: (not due.overdue, due.ahead_days), default=None)


def refusals(durable: Durable, registered: RegisteredDevice, wall_s: float) -> Iterator[Refusal]:
    """Everything overdue on a device."""
    return (due.refusal for due in dues(durable, registered, wall_s) if due.overdue)


# --- each kind --------------------------------------------------------------------------------------------------------


def _certificate(durable: Durable, registered: RegisteredDevice, wall_s: float, today: date) -> Iterator[Due]:
    """To the second: the broker refuses it from then on."""
    if registered.due_wall_s is not None:
        last = local_day(durable, registered.due_wall_s - 1.0)
        yield Due(
            check=CERTIFICATE,
            layer=RuleLayer.CLINIC,
            overdue=wall_s >= registered.due_wall_s,
            left=float((last - today).days),
            ahead_days=(registered.due_wall_s - wall_s) / DAY_S,
            on=last,
        )


def _check(name: str, check: DeviceCheck, meter: Meter, lately: tuple[float, int], today: date) -> Iterator[Due]:
    bounds = [bound for bound in (check.days, check.hours, check.sessions) if bound is not None]
    if check.done is None:
        if bounds:
            yield Due(check=name, layer=bounds[0].layer, overdue=True, left=None, ahead_days=-1.0)
        return
    if check.days is not None:
        yield _by_calendar(name, check.days.layer, check.done + timedelta(days=check.days.most), today)
    if check.hours is None and check.sessions is None:
        return
    used_s, sessions = meter.since(check.done)
    for unit, bound, used, recent in (
        (Unit.HOURS, check.hours, used_s / HOUR_S, lately[0] / HOUR_S),
        (Unit.SESSIONS, check.sessions, float(sessions), float(lately[1])),
    ):
        if bound is not None:
            left = bound.most - used
            yield Due(
                check=name,
                layer=bound.layer,
                unit=unit,
                overdue=not falls_short(used, bound.most),
                left=left,
                ahead_days=_days_ahead(left, recent, bound.most),
                used=used,
                most=bound.most,
            )


def _by_calendar(name: str, layer: RuleLayer, last: date, today: date) -> Due:
    left = (last - today).days
    return Due(check=name, layer=layer, overdue=left < 0, left=float(left), ahead_days=float(left), on=last)


def _days_ahead(left: float, recent: float, most: float) -> float:
    """In how many days so much will be used up."""
    if left <= most / LAST_PART:
        return 0.0
    return left / recent * AHEAD_DAYS if recent > 0.0 else float("inf")


def _firmware(durable: Durable, registered: RegisteredDevice, today: date) -> Iterator[Due]:
    """By the device's newest birth: one that was never heard is not asked."""
    needed, device = registered.firmware, durable.devices.get(registered.device)
    birth = None if device is None else device.birth
    if needed is None or birth is None or not is_below(birth.firmware, needed.version):
        return
    if needed.by is not None:
        yield _by_calendar(FIRMWARE_VERSION, RuleLayer.MODEL, needed.by, today)
    else:
        what = f"{birth.firmware}_below_{needed.version}"
        yield Due(check=FIRMWARE_VERSION, layer=RuleLayer.MODEL, overdue=True, left=None, ahead_days=-1.0, what=what)


def is_below(firmware: str, needed: str) -> bool:
    """Whether a device's firmware is older than `needed`, or cannot be compared with it.

    >>> [is_below(firmware, "2.10") for firmware in ("2.9.9", "2.10", "2.10.0", "v2.11-b7", "2.10-rc1", "blue")]
    [True, False, False, False, True, True]
    """
    found = re.match(r"v?(\d{1,9}(?:\.\d{1,9})*)(.*)", firmware)
    if found is None:
        return True
    has, wants = _numbers(found[1]), _numbers(needed)
    return has < wants or (has == wants and found[2] != "")


def _numbers(version: str) -> list[int]:
    """Without zeros at the end: 2.10 and 2.10.0 are the same."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


# --- operators --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An operator's instruction on a model that the clinic has, and its last day."""

    operator: str
    model: str
    on: date
    days_left: int


def instructions(durable: Durable, wall_s: float) -> list[Instruction]:
    """Those that run out within 30 days, or have within the last 30: soonest first. Later nobody renews them."""
    today, models = local_day(durable, wall_s), {device.model for device in _active(durable)}
    found = []
    for operator in durable.registry.operators.values():
        for model, until_s in operator.instructed_until_wall_s.items():
            last = local_day(durable, until_s - 1.0)
            days_left = (last - today).days
            if model in models and -AHEAD_DAYS <= days_left <= AHEAD_DAYS:
                found.append(Instruction(operator=operator.operator, model=model, on=last, days_left=days_left))
    return sorted(found, key=lambda one: (one.days_left, one.operator, one.model))


def _active(durable: Durable) -> Iterator[RegisteredDevice]:
    return (device for device in durable.registry.devices.values() if not device.struck_off)


def instruction_why(durable: Durable, wall_s: float) -> Why | None:
    """Whose instruction is the next to run out: `instruction_days_left:ada:sim-1`."""
    for first in instructions(durable, wall_s)[:1]:
        named = f"instruction_days_left:{first.operator}:{first.model}"
        return Why(quantity=named, value=float(first.days_left))
    return None
