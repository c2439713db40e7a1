"""What events change about alarms.

Three of them are the alarms' own. The others (`SIGNS`) are folded a second time, for what alarms have to remember of
them: what a device says of itself, and when something was refused or noticed that lasts for a moment only.

What is told late changes nothing. A device's list of what is active is its birth, and it writes a new one whenever that
changes. So an event is news only if it is of the present boot and the device did not stamp it before that birth, by the
one clock that stamped both; otherwise the birth has it already, or it has passed. A step of that clock, if it is news
itself, makes the comparison void until the next birth.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from broker.contract import messages
from broker.contract.causes import CONSEQUENCES, AlarmCode, Cause
from broker.contract.messages import CommandRefusal, Condition, EventKind
from fleet.core import events as e
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_state import NO_SIGNS, SITE, Alarm, PastAlarm, Signal, key, room_key
from fleet.core.refusals import Rule
from fleet.core.state import Durable

PAST_KEPT = 128  # alarms that are over, for people who ask; the journal has them all
_OWED = frozenset({SignalState.LATCHED, SignalState.DIGEST})  # over, and somebody is still to hear of it

ELECTRODE = frozenset({Cause.ELECTRODE_OPEN, Cause.ELECTRODE_SHORT, Cause.ELECTRODE_DEGRADED})
# Found by the device on its own: nobody has measured zero after that.
OUTPUT_AT_FAULT = frozenset(
    {
        Cause.OUTPUT_STUCK,
        Cause.OVER_LIMIT,
        Cause.SENSOR_FROZEN,
        Cause.OVER_TEMPERATURE,
        Cause.SELF_TEST_FAILED,
    }
)
# Such a stop is followed until zero is measured, with its alarm open: unless this journal knows nothing of it.
_FOLLOWED = frozenset({Cause.RULE_STOP, Cause.SESSION_CAP})
_FAULT_KINDS = frozenset(cause.value for cause in OUTPUT_AT_FAULT)
# What the device refused because it was forged, foreign, malformed or recorded.
NOT_THE_FLEETS = frozenset({CommandRefusal.NOT_AUTHENTIC, CommandRefusal.UNREADABLE, CommandRefusal.RETAINED})
_HANDLED = frozenset({EventKind.SESSION_RESUMED, EventKind.SESSION_ENDED})  # pads are good again, or nothing flows


def place_of(durable: Durable, device: str | None) -> str:
    """Where an alarm about a device belongs. Names that nobody registered share the site's: that is bounded."""
    if device is not None and (device in durable.registry.devices or device in durable.devices):
        return device
    return SITE


# --- alarms ---------------------------------------------------------------------------------------------------------


class _Placed(Protocol):
    @property
    def code(self) -> AlarmCode: ...
    @property
    def device(self) -> str | None: ...
    @property
    def room(self) -> str | None: ...


def key_of(event: _Placed) -> str:
    """Where an alarm, or an event about one, has its place in the state."""
    if event.device is None and event.room is not None:
        return room_key(event.code, event.room)
    return key(event.code, SITE if event.device is None else event.device)


def raised(durable: Durable, event: e.AlarmRaised) -> None:
    durable.alarms[key_of(event)] = Alarm(
        alarm_id=event.alarm_id,
        code=event.code,
        device=event.device,
        room=event.room,
        priority=event.priority,
        why=event.why,
        session_id=event.session_id,
        since_s=event.since_s,
        since_wall_s=event.wall_s - (event.now_s - event.since_s),
        changed_s=event.now_s,
        signal=Signal(state=event.signal, since_s=event.now_s),
        members=dict(event.members),
    )


def changed(durable: Durable, event: e.AlarmChanged) -> None:
    alarm = durable.alarms[key_of(event)]
    members = {**alarm.members, **event.joined}
    for name in event.left:
        del members[name]
    same_signal = alarm.signal.state is event.signal
    durable.alarms[key_of(event)] = replace(
        alarm,
        priority=event.priority,
        why=event.why,
        changed_s=alarm.changed_s if alarm.priority is event.priority else event.now_s,
        signal=alarm.signal if same_signal else Signal(state=event.signal, since_s=event.now_s),
        members=members,
    )


def cleared(durable: Durable, event: e.AlarmCleared) -> None:
    alarm = durable.alarms.pop(key_of(event))
    durable.moments.pop(key_of(event), None)
    if event.grouped_into is not None:
        return  # it goes on, under another name
    signal = Signal(state=event.signal, since_s=event.now_s)
    past = PastAlarm(alarm=replace(alarm, signal=signal), cleared_wall_s=event.wall_s)
    durable.past_alarms = _kept((*durable.past_alarms, past))


