"""Which event may raise which alarm where, and for what: one row a class of event.

A row only points. Whether the condition is present, its predicate says (`conditions`); what an event tells of a
condition that is not there, because it is late or known already, comes to nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.contract import messages
from broker.contract.causes import AlarmCode, Cause
from broker.contract.limits import FROZEN_READINGS
from broker.contract.messages import CommandRefusal, EventKind
from fleet.core import events as e
from fleet.core.alarm_events import Why
from fleet.core.alarm_state import NO_SIGNS, SITE
from fleet.core.conditions import ALARM_OF
from fleet.core.fold_alarms import NOT_THE_FLEETS, place_of
from fleet.core.refusals import Rule
from fleet.core.state import Durable

A = AlarmCode


@dataclass(frozen=True, slots=True)
class Ground:
    """An alarm that may be due, and why by the event's own numbers; `why` None: the predicate's words."""

    code: AlarmCode
    place: str
    why: Why | None = None


Grounds = Iterator[Ground]


def _codes_of(cause: Cause | None) -> tuple[AlarmCode, ...]:
    code = None if cause is None else ALARM_OF[cause]
    if cause is Cause.OUTPUT_STUCK:
        return (A.A01, A.A02)
    return () if code is None else (code,)


# --- the fleet's own judgement --------------------------------------------------------------------------------------


def _unconfirmed(durable: Durable, event: e.StopUnconfirmed) -> Grounds:
    yield Ground(A.A01, event.device, Why(cause=event.cause, quantity="waited_s", value=event.waited_s))


def _confirmed(durable: Durable, event: e.StopConfirmed | e.ZeroConfirmed) -> Grounds:
    """Nobody goes to the wall for an output that is known to be zero: A01 is looked at in the same turn."""
    yield Ground(A.A01, event.device)


def _exceeded(durable: Durable, event: e.LimitExceeded) -> Grounds:
    yield Ground(A.A02, event.device, Why(quantity=event.quantity, value=event.value, limit=event.limit.value))


def _flat(durable: Durable, event: e.SensorFlatlined) -> Grounds:
    readings = Why(quantity="same_readings", value=float(event.readings), limit=float(FROZEN_READINGS))
    yield Ground(A.A02, event.device, readings)


def _unpermitted(durable: Durable, event: e.OutputUnpermitted) -> Grounds:
    yield Ground(A.A02, event.device, Why(quantity="amplitude_ma", value=event.amplitude_ma))


def _stop_ordered(durable: Durable, event: e.StopOrdered) -> Grounds:
    for code in _codes_of(event.stop.cause):
        yield Ground(code, place_of(durable, event.device), Why(cause=event.stop.cause))


def _session_advanced(durable: Durable, event: e.SessionAdvanced) -> Grounds:
    """What a device said of its pads or battery before this fleet knew that a session is on counts from now."""
    device = durable.sessions[event.session_id].device
    signs = durable.signs.get(device, NO_SIGNS)
    if signs.causes or signs.battery_low:
        yield Ground(A.A05, device)
        yield Ground(A.A08, device)
    yield Ground(A.A11, device)  # one session more


def _session_lost(durable: Durable, event: e.SessionLost) -> Grounds:
    yield Ground(A.A04, durable.sessions[event.session_id].device)


def _session_ended(durable: Durable, event: e.SessionEnded) -> Grounds:
    device = durable.sessions[event.session_id].device
    for code in _codes_of(event.cause):
        yield Ground(code, device, Why(cause=event.cause))
    if durable.signs.get(device, NO_SIGNS).struck_off_s is not None:
        yield Ground(A.A04, device)
    yield Ground(A.A11, device)  # by its hours


def _request_refused(durable: Durable, event: e.SessionRefused) -> Grounds:
    for refusal in event.refusals:
        if refusal.rule is Rule.LIMIT:
            why = Why(quantity=refusal.quantity, value=refusal.value, limit=refusal.limit)
            yield Ground(A.A06, place_of(durable, event.device), why)


def _declined(durable: Durable, event: e.SessionDeclined) -> Grounds:
    if event.reason is CommandRefusal.BEYOND_LIMITS:
        yield Ground(A.A06, durable.sessions[event.session_id].device, Why(quantity=event.reason.value))


def _noticed(durable: Durable, event: e.SecurityNoticed) -> Grounds:
    yield Ground(A.A09, place_of(durable, event.device), Why(quantity=event.reason))


def _conflicted(durable: Durable, event: e.EventConflicted) -> Grounds:
    yield Ground(A.A09, place_of(durable, event.device), Why(quantity="event_conflict"))


def _unreadable(durable: Durable, event: e.EventUnreadable) -> Grounds:
    yield Ground(A.A09, place_of(durable, event.device), Why(quantity="unreadable"))


def _clock(durable: Durable, event: e.FleetClockStepped | e.FleetClockAgreed | e.FleetClockAccepted) -> Grounds:
    yield Ground(A.A09, SITE)


# --- what devices say -------------------------------------------------------------------------------------------------


def _reported(durable: Durable, event: e.DeviceReported) -> Grounds:
    said, detail = event.event, event.event.detail
    why = Why(cause=said.cause)
    if isinstance(detail, messages.Measured):
        why = Why(cause=said.cause, quantity=detail.quantity, value=detail.value, limit=detail.limit)
    for code in _codes_of(said.cause):
        yield Ground(code, event.device, why)
    if said.kind is EventKind.BATTERY_LOW:
        yield Ground(A.A08, event.device)
    elif isinstance(detail, messages.SessionEnded):
        yield Ground(A.A11, event.device)  # by its hours, and of one that the fleet has forgotten
    elif isinstance(detail, messages.ClockStepped):
        yield Ground(A.A09, event.device, Why(quantity="clock_step_s", value=detail.step_s))
    elif isinstance(detail, messages.CommandRefused):
        code = A.A09 if detail.reason in NOT_THE_FLEETS else A.A06
        yield Ground(code, event.device, Why(quantity=detail.reason.value))


def _born(durable: Durable, event: e.DeviceBorn) -> Grounds:
    """A device that says what it is latched for opens that alarm, where the fleet has missed it."""
    signs = durable.signs.get(event.device, NO_SIGNS)
    for cause in signs.causes:
        for code in _codes_of(cause):
            yield Ground(code, event.device)
    if signs.battery_low:
        yield Ground(A.A08, event.device)
    yield Ground(A.A11, event.device)  # by its firmware


def _everything(durable: Durable, event: e.FleetTookOver | e.RegistryAdopted) -> Grounds:
    """After a start, or with another list: whatever is present and has no alarm yet."""
    for code in A:
        for place in (*durable.devices, SITE):
            yield Ground(code, place)


GROUNDS: Mapping[type[e.Event], Callable[[Durable, Any], Grounds]] = {
    e.FleetTookOver: _everything,
    e.RegistryAdopted: _everything,
    e.StopUnconfirmed: _unconfirmed,
    e.StopConfirmed: _confirmed,
    e.ZeroConfirmed: _confirmed,
    e.LimitExceeded: _exceeded,
    e.SensorFlatlined: _flat,
    e.OutputUnpermitted: _unpermitted,
    e.StopOrdered: _stop_ordered,
    e.SessionAdvanced: _session_advanced,
    e.SessionLost: _session_lost,
    e.SessionEnded: _session_ended,
    e.SessionRefused: _request_refused,
    e.SessionDeclined: _declined,
    e.SecurityNoticed: _noticed,
    e.EventConflicted: _conflicted,
    e.EventUnreadable: _unreadable,
    e.FleetClockStepped: _clock,
    e.FleetClockAgreed: _clock,
    e.FleetClockAccepted: _clock,
    e.DeviceReported: _reported,
    e.DeviceBorn: _born,
}
