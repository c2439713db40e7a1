"""What a clinic needs to know against alarm fatigue: how many alarms, which, how soon somebody had them, how many
needed nobody. Pure: from `alarm_ledger`, over days of the clinic, both included. An alarm belongs to the day on which
it was raised. Times in seconds.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from fleet.core.alarm_events import Priority
from fleet.reports.alarm_ledger import AlarmLedger, Occurrence
from fleet.reports.sheets import sheet
from fleet.reports.usage import days

NOISIEST = 10
DAYS_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How long until somebody had it, over the alarms that somebody did have. `p90` is one of the times: nine in ten
    were no longer.
    """

    n: int
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of some alarms. `needed_nothing`: over before anybody did anything; `open`: not over when the journal ends."""

    alarms: int
    high: int
    medium: int
    low: int
    info: int
    open: int
    needed_nothing: int
    answered: Waited  # until the first act of a person on it
    accepted: Waited  # until somebody said that they see to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition at one place: a device, else a room, else the site (both None)."""

    code: str
    device: str | None
    room: str | None
    alarms: int
    needed_nothing: int
    lasted_s: float  # all of them together, up to now where they are open


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmReport:
    """`device_days`: devices that there were, day by day; `since`: from when on the record is whole."""

    first: date
    last: date
    time_zone: str
    since: date | None
    device_days: int
    per_device_day: float | None
    total: Figures
    by_day: dict[str, Figures] = field(default_factory=dict)
    by_code: dict[str, Figures] = field(default_factory=dict)
    noisiest: tuple[Condition, ...] = ()


def alarm_report(ledger: AlarmLedger, first: date, last: date) -> AlarmReport:
    """The figures of the days from `first` to `last`.

    Raises:
        ValueError: there is no such range, or it is longer than `DAYS_MAX`.
    """
    if first > last:
        raise ValueError(f"no day is from {first} to {last}")
    if (last - first).days >= DAYS_MAX:
        raise ValueError(f"{first} to {last} is more than {DAYS_MAX} days")
    found = list(_raised_in(ledger, first, last))
    known_until = ledger.day(ledger.wall_s)
    known = () if first > known_until else days(first, min(last, known_until))
    device_days = sum(len(ledger.stock.on(day)) for day in known)
    by_day: defaultdict[str, list[Occurrence]] = defaultdict(list)
    by_code: defaultdict[str, list[Occurrence]] = defaultdict(list)
    for one in found:
        by_day[ledger.day(one.raised_wall_s).isoformat()].append(one)
        by_code[one.code.value].append(one)
    return AlarmReport(
        first=first,
        last=last,
        time_zone=ledger.time_zone,
        since=ledger.since_day,
        device_days=device_days,
        per_device_day=len(found) / device_days if device_days else None,
        total=figures(found),
        by_day={day: figures(by_day[day]) for day in sorted(by_day)},
        by_code={code: figures(by_code[code]) for code in sorted(by_code)},
        noisiest=noisiest(found, ledger.wall_s),
    )


def history(ledger: AlarmLedger, device: str, first: date, last: date) -> tuple[Occurrence, ...]:
    """The alarms of one device, also where it was one of several, the newest first."""
    return tuple(one for one in _raised_in(ledger, first, last) if one.is_about(device))[::-1]


def _raised_in(ledger: AlarmLedger, first: date, last: date) -> Iterable[Occurrence]:
    return (one for one in ledger.alarms.values() if not one.grouped and first <= ledger.day(one.raised_wall_s) <= last)


def figures(alarms: list[Occurrence]) -> Figures:
    """What some alarms come to."""
    of = Counter(one.priority for one in alarms)
    return Figures(
        alarms=len(alarms),
        high=of[Priority.HIGH],
        medium=of[Priority.MEDIUM],
        low=of[Priority.LOW],
        info=of[Priority.INFO],
        open=sum(one.cleared_wall_s is None for one in alarms),
        needed_nothing=sum(one.needed_nothing for one in alarms),
        answered=waited([one.answered_wall_s - one.raised_wall_s for one in alarms if one.answered_wall_s is not None]),
        accepted=waited([one.accepted_wall_s - one.raised_wall_s for one in alarms if one.accepted_wall_s is not None]),
    )


def waited(times_s: list[float]) -> Waited:
    """Their median, and their 90th percentile by nearest rank.

    >>> waited([30.0, 10.0, 20.0, 1000.0])
    Waited(n=4, median_s=25.0, p90_s=1000.0)
    """
    ordered = sorted(times_s)
    n = len(ordered)
    if not n:
        return Waited(n=0, median_s=None, p90_s=None)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0
    return Waited(n=n, median_s=middle, p90_s=ordered[math.ceil(0.9 * n) - 1])


def noisiest(alarms: list[Occurrence], now_wall_s: float) -> tuple[Condition, ...]:
    """The ten conditions that were raised most often; of as many, the one that lasted longest."""
    places: defaultdict[tuple[str, str | None, str | None], list[Occurrence]] = defaultdict(list)
    for one in alarms:
        places[one.code.value, one.device, None if one.device else one.room].append(one)
    rows = [
        Condition(
            code=code,
            device=device,
            room=room,
            alarms=len(of),
            needed_nothing=sum(one.needed_nothing for one in of),
            lasted_s=sum(
                (now_wall_s if one.cleared_wall_s is None else one.cleared_wall_s) - one.raised_wall_s for one in of
            ),
        )
        for (code, device, room), of in places.items()
    ]
    rows.sort(key=lambda row: (-row.alarms, -row.lasted_s, row.code, row.device or "", row.room or ""))
    return tuple(rows[:NOISIEST])


def alarm_sheet(report: AlarmReport, by: str) -> str:
    """As CSV, by `day` or `code`, or the noisiest conditions (`condition`)."""
    if by == "condition":
        return sheet([*Condition.__dataclass_fields__], (asdict(row) for row in report.noisiest))
    counts = ["alarms", "high", "medium", "low", "info", "open", "needed_nothing"]
    times = [f"{name}_{part}" for name in ("answered", "accepted") for part in ("n", "median_s", "p90_s")]
    rows = report.by_day if by == "day" else report.by_code
    return sheet([by, *counts, *times], (_line(by, key, row, counts) for key, row in rows.items()))


def _line(by: str, key: str, row: Figures, counts: list[str]) -> dict[str, Any]:
    whole = asdict(row)
    times = {f"{name}_{part}": value for name in ("answered", "accepted") for part, value in whole[name].items()}
    return {by: key, **{name: whole[name] for name in counts}, **times}
