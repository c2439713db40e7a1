"""One thread beside the loop, for calls that a disk may hold up: neither the loop nor the end of the process waits.

Calls are made one after the other. A call that hangs keeps those behind it waiting and nobody else: the thread is a
daemon, since a thread that hangs in the kernel cannot be ended.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar


class Closes(Protocol):
    """What holds something until it is closed."""

    def close(self) -> None: ...


T = TypeVar("T")
Opened = TypeVar("Opened", bound=Closes)
_Call = tuple[Future[Any], Callable[[], Any]]


class Aside:
    """The thread, until `close`."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def begin(self, call: Callable[[], T]) -> Future[T]:
        """Have `call` made; what came of it is in the future. One that is cancelled before its turn is not made."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return future

    async def does(self, call: Callable[[], T]) -> T:
        """What `call` says, or raises."""
        return await asyncio.wrap_future(self.begin(call))

    async def opens(self, call: Callable[[], Opened]) -> Opened:
        """What `call` has opened, for whoever waits for it: where nobody does any more, it is closed, in the thread."""
        opening = self.begin(call)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            self.begin(partial(_close, opening))  # its turn is after the one that opens
            raise

    def close(self) -> None:
        """End the thread after the calls that were begun; nobody waits for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while (begun := self._calls.get()) is not None:
            _made(*begun)
            del begun  # of a call, and of what came of it, nothing is kept while the next one is waited for


def _made(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 # raised where it is waited for
        future.set_exception(error)
        del future  # the error knows this frame, by its traceback: the two would keep each other
    else:
        future.set_result(result)


def _close(opened: Future[Opened]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()
