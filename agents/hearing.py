"""What the fleet's messages do, once `agents.commands` has judged them. A stop is not judged: it is obeyed."""

import math
from typing import assert_never

from agents import commands, interlock, presses, telemetry
from agents.hand import set_to
from agents.state import Decided, PendingStop, settings_version
from agents.steps import Acknowledge, Heard, HeardStop, Output
from agents.turn import Turn, end, latch
from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause
from broker.contract.messages import LIVE_PHASES, AckStatus, CommandRefusal, EventKind, Phase, Scope
from broker.contract.permission import Unanswerable

BURST_S = 10.0  # the same refusal is reported once in this time
STOPS_PENDING = 64
REPEAT_S = 1.0  # a repeat of the same command within this time is not answered again
ANSWERED_KEPT = 64


def hear(turn: Turn, heard: Heard) -> None:
    match heard.message:
        case messages.Lease() as lease:
            _lease(turn, lease, heard.retained)
        case messages.Settings() as settings:
            _settings(turn, settings)
        case messages.Authorisation() | messages.Cancel() | messages.Release() as command:
            _command(turn, command, heard.retained)
        case _:
            assert_never(heard.message)


def _lease(turn: Turn, lease: messages.Lease, retained: bool) -> None:
    permission = commands.judge_lease(turn.state, lease, retained)
    if isinstance(permission, Unanswerable):
        turn.change(leases_refused=turn.state.leases_refused + 1)
        reason = commands.TOLD_OF_LEASES.get(permission)
        if reason is not None:
            _tell_refusal(turn, "lease", None, reason)
        return
    session = turn.state.session
    assert session is not None, "a lease extends a session's permission"
    margins_s = [session.permission.margin_s(turn.state.now_s), session.margin_least_s]
    least_s = min((each for each in margins_s if each is not None and math.isfinite(each)), default=None)
    turn.change_session(permission=permission, margin_least_s=least_s)
    turn.change_durable(fleet_n=lease.fleet_n)
    turn.save()


def _command(turn: Turn, command: commands.Command, retained: bool) -> None:
    known = commands.remembered(turn.state, command.command_id)
    if known is not None:
        if not _was_answered(turn, known.command_id):
            turn.tell(Acknowledge(known.command_id, known.status, known.reason))
        return
    reason = commands.judge(turn.state, command, retained)
    if _was_answered(turn, command.command_id) and reason is not None:
        return  # a refusal that is not stored, repeated
    turn.tell(Acknowledge(command.command_id, AckStatus.RECEIVED))
    if reason is None:
        _obey(turn, command)
    else:
        _tell_refusal(turn, _CHANNEL[type(command)], command.command_id, reason)
    status = AckStatus.DONE if reason is None else AckStatus.REFUSED
    turn.tell(Acknowledge(command.command_id, status, reason))
    if reason not in commands.NOT_STORED:
        decided = Decided(command.command_id, status, reason)
        turn.change(decided=commands.remembering(turn.state, decided))


_CHANNEL: dict[type[commands.Command], str] = {
    messages.Authorisation: "authorisation",
    messages.Cancel: "cancel",
    messages.Release: "release",
}


def _obey(turn: Turn, command: commands.Command) -> None:
    match command:
        case messages.Authorisation():
            turn.change(session=commands.session_of(turn.state, command), phase=Phase.AUTHORISED)
            turn.change_durable(fleet_n=command.fleet_n)
            turn.save()
        case messages.Cancel():
            end(turn, Cause.CANCELLED)
        case messages.Release():
            _release(turn, command)
        case _:
            assert_never(command)


def _release(turn: Turn, release: messages.Release) -> None:
    before = turn.state.durable.holds
    after = commands.released(before, release)
    turn.change_durable(holds=after, fleet_n=release.fleet_n)
    turn.save()
    lifted: list[tuple[Scope, str | None]] = []
    lifted += [(Scope.DEVICE, each) for each in before.device if each not in after.device]
    lifted += [(Scope.ALL, each) for each in before.all if each not in after.all]
    lifted += [(Scope.SERVICE, None)] if before.service and not after.service else []
    turn.tell(*(turn.event(EventKind.HOLD_LIFTED, detail=messages.HoldChanged(scope, each)) for scope, each in lifted))


