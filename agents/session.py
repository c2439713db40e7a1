"""The session as the device lives it: the one address of what this agent does, and why.

`begin` makes the state of a boot; `step` takes one input and gives the next state and what to write and tell. Pure:
no clock, no I/O, no randomness; time comes with the inputs.

Rules of this file:
- Every step ends at the interlock: whatever was decided above, the drive is what `agents.interlock` grants.
- A stop is obeyed in every phase. Zero is in the very outcome; then the disk, then telling.
- Order within a tick: faults, then silence, then completion, then permission (contract.md rule 8), then pauses.
- Only a person at the device arms, starts, raises, resumes and resets; a message may authorise, allow, and reduce.
- Numbers of limits and times are elsewhere: `broker.contract.limits`, `agents.state`, `agents.faults`.
"""

import math
from dataclasses import replace
from typing import assert_never

from agents import commands, faults, interlock, presses
from agents.drivers.port import ZERO, Identity
from agents.faults import Finding, Watch, number, peak_ma
from agents.state import (
    BATTERY_RECOVERED_PCT,
    Arming,
    Decided,
    Numbers,
    PendingStop,
    Session,
    State,
    battery_pct,
    conditions,
    is_answering,
    is_held,
    is_latched,
    pads,
    sample_period_s,
    settings_version,
)
from agents.steps import (
    Acknowledge,
    Announce,
    Durable,
    Emit,
    Heard,
    HeardStop,
    Input,
    Outcome,
    Output,
    Press,
    Pressed,
    Reply,
    Sample,
    Tick,
    Written,
)
from agents.turn import GAP_S, Turn, end, expire, latch, pause, settle
from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause, Ending
from broker.contract.limits import (
    BATTERY_START_PCT,
    PAUSE_TOTAL_S,
    ZERO_MA,
    Contact,
    charge_uc,
    contact,
)
from broker.contract.messages import LIVE_PHASES, AckStatus, CommandRefusal, EventKind, Phase, Scope
from broker.contract.permission import Sent, Unanswerable

CLOCK_STEP_S = 0.5  # wall against boot time, between two ticks: reported, decides nothing
SAMPLE_SLACK_S = 0.025  # half a tick: a period is kept on the average
BURST_S = 10.0  # the same refusal is reported once in this time
STOPS_PENDING = 64
SLOWEST_PULSE_S = 1.0  # after a boot nobody knows what was driven: the slowest frequency of the envelope is 1 Hz


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
    state = State(
        durable, identity, self_test, Phase.IDLE, now_s, ZERO, now_s, watch, first_seq, trouble_s=now_s
    )
    turn = Turn(state)
    turn.change_durable(boot_n=durable.boot_n + 1, live_session_id=None)
    turn.tell(Announce())
    if self_test is not None:
        failed = turn.event(EventKind.SELF_TEST_FAILED, Cause.SELF_TEST_FAILED, messages.SelfTestFailed(self_test))
        latch(turn, Cause.SELF_TEST_FAILED, failed)
    if died_in is not None:
        cause = durable.latch if durable.latch is not None else Cause.REBOOT
        unknown = messages.SessionEnded(elapsed_s=0.0, on_time_s=0.0, peak_ma=0.0, charge_uc=0.0, gaps=1)
        latch(turn, Cause.REBOOT, Emit(now_s, EventKind.SESSION_ENDED, died_in, cause, unknown))
    turn.change(phase=Phase.LATCHED if is_latched(turn.state) else Phase.IDLE)
    turn.save()
    turn.outputs.sort(key=lambda output: isinstance(output, Announce))  # the birth comes after the record
    return _close(turn, turn.state, tick=None)


# --- a step -----------------------------------------------------------------------------------------------------------


