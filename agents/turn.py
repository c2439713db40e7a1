"""One step of the session in the making: the state so far, and what to write and tell, in order.

A `Turn` lives inside one call of `session.step`; seen from outside, the step is a pure function. The ways in which a
session ends, pauses and latches are here; why and when is `agents.session`'s.
"""

from typing import Any

from agents import over_limits
from agents.changed import changed
from agents.faults import STUCK_GRACE_S
from agents.interlock import Ramp
from agents.state import State
from agents.steps import Emit, Output, Persist, Reply
from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause, ResetBy
from broker.contract.messages import EventKind, Phase

GAP_S = STUCK_GRACE_S + 0.05  # five ticks without a reading are a gap in the session's own record
_GRAVITY = {ResetBy.NOBODY: 0, ResetBy.THERAPIST: 1, ResetBy.ENGINEER: 2}
_GRAVEST = 3  # an output that does not obey opens the relay, whatever was found before


class Turn:
    """State and outputs of a step in the making."""

    __slots__ = ("_saved", "outputs", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.outputs: list[Output] = []
        self._saved = state.durable

    def change(self, **fields: Any) -> None:
        self.state = changed(self.state, **fields)

    def change_durable(self, **fields: Any) -> None:
        self.change(durable=changed(self.state.durable, **fields))

    def change_session(self, **fields: Any) -> None:
        assert self.state.session is not None
        self.change(session=changed(self.state.session, **fields))

    def tell(self, *outputs: Output) -> None:
        self.outputs += outputs

    def event(self, kind: EventKind, cause: Cause | None = None, detail: messages.Detail | None = None) -> Emit:
        """An event of now and of the session that is on."""
        session = self.state.session
        return Emit(self.state.now_s, kind, session.session_id if session is not None else None, cause, detail)

    def save(self) -> int:
        """Order the write of what changed in the durable record; the number of the newest write ordered."""
        if self.state.durable != self._saved:
            self._saved = self.state.durable
            self.change(
                ordered_n=self.state.ordered_n + 1,
                unwritten_s=min(self.state.unwritten_s, self.state.now_s),
            )
            self.tell(Persist(self.state.ordered_n, self.state.durable))
        return self.state.ordered_n


# --- latching, ending, pausing ----------------------------------------------------------------------------------------


def latch(turn: Turn, cause: Cause, *told: Output) -> None:
    """End what is on and latch: on disk first, then told. A graver latch takes the place of a lesser one."""
    state = turn.state
    counted = over_limits.recent(state.durable.over_limits, state.now_s)
    if cause is Cause.OVER_LIMIT:
        counted = over_limits.with_one_more(counted, state.durable.boot_n, state.now_s)
    reset_by = _reset_by(cause, len(counted))
    is_graver = _gravity(cause, reset_by) > _gravity(state.durable.latch, state.durable.reset_by)
    turn.change_durable(over_limits=counted)
    if is_graver:
        turn.change_durable(latch=cause, reset_by=reset_by)
        turn.change(trouble_s=state.now_s)
    latched = (turn.event(EventKind.LATCHED, cause),) if is_graver else ()
    ended = _wind_down(turn, cause)
    turn.save()
    turn.tell(*told, *latched, *ended)


def end(turn: Turn, cause: Cause, *told: Output) -> None:
    """End what is on, without a latch."""
    ended = _wind_down(turn, cause)
    turn.save()
    turn.tell(*told, *ended)


def pause(turn: Turn, cause: Cause | None, *told: Output) -> None:
    """Setting to 0 at once; the session stays."""
    turn.tell(*told, turn.event(EventKind.SESSION_PAUSED, cause))
    turn.change_session(setting_ma=0.0, paused_from_s=turn.state.now_s)
    turn.change(phase=Phase.PAUSED)


def expire(turn: Turn) -> None:
    """Too late to start: the authorisation is worth nothing any more. Nothing but test pulses has flowed."""
    told = (turn.event(EventKind.SESSION_DISARMED),) if turn.state.phase is Phase.ARMED else ()
    _give_up_arming(turn)
    turn.change_durable(live_session_id=None)
    turn.change(session=None, marker=None, phase=Phase.IDLE)
    turn.save()
    turn.tell(*told)


def settle(turn: Turn) -> None:
    """A session that is stopping has stopped when zero is measured: only then it has ended, with its numbers."""
    state = turn.state
    if state.phase is not Phase.STOPPING or state.drive.enabled or not state.watch.zero_measured:
        return
    assert state.session is not None
    turn.tell(_ended(turn, state.session.ending))
    turn.change_durable(live_session_id=None)
    turn.change(session=None, marker=None, phase=_at_rest(state))
    turn.save()


def _wind_down(turn: Turn, cause: Cause) -> tuple[Output, ...]:
    """Bring what is on to its end; what to tell once that is on disk."""
    state = turn.state
    session = state.session
    if session is None:
        turn.change(phase=_at_rest(state))
        return ()
    if state.phase is Phase.AUTHORISED:
        ended = _ended(turn, cause)
        _give_up_arming(turn)
        turn.change_durable(live_session_id=None)
        turn.change(session=None, marker=None, phase=_at_rest(state))
        return (ended,)
    ramp_s = CONSEQUENCES[cause].ramp_s
    if state.phase is not Phase.STOPPING:
        # Permission that ran out while the loop was held up ended then: the ramp is not given a second more for that.
        began_s = min(state.now_s, session.permission.until_s) if cause is Cause.LEASE_LOST else state.now_s
        ramp = Ramp(state.drive.setting_ma, began_s) if ramp_s and state.phase is Phase.RUNNING else None
        turn.change_session(ending=cause, ramp=ramp, setting_ma=0.0)
        turn.change(phase=Phase.STOPPING)
        return ()
    turn.change_session(ending=_graver(session.ending, cause), ramp=session.ramp if ramp_s else None)
    return ()


def _at_rest(state: State) -> Phase:
    return Phase.LATCHED if state.durable.latch is not None else Phase.IDLE


def _graver(first: Cause | None, later: Cause) -> Cause:
    """What a session ended by: the first cause, unless a later one is graver."""
    assert first is not None, "what is stopping has a cause"
    return max(first, later, key=lambda cause: _gravity(cause, CONSEQUENCES[cause].reset_by))


def _gravity(cause: Cause | None, reset_by: ResetBy) -> int:
    """The one order of causes: a stuck output before all others, then by who has to come to reset."""
    return _GRAVEST if cause is Cause.OUTPUT_STUCK else _GRAVITY[reset_by]


def _reset_by(cause: Cause, nth_over_limit: int) -> ResetBy:
    consequence = CONSEQUENCES[cause]
    nth = consequence.engineer_from_nth_in_24_h
    return ResetBy.ENGINEER if nth is not None and nth_over_limit >= nth else consequence.reset_by


def _give_up_arming(turn: Turn) -> None:
    if turn.state.arming is not None:
        turn.tell(Reply(turn.state.arming.press_id, False, "The session ended before it was armed."))
        turn.change(arming=None)


def _ended(turn: Turn, cause: Cause | None) -> Emit:
    session = turn.state.session
    assert session is not None, "only a session can have ended"
    numbers = session.numbers
    open_gap = session.read_s is not None and turn.state.now_s - session.read_s > GAP_S
    detail = messages.SessionEnded(
        elapsed_s=numbers.elapsed_s,
        on_time_s=numbers.on_time_s,
        peak_ma=min(numbers.peak_ma, 1000.0),
        charge_uc=min(numbers.charge_uc, 1e12),
        gaps=numbers.gaps + open_gap,
    )
    return turn.event(EventKind.SESSION_ENDED, cause, detail)
