"""What waits to be told to the fleet: samples, late samples, acks. Bounded, and counted where it is shed.

Events are not in here: they wait on disk (`agents.spool`). Owned by the event loop's thread.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from agents.clocks import Clocks
from agents.control import Snapshot
from agents.steps import Acknowledge, Sample
from broker.contract.messages import Ack, AckStatus, Birth, CommandRefusal, Telemetry

AGENT_VERSION: Final = "0.1.0"
LIVE_S: Final = 1.0  # a sample that leaves later than this is late: a lease in answer to it would be worth little
LIVE_MAX: Final = 32
LATE_MAX: Final = 7_200  # an hour at the usual two a second
ACKS_MAX: Final = 256

M = TypeVar("M")


class Lane(Generic[M]):
    """A bounded queue whose head is taken only once it has been sent, so that a lost connection loses nothing of it."""

    def __init__(self, size_max: int) -> None:
        self._waiting: deque[M] = deque()
        self._size_max = size_max
        self._filled = asyncio.Event()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: M) -> M | None:
        """Queue at the end; where it is full, the oldest gives way, is counted and returned."""
        self._waiting.append(item)
        self._filled.set()
        if len(self._waiting) <= self._size_max:
            return None
        self.shed += 1
        return self._waiting.popleft()

    async def head(self) -> M:
        """The oldest, once there is one; it stays."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting[0]

    def take(self, item: M) -> None:
        """Remove the head, if it is still this one: while it was sent, it may have given way."""
        if self._waiting and self._waiting[0] is item:
            self._waiting.popleft()


class AckLane:
    """Acks, each outcome of a command once; a `done` gives way to nothing but another `done`.

    A recorded command that a broker repeats all day has one place, so it pushes no stop's `done` out (contract.md
    rule 10). The newest wording of an outcome stands where the first one stood.
    """

    def __init__(self, size_max: int) -> None:
        self._waiting: dict[_Outcome, Ack] = {}
        self._size_max = size_max
        self._filled = asyncio.Event()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, ack: Ack) -> None:
        """Queue at the end; where it is full, the oldest that is no `done` gives way, and is counted."""
        self._waiting[_outcome(ack)] = ack
        self._filled.set()
        if len(self._waiting) > self._size_max:
            lesser = (outcome for outcome in self._waiting if outcome[1] is not AckStatus.DONE)
            del self._waiting[next(lesser, next(iter(self._waiting)))]
            self.shed += 1

    async def head(self) -> Ack:
        """The oldest, once there is one; it stays."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return next(iter(self._waiting.values()))

    def take(self, ack: Ack) -> None:
        """Remove what has been sent, also where it was said again meanwhile: else repeats would keep the head."""
        self._waiting.pop(_outcome(ack), None)


_Outcome = tuple[str, AckStatus, CommandRefusal | None]


def _outcome(ack: Ack) -> _Outcome:
    return ack.command_id, ack.status, ack.reason


class Outbox:
    """Samples and acks between the control loop and the connection."""

    def __init__(self, boot_n: Callable[[], int], clocks: Clocks) -> None:
        self._boot_n = boot_n
        self._clocks = clocks
        self.live: Lane[Sample] = Lane(LIVE_MAX)
        self.late: Lane[Telemetry] = Lane(LATE_MAX)
        self.acks = AckLane(ACKS_MAX)

    def put_sample(self, sample: Sample) -> None:
        if (overtaken := self.live.put(sample)) is not None:
            self.late.put(self._telemetry(overtaken, late=True))

    def put_ack(self, said: Acknowledge) -> None:
        at = self._clocks.wall_time_of(self._clocks.boottime_s())
        self.acks.put(Ack(self._boot_n(), said.command_id, said.status, said.reason, said.amplitude_ma, at))

    async def next_live(self) -> tuple[Sample, Telemetry]:
        """The next sample that is still worth an answer; older ones go to the late lane."""
        while True:
            sample = await self.live.head()
            if self._clocks.boottime_s() - sample.sent_s <= LIVE_S:
                return sample, self._telemetry(sample, late=False)
            self.live.take(sample)
            self.late.put(self._telemetry(sample, late=True))

    def _telemetry(self, sample: Sample, *, late: bool) -> Telemetry:
        return replace(sample.telemetry, at=self._clocks.wall_time_of(sample.sent_s), late=late)

    @property
    def is_told(self) -> bool:
        """Whether nothing waits but what is late."""
        return len(self.acks) + len(self.live) == 0

    @property
    def shed_count(self) -> int:
        """What never leaves: late samples and acks that gave way."""
        return self.late.shed + self.acks.shed


def birth_of(snapshot: Snapshot, spool_id: str, oldest_n: int, at: str) -> Birth:
    """What this device is, as of a snapshot."""
    return Birth(
        boot_n=snapshot.boot_n,
        seq=snapshot.seq,
        fleet_n=snapshot.fleet_n,
        spool_id=spool_id,
        oldest_n=oldest_n,
        serial=snapshot.identity.serial,
        model=snapshot.identity.model,
        firmware=snapshot.identity.firmware,
        agent_version=AGENT_VERSION,
        profile=snapshot.identity.profile,
        capabilities=(),
        settings_version=snapshot.settings.version if snapshot.settings else 0,
        latched=snapshot.latched,
        holds=snapshot.holds,
        conditions=snapshot.conditions,
        session_id=snapshot.session_id,
        at=at,
    )
