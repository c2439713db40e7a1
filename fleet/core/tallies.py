"""Usage added up: by day, room, device, or the cause that sessions ended by."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import Any

from fleet.core.usage import Ending, Place, SessionUse, Usage


@dataclass(slots=True, kw_only=True)
class Tally:
    """What adds up under one key. Seconds and charge are the devices' own, of `by_device` sessions; `fleet_session_s`
    is the fleet's own time of the `by_fleet` ones, whose current and charge nobody knows. Sums are exact, so that they
    come to the same digits in whatever order, and from whatever parts, they are made.
    """

    authorised: int = 0
    refused: int = 0
    started: int = 0
    completed: int = 0
    stopped: int = 0
    aborted: int = 0
    not_started: int = 0
    open: int = 0
    by_device: int = 0
    session_s: Fraction = Fraction()
    current_s: Fraction = Fraction()
    charge_uc: Fraction = Fraction()
    with_gaps: int = 0
    by_fleet: int = 0
    fleet_session_s: Fraction = Fraction()
    reconnects: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    def add_session(self, use: SessionUse) -> None:
        """What an open one comes to is not known yet."""
        self.authorised += 1
        self.started += use.started
        self.completed += use.ending is Ending.COMPLETED
        self.stopped += use.ending is Ending.STOPPED
        self.aborted += use.ending is Ending.ABORTED
        self.not_started += use.ending is Ending.NOT_STARTED
        self.open += use.ending is Ending.OPEN
        if use.ending is not Ending.OPEN:
            self.causes[use.ended_by] += 1
            if use.started:
                self._add_numbers(use)

    def _add_numbers(self, use: SessionUse) -> None:
        numbers = use.by_device
        if numbers is None:
            self.by_fleet += 1
            self.fleet_session_s += Fraction(use.ran_s)
            return
        self.by_device += 1
        self.session_s += Fraction(numbers.elapsed_s)
        self.current_s += Fraction(numbers.on_time_s)
        self.charge_uc += Fraction(numbers.charge_uc)
        self.with_gaps += numbers.gaps > 0

    def figures(self) -> dict[str, Any]:
        """Everything by its name; what is counted by kind as a mapping, sorted."""
        return {f.name: _figure(getattr(self, f.name)) for f in fields(self)}

    def add(self, other: "Tally") -> None:
        """What another one has come to."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def add_incidents(self, *, refused: int = 0, reconnects: int = 0, faults: Counter[str] | None = None) -> None:
        """What is no session."""
        self.refused += refused
        self.reconnects += reconnects
        self.faults += faults or Counter()


def _figure(value: int | Fraction | Counter[str]) -> Any:
    if isinstance(value, Counter):
        return dict(sorted(value.items()))
    return float(value) if isinstance(value, Fraction) else value


class By(StrEnum):
    """What is added up under one key."""

    DAY = "day"
    ROOM = "room"
    DEVICE = "device"
    CAUSE = "cause"


_KEYS: dict[By, Callable[[Place, str | None], str | None]] = {
    By.DAY: lambda place, _: place.day.isoformat(),
    By.ROOM: lambda place, _: place.room,
    By.DEVICE: lambda place, _: place.device,
    By.CAUSE: lambda _, cause: cause,
}
_Addition = Callable[[Tally], None]
Settled = Mapping[tuple[Place, str], Tally]  # sessions that are not looked at one by one any more, by place and cause


def add_up(
    usage: Usage, by: By, first: date = date.min, last: date = date.max, settled: Settled | None = None
) -> tuple[dict[str, Tally], Tally]:
    """Tallies by their sorted keys, and the total, of the days from `first` to `last`, both included.

    By cause there are sessions only; refusals, faults and reconnects end none, and are in the total.
    """
    found: dict[str, Tally] = {}
    total = Tally()
    for place, cause, addition in _additions(usage, settled or {}):
        if not first <= place.day <= last:
            continue
        addition(total)
        key = _KEYS[by](place, cause)
        if key is not None:
            addition(found.setdefault(key, Tally()))
    return dict(sorted(found.items())), total


def by_place(usage: Usage, settled: Settled | None = None) -> dict[Place, Tally]:
    """Everything that was counted, for each place by itself."""
    found: dict[Place, Tally] = {}
    for place, _, addition in _additions(usage, settled or {}):
        addition(found.setdefault(place, Tally()))
    return found


def _additions(usage: Usage, settled: Settled) -> Iterator[tuple[Place, str | None, _Addition]]:
    """Everything that was counted: where, the cause where it is sessions, and what it adds."""
    for (place, cause), tally in settled.items():
        yield place, cause, partial(Tally.add, other=tally)
    for use in usage.sessions.values():
        yield use.place, use.ended_by, partial(Tally.add_session, use=use)
    for place, refused in usage.refused.items():
        yield place, None, partial(Tally.add_incidents, refused=refused)
    for place, reconnects in usage.reconnects.items():
        yield place, None, partial(Tally.add_incidents, reconnects=reconnects)
    for place, faults in usage.faults.items():
        yield place, None, partial(Tally.add_incidents, faults=faults)
