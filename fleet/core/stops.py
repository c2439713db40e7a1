"""Stops: ordered, sent, and followed until zero is measured on every device concerned (contract.md, rule 2).

A stop is confirmed by the device's `done` with its measured current, or by its own later telemetry below 1 mA in a
phase that is not live; a missing measurement is never zero. Until then it is sent again. Where a session was live or
current was measured, A01 opens when zero is not confirmed in time (H12), naming room and device.

Holds: the newest of a scope is retained at the broker; a birth that lists none of them gets it again.
"""

from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause
from broker.contract.limits import ZERO_MA
from broker.contract.messages import LIVE_PHASES, Ack, AckStatus, Birth, Telemetry
from broker.contract.topics import ALL
from fleet.core.effects import Answer, Ordered, SendStop
from fleet.core.events import (
    ConfirmedBy,
    SessionCancelled,
    SessionState,
    SessionWithheld,
    StopConfirmed,
    StopOrdered,
    StopPublished,
    StopReceived,
    StopTarget,
    StopUnconfirmed,
    WithheldFor,
)
from fleet.core.inputs import PushStop, StopSent
from fleet.core.state import NO_SEQ, OpenStop, Pursuit, Session
from fleet.core.turn import Turn, label, wall_time

REPEAT_AFTER_S = 0.3  # beyond ramp and pulse period: design.md "A stop"
UNCONFIRMED_AFTER_S = 1.0  # the same, domain.md A01
QUIET_REPEAT_S = 5.0  # a device that was not live: its hold is retained, and it speaks every 5 s
FLEET = "fleet"


# --- ordering -------------------------------------------------------------------------------------------------------


def pushed(turn: Turn, heard: PushStop) -> None:
    """Emergency stop from a person: never refused, also for a device that nobody knows."""
    where = ALL if heard.device is None else heard.device
    stop = order(turn, where, Cause.EMERGENCY_STOP, heard.reason, heard.issued_by)
    turn.after_commit(Answer(heard.request_id, Ordered(stop.command_id)))


def order(turn: Turn, where: str, cause: Cause, reason: str, issued_by: str = FLEET) -> messages.Stop:
    """Stop a device, or all. From now on no session there is leased."""
    stop = messages.Stop(
        command_id=turn.new_id("stop"),
        cause=cause,
        hold=CONSEQUENCES[cause].holds,
        issued_by=label(issued_by),
        issued_at=wall_time(turn.wall_s),
    )
    _send(turn, where, stop)
    targets = tuple(_target(turn, name) for name in _devices(turn, where))
    turn.happened(StopOrdered(**turn.at, device=where, stop=stop, reason=reason, targets=targets))
    for target in targets:
        if target.session_id is not None:
            _withdraw(turn, turn.state.durable.sessions[target.session_id], stop)
    return stop


def _devices(turn: Turn, where: str) -> list[str]:
    if where != ALL:
        return [where]
    durable = turn.state.durable
    return list(dict.fromkeys([*durable.registry.devices, *durable.devices]))


def _target(turn: Turn, name: str) -> StopTarget:
    state = turn.state
    device = state.device(name)
    session = state.session_on(device)
    if session is not None and not session.open:
        session = None
    seen = state.newest(name)
    sample = None if seen is None else seen.sample
    return StopTarget(
        device=name,
        urgent=(session is not None and session.state is not SessionState.AUTHORISED)
        or (sample is not None and (sample.phase in LIVE_PHASES or (sample.amplitude_ma or 0.0) >= ZERO_MA)),
        pulse_period_s=_pulse_period_s(session, sample),
        boot_n=device.boot_n,
        after_seq=NO_SEQ if sample is None else sample.seq,
        session_id=None if session is None else session.session_id,
    )


def _pulse_period_s(session: Session | None, sample: Telemetry | None) -> float:
    """Of the train that may be running; 0 where none is known of."""
    frequencies_hz = [] if session is None else [session.plan.frequency_hz]
    if sample is not None and sample.frequency_hz > 0.0:
        frequencies_hz.append(sample.frequency_hz)
    return max((1.0 / frequency_hz for frequency_hz in frequencies_hz), default=0.0)


def _withdraw(turn: Turn, session: Session, stop: messages.Stop) -> None:
    if session.state is SessionState.AUTHORISED:
        turn.happened(
            SessionCancelled(
                **turn.at, session_id=session.session_id, command_id=stop.command_id, issued_by=stop.issued_by
            )
        )
    elif session.withheld is None:
        turn.happened(SessionWithheld(**turn.at, session_id=session.session_id, reason=WithheldFor.STOP))


def _send(turn: Turn, where: str, stop: messages.Stop) -> None:
    turn.state.fleeting.note_sent(_sending(stop), turn.now_s)
    turn.at_once(SendStop(where, stop))


def _sending(stop: messages.Stop) -> str:
    return f"stop/{stop.command_id}"


# --- following ------------------------------------------------------------------------------------------------------


def sent(turn: Turn, heard: StopSent) -> None:
    """The performer's report; the first one counts, repeats say the same."""
    stop = turn.state.durable.stops.get(heard.command_id)
    if stop is not None and stop.sent_s is None:
        turn.happened(StopPublished(**turn.at, command_id=heard.command_id, hold_id=heard.hold_id, sent_s=heard.sent_s))