def step(state: State, given: Input) -> tuple[State, Outcome]:
    """What one input makes of the state, and what to drive, write and tell, in order."""
    turn = Turn(_aged(state, given.now_s))
    match given:
        case Tick():
            _tick(turn, given)
        case Heard():
            _heard(turn, given)
        case HeardStop():
            _heard_stop(turn, given)
        case Pressed():
            _pressed(turn, given)
        case Written():
            _written(turn, given)
        case _:
            assert_never(given)
    _pass_time(turn)
    return _close(turn, state, given if isinstance(given, Tick) else None)


def _aged(state: State, now_s: float) -> State:
    """The state at `now_s`. Time never runs back: an input that waited in a queue happens now."""
    now_s = max(state.now_s, now_s)
    session = state.session
    if session is not None and state.phase is Phase.RUNNING:
        numbers = replace(session.numbers, elapsed_s=session.numbers.elapsed_s + now_s - state.now_s)
        state = replace(state, session=replace(session, numbers=numbers))
    return replace(state, now_s=now_s)


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
        _sample(turn, tick)
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


def _run_on(turn: Turn, session: Session) -> None:
    silence = faults.silence(turn.state.watch, turn.state.now_s)
    duration_s = min(session.plan.duration_s, session.limits.session_s_max.value)
    if silence is not None:
        latch(turn, silence.cause, turn.event(silence.kind, silence.cause, silence.measured))
    elif session.numbers.elapsed_s >= duration_s:
        end(turn, Cause.COMPLETED)
    elif not session.permission.allows(turn.state.now_s):
        latch(turn, Cause.LEASE_LOST, turn.event(EventKind.LEASE_LOST, Cause.LEASE_LOST))


# --- the tick: what the stimulator reads ------------------------------------------------------------------------------


def _tick(turn: Turn, tick: Tick) -> None:
    state = turn.state
    turn.change(watch=faults.watched(state.watch, state.now_s, tick.reading, state.drive))
    _step_of_the_wall_clock(turn, tick)
    _count(turn)
    _judge_pads(turn)
    _judge_battery(turn)
    _act_on_findings(turn)
    settle(turn)
    _finish_stops(turn)
    _note_trouble(turn)
    is_idle = turn.state.phase in {Phase.IDLE, Phase.FAULT}
    if is_idle:
        turn.change(phase=Phase.IDLE if is_answering(turn.state) else Phase.FAULT)


def _step_of_the_wall_clock(turn: Turn, tick: Tick) -> None:
    ahead_s, was_ahead_s = tick.wall_s - tick.now_s, turn.state.wall_ahead_s
    turn.change(wall_ahead_s=ahead_s)
    if was_ahead_s is not None and abs(ahead_s - was_ahead_s) > CLOCK_STEP_S:
        turn.tell(turn.event(EventKind.CLOCK_STEPPED, detail=messages.ClockStepped(ahead_s - was_ahead_s)))


def _count(turn: Turn) -> None:
    """Add what flowed since the last reading to the session's numbers; what was not read is a gap, not a guess."""
    state, session = turn.state, turn.state.session
    peak = peak_ma(state.watch.reading)
    if session is None or state.phase not in LIVE_PHASES or peak is None:
        return
    since_s = state.now_s - session.read_s if session.read_s is not None else 0.0
    was, counted_s = session.numbers, since_s if since_s <= GAP_S and peak >= ZERO_MA else 0.0
    numbers = Numbers(
        was.elapsed_s,
        was.on_time_s + counted_s,
        max(was.peak_ma, peak),
        was.charge_uc + charge_uc(peak, session.plan.pulse_width_us) * session.plan.frequency_hz * counted_s,
        was.gaps + (since_s > GAP_S),
    )
    turn.change_session(numbers=numbers, read_s=state.now_s)


