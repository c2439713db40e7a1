"""Leases: the fleet's verdict on every newest sample of a live session, and nothing else (contract.md, rule 1).

A sample gets a lease when it is inside every limit of its session, judged by the settings version that it names.
Three verdicts are not a lease:
- left out: this sample is not good enough (a reading is missing, an electrode is bad, other settings); the next may be;
- violation: the device did what it must never do. The session is withheld for good and stopped by rule;
- withheld: there was a violation or a stop; silence until the session is over.
Late and overtaken samples are judged for violations all the same, and never answered. (Right after a restart the newest
sample is known only from the journal, which has not every one: a replayed sample may be answered once more. That is
worth nothing: the agent has accepted a newer lease, or counts the lease from when that sample was sent.)
"""

from dataclasses import replace
from functools import reduce

from broker.contract.causes import Cause
from broker.contract.limits import (
    BATTERY_END_PCT,
    ENVELOPE,
    FROZEN_READINGS,
    OVER_TEMPERATURE_C,
    RELATIVE_TOLERANCE,
    ZERO_MA,
    Breach,
    Contact,
    Layer,
    Limit,
    Limits,
    allowed_peak_ma,
    contact,
    exceeds,
    falls_short,
    over_limit_threshold_ma,
)
from broker.contract.messages import Lease, Phase, Telemetry
from broker.contract.plan import Plan
from broker.contract.topics import Channel
from fleet.core import configuration, rises, sessions, stops, withdrawals
from fleet.core.effects import Count, SendLease
from fleet.core.events import (
    BaselineMeasured,
    LimitExceeded,
    SensorFlatlined,
    SessionState,
    SessionWithheld,
    WithheldFor,
)
from fleet.core.state import Bounds, Device, FlatLine, Session
from fleet.core.turn import Turn

SETTLING_S = 1.5
SETTINGS_GRACE_S = 5.0  # for a new version to arrive: contract.md, rule 7
# Paused and stopping mean zero: a ramp, the longest pulse period, 200 ms of output_stuck, and a sample of delay.
ZERO_AFTER_S = 3.0
_COMES_TO_ZERO = frozenset({SessionState.PAUSED, SessionState.STOPPING})
_SET_TO_ZERO = frozenset({Phase.ARMED, Phase.PAUSED})
_ZERO = Limit(ZERO_MA, Layer.ENVELOPE)


def answer(turn: Turn, device: Device, session: Session, sample: Telemetry) -> None:
    """Lease, leave out, or stop."""
    if session.withheld is not None or withdrawals.stop_held(turn, session):
        return
    bounds = _bounds(turn, device, session, sample, keep=True)
    if bounds is None:
        _leave_out(turn, device, "settings_unknown")
        return
    too_fast = rises.too_fast(turn, session, bounds.limits, sample, newest=True)
    breach = _violation(turn, bounds, sample) or _output_after_end(turn, session, sample) or too_fast
    if breach is not None:
        _violated(turn, session, breach)
        return
    if _flat(turn, session, sample):
        return
    reason = _shortcoming(turn, device, session, sample)
    if reason is not None:
        _leave_out(turn, device, reason)
        return
    sessions.keep_time(turn, session, sample.elapsed_s)
    if stops.pursued(turn, device.device):
        return
    turn.at_once(
        SendLease(
            device.device,
            Lease(
                turn.state.durable.fleet_n,
                sample.boot_n,
                session.session_id,
                sample.seq,
                min(session.authorisation.lease_ttl_ms, turn.state.durable.registry.clinic.lease_ttl_ms),
            ),
        )
    )


def judge_only(turn: Turn, device: Device, sample: Telemetry) -> None:
    """A late or overtaken sample: a violation is one whenever it is heard of, while its session lasts."""
    session = turn.state.session_on(device)
    if session is None or not session.live or session.withheld is not None:
        return
    if sample.session_id != session.session_id or sample.boot_n != session.authorisation.boot_n:
        return
    bounds = _bounds(turn, device, session, sample, keep=False)
    if bounds is None:
        return
    too_fast = rises.too_fast(turn, session, bounds.limits, sample, newest=False)
    breach = _violation(turn, bounds, sample) or too_fast
    if breach is not None:
        _violated(turn, session, breach)


def _leave_out(turn: Turn, device: Device, reason: str) -> None:
    turn.at_once(Count(device.device, Channel.LEASE, reason))


# --- violations -----------------------------------------------------------------------------------------------------


