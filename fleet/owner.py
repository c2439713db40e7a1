"""The one owner of the state: hears one input at a time, lets the core decide, performs.

The order is the whole point: what forbids goes out at once, whether or not the journal can be written; what allows or
confirms goes out when every event up to then is on the disk, and never before.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never

from broker.contract.messages import Authorisation
from broker.contract.topics import Channel
from fleet.adapters.downlink import Downlink
from fleet.adapters.journal.errors import JournalUnwritable
from fleet.core import effects
from fleet.core.decide import decide
from fleet.core.events import SessionState
from fleet.core.inputs import Input, Tick
from fleet.core.state import snapshot
from fleet.core.turn import Decision
from fleet.inbox import Inbox
from fleet.stored import FleetJournal

TURNS_A_BREATH = 64  # turns until the connections, the clock and the disk get their go
# Decisions that wait for a disk that refuses: beyond the first bound no receipts wait, for the agents send again what
# is not receipted; beyond the second the process ends rather than grow, as the journal itself does.
RECEIPTS_UP_TO = 10_000
AFTERWARDS_MAX = 100_000

Answered = Callable[[str, effects.Reply], None]
Turned = Callable[[Input, Decision], None]


class Owner:
    """Owns `state`. `breathe` is called about once a tick, from inside the turns: it proves that they turn.

    `turned` hears of every turn once all that goes out at once is out, and only counts.
    """

    def __init__(
        self,
        journal: FleetJournal,
        inbox: Inbox,
        downlink: Downlink,
        *,
        answered: Answered,
        boottime: Callable[[], float],
        walltime: Callable[[], float],
        turned: Turned = lambda _heard, _decision: None,
    ) -> None:
        self.state = journal.restored.state
        self.counts: Counter[tuple[Channel | None, str]] = Counter()
        self._journal = journal
        self._inbox = inbox
        self._downlink = downlink
        self._answered = answered
        self._boottime = boottime
        self._walltime = walltime
        self._turned = turned
        self._durable: asyncio.Future[None] | None = None
        self._afterwards: deque[tuple[asyncio.Future[None] | None, tuple[effects.AfterCommit, ...]]] = deque()
        self._more = asyncio.Event()
        self._snapshot_position = journal.restored.snapshot or 0

    def turn(self, heard: Input) -> None:
        """Decide on one input and perform what goes out at once.

        Raises:
            JournalUnwritable: the disk has refused for so long that memory runs out.
        """
        decision = decide(self.state, heard)
        for effect in decision.at_once:
            self._perform_at_once(effect)
        if decision.events:
            self._durable = self._journal.append(_at(decision.events[0].wall_s), decision.events)
        if decision.after_commit:
            self._wait_with(decision.after_commit)
        self._turned(heard, decision)

    async def turns(self, tick_period_s: float, breathe: Callable[[], None]) -> None:
        """Turn for ever: what the inbox has, and a tick each period, however full it is."""
        due_s = self._boottime()
        while True:
            for _ in range(TURNS_A_BREATH):
                now_s = self._boottime()
                if now_s >= due_s:
                    self.turn(Tick(now_s, self._walltime()))
                    breathe()
                    due_s = now_s + tick_period_s
                heard = self._inbox.next()
                if heard is None:
                    break
                self.turn(heard)
            else:
                await asyncio.sleep(0)
                continue
            await self._inbox.arrival(within_s=due_s - now_s)

    async def confirmations(self) -> None:
        """Perform what allows or confirms, each after its events are durable, in order."""
        while True:
            await self._more.wait()
            durable, follow = self._afterwards.popleft()
            if not self._afterwards:
                self._more.clear()
            if durable is not None:
                await durable
            for effect in follow:
                self._perform_after_commit(effect)

    def take_snapshot(self) -> None:
        """Have the state stored, if anything has happened since the last time."""
        if self._journal.position > self._snapshot_position:
            self._snapshot_position = self._journal.position
            self._journal.snapshot(snapshot(self.state))

    def _wait_with(self, follow: tuple[effects.AfterCommit, ...]) -> None:
        """Put off what allows or confirms until everything up to now is durable."""
        if len(self._afterwards) >= AFTERWARDS_MAX:
            raise JournalUnwritable(f"{len(self._afterwards)} decisions wait for a disk that refuses")
        if len(self._afterwards) >= RECEIPTS_UP_TO:
            kept = tuple(effect for effect in follow if not isinstance(effect, effects.SendReceipt))
            self.counts[Channel.RECEIPT, "shed"] += len(follow) - len(kept)
            follow = kept
        if follow:
            self._afterwards.append((self._durable, follow))
            self._more.set()

    def _perform_at_once(self, effect: effects.AtOnce) -> None:
        match effect:
            case effects.SendLease(device, message) | effects.SendCancel(device, message):
                self._downlink.send(device, message)
            case effects.SendStop(device, message):
                self._downlink.send(device, message)
            case effects.Count(_, channel, reason):
                self.counts[channel, reason] += 1
            case _:
                assert_never(effect)

    def _perform_after_commit(self, effect: effects.AfterCommit) -> None:
        """By now a later decision may have forbidden it, and that went out at once: the newest one counts."""
        match effect:
            case effects.SendAuthorisation(device, message):
                if self._still_authorises(message):
                    self._downlink.send(device, message)
            case effects.SendRelease(device, message):
                self._downlink.send(device, message)
            case effects.SendSettings(device, message):
                self._downlink.send(device, message)
            case effects.SendReceipt(device, message):
                self._downlink.send(device, message)
            case effects.ClearRetained(device, command_id):
                if device not in self.state.durable.holds:
                    self._downlink.clear_stop(device, command_id)
            case effects.Answer(request_id, reply):
                self._answered(request_id, reply)
            case _:
                assert_never(effect)

    def _still_authorises(self, message: Authorisation) -> bool:
        """What forbids goes at once, so a cancel or a stop may have overtaken an authorisation that waited."""
        session = self.state.durable.sessions.get(message.session_id)
        return session is not None and session.state is SessionState.AUTHORISED


def _at(wall_s: float) -> str:
    """Wall time as people read it in the journal."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
