"""The two queues around the control thread: bounded, stops first, nothing but samples shed."""

import time

import pytest

from agents.queues import INBOX_MAX, OUTBOX_MAX, STOPS_MAX, Inbox, Outbox, OutboxFull
from agents.steps import Announce, Durable, Heard, HeardStop, Persist, Sample, Written
from broker.contract import messages
from broker.contract.messages import Phase, Scope
from tests.agents.clinic import SESSION

LEASE = Heard(1.0, messages.Lease(1, 1, SESSION, 5, 4000))
STOP = HeardStop(1.0, Scope.DEVICE, None, "0e" * 8)


def test_stops_overtake_and_are_not_dropped_when_the_inbox_is_full() -> None:
    inbox = Inbox()
    assert all(inbox.put(LEASE) for _ in range(INBOX_MAX))
    assert not inbox.put(LEASE)
    assert inbox.shed == 1
    inbox.put_first(STOP)
    taken = inbox.take(0.0)
    assert taken[0] == STOP
    assert len(taken) == INBOX_MAX + 1
    assert inbox.take(0.0) == []


def test_a_flood_of_stops_does_not_grow_the_agent() -> None:
    inbox = Inbox()
    for _ in range(STOPS_MAX + 10):
        inbox.put_first(STOP)
    inbox.put_first(Written(1.0, 1))
    assert len(inbox.take(0.0)) == STOPS_MAX + 1
    assert inbox.shed == 10


def test_a_wake_ends_the_wait() -> None:
    inbox = Inbox()
    inbox.wake()
    began_s = time.monotonic()
    assert inbox.take(5.0) == []
    assert time.monotonic() - began_s < 1.0


def test_the_outbox_sheds_samples_and_nothing_else() -> None:
    outbox = Outbox()
    sample = Sample(
        1.0, messages.Telemetry(1, 1, "", Phase.IDLE, None, 0, 0, None, 0, 0, None, None, None, None, 0, False)
    )
    for _ in range(OUTBOX_MAX):
        outbox.put(sample)
    assert outbox.shed == OUTBOX_MAX // 2
    for _ in range(OUTBOX_MAX // 2):
        outbox.put(Announce())
    with pytest.raises(OutboxFull):
        outbox.put(Persist(1, Durable(1)))
    outbox.close()
    taken = [outbox.take() for _ in range(OUTBOX_MAX + 1)]
    assert taken[-1] is None
    assert taken.count(Announce()) == OUTBOX_MAX // 2
