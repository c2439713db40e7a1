"""One turn of deciding: what has been decided so far on one input, folded into the state as it is decided."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TypedDict

from broker.contract.topics import Channel
from fleet.core import steady
from fleet.core.effects import AfterCommit, AtOnce, Count
from fleet.core.events import Event, SecurityNoticed
from fleet.core.evolve import evolve
from fleet.core.state import State

LABEL_CHARS = 64  # shapes.Label
BURST_S = 60.0  # bad input of one kind is recorded once in this time, and counted always


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one input, in order."""

    events: tuple[Event, ...] = ()
    at_once: tuple[AtOnce, ...] = ()
    after_commit: tuple[AfterCommit, ...] = ()


class At(TypedDict):
    """When an event of this turn happened."""

    now_s: float
    wall_s: float


class Turn:
    """Collects a decision. `now_s` decides; `wall_s` is never before the newest event's. `clock_s` is the wall clock as
    it is: by it people are on call. One that was ahead for a moment holds `wall_s`, but no rota, test or shelf.

    One that has stepped ahead is not believed: both go on by boot time then (`steady`), so that no event takes the
    future into journal and ledger. `ahead_s` is how far the host's clock is ahead of boot time.
    """

    __slots__ = ("_after_commit", "_at_once", "_events", "ahead_s", "clock_s", "now_s", "state", "wall_s")

    def __init__(self, state: State, now_s: float, wall_s: float, host_boot: str | None = None) -> None:
        self.state = state
        self.now_s = now_s
        steady_s = steady.wall_s(state.durable, now_s, host_boot)
        self.ahead_s = 0.0 if steady_s is None else wall_s - steady_s
        self.believe(wall_s if steady_s is None or self.ahead_s <= steady.STEP_S else steady_s)
        self._events: list[Event] = []
        self._at_once: list[AtOnce] = []
        self._after_commit: list[AfterCommit] = []

    def believe(self, clock_s: float) -> None:
        """The wall clock is this."""
        self.clock_s = clock_s
        self.wall_s = max(clock_s, self.state.durable.wall_s)

    @property
    def at(self) -> At:
        return {"now_s": self.now_s, "wall_s": self.wall_s}

    @property
    def at_clock(self) -> At:
        """Of what is compared with the clock later."""
        return {"now_s": self.now_s, "wall_s": self.clock_s}

    @property
    def events(self) -> list[Event]:
        """What has been decided so far."""
        return self._events

    def happened(self, event: Event) -> None:
        """An event is decided: the rest of the turn sees it."""
        evolve(self.state, event)
        self._events.append(event)

    def at_once(self, effect: AtOnce) -> None:
        self._at_once.append(effect)

    def after_commit(self, effect: AfterCommit) -> None:
        self._after_commit.append(effect)

    def new_id(self, purpose: str) -> str:
        """16 bytes as hex. Unique: the fleet's number rises with every start, and the events' with every event."""
        durable = self.state.durable
        return derived_id(f"{durable.fleet_n}/{durable.events_n}/{purpose}")

    def refused(self, device: str | None, channel: Channel | None, reason: str) -> None:
        """Bad input: counted, and recorded once a burst. Names nobody registered share one burst: it is bounded."""
        self.at_once(Count(device, channel, reason))
        known = device if device in self.state.durable.registry.devices else None
        burst = f"{known}/{channel}/{reason}"
        noticed_s = self.state.fleeting.noticed_s.get(burst)
        if noticed_s is None or self.now_s - noticed_s >= BURST_S:
            self.state.fleeting.noticed_s[burst] = self.now_s
            self.happened(SecurityNoticed(**self.at, device=device, channel=channel, reason=reason))

    def due(self, what: str, period_s: float) -> bool:
        """Whether it is time to send `what` again; if so, notes that it is being sent now."""
        sent_s = self.state.fleeting.sent_s.get(what)
        if sent_s is not None and self.now_s - sent_s < period_s:
            return False
        self.state.fleeting.note_sent(what, self.now_s)
        return True

    def decision(self) -> Decision:
        return Decision(tuple(self._events), tuple(self._at_once), tuple(self._after_commit))


def derived_id(words: str) -> str:
    """16 bytes as hex, the same for the same words."""
    return sha256(words.encode()).hexdigest()[:32]


def label(words: str) -> str:
    """A person's name as a message may carry it: a stop is never held up by what somebody is called."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words)[:LABEL_CHARS]
    return printable or "-"


def wall_time(wall_s: float) -> str:
    """Unix seconds as the contract writes them: UTC, to the millisecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