def seen(turn: Turn, name: str, sample: Telemetry) -> None:
    """A newest sample may show zero. It is newer than all before the order: `heard_up_to` keeps that over a restart.

    Before a stop was sent it shows nothing about it.
    """
    amplitude_ma = sample.amplitude_ma
    if sample.phase in LIVE_PHASES or amplitude_ma is None or not amplitude_ma < ZERO_MA:
        return
    for stop in list(turn.state.durable.stops.values()):
        pursuit = stop.pursuits.get(name)
        if pursuit is not None and stop.sent_s is not None:
            _confirm(turn, stop, pursuit, ConfirmedBy.TELEMETRY, amplitude_ma)


def acknowledged(turn: Turn, name: str, ack: Ack) -> None:
    """An ack of a stop: received, or done with the measured current. Zero is below 1 mA, and never missing."""
    stop = turn.state.durable.stops.get(ack.command_id)
    pursuit = None if stop is None else stop.pursuits.get(name)
    if stop is None or pursuit is None:
        return
    if ack.status is AckStatus.RECEIVED and not pursuit.received:
        turn.happened(
            StopReceived(
                **turn.at,
                command_id=ack.command_id,
                device=name,
                sent_to_received_s=None if stop.sent_s is None else turn.now_s - stop.sent_s,
            )
        )
    elif ack.status is AckStatus.DONE and ack.amplitude_ma is not None and ack.amplitude_ma < ZERO_MA:
        _confirm(turn, stop, pursuit, ConfirmedBy.ACK, ack.amplitude_ma)


def _confirm(turn: Turn, stop: OpenStop, pursuit: Pursuit, by: ConfirmedBy, amplitude_ma: float | None) -> None:
    turn.happened(
        StopConfirmed(
            **turn.at,
            command_id=stop.stop.command_id,
            device=pursuit.target.device,
            by=by,
            amplitude_ma=amplitude_ma,
            cause_to_sent_s=None if stop.sent_s is None else stop.sent_s - stop.ordered_s,
            sent_to_received_s=pursuit.sent_to_received_s,
            sent_to_zero_s=None if stop.sent_s is None else turn.now_s - stop.sent_s,
        )
    )


def confirmed_off(turn: Turn, name: str) -> bool:
    """A person says that the device is off; True where a stop was open there."""
    confirmed = False
    for stop in list(turn.state.durable.stops.values()):
        pursuit = stop.pursuits.get(name)
        if pursuit is not None:
            _confirm(turn, stop, pursuit, ConfirmedBy.PERSON, None)
            confirmed = True
    return confirmed


def pursued(turn: Turn, name: str) -> bool:
    """Whether a stop is on its way to this device."""
    return any(name in stop.pursuits for stop in turn.state.durable.stops.values())


def chase(turn: Turn) -> None:
    """Send again what is not confirmed, and open A01 where zero does not come."""
    for stop in list(turn.state.durable.stops.values()):
        ramp_s = CONSEQUENCES[stop.stop.cause].ramp_s
        for pursuit in stop.pursuits.values():
            waited_s = turn.now_s - stop.ordered_s
            due_s = ramp_s + pursuit.target.pulse_period_s + UNCONFIRMED_AFTER_S
            if pursuit.target.urgent and not pursuit.unconfirmed and waited_s >= due_s:
                _unconfirmed(turn, stop, pursuit.target.device, waited_s)
        period_s = _repeat_s(turn, stop, ramp_s)
        sent_s = turn.state.fleeting.sent_s.get(_sending(stop.stop))
        if period_s is not None and (sent_s is None or turn.now_s - sent_s >= period_s):
            _send(turn, stop.device, stop.stop)


def _repeat_s(turn: Turn, stop: OpenStop, ramp_s: float) -> float | None:
    """How long after a sending the next one follows; None where only lost devices are left that were not live: they
    come back into the retained hold.
    """
    urgent = [p.target.pulse_period_s for p in stop.pursuits.values() if p.target.urgent]
    if urgent or stop.sent_s is None:
        return ramp_s + min(urgent, default=0.0) + REPEAT_AFTER_S
    reachable = any(not turn.state.device(name).lost for name in stop.pursuits)
    return QUIET_REPEAT_S if reachable else None


def _unconfirmed(turn: Turn, stop: OpenStop, name: str, waited_s: float) -> None:
    registered = turn.state.registered(name)
    turn.happened(
        StopUnconfirmed(
            **turn.at,
            command_id=stop.stop.command_id,
            device=name,
            room="" if registered is None else registered.room,
            cause=stop.stop.cause,
            waited_s=waited_s,
        )
    )


# --- holds ----------------------------------------------------------------------------------------------------------


def hold_again(turn: Turn, name: str, birth: Birth) -> None:
    """A birth that lists none of the holds that it should: the newest is sent again."""
    for where, listed in ((name, birth.holds.device), (ALL, birth.holds.all)):
        holds = turn.state.durable.holds.get(where, ())
        known = [hold for hold in holds if hold.hold_id is not None]
        if known and not birth.holds.more and not any(hold.hold_id in listed for hold in known):
            _send(turn, where, known[-1].stop)
