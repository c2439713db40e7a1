"""Health of the devices, day by day: what their events say, and what the history store's rollups say where there are
some. Nothing is made up in between: a day without a reading has none.

Impedance drift compares the day's baselines (the first good impedance of each session) with those of the device's
first `REFERENCE_DAYS` on record: clients differ by half, a cable that ages shows over many of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta

from broker.contract import messages
from broker.contract.messages import EventKind
from fleet.core import events as e
from fleet.core.tallies import E9, Tally, e9
from fleet.core.usage import NOWHERE, Place, Usage, where
from fleet.reports.sheets import SIMULATED_UNTIL, said_until, sheet

REFERENCE_DAYS = 14


@dataclass(slots=True, kw_only=True)
class Vitals:
    """What is counted of one device on one day, where it stood. Baselines in ohm; their sum is of whole billionths."""

    battery_lows: int = 0
    losses: int = 0
    boots: int = 0
    events_missing: int = 0  # of the device's own record
    baselines: int = 0
    baseline_sum_ohm_e9: int = 0

    @property
    def mean_ohm(self) -> float:
        return self.baseline_sum_ohm_e9 / (E9 * self.baselines)

    def add(self, other: "Vitals") -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


COUNTED = frozenset({e.DeviceReported, e.DeviceLost, e.DeviceBooted, e.SpoolGapFound, e.BaselineMeasured})


def count(vitals: dict[Place, Vitals], usage: Usage, event: e.Event) -> None:
    """Count one more event; `usage` has counted it before."""
    match event:
        case e.DeviceReported():
            _reported(vitals, usage, event)
        case e.DeviceLost():
            _of(vitals, usage, event, event.device).losses += 1
        case e.DeviceBooted():
            _of(vitals, usage, event, event.device).boots += 1
        case e.SpoolGapFound():
            _of(vitals, usage, event, event.device).events_missing += event.to_n - event.from_n + 1
        case e.BaselineMeasured() if event.session_id in usage.state.durable.sessions:
            device = usage.state.durable.sessions[event.session_id].device
            today = _of(vitals, usage, event, device)
            today.baselines += 1
            today.baseline_sum_ohm_e9 += e9(event.impedance_ohm)
        case _:
            pass


def _of(vitals: dict[Place, Vitals], usage: Usage, event: e.Event, device: str) -> Vitals:
    return vitals.setdefault(where(usage, event, device), Vitals())


def _reported(vitals: dict[Place, Vitals], usage: Usage, event: e.DeviceReported) -> None:
    said = event.event
    if said.kind is EventKind.BATTERY_LOW:
        _of(vitals, usage, event, event.device).battery_lows += 1
    elif isinstance(said.detail, messages.SpoolDropped):
        # Only what lies before the report itself, as the fleet's own fold takes it (`fold_devices.reported`).
        dropped = range(said.detail.from_n, min(said.detail.to_n, said.n - 1) + 1)
        _of(vitals, usage, event, event.device).events_missing += len(dropped)


# --- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the history store's rollups of one device and day come to. None: no such reading was in any of them."""

    battery_pct_min: float | None = None
    battery_pct_mean: float | None = None
    lease_margin_s_min: float | None = None
    lease_margin_s_mean: float | None = None
    samples: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """One device on one day. `impedance_drift`: a share of the device's own first baselines, 0.1 is 10 % more."""

    day: date
    device: str
    room: str
    sessions: int
    session_s: float
    faults: Mapping[str, int] = field(default_factory=dict)
    battery_lows: int
    battery_pct_min: float | None
    battery_pct_mean: float | None
    impedance_ohm: float | None
    impedance_drift: float | None
    losses: int
    reconnects: int
    boots: int
    lease_margin_s_min: float | None
    lease_margin_s_mean: float | None
    samples: int | None
    samples_missed: int | None
    events_missing: int


SamplesOf = Mapping[tuple[date, str], Samples]


def health_rows(
    vitals: Mapping[Place, Vitals], tallies: Mapping[Place, Tally], first: date, last: date, samples: SamplesOf
) -> tuple[HealthRow, ...]:
    """A row for each device, room and day of which anything is known, by day and device."""
    reference = _references(vitals)
    vitals = {place: one for place, one in vitals.items() if first <= place.day <= last}
    # Samples say of which device they are, not where it stood.
    there = {Place(day, NOWHERE, device) for day, device in samples}
    known = {(place.day, place.device) for place in vitals.keys() | tallies.keys()}
    places = vitals.keys() | tallies.keys() | {place for place in there if (place.day, place.device) not in known}
    return tuple(
        _row(place, vitals.get(place, Vitals()), tallies.get(place, Tally()), reference, samples)
        for place in sorted(places, key=lambda place: (place.day, place.device, place.room))
        if first <= place.day <= last
    )


def _references(vitals: Mapping[Place, Vitals]) -> dict[str, float]:
    """By device, the mean of its first baselines in ohm."""
    begun: dict[str, date] = {}
    for place, one in vitals.items():
        if one.baselines:
            begun[place.device] = min(place.day, begun.get(place.device, place.day))
    sums: dict[str, Vitals] = {}
    for place, one in vitals.items():
        if one.baselines and place.day < begun[place.device] + timedelta(days=REFERENCE_DAYS):
            sums.setdefault(place.device, Vitals()).add(one)
    return {device: one.mean_ohm for device, one in sums.items()}


def _row(place: Place, vitals: Vitals, tally: Tally, reference: Mapping[str, float], samples: SamplesOf) -> HealthRow:
    seen = samples.get((place.day, place.device))
    ohm = vitals.mean_ohm if vitals.baselines else None
    return HealthRow(
        day=place.day,
        device=place.device,
        room=place.room,
        sessions=tally.started,
        session_s=tally.session_s_e9 / E9,
        faults=dict(sorted(tally.faults.items())),
        battery_lows=vitals.battery_lows,
        battery_pct_min=None if seen is None else seen.battery_pct_min,
        battery_pct_mean=None if seen is None else seen.battery_pct_mean,
        impedance_ohm=ohm,
        impedance_drift=None if ohm is None else ohm / reference[place.device] - 1.0,
        losses=vitals.losses,
        reconnects=tally.reconnects,
        boots=vitals.boots,
        lease_margin_s_min=None if seen is None else seen.lease_margin_s_min,
        lease_margin_s_mean=None if seen is None else seen.lease_margin_s_mean,
        samples=None if seen is None else seen.samples,
        samples_missed=None if seen is None else seen.missed,
        events_missing=vitals.events_missing,
    )


def health_sheet(rows: tuple[HealthRow, ...], simulated_until: date | None) -> str:
    """As CSV; a fault is a column of its own, by its kind."""
    until = said_until(simulated_until)
    kinds = sorted({kind for row in rows for kind in row.faults})
    figures = [f.name for f in fields(HealthRow) if f.name not in {"day", "faults"}]
    return sheet(
        ["day", *figures, *kinds, SIMULATED_UNTIL],
        (
            {
                "day": row.day.isoformat(),
                **{name: getattr(row, name) for name in figures},
                **row.faults,
                SIMULATED_UNTIL: until,
            }
            for row in rows
        ),
    )
