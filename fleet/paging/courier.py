"""Carries out the orders in the journal: each to its channel's lane, each outcome to the fleet.

The rules of this file:
- An order is carried out once its row is committed: this reads the journal, nothing else.
- It is carried out once. Whoever is killed between sending and telling sends once more, and not again (`begun`).
- What the fleet has heard of is forgotten here.
- What the pager says by itself (`unwritten`) goes by the same lanes. It is no order: the fleet hears nothing of it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial

from fleet.adapters.notify.lane import Deliver, Lane, Outcome
from fleet.adapters.notify.message import Message
from fleet.core import events as e
from fleet.core.attention_events import DigestDue, PageDue
from fleet.core.attention_state import channel
from fleet.core.state import State
from fleet.paging.begun import Begun
from fleet.paging.outcomes import Reports
from fleet.words.pages import Surroundings, digest_message, page_message, plain_message

log = logging.getLogger(__name__)
LANES_MAX = 512
INTERRUPTED = "interrupted twice: whether it went out is not known"

Order = PageDue | DigestDue


class Courier:
    """`deliver` makes, of a person and a method, what hands a message over."""

    def __init__(
        self,
        around: Surroundings,
        reports: Reports,
        begun: Begun,
        deliver: Callable[[str, str], Deliver],
        *,
        send_s: float,
        boottime: Callable[[], float],
    ) -> None:
        self._around = around
        self._reports = reports
        self._begun = begun
        self._deliver = deliver
        self._send_s = send_s
        self._boottime = boottime
        self._lanes: dict[str, Lane] = {}
        self._new_lanes: asyncio.Queue[Lane] = asyncio.Queue()
        self._in_hand: set[str] = set()
        self._unordered: dict[str, Callable[[bool], None]] = {}  # by page id: who hears whether it was taken
        self.idle = asyncio.Event()  # nothing waits, and nothing is on its way
        self.idle.set()

    def begin(self, orders: Iterable[Order], state: State) -> None:
        """What was left by whoever did this before."""
        for order in orders:
            if self._begun.may_go(order.page_id):
                self._carry_out(order, state)
            else:
                self._reports.failed(order.page_id, INTERRUPTED)

    def heard(self, position: int, event: e.Event, state: State) -> None:
        """The journal has one event more."""
        if isinstance(event, PageDue | DigestDue):
            self._carry_out(event, state)
        elif isinstance(event, e.PageArrived | e.PageMissed):
            self._begun.forget(self._is_waited_for)

    def tell(self, person: str, method: str, message: Message, came: Callable[[bool], None]) -> None:
        """Say something that nobody has ordered; `came` hears whether the other side took it."""
        lane = self._lane(person, method)
        if lane is None:
            log.error(
                "channel %s: message %s NOT delivered: too many channels", channel(person, method), message.page_id
            )
            came(False)
            return
        self._unordered[message.page_id] = came
        self._put(lane, message)

    async def run(self) -> None:
        """Keep the lanes going, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                lane = await self._new_lanes.get()
                group.create_task(lane.run(), name=f"channel {lane.name}")

    def _carry_out(self, order: Order, state: State) -> None:
        if self._is_waited_for(order.page_id):
            return
        lane = self._lane(order.person, order.method)
        if lane is None:
            self._reports.failed(order.page_id, "there are too many channels")
            return
        self._put(lane, self._said(order, state))

    def _put(self, lane: Lane, message: Message) -> None:
        self._in_hand.add(message.page_id)
        self.idle.clear()
        lane.put(message)

    def _said(self, order: Order, state: State) -> Message:
        """An order in words. A fault in them must not keep anybody from being told: then it is told plainly."""
        try:
            if isinstance(order, DigestDue):
                return digest_message(order, state, self._around)
            return page_message(order, state, self._around)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            log.exception("message %s has no words", order.page_id)
            return plain_message(order, self._around)

    def _is_waited_for(self, page_id: str) -> bool:
        """Whether it is under way, or the fleet has not heard yet what came of it."""
        return page_id in self._in_hand or self._reports.knows(page_id)

    def _lane(self, person: str, method: str) -> Lane | None:
        name = channel(person, method)
        if name not in self._lanes and len(self._lanes) < LANES_MAX:
            self._lanes[name] = lane = Lane(
                name,
                self._deliver(person, method),
                partial(self._came_of, name),
                begins=self._begins,
                send_s=self._send_s,
                boottime=self._boottime,
            )
            self._new_lanes.put_nowait(lane)
        return self._lanes.get(name)

    def _begins(self, message: Message) -> None:
        if message.page_id not in self._unordered:  # else nobody asks for it after a crash
            self._begun.note(message.page_id)

    def _came_of(self, name: str, outcome: Outcome) -> None:
        self._in_hand.discard(outcome.page_id)
        if not self._in_hand:
            self.idle.set()
        came = self._unordered.pop(outcome.page_id, None)
        if came is not None:
            came(outcome.why is None)
        if outcome.why is None:
            if came is None:
                self._reports.delivered(outcome.page_id)
            log.info("channel %s: message %s delivered", name, outcome.page_id)
            return
        why = outcome.why if outcome.tries <= 1 else f"{outcome.why}, {outcome.tries} tries"
        if came is None:
            self._reports.failed(outcome.page_id, why)
        log.warning("channel %s: message %s NOT delivered: %s", name, outcome.page_id, why)
