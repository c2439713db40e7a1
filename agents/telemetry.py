"""The samples: when one is due, what it says, and that it was sent, so that it can be answered."""

import math

from agents.faults import number, peak_ma
from agents.state import State, sample_period_s, settings_version
from agents.steps import Sample, Tick
from agents.turn import Turn
from broker.contract import messages
from broker.contract.messages import LIVE_PHASES, Phase
from broker.contract.permission import Sent

SAMPLE_SLACK_S = 0.025  # half a tick: a period is kept on the average


def due_now(turn: Turn) -> None:
    """Whatever the period: a fleet that has not heard an idle device yet waits 5 s for it otherwise."""
    turn.change(sampled_s=-math.inf)


def sample(turn: Turn, tick: Tick) -> None:
    """Send a sample where its period is over or the phase is another one. Sent when the measuring began."""
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
