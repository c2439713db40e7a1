"""Stops: ordered, sent, and followed until zero is measured on every device concerned (contract.md, rule 2).

A stop is confirmed by the device's `done` with its measured current, or by its own later telemetry below 1 mA in a
phase that is not live; a missing measurement is never zero. Until then it is sent again. Where a session was live or
current is measured, before the stop or after it, A01 opens when zero is not confirmed in time (H12), naming room and
device.

Holds: the newest of a scope is retained at the broker; a birth that lists none of them gets it again.
"""

from collections.abc import Container
from dataclasses import replace

from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, Cause
from broker.contract.limits import ENVELOPE, ZERO_MA
from broker.contract.messages import LIVE_PHASES, Ack, AckStatus, Birth, Telemetry
from broker.contract.topics import ALL, RESERVED_IDS
from fleet.core.effects import Answer, Ordered, Refused, SendStop
from fleet.core.events import (
    ConfirmedBy,
    SessionCancelled,
    SessionState,
    SessionWithheld,
    StopConfirmed,
    StopFoundLive,
    StopOrdered,
    StopPublished,
    StopPushedAgain,
    StopReceived,
    StopTarget,
    StopUnconfirmed,
    WithheldFor,
)
from fleet.core.inputs import PushStop, StopSent
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.state import NO_SEQ, OpenStop, Pursuit, Session
from fleet.core.turn import Turn, label, wall_time

REPEAT_AFTER_S = 0.3  # beyond ramp and pulse period: design.md "A stop"
UNCONFIRMED_AFTER_S = 1.0  # the same, domain.md A01
QUIET_REPEAT_S = 5.0  # a device that was not live: its hold is retained, and it speaks every 5 s
ALARMED_REPEAT_S = 5.0  # A01 is open: a person is on the way, and the other devices of the site have long obeyed
FLEET = "fleet"


# --- ordering -------------------------------------------------------------------------------------------------------


def pushed(turn: Turn, heard: PushStop) -> None:
    """Emergency stop from a person: never refused, also for a device that nobody knows. Only the names that no device
    can have lead nowhere.

    One emergency stop of a scope follows a device: what an open one follows already is not followed twice.
    """
    where = ALL if heard.device is None else heard.device
    if where in RESERVED_IDS - {ALL}:
        unknown = Refusal(rule=Rule.DEVICE_UNKNOWN, layer=RuleLayer.FLEET)
        turn.after_commit(Answer(heard.request_id, Refused((unknown,))))
        return
    earlier = [stop for stop in turn.state.durable.stops.values() if _emergency_stop_of(stop, where)]
    followed = {name for stop in earlier for name in stop.pursuits}
    if earlier and followed.issuperset(_devices(turn, where)):
        stop = earlier[-1].stop
        _push_again(turn, where, stop, heard)
    else:
        stop = order(turn, where, Cause.EMERGENCY_STOP, heard.reason, heard.issued_by, followed=followed)
    turn.after_commit(Answer(heard.request_id, Ordered(stop.command_id)))


def _emergency_stop_of(stop: OpenStop, where: str) -> bool:
    return stop.device == where and stop.stop.cause is Cause.EMERGENCY_STOP


def _push_again(turn: Turn, where: str, stop: messages.Stop, heard: PushStop) -> None:
    """Every device concerned is followed already: the same stop goes out again, at once. Whatever was live when it
    was pushed first is withheld since then, and what came to life later was found by its samples.
    """
    _send(turn, where, stop)
    turn.happened(
        StopPushedAgain(
            **turn.at,
            command_id=stop.command_id,
            device=where,
            issued_by=label(heard.issued_by),
            reason=heard.reason,
        )
    )


def order(
    turn: Turn, where: str, cause: Cause, reason: str, issued_by: str = FLEET, *, followed: Container[str] = ()
) -> messages.Stop:
    """Stop a device, or all. From now on no session there is leased. What is `followed` already is not followed by
    this stop too.
    """
    stop = messages.Stop(
        command_id=turn.new_id("stop"),
        cause=cause,
        hold=CONSEQUENCES[cause].holds,
        issued_by=label(issued_by),
        issued_at=wall_time(turn.wall_s),
    )
    _send(turn, where, stop)
    targets = tuple(_target(turn, name) for name in _devices(turn, where) if name not in followed)
    turn.happened(StopOrdered(**turn.at, device=where, stop=stop, reason=reason, targets=targets))
    for target in targets:
        if target.session_id is not None:
            _withdraw(turn, turn.state.durable.sessions[target.session_id], stop)
    return stop


def _devices(turn: Turn, where: str) -> list[str]:
    if where != ALL:
        return [where]
    durable = turn.state.durable
    return [name for name in dict.fromkeys([*durable.registry.devices, *durable.devices]) if _followed(turn, name)]


