"""The rota: who is told of what, by which channel, and who is on call when. Pure: what the clinic has set, as a whole.

Where a message truly goes (an address, a token) is not here: the journal keeps none of it. `local_min` are minutes
after local midnight; an hour that a change of clocks leaves out or repeats is what it is by then, or the first of both.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broker.contract.shapes import Strict
from fleet.core.alarm_events import Priority

EVERYONE = "everyone"  # a rung may name a person, a rotation, or this
DAY_S = 86_400.0
COVER_AHEAD_S = DAY_S  # a gap is said this long before it comes

Rungs = tuple[tuple[str, ...], ...]  # lowest first: the people and rotations of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Strict):
    """One way to reach a person, and for which alarms it is used."""

    method: str
    kind: str
    priorities: tuple[Priority, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Strict):
    person: str
    name: str
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Strict):
    """Instead of the rotation's turn; `person` None: nobody. A later one of the list goes before an earlier."""

    person: str | None
    from_wall_s: float
    until_wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation(Strict):
    """A week each, in this order, from `first_day` on; handed over on its weekday. `last_day`: the day it ends."""

    rotation: str
    people: tuple[str, ...]
    first_day: date
    hand_over_local_min: int
    last_day: date | None = None
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet(Strict):
    """Local hours in which nothing of low priority is told; they may go over midnight."""

    from_local_min: int
    until_local_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota(Strict):
    """`rungs` by priority; `engineer_rungs` for alarms that an engineer has to see to, where they are other people."""

    people: dict[str, Person] = field(default_factory=dict)
    rotations: dict[str, Rotation] = field(default_factory=dict)
    rungs: dict[Priority, Rungs] = field(default_factory=dict)
    engineer_rungs: dict[Priority, Rungs] = field(default_factory=dict)
    quiet: Quiet | None = None
    digest_local_min: int = 450
    drill_every_days: int = 7
    drill_local_min: int = 600
    proven_within_days: int = 30


# --- who ------------------------------------------------------------------------------------------------------------


def local_day(wall_s: float, zone: ZoneInfo) -> date:
    """The clinic's date at that moment."""
    return datetime.fromtimestamp(wall_s, zone).date()


def instant(day: date, local_min: int, zone: ZoneInfo) -> float:
    """Unix seconds at which it is that late on that day."""
    return datetime.combine(day, time(*divmod(local_min, 60)), zone).timestamp()


def on_call(rotation: Rotation, wall_s: float, zone: ZoneInfo) -> str | None:
    """Who has the rotation at that moment; None: nobody."""
    for override in reversed(rotation.overrides):
        if override.from_wall_s <= wall_s < override.until_wall_s:
            return override.person
    at_min = rotation.hand_over_local_min
    if wall_s < instant(rotation.first_day, at_min, zone):
        return None
    if rotation.last_day is not None and wall_s >= instant(rotation.last_day, at_min, zone):
        return None
    # The local day says which week it is, but for the hours before the hand-over of its first day.
    week = (local_day(wall_s, zone) - rotation.first_day).days // 7
    if wall_s < instant(rotation.first_day + timedelta(weeks=week), at_min, zone):
        week -= 1
    return rotation.people[week % len(rotation.people)]


def ladder(rota: Rota, priority: Priority, *, engineers: bool) -> Rungs:
    """The rungs of a priority, lowest first."""
    return (engineers and rota.engineer_rungs.get(priority)) or rota.rungs.get(priority, ())


def people_of(rota: Rota, names: Iterable[str], wall_s: float, zone: ZoneInfo) -> list[str]:
    """The people whom a rung names at that moment, each once."""
    found: dict[str, None] = {}
    for name in names:
        if name == EVERYONE:
            found.update(dict.fromkeys(rota.people))
        elif name in rota.rotations:
            person = on_call(rota.rotations[name], wall_s, zone)
            found.update({} if person is None else {person: None})
        else:
            found[name] = None
    return list(found)


def methods_for(rota: Rota, people: Iterable[str], priority: Priority) -> Iterator[tuple[str, Method]]:
    """By which ways they are told of an alarm of this priority."""
    for person in people:
        for method in rota.people[person].methods:
            if priority in method.priorities:
                yield person, method


# --- cover ------------------------------------------------------------------------------------------------------------


def gap(rota: Rota, wall_s: float, zone: ZoneInfo) -> float | None:
    """The first moment from now on, a day ahead, at which a first rung that has to act reaches nobody."""
    first = [rungs[0] for rungs in _to_act(rota.rungs)] + [rungs[0] for rungs in _to_act(rota.engineer_rungs)]
    moments = sorted({wall_s, *(moment for moment in _changes(rota, zone) if 0.0 < moment - wall_s <= COVER_AHEAD_S)})
    for moment in moments:
        if any(not people_of(rota, names, moment, zone) for names in first):
            return moment
    return None


def _to_act(rungs: Mapping[Priority, Rungs]) -> list[Rungs]:
    return [rungs[priority] for priority in (Priority.HIGH, Priority.MEDIUM) if priority in rungs]


def _changes(rota: Rota, zone: ZoneInfo) -> Iterator[float]:
    """When somebody's turn may end with nobody after it."""
    for rotation in rota.rotations.values():
        if rotation.last_day is not None:
            yield instant(rotation.last_day, rotation.hand_over_local_min, zone)
        for override in rotation.overrides:
            yield from (override.from_wall_s, override.until_wall_s)


def is_quiet(rota: Rota, wall_s: float, zone: ZoneInfo) -> bool:
    """Whether what is of low priority waits at that moment."""
    if rota.quiet is None:
        return False
    local = datetime.fromtimestamp(wall_s, zone)
    minute = local.hour * 60 + local.minute
    if rota.quiet.from_local_min <= rota.quiet.until_local_min:
        return rota.quiet.from_local_min <= minute < rota.quiet.until_local_min
    return not rota.quiet.until_local_min <= minute < rota.quiet.from_local_min


def last_at(wall_s: float, local_min: int, zone: ZoneInfo) -> float:
    """The newest moment, up to this one, at which it was that late in a day."""
    today = local_day(wall_s, zone)
    moment = instant(today, local_min, zone)
    return moment if moment <= wall_s else instant(today - timedelta(days=1), local_min, zone)
