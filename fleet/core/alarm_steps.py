"""Raising, changing and clearing one alarm: the three events, made."""

from dataclasses import replace
from typing import TypedDict

from broker.contract.causes import AlarmCode
from fleet.core.alarm_events import AlarmChanged, AlarmCleared, AlarmRaised, Priority, SignalState, Why
from fleet.core.alarm_state import SITE, Alarm, key
from fleet.core.alarm_table import FIRST_SIGNAL, Row
from fleet.core.conditions import Present
from fleet.core.session_events import SessionState
from fleet.core.turn import Turn

# Gravest first.
RANK = {priority: rank for rank, priority in enumerate(Priority)}


class _Of(TypedDict):
    now_s: float
    wall_s: float
    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None
    why: Why
    session_id: str | None


def _of(turn: Turn, alarm: Alarm) -> _Of:
    return {
        **turn.at,
        "alarm_id": alarm.alarm_id,
        "code": alarm.code,
        "device": alarm.device,
        "room": alarm.room,
        "why": alarm.why,
        "session_id": alarm.session_id,
    }


def is_due(turn: Turn, row: Row, present: Present) -> bool:
    """Whether a condition has been present for the row's on-delay."""
    return present.since_s is None or turn.now_s - present.since_s >= row.on_delay_s


def raise_at(turn: Turn, row: Row, place: str, present: Present) -> None:
    """Open the alarm of one device, or of the site."""
    device = None if place == SITE else place
    priority = present.priority or row.priority
    turn.happened(
        AlarmRaised(
            **turn.at,
            alarm_id=turn.new_id(key(row.code, place)),
            code=row.code,
            device=device,
            room=None if device is None else room_of(turn, device),
            priority=priority,
            signal=row.first_signal(priority),
            why=present.why,
            session_id=_session_id(turn, place),
            since_s=turn.now_s if present.since_s is None else present.since_s,
        )
    )


def raise_group(turn: Turn, row: Row, room: str | None, why: Why, members: dict[str, float]) -> None:
    """Open one alarm for many devices of a room, or of the site."""
    turn.happened(
        AlarmRaised(
            **turn.at,
            alarm_id=turn.new_id(f"{row.code}/{room}"),
            code=row.code,
            device=None,
            room=room,
            priority=row.priority,
            signal=row.first_signal(row.priority),
            why=why,
            session_id=None,
            since_s=min(members.values()),
            members=members,
        )
    )


def room_of(turn: Turn, device: str) -> str | None:
    """Where the clinic says that a device stands."""
    registered = turn.state.registered(device)
    return None if registered is None else registered.room


def _session_id(turn: Turn, place: str) -> str | None:
    """The session that an alarm of a device is about: the one that is on, or that left the latch."""
    session = turn.state.session_on(turn.state.device(place))
    if session is None or not (session.open or session.state is SessionState.STOPPED_LATCHED):
        return None
    return session.session_id


def keep(turn: Turn, row: Row, alarm: Alarm, present: Present) -> None:
    """The condition lasts: a higher priority counts at once, a lower one not before the row's off-delay; a signal that
    was held back comes on in its time, and one whose priority is low now waits for the digest.
    """
    priority = present.priority or row.priority
    rises = RANK[priority] < RANK[alarm.priority]
    settled = row.lowers and turn.now_s - alarm.changed_s >= row.off_delay_s
    if not rises and not settled:
        priority = alarm.priority
    signal = alarm.signal.state
    if signal is SignalState.HELD_BACK:
        if turn.now_s - alarm.signal.since_s >= row.held_back_s:
            signal = SignalState.ON
    elif rises or (signal is SignalState.ON and FIRST_SIGNAL[priority] is SignalState.DIGEST):
        signal = row.first_signal(priority)
    if (priority, signal) != (alarm.priority, alarm.signal.state):
        of = _of(turn, alarm)
        if priority is not alarm.priority and row.restates:
            of["why"] = present.why
        turn.happened(AlarmChanged(**of, priority=priority, signal=signal))


def join(turn: Turn, alarm: Alarm, joined: dict[str, float]) -> None:
    """More devices of the same loss."""
    turn.happened(AlarmChanged(**_of(turn, alarm), priority=alarm.priority, signal=alarm.signal.state, joined=joined))


def leave(turn: Turn, row: Row, alarm: Alarm, places: list[str], grouped_into: str | None = None) -> None:
    """The condition is gone at these places: with the last of them the alarm is cleared."""
    if len(alarm.members) > len(places):
        turn.happened(
            AlarmChanged(**_of(turn, alarm), priority=alarm.priority, signal=alarm.signal.state, left=tuple(places))
        )
        return
    left = SignalState.OFF
    if alarm.signal.state is SignalState.ON and row.latching:
        left = SignalState.LATCHED
    elif alarm.signal.state is SignalState.ACKNOWLEDGED and row.latching:
        left = SignalState.ACKNOWLEDGED  # somebody has taken note already; nothing of it is wiped away
    elif alarm.signal.state in {SignalState.HELD_BACK, SignalState.DIGEST}:
        left = SignalState.DIGEST
    turn.happened(AlarmCleared(**_of(turn, alarm), priority=alarm.priority, signal=left, grouped_into=grouped_into))


def with_why(present: Present, why: Why | None) -> Present:
    """A condition for the reasons of an event, where that has any."""
    return present if why is None else replace(present, why=why)
