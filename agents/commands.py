"""What the agent makes of the fleet's messages: whether one counts, and why not. Pure judgements, no effects.

A refusal is a value; rows are asked in order and the first that holds is told. Leases have no acknowledgement: they
extend the permission or do nothing.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from agents.state import Decided, Session, State, is_held, is_latched, not_ready, own_limits
from agents.steps import HOLDS_KEPT
from broker.contract import messages
from broker.contract.limits import Limits, breaches
from broker.contract.messages import CommandRefusal, Holds, Phase, Scope
from broker.contract.permission import Permission, Unanswerable, extended, first_permission, fresh

DECIDED_KEPT = 64
# What a later try of the same command may still change: nothing is stored.
NOT_STORED = frozenset(
    {CommandRefusal.STALE, CommandRefusal.UNKNOWN_SAMPLE, CommandRefusal.OTHER_BOOT, CommandRefusal.OLD_FLEET}
)
_UNANSWERABLE: dict[Unanswerable, CommandRefusal] = {
    Unanswerable.STALE: CommandRefusal.STALE,
    Unanswerable.UNKNOWN_SAMPLE: CommandRefusal.UNKNOWN_SAMPLE,
}
# Refused leases that a healthy network does not bring about; late, repeated and overtaken ones are only counted.
TOLD_OF_LEASES: dict[Unanswerable, CommandRefusal] = {
    Unanswerable.OTHER_BOOT: CommandRefusal.OTHER_BOOT,
    Unanswerable.OLD_FLEET: CommandRefusal.OLD_FLEET,
    Unanswerable.UNKNOWN_SAMPLE: CommandRefusal.UNKNOWN_SAMPLE,
}

Command = messages.Authorisation | messages.Cancel | messages.Release


def judge(state: State, command: Command, retained: bool) -> CommandRefusal | None:
    """Why a command does nothing; None when it counts."""
    match command:
        case messages.Authorisation():
            rows = _authorisation(state, command)
        case messages.Cancel():
            rows = _cancel(state, command)
        case messages.Release():
            rows = _release(state, command)
        case _:
            assert_never(command)
    general = (
        (CommandRefusal.STALE, retained),  # nothing retained counts but stop and settings
        (CommandRefusal.OTHER_BOOT, command.boot_n != state.durable.boot_n),
    )
    return next((reason for reason, is_so in (*general, *rows) if is_so), None)


_Rows = Iterable[tuple[CommandRefusal, bool]]


def _authorisation(state: State, wanted: messages.Authorisation) -> _Rows:
    settings = state.durable.settings
    yield CommandRefusal.OLD_FLEET, wanted.fleet_n < state.durable.fleet_n
    yield from _freshness(state, wanted.answers)
    yield CommandRefusal.LATCHED, is_latched(state)
    yield CommandRefusal.HELD, is_held(state)
    yield CommandRefusal.NOT_READY, state.phase is Phase.FAULT
    yield CommandRefusal.NOT_IDLE, state.phase is not Phase.IDLE
    yield CommandRefusal.OTHER_ROOM, settings is None or wanted.room != settings.room
    limits = session_limits(state, wanted)
    yield CommandRefusal.BEYOND_LIMITS, bool(breaches(wanted.plan, limits))
    yield CommandRefusal.NOT_READY, not_ready(state) is not None


def _cancel(state: State, wanted: messages.Cancel) -> _Rows:
    session = state.session
    yield CommandRefusal.OTHER_SESSION, session is None or session.session_id != wanted.session_id
    yield CommandRefusal.ALREADY_RUNNING, state.phase not in {Phase.AUTHORISED, Phase.ARMED}


def _release(state: State, wanted: messages.Release) -> _Rows:
    yield CommandRefusal.OLD_FLEET, wanted.fleet_n < state.durable.fleet_n
    yield from _freshness(state, wanted.answers)
    yield CommandRefusal.UNKNOWN_HOLD, released(state.durable.holds, wanted) == state.durable.holds


def _freshness(state: State, answers: int) -> _Rows:
    why = fresh(state.sent.find(answers), state.now_s)
    for unanswerable, reason in _UNANSWERABLE.items():
        yield reason, why is unanswerable


# --- authorisation, lease ---------------------------------------------------------------------------------------------


def session_limits(state: State, wanted: messages.Authorisation) -> Limits:
    """The strictest of what this device and the fleet allow."""
    return own_limits(state).tightened(wanted.limits)


def session_of(state: State, wanted: messages.Authorisation) -> Session:
    """The session that an accepted authorisation makes possible. It has no permission yet."""
    sample = state.sent.find(wanted.answers)
    assert sample is not None, "it was judged fresh"
    return Session(
        session_id=wanted.session_id,
        plan=wanted.plan,
        limits=session_limits(state, wanted),
        start_by_s=sample.sent_s + wanted.start_within_s,
        pause_total_s=wanted.pause_total_s,
        permission=first_permission(wanted.session_id, wanted.lease_ttl_ms),
    )


def judge_lease(state: State, lease: messages.Lease, retained: bool) -> Permission | Unanswerable:
    """The permission after a lease, or why it allows nothing."""
    if retained:
        return Unanswerable.STALE
    if lease.boot_n != state.durable.boot_n:
        return Unanswerable.OTHER_BOOT
    if lease.fleet_n < state.durable.fleet_n:
        return Unanswerable.OLD_FLEET
    if state.session is None:
        return Unanswerable.OTHER_SESSION
    sample = state.sent.find(lease.answers)
    return extended(state.session.permission, sample, lease.session_id, lease.ttl_ms, state.now_s)


# --- holds ------------------------------------------------------------------------------------------------------------


def holding(holds: Holds, scope: Scope, hold_id: str) -> Holds:
    """With one more hold; the first 16 of a scope by name, `more` for the rest."""
    match scope:
        case Scope.DEVICE:
            device, more = _with(holds.device, hold_id)
            return replace(holds, device=device, more=holds.more or more)
        case Scope.ALL:
            site, more = _with(holds.all, hold_id)
            return replace(holds, all=site, more=holds.more or more)
        case Scope.SERVICE:
            return replace(holds, service=True)
        case _:
            assert_never(scope)


def released(holds: Holds, release: messages.Release) -> Holds:
    """Without what a release names. Once nothing is left by name, `more` is over: the fleet repeats what it misses."""
    match release.scope:
        case Scope.DEVICE:
            left = replace(holds, device=tuple(each for each in holds.device if each not in release.holds))
        case Scope.ALL:
            left = replace(holds, all=tuple(each for each in holds.all if each not in release.holds))
        case Scope.SERVICE:
            left = replace(holds, service=False)
        case _:
            assert_never(release.scope)
    return left if left.device or left.all else replace(left, more=False)


def _with(ids: tuple[str, ...], hold_id: str) -> tuple[tuple[str, ...], bool]:
    if hold_id in ids:
        return ids, False
    if len(ids) >= HOLDS_KEPT:
        return ids, True  # a flood of holds does not become a flood of disk writes
    return (*ids, hold_id), False


# --- outcomes ---------------------------------------------------------------------------------------------------------


def remembered(state: State, command_id: str) -> Decided | None:
    return next((each for each in state.decided if each.command_id == command_id), None)


def remembering(state: State, decided: Decided) -> tuple[Decided, ...]:
    return (*state.decided, decided)[-DECIDED_KEPT:]
