"""What events change about stops, holds and their release."""

from dataclasses import replace

from broker.contract.messages import Scope
from broker.contract.topics import ALL
from fleet.core import events as e
from fleet.core.fold_devices import heard_up_to
from fleet.core.state import Device, Durable, Hold, OpenStop, PendingRelease, Pursuit

HOLDS_KEPT = 16  # per scope, as the agents do
RELEASED_KEPT = 32  # a release names no more


def ordered(durable: Durable, event: e.StopOrdered) -> None:
    stop = event.stop
    durable.stops[stop.command_id] = OpenStop(
        device=event.device,
        stop=stop,
        ordered_s=event.now_s,
        sent_s=None,
        pursuits={target.device: Pursuit(target=target) for target in event.targets},
    )
    for target in event.targets:
        heard_up_to(durable, target.device, target.boot_n, target.after_seq)
    if stop.hold:
        holds = (*durable.holds.get(event.device, ()), Hold(stop=stop, hold_id=None))
        durable.holds[event.device] = holds[-HOLDS_KEPT:]


def published(durable: Durable, event: e.StopPublished) -> None:
    stop = durable.stops[event.command_id]
    _put(durable, replace(stop, sent_s=event.sent_s))
    if stop.stop.hold:
        durable.holds[stop.device] = tuple(
            replace(hold, hold_id=event.hold_id) if hold.stop == stop.stop else hold
            for hold in durable.holds.get(stop.device, ())
        )


def _put(durable: Durable, stop: OpenStop) -> None:
    """A stop is closed once it was sent, and zero was measured wherever it was followed."""
    if stop.sent_s is None or stop.pursuits:
        durable.stops[stop.stop.command_id] = stop
    else:
        del durable.stops[stop.stop.command_id]


def _pursuing(stop: OpenStop, device: str, pursuit: Pursuit | None) -> OpenStop:
    others = {name: other for name, other in stop.pursuits.items() if name != device}
    return replace(stop, pursuits=others if pursuit is None else {**others, device: pursuit})


def received(durable: Durable, event: e.StopReceived) -> None:
    stop = durable.stops[event.command_id]
    pursuit = replace(stop.pursuits[event.device], received=True, sent_to_received_s=event.sent_to_received_s)
    _put(durable, _pursuing(stop, event.device, pursuit))


def confirmed(durable: Durable, event: e.StopConfirmed) -> None:
    _put(durable, _pursuing(durable.stops[event.command_id], event.device, None))


def unconfirmed(durable: Durable, event: e.StopUnconfirmed) -> None:
    stop = durable.stops[event.command_id]
    _put(durable, _pursuing(stop, event.device, replace(stop.pursuits[event.device], unconfirmed=True)))


def released(durable: Durable, event: e.HoldReleased) -> None:
    if event.scope is not Scope.SERVICE:  # that one is no stop: settings set it
        _lift(durable, ALL if event.device is None else event.device)
    for name, holds in event.devices.items():
        device = durable.devices.get(name) or Device(device=name)
        earlier = [pending for pending in device.releases if pending.scope is event.scope]
        ids = dict.fromkeys([hold_id for pending in earlier for hold_id in pending.holds] + list(holds))
        pending = PendingRelease(
            command_id=event.command_id,
            scope=event.scope,
            holds=tuple(ids)[-RELEASED_KEPT:],
            issued_by=event.issued_by,
        )
        others = tuple(other for other in device.releases if other.scope is not event.scope)
        durable.devices[name] = replace(device, releases=(*others, pending))


def _lift(durable: Durable, where: str) -> None:
    durable.holds.pop(where, None)
    for command_id, stop in list(durable.stops.items()):
        # What a released stop still follows was never live: a person has decided about it now.
        if stop.device == where and stop.stop.hold:
            del durable.stops[command_id]


def lifted(durable: Durable, event: e.HoldLifted) -> None:
    device = durable.devices[event.device]
    left = tuple(pending for pending in device.releases if pending.command_id != event.command_id)
    durable.devices[event.device] = replace(device, releases=left)
