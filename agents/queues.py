"""The two bounded queues around the control thread: what it hears, and what it has to write and tell."""

import threading
from collections import deque
from collections.abc import Callable

from agents.steps import HOLDS_KEPT, Acknowledge, HeardStop, Input, Output, Sample
from broker.contract.messages import AckStatus, Scope, Stop

INBOX_MAX = 64  # what a tick can judge without coming late
OUTBOX_MAX = 1024
STOPS_MAX = 64


_Said = tuple[Scope, str, Stop | None]


class OutboxFull(RuntimeError):
    """The disk has not taken an event, an answer or a record for so long that nothing more fits: the process ends."""


class Inbox:
    """What the control thread hears, from any thread. What may not wait or be lost has a lane of its own.

    Stops of the fleet come before everything: each waits once, and at most 64 wait. Then what a person at the device
    presses to reduce (he waits for the answer before he presses again), and the confirmations of the thread's own
    writes, of which the outbox bounds the number.

    `call` is called after whatever came in, for a thread that waits elsewhere than in `take`.
    """

    def __init__(self, limit: int = INBOX_MAX, call: Callable[[], None] = lambda: None) -> None:
        self._limit = limit
        self._call = call
        self._arrived = threading.Condition()
        self._stops: dict[_Said, HeardStop] = {}
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
        self._call()
        return True

    def put_first(self, given: Input) -> None:
        with self._arrived:
            if isinstance(given, HeardStop):
                self._put_stop(given)
            else:
                self._first.append(given)
            self._arrived.notify()
        self._call()

    def _put_stop(self, given: HeardStop) -> None:
        said = (given.scope, given.hold_id, given.stop)
        if said in self._stops:
            self.shed += 1  # it waits already
            return
        self._stops[said] = given
        if len(self._stops) > STOPS_MAX:
            self.shed += 1
            del self._stops[_least_missed(self._stops)]

    def wake(self) -> None:
        """Let a waiting `take` return with nothing."""
        with self._arrived:
            self._woken = True
            self._arrived.notify()
        self._call()

    def take(self, timeout_s: float) -> list[Input]:
        """All that has arrived, stops first; waits for it, at most `timeout_s`, if that is above zero."""
        with self._arrived:
            if timeout_s > 0.0:
                self._arrived.wait_for(lambda: self._stops or self._first or self._others or self._woken, timeout_s)
            taken = [*self._stops.values(), *self._first, *self._others]
            self._stops.clear()
            self._first.clear()
            self._others.clear()
            self._woken = False
            return taken


def _least_missed(stops: dict[_Said, HeardStop]) -> _Said:
    """The stop whose loss changes least: the oldest without a hold; else one that is not kept by name in any case.

    A stop without a hold says nothing that the others do not, and the fleet repeats what is not acknowledged. Where
    all have holds, one scope has more of them than the agent keeps by name: the next beyond that is `more` as it is.
    """
    bare = next((said for said, stop in stops.items() if stop.stop is not None and not stop.stop.hold), None)
    if bare is not None:
        return bare
    scopes = [scope for scope, _, _ in stops]
    crowded = max(scopes, key=scopes.count)
    return [said for said in stops if said[0] is crowded][HOLDS_KEPT]


class Outbox:
    """What the disk thread has to write and tell, in order.

    From half full, samples and answers other than `done` are shed, and counted: the fleet repeats its commands.
    """

    def __init__(self, limit: int = OUTBOX_MAX) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._outputs: deque[Output] = deque()
        self._closed = False
        self.shed = 0

    def put(self, output: Output) -> None:
        """Never waits.

        Raises:
            OutboxFull: for anything else.
        """
        with self._changed:
            if len(self._outputs) >= self._limit // 2 and _can_be_missed(output):
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


def _can_be_missed(output: Output) -> bool:
    match output:
        case Sample():
            return True
        case Acknowledge():
            return output.status is not AckStatus.DONE
        case _:
            return False
