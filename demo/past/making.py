"""A clinic's past: weeks of it in seconds, as a journal that a fleet goes on from. Simulated, and marked as that.

    past = make_past(registry, folders, operator="anna.k", weeks=8, seed=0, now_wall_s=time.time())

The mark is in the chain itself: every fleet instance of the past names its host's boot `simulated-...`, which
`reports.usage_ledger` takes as what was made up. The devices' own folders get what an agent of these weeks would have
left there (boot number, settings, the highest fleet number), so that nobody goes back to a number that was used.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from agents.latch import LatchFile
from agents.steps import Durable
from demo.past.clinic import Course, PastClinic
from demo.past.device import PastDevice, wall_time
from demo.past.rollups import PastRollups
from demo.past.treating import Told, treat
from demo.past.weeks import BUSY_BY_WEEKDAY, Cast, PastVisit, past_days, the_past
from fleet.adapters.history.months import Months
from fleet.adapters.journal.writer import Journal
from fleet.core.events import Event
from fleet.core.registry import Registry
from fleet.core.rota import Rota
from fleet.core.state import snapshot
from fleet.stored import FOLD, FleetJournal

DAY_BEGINS_MIN: Final = 470  # ten to eight
DAY_ENDS_MIN: Final = 1_100
LOOK_MIN: Final = 10  # minutes between two looks at every device; on a closed day an hour is enough
CLOSED_LOOK_MIN: Final = 60
RESTARTS_DAYS: Final = 28  # the fleet's host
BOOTS_DAYS: Final = 14  # the agents, one after the other
POOR_MARGIN_S: Final = 3.2
EVENTS_A_WAIT: Final = 2_000  # then the disk is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was made: rows of the journal, and what the people of it know. `first` and `last` are days."""

    first: date
    last: date
    visits: tuple[PastVisit, ...]
    told: Told
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where it is written: the fleet's journal, the history of samples, a folder for each agent in `agents`."""

    journal: Path
    history: Path
    agents: Path


def make_past(
    registry: Registry,
    folders: Folders,
    *,
    operator: str,
    weeks: int,
    seed: int,
    now_wall_s: float,
    rota: Rota | None = None,
) -> Past:
    """Write journal and rollups where there are none. Some ten seconds for twelve devices and eight weeks.

    `rota` is adopted on the last evening: who was called before that nobody made up.
    """
    zone = ZoneInfo(registry.clinic.time_zone)
    days = past_days(datetime.fromtimestamp(now_wall_s, zone).date(), weeks)
    past = Past(first=days[0], last=days[-1], visits=the_past(tuple(registry.devices), days, seed), told=Told())
    folders.history.mkdir(mode=0o700, parents=True, exist_ok=True)
    devices, rows = asyncio.run(_lived(registry, rota, folders, past, operator, seed, zone))
    _leave_folders(devices, folders.agents)
    return replace(past, rows=rows)


async def _lived(
    registry: Registry, rota: Rota | None, folders: Folders, past: Past, operator: str, seed: int, zone: ZoneInfo
) -> tuple[Mapping[str, PastDevice], int]:
    days = [past.first + timedelta(days=n) for n in range((past.last - past.first).days + 1)]
    months = Months(folders.history)
    rollups = PastRollups(months.keep)
    book: FleetJournal = Journal(folders.journal, FOLD, lambda error: None)
    try:
        durable: list[asyncio.Future[None]] = []

        def journaled(wall_s: float, events: Sequence[Event]) -> None:
            durable[:] = [book.append(wall_time(wall_s), events)]

        clinic = PastClinic(registry, _wall_s(days[0], DAY_BEGINS_MIN - 60, zone), seed, journaled, rollups)
        poor_link = Cast.of(tuple(registry.devices)).poor_link
        if poor_link is not None:
            clinic.devices[poor_link].margin_s = POOR_MARGIN_S
        clinic.at(clinic.wall_s, _house(clinic, registry))
        for day in days:
            clinic.at(_wall_s(day, 240, zone), _night(clinic, (day - days[0]).days))
            look_min = LOOK_MIN if BUSY_BY_WEEKDAY[day.weekday()] else CLOSED_LOOK_MIN
            clinic.at(_wall_s(day, DAY_BEGINS_MIN, zone), _day(clinic, look_min))
        clinic.at(_wall_s(days[-1], DAY_ENDS_MIN, zone), _last_evening(clinic, rota))
        for visit in past.visits:
            clinic.at(_wall_s(visit.day, visit.minute, zone), treat(clinic, visit, operator, past.told))
        written = 0
        while clinic.step():
            if book.position - written >= EVENTS_A_WAIT:
                written = book.position
                await durable[0]
        rollups.flush()
        book.snapshot(snapshot(clinic.state))
        return clinic.devices, book.position
    finally:
        months.close()
        book.close(within_s=60.0)


def _house(clinic: PastClinic, registry: Registry) -> Course:
    """The first morning: the fleet takes over, has its list, and every device comes up."""
    clinic.takes_over(1)
    clinic.adopts(registry)
    for device in clinic.devices.values():
        clinic.boots(device)
        yield 1.0


def _night(clinic: PastClinic, n: int) -> Course:
    """Upgrades, while nobody is treated: the fleet's host now and then, an agent here and there."""
    if n and n % RESTARTS_DAYS == 0:
        clinic.takes_over(1 + n // RESTARTS_DAYS)
        for device in clinic.devices.values():
            clinic.is_born(device)
            clinic.shows(device)
    for m, device in enumerate(clinic.devices.values()):
        if n and n % BOOTS_DAYS == m % BOOTS_DAYS:
            yield 60.0
            clinic.boots(device)


def _day(clinic: PastClinic, look_min: int) -> Course:
    """Every device shows itself now and then, and the fleet looks at all of them."""
    for device in clinic.devices.values():
        device.battery_pct = 98.0
    for _ in range(DAY_BEGINS_MIN, DAY_ENDS_MIN, look_min):
        clinic.looks_around()
        yield 60.0 * look_min


def _last_evening(clinic: PastClinic, rota: Rota | None) -> Course:
    """Somebody is on call from now on; that nobody was is over within a minute."""
    clinic.puts_on_call(rota)
    yield 60.0
    clinic.looks_around()


def _wall_s(day: date, minute: int, zone: ZoneInfo) -> float:
    return (datetime.combine(day, time.min) + timedelta(minutes=minute)).replace(tzinfo=zone).timestamp()


def _leave_folders(devices: Mapping[str, PastDevice], agents_dir: Path) -> None:
    """What the agents' disks hold after these weeks."""
    for device in devices.values():
        folder = agents_dir / device.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = Durable(boot_n=device.boot_n, settings=device.settings, fleet_n=device.fleet_n)
        LatchFile(folder / "latch").save(record)
