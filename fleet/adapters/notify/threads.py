"""One call at a time in a thread of its own, given up when it takes too long.

A thread cannot be ended. One that is given up ends by itself, or never; there are four of a channel at most, and then
the channel says that it is busy. They are daemons: a process that ends does not wait for them.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from fleet.adapters.notify.message import NotDelivered

log = logging.getLogger(__name__)
THREADS_MAX = 4


class Threads:
    """Those of one channel."""

    def __init__(self, name: str, threads_max: int = THREADS_MAX) -> None:
        self._name = name
        self._threads_max = threads_max
        self._living = 0  # in the loop's thread only

    @property
    def living(self) -> int:
        """Calls that have not come back."""
        return self._living

    async def call(self, does: Callable[[], None], within_s: float) -> None:
        """Run `does` in a thread; what it raises is raised here.

        Raises:
            NotDelivered: it has not come back in time, or too many before it have not.
        """
        if self._living >= self._threads_max:
            raise NotDelivered("busy with earlier messages", again=True)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def come_back(error: NotDelivered | None) -> None:
            self._living -= 1
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def run() -> None:
            error: NotDelivered | None = None
            try:
                does()
            except NotDelivered as failed:
                error = failed
            except Exception as fault:  # noqa: BLE001 - one message must not end the process that tells everybody else
                words = f"a fault of ours: {type(fault).__name__}"  # its own may hold an address
                log.error("channel %s: %s", self._name, words)
                error = NotDelivered(words, again=False)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(come_back, error)

        self._living += 1
        threading.Thread(target=run, name=f"channel {self._name}", daemon=True).start()
        try:
            async with asyncio.timeout(within_s):
                await done
        except TimeoutError:
            raise NotDelivered("no answer in time", again=True) from None
