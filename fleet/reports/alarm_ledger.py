"""The alarms that there were, one by one, as `alarm_figures` adds them up: when, where, what people did, how it ended.

The rules of this file:
- Pure. `journal_ledger` reads the journal for it.
- One row an occurrence, and at most `KEPT_MAX` of them: the oldest are forgotten, and `since_day` says from when on the
  ledger is whole.
- An alarm that came to be a member of a grouped one (a room that went silent) is no alarm of its own to anybody: it is
  kept as `grouped`, and counted nowhere.
- A person's act is theirs on the alarm: acknowledged, accepted, rejected, shelved, commented. What they did at the
  device without a word about the alarm is not known here.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract.causes import AlarmCode
from broker.contract.shapes import Strict
from fleet.core import events as e
from fleet.core.alarm_events import Priority
from fleet.reports.stock import Since, Stock

KEPT_MAX = 50_000
RANK = {priority: rank for rank, priority in enumerate((Priority.INFO, Priority.LOW, Priority.MEDIUM, Priority.HIGH))}
ACTS = (e.AlarmAcknowledged, e.AlarmAccepted, e.AlarmRejected, e.AlarmShelved, e.AlarmCommented)
COUNTED: frozenset[type[Any]] = frozenset({e.RegistryAdopted, e.AlarmRaised, e.AlarmChanged, e.AlarmCleared, *ACTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence(Strict):
    """One alarm. `priority` is the gravest that it had. Wall times in Unix seconds, None: not (yet)."""

    alarm_id: str
    code: AlarmCode
    priority: Priority
    device: str | None
    room: str | None
    members: tuple[str, ...]
    cause: str | None
    raised_wall_s: float
    cleared_wall_s: float | None = None
    answered_wall_s: float | None = None  # the first act of a person
    accepted_wall_s: float | None = None
    accepted_by: str | None = None
    acts: int = 0
    grouped: bool = False

    @property
    def needed_nothing(self) -> bool:
        """It was over before anybody did anything about it."""
        return self.cleared_wall_s is not None and self.answered_wall_s is None

    def is_about(self, device: str) -> bool:
        return device == self.device or device in self.members


@dataclass(slots=True, kw_only=True)
class AlarmLedger:
    """`alarms` by id, the oldest first."""

    alarms: dict[str, Occurrence] = field(default_factory=dict)
    stock: Stock = field(default_factory=Stock)
    time_zone: str = "UTC"
    wall_s: float = 0.0
    first_day: date | None = None
    forgotten_until: date | None = None  # the day of the newest that was forgotten

    @property
    def since_day(self) -> date | None:
        """From this day on every alarm is in it; None: nothing was counted."""
        return self.forgotten_until or self.first_day

    def day(self, wall_s: float) -> date:
        """The clinic's."""
        return datetime.fromtimestamp(wall_s, ZoneInfo(self.time_zone)).date()

    def counts(self, event: e.Event) -> None:
        """Count one more event, the next of those in `COUNTED`."""
        self.wall_s = event.wall_s
        match event:
            case e.RegistryAdopted():
                self.time_zone = event.registry.clinic.time_zone
                self.stock.adopted(event.registry, self.day(event.wall_s))
            case e.AlarmRaised():
                self._raised(event)
            case e.AlarmChanged() if event.alarm_id in self.alarms:
                known = self.alarms[event.alarm_id]
                self.alarms[event.alarm_id] = replace(
                    known,
                    priority=max(known.priority, event.priority, key=RANK.__getitem__),
                    members=tuple(dict.fromkeys((*known.members, *event.joined))),
                )
            case e.AlarmCleared() if event.alarm_id in self.alarms:
                self.alarms[event.alarm_id] = replace(
                    self.alarms[event.alarm_id],
                    cleared_wall_s=event.wall_s,
                    grouped=event.grouped_into is not None,
                )
            case (
                e.AlarmAcknowledged() | e.AlarmAccepted() | e.AlarmRejected() | e.AlarmShelved() | e.AlarmCommented()
            ) if event.alarm_id in self.alarms:
                self._acted(event)
            case _:
                pass
        if self.first_day is None:
            self.first_day = self.day(event.wall_s)

    def _raised(self, event: e.AlarmRaised) -> None:
        self.alarms[event.alarm_id] = Occurrence(
            alarm_id=event.alarm_id,
            code=event.code,
            priority=event.priority,
            device=event.device,
            room=event.room,
            members=tuple(event.members),
            cause=event.why.quantity if event.why.cause is None else event.why.cause.value,
            raised_wall_s=event.wall_s,
        )
        if len(self.alarms) > KEPT_MAX:
            oldest = next(iter(self.alarms))
            self.forgotten_until = self.day(self.alarms.pop(oldest).raised_wall_s)

    def _acted(
        self,
        event: e.AlarmAcknowledged | e.AlarmAccepted | e.AlarmRejected | e.AlarmShelved | e.AlarmCommented,
    ) -> None:
        known = self.alarms[event.alarm_id]
        if known.answered_wall_s is None and known.cleared_wall_s is None:
            known = replace(known, answered_wall_s=event.wall_s)
        if isinstance(event, e.AlarmAccepted) and known.accepted_wall_s is None:
            known = replace(known, accepted_wall_s=event.wall_s, accepted_by=event.issued_by)
        self.alarms[event.alarm_id] = replace(known, acts=known.acts + 1)


# --- as a file holds it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlarms(Strict):
    """All of an `AlarmLedger`."""

    alarms: tuple[Occurrence, ...]
    stood: dict[str, tuple[Since, ...]]
    time_zone: str
    wall_s: float
    first_day: date | None
    forgotten_until: date | None


def stored(ledger: AlarmLedger) -> StoredAlarms:
    """What a file holds of a ledger."""
    return StoredAlarms(
        alarms=tuple(ledger.alarms.values()),
        stood=ledger.stock.stood,
        time_zone=ledger.time_zone,
        wall_s=ledger.wall_s,
        first_day=ledger.first_day,
        forgotten_until=ledger.forgotten_until,
    )


def restored(taken: StoredAlarms) -> AlarmLedger:
    """The ledger again."""
    return AlarmLedger(
        alarms={one.alarm_id: one for one in taken.alarms},
        stock=Stock(taken.stood),
        time_zone=taken.time_zone,
        wall_s=taken.wall_s,
        first_day=taken.first_day,
        forgotten_until=taken.forgotten_until,
    )
