"""What the owner's turns came to, counted as they are taken: all that cannot be read off the state later.

One turn costs this about a microsecond, so it is plain numbers here; how they are shown is `fleet.adapters.metrics`.
Everything starts at zero with the process. Nothing is kept by device or client: rooms come from the registry, and
there are at most `ROOMS_MAX` of them; what belongs to none, or to one too many, is counted as `OTHER`.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

from broker.contract.messages import Telemetry
from fleet.core import events
from fleet.core.effects import SendLease
from fleet.core.events import Event
from fleet.core.inputs import Input, Received
from fleet.core.state import State
from fleet.core.turn import Decision

ROOMS_MAX = 100
OTHER = "other"
# Upper bounds in seconds. A lease is 5 s by default, 10 s at most; of it half a second of sampling is gone.
MARGIN_S = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5)
LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CAUSE_TO_SENT, SENT_TO_RECEIVED, SENT_TO_ZERO = "cause_to_sent", "sent_to_received", "sent_to_zero"


class Distribution:
    """Observations by upper bound, the last count for those beyond all bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class RoomTally:
    """Of all devices of one room."""

    __slots__ = ("late", "leases", "margin_s", "missed", "samples")

    def __init__(self) -> None:
        self.samples = 0
        self.late = 0
        self.missed = 0
        self.leases = 0
        self.margin_s = Distribution(MARGIN_S)


@dataclass(slots=True)
class _DeviceTally:
    room: RoomTally
    missed: int = 0  # of its present boot, as counted last


@dataclass(slots=True)
class Tally:
    """Counts turns. `turned` is called at the end of each, with what was heard and what was decided."""

    state: State
    rooms: dict[str, RoomTally] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=lambda: Counter({kind.__name__: 0 for kind in get_args(Event)}))
    latency_s: dict[str, Distribution] = field(
        default_factory=lambda: {
            phase: Distribution(LATENCY_S) for phase in (CAUSE_TO_SENT, SENT_TO_RECEIVED, SENT_TO_ZERO)
        }
    )
    _devices: dict[str, _DeviceTally] = field(default_factory=dict)

    def turned(self, heard: Input, decision: Decision) -> None:
        if type(heard) is Received and type(heard.message) is Telemetry:
            self._sample(heard.device, heard.message, decision)
        for event in decision.events:
            self._happened(event)

    def room_of(self, device: str) -> str:
        """The room that a device is counted under. It is there, with zeros, once it was asked for."""
        registered = self.state.registered(device)
        room = OTHER if registered is None else registered.room
        if room not in self.rooms and len(self.rooms) >= ROOMS_MAX:
            room = OTHER
        if room not in self.rooms:
            self.rooms[room] = RoomTally()
        return room

    def _sample(self, device: str, sample: Telemetry, decision: Decision) -> None:
        known = self._devices.get(device)
        if known is None:
            known = self._devices[device] = _DeviceTally(self.rooms[self.room_of(device)])
        room = known.room
        room.samples += 1
        if sample.late:
            room.late += 1
            return
        if sample.lease_margin_s is not None:
            room.margin_s.observe(max(0.0, sample.lease_margin_s))  # a sum of a histogram never falls
        seen = self.state.fleeting.seen.get(device)
        if seen is not None and seen.missed != known.missed:
            room.missed += max(0, seen.missed - known.missed)  # a new boot counts from 0
            known.missed = seen.missed
        for effect in decision.at_once:
            if type(effect) is SendLease:
                room.leases += 1

    def _happened(self, event: Event) -> None:
        self.events[type(event).__name__] += 1
        match event:
            case events.StopReceived(sent_to_received_s=float(received_s)):
                self.latency_s[SENT_TO_RECEIVED].observe(received_s)
            case events.StopConfirmed(amplitude_ma=float(), cause_to_sent_s=sent_s, sent_to_zero_s=zero_s):
                if sent_s is not None and zero_s is not None:
                    self.latency_s[CAUSE_TO_SENT].observe(sent_s)
                    self.latency_s[SENT_TO_ZERO].observe(zero_s)
            case events.RegistryAdopted():
                for device, known in self._devices.items():
                    known.room = self.rooms[self.room_of(device)]
            case _:
                pass  # the count of its kind says it all