def _bounds(turn: Turn, device: Device, session: Session, sample: Telemetry, *, keep: bool) -> Bounds | None:
    """What the sample is compared with, remembered while settings and pulse stay the same. None: no such settings.

    Newer settings that are looser change nothing for the session that is on (contract.md, rule 7): the device keeps the
    strictest that it had, and so does what is remembered. Where nothing is remembered, a fleet was restarted and cannot
    know which ones the device had: all of them up to the one that it names. A late or overtaken sample is judged by
    those that it names, and remembered as nothing (not `keep`).
    """
    remembered = turn.state.fleeting.bounds.get(device.device)
    if (
        remembered is not None
        and remembered.session_id == session.session_id
        and remembered.settings_version == sample.settings_version
        and remembered.pulse_width_us == sample.pulse_width_us
        and remembered.frequency_hz == sample.frequency_hz
    ):
        return remembered
    settings = configuration.named(device, sample.settings_version)
    if settings is None:
        return None
    limits = session.authorisation.limits.tightened(settings.limits)
    if remembered is None or remembered.session_id != session.session_id:
        bounds = _worked_out(
            turn, session, limits.tightened(since_it_began(device, session, sample.settings_version)), sample
        )
    elif sample.settings_version < remembered.settings_version:
        return _worked_out(turn, session, limits, sample)
    else:
        bounds = _worked_out(turn, session, remembered.limits.tightened(limits), sample)
        # The peak is measured over up to a second, so the first samples under tighter settings still show the past.
        over_ma = max(bounds.peak_over_ma, remembered.peak_over_ma)
        bounds = replace(bounds, settled_s=turn.now_s + SETTLING_S, settling_over_ma=over_ma)
    if keep:
        turn.state.fleeting.bounds[device.device] = bounds
    return bounds


def since_it_began(device: Device, session: Session, settings_version: int) -> Limits:
    """The strictest of all settings that were issued since the session was authorised, before the version named."""
    began = (settings for settings in device.older_settings if settings.version > session.settings_version)
    named = (settings.limits for settings in began if settings.version < settings_version)
    return reduce(Limits.tightened, named, session.outgrown or ENVELOPE)


def _worked_out(turn: Turn, session: Session, limits: Limits, sample: Telemetry) -> Bounds:
    plan = session.plan
    pulse = plan
    if sample.pulse_width_us > 0.0 and sample.frequency_hz > 0.0:
        # Never below the envelope's floors: a pulse that is too weak is told by them, and one of almost nothing is
        # no divisor.
        pulse = replace(
            plan,
            pulse_width_us=max(sample.pulse_width_us, ENVELOPE.pulse_width_us_min.value),
            frequency_hz=max(sample.frequency_hz, ENVELOPE.frequency_hz_min.value),
        )
    setting = allowed_peak_ma(limits, plan)
    peak = allowed_peak_ma(limits, pulse)
    peak_over_ma = over_limit_threshold_ma(peak.value) * (1.0 + RELATIVE_TOLERANCE)
    return Bounds(
        session_id=session.session_id,
        settings_version=sample.settings_version,
        limits=limits,
        pulse_width_us=sample.pulse_width_us,
        frequency_hz=sample.frequency_hz,
        setting=setting,
        setting_over_ma=setting.value * (1.0 + RELATIVE_TOLERANCE),
        peak=peak,
        peak_over_ma=peak_over_ma,
        settled_s=turn.now_s,
        settling_over_ma=peak_over_ma,
        too_high=_pulse_too_high(plan, limits, sample),
        too_low=_pulse_too_low(limits, sample),
    )


def _pulse_too_high(plan: Plan, limits: Limits, sample: Telemetry) -> Breach | None:
    for quantity, value, limit in (
        ("pulse_width_us", sample.pulse_width_us, limits.pulse_width_us_max),
        ("pulse_width_us", sample.pulse_width_us, Limit(plan.pulse_width_us, Layer.PLAN)),
        ("frequency_hz", sample.frequency_hz, limits.frequency_hz_max),
        ("frequency_hz", sample.frequency_hz, Limit(plan.frequency_hz, Layer.PLAN)),
    ):
        if exceeds(value, limit.value):
            return Breach(quantity, value, limit)
    return None


def _pulse_too_low(limits: Limits, sample: Telemetry) -> Breach | None:
    for quantity, value, limit in (
        ("pulse_width_us", sample.pulse_width_us, limits.pulse_width_us_min),
        ("frequency_hz", sample.frequency_hz, limits.frequency_hz_min),
    ):
        if falls_short(value, limit.value):
            return Breach(quantity, value, limit)
    return None


