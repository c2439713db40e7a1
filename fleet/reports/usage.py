"""Usage as people ask for it: by day, room, device or cause of a range of the clinic's days, with utilisation.

Utilisation is what was treated, as a share of the opening hours of the devices that there were. A device is in use
while its session lasts, by its own record, and by the fleet's where it has none: the two are added here, and only here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from broker.pki.opening import OpeningHours
from fleet.core.tallies import E9, By, Tally
from fleet.reports.sheets import SIMULATED_UNTIL, Cell, said_until, sheet
from fleet.reports.usage_ledger import UsageLedger

DAYS_MAX = 1_100  # three years of clinic days at once


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """`core.tallies.Tally` under one key, by the same names. `opening_s`: of the devices that there were, as far as it
    has passed; None by cause. `utilisation`: a share, 1.0 is all of it; None where nothing was open.
    """

    key: str
    authorised: int
    refused: int
    started: int
    completed: int
    stopped: int
    aborted: int
    not_started: int
    open: int
    by_device: int
    session_s: float
    current_s: float
    charge_uc: float
    with_gaps: int
    by_fleet: int
    fleet_session_s: float
    reconnects: int
    faults: Mapping[str, int]
    causes: Mapping[str, int]
    opening_s: float | None
    utilisation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Rows by key, in order, and everything together. Days of `first` to `last`, both included. Everything up to
    `simulated_until` never happened; None: all of it did.
    """

    by: By
    first: date
    last: date
    time_zone: str
    simulated_until: date | None
    rows: tuple[UsageRow, ...]
    total: UsageRow


def usage_report(ledger: UsageLedger, by: By, first: date, last: date, hours: OpeningHours) -> UsageReport:
    """What was done from the first day to the last.

    Raises:
        ValueError: there is no such range, or it is longer than `DAYS_MAX`.
    """
    if first > last:
        raise ValueError(f"no day is from {first} to {last}")
    if (last - first).days >= DAYS_MAX:
        raise ValueError(f"{first} to {last} is more than {DAYS_MAX} days")
    tallies, total = ledger.add_up(by, first, last)
    opening = _opening_s(ledger, by, first, last, hours)
    keys = sorted(tallies.keys() | opening.keys())
    return UsageReport(
        by=by,
        first=first,
        last=last,
        time_zone=ledger.time_zone,
        simulated_until=ledger.simulated_until,
        rows=tuple(_row(key, tallies.get(key, Tally()), opening.get(key, 0.0), by) for key in keys),
        total=_row("total", total, sum(opening.values()) if by is not By.CAUSE else 0.0, by),
    )


def days(first: date, last: date) -> Iterator[date]:
    """Every day from the first to the last."""
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _opening_s(ledger: UsageLedger, by: By, first: date, last: date, hours: OpeningHours) -> dict[str, float]:
    """By key, for how long the devices could have been used, in seconds, until the journal's newest event."""
    found: Counter[str] = Counter()
    if by is By.CAUSE:
        return {}
    zone = ZoneInfo(ledger.time_zone)
    for day in days(first, min(last, ledger.today)):
        open_s = hours.open_s(day, zone, ledger.wall_s)
        for device, room in ledger.stock.on(day).items():
            found[{By.DAY: day.isoformat(), By.ROOM: room, By.DEVICE: device}[by]] += open_s  # type: ignore[assignment]
    return dict(found)


def _row(key: str, tally: Tally, opening_s: float, by: By) -> UsageRow:
    in_use_s = (tally.session_s_e9 + tally.fleet_session_s_e9) / E9
    return UsageRow(
        key=key,
        **tally.figures(),
        opening_s=None if by is By.CAUSE else opening_s,
        utilisation=in_use_s / opening_s if opening_s else None,
    )


def usage_sheet(report: UsageReport) -> str:
    """As CSV, without a line for the total: a spreadsheet adds up by itself. Faults as one number; the causes are rows
    of their own (`By.CAUSE`).
    """
    figures = [f.name for f in fields(UsageRow) if f.name not in {"key", "causes"}]
    until = said_until(report.simulated_until)
    lines = ({**_cells(report.by, figures, row), SIMULATED_UNTIL: until} for row in report.rows)
    return sheet([report.by.value, *figures, SIMULATED_UNTIL], lines)


def _cells(by: By, figures: list[str], row: UsageRow) -> dict[str, Cell]:
    cells: dict[str, Any] = {name: getattr(row, name) for name in figures}
    return {by.value: row.key, **cells, "faults": sum(row.faults.values())}
