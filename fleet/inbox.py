"""The one bounded inbox of the fleet: everything that the owner of the state hears comes through it, in order.

People and the performer's reports come before telemetry: a stop that a person pushes must not queue behind a flood.
"""

import asyncio
from collections import deque

from fleet.core.inputs import Input

URGENT_MAX = 10_000


class Inbox:
    """Bounded both ways: `items_max` ordinary items, 10,000 urgent ones. `most` is how full it ever was."""

    def __init__(self, items_max: int) -> None:
        self._ordinary: asyncio.Queue[Input] = asyncio.Queue(items_max)
        self._urgent: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self.most = 0

    def __len__(self) -> int:
        return self._ordinary.qsize() + len(self._urgent)

    def offer(self, item: Input) -> bool:
        """Take it now, or say that there is no room."""
        try:
            self._ordinary.put_nowait(item)
        except asyncio.QueueFull:
            return False
        self._has_arrived()
        return True

    async def put(self, item: Input) -> None:
        """Take it as soon as there is room."""
        await self._ordinary.put(item)
        self._has_arrived()

    def urgent(self, item: Input) -> bool:
        """Take it before everything ordinary; False only if 10,000 wait already."""
        if len(self._urgent) >= URGENT_MAX:
            return False
        self._urgent.append(item)
        self._has_arrived()
        return True

    def _has_arrived(self) -> None:
        self.most = max(self.most, len(self))
        self._arrived.set()

    async def take(self) -> Input:
        """The next item."""
        await self._arrived.wait()
        item = self._urgent.popleft() if self._urgent else self._ordinary.get_nowait()
        if not self._urgent and self._ordinary.empty():
            self._arrived.clear()
        return item
