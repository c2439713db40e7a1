"""The session as the fleet sees it: transitions as a table, and what moves a session along it (domain.md "Session").

Phases follow live telemetry, newest sample first to last; endings follow the device's durable `session_ended`, or its
next boot. In between, a session that the device does not show any more is `stopping`: over, and not yet reported.
"""

from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause, Ending
from broker.contract.limits import ZERO_MA
from broker.contract.messages import LIVE_PHASES, AckStatus, CommandRefusal, EventKind, Phase, Telemetry
from broker.contract.topics import Channel
from fleet.core import budget, stops, withdrawals, zero
from fleet.core.effects import Answer, Ordered, Refused, SendAuthorisation, SendCancel
from fleet.core.events import (
    AuthorisationAccepted,
    CancelOvertaken,
    OutputUnpermitted,
    SessionAdvanced,
    SessionCleared,
    SessionDeclined,
    SessionEnded,
    SessionExpired,
    SessionLost,
    SessionState,
)
from fleet.core.inputs import CancelSession, ConfirmOff
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.state import Device, Session
from fleet.core.turn import Turn, derived_id

S = SessionState
_ENDS = frozenset({S.COMPLETED, S.ABORTED, S.STOPPED_LATCHED})
_BEFORE_RUNNING = frozenset({S.EXPIRED, S.CANCELLED, S.REFUSED})

# Telemetry is QoS 0 and a fleet may miss a second: phases may be skipped forward. Never back, but by disarming and
# resuming, and where a cancel came too late.
TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    S.DRAFT: frozenset({S.REFUSED, S.AUTHORISED}),
    S.AUTHORISED: frozenset({S.ARMED, S.RUNNING, S.PAUSED, S.STOPPING}) | _BEFORE_RUNNING | _ENDS,
    S.ARMED: frozenset({S.AUTHORISED, S.RUNNING, S.PAUSED, S.STOPPING, S.LOST, S.EXPIRED, S.CANCELLED}) | _ENDS,
    S.RUNNING: frozenset({S.PAUSED, S.STOPPING, S.LOST}) | _ENDS,
    S.PAUSED: frozenset({S.RUNNING, S.STOPPING, S.LOST}) | _ENDS,
    S.STOPPING: frozenset({S.LOST}) | _ENDS,
    S.LOST: frozenset({S.STOPPING}) | _ENDS,
    S.STOPPED_LATCHED: frozenset({S.CLEARED}),
    S.REFUSED: frozenset(),
    S.EXPIRED: frozenset(),
    S.CANCELLED: frozenset({S.RUNNING}),
    S.COMPLETED: frozenset(),
    S.ABORTED: frozenset(),
    S.CLEARED: frozenset(),
}

STATE_OF_PHASE: dict[Phase, SessionState] = {
    Phase.AUTHORISED: S.AUTHORISED,
    Phase.ARMED: S.ARMED,
    Phase.RUNNING: S.RUNNING,
    Phase.PAUSED: S.PAUSED,
    Phase.STOPPING: S.STOPPING,
}
_STATE_OF_ENDING: dict[Ending, SessionState] = {
    Ending.COMPLETES: S.COMPLETED,
    Ending.ABORTS: S.ABORTED,
    Ending.LATCHES: S.STOPPED_LATCHED,
    Ending.PAUSES: S.ABORTED,  # an electrode fault pauses; a session that ended in that pause was aborted
}

TIMER_SLACK_S = 5.0  # the fleet's own timers come after the device's
STOPPING_S_MAX = 10.0  # a ramp of 1 s and a pulse period: zero is measured, and the session over, within some 2 s
SETTINGS_AFTER_S = 10.0  # new settings reach a device within 5 s; then the timers' own 5 s
UNPERMITTED_AFTER_S = 2.0  # a ramp of 1 s, and messages that overtake each other, are no breach
SETTLE_AFTER_S = 30.0  # an end that an idle device has not reported by then never will be
COMMAND_REPEAT_S = 2.0
SILENT_AFTER_S = 12.0  # CHANNELS: stale
EXPIRY_SLACK_S = 1.0  # the device counts from sending the sample, the fleet from receiving it
AUTHORISATION_WORTH_S = 30.0


def transition_allowed(session: Session, to: SessionState) -> bool:
    return to in TRANSITIONS[session.state]


# --- telemetry ------------------------------------------------------------------------------------------------------


