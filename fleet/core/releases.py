"""Lifting holds: journaled, the retained message cleared, and every device that lists one is told until it does not.

It starts nothing: the agent's own latch waits for a person at the device (contract.md, rule 2). A release answers the
device's newest sample and is worth 30 s, so it is made anew for each sending. The clearing is asked for until the
performer has reported it: what is retained would hold every device that connects.
"""

from broker.contract.messages import Birth, Release, Scope
from broker.contract.topics import ALL, RESERVED_IDS
from fleet.core.effects import Answer, ClearRetained, Ordered, Refused, SendRelease
from fleet.core.events import HoldCleared, HoldLifted, HoldReleased
from fleet.core.fold_stops import RELEASED_KEPT
from fleet.core.inputs import ReleaseHold, StopCleared
from fleet.core.presence import Liveness, liveness
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.state import Device, Hold, PendingRelease
from fleet.core.turn import Turn, derived_id, label

REPEAT_S = 2.0
CLEAR_REPEAT_S = 5.0  # an empty message that is not reported waits for the broker, or for the fleet's restart


def requested(turn: Turn, heard: ReleaseHold) -> None:
    """Lift the holds of a scope, or say why not."""
    where = _where(heard)
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
        clear(turn)
    for name in devices:
        remind(turn, turn.state.device(name))
    turn.after_commit(Answer(heard.request_id, Ordered(command_id)))


def _where(heard: ReleaseHold) -> str | None:
    """Where the holds are kept. The site's are lifted as the site's only, so that every device is told."""
    if heard.scope is Scope.ALL:
        return ALL
    return None if heard.device in RESERVED_IDS else heard.device


def _held(turn: Turn, where: str | None) -> tuple[Hold, ...]:
    return () if where is None else turn.state.durable.holds.get(where, ())


def clear(turn: Turn) -> None:
    """Ask for the clearing of what is retained, until it is reported."""
    for where, command_id in turn.state.durable.clearing.items():
        if turn.due(f"clear/{command_id}", CLEAR_REPEAT_S):
            turn.after_commit(ClearRetained(where, command_id))


def cleared(turn: Turn, heard: StopCleared) -> None:
    """The performer's report. One on an earlier release says nothing about a later one."""
    if turn.state.durable.clearing.get(heard.device) == heard.command_id:
        turn.happened(HoldCleared(**turn.at, command_id=heard.command_id, device=heard.device))


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
        stop.device == where and (stop.sent_s is None or any(p.urgent_s is not None for p in stop.pursuits.values()))
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
    """The ids to lift at a device, None where there is nothing to tell it. It may have ours and not have listed them
    yet: on the disk of one that is lost, or on its way to one that speaks.
    """
    if scope is Scope.SERVICE:
        return () if device.birth is not None and device.birth.holds.service else None
    return tuple(dict.fromkeys([*ours, *_listed(device.birth, scope)]))[-RELEASED_KEPT:] or None


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


def born(turn: Turn, device: Device) -> None:
    """A birth says what is still held: what is not is lifted. The birth that was known when the hold was released may
    be from before the device obeyed: it shows nothing, and every other one is later (presence.born).
    """
    known = None if device.birth is None else (device.birth.boot_n, device.birth.seq)
    for pending in device.releases:
        if known != (pending.boot_n, pending.birth_seq) and not _still_there(pending, device.birth):
            turn.happened(HoldLifted(**turn.at, command_id=pending.command_id, device=device.device))
