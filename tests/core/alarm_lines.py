"""What the core says of people and messages, and of the store of the samples, as lines that a person can read."""

from collections.abc import Callable
from typing import Any

from fleet.core import events
from fleet.core.attention_state import Act

_TOLD = {Act.TRIGGER: "tell", Act.ACKNOWLEDGE: "taken, tell", Act.RESOLVE: "over, tell"}


def _page(event: events.PageDue) -> str:
    way = f"{event.person}/{event.method}"
    return f"test {way}" if event.drill else f"{_TOLD[event.act]} {way} {event.code}"


def _digest(event: events.DigestDue) -> str:
    codes = " ".join(line.code for line in event.alarms)
    return f"{event.priority} digest {event.person}/{event.method}: {codes}"


# `rung 1 of A02`, `tell anna/phone A02`, `anna accepts A02`
_LINES: dict[type[Any], Callable[[Any], str]] = {
    events.AlarmAcknowledged: lambda event: f"{event.issued_by} acknowledges {event.code}",
    events.AlarmAccepted: lambda event: f"{event.issued_by} accepts {event.code}",
    events.AlarmRejected: lambda event: f"{event.issued_by} rejects {event.code}",
    events.AlarmShelved: lambda event: f"{event.issued_by} shelves {event.code}",
    events.AlarmUnshelved: lambda event: f"{event.issued_by} unshelves {event.code}",
    events.AlarmCommented: lambda event: f"{event.issued_by} on {event.code}: {event.text}",
    events.AlarmSounded: lambda event: f"{event.code} sounds again: {event.reason}",
    events.RungReached: lambda event: f"rung {event.rung} of {event.code}" + (": nobody" if event.nobody else ""),
    events.PageDue: _page,
    events.DigestDue: _digest,
    events.PageArrived: lambda event: f"{event.person}/{event.method} {'late' if event.late else 'delivered'}",
    events.PageMissed: lambda event: f"{event.person}/{event.method} failed: {event.why}",
    events.RotaAdopted: lambda event: "RotaAdopted",
    events.DrillOrdered: lambda event: "DrillOrdered",
    events.ChannelProven: lambda event: f"{event.person}/{event.method} proven",
    events.DrillUnanswered: lambda event: f"{event.person}/{event.method} unanswered",
    events.StoreFailed: lambda event: f"StoreFailed {event.trouble}",
    events.StoreTook: lambda event: "StoreTook",
    events.RecorderEnded: lambda event: "RecorderEnded",
}
ABOUT_PEOPLE = tuple(_LINES)


def people_line(event: events.Event) -> str:
    return _LINES[type(event)](event)
