"""What an observer is given: the true output, the people's own record, what was done to the clinic, the journal.

True output comes from the stimulators themselves, presses from those who pressed, faults from whoever injected them.
Of the agents' word only what ends or lessens a permission is used (a pause, a latch, an ending, a setting below what
people raised it to), never what begins or raises one; of the fleet's, what it authorised and when it ordered stops.

All times are boot time of the one machine on which everything runs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.simulation.trace import Trace
from demo.people import Pressed
from fleet.adapters.journal.reading import Told


@dataclass(frozen=True, slots=True)
class Suffered:
    """A fault of the hardware, declared by whoever injected it."""

    device: str
    kind: str
    from_s: float


@dataclass(frozen=True, slots=True)
class CutOff:
    """Nothing that a device sent from then on could be answered until then: a link cut, a fleet or broker gone.

    `device` None: all of them.
    """

    device: str | None
    from_s: float
    until_s: float

    def concerns(self, device: str, at_s: float) -> bool:
        return self.device in {None, device} and self.from_s <= at_s <= self.until_s


@dataclass(frozen=True, slots=True)
class Gone:
    """A device's agent was killed or frozen: its stimulator's own watchdog ends output."""

    device: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Pushed:
    """Somebody pushed a stop for a device, or for all (None)."""

    device: str | None
    at_s: float


@dataclass(frozen=True, slots=True)
class Released:
    """Somebody released the holds of a device, or of all (None)."""

    device: str | None
    at_s: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that there is. A device without a trace was not observed, and that is a violation too.

    What flows in a trace's last row flows until `until_s`, when observation ended.
    """

    devices: tuple[str, ...]
    traces: Mapping[str, Trace]
    journal: tuple[Told, ...]
    presses: tuple[Pressed, ...] = ()
    suffered: tuple[Suffered, ...] = ()
    cut_off: tuple[CutOff, ...] = ()
    gone: tuple[Gone, ...] = ()
    pushed: tuple[Pushed, ...] = ()
    released: tuple[Released, ...] = ()
    until_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Authorised:
    """What the fleet allowed a session at a device, from the journal."""

    session_id: str
    at_s: float
    plan: Mapping[str, Any]
    limits: Mapping[str, float]
    lease_ttl_s: float

    @property
    def pulse_period_s(self) -> float:
        return 1.0 / float(self.plan["frequency_hz"])


@dataclass(frozen=True, slots=True)
class Reported:
    """An event of a device's agent, from the journal."""

    device: str
    at_s: float
    kind: str
    cause: str | None
    detail: Mapping[str, Any]
    session_id: str | None


def authorised(journal: Iterable[Told], device: str) -> Iterator[Authorised]:
    """Every session that was allowed at a device, in order."""
    for told in journal:
        if told.name == "SessionAuthorised" and told.body["device"] == device:
            message = told.body["authorisation"]
            limits = {name: float(limit["value"]) for name, limit in message["limits"].items()}
            yield Authorised(
                message["session_id"],
                float(told.body["now_s"]),
                message["plan"],
                limits,
                message["lease_ttl_ms"] / 1000.0,
            )


def reported(journal: Iterable[Told], device: str) -> Iterator[Reported]:
    """What a device's agent said, in order."""
    for told in journal:
        if told.name == "DeviceReported" and told.body["device"] == device:
            event = told.body["event"]
            yield Reported(
                device,
                float(event["boottime_s"]),
                event["kind"],
                event["cause"],
                dict(event["detail"] or {}),
                event["session_id"],
            )
