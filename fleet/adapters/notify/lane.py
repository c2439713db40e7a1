"""One channel: what waits for it, handed over one by one, tried again a little, and told what came of it.

The rules of this file:
- Every channel has a lane of its own, so that a slow one holds up nobody but itself.
- The gravest goes first: by its priority, and of equals by its code, so that nothing is before A01.
- What is high goes beside what is on its way, as long as nothing graver is: a slow digest is not waited
  for. There are four threads, and equals leave one of them to what is graver. Of one series only one is
  on its way: what is newer must not arrive before what is older.
- Of one series only the newest waits: an older one that has not gone out is told as superseded. What waits is bounded;
  what is too much is told as not delivered: the least grave, and of those the newest.
- A message is tried three times at most, within 2 s: a connection that is refused may be there again at once; others
  go meanwhile. What is refused for good, or not answered, is told at the first time, so that the next person is told.
  Late is better than never: a message whose time is over is tried all the same.
- Before a message goes out the first time, `begins` is told: whoever is killed then knows that it may have gone out.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.threads import THREADS_MAX, Threads
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message in the queue. Boot times: when it was tried first, and before when it is not tried again."""

    message: Message
    tries: int = 0
    began_s: float = 0.0
    not_before_s: float = 0.0


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
        self._waiting: dict[str, _Waiting] = {}  # by series, oldest first
        self._on_way: dict[str, Message] = {}  # by series
        self._news = asyncio.Event()
        self._threads = Threads(name)

    def put(self, message: Message) -> None:
        """Let a message wait for its turn."""
        older = self._waiting.pop(message.series, None)
        if older is not None:
            self._told(Outcome(older.message.page_id, SUPERSEDED, older.tries))
        self._wait(_Waiting(message))

    def _wait(self, one: _Waiting) -> None:
        self._waiting[one.message.series] = one
        if len(self._waiting) > self._waiting_max:
            least = max(_gravity(waiting.message) for waiting in self._waiting.values())
            series = [series for series, waiting in self._waiting.items() if _gravity(waiting.message) == least][-1]
            left_out = self._waiting.pop(series)
            self._told(Outcome(left_out.message.page_id, OVERFULL, left_out.tries))
        self._news.set()

    async def run(self) -> None:
        """Hand over what comes, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                while (one := self._next()) is not None:
                    self._on_way[one.message.series] = one.message
                    group.create_task(self._hand_over(one), name=f"channel {self.name}: {one.message.page_id}")
                await self._hear()

    def _next(self) -> _Waiting | None:
        """What goes now: the gravest, of equals the oldest; None: nothing may."""
        now_s = self._boottime()
        may_go = (
            series for series, one in self._waiting.items() if one.not_before_s <= now_s and series not in self._on_way
        )
        series = min(may_go, key=lambda series: _gravity(self._waiting[series].message), default=None)
        if series is None or not self._has_room_for(self._waiting[series].message):
            return None
        return self._waiting.pop(series)

    def _has_room_for(self, message: Message) -> bool:
        if not self._on_way:
            return True
        gravest = min(map(_gravity, self._on_way.values()))
        threads_max = THREADS_MAX if _gravity(message) < gravest else THREADS_MAX - 1
        return (
            message.priority is Priority.HIGH
            and _gravity(message) <= gravest
            and max(self._threads.living, len(self._on_way)) < threads_max
        )

    async def _hand_over(self, one: _Waiting) -> None:
        """One try; what may go better later waits again."""
        message, tries = one.message, one.tries + 1
        began_s = self._boottime() if tries == 1 else one.began_s
        if tries == 1:
            self._begins(message)
        try:
            await self._threads.call(lambda: self._deliver(message), self._send_s)
        except NotDelivered as failed:
            pause_s = self._pause_s(tries, began_s) if failed.again else None
            if pause_s is None:
                self._told(Outcome(message.page_id, failed.why, tries))
            elif message.series in self._waiting:
                self._told(Outcome(message.page_id, SUPERSEDED, tries))
            else:
                self._wait(_Waiting(message, tries, began_s, self._boottime() + pause_s))
        else:
            self._told(Outcome(message.page_id, None, tries))
        del self._on_way[message.series]
        self._news.set()

    def _pause_s(self, tries: int, began_s: float) -> float | None:
        """Until it is tried again; None: it is not."""
        if tries > len(self._again_after_s):
            return None
        pause_s = self._again_after_s[tries - 1]
        return pause_s if self._boottime() - began_s + pause_s <= AGAIN_WITHIN_S else None

    async def _hear(self) -> None:
        """Until something new waits, something has come back, or it is time for another try."""
        now_s = self._boottime()
        pauses_s = (one.not_before_s - now_s for one in self._waiting.values() if one.not_before_s > now_s)
        try:
            async with asyncio.timeout(min(pauses_s, default=None)):
                await self._news.wait()
        except TimeoutError:
            pass  # time for another try


def _gravity(message: Message) -> tuple[int, str]:
    """Least first."""
    return _RANK[message.priority], message.code
