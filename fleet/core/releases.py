"""Lifting holds: journaled, the retained message cleared, and every device that lists one is told until it does not.

It starts nothing: the agent's own latch waits for a person at the device (contract.md, rule 2). A release answers the
device's newest sample and is worth 30 s, so it is made anew for each sending.
"""

from broker.contract.messages import Birth, Release, Scope
from broker.contract.topics import ALL
from fleet.core.effects import Answer, ClearRetained, Ordered, Refused, SendRelease
from fleet.core.events import HoldLifted, HoldReleased
from fleet.core.fold_stops import RELEASED_KEPT
from fleet.core.inputs import ReleaseHold, StopCleared
from fleet.core.presence import Liveness, liveness
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.state import Device, Hold, PendingRelease
from fleet.core.turn import Turn, derived_id, label

REPEAT_S = 2.0


def requested(turn: Turn, heard: ReleaseHold) -> None:
    """Lift the holds of a scope, or say why not."""
    where = ALL if heard.scope is Scope.ALL else heard.device
    ours = tuple(hold.hold_id for hold in _held(turn, where) if hold.hold_id is not None)
    devices = {
        name: ids
        for name in _candidates(turn, heard)
        if (ids := _to_lift(turn.state.device(name), heard.scope, ours)) is not None
    }
    held = heard.scope is not Scope.SERVICE and bool(_held(turn, where))
    refusal = _refusal(turn, heard, where, anything=held or bool(devices))
    if refusal is not None:
        turn.after_commit(Answer(heard.request_id, Refused((refusal,))))
        return
    command_id = turn.new_id("release")
    holds = dict.fromkeys([*ours, *(hold_id for ids in devices.values() for hold_id in ids)])
    turn.happened(
        HoldReleased(
            **turn.at,
            command_id=command_id,
            scope=heard.scope,
            device=None if heard.scope is Scope.ALL else heard.device,
            holds=() if heard.scope is Scope.SERVICE else tuple(holds),
            devices=devices,
            issued_by=heard.issued_by,
        )
    )
    if heard.scope is not Scope.SERVICE and where is not None:
        turn.after_commit(ClearRetained(where, command_id))
    for name in devices:
        remind(turn, turn.state.device(name))
    turn.after_commit(Answer(heard.request_id, Ordered(command_id)))


def _held(turn: Turn, where: str | None) -> tuple[Hold, ...]:
    return () if where is None else turn.state.durable.holds.get(where, ())


def _candidates(turn: Turn, heard: ReleaseHold) -> list[str]:
    """Devices that are or were on the list: enrolling makes their record. Others have none, and get none here."""
    durable = turn.state.durable
    if heard.scope is Scope.ALL:
        return list(durable.devices)
    return [heard.device] if heard.device in durable.devices else []


def _refusal(turn: Turn, heard: ReleaseHold, where: str | None, *, anything: bool) -> Refusal | None:
    if heard.scope is Scope.SERVICE:
        registered = None if where is None else turn.state.registered(where)
        if registered is not None and registered.service_hold:
            return Refusal(rule=Rule.IN_SERVICE_HOLD, layer=RuleLayer.CLINIC)
    elif any(
        stop.device == where and (stop.sent_s is None or any(p.target.urgent for p in stop.pursuits.values()))
        for stop in turn.state.durable.stops.values()
    ):
        return Refusal(rule=Rule.STOP_UNCONFIRMED, layer=RuleLayer.FLEET)
    return None if anything else Refusal(rule=Rule.NO_HOLD, layer=RuleLayer.FLEET)


def _listed(birth: Birth | None, scope: Scope) -> tuple[str, ...]:
    """The ids that a device lists for a scope. Service has none of its own."""
    if birth is None or scope is Scope.SERVICE:
        return ()
    return birth.holds.device if scope is Scope.DEVICE else birth.holds.all


def _to_lift(device: Device, scope: Scope, ours: tuple[str, ...]) -> tuple[str, ...] | None:
    """The ids to lift at a device, None where there is nothing to tell it. One that is lost may still have ours on
    its disk.
    """
    if scope is Scope.SERVICE:
        return () if device.birth is not None and device.birth.holds.service else None
    listed = _listed(device.birth, scope)
    if not listed and not (device.lost and ours):
        return None
    return tuple(dict.fromkeys([*ours, *listed]))[-RELEASED_KEPT:]


def _still_there(pending: PendingRelease, birth: Birth | None) -> bool:
    if pending.scope is Scope.SERVICE:
        return birth is not None and birth.holds.service
    return any(hold_id in pending.holds for hold_id in _listed(birth, pending.scope))


def remind(turn: Turn, device: Device) -> None:
    """Tell a device again what is lifted, in answer to its newest sample, while its birth lists any of it."""
    name = device.device
    seen = turn.state.newest(name)
    if seen is None or liveness(turn.state, name, turn.now_s) is not Liveness.FRESH:
        return  # there is no sample that is worth answering
    for pending in device.releases:
        sending = f"release/{pending.command_id}/{name}"
        if _still_there(pending, device.birth) and turn.due(sending, REPEAT_S):
            release = Release(
                fleet_n=turn.state.fleet_n,
                boot_n=seen.sample.boot_n,
                answers=seen.sample.seq,
                command_id=derived_id(f"{sending}/{seen.sample.seq}"),
                scope=pending.scope,
                holds=pending.holds,
                issued_by=label(pending.issued_by),
            )
            turn.after_commit(SendRelease(name, release))


def cleared(turn: Turn, heard: StopCleared) -> None:
    """The performer's report on a clearing."""


def born(turn: Turn, device: Device) -> None:
    """A birth says what is still held: what is not is lifted."""
    for pending in device.releases:
        if not _still_there(pending, device.birth):
            turn.happened(HoldLifted(**turn.at, command_id=pending.command_id, device=device.device))
