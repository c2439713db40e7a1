"""The usage ledger as a file holds it: what is keyed by more than a word becomes rows."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from broker.contract.shapes import Strict
from fleet.core.state import Durable, State
from fleet.core.tallies import Figures
from fleet.core.usage import Place, SessionUse, Usage
from fleet.reports.health import Vitals
from fleet.reports.stock import Since, Stock
from fleet.reports.usage_ledger import UsageLedger


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLedger(Strict):
    """All of a `UsageLedger`."""

    durable: Durable
    sessions: dict[str, SessionUse]
    refused: list[tuple[Place, int]]
    reconnects: list[tuple[Place, int]]
    faults: list[tuple[Place, dict[str, int]]]
    lost: list[str]
    late: int
    settled: list[tuple[Place, str, Figures]]
    vitals: list[tuple[Place, Vitals]]
    stood: dict[str, tuple[Since, ...]]
    today: date
    wall_s: float
    first_day: date | None
    simulated_until: date | None
    simulates: bool


def stored(ledger: UsageLedger) -> StoredLedger:
    """What a file holds of a ledger."""
    usage = ledger.usage
    return StoredLedger(
        durable=usage.state.durable,
        sessions=usage.sessions,
        refused=list(usage.refused.items()),
        reconnects=list(usage.reconnects.items()),
        faults=[(place, dict(kinds)) for place, kinds in usage.faults.items()],
        lost=sorted(usage.lost),
        late=usage.late,
        settled=[(place, cause, figures) for (place, cause), figures in ledger.settled.items()],
        vitals=list(ledger.vitals.items()),
        stood=ledger.stock.stood,
        today=ledger.today,
        wall_s=ledger.wall_s,
        first_day=ledger.first_day,
        simulated_until=ledger.simulated_until,
        simulates=ledger.simulates,
    )


def restored(taken: StoredLedger) -> UsageLedger:
    """The ledger again."""
    usage = Usage(
        state=State(durable=taken.durable),
        sessions=taken.sessions,
        refused=Counter(dict(taken.refused)),
        reconnects=Counter(dict(taken.reconnects)),
        faults={place: Counter(kinds) for place, kinds in taken.faults},
        lost=set(taken.lost),
        late=taken.late,
    )
    return UsageLedger(
        usage=usage,
        settled={(place, cause): figures for place, cause, figures in taken.settled},
        vitals=dict(taken.vitals),
        stock=Stock(taken.stood),
        today=taken.today,
        wall_s=taken.wall_s,
        first_day=taken.first_day,
        simulated_until=taken.simulated_until,
        simulates=taken.simulates,
    )
