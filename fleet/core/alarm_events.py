"""Durable events of alarms, and the words that they are made of (domain.md "Alarms").

A *condition* is a predicate on the state: present or not. Its *signal* is what people are to notice of it. An alarm is
one occurrence of a condition at one place: it is raised, may change, and is cleared. Telling people (acknowledging,
shelving, messages) follows these events, and goes on from the signal's first state (`attention_events`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.contract.causes import AlarmCode, Cause
from broker.contract.shapes import Strict
from fleet.core.happened import Happened
from fleet.core.stop_events import ConfirmedBy


class Priority(StrEnum):
    """High: act at once. Medium: prompt. Low: plan. Info: know."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class SignalState(StrEnum):
    """What people are to notice of an alarm."""

    ON = "on"
    HELD_BACK = "held_back"  # it may yet be handled at the device
    DIGEST = "digest"  # told with others, once
    ACKNOWLEDGED = "acknowledged"  # somebody has seen it: silent, for a while
    SHELVED = "shelved"  # put aside with a reason and an end
    LATCHED = "latched"  # the condition is gone, and somebody should know that it was there
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Why(Strict):
    """What an alarm was raised for, in values. `quantity` carries its unit (`battery_pct`) where there is a number;
    without one it names what was found (`mac_invalid`).
    """

    cause: Cause | None = None
    quantity: str | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAlarm(Happened):
    """One occurrence. `device` None: a whole room; `room` None as well: the site, or where nobody knows."""

    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None
    priority: Priority
    signal: SignalState
    why: Why
    session_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRaised(_OfAlarm):
    """A condition is present. `since_s`: for how long already, as boot time of the fleet's host; `members`: the devices
    of a grouped alarm, and since when each.
    """

    since_s: float
    members: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChanged(_OfAlarm):
    """Its priority or its signal is another one, or its members are."""

    joined: dict[str, float] = field(default_factory=dict)
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCleared(_OfAlarm):
    """The condition is gone. `signal`: what is left of it; `grouped_into`: the alarm that lists its members now."""

    grouped_into: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroConfirmed(Happened):
    """After a device had reported a fault of its output, zero was measured there, or a person says that it is off."""

    device: str
    by: ConfirmedBy
    amplitude_ma: float | None
