"""The two bounded queues around the control thread: what it hears, and what it has to write and tell."""

import threading
from collections import deque

from agents.steps import HeardStop, Input, Output, Sample

INBOX_MAX = 64  # what a tick can judge without coming late
OUTBOX_MAX = 1024
STOPS_MAX = 64


class OutboxFull(RuntimeError):
    """The disk has not taken an event, an answer or a record for so long that nothing more fits: the process ends."""


class Inbox:
    """What the control thread hears, from any thread. What may not wait or be lost has a lane of its own.

    The first lane takes stops, the stop of the person at the device, and the confirmations of the thread's own
    writes, of which the outbox bounds the number. Where 64 stops already wait, one more says nothing new.
    """

    def __init__(self, limit: int = INBOX_MAX) -> None:
        self._limit = limit
        self._arrived = threading.Condition()
        self._first: deque[Input] = deque()
        self._others: deque[Input] = deque()
        self._woken = False
        self.shed = 0

    def put(self, given: Input) -> bool:
        """False, and counted: the inbox is full."""
        with self._arrived:
            if len(self._others) >= self._limit:
                self.shed += 1
                return False
            self._others.append(given)
            self._arrived.notify()
            return True

    def put_first(self, given: Input) -> None:
        with self._arrived:
            if isinstance(given, HeardStop) and len(self._first) >= STOPS_MAX:
                self.shed += 1
                return
            self._first.append(given)
            self._arrived.notify()

    def wake(self) -> None:
        """Let a waiting `take` return with nothing."""
        with self._arrived:
            self._woken = True
            self._arrived.notify()

    def take(self, timeout_s: float) -> list[Input]:
        """All that has arrived, stops first; waits for it, at most `timeout_s`."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._first or self._others or self._woken, max(0.0, timeout_s))
            taken = [*self._first, *self._others]
            self._first.clear()
            self._others.clear()
            self._woken = False
            return taken


class Outbox:
    """What the disk thread has to write and tell, in order. Samples are shed, and counted, from half full."""

    def __init__(self, limit: int = OUTBOX_MAX) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._outputs: deque[Output] = deque()
        self._closed = False
        self.shed = 0

    def put(self, output: Output) -> None:
        """Never waits.

        Raises:
            OutboxFull: for anything but a sample.
        """
        with self._changed:
            if isinstance(output, Sample) and len(self._outputs) >= self._limit // 2:
                self.shed += 1
                return
            if len(self._outputs) >= self._limit:
                raise OutboxFull(f"{self._limit} outputs wait for the disk")
            self._outputs.append(output)
            self._changed.notify()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> Output | None:
        """The next output, waiting for it; None once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._outputs or self._closed)
            return self._outputs.popleft() if self._outputs else None
