"""The session as the device lives it: the one address of what this agent does, and why.

`begin` makes the state of a boot; `step` takes one input and gives the next state and what to write and tell. Pure:
no clock, no I/O, no randomness; time comes with the inputs.

Rules of this file:
- Every step ends at the interlock: whatever was decided above, the drive is what `agents.interlock` grants.
- A stop is obeyed in every phase. Zero is in the very outcome; then the disk, then telling.
- Order within a tick: faults, then silence, then completion, then permission (contract.md rule 8), then pauses.
  Before all of it: a loop that was held up for a second while running (`watchdog_tripped`).
- Only a person at the device arms, starts, raises, resumes and resets; a message may authorise, allow, and reduce.
- What each input does is told in a file of its own, and what it may do is judged in another, without effects:
  a tick in `readings` (judged by `faults`), the fleet in `hearing` (by `commands`), a person in `hand` (by `presses`).
  How a session ends, pauses and latches is in `turn`.
"""

from typing import assert_never

from agents import faults, hand, hearing, interlock, over_limits, readings, telemetry
from agents.changed import changed, prepare
from agents.drivers.port import ZERO, Identity
from agents.faults import Watch
from agents.state import Numbers, Session, State, conditions, is_held, is_latched
from agents.steps import (
    Announce,
    Connected,
    Durable,
    Emit,
    Heard,
    HeardStop,
    Input,
    Outcome,
    Passed,
    Pressed,
    Tick,
    Written,
)
from agents.turn import Turn, end, expire, latch
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import NO_READING_S, PAUSE_TOTAL_S
from broker.contract.messages import EventKind, Phase

SLOWEST_PULSE_S = 1.0  # after a boot nobody knows what was driven: the slowest frequency of the envelope is 1 Hz

prepare(State, Durable, Session, Numbers, Watch)


# --- a boot -----------------------------------------------------------------------------------------------------------


def begin(
    durable: Durable, identity: Identity, self_test: str | None, now_s: float, first_seq: int
) -> tuple[State, Outcome]:
    """A start of the agent: boot_n raised, latched where it died in a live session or the self-test failed.

    `durable` is the record as the last run left it. The numbers of a session that ended with the agent are not
    known: it is reported as ended with zeros and one gap, and the fleet goes by its own record.
    """
    died_in = durable.live_session_id
    watch = Watch(zero_ordered_s=now_s, pulse_period_s=SLOWEST_PULSE_S, was_driven=died_in is not None)
    state = State(durable, identity, self_test, Phase.FAULT, now_s, ZERO, now_s, watch, first_seq, trouble_s=now_s)
    turn = Turn(state)
    boot_n = durable.boot_n + 1
    known = over_limits.at_start(durable.over_limits, boot_n, now_s)
    turn.change_durable(boot_n=boot_n, live_session_id=None, over_limits=known)
    turn.tell(Announce())
    if self_test is not None:
        failed = turn.event(EventKind.SELF_TEST_FAILED, Cause.SELF_TEST_FAILED, messages.SelfTestFailed(self_test))
        latch(turn, Cause.SELF_TEST_FAILED, failed)
    if died_in is not None:
        cause = durable.latch if durable.latch is not None else Cause.REBOOT
        unknown = messages.SessionEnded(elapsed_s=0.0, on_time_s=0.0, peak_ma=0.0, charge_uc=0.0, gaps=1)
        latch(turn, Cause.REBOOT, Emit(now_s, EventKind.SESSION_ENDED, died_in, cause, unknown))
    # Nobody knows yet that the stimulator is fine: idle comes once zero has been measured.
    turn.change(phase=Phase.LATCHED if is_latched(turn.state) else Phase.FAULT)
    turn.save()
    turn.outputs.sort(key=lambda output: isinstance(output, Announce))  # the birth comes after the record
    return _close(turn, turn.state, tick=None)


# --- a step -----------------------------------------------------------------------------------------------------------


def step(state: State, given: Input) -> tuple[State, Outcome]:
    """What one input makes of the state, and what to drive, write and tell, in order."""
    turn = Turn(_aged(state, given.now_s))
    _judge_hold_up(turn)
    match given:
        case Tick():
            readings.read(turn, given)
        case Heard():
            hearing.hear(turn, given)
        case HeardStop():
            hearing.obey_stop(turn, given)
        case Pressed():
            hand.press(turn, given)
        case Written():
            hand.confirm_write(turn, given)
        case Connected():
            telemetry.due_now(turn)
        case Passed():
            pass  # time passes below, whatever the input
        case _:
            assert_never(given)
    _pass_time(turn)
    return _close(turn, state, given if isinstance(given, Tick) else None)


