"""What the web process sees of the fleet: the replica of its state, its samples, its stops, and whether it is there.

One loop owns it. Without a fleet everything that was seen stays, and is shown as stale.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broker.contract.messages import Telemetry
from fleet.api.dues_shown import DuesShown
from fleet.api.stop_book import StopBook
from fleet.api.window import Point, Window
from fleet.core.state import State
from fleet.replica import Replica

REACHED_S_MAX = 3.0  # asked once a second: the fleet is away when it has not answered for so long
ABSENT = "The fleet service cannot be reached: what is shown is old. Use the buttons on the stimulators."
NO_FEED = "The fleet service sends no samples: what is shown is old."
READ_S_MAX = 1.0  # looked at twenty times a second: what is shown is old when no look came to anything for so long
NO_JOURNAL = "The fleet's journal cannot be read: what is shown is old."
BEHIND = "The fleet's journal is not read up to its end: what is shown is old, by {rows} events."

Sampled = Callable[[str, Point], None]


@dataclass(slots=True)
class Sight:
    """`status` is the fleet's own word about itself, `reached_s` (boot time) when it was last given."""

    site: str
    simulated: bool
    boottime: Callable[[], float]
    walltime: Callable[[], float]
    window: Window
    book: StopBook = field(default_factory=StopBook)
    dues: DuesShown = field(default_factory=DuesShown)
    replica: Replica | None = None
    status: dict[str, Any] | None = None
    reached_s: float | None = None
    feed_is_up: bool = False
    journal_trouble: str | None = NO_JOURNAL
    journal_failing: str | None = None  # why the last look read nothing
    read_s: float = 0.0  # boot time of the last look at the journal that came to something
    due_position: int = 0  # where the journal ended a status ago: it has been read up to there by now
    started_s: float = 0.0
    heard_wall_s: dict[str, float] = field(default_factory=dict)  # by device: when its newest sample came, Unix time
    looked: asyncio.Event = field(default_factory=asyncio.Event)  # for the first time, whatever came of it
    on_sample: Sampled = lambda _device, _point: None

    @property
    def state(self) -> State:
        """The fleet's, as far as the journal has been read; an empty one before that."""
        return State() if self.replica is None else self.replica.state

    @property
    def reachable(self) -> bool:
        return self.reached_s is not None and self.boottime() - self.reached_s < REACHED_S_MAX

    @property
    def trouble(self) -> str | None:
        """Why what is shown may be old, in words; None: it is not."""
        if not self.reachable:
            return ABSENT
        return self.journal_trouble or self._behind() or (None if self.feed_is_up else NO_FEED)

    def _behind(self) -> str | None:
        if self.boottime() - self.read_s > READ_S_MAX:
            return NO_JOURNAL
        rows = self.due_position - (0 if self.replica is None else self.replica.tip.position)
        return BEHIND.format(rows=rows) if rows > 0 else None

    def read_along(self) -> None:
        """The journal was looked at, and read."""
        self.read_s = self.boottime()

    def heard_status(self, status: dict[str, Any]) -> None:
        """Take in what the fleet says of itself, once a second."""
        self.due_position = 0 if self.status is None else int(self.status.get("journal_position", 0))
        self.status, self.reached_s = status, self.boottime()

    def sample(self, device: str, sample: Telemetry, received_s: float, wall_s: float) -> None:
        """Take in a sample off the feed."""
        if self.replica is not None and self.replica.sample(device, sample, received_s):
            self.heard_wall_s[device] = wall_s
        self.on_sample(device, self.window.take(device, sample, received_s, wall_s))

    def feed_missed(self, samples: int) -> None:
        """The feed did not bring so many samples: their numbers are missing, which is shown as a gap."""
        self.window.lost += samples