def _kept(past: tuple[PastAlarm, ...]) -> tuple[PastAlarm, ...]:
    """No more than `PAST_KEPT`. What somebody still has to take note of goes last, and of that what is gravest."""
    if len(past) <= PAST_KEPT:
        return past
    ranks = list(Priority)
    least = min(
        range(len(past)),
        key=lambda n: (past[n].alarm.signal.state in _OWED, -ranks.index(past[n].alarm.priority), n),
    )
    return (*past[:least], *past[least + 1 :])


def rebase(durable: Durable, now_s: float) -> None:
    """The host booted: what was counted in its earlier boot counts from now. Members of a group stay what they are."""
    for where, alarm in durable.alarms.items():
        durable.alarms[where] = replace(
            alarm,
            since_s=None,
            changed_s=now_s,
            signal=replace(alarm.signal, since_s=now_s),
            members=dict.fromkeys(alarm.members),
        )
    for name, signs in durable.signs.items():
        durable.signs[name] = replace(
            signs,
            unzeroed_s=None if signs.unzeroed_s is None else now_s,
            stuck_s=None if signs.stuck_s is None else now_s,
            lost_s=None if signs.lost_s is None else now_s,
            struck_off_s=None if signs.struck_off_s is None else now_s,
        )
    durable.moments = dict.fromkeys(durable.moments, now_s)


# --- what devices say of themselves -----------------------------------------------------------------------------------


def _change(durable: Durable, device: str, **changes: Any) -> None:
    durable.signs[device] = replace(durable.signs.get(device, NO_SIGNS), **changes)


def _said(durable: Durable, device: str, causes: tuple[Cause, ...], now_s: float, again: Cause | None = None) -> None:
    """The causes are these now. A fault of the output that is said anew wants a zero that is measured after it."""
    new = {*causes, again} - set(durable.signs.get(device, NO_SIGNS).causes) | {again}
    followed = key(AlarmCode.A02, device) in durable.alarms
    changes: dict[str, Any] = {"causes": causes}
    if new & (OUTPUT_AT_FAULT if followed else OUTPUT_AT_FAULT | _FOLLOWED):
        changes["unzeroed_s"] = now_s
    if Cause.OUTPUT_STUCK in new:
        changes["stuck_s"] = now_s
    _change(durable, device, **changes)


def born(durable: Durable, event: e.DeviceBorn) -> None:
    """The birth is the truth. It has one word for a pad that is getting worse and one that ended output: that it is
    the second, only an event with its cause says.
    """
    birth = event.birth
    before = durable.signs.get(event.device, NO_SIGNS).causes
    listed = [Cause(condition.value) for condition in birth.conditions if condition is not Condition.BATTERY_LOW]
    if Cause.ELECTRODE_DEGRADED not in before:
        listed = [cause for cause in listed if cause is not Cause.ELECTRODE_DEGRADED]
    causes = listed if birth.latched is None else [birth.latched, *listed]
    _said(durable, event.device, tuple(dict.fromkeys(causes)), event.now_s)
    _change(durable, event.device, battery_low=Condition.BATTERY_LOW in birth.conditions, as_of=birth.at)


def booted(durable: Durable, event: e.DeviceBooted) -> None:
    """Its next birth tells. Until then its events are compared with nothing."""
    _change(durable, event.device, as_of=None)


def enrolled(durable: Durable, event: e.DeviceEnrolled) -> None:
    """Another stimulator or another disk: what the one before said is over. Not its silence, and not an output that has
    not been seen at zero: the stimulator may be the same.
    """
    _change(durable, event.device, causes=(), battery_low=False, as_of=None)


def lost(durable: Durable, event: e.DeviceLost) -> None:
    _change(durable, event.device, lost_s=event.now_s)


def returned(durable: Durable, event: e.DeviceReturned) -> None:
    _change(durable, event.device, lost_s=None)


def is_news(durable: Durable, device: str, event: messages.Event) -> bool:
    """Whether an event tells what no birth has told yet."""
    known = durable.devices.get(device)
    if known is None or event.boot_n != known.boot_n:
        return False
    as_of = durable.signs.get(device, NO_SIGNS).as_of
    if as_of is None or event.at >= as_of:
        return True
    return isinstance(event.detail, messages.ClockStepped) and _set_back_since(as_of, event.at, event.detail.step_s)


def _set_back_since(as_of: str, at: str, step_s: float) -> bool:
    """Whether a clock that was set back was so after that birth: its time before the step is compared, by which the
    birth was stamped. One that cannot be reckoned with is news.
    """
    try:
        return datetime.fromisoformat(at) - timedelta(seconds=step_s) >= datetime.fromisoformat(as_of)
    except (ValueError, OverflowError):  # the contract's pattern lets a 31st of February pass
        return True