def _judge_pads(turn: Turn) -> None:
    """The trend while pulses flow: degraded is told once, before it is so bad that output ends."""
    state, session = turn.state, turn.state.session
    reading = state.watch.reading
    impedance_ohm = number(reading.impedance_ohm) if reading is not None else None
    if session is None or state.phase is not Phase.RUNNING or state.watch.flowing_s is None or impedance_ohm is None:
        return
    judged = contact(impedance_ohm, session.baseline_ohm)
    turn.change_session(contact=judged, degraded=session.degraded or judged is Contact.DEGRADED)
    if judged is Contact.DEGRADED and not session.degraded:
        measured = messages.Measured("impedance_ohm", impedance_ohm, session.baseline_ohm)
        turn.tell(turn.event(EventKind.ELECTRODE_DEGRADED, detail=measured))


def _judge_battery(turn: Turn) -> None:
    """Low is told once in a session, with slack, so that a reading at the bound is not told again and again."""
    state, percent = turn.state, battery_pct(turn.state)
    if percent is None:
        return
    was_low = state.battery_low
    is_low = percent < BATTERY_START_PCT + (BATTERY_RECOVERED_PCT if was_low else 0.0)
    turn.change(battery_low=is_low)
    if is_low and not was_low and state.phase in LIVE_PHASES:
        measured = messages.Measured("battery_pct", percent, BATTERY_START_PCT)
        turn.tell(turn.event(EventKind.BATTERY_LOW, detail=measured))


# Faults that latch also where no session is live. The others say something about a session, or nothing.
_LATCHES_ANYWHERE = frozenset({Cause.OUTPUT_STUCK, Cause.PATIENT_STOP})


def _act_on_findings(turn: Turn) -> None:
    state, session = turn.state, turn.state.session
    allowed_ma = presses.ceiling_ma(session).value if session is not None else None
    baseline_ohm = session.baseline_ohm if session is not None else None
    found = faults.findings(state.watch, state.now_s, state.drive, allowed_ma, baseline_ohm)
    for finding in found:
        is_live = turn.state.phase in LIVE_PHASES
        if is_live or finding.cause in _LATCHES_ANYWHERE:
            _act_on(turn, finding, is_new=finding.cause not in state.active)
    turn.change(active=frozenset(finding.cause for finding in found))


def _act_on(turn: Turn, finding: Finding, is_new: bool) -> None:
    told = (turn.event(finding.kind, finding.cause, finding.measured),) if is_new else ()
    match CONSEQUENCES[finding.cause].ending:
        case Ending.LATCHES:
            latch(turn, finding.cause, *told)
        case Ending.PAUSES if turn.state.phase is Phase.RUNNING:
            turn.change_session(contact=pads(turn.state))
            pause(turn, finding.cause, *told)
        case _:
            end(turn, finding.cause, *told)


def _finish_stops(turn: Turn) -> None:
    """A stop is done when its latch is on disk and a peak read after that, since zero was ordered, was zero."""
    state, reading = turn.state, turn.state.watch.reading
    peak = peak_ma(reading)
    is_zero = state.watch.zero_measured and not state.drive.enabled and peak is not None
    if reading is None or not is_zero or reading.taken_s < state.written_s:
        return
    done = [stop for stop in state.stops if stop.write_n <= state.written_n]
    turn.tell(*(Acknowledge(stop.command_id, AckStatus.DONE, amplitude_ma=peak) for stop in done))
    turn.change(stops=tuple(stop for stop in state.stops if stop not in done))


def _note_trouble(turn: Turn) -> None:
    """A reset waits until nothing of this was seen for 3 s."""
    state, reading = turn.state, turn.state.watch.reading
    is_quiet = (
        reading is not None
        and peak_ma(reading) is not None
        and state.watch.zero_measured
        and not state.active
        and not reading.hand_switch_pressed
    )
    if not is_quiet:
        turn.change(trouble_s=state.now_s)


