"""What a tick does: the readings are judged, counted and acted on, and a session that has stopped is ended."""

from agents import faults
from agents.faults import Finding, number, peak_ma
from agents.state import BATTERY_RECOVERED_PCT, Numbers, battery_pct, is_answering, pads
from agents.steps import Acknowledge, Tick
from agents.turn import GAP_S, Turn, end, latch, pause, settle
from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause, Ending
from broker.contract.limits import BATTERY_END_PCT, BATTERY_START_PCT, ZERO_MA, Contact, charge_uc, contact
from broker.contract.messages import LIVE_PHASES, AckStatus, EventKind, Phase

GONE_S = 1.0  # a fault that was gone for less is the same occurrence: a bouncing switch is told once
CLOCK_STEP_S = 0.5  # wall against boot time, between two ticks: reported, decides nothing


def read(turn: Turn, tick: Tick) -> None:
    """One reading, or its absence."""
    state = turn.state
    watch = faults.watched(state.watch, state.now_s, tick.reading, state.drive)
    turn.change(watch=watch, ticked_s=state.now_s)
    _step_of_the_wall_clock(turn, tick)
    _count(turn)
    _judge_pads(turn)
    _judge_battery(turn)
    _act_on_findings(turn)
    settle(turn)
    _finish_stops(turn)
    _note_trouble(turn)
    if turn.state.phase in {Phase.IDLE, Phase.FAULT}:
        # Also for a second after a start: until zero has been measured nobody knows that it is fine.
        is_fine = is_answering(turn.state) and turn.state.watch.zero_measured
        turn.change(phase=Phase.IDLE if is_fine else Phase.FAULT)


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
    """Low is told once in a session; low and empty with slack, so that a reading at the bound is one occurrence."""
    state, percent = turn.state, battery_pct(turn.state)
    if percent is None:
        return
    was_low = state.battery_low
    is_low = percent < BATTERY_START_PCT + (BATTERY_RECOVERED_PCT if was_low else 0.0)
    is_empty = percent < BATTERY_END_PCT + (BATTERY_RECOVERED_PCT if state.battery_empty else 0.0)
    turn.change(battery_low=is_low, battery_empty=is_empty)
    if is_low and not was_low and state.phase in LIVE_PHASES:
        measured = messages.Measured("battery_pct", percent, BATTERY_START_PCT)
        turn.tell(turn.event(EventKind.BATTERY_LOW, detail=measured))


# Faults that latch also where no session is live. The others say something about a session, or nothing.
_LATCHES_ANYWHERE = frozenset({Cause.OUTPUT_STUCK, Cause.PATIENT_STOP, Cause.WATCHDOG_TRIPPED})


def _act_on_findings(turn: Turn) -> None:
    state, session = turn.state, turn.state.session
    baseline_ohm = session.baseline_ohm if session is not None else None
    found = faults.findings(state.watch, state.now_s, state.drive, baseline_ohm)
    seen_s = {cause: at_s for cause, at_s in state.seen_s if state.now_s - at_s <= GONE_S}
    for finding in found:
        is_live = turn.state.phase in LIVE_PHASES
        if is_live or finding.cause in _LATCHES_ANYWHERE:
            _act_on(turn, finding, is_new=finding.cause not in seen_s)
            seen_s[finding.cause] = state.now_s
    turn.change(active=frozenset(finding.cause for finding in found), seen_s=tuple(seen_s.items()))


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
    """A reset waits until nothing of this was seen for 3 s. An empty battery keeps nobody from resetting a latch."""
    state, reading = turn.state, turn.state.watch.reading
    is_quiet = (
        reading is not None
        and peak_ma(reading) is not None
        and state.watch.zero_measured
        and not state.active - {Cause.BATTERY_EMPTY}
        and not reading.hand_switch_pressed
    )
    if not is_quiet:
        turn.change(trouble_s=state.now_s)
