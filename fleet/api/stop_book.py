"""Stops and what became of each, device by device: what `GET /stops` shows. Folded from the journal, bounded.

The state forgets a stop once zero is measured everywhere; who asks an hour later still gets its latencies.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.topics import ALL
from fleet.core.events import (
    ConfirmedBy,
    Event,
    HoldReleased,
    StopConfirmed,
    StopFoundLive,
    StopOrdered,
    StopPublished,
    StopPushedAgain,
    StopReceived,
    StopUnconfirmed,
)
from fleet.core.state import State

STOPS_KEPT = 500
READS: frozenset[str] = frozenset(
    kind.__name__
    for kind in (
        HoldReleased,
        StopConfirmed,
        StopFoundLive,
        StopOrdered,
        StopPublished,
        StopPushedAgain,
        StopReceived,
        StopUnconfirmed,
    )
)


@dataclass(slots=True)
class Followed:
    """A stop on one device. Seconds; None: not heard (yet)."""

    command_id: str  # the stop that follows it: an earlier one of the site, where that is still open
    device: str
    room: str | None
    urgent: bool  # a session or output was known of: zero is waited for, and A01 follows without it
    sent_to_received_s: float | None = None
    sent_to_zero_s: float | None = None
    received: bool = False
    by: ConfirmedBy | None = None
    amplitude_ma: float | None = None
    confirmed_wall_s: float | None = None
    unconfirmed_wall_s: float | None = None  # since when it is (or was) past its time


@dataclass(slots=True)
class Recorded:
    """A stop. `device` is `topics.ALL` for the site. Wall times are Unix seconds."""

    position: int
    stop: messages.Stop
    device: str
    reason: str
    ordered_s: float
    ordered_wall_s: float
    devices: dict[str, Followed]
    cause_to_sent_s: float | None = None
    hold_id: str | None = None
    pushed_again: int = 0
    released_wall_s: float | None = None
    released_by: str | None = None


@dataclass(slots=True)
class StopBook:
    """The newest stops. `from_position`: what was ordered before that row of the journal is not here."""

    from_position: int = 0
    _stops: "OrderedDict[str, Recorded]" = field(default_factory=OrderedDict)
    _open: dict[tuple[str, str], Followed] = field(default_factory=dict)  # zero awaited, by stop and device

    def get(self, command_id: str) -> Recorded | None:
        return self._stops.get(command_id)

    def newest(self) -> Iterator[Recorded]:
        """Newest first."""
        return reversed(self._stops.values())

    def hear(self, position: int, event: Event, state: State) -> None:
        """Fold one event; `state` says in which room a device stands."""
        match event:
            case StopOrdered():
                self._ordered(position, event, state)
            case StopPublished(command_id=command_id) if (stop := self._stops.get(command_id)) is not None:
                stop.cause_to_sent_s = max(0.0, event.sent_s - stop.ordered_s)
                stop.hold_id = event.hold_id
            case StopPushedAgain(command_id=command_id) if (stop := self._stops.get(command_id)) is not None:
                stop.pushed_again += 1
            case HoldReleased():
                self._released(event)
            case StopReceived() | StopFoundLive() | StopUnconfirmed() | StopConfirmed():
                self._followed(event)
            case _:
                pass  # every other event is about something else

    def _ordered(self, position: int, event: StopOrdered, state: State) -> None:
        devices = {one.device: one for one in self._awaited_before(event, state)}
        for target in event.targets:
            devices[target.device] = self._follow(event.stop.command_id, target.device, state, urgent=target.urgent)
        self._stops[event.stop.command_id] = Recorded(
            position, event.stop, event.device, event.reason, event.now_s, event.wall_s, devices
        )
        while len(self._stops) > STOPS_KEPT:
            gone, _ = self._stops.popitem(last=False)
            if gone not in state.durable.stops:
                self._open = {key: one for key, one in self._open.items() if one.command_id != gone}

    def _follow(self, command_id: str, device: str, state: State, *, urgent: bool) -> Followed:
        self._open[command_id, device] = one = Followed(command_id, device, _room(state, device), urgent)
        return one

    def _awaited_before(self, event: StopOrdered, state: State) -> list[Followed]:
        """The core does not follow a device again that an open emergency stop of the same scope follows. Whoever pushed
        the later one waits for that device's zero all the same.
        """
        if event.stop.cause is not Cause.EMERGENCY_STOP:
            return []
        found = [
            one
            for one in self._open.values()
            if (stop := self._stops.get(one.command_id)) is not None
            and (stop.device, stop.stop.cause) == (event.device, event.stop.cause)
        ]
        return [*self._awaited_before_the_book(event, state), *found]

    def _awaited_before_the_book(self, event: StopOrdered, state: State) -> list[Followed]:
        """The same, of stops that are open and older than what is kept here."""
        found = []
        for command_id, stop in state.durable.stops.items():
            older = command_id not in self._stops and stop.stop.issued_at <= event.stop.issued_at
            if not older or (stop.device, stop.stop.cause) != (event.device, event.stop.cause):
                continue
            for name, pursuit in stop.pursuits.items():
                one = self._open.get((command_id, name))
                if one is None and command_id != event.stop.command_id:
                    one = self._follow(command_id, name, state, urgent=pursuit.urgent_s is not None)
                    one.received, one.sent_to_received_s = pursuit.received, pursuit.sent_to_received_s
                    one.unconfirmed_wall_s = event.wall_s if pursuit.unconfirmed else None
                found += [] if one is None else [one]
        return found

    def _followed(self, event: StopReceived | StopFoundLive | StopUnconfirmed | StopConfirmed) -> None:
        one = self._open.get((event.command_id, event.device))
        if one is None:  # ordered before the book begins
            return
        match event:
            case StopReceived():
                one.received, one.sent_to_received_s = True, event.sent_to_received_s
            case StopFoundLive():
                one.urgent = True
            case StopUnconfirmed():
                one.urgent, one.room, one.unconfirmed_wall_s = True, event.room, event.wall_s
            case StopConfirmed():
                one.by, one.amplitude_ma, one.confirmed_wall_s = event.by, event.amplitude_ma, event.wall_s
                one.sent_to_zero_s = event.sent_to_zero_s
                del self._open[event.command_id, event.device]
                if event.sent_to_received_s is not None:
                    one.received, one.sent_to_received_s = True, event.sent_to_received_s

    def _released(self, event: HoldReleased) -> None:
        where = ALL if event.device is None else event.device
        for stop in self._stops.values():
            lifted = stop.hold_id in event.holds and stop.device == where
            if lifted and stop.released_wall_s is None:
                stop.released_wall_s, stop.released_by = event.wall_s, event.issued_by


def _room(state: State, device: str) -> str | None:
    registered = state.registered(device)
    return None if registered is None else registered.room