def _sample(turn: Turn, tick: Tick) -> None:
    state, session = turn.state, turn.state.session
    is_due = state.now_s - state.sampled_s >= sample_period_s(state) - SAMPLE_SLACK_S
    if not is_due and state.phase is state.sampled_phase:
        return
    reading = state.watch.reading
    is_live = state.phase in LIVE_PHASES
    margin_s = session.permission.margin_s(state.now_s) if session is not None else -math.inf
    peak = peak_ma(reading)
    telemetry = messages.Telemetry(
        boot_n=state.durable.boot_n,
        seq=state.seq,
        at="",
        phase=state.phase,
        session_id=session.session_id if session is not None else None,
        elapsed_s=session.numbers.elapsed_s if session is not None else 0.0,
        setting_ma=_shown_setting_ma(state),
        amplitude_ma=min(peak, 1000.0) if peak is not None else None,
        pulse_width_us=session.plan.pulse_width_us if session is not None else 0.0,
        frequency_hz=session.plan.frequency_hz if session is not None else 0.0,
        impedance_ohm=_within(reading.impedance_ohm, 0.0, 1e7) if reading is not None else None,
        battery_pct=_within(reading.battery_pct, 0.0, 100.0) if reading is not None else None,
        temperature_c=_within(reading.temperature_c, -100.0, 300.0) if reading is not None else None,
        lease_margin_s=number(margin_s),
        settings_version=settings_version(state),
        late=False,
    )
    sent = Sent(state.seq, tick.now_s, session.session_id if session is not None and is_live else None)
    turn.change(seq=state.seq + 1, sent=state.sent.noted(sent), sampled_s=state.now_s, sampled_phase=state.phase)
    turn.tell(Sample(tick.now_s, telemetry))


def _shown_setting_ma(state: State) -> float:
    """What the therapist set; on the way down at the end, what is left of it."""
    if state.session is None:
        return 0.0
    return state.drive.setting_ma if state.phase is Phase.STOPPING else state.session.setting_ma


def _within(value: float | None, low: float, high: float) -> float | None:
    """A reading as a message may carry it: at the bound where it lies beyond."""
    measured = number(value)
    return None if measured is None else max(low, min(measured, high))


# --- the fleet --------------------------------------------------------------------------------------------------------


def _heard(turn: Turn, heard: Heard) -> None:
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
    session = turn.state.session
    permission = commands.judge_lease(turn.state, lease, retained)
    if isinstance(permission, Unanswerable) or session is None:
        turn.change(leases_refused=turn.state.leases_refused + 1)
        reason = commands.TOLD_OF_LEASES.get(permission) if isinstance(permission, Unanswerable) else None
        if reason is not None:
            _tell_refusal(turn, "lease", None, reason)
        return
    margin_s = session.permission.margin_s(turn.state.now_s)
    least_s = session.margin_least_s
    if math.isfinite(margin_s):
        least_s = margin_s if least_s is None else min(least_s, margin_s)
    turn.change_session(permission=permission, margin_least_s=least_s)
    turn.change_durable(fleet_n=max(turn.state.durable.fleet_n, lease.fleet_n))
    turn.save()


def _command(turn: Turn, command: commands.Command, retained: bool) -> None:
    known = commands.remembered(turn.state, command.command_id)
    if known is not None:
        turn.tell(Acknowledge(known.command_id, known.status, known.reason))
        return
    turn.tell(Acknowledge(command.command_id, AckStatus.RECEIVED))
    reason = commands.judge(turn.state, command, retained)
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
    turn.change_durable(holds=after)
    turn.save()
    lifted: list[tuple[Scope, str | None]] = [(Scope.DEVICE, each) for each in before.device if each not in after.device]
    lifted += [(Scope.ALL, each) for each in before.all if each not in after.all]
    lifted += [(Scope.SERVICE, None)] if before.service and not after.service else []
    turn.tell(
        *(turn.event(EventKind.HOLD_LIFTED, detail=messages.HoldChanged(scope, each)) for scope, each in lifted)
    )