def _settings(turn: Turn, settings: messages.Settings) -> None:
    """Keep a higher version. What is tighter holds at once, also for a session; what is looser, from the next one."""
    state, session = turn.state, turn.state.session
    if settings.version <= settings_version(state):
        return
    turn.change_durable(settings=settings)
    telemetry.due_now(turn)  # the fleet goes by the version that a sample names
    is_new_hold = settings.service_hold and not state.durable.holds.service
    told: tuple[Output, ...] = ()
    if is_new_hold:
        turn.change_durable(holds=commands.holding(state.durable.holds, Scope.SERVICE, ""))
        told = (turn.event(EventKind.HOLD_SET, detail=messages.HoldChanged(Scope.SERVICE, None)),)
    if session is None:
        turn.save()
        turn.tell(*told)
        return
    turn.change_session(limits=session.limits.tightened(settings.limits))
    if is_new_hold and state.phase in LIVE_PHASES:
        latch(turn, Cause.RULE_STOP, *told)
    elif is_new_hold or not interlock.pulse_within(session.plan, settings.limits):
        end(turn, Cause.CANCELLED, *told)
    else:
        turn.save()
        _lower_to_limit(turn)


def _lower_to_limit(turn: Turn) -> None:
    session = turn.state.session
    assert session is not None
    ceiling_ma = presses.ceiling_ma(session).value
    if session.setting_ma > ceiling_ma:
        set_to(turn, ceiling_ma)


def _was_answered(turn: Turn, command_id: str) -> bool:
    """Whether a command was answered within the last second; from now on it was.

    A flood of one recorded command costs one answer a second, not a place in the outbox each.
    """
    now_s = turn.state.now_s
    lately = tuple((each, at_s) for each, at_s in turn.state.answered_s if now_s - at_s < REPEAT_S)
    was_answered = command_id in dict(lately)
    turn.change(answered_s=lately if was_answered else (*lately, (command_id, now_s))[-ANSWERED_KEPT:])
    return was_answered


def _tell_refusal(turn: Turn, channel: str, command_id: str | None, reason: CommandRefusal) -> None:
    """Report a refusal, once a burst."""
    key, now_s = f"{channel} {reason.value}", turn.state.now_s
    lately = tuple((each, at_s) for each, at_s in turn.state.told_s if now_s - at_s < BURST_S)
    if key not in dict(lately):
        lately = (*lately, (key, now_s))
        refused = messages.CommandRefused(channel, command_id, reason)
        turn.tell(turn.event(EventKind.COMMAND_REFUSED, detail=refused))
    turn.change(told_s=lately)


def obey_stop(turn: Turn, heard: HeardStop) -> None:
    """Always obeyed. What cannot be believed, or names a cause that would not latch, is an emergency stop."""
    stop, durable = heard.stop, turn.state.durable
    holds = durable.holds
    cause = stop.cause if stop is not None and CONSEQUENCES[stop.cause].latches else Cause.EMERGENCY_STOP
    told: tuple[Output, ...] = ()
    if stop is None or stop.hold:
        held = commands.holding(holds, heard.scope, heard.hold_id)
        turn.change_durable(holds=held)
        if held != holds:
            told = (turn.event(EventKind.HOLD_SET, detail=messages.HoldChanged(heard.scope, heard.hold_id)),)
    is_answered = stop is not None and _was_answered(turn, stop.command_id)
    if stop is not None and not is_answered:
        told = (Acknowledge(stop.command_id, AckStatus.RECEIVED), *told)
    latch(turn, cause, *told)
    if stop is not None and not (is_answered and turn.state.durable == durable):
        others = tuple(each for each in turn.state.stops if each.command_id != stop.command_id)
        pending = (*others, PendingStop(stop.command_id, turn.state.ordered_n))
        turn.change(stops=pending[-STOPS_PENDING:])
