"""What events change about stops, holds and their release."""

from dataclasses import replace

from broker.contract.messages import Scope
from broker.contract.topics import ALL
from fleet.core import events as e
from fleet.core.fold_devices import heard_up_to
from fleet.core.state import NO_BOOT, NO_SEQ, Device, Durable, Hold, OpenStop, PendingRelease, Pursuit

HOLDS_KEPT = 16  # per scope, as the agents do
UNKNOWN_KEPT = 64  # names that nobody registered, of which a stop or hold is remembered
RELEASED_KEPT = 32  # a release names no more


def ordered(durable: Durable, event: e.StopOrdered) -> None:
    stop = event.stop
    durable.stops[stop.command_id] = OpenStop(
        device=event.device,
        stop=stop,
        ordered_s=event.now_s,
        sent_s=None,
        pursuits={
            target.device: Pursuit(
                target=target,
                urgent_s=event.now_s if target.urgent else None,
                pulse_period_s=target.pulse_period_s,
            )
            for target in event.targets
        },
    )
    for target in event.targets:
        heard_up_to(durable, target.device, target.boot_n, target.after_seq)
        durable.pursued[target.device] = (*durable.pursued.get(target.device, ()), stop.command_id)
    if stop.hold:
        holds = (*durable.holds.pop(event.device, ()), Hold(stop=stop, hold_id=None))
        durable.holds[event.device] = holds[-HOLDS_KEPT:]
        durable.clearing.pop(event.device, None)  # what is retained now has to stay
    if _unknown(durable, event.device):
        _forget_unknown(durable)


def _unknown(durable: Durable, where: str) -> bool:
    return where != ALL and where not in durable.devices and where not in durable.registry.devices


def _forget_unknown(durable: Durable) -> None:
    """The oldest names beyond the bound. Their stops went out, and the broker keeps its holds: a device that comes up
    under such a name obeys, and lists the hold in its birth.
    """
    stops = [command_id for command_id, stop in durable.stops.items() if _unknown(durable, stop.device)]
    for command_id in stops[:-UNKNOWN_KEPT]:
        _drop(durable, command_id)
    for where in [where for where in durable.holds if _unknown(durable, where)][:-UNKNOWN_KEPT]:
        del durable.holds[where]


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


def _drop(durable: Durable, command_id: str) -> None:
    for name in durable.stops.pop(command_id).pursuits:
        _leave(durable, name, command_id)


def _leave(durable: Durable, device: str, command_id: str) -> None:
    left = tuple(other for other in durable.pursued.pop(device) if other != command_id)
    if left:
        durable.pursued[device] = left


def _pursuing(stop: OpenStop, device: str, pursuit: Pursuit | None) -> OpenStop:
    others = {name: other for name, other in stop.pursuits.items() if name != device}
    return replace(stop, pursuits=others if pursuit is None else {**others, device: pursuit})


def received(durable: Durable, event: e.StopReceived) -> None:
    stop = durable.stops[event.command_id]
    pursuit = replace(stop.pursuits[event.device], received=True, sent_to_received_s=event.sent_to_received_s)
    _put(durable, _pursuing(stop, event.device, pursuit))


def found_live(durable: Durable, event: e.StopFoundLive) -> None:
    stop = durable.stops[event.command_id]
    pursuit = replace(stop.pursuits[event.device], urgent_s=event.now_s, pulse_period_s=event.pulse_period_s)
    _put(durable, _pursuing(stop, event.device, pursuit))
    heard_up_to(durable, event.device, event.boot_n, event.seq)


def confirmed(durable: Durable, event: e.StopConfirmed) -> None:
    _leave(durable, event.device, event.command_id)
    _put(durable, _pursuing(durable.stops[event.command_id], event.device, None))


def unconfirmed(durable: Durable, event: e.StopUnconfirmed) -> None:
    stop = durable.stops[event.command_id]
    _put(durable, _pursuing(stop, event.device, replace(stop.pursuits[event.device], unconfirmed=True)))


def released(durable: Durable, event: e.HoldReleased) -> None:
    if event.scope is not Scope.SERVICE:  # that one is no stop: settings set it
        where = ALL if event.device is None else event.device
        _lift(durable, where)
        durable.clearing[where] = event.command_id
    for name, holds in event.devices.items():
        device = durable.devices.get(name) or Device(device=name)
        earlier = [pending for pending in device.releases if pending.scope is event.scope]
        ids = dict.fromkeys([hold_id for pending in earlier for hold_id in pending.holds] + list(holds))
        pending = PendingRelease(
            command_id=event.command_id,
            scope=event.scope,
            holds=tuple(ids)[-RELEASED_KEPT:],
            issued_by=event.issued_by,
            boot_n=NO_BOOT if device.birth is None else device.birth.boot_n,
            birth_seq=NO_SEQ if device.birth is None else device.birth.seq,
        )
        others = tuple(other for other in device.releases if other.scope is not event.scope)
        durable.devices[name] = replace(device, releases=(*others, pending))


def _lift(durable: Durable, where: str) -> None:
    durable.holds.pop(where, None)
    for command_id, stop in list(durable.stops.items()):
        # What a released stop still follows was never live: a person has decided about it now.
        if stop.device == where and stop.stop.hold:
            _drop(durable, command_id)


def cleared(durable: Durable, event: e.HoldCleared) -> None:
    del durable.clearing[event.device]


def lifted(durable: Durable, event: e.HoldLifted) -> None:
    device = durable.devices[event.device]
    left = tuple(pending for pending in device.releases if pending.command_id != event.command_id)
    durable.devices[event.device] = replace(device, releases=left)
