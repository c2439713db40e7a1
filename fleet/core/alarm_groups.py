"""Losses that belong together: three or more devices of one room or site lost within 60 s are one alarm.

A group is of one room where all its devices stand there, otherwise of the site; a room's group becomes the site's when
the loss turns out to be wider. Devices that had an alarm of their own by then go on in the group. Nobody is taken out
of a group but by being well again.
"""

from collections.abc import Mapping

from fleet.core import alarm_steps
from fleet.core.alarm_events import Why
from fleet.core.alarm_state import SITE, key, room_key
from fleet.core.alarm_table import Row
from fleet.core.conditions import Present
from fleet.core.turn import Turn

TOGETHER_S = 60.0
TOGETHER_N = 3


def together(since_s: Mapping[str, float | None]) -> list[list[str]]:
    """The names that belong together, earliest first; windows that overlap are one. Only what was lost in the same boot
    of the host is compared: None never is.

    >>> together({"a": 0.0, "b": 30.0, "c": 60.0, "d": 200.0})
    [['a', 'b', 'c']]
    >>> together({"a": 0.0, "b": 30.0, "c": 60.1})
    []
    """
    known = sorted((lost_s, name) for name, lost_s in since_s.items() if lost_s is not None)
    found: list[list[str]] = []
    upto = 0  # the first that is in no window so far
    for first in range(len(known) - TOGETHER_N + 1):
        last = first + TOGETHER_N - 1
        if known[last][0] - known[first][0] > TOGETHER_S:
            continue
        if first >= upto:
            found.append([])
        found[-1] += [name for _, name in known[max(first, upto) : last + 1]]
        upto = last + 1
    return found


def members(turn: Turn, row: Row) -> dict[str, str]:
    """Every device in an open group of this code, with the group's key."""
    alarms = turn.state.durable.alarms.items()
    return {name: where for where, alarm in alarms if alarm.code is row.code for name in alarm.members}


def bring(turn: Turn, row: Row, found: dict[str, Present], grouped: dict[str, str]) -> None:
    """Raise what was found: together what belongs together, the others each by itself when they are due."""
    due = {name for name, present in found.items() if alarm_steps.is_due(turn, row, present)}
    pool: dict[str, float | None] = {
        name: turn.now_s if present.since_s is None else present.since_s for name, present in found.items()
    }
    for alarm in turn.state.durable.alarms.values():
        if alarm.code is row.code:
            pool.update(alarm.members if alarm.device is None else {alarm.device: alarm.since_s})
    for names in together(pool):
        if due.isdisjoint(names):
            continue
        why = next(present.why for name, present in found.items() if name in names)
        _group(turn, row, why, {name: lost_s for name in names if (lost_s := pool[name]) is not None}, grouped)
        due.difference_update(names)
    for name, present in found.items():
        if name in due:
            alarm_steps.raise_at(turn, row, name, present)


def _group(turn: Turn, row: Row, why: Why, names: dict[str, float], grouped: dict[str, str]) -> None:
    """One alarm for all of them: the site's if it has any of them already, or if they stand in several rooms."""
    alarms = turn.state.durable.alarms
    rooms = {alarm_steps.room_of(turn, name) for name in names}
    site = key(row.code, SITE)
    room = next(iter(rooms)) if len(rooms) == 1 and site not in {grouped.get(name) for name in names} else None
    where = site if room is None else room_key(row.code, room)
    joined = {name: lost_s for name, lost_s in names.items() if grouped.get(name) != where}
    if where in alarms:
        alarm_steps.join(turn, alarms[where], joined)
    else:
        alarm_steps.raise_group(turn, row, room, why, joined)
    before: dict[str, list[str]] = {}
    for name in joined:
        before.setdefault(grouped.get(name) or key(row.code, name), []).append(name)
    for was, left in before.items():
        if was in alarms:
            alarm_steps.leave(turn, row, alarms[was], left, grouped_into=alarms[where].alarm_id)
    grouped.update(dict.fromkeys(names, where))
