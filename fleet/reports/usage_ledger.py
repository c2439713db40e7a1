"""The usage ledger: everything that usage and health are made of, counted along event by event, and kept small.

The rules of this file:
- Pure. It counts as `core.usage` does, with the same code; `journal_ledger` reads the journal for it.
- A session is looked at by itself for `SINGLE_DAYS` after it last changed: devices that were away report late. Then it
  is added to what its place and cause have come to. So it is as large as days x rooms x devices, not as all sessions.
- What is told of a session after that changes nothing but `late`. `stimfleet usage`, which reads everything each time,
  counts it.
"""

from dataclasses import dataclass, field
from datetime import date

from fleet.core import events as e
from fleet.core.tallies import By, Figures, Tally, add_up, by_place, settled_with
from fleet.core.usage import COUNTED as COUNTED_FOR_USAGE
from fleet.core.usage import Ending, Place, SessionUse, Usage, fold, today
from fleet.reports import health
from fleet.reports.health import HealthRow, SamplesOf, Vitals
from fleet.reports.stock import Stock

SINGLE_DAYS = 14
DAY_S = 86_400.0
COUNTED: frozenset[type[e.Event]] = COUNTED_FOR_USAGE | health.COUNTED
SIMULATED = "simulated"  # what the host's boot is called in a past that was made up: demo.past.making


@dataclass(slots=True, kw_only=True)
class UsageLedger:
    """What was counted up to here. `simulated_until`: the last day that was made up; None: none was."""

    usage: Usage = field(default_factory=Usage)
    settled: dict[tuple[Place, str], Figures] = field(default_factory=dict)
    vitals: dict[Place, Vitals] = field(default_factory=dict)
    stock: Stock = field(default_factory=Stock)
    today: date = date.min  # of the newest event that was counted
    wall_s: float = 0.0
    first_day: date | None = None
    simulated_until: date | None = None
    simulates: bool = False  # what is counted now is made up

    @property
    def time_zone(self) -> str:
        return self.usage.state.durable.registry.clinic.time_zone

    def counts(self, event: e.Event) -> None:
        """Count one more event, the next of those in `COUNTED`."""
        fold(self.usage, event)
        self.wall_s = event.wall_s
        day = today(self.usage, event)
        if day > self.today:
            self._begins(day)
        match event:
            case e.RegistryAdopted():
                self.stock.adopted(event.registry, day)
            case e.FleetTookOver():
                self.simulates = event.host_boot.startswith(SIMULATED)
            case _:
                health.count(self.vitals, self.usage, event)
        if self.simulates:
            self.simulated_until = day

    def _begins(self, day: date) -> None:
        self.first_day, self.today = self.first_day or day, day
        for session_id, use in list(self.usage.sessions.items()):
            if use.ending is not Ending.OPEN and self.wall_s - use.changed_wall_s > SINGLE_DAYS * DAY_S:
                self._settle(self.usage.sessions.pop(session_id))

    def _settle(self, use: SessionUse) -> None:
        key = use.place, use.ended_by
        self.settled[key] = settled_with(self.settled.get(key), use)

    def add_up(self, by: By, first: date = date.min, last: date = date.max) -> tuple[dict[str, Tally], Tally]:
        """`core.tallies.add_up` of what was counted."""
        return add_up(self.usage, by, first, last, self.settled)

    def health(self, first: date, last: date, samples: SamplesOf | None = None) -> tuple[HealthRow, ...]:
        """`reports.health.health_rows` of what was counted. `samples`: of the history store, by day and device."""
        tallies = by_place(self.usage, first, last, self.settled)
        return health.health_rows(self.vitals, tallies, first, last, samples or {})