def _followed(turn: Turn, name: str) -> bool:
    """One off the list that is not heard cannot show zero, and would be waited for for ever: it gets the stop only."""
    device = turn.state.device(name)
    registered = turn.state.registered(name)
    session = turn.state.session_on(device)
    listed = registered is not None and not registered.struck_off
    return listed or not device.lost or (session is not None and session.open)


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
        or (sample is not None and _live(sample)),
        pulse_period_s=_pulse_period_s(session, sample),
        boot_n=device.boot_n,
        after_seq=NO_SEQ if sample is None else sample.seq,
        session_id=None if session is None else session.session_id,
    )


def _pulse_period_s(session: Session | None, sample: Telemetry | None) -> float:
    """Of the train that may be running; 0 where none is known of. A frequency that no plan may have is the device's
    word only, and must not put off the repeat or A01.
    """
    frequencies_hz = [] if session is None else [session.plan.frequency_hz]
    if sample is not None and sample.frequency_hz > 0.0:
        frequencies_hz.append(max(sample.frequency_hz, ENVELOPE.frequency_hz_min.value))
    return max((1.0 / frequency_hz for frequency_hz in frequencies_hz), default=0.0)


def _live(sample: Telemetry) -> bool:
    return sample.phase in LIVE_PHASES or (sample.amplitude_ma or 0.0) >= ZERO_MA


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
    """A newest sample may show zero, or what was not known of when the stop was ordered. It is newer than all before
    the order: `heard_up_to` keeps that over a restart. Zero before a stop was sent says nothing about it.
    """
    live, amplitude_ma = _live(sample), sample.amplitude_ma
    for stop, pursuit in _pursuits(turn, name):
        if live and pursuit.urgent_s is None:
            _found_live(turn, stop, pursuit, sample)
        elif not live and amplitude_ma is not None and stop.sent_s is not None:
            _confirm(turn, stop, pursuit, ConfirmedBy.TELEMETRY, amplitude_ma)


def _pursuits(turn: Turn, name: str) -> list[tuple[OpenStop, Pursuit]]:
    """The stops that follow a device, oldest first."""
    durable = turn.state.durable
    stops = [durable.stops[command_id] for command_id in durable.pursued.get(name, ())]
    return [(stop, stop.pursuits[name]) for stop in stops]


def _found_live(turn: Turn, stop: OpenStop, pursuit: Pursuit, sample: Telemetry) -> None:
    turn.happened(
        StopFoundLive(
            **turn.at,
            command_id=stop.stop.command_id,
            device=pursuit.target.device,
            boot_n=sample.boot_n,
            seq=sample.seq,
            phase=sample.phase,
            amplitude_ma=sample.amplitude_ma,
            pulse_period_s=max(pursuit.pulse_period_s, _pulse_period_s(None, sample)),
        )
    )


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
    pursuits = _pursuits(turn, name)
    for stop, pursuit in pursuits:
        _confirm(turn, stop, pursuit, ConfirmedBy.PERSON, None)
    return bool(pursuits)


def pursued(turn: Turn, name: str) -> bool:
    """Whether a stop is on its way to this device."""
    return name in turn.state.durable.pursued


def chase(turn: Turn) -> None:
    """Send again what is not confirmed, and open A01 where zero does not come."""
    for stop in list(turn.state.durable.stops.values()):
        ramp_s = CONSEQUENCES[stop.stop.cause].ramp_s
        for name, pursuit in stop.pursuits.items():
            due_s = ramp_s + pursuit.pulse_period_s + UNCONFIRMED_AFTER_S
            if pursuit.urgent_s is None or turn.now_s - pursuit.urgent_s < due_s:
                continue
            if not pursuit.unconfirmed:
                _unconfirmed(turn, stop, name, turn.now_s - pursuit.urgent_s)
            if stop.sent_s is not None and turn.due(f"{_sending(stop.stop)}/{name}", ALARMED_REPEAT_S):
                turn.at_once(SendStop(name, _to_one(stop, name)))
        period_s = _repeat_s(turn, turn.state.durable.stops[stop.stop.command_id], ramp_s)
        if period_s is not None and turn.due(_sending(stop.stop), period_s):
            turn.at_once(SendStop(stop.device, stop.stop))


def _to_one(stop: OpenStop, name: str) -> messages.Stop:
    """The stop as one device gets it alone. The hold of another scope stays where it is retained."""
    return stop.stop if stop.device == name else replace(stop.stop, hold=False)


def _repeat_s(turn: Turn, stop: OpenStop, ramp_s: float) -> float | None:
    """How long after a sending to its scope the next one follows; None where only devices are left that have their
    own (A01), and lost ones that were not live: they come back into the retained hold.
    """
    waiting = {name: p for name, p in stop.pursuits.items() if not p.unconfirmed}
    urgent = [p.pulse_period_s for p in waiting.values() if p.urgent_s is not None]
    if urgent or stop.sent_s is None:
        return ramp_s + min(urgent, default=0.0) + REPEAT_AFTER_S
    reachable = any(not turn.state.device(name).lost for name in waiting)
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
