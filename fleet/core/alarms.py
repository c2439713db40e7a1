"""Alarms: one row a code. The engine raises, changes and clears; the table says what, for whom, and how fast.

The rules of this file:
- A condition is a pure predicate on the state (`conditions`). An alarm is open from the first time that it is seen
  present until it has been gone for the row's off-delay; there is one for a code and a device, or the site.
- After each decision the conditions that its events point to (`alarm_grounds`) are looked at: what is wrong is raised
  in the same turn, before everything of a lesser code. Time, samples, and what is gone are looked at once a second.
- Reconciled with the device: its newest birth is the truth about its latch and its active conditions, with the events
  that it stamped after it. A birth that lists a cause opens the alarm of that cause where none is open; one that does
  not list it any more clears the alarm, unless the fleet itself still has a ground for it (a stop that is not
  confirmed, a hold, a lost session, a zero that was never measured). What the device does not list, it does not clear.
- A01 to A03 are never grouped, never delayed and never behind anything: they are the first rows of the table.
- Flapping is bounded by the delays: whatever a condition does, its alarm is raised at most once in an off-delay, and
  A01 once in the second for which zero has to be missing. An off-delay begins anew after a restart: an alarm stays a
  little longer then, never shorter. All other times are in the journal and go on where they were.

What people do with an alarm is `attention`; who is told of it, and when, is `paging`. Both go on from `AlarmRaised` and
its `signal`.
"""

from collections.abc import Mapping

from broker.contract.causes import AlarmCode
from fleet.core import alarm_groups, alarm_steps, zero
from fleet.core.alarm_events import Why
from fleet.core.alarm_grounds import GROUNDS
from fleet.core.alarm_state import SITE, key
from fleet.core.alarm_table import ROWS, Row
from fleet.core.conditions import Look, Present
from fleet.core.turn import Turn

LOOK_PERIOD_S = 1.0

Places = Mapping[str, Why | None]  # where a condition may be present, and for what, where an event has said so


def follow(turn: Turn) -> None:
    """Raise what the events of this turn are about. Looks at nothing else, so that an ordinary turn costs nothing."""
    told: dict[AlarmCode, dict[str, Why | None]] = {}
    for event in turn.events:
        grounds = GROUNDS.get(type(event))
        if grounds is not None:
            for ground in grounds(turn.state.durable, event):
                told.setdefault(ground.code, {}).setdefault(ground.place, ground.why)
    if told:
        for code, row in ROWS.items():
            if code in told:
                _settle(turn, row, told[code])


def look(turn: Turn) -> None:
    """Once a second: what time and samples have brought, and what is gone."""
    fleeting = turn.state.fleeting
    if turn.now_s - fleeting.alarms_looked_s < LOOK_PERIOD_S:
        return
    fleeting.alarms_looked_s = turn.now_s
    zero.look(turn)
    seen = Look(turn.state, turn.now_s, turn.wall_s, turn.clock_s)
    places: dict[AlarmCode, dict[str, None]] = {code: dict.fromkeys(row.looked_at(seen)) for code, row in ROWS.items()}
    for alarm in turn.state.durable.alarms.values():
        where = alarm.members or (SITE if alarm.device is None else alarm.device,)
        places[alarm.code].update(dict.fromkeys(where))
    for code, row in ROWS.items():
        _settle(turn, row, places[code])


def _settle(turn: Turn, row: Row, places: Places) -> None:
    """Bring the alarms of one code to what their conditions are."""
    durable, gone_s = turn.state.durable, turn.state.fleeting.gone_s
    seen = Look(turn.state, turn.now_s, turn.wall_s, turn.clock_s)
    grouped = alarm_groups.members(turn, row) if row.grouped and places else {}
    found: dict[str, Present] = {}
    over: dict[str, list[str]] = {}
    for place, why in places.items():
        own = key(row.code, place)
        where = grouped.get(place, own)
        alarm = durable.alarms.get(where)
        present = row.present(seen, place, alarm)
        if present is None:
            if alarm is not None and _is_over(turn, row, own):
                over.setdefault(where, []).append(place)
            continue
        gone_s.pop(own, None)
        if alarm is not None:
            alarm_steps.keep(turn, row, alarm, present)
        else:
            found[place] = alarm_steps.with_why(present, why)
    for where, names in over.items():
        alarm_steps.leave(turn, row, durable.alarms[where], names)
    if found and row.grouped:
        alarm_groups.bring(turn, row, found, grouped)
    else:
        for place, present in found.items():
            if alarm_steps.is_due(turn, row, present):
                alarm_steps.raise_at(turn, row, place, present)


def _is_over(turn: Turn, row: Row, own: str) -> bool:
    """Whether a condition has been gone for the row's off-delay, as often as it was looked at."""
    gone_s = turn.state.fleeting.gone_s
    if turn.now_s - gone_s.setdefault(own, turn.now_s) < row.off_delay_s:
        return False
    del gone_s[own]
    return True
