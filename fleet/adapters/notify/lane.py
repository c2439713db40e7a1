"""One channel: what waits for it, one message at a time, tried again a little, and told what came of it.

The rules of this file:
- Every channel has a lane of its own, so that a slow one holds up nobody but itself.
- The gravest goes first: by its priority, and of equals by its code, so that nothing is before A01.
- Of one series only the newest waits: an older one that has not gone out is told as superseded. What waits is bounded;
  what is too much is told as not delivered: the least grave, and of those the newest.
- A message is tried three times at most, within 2 s: a connection that is refused may be there again at once. What is
  refused for good, or not answered, is told at the first time, so that the next person is told. Late is better than
  never: a message whose time is over is tried all the same.
- Before a message goes out the first time, `begins` is told: whoever is killed then knows that it may have gone out.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.threads import Threads
from fleet.core.alarm_events import Priority

WAITING_MAX = 1_000  # as many as there are devices: each may have an A02 that is never grouped
AGAIN_AFTER_S = (0.25, 1.0)
AGAIN_WITHIN_S = 2.0
SUPERSEDED = "superseded by a newer message"
OVERFULL = "too many messages wait for this channel"
_RANK = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message; `why` None: the other side took it."""

    page_id: str
    why: str | None
    tries: int


Deliver = Callable[[Message], None]  # in a thread; raises NotDelivered


class Lane:
    """`deliver` hands a message over; `told` hears of each outcome, in the loop."""

    def __init__(
        self,
        name: str,
        deliver: Deliver,
        told: Callable[[Outcome], None],
        *,
        begins: Callable[[Message], None],
        send_s: float,
        boottime: Callable[[], float],
        again_after_s: tuple[float, ...] = AGAIN_AFTER_S,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.name = name
        self._deliver = deliver
        self._told = told
        self._begins = begins
        self._send_s = send_s
        self._boottime = boottime
        self._again_after_s = again_after_s
        self._waiting_max = waiting_max
        self._waiting: dict[str, Message] = {}  # by series, oldest first
        self._news = asyncio.Event()
        self._threads = Threads(name)

    def put(self, message: Message) -> None:
        """Let a message wait for its turn."""
        older = self._waiting.pop(message.series, None)
        if older is not None:
            self._told(Outcome(older.page_id, SUPERSEDED, 0))
        self._waiting[message.series] = message
        if len(self._waiting) > self._waiting_max:
            least = max(_gravity(waiting) for waiting in self._waiting.values())
            series = [series for series, waiting in self._waiting.items() if _gravity(waiting) == least][-1]
            self._told(Outcome(self._waiting.pop(series).page_id, OVERFULL, 0))
        self._news.set()

    async def run(self) -> None:
        """Hand over what comes, for ever."""
        while True:
            while self._waiting:
                message = self._next()
                self._told(await self._hand_over(message))
            await self._hear(None)

    def _next(self) -> Message:
        series = min(self._waiting, key=lambda series: _gravity(self._waiting[series]))  # of equals the oldest
        return self._waiting.pop(series)

    async def _hand_over(self, message: Message) -> Outcome:
        self._begins(message)
        tries, began_s = 0, self._boottime()
        for pause_s in (*self._again_after_s, None):
            tries += 1
            try:
                await self._threads.call(lambda: self._deliver(message), self._send_s)
            except NotDelivered as failed:
                if not failed.again or pause_s is None or self._boottime() - began_s + pause_s > AGAIN_WITHIN_S:
                    return Outcome(message.page_id, failed.why, tries)
                if await self._superseded(message, pause_s):
                    return Outcome(message.page_id, SUPERSEDED, tries)
            else:
                break
        return Outcome(message.page_id, None, tries)

    async def _superseded(self, message: Message, within_s: float) -> bool:
        """Whether something newer of the same series comes in this time."""
        end_s = self._boottime() + within_s
        while message.series not in self._waiting and (left_s := end_s - self._boottime()) > 0.0:
            await self._hear(left_s)
        return message.series in self._waiting

    async def _hear(self, within_s: float | None) -> None:
        """Until something new waits, or the time is up."""
        self._news.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            pass  # nothing new


def _gravity(message: Message) -> tuple[int, str]:
    """Least first."""
    return _RANK[message.priority], message.code