def follow(turn: Turn, device: Device, sample: Telemetry) -> Session | None:
    """Move the device's session to what its newest sample shows.

    Returns the session that the sample speaks for, if it is live and everything fits; None otherwise: no lease.
    """
    session = turn.state.session_on(device)
    if session is None:
        return None
    spoken_for = sample.session_id == session.session_id and sample.boot_n == session.authorisation.boot_n
    if not spoken_for or sample.phase not in STATE_OF_PHASE:
        _not_shown(turn, session, sample)
        return None
    if not session.open:
        return None
    to = STATE_OF_PHASE[sample.phase]
    if to is not session.state:
        if not transition_allowed(session, to):
            turn.refused(device.device, Channel.TELEMETRY, "impossible_phase")
            return None
        if to is not S.STOPPING and not budget.admits(
            turn, device.device, Channel.TELEMETRY, budget.PHASE, budget.PHASE_AGAIN_S
        ):
            return None  # and no lease: a device that goes on changing its mind ends
        _advance(turn, session, to, sample)
        session = turn.state.durable.sessions[session.session_id]
    if sample.elapsed_s < _elapsed_s(turn, session):
        turn.refused(device.device, Channel.TELEMETRY, "elapsed_decreased")
        return None
    turn.state.fleeting.elapsed_s[device.device] = (session.session_id, sample.elapsed_s)
    return session if session.live else None


def _elapsed_s(turn: Turn, session: Session) -> float:
    """The most that the device has said: the journal has it of changes only."""
    session_id, elapsed_s = turn.state.fleeting.elapsed_s.get(session.device, ("", 0.0))
    return max(elapsed_s, session.elapsed_s) if session_id == session.session_id else session.elapsed_s


def _advance(turn: Turn, session: Session, to: SessionState, sample: Telemetry) -> None:
    turn.happened(
        SessionAdvanced(**turn.at, session_id=session.session_id, to=to, elapsed_s=sample.elapsed_s, seq=sample.seq)
    )


def _not_shown(turn: Turn, session: Session, sample: Telemetry) -> None:
    """The device shows no session, or another one than its newest."""
    if session.state is S.ARMED and sample.phase is Phase.IDLE and _start_time_over(turn, session):
        turn.happened(SessionExpired(**turn.at, session_id=session.session_id))
    elif (session.live and session.state is not S.STOPPING) or session.state is S.LOST:
        _advance(turn, session, S.STOPPING, sample)
    elif sample.phase is not Phase.IDLE:
        return
    elif session.state is S.AUTHORISED:
        _authorise_again(turn, session)
    elif session.state is S.STOPPED_LATCHED:
        turn.happened(SessionCleared(**turn.at, session_id=session.session_id))
    elif session.state is S.STOPPING and turn.now_s - session.since_s >= SETTLE_AFTER_S:
        # Idle means that no latch was left, or that a person at the device has reset it.
        _end(turn, session, S.ABORTED, None, None)


def _start_time_over(turn: Turn, session: Session) -> bool:
    return turn.now_s - session.answered_s >= session.authorisation.start_within_s - EXPIRY_SLACK_S


def _authorise_again(turn: Turn, session: Session) -> None:
    """The same authorisation, until the device has answered it or it is worth nothing any more."""
    worth = turn.now_s - session.answered_s < AUTHORISATION_WORTH_S
    if not session.accepted and worth and turn.due(_sending(session), COMMAND_REPEAT_S):
        turn.after_commit(SendAuthorisation(session.device, session.authorisation))


def _sending(session: Session) -> str:
    return f"authorisation/{session.session_id}"


def first_sent(turn: Turn, session: Session) -> None:
    """The authorisation goes out; the next one is due in a while."""
    turn.state.fleeting.note_sent(_sending(session), turn.now_s)
    turn.after_commit(SendAuthorisation(session.device, session.authorisation))


def unpermitted(turn: Turn, device: Device, sample: Telemetry) -> None:
    """A newest sample that speaks for no live session of this fleet's.

    A withdrawn session that is still waiting at the device, at measured zero, is withdrawn again. A device that is
    live, or has current, without a session that this fleet leads on that boot (A02) is stopped when it lasts.
    """
    name = device.device
    session = turn.state.session_on(device)
    withdrawn = session is not None and session.state in {S.CANCELLED, S.EXPIRED, S.REFUSED}
    if session is not None and withdrawn and sample.phase in {Phase.AUTHORISED, Phase.ARMED}:
        if sample.session_id == session.session_id and turn.due(f"cancel/{name}", COMMAND_REPEAT_S):
            command_id = derived_id(f"cancel/{session.session_id}/{sample.seq}")
            turn.at_once(SendCancel(name, messages.Cancel(sample.boot_n, command_id, session.session_id)))
        if sample.amplitude_ma is not None and sample.amplitude_ma < ZERO_MA:
            turn.state.fleeting.unpermitted_s.pop(name, None)
            return
    if sample.phase not in LIVE_PHASES and (sample.amplitude_ma is None or sample.amplitude_ma < ZERO_MA):
        turn.state.fleeting.unpermitted_s.pop(name, None)
        return
    since_s = turn.state.fleeting.unpermitted_s.setdefault(name, turn.now_s)
    if turn.now_s - since_s < UNPERMITTED_AFTER_S or stops.pursued(turn, name):
        return
    turn.happened(
        OutputUnpermitted(
            **turn.at,
            device=name,
            session_id=sample.session_id,
            phase=sample.phase,
            amplitude_ma=sample.amplitude_ma,
        )
    )
    stops.order(turn, name, Cause.RULE_STOP, "output_unpermitted")


