"""Weeks of a clinic as data: who comes when to which device, what becomes of it, and how the devices age. Pure.

The same devices, days and seed give the same weeks. Times are minutes of the clinic's day; every client has a course
of four weeks on fixed weekdays, so that nobody comes too often (domain.md "Dose rules").
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from broker.contract.plan import Plan
from demo.day import USUAL

SLOTS_MIN: Final = (490, 555, 620, 685, 810, 875, 940, 1005)  # 08:10, 09:15, ... with an hour at noon
COURSE_DAYS: Final = 28
BUSY_BY_WEEKDAY: Final = (0.95, 0.9, 0.85, 0.9, 0.55, 0.0, 0.0)
UNDERUSED: Final = 0.12  # of its slots
AGED_FROM: Final = 0.55  # of all weeks: from then on the battery of the weak device does not last the afternoon
DRIFT: Final = 0.55  # what the cable of the drifting device adds to its impedance by the end


class Fate(StrEnum):
    """What becomes of a visit."""

    COMPLETED = "completed"
    STOPPED_EARLY = "stopped_early"  # by the therapist
    PADS = "pads"  # one comes off; it is put back, and the session goes on to its end
    HAND_SWITCH = "hand_switch"
    PUSHED_STOP = "pushed_stop"  # emergency stop from a screen
    LINK_LOST = "link_lost"
    CANCELLED = "cancelled"
    NOBODY_STARTS = "nobody_starts"
    UNFIT = "unfit"  # screening refuses
    TOO_STRONG = "too_strong"  # the plan is beyond the limits
    BATTERY_FLAT = "battery_flat"  # refused for the battery


RARE: Final[Mapping[Fate, float]] = {
    Fate.STOPPED_EARLY: 0.06,
    Fate.PADS: 0.035,
    Fate.HAND_SWITCH: 0.012,
    Fate.PUSHED_STOP: 0.004,
    Fate.CANCELLED: 0.02,
    Fate.NOBODY_STARTS: 0.012,
    Fate.UNFIT: 0.015,
    Fate.TOO_STRONG: 0.01,
}
LINK_LOST_SHARE: Final = 0.05  # of the sessions of the device with the poor link
REFUSED: Final = frozenset({Fate.UNFIT, Fate.TOO_STRONG, Fate.BATTERY_FLAT})
NOT_STARTED: Final = REFUSED | {Fate.CANCELLED, Fate.NOBODY_STARTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVisit:
    """A client comes. `ran_s`: how long the session runs, pauses left out, if it starts; `dryness`: what the device's
    cable adds to the impedance, as a factor.
    """

    day: date
    minute: int
    device: str
    client: str
    fate: Fate
    plan: Plan
    ran_s: float
    level_ma: float
    battery_pct: float
    dryness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Which device plays which part; with few devices some parts are left out."""

    drifts: str | None
    weak: str | None
    poor_link: str | None
    underused: str | None

    @classmethod
    def of(cls, devices: Sequence[str]) -> "Cast":
        parts: list[str | None] = [*devices[1:5], None, None, None, None]
        return cls(drifts=parts[0], weak=parts[1], poor_link=parts[2], underused=parts[3])


def past_days(today: date, weeks: int) -> tuple[date, ...]:
    """The days of so many weeks up to yesterday, from a Monday on."""
    first = today - timedelta(days=7 * weeks)
    first -= timedelta(days=first.weekday())
    return tuple(first + timedelta(days=n) for n in range((today - first).days))


def the_past(devices: Sequence[str], days: Sequence[date], seed: int) -> tuple[PastVisit, ...]:
    """Every visit, in the order in which they come."""
    cast = Cast.of(devices)
    visits = [visit for device in devices for visit in _of_device(device, cast, days, seed)]
    return tuple(sorted(visits, key=lambda visit: (visit.day, visit.minute, visit.device)))


# --- one device -----------------------------------------------------------------------------------------------------


def _of_device(device: str, cast: Cast, days: Sequence[date], seed: int) -> Iterator[PastVisit]:
    chance = random.Random(f"past/{seed}/{device}")
    minutes_late = {slot: chance.randint(0, 20) for slot in SLOTS_MIN}
    for n, day in enumerate(days):
        age = n / len(days)
        battery_pct = chance.uniform(94.0, 99.0)
        for slot in SLOTS_MIN:
            if chance.random() >= _busy(device, cast, day, slot):
                continue
            visit = PastVisit(
                day=day,
                minute=slot + minutes_late[slot] + chance.randint(0, 6),
                device=device,
                client=_client(device, slot, days[0], day, seed),
                fate=_fate(device, cast, chance),
                plan=_plan(chance),
                ran_s=0.0,
                level_ma=2.0 * chance.randint(4, 9),
                battery_pct=round(battery_pct, 1),
                dryness=1.0 + (DRIFT * age if device == cast.drifts else 0.0),
            )
            if battery_pct < 20.0:
                visit = replace(visit, fate=Fate.BATTERY_FLAT)
            visit = replace(visit, ran_s=_ran_s(visit, chance))
            yield visit
            battery_pct -= _drained_pct(visit, device, cast, age) + chance.uniform(0.5, 1.5)
            battery_pct = max(battery_pct, 9.0)


def _busy(device: str, cast: Cast, day: date, slot: int) -> float:
    busy = BUSY_BY_WEEKDAY[day.weekday()]
    if device == cast.underused:
        return busy * UNDERUSED
    return busy * (0.75 if slot > 900 else 0.9)


def _client(device: str, slot: int, first: date, day: date, seed: int) -> str:
    """Mondays, Wednesdays and Fridays it is one, Tuesdays and Thursdays another; after four weeks two others."""
    course, group = (day - first).days // COURSE_DAYS, day.weekday() % 2
    return f"past-{random.Random(f'{seed}/{device}/{slot}/{course}/{group}').getrandbits(40):010x}"


def _fate(device: str, cast: Cast, chance: random.Random) -> Fate:
    drawn = chance.random()
    if device == cast.poor_link and drawn < LINK_LOST_SHARE:
        return Fate.LINK_LOST
    drawn = chance.random()
    for fate, share in RARE.items():
        if drawn < share:
            return fate
        drawn -= share
    return Fate.COMPLETED


def _plan(chance: random.Random) -> Plan:
    return replace(
        USUAL,
        duration_s=60.0 * chance.choice((10, 15, 20, 20, 20)),
        on_s=float(chance.randint(6, 10)),
        off_s=float(chance.randint(12, 20)),
    )


def _ran_s(visit: PastVisit, chance: random.Random) -> float:
    planned_s = visit.plan.duration_s
    if visit.fate in NOT_STARTED:
        return 0.0
    if visit.fate in {Fate.COMPLETED, Fate.PADS}:
        return planned_s
    return round(chance.uniform(120.0, planned_s - 60.0), 1)


def _drained_pct(visit: PastVisit, device: str, cast: Cast, age: float) -> float:
    worn = 1.0 + (4.5 if age >= AGED_FROM else 1.5 * age) if device == cast.weak else 1.0
    return worn * visit.ran_s / 1200.0 * 3.2
