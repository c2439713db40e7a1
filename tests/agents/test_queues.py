"""The two queues around the control thread: bounded, stops first, shed is only what is repeated or missed by nobody."""

import time

import pytest

from agents.commands import holding
from agents.queues import INBOX_MAX, OUTBOX_MAX, STOPS_MAX, Inbox, Outbox, OutboxFull
from agents.steps import (
    HOLDS_KEPT,
    Acknowledge,
    Announce,
    Durable,
    Heard,
    HeardStop,
    Persist,
    Sample,
    Written,
)
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, Phase, Scope
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


def stop(n: int, scope: Scope = Scope.DEVICE, *, hold: bool = True) -> HeardStop:
    believed = messages.Stop(f"{n:032x}", Cause.EMERGENCY_STOP, hold, "page", "2026-11-22T12:00:00.000Z")
    return HeardStop(1.0, scope, believed, f"{n:016x}")


def test_a_flood_of_one_stop_waits_once() -> None:
    inbox = Inbox()
    for _ in range(STOPS_MAX + 10):
        inbox.put_first(STOP)
    inbox.put_first(Written(1.0, 1))
    assert inbox.take(0.0) == [STOP, Written(1.0, 1)]
    assert inbox.shed == STOPS_MAX + 9
    inbox.put_first(STOP)
    assert inbox.take(0.0) == [STOP], "once taken, the next one is heard again"


def test_a_stop_overtakes_and_is_not_dropped_behind_confirmed_writes() -> None:
    inbox = Inbox()
    written = [Written(1.0, n) for n in range(STOPS_MAX)]
    for each in written:
        inbox.put_first(each)
    inbox.put_first(STOP)
    assert inbox.take(0.0) == [STOP, *written]
    assert inbox.shed == 0


def test_where_64_different_stops_wait_a_new_hold_takes_the_place_of_a_bare_stop() -> None:
    inbox = Inbox()
    waiting = [stop(n, hold=n != 7) for n in range(STOPS_MAX)]
    for each in [*waiting, stop(100)]:
        inbox.put_first(each)
    waiting.remove(stop(7, hold=False))
    assert inbox.take(0.0) == [*waiting, stop(100)]
    assert inbox.shed == 1


def test_where_64_holds_wait_every_scope_is_held_all_the_same() -> None:
    """60 of one scope and 5 of another: only one that the agent would not keep by name is dropped, not the newest."""
    inbox = Inbox()
    given = [*(stop(n) for n in range(60)), *(stop(n, Scope.ALL) for n in range(60, 65))]
    for each in given:
        inbox.put_first(each)
    taken = inbox.take(0.0)
    assert len(taken) == STOPS_MAX
    (dropped,) = [each for each in given if each not in taken]
    assert given.index(dropped) == HOLDS_KEPT

    def held(stops: list[HeardStop]) -> messages.Holds:
        holds = messages.Holds.of()
        for each in stops:
            holds = holding(holds, each.scope, each.hold_id)
        return holds

    assert held([each for each in taken if isinstance(each, HeardStop)]) == held(given)


def test_a_bare_stop_more_does_not_push_out_a_hold() -> None:
    inbox = Inbox()
    holds = [stop(n) for n in range(STOPS_MAX)]
    for each in [*holds, stop(100, hold=False)]:
        inbox.put_first(each)
    assert inbox.take(0.0) == holds


def test_a_wake_ends_the_wait() -> None:
    inbox = Inbox()
    inbox.wake()
    began_s = time.monotonic()
    assert inbox.take(5.0) == []
    assert time.monotonic() - began_s < 1.0


def test_from_half_full_answers_are_shed_but_done_is_not() -> None:
    """A flood of commands cannot fill the outbox; that a stop is done is told all the same."""
    outbox = Outbox()
    for n in range(4 * OUTBOX_MAX):
        outbox.put(Acknowledge(f"{n:032x}", AckStatus.RECEIVED if n % 2 else AckStatus.REFUSED))
    done = Acknowledge("0a" * 16, AckStatus.DONE, amplitude_ma=0.0)
    outbox.put(done)
    outbox.close()
    taken = list(iter(outbox.take, None))
    assert len(taken) == OUTBOX_MAX // 2 + 1
    assert taken[-1] == done
    assert outbox.shed == 4 * OUTBOX_MAX - OUTBOX_MAX // 2


def test_the_outbox_sheds_samples_and_keeps_the_rest() -> None:
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