# --- acks, events, boots --------------------------------------------------------------------------------------------


def acknowledged(turn: Turn, device: Device, ack: messages.Ack) -> None:
    """What the device made of an authorisation, or of a cancel."""
    session = turn.state.session_on(device)
    if session is None:
        return
    too_late = ack.status is AckStatus.REFUSED and ack.reason is CommandRefusal.ALREADY_RUNNING
    if too_late and ack.command_id == session.cancel_id:
        _cancel_overtaken(turn, session, ack.command_id)
    if session.authorisation.command_id != ack.command_id or session.state is not S.AUTHORISED:
        return
    if ack.status is AckStatus.REFUSED:
        turn.happened(SessionDeclined(**turn.at, session_id=session.session_id, reason=ack.reason))
    elif ack.status is AckStatus.DONE and not session.accepted:
        turn.happened(AuthorisationAccepted(**turn.at, session_id=session.session_id))


def _cancel_overtaken(turn: Turn, session: Session, command_id: str) -> None:
    """It was started while the cancel was on its way, by somebody who stands there: it runs, and is followed.

    Unless it is over by now, or the client sits elsewhere: then what runs has no permission, and is stopped as that.
    """
    if session.state is not S.CANCELLED or session.cause is not None:
        return
    if any(other.client == session.client for other in turn.state.open_sessions()):
        return
    turn.happened(CancelOvertaken(**turn.at, session_id=session.session_id, command_id=command_id))


def reported(turn: Turn, name: str, event: messages.Event) -> None:
    """A device's own event may end its session; its numbers are taken whenever they come."""
    if event.kind is not EventKind.SESSION_ENDED or event.session_id is None:
        return
    session = turn.state.durable.sessions.get(event.session_id)
    if session is None:
        return  # older than what is kept: the journal has it
    if session.device != name:
        turn.refused(name, Channel.EVENT, "foreign_session")
        return
    numbers = event.detail if isinstance(event.detail, messages.SessionEnded) else None
    if numbers is not None and numbers.elapsed_s >= _planned_s(session) + TIMER_SLACK_S:
        turn.refused(name, Channel.EVENT, "session_overran")  # out of the fleet's sight, whose own timer would have
    if session.open:
        _end(turn, session, _ending(session, event.cause), event.cause, numbers)
    elif session.ended is None:
        _end(turn, session, session.state, session.cause or event.cause, numbers)


def _ending(session: Session, cause: Cause | None) -> SessionState:
    if cause is Cause.CANCELLED and transition_allowed(session, S.CANCELLED):
        return S.CANCELLED
    return S.ABORTED if cause is None else _STATE_OF_ENDING[CONSEQUENCES[cause].ending]


def _end(
    turn: Turn, session: Session, to: SessionState, cause: Cause | None, ended: messages.SessionEnded | None
) -> None:
    turn.happened(SessionEnded(**turn.at, session_id=session.session_id, to=to, cause=cause, ended=ended))


def boot_ended(turn: Turn, name: str) -> None:
    """The device booted: it is latched at zero, and nothing of before holds."""
    session = turn.state.session_on(turn.state.device(name))
    if session is None:
        return
    if session.state is S.AUTHORISED:
        turn.happened(SessionExpired(**turn.at, session_id=session.session_id))
    elif session.open:
        _end(turn, session, S.STOPPED_LATCHED, Cause.REBOOT, None)


def device_lost(turn: Turn, name: str) -> None:
    """Nothing is heard of a live session's device: lost until its end is reported."""
    session = turn.state.session_on(turn.state.device(name))
    if session is not None and session.live:
        turn.happened(SessionLost(**turn.at, session_id=session.session_id))


# --- time -----------------------------------------------------------------------------------------------------------


def keep_time(turn: Turn, session: Session, elapsed_s: float) -> None:
    """The fleet's second timer: at 5 s over the session's length, or a pause's, it stops (H05).

    By its own time since it saw the session run, and at least by what the device says. Settings that became tighter
    count for the session that is on, too (contract.md, rule 7), once the device has had time for them.
    """
    if session.withheld is not None:
        return
    in_state_s = turn.now_s - session.since_s
    session_s_max, pause_s_max = _length_limits(turn, session)
    if session.state is S.RUNNING:
        ran_s = max(session.ran_s + in_state_s, elapsed_s)
        if ran_s >= session_s_max + TIMER_SLACK_S:
            stops.order(turn, session.device, Cause.SESSION_CAP, "session_s")
    elif session.state is S.PAUSED:
        paused_s = session.paused_s + in_state_s
        if in_state_s >= pause_s_max + TIMER_SLACK_S:
            stops.order(turn, session.device, Cause.SESSION_CAP, "pause_s")
        elif paused_s >= session.authorisation.pause_total_s + TIMER_SLACK_S:
            stops.order(turn, session.device, Cause.SESSION_CAP, "pause_total_s")
    elif session.state is S.STOPPING and in_state_s >= STOPPING_S_MAX:
        stops.order(turn, session.device, Cause.SESSION_CAP, "stopping_s")


