"""The fold: `evolve(state, event)`. One row a class of event; what an event changes stands beside its kind. The dose
ledger, which some of them change too, is folded after the rest and has a table of its own.

Events that only tell people and later issues something (a limit exceeded, a security notice) change no record.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.core import events as e
from fleet.core import fold_alarms, fold_attention, fold_devices, fold_sessions, fold_stops, fold_store, steady
from fleet.core.events import Event
from fleet.core.fold_doses import DOSE_FOLDS
from fleet.core.fold_use import USE_FOLDS
from fleet.core.state import Durable, State

Fold = Callable[[Durable, Any], None]


def _changes_nothing(durable: Durable, event: Event) -> None:
    """The journal has it; the state does not need it."""


FOLDS: dict[type[Event], Fold] = {
    e.FleetTookOver: fold_devices.took_over,
    e.FleetNumberRaised: fold_devices.number_raised,
    e.DrainOrdered: fold_devices.drain_ordered,
    e.DrainLifted: fold_devices.drain_lifted,
    e.RegistryAdopted: fold_devices.registry_adopted,
    e.SecurityNoticed: _changes_nothing,
    e.DeviceEnrolled: fold_devices.enrolled,
    e.DeviceBooted: fold_devices.booted,
    e.DeviceBorn: fold_devices.born,
    e.DeviceLost: fold_devices.lost,
    e.DeviceReturned: fold_devices.returned,
    e.SettingsIssued: fold_devices.settings_issued,
    e.DeviceReported: fold_devices.reported,
    e.EventUnreadable: fold_devices.unreadable,
    e.EventConflicted: _changes_nothing,
    e.SpoolGapFound: fold_devices.gap_found,
    e.SessionRefused: _changes_nothing,
    e.SessionAuthorised: fold_sessions.authorised,
    e.AuthorisationAccepted: fold_sessions.accepted,
    e.SessionDeclined: fold_sessions.declined,
    e.SessionExpired: fold_sessions.expired,
    e.SessionCancelled: fold_sessions.cancelled,
    e.CancelOvertaken: fold_sessions.cancel_overtaken,
    e.SessionAdvanced: fold_sessions.advanced,
    e.BaselineMeasured: fold_sessions.baseline_measured,
    e.LimitExceeded: _changes_nothing,
    e.SensorFlatlined: _changes_nothing,
    e.SessionWithheld: fold_sessions.withheld,
    e.OutputUnpermitted: _changes_nothing,
    e.SessionEnded: fold_sessions.ended,
    e.SessionLost: fold_sessions.lost,
    e.SessionCleared: fold_sessions.cleared,
    e.StopOrdered: fold_stops.ordered,
    e.StopPushedAgain: _changes_nothing,
    e.StopPublished: fold_stops.published,
    e.StopReceived: fold_stops.received,
    e.StopFoundLive: fold_stops.found_live,
    e.StopConfirmed: fold_stops.confirmed,
    e.StopUnconfirmed: fold_stops.unconfirmed,
    e.HoldReleased: fold_stops.released,
    e.HoldCleared: fold_stops.cleared,
    e.HoldLifted: fold_stops.lifted,
    e.AlarmRaised: fold_alarms.raised,
    e.AlarmChanged: fold_alarms.changed,
    e.AlarmCleared: fold_alarms.cleared,
    e.ZeroConfirmed: fold_alarms.confirmed,
    **fold_attention.FOLDS,
    **fold_store.FOLDS,
    **steady.FOLDS,
}


# What is folded a second time, for what alarms, the dose ledger and the devices' meters have to remember of it.
_ALSO: tuple[Mapping[type[Event], Fold], ...] = (fold_alarms.SIGNS, fold_attention.ALSO, DOSE_FOLDS, USE_FOLDS)


def evolve(state: State, event: Event) -> State:
    """Fold one event. The same object comes back: its owner's mappings were changed in place."""
    durable = state.durable
    FOLDS[type(event)](durable, event)
    for also in _ALSO:
        fold = also.get(type(event))
        if fold is not None:
            fold(durable, event)
    durable.events_n += 1
    durable.now_s = event.now_s
    durable.wall_s = max(durable.wall_s, event.wall_s)  # what goes by the rota may be stamped earlier (`Turn.clock_s`)
    steady.follow(durable, event.now_s)
    return state