def _settings(turn: Turn, settings: messages.Settings) -> None:
    """Keep a higher version. What is tighter holds at once, also for a session; what is looser, from the next one."""
    state, session = turn.state, turn.state.session
    if settings.version <= settings_version(state):
        return
    turn.change_durable(settings=settings)
    is_new_hold = settings.service_hold and not state.durable.holds.service
    told: tuple[Output, ...] = ()
    if is_new_hold:
        turn.change_durable(holds=replace(state.durable.holds, service=True))
        told = (turn.event(EventKind.HOLD_SET, detail=messages.HoldChanged(Scope.SERVICE, None)),)
    if session is not None:
        turn.change_session(limits=session.limits.tightened(settings.limits))
    if is_new_hold and state.phase in LIVE_PHASES:
        latch(turn, Cause.RULE_STOP, *told)
    elif session is not None and (is_new_hold or not _keeps_limits(turn, settings)):
        end(turn, Cause.CANCELLED, *told)
    else:
        turn.save()
        turn.tell(*told)
        _lower_to_limit(turn)


def _keeps_limits(turn: Turn, settings: messages.Settings) -> bool:
    session = turn.state.session
    return session is not None and interlock.pulse_within(session.plan, settings.limits)


def _lower_to_limit(turn: Turn) -> None:
    session = turn.state.session
    if session is not None and session.setting_ma > presses.ceiling_ma(session).value:
        _set(turn, presses.ceiling_ma(session).value)


def _tell_refusal(turn: Turn, channel: str, command_id: str | None, reason: CommandRefusal) -> None:
    """Report a refusal, once a burst."""
    key, now_s = f"{channel} {reason.value}", turn.state.now_s
    lately = tuple((each, at_s) for each, at_s in turn.state.told_s if now_s - at_s < BURST_S)
    if key not in dict(lately):
        lately = (*lately, (key, now_s))
        refused = messages.CommandRefused(channel, command_id, reason)
        turn.tell(turn.event(EventKind.COMMAND_REFUSED, detail=refused))
    turn.change(told_s=lately)


def _heard_stop(turn: Turn, heard: HeardStop) -> None:
    """Always obeyed. What cannot be believed, or names a cause that would not latch, is an emergency stop."""
    stop, holds = heard.stop, turn.state.durable.holds
    cause = stop.cause if stop is not None and CONSEQUENCES[stop.cause].latches else Cause.EMERGENCY_STOP
    told: tuple[Output, ...] = ()
    if stop is None or stop.hold:
        held = commands.holding(holds, heard.scope, heard.hold_id)
        turn.change_durable(holds=held)
        if held != holds:
            told = (turn.event(EventKind.HOLD_SET, detail=messages.HoldChanged(heard.scope, heard.hold_id)),)
    if stop is not None:
        told = (Acknowledge(stop.command_id, AckStatus.RECEIVED), *told)
    latch(turn, cause, *told)
    if stop is not None:
        others = tuple(each for each in turn.state.stops if each.command_id != stop.command_id)
        pending = (*others, PendingStop(stop.command_id, turn.state.ordered_n))
        turn.change(stops=pending[-STOPS_PENDING:])


# --- the person at the device -----------------------------------------------------------------------------------------


def _pressed(turn: Turn, pressed: Pressed) -> None:
    words = presses.refusal(turn.state, pressed)
    if words is not None:
        turn.tell(Reply(pressed.press_id, False, words))
        return
    match pressed.press:
        case Press.ARM:
            _arm(turn, pressed)
        case Press.DISARM:
            _disarm(turn, pressed)
        case Press.START:
            _start(turn, pressed)
        case Press.RAISE | Press.LOWER:
            _change_setting(turn, pressed)
        case Press.PAUSE:
            pause(turn, None)
            turn.tell(Reply(pressed.press_id, True, "Paused. Setting 0."))
        case Press.RESUME:
            _resume(turn, pressed)
        case Press.STOP:
            end(turn, Cause.THERAPIST_STOP)
            turn.tell(Reply(pressed.press_id, True, "Stopping."))
        case Press.STOP_BUTTON:
            latch(turn, Cause.PATIENT_STOP, turn.event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP))
            turn.tell(Reply(pressed.press_id, True, "Stopped and latched."))
        case Press.RESET:
            _reset(turn, pressed)
        case _:
            assert_never(pressed.press)