def _planned_s(session: Session) -> float:
    """How long it may last, as it was authorised."""
    return min(session.plan.duration_s, session.authorisation.limits.session_s_max.value)


def _length_limits(turn: Turn, session: Session) -> tuple[float, float]:
    """How long the session, and one pause of it, may last, in seconds."""
    session_s_max, pause_s_max = _planned_s(session), session.authorisation.limits.pause_s_max.value
    device = turn.state.device(session.device)
    if device.settings is None or turn.now_s - device.settings_since_s < SETTINGS_AFTER_S:
        return session_s_max, pause_s_max
    tighter = [device.settings.limits]
    known = turn.state.fleeting.bounds.get(session.device)
    if known is not None and known.session_id == session.session_id:  # the device keeps the strictest that it had
        tighter.append(known.limits)
    for limits in tighter:
        session_s_max = min(session_s_max, limits.session_s_max.value)
        pause_s_max = min(pause_s_max, limits.pause_s_max.value)
    return session_s_max, pause_s_max


def pass_time(turn: Turn) -> None:
    """Every session's timers: those that run, and those that were not started in time.

    A fleet that has just taken over has not heard yet whether a session still runs, and without a sample nothing runs
    on: its timers wait for the first one.
    """
    for session in list(turn.state.open_sessions()):
        if session.state in {S.AUTHORISED, S.ARMED}:
            start_within_s = session.authorisation.start_within_s
            if turn.now_s - session.answered_s >= start_within_s + TIMER_SLACK_S:
                turn.happened(SessionExpired(**turn.at, session_id=session.session_id))
        elif session.state is S.LOST:
            _give_up_struck_off(turn, session)
        elif session.state is not S.STOPPING and _heard(turn, session):
            keep_time(turn, session, session.elapsed_s)


def _heard(turn: Turn, session: Session) -> bool:
    seen = turn.state.newest(session.device)
    return seen is not None and seen.sample.session_id == session.session_id


def _give_up_struck_off(turn: Turn, session: Session) -> None:
    """What was lost on a device that may not speak any more will never be reported."""
    registered = turn.state.registered(session.device)
    if registered is None or registered.struck_off:
        _end(turn, session, S.ABORTED, None, None)


# --- people ---------------------------------------------------------------------------------------------------------


def confirm_off(turn: Turn, heard: ConfirmOff) -> None:
    """What a person at a silent device says ends its stops and its lost session. One that speaks says it itself."""
    seen = turn.state.newest(heard.device)
    # A fleet that has just taken over cannot know yet that nobody speaks.
    heard_s = turn.state.durable.took_over_s if seen is None else seen.received_s
    if turn.now_s - heard_s < SILENT_AFTER_S:
        _refuse(turn, heard.request_id, Rule.DEVICE_SPEAKS)
        return
    session = turn.state.session_on(turn.state.device(heard.device))
    confirmed = stops.confirmed_off(turn, heard.device)
    if session is not None and (session.live or session.state is S.LOST):
        _end(turn, session, S.ABORTED, None, None)
        confirmed = True
    if zero.seen_by_person(turn, heard.device):
        confirmed = True
    if confirmed:
        turn.after_commit(Answer(heard.request_id, Ordered(turn.new_id("off"))))
    else:
        _refuse(turn, heard.request_id, Rule.NOTHING_OPEN)


def _refuse(turn: Turn, request_id: str, rule: Rule) -> None:
    turn.after_commit(Answer(request_id, Refused((Refusal(rule=rule, layer=RuleLayer.FLEET),))))


def cancel(turn: Turn, heard: CancelSession) -> None:
    """Withdraw a session that has not started. A running one is stopped at the device, or by a stop."""
    session = turn.state.durable.sessions.get(heard.session_id)
    if session is not None and transition_allowed(session, S.CANCELLED):
        command_id = withdrawals.withdraw(turn, session, heard.issued_by)
        turn.after_commit(Answer(heard.request_id, Ordered(command_id)))
        return
    rule = Rule.SESSION_UNKNOWN
    if session is not None:
        rule = Rule.SESSION_RUNNING if session.open else Rule.SESSION_OVER
    _refuse(turn, heard.request_id, rule)