def _violation(turn: Turn, bounds: Bounds, sample: Telemetry) -> Breach | None:
    """The worst that a sample shows: measured output first.

    A session that newer settings forbid ends by itself: on the way to zero its setting and its pulse are those that
    were allowed before.
    """
    amplitude_ma = sample.amplitude_ma
    settling = turn.now_s < bounds.settled_s
    gives_way = sample.phase is Phase.STOPPING and turn.now_s < bounds.settled_s - SETTLING_S + ZERO_AFTER_S
    if amplitude_ma is not None:
        over_ma = bounds.settling_over_ma if settling else bounds.peak_over_ma
        if amplitude_ma > over_ma:
            return Breach("amplitude_ma", amplitude_ma, Limit(over_ma, bounds.peak.layer))
        if amplitude_ma >= ZERO_MA and sample.phase is Phase.ARMED:
            return Breach("amplitude_ma", amplitude_ma, _ZERO)  # test pulses, and noise, are below it
        if amplitude_ma >= ZERO_MA and bounds.too_low is not None and not gives_way:
            return bounds.too_low
    if sample.setting_ma > bounds.setting_over_ma and not gives_way:
        return Breach("setting_ma", sample.setting_ma, bounds.setting)
    if sample.temperature_c is not None and sample.temperature_c > OVER_TEMPERATURE_C:
        return Breach("temperature_c", sample.temperature_c, Limit(OVER_TEMPERATURE_C, Layer.ENVELOPE))
    return None if gives_way else bounds.too_high


def _output_after_end(turn: Turn, session: Session, sample: Telemetry) -> Breach | None:
    """Output in a pause, or at the end of a session, that does not go away."""
    amplitude_ma = sample.amplitude_ma
    if session.state not in _COMES_TO_ZERO or amplitude_ma is None or amplitude_ma < ZERO_MA:
        return None
    if turn.now_s - session.since_s < ZERO_AFTER_S:
        return None
    return Breach("amplitude_ma", amplitude_ma, _ZERO)


def _violated(turn: Turn, session: Session, breach: Breach) -> None:
    turn.happened(
        LimitExceeded(
            **turn.at,
            session_id=session.session_id,
            device=session.device,
            quantity=breach.quantity,
            value=breach.value,
            limit=breach.limit,
        )
    )
    _withhold(turn, session, WithheldFor.LIMIT, breach.quantity)


def _withhold(turn: Turn, session: Session, reason: WithheldFor, quantity: str) -> None:
    turn.happened(SessionWithheld(**turn.at, session_id=session.session_id, reason=reason))
    stops.order(turn, session.device, Cause.RULE_STOP, quantity)


def _flat(turn: Turn, session: Session, sample: Telemetry) -> bool:
    """Ten identical readings under current: the sensor is not measuring (H17). OFF phases and pauses do not count.

    Current and impedance together: a peak alone, read to 0.05 mA, repeats by chance once in some thousand sessions.
    """
    amplitude_ma = sample.amplitude_ma
    if sample.phase is not Phase.RUNNING or amplitude_ma is None or amplitude_ma < ZERO_MA:
        return False
    before = turn.state.fleeting.flat_lines.get(session.device)
    readings = 1
    if (
        before is not None
        and before.session_id == session.session_id
        and before.amplitude_ma == amplitude_ma
        and before.impedance_ohm == sample.impedance_ohm
    ):
        readings = before.readings + 1
    flat = FlatLine(session.session_id, amplitude_ma, sample.impedance_ohm, readings)
    turn.state.fleeting.flat_lines[session.device] = flat
    if readings < FROZEN_READINGS:
        return False
    turn.happened(
        SensorFlatlined(
            **turn.at,
            session_id=session.session_id,
            device=session.device,
            amplitude_ma=amplitude_ma,
            readings=readings,
        )
    )
    _withhold(turn, session, WithheldFor.FLAT_LINE, "flat_line")
    return True


# --- what is not good enough for a lease ----------------------------------------------------------------------------


def _shortcoming(turn: Turn, device: Device, session: Session, sample: Telemetry) -> str | None:
    """Why this one sample gets no lease, though it breaks no limit."""
    settings = device.settings
    if (
        settings is not None
        and settings.version != sample.settings_version
        and turn.now_s - device.settings_since_s >= SETTINGS_GRACE_S
    ):
        return "settings_old"
    if sample.setting_ma > 0.0 and sample.phase in _SET_TO_ZERO:
        return "setting_not_zero"  # whoever started or resumed there would not start from 0 (H03)
    if sample.amplitude_ma is None or sample.temperature_c is None or sample.battery_pct is None:
        return "reading_missing"
    if sample.battery_pct < BATTERY_END_PCT:
        return "battery_empty"
    tested = sample.phase is Phase.ARMED or (sample.phase is Phase.RUNNING and sample.amplitude_ma >= ZERO_MA)
    if not tested:
        return None
    judged = contact(sample.impedance_ohm, session.baseline_ohm)
    running = sample.phase is Phase.RUNNING  # the agent's baseline, too, is of the start
    if judged is Contact.GOOD and running and session.baseline_ohm is None and sample.impedance_ohm is not None:
        turn.happened(BaselineMeasured(**turn.at, session_id=session.session_id, impedance_ohm=sample.impedance_ohm))
    return None if judged in {Contact.GOOD, Contact.DEGRADED} else f"electrode_{judged}"
