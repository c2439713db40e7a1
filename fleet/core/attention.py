"""What people do with an alarm: acknowledge, accept, reject, shelve, comment. Refusals are values.

The rules of this file:
- Acknowledging silences this occurrence for ten minutes at most. It clears nothing: the alarm stays open while its
  condition lasts, a device's latch is reset at the device, and what latched in the list stays there as acknowledged.
- Accepting is acknowledging with a name; it runs out like it. Rejecting has the next one told at once.
- A shelf has a reason and an end, at most eight hours ahead. A01 to A03 are never shelved.
- A higher priority sounds again whatever was said before (`fold_attention.changed`).
"""

from typing import TypedDict, assert_never

from broker.contract.causes import AlarmCode
from fleet.core import paging
from fleet.core.alarm_events import SignalState
from fleet.core.alarm_inputs import (
    AcceptAlarm,
    AcknowledgeAlarm,
    Asked,
    CommentAlarm,
    RejectAlarm,
    ShelveAlarm,
    UnshelveAlarm,
)
from fleet.core.alarm_state import Alarm
from fleet.core.attention_state import ACKNOWLEDGED_S, AT_ONCE, SHELVED_S_MAX
from fleet.core.effects import Answer, Ordered, Refused
from fleet.core.events import (
    AlarmAccepted,
    AlarmAcknowledged,
    AlarmCommented,
    AlarmRejected,
    AlarmShelved,
    AlarmUnshelved,
)
from fleet.core.fold_alarms import key_of
from fleet.core.refusals import Refusal, Rule, RuleLayer
from fleet.core.state import Durable
from fleet.core.turn import Turn


class _Of(TypedDict):
    now_s: float
    wall_s: float
    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None


def of(turn: Turn, alarm: Alarm) -> _Of:
    """What every event about an alarm says."""
    return {
        **turn.at,
        "alarm_id": alarm.alarm_id,
        "code": alarm.code,
        "device": alarm.device,
        "room": alarm.room,
    }


def asked(turn: Turn, heard: Asked) -> None:
    """A person's word on one alarm."""
    alarm, is_open = _find(turn, heard)
    if alarm is None:
        refusal: Refusal | None = Refusal(rule=Rule.ALARM_UNKNOWN, layer=RuleLayer.FLEET)
    else:
        refusal = _refusal(turn, heard, alarm, is_open=is_open)
    if alarm is None or refusal is not None:
        turn.after_commit(Answer(heard.request_id, Refused(() if refusal is None else (refusal,))))
        return
    _settle(turn, heard, alarm)
    turn.after_commit(Answer(heard.request_id, Ordered(alarm.alarm_id)))


def standing(durable: Durable, alarm_id: str) -> str | None:
    """Where the open alarm is that somebody means who was told of this one: it, or what its messages go on as."""
    for where, alarm in durable.alarms.items():
        if alarm.alarm_id == alarm_id:
            return where
    for where, one in durable.attention.items():
        if alarm_id in one.before and where in durable.alarms:
            return where
    return None


def _find(turn: Turn, heard: Asked) -> tuple[Alarm | None, bool]:
    """The alarm that somebody means, and whether it is open.

    Who was told of something that has come and gone meanwhile means what is there now: the messages are one series.
    """
    durable = turn.state.durable
    where = standing(durable, heard.alarm_id)
    past = next((past.alarm for past in durable.past_alarms if past.alarm.alarm_id == heard.alarm_id), None)
    latched = isinstance(heard, AcknowledgeAlarm) and past is not None and past.signal.state is SignalState.LATCHED
    means_past = latched or (isinstance(heard, CommentAlarm) and past is not None)
    if where is not None and not means_past:
        return durable.alarms[where], True
    return past, False


def _refusal(turn: Turn, heard: Asked, alarm: Alarm, *, is_open: bool) -> Refusal | None:
    latched = isinstance(heard, AcknowledgeAlarm) and alarm.signal.state is SignalState.LATCHED
    if not is_open and not latched and not isinstance(heard, CommentAlarm):
        return Refusal(rule=Rule.ALARM_OVER, layer=RuleLayer.FLEET)
    if isinstance(heard, UnshelveAlarm) and alarm.signal.state is not SignalState.SHELVED:
        return Refusal(rule=Rule.NOT_SHELVED, layer=RuleLayer.FLEET)
    if not isinstance(heard, ShelveAlarm):
        return None
    if alarm.code in AT_ONCE:
        return Refusal(rule=Rule.ALARM_NEVER_SHELVED, layer=RuleLayer.DOMAIN, quantity=alarm.code.value)
    ahead_s = heard.until_wall_s - turn.wall_s
    if not 0.0 < ahead_s <= SHELVED_S_MAX:
        return Refusal(
            rule=Rule.SHELF_END, layer=RuleLayer.DOMAIN, quantity="ahead_s", value=ahead_s, limit=SHELVED_S_MAX
        )
    return None


def _settle(turn: Turn, heard: Asked, alarm: Alarm) -> None:
    about, by, until_s = of(turn, alarm), heard.issued_by, turn.now_s + ACKNOWLEDGED_S
    match heard:
        case AcknowledgeAlarm():
            turn.happened(AlarmAcknowledged(**about, issued_by=by, until_s=until_s))
            paging.tell_taken(turn, key_of(alarm), alarm.alarm_id, by)
        case AcceptAlarm():
            turn.happened(AlarmAccepted(**about, issued_by=by, until_s=until_s))
            paging.tell_taken(turn, key_of(alarm), alarm.alarm_id, by)
        case RejectAlarm(reason=reason):
            turn.happened(AlarmRejected(**about, issued_by=by, reason=reason))
            paging.go_on(turn, key_of(alarm))
        case ShelveAlarm(reason=reason, until_wall_s=until_wall_s):
            until_s = turn.now_s + (until_wall_s - turn.wall_s)
            shelved = AlarmShelved(**about, issued_by=by, reason=reason, until_s=until_s, until_wall_s=until_wall_s)
            turn.happened(shelved)
            paging.tell_taken(turn, key_of(alarm), alarm.alarm_id, by)
        case UnshelveAlarm():
            turn.happened(AlarmUnshelved(**about, issued_by=by))
        case CommentAlarm(text=text):
            turn.happened(AlarmCommented(**about, issued_by=by, text=text))
        case _:
            assert_never(heard)
