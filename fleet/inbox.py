"""The one bounded inbox of the fleet: everything that the owner of the state hears comes through it, in order.

People and the performer's reports come before telemetry: a stop that a person pushes must not queue behind a flood.
"""

import asyncio
from collections import deque

from fleet.core.inputs import Input

URGENT_MAX = 10_000


class Inbox:
    """Bounded both ways: `items_max` ordinary items, 10,000 urgent ones. `most` is how full it ever was.

    What waits for room is bounded by whoever puts it: the broker sends no more than it may before the oldest is in.
    """

    def __init__(self, items_max: int) -> None:
        self.most = 0
        self._items_max = items_max
        self._ordinary: deque[Input] = deque()
        self._urgent: deque[Input] = deque()
        self._outside: deque[tuple[Input, asyncio.Future[None]]] = deque()
        self._taker: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Items that wait, urgent and ordinary."""
        return len(self._ordinary) + len(self._urgent)

    def offer(self, item: Input) -> bool:
        """Take it now, or say that there is no room."""
        if len(self._ordinary) >= self._items_max:
            return False
        self._arrived(self._ordinary, item)
        return True

    def put(self, item: Input) -> asyncio.Future[None] | None:
        """Take it as soon as there is room. None: it is in; otherwise done when it is."""
        if self.offer(item):
            return None
        inside: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outside.append((item, inside))
        return inside

    def urgent(self, item: Input) -> bool:
        """Take it before everything ordinary; False only if 10,000 wait already."""
        if len(self._urgent) >= URGENT_MAX:
            return False
        self._arrived(self._urgent, item)
        return True

    def next(self) -> Input | None:
        """The next item; None if there is none now."""
        if self._urgent:
            return self._urgent.popleft()
        if not self._ordinary:
            return None
        item = self._ordinary.popleft()
        if self._outside:  # whoever waits longest has the room, before anybody is offered it
            entering, inside = self._outside.popleft()
            self._ordinary.append(entering)
            if not inside.done():
                inside.set_result(None)
        return item

    async def arrival(self, within_s: float) -> None:
        """Wait until there is an item, no longer than `within_s`. One at a time may wait."""
        if self._urgent or self._ordinary:
            return
        loop = asyncio.get_running_loop()
        self._taker = taker = loop.create_future()
        late = loop.call_later(within_s, _wake, taker)
        try:
            await taker
        finally:
            late.cancel()
            self._taker = None

    def _arrived(self, items: deque[Input], item: Input) -> None:
        items.append(item)
        waiting = len(self._ordinary) + len(self._urgent)
        if waiting > self.most:
            self.most = waiting
        if self._taker is not None:
            _wake(self._taker)


def _wake(taker: asyncio.Future[None]) -> None:
    if not taker.done():
        taker.set_result(None)
