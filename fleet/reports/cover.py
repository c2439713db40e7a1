"""The rota ahead: who has each rotation from when to when, who a rung reaches, and where it reaches nobody. Pure.

Everything follows from `core.rota.on_call`, asked at each moment at which its answer may change. Moments are Unix
seconds; weeks and hand-overs are the clinic's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from fleet.core.alarm_events import Priority
from fleet.core.rota import Override, Rota, Rotation, Rungs, instant, local_day, on_call, people_of

TO_ACT = (Priority.HIGH, Priority.MEDIUM)  # whose first rung must always reach somebody


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`person` None: nobody. `override`: instead of whose week it is."""

    rotation: str
    person: str | None
    from_s: float
    until_s: float
    override: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A first rung that reaches nobody. `engineers`: of the alarms that an engineer has to see to."""

    priority: Priority
    engineers: bool
    from_s: float
    until_s: float


def turns(rotation: Rotation, from_s: float, until_s: float, zone: ZoneInfo) -> tuple[Turn, ...]:
    """Who has it, without a hole, from one moment to another; what goes on as it was is one turn."""
    found: list[Turn] = []
    for begin_s, end_s in pairwise(sorted({from_s, until_s, *_changes(rotation, from_s, until_s, zone)})):
        person = on_call(rotation, begin_s, zone)
        is_override = any(one.from_wall_s <= begin_s < one.until_wall_s for one in rotation.overrides)
        same = bool(found) and (found[-1].person, found[-1].override) == (person, is_override)
        since_s = found.pop().from_s if same else begin_s
        found.append(
            Turn(rotation=rotation.rotation, person=person, from_s=since_s, until_s=end_s, override=is_override)
        )
    return tuple(found)


def _changes(rotation: Rotation, from_s: float, until_s: float, zone: ZoneInfo) -> Iterator[float]:
    """Every moment in between at which somebody else may have it."""
    at_min = rotation.hand_over_local_min
    days = [] if rotation.last_day is None else [rotation.last_day]
    first = (local_day(from_s, zone) - rotation.first_day).days // 7
    last = (local_day(until_s, zone) - rotation.first_day).days // 7 + 1
    days += [rotation.first_day + timedelta(weeks=week) for week in range(max(0, first), last + 1)]
    moments = [instant(day, at_min, zone) for day in days]
    moments += [edge for one in rotation.overrides for edge in _edges(one)]
    return (moment for moment in moments if from_s < moment < until_s)


def _edges(override: Override) -> tuple[float, float]:
    return override.from_wall_s, override.until_wall_s


def gaps(rota: Rota, from_s: float, until_s: float, zone: ZoneInfo) -> tuple[Gap, ...]:
    """Where a first rung that has to act reaches nobody, the earliest first."""
    edges = {edge for one in rota.rotations.values() for edge in _changes(one, from_s, until_s, zone)}
    moments = sorted({from_s, until_s, *edges})
    found: list[Gap] = []
    for priority, engineers, names in _first_rungs(rota):
        open_since_s: float | None = None
        for moment in moments[:-1]:
            reached = bool(people_of(rota, names, moment, zone))
            if reached and open_since_s is not None:
                found.append(Gap(priority=priority, engineers=engineers, from_s=open_since_s, until_s=moment))
                open_since_s = None
            elif not reached and open_since_s is None:
                open_since_s = moment
        if open_since_s is not None:
            found.append(Gap(priority=priority, engineers=engineers, from_s=open_since_s, until_s=until_s))
    return tuple(sorted(found, key=lambda gap: (gap.from_s, gap.engineers, TO_ACT.index(gap.priority))))


def _first_rungs(rota: Rota) -> Iterator[tuple[Priority, bool, tuple[str, ...]]]:
    for engineers, rungs in enumerate((rota.rungs, rota.engineer_rungs)):
        for priority in TO_ACT:
            of: Rungs = rungs.get(priority, ())
            if of:
                yield priority, bool(engineers), of[0]


def next_change_s(rota: Rota, names: tuple[str, ...], now_s: float, until_s: float, zone: ZoneInfo) -> float | None:
    """When a rung comes to reach other people than it does now; None: not before `until_s`."""
    now = people_of(rota, names, now_s, zone)
    named = [rota.rotations[name] for name in names if name in rota.rotations]
    moments = sorted({edge for one in named for edge in _changes(one, now_s, until_s, zone)})
    return next((moment for moment in moments if people_of(rota, names, moment, zone) != now), None)