def _aged(state: State, now_s: float) -> State:
    """The state at `now_s`. Time never runs back: an input that waited in a queue happens now."""
    now_s = max(state.now_s, now_s)
    session = state.session
    if session is not None and state.phase is Phase.RUNNING:
        numbers = changed(session.numbers, elapsed_s=session.numbers.elapsed_s + now_s - state.now_s)
        state = changed(state, session=changed(session, numbers=numbers))
    return changed(state, now_s=now_s)


def _close(turn: Turn, before: State, tick: Tick | None) -> tuple[State, Outcome]:
    """The interlock's word on what was decided; a sample where one is due; a birth where it says something new."""
    verdict = interlock.judge(_request(turn.state))
    if turn.state.phase is Phase.RUNNING and verdict.reason is not interlock.Reason.OUTPUT:
        # The session ends by itself before the interlock has to: this is a fault of the agent.
        check = messages.SelfTestFailed(f"interlock: {verdict.reason.value}")
        failed = turn.event(EventKind.SELF_TEST_FAILED, Cause.SELF_TEST_FAILED, check)
        latch(turn, Cause.SELF_TEST_FAILED, failed)
        verdict = interlock.judge(_request(turn.state))
    now_s = turn.state.now_s
    watch = faults.ordered(turn.state.watch, now_s, turn.state.drive, verdict.drive)
    turn.change(drive=verdict.drive, drive_s=now_s, watch=watch)
    if tick is not None:
        telemetry.sample(turn, tick)
    if _said_at_birth(turn.state) != _said_at_birth(before):
        turn.tell(Announce())
    return turn.state, Outcome(verdict.drive, tuple(turn.outputs))


def _request(state: State) -> interlock.Request:
    session = state.session
    return interlock.Request(
        now_s=state.now_s,
        phase=state.phase,
        plan=session.plan if session is not None else None,
        limits=session.limits if session is not None else None,
        permission=session.permission if session is not None else None,
        marker=state.marker,
        latched=is_latched(state),
        held=is_held(state),
        relay_open=state.durable.latch is Cause.OUTPUT_STUCK,
        setting_ma=session.setting_ma if session is not None else 0.0,
        driven_ma=state.drive.setting_ma if state.drive.enabled else 0.0,
        driven_s=state.drive_s,
        ramp=session.ramp if session is not None else None,
        reading_s=state.watch.peak_read_s,
        zero_measured=state.watch.zero_measured,
    )


def _said_at_birth(state: State) -> tuple[object, ...]:
    durable = state.durable
    session_id = state.session.session_id if state.session is not None else None
    return durable.fleet_n, durable.latch, durable.holds, durable.settings, conditions(state), session_id


# --- time -------------------------------------------------------------------------------------------------------------


def _pass_time(turn: Turn) -> None:
    """What has become due, whatever the input was."""
    state, session = turn.state, turn.state.session
    if session is None:
        return
    if state.phase is Phase.RUNNING:
        _run_on(turn, session)
    elif state.phase is Phase.PAUSED:
        now_paused_s = state.now_s - session.paused_from_s
        total_s = min(session.pause_total_s, PAUSE_TOTAL_S)
        if now_paused_s > session.limits.pause_s_max.value or session.paused_s + now_paused_s > total_s:
            end(turn, Cause.PAUSE_TIMEOUT)
    elif state.phase in {Phase.AUTHORISED, Phase.ARMED} and state.now_s > session.start_by_s:
        expire(turn)


def _judge_hold_up(turn: Turn) -> None:
    """Held up for so long that the stimulator's own watchdog has ended output: the agent's fault, not its sensor's.

    Before anything is heard or read, so that who may reset does not depend on what comes first after it.
    """
    state = turn.state
    if state.phase is Phase.RUNNING and state.now_s - state.ticked_s > NO_READING_S:
        cause = Cause.WATCHDOG_TRIPPED
        turn.change(seen_s=(*state.seen_s, (cause, state.now_s)))  # the stimulator will say the same
        latch(turn, cause, turn.event(EventKind.WATCHDOG_TRIPPED, cause))


def _run_on(turn: Turn, session: Session) -> None:
    silence = faults.silence(turn.state.watch, turn.state.now_s)
    duration_s = min(session.plan.duration_s, session.limits.session_s_max.value)
    if silence is not None:
        latch(turn, silence.cause, turn.event(silence.kind, silence.cause, silence.measured))
    elif session.numbers.elapsed_s >= duration_s:
        end(turn, Cause.COMPLETED)
    elif not session.permission.allows(turn.state.now_s):
        latch(turn, Cause.LEASE_LOST, turn.event(EventKind.LEASE_LOST, Cause.LEASE_LOST))