def _arm(turn: Turn, pressed: Pressed) -> None:
    """The marker first: armed once it is on disk. The answer comes then."""
    session = turn.state.session
    turn.change_durable(live_session_id=session.session_id if session is not None else None)
    turn.change(arming=Arming(pressed.press_id, turn.save()))


def _written(turn: Turn, written: Written) -> None:
    state = turn.state
    written_n = max(state.written_n, written.write_n)
    unwritten_s = math.inf if written_n >= state.ordered_n else state.now_s
    turn.change(written_n=written_n, written_s=state.now_s, unwritten_s=unwritten_s)
    arming = state.arming
    if arming is None or written_n < arming.write_n:
        return
    turn.change(arming=None, marker=state.durable.live_session_id, phase=Phase.ARMED)
    turn.tell(turn.event(EventKind.SESSION_ARMED))
    turn.tell(Reply(arming.press_id, True, "Armed. Setting 0."))


def _disarm(turn: Turn, pressed: Pressed) -> None:
    turn.change(phase=Phase.AUTHORISED, marker=None)
    turn.change_durable(live_session_id=None)
    turn.save()
    turn.tell(turn.event(EventKind.SESSION_DISARMED), Reply(pressed.press_id, True, "Disarmed."))


def _start(turn: Turn, pressed: Pressed) -> None:
    reading = turn.state.watch.reading
    turn.change_session(baseline_ohm=number(reading.impedance_ohm) if reading is not None else None)
    turn.tell(turn.event(EventKind.SESSION_STARTED))
    _run(turn)
    turn.tell(Reply(pressed.press_id, True, "Running. Setting 0."))


def _resume(turn: Turn, pressed: Pressed) -> None:
    session = turn.state.session
    if session is not None:
        turn.change_session(paused_s=session.paused_s + turn.state.now_s - session.paused_from_s)
    turn.tell(turn.event(EventKind.SESSION_RESUMED))
    _run(turn)
    turn.tell(Reply(pressed.press_id, True, "Running. Setting 0."))


def _run(turn: Turn) -> None:
    """From 0, with a fresh eye on sensor and pads."""
    turn.change_session(setting_ma=0.0, contact=Contact.GOOD, degraded=False)
    watch = replace(turn.state.watch, raw_amplitude=None, raw_repeats=0, flowing_s=None)
    turn.change(phase=Phase.RUNNING, watch=watch)


def _change_setting(turn: Turn, pressed: Pressed) -> None:
    state, session = turn.state, turn.state.session
    if session is None:
        raise ValueError("a setting belongs to a session")
    if pressed.press is Press.LOWER:
        _set(turn, max(0.0, session.setting_ma - pressed.step_ma))
    else:
        raised_ma = presses.raised_ma(session, pressed.step_ma)
        rise_s = (raised_ma - session.setting_ma) / session.limits.setting_rise_ma_per_s_max.value
        turn.change_session(raise_from_s=state.now_s + rise_s)
        _set(turn, raised_ma)
    setting_ma = turn.state.session.setting_ma if turn.state.session is not None else 0.0
    turn.tell(Reply(pressed.press_id, True, f"Setting {setting_ma:.1f} mA."))


def _set(turn: Turn, setting_ma: float) -> None:
    turn.change_session(setting_ma=setting_ma)
    turn.tell(turn.event(EventKind.SETTING_CHANGED, detail=messages.SettingChanged(setting_ma)))


def _reset(turn: Turn, pressed: Pressed) -> None:
    cause = turn.state.durable.latch
    fresh = Durable(turn.state.durable.boot_n)
    turn.change_durable(latch=fresh.latch, reset_by=fresh.reset_by)
    turn.change(phase=Phase.IDLE)
    turn.save()
    turn.tell(turn.event(EventKind.LATCH_RESET, cause), Reply(pressed.press_id, True, "Reset."))
