"""Usage added up: by day, room, device, or the cause that sessions ended by."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any

from fleet.core.usage import Ending, Place, SessionUse, Usage


@dataclass(slots=True, kw_only=True)
class Tally:
    """What adds up under one key. Seconds and charge are the devices' own, of `by_device` sessions; `fleet_session_s`
    is the fleet's own time of the `by_fleet` ones, whose current and charge nobody knows. Sums are of whole billionths
    (`_e9`), so that they come to the same digits in whatever order, and from whatever parts, they are made.
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
    session_s_e9: int = 0
    current_s_e9: int = 0
    charge_uc_e9: int = 0
    with_gaps: int = 0
    by_fleet: int = 0
    fleet_session_s_e9: int = 0
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
            self.fleet_session_s_e9 += e9(use.ran_s)
            return
        self.by_device += 1
        self.session_s_e9 += e9(numbers.elapsed_s)
        self.current_s_e9 += e9(numbers.on_time_s)
        self.charge_uc_e9 += e9(numbers.charge_uc)
        self.with_gaps += numbers.gaps > 0

    def figures(self) -> dict[str, Any]:
        """Everything by its name; what is counted by kind as a mapping, sorted."""
        return {name.removesuffix("_e9"): _figure(name, getattr(self, name)) for name in _NAMES}

    def add(self, other: "Tally") -> None:
        """What another one has come to."""
        for name in _NAMES:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)

    def add_settled(self, cause: str, figures: "Figures") -> None:
        """What sessions have come to that ended by one cause."""
        for name, more in zip(SETTLED, figures, strict=True):
            if more:
                setattr(self, name, getattr(self, name) + more)
        self.causes[cause] += figures[0]

    def add_incidents(self, *, refused: int = 0, reconnects: int = 0, faults: Counter[str] | None = None) -> None:
        """What is no session."""
        self.refused += refused
        self.reconnects += reconnects
        self.faults += faults or Counter()


_NAMES = tuple(f.name for f in fields(Tally))
E9 = 1_000_000_000


def e9(value: float) -> int:
    """A number as whole billionths of its unit."""
    return round(value * E9)


def _figure(name: str, value: int | Counter[str]) -> Any:
    if isinstance(value, Counter):
        return dict(sorted(value.items()))
    return value / E9 if name.endswith("_e9") else value


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
# What sessions add up to, in this order, where they are not looked at one by one any more: as little as can be,
# for there is one for each place and cause of all the years.
SETTLED = (
    *("authorised", "started", "completed", "stopped", "aborted", "not_started", "by_device", "with_gaps", "by_fleet"),
    *("session_s_e9", "current_s_e9", "charge_uc_e9", "fleet_session_s_e9"),
)
Figures = tuple[int, ...]
Settled = Mapping[tuple[Place, str], Figures]


def settled_with(known: Figures | None, use: SessionUse) -> Figures:
    """What sessions of one place and cause add up to, with one more that is over."""
    tally = Tally()
    tally.add_session(use)
    figures = (getattr(tally, name) for name in SETTLED)
    return tuple(more + before for more, before in zip(figures, known or (0,) * len(SETTLED), strict=True))


def add_up(
    usage: Usage, by: By, first: date = date.min, last: date = date.max, settled: Settled | None = None
) -> tuple[dict[str, Tally], Tally]:
    """Tallies by their sorted keys, and the total, of the days from `first` to `last`, both included.

    By cause there are sessions only; refusals, faults and reconnects end none, and are in the total.
    """
    found: dict[str, Tally] = {}
    total, key_of = Tally(), _KEYS[by]
    for place, cause, addition in _additions(usage, settled or {}):
        if first <= place.day <= last:
            key = key_of(place, cause)
            addition(total if key is None else found.setdefault(key, Tally()))
    for tally in found.values():
        total.add(tally)
    return dict(sorted(found.items())), total


def by_place(
    usage: Usage, first: date = date.min, last: date = date.max, settled: Settled | None = None
) -> dict[Place, Tally]:
    """Everything that was counted of these days, for each place by itself."""
    found: dict[Place, Tally] = {}
    for place, _, addition in _additions(usage, settled or {}):
        if first <= place.day <= last:
            addition(found.setdefault(place, Tally()))
    return found


def _additions(usage: Usage, settled: Settled) -> Iterator[tuple[Place, str | None, _Addition]]:
    """Everything that was counted: where, the cause where it is sessions, and what it adds."""
    for (place, cause), figures in settled.items():
        yield place, cause, partial(Tally.add_settled, cause=cause, figures=figures)
    for use in usage.sessions.values():
        yield use.place, use.ended_by, partial(Tally.add_session, use=use)
    for place, refused in usage.refused.items():
        yield place, None, partial(Tally.add_incidents, refused=refused)
    for place, reconnects in usage.reconnects.items():
        yield place, None, partial(Tally.add_incidents, reconnects=reconnects)
    for place, faults in usage.faults.items():
        yield place, None, partial(Tally.add_incidents, faults=faults)