def reported(durable: Durable, event: e.DeviceReported) -> None:
    said = event.event
    if not is_news(durable, event.device, said):
        return
    causes = durable.signs.get(event.device, NO_SIGNS).causes
    again = said.cause if said.kind in _FAULT_KINDS else None
    _said(durable, event.device, _after(causes, said), event.now_s, again)
    if said.kind is EventKind.BATTERY_LOW:
        _change(durable, event.device, battery_low=True)
    if said.kind is EventKind.CLOCK_STEPPED:
        _change(durable, event.device, as_of=None)
        _noticed(durable, event.device, event.now_s)
    if isinstance(said.detail, messages.CommandRefused):
        if said.detail.reason in NOT_THE_FLEETS:
            _noticed(durable, event.device, event.now_s)
        elif said.detail.reason is CommandRefusal.BEYOND_LIMITS:
            _refused(durable, event.device, event.now_s)


def _after(causes: tuple[Cause, ...], said: messages.Event) -> tuple[Cause, ...]:
    """What a device says of itself after an event."""
    if said.kind is EventKind.LATCH_RESET:
        return tuple(cause for cause in causes if not CONSEQUENCES[cause].latches)
    if said.kind in _HANDLED:
        causes = tuple(cause for cause in causes if cause not in ELECTRODE)
    lasts = said.cause is not None and CONSEQUENCES[said.cause].alarm is not None and said.cause not in causes
    if said.cause is None or not lasts or (said.kind in _HANDLED and said.cause in ELECTRODE):
        return causes
    return (*causes, said.cause)


def confirmed(durable: Durable, event: e.StopConfirmed | e.ZeroConfirmed) -> None:
    """Zero, measured or seen by a person: nothing flows any more, whatever was at fault."""
    if event.device in durable.signs:  # a name that nobody registered leaves nothing behind
        _change(durable, event.device, unzeroed_s=None, stuck_s=None)


def struck_off(durable: Durable, event: e.RegistryAdopted) -> None:
    """What is live, or lost, on a device that may not speak any more: its end will hardly be reported."""
    for session in durable.sessions.values():
        if session.open and session.state is not e.SessionState.AUTHORISED and _unlisted(durable, session.device):
            _change(durable, session.device, struck_off_s=event.now_s)


def advanced(durable: Durable, event: e.SessionAdvanced) -> None:
    """The same, where it was not live before."""
    device = durable.sessions[event.session_id].device
    if event.to is not e.SessionState.STOPPING and _unlisted(durable, device):
        _change(durable, device, struck_off_s=event.now_s)


def _unlisted(durable: Durable, device: str) -> bool:
    registered = durable.registry.devices.get(device)
    return registered is None or registered.struck_off


def seen_off(durable: Durable, event: e.ZeroConfirmed) -> None:
    """Somebody has looked, or the device has shown it after all."""
    _change(durable, event.device, struck_off_s=None)


# --- what lasts for a moment ------------------------------------------------------------------------------------------


def _refused(durable: Durable, device: str, now_s: float) -> None:
    durable.moments[key(AlarmCode.A06, place_of(durable, device))] = now_s


def _noticed(durable: Durable, device: str | None, now_s: float) -> None:
    durable.moments[key(AlarmCode.A09, place_of(durable, device))] = now_s


def request_refused(durable: Durable, event: e.SessionRefused) -> None:
    if any(refusal.rule is Rule.LIMIT for refusal in event.refusals):
        _refused(durable, event.device, event.now_s)


def declined(durable: Durable, event: e.SessionDeclined) -> None:
    if event.reason is CommandRefusal.BEYOND_LIMITS:
        _refused(durable, durable.sessions[event.session_id].device, event.now_s)


def noticed(durable: Durable, event: e.SecurityNoticed | e.EventConflicted | e.EventUnreadable) -> None:
    _noticed(durable, event.device, event.now_s)


# Folded besides what `evolve.FOLDS` does with them, and after it.
SIGNS: dict[type[e.Event], Callable[[Durable, Any], None]] = {
    e.DeviceBorn: born,
    e.DeviceBooted: booted,
    e.DeviceEnrolled: enrolled,
    e.DeviceLost: lost,
    e.DeviceReturned: returned,
    e.DeviceReported: reported,
    e.StopConfirmed: confirmed,
    e.ZeroConfirmed: seen_off,
    e.RegistryAdopted: struck_off,
    e.SessionAdvanced: advanced,
    e.SessionRefused: request_refused,
    e.SessionDeclined: declined,
    e.SecurityNoticed: noticed,
    e.EventConflicted: noticed,
    e.EventUnreadable: noticed,
}
