"""The inbox: bounded, in order, and people before telemetry."""

import asyncio
import time

from fleet.core.inputs import Input, Rejected, Tick
from fleet.inbox import URGENT_MAX, Inbox


def said(n: int) -> Rejected:
    return Rejected("stim-01", None, str(n), float(n), 0.0)


def taken(inbox: Inbox) -> list[Input]:
    """Everything that is there."""
    return list(iter(inbox.next, None))


def test_items_come_out_in_the_order_in_which_they_came() -> None:
    inbox = Inbox(10)
    assert inbox.offer(said(1))
    assert inbox.put(said(2)) is None
    assert inbox.offer(said(3))
    assert (len(inbox), inbox.most) == (3, 3)
    assert taken(inbox) == [said(1), said(2), said(3)]
    assert (len(inbox), inbox.most) == (0, 3)


def test_a_stop_does_not_queue_behind_a_flood() -> None:
    inbox = Inbox(1_000)
    for n in range(1_000):
        assert inbox.offer(said(n))
    stop = Tick(5.0, 0.0)
    assert inbox.urgent(stop)
    assert inbox.next() == stop
    assert inbox.next() == said(0)


async def test_a_full_inbox_refuses_what_may_be_shed_and_makes_the_rest_wait() -> None:
    inbox = Inbox(2)
    assert inbox.offer(said(1))
    assert inbox.offer(said(2))
    assert not inbox.offer(said(3))
    waiting = inbox.put(said(4))
    assert waiting is not None
    assert not waiting.done()
    assert inbox.next() == said(1)
    assert waiting.done()
    assert taken(inbox) == [said(2), said(4)]


async def test_whoever_waits_for_room_is_not_overtaken() -> None:
    inbox = Inbox(1)
    assert inbox.put(said(1)) is None
    waiting = [inbox.put(said(n)) for n in (2, 3)]
    assert inbox.next() == said(1)
    assert not inbox.offer(said(9))  # the room that was made is taken
    assert [inside is not None and inside.done() for inside in waiting] == [True, False]
    assert taken(inbox) == [said(2), said(3)]


async def test_whoever_does_not_wait_any_longer_is_in_all_the_same() -> None:
    inbox = Inbox(1)
    assert inbox.put(said(1)) is None
    waiting = inbox.put(said(2))
    assert waiting is not None
    waiting.cancel()
    assert taken(inbox) == [said(1), said(2)]


async def test_an_arrival_wakes_whoever_waits_for_one() -> None:
    inbox = Inbox(2)
    for put in (inbox.offer, inbox.urgent):
        waiting = asyncio.ensure_future(inbox.arrival(within_s=60.0))
        await asyncio.sleep(0)  # one turn of the loop, in which there is nothing to take
        assert not waiting.done()
        put(said(7))
        put(said(8))
        await waiting
        assert taken(inbox) == [said(7), said(8)]


async def test_nobody_waits_for_what_is_there_nor_longer_than_asked() -> None:
    inbox = Inbox(2)
    began_s = time.monotonic()
    await inbox.arrival(within_s=0.05)
    assert time.monotonic() - began_s >= 0.05
    assert inbox.offer(said(1))
    await asyncio.wait_for(inbox.arrival(within_s=60.0), 5.0)


def test_the_urgent_are_bounded_too() -> None:
    inbox = Inbox(100)
    assert all(inbox.urgent(said(n)) for n in range(URGENT_MAX))
    assert not inbox.urgent(said(0))


async def test_nothing_is_lost_when_a_full_inbox_empties_while_many_wait() -> None:
    inbox = Inbox(3)
    waiting = [inbox.put(said(n)) for n in range(50)]
    assert [inside is None for inside in waiting] == [True] * 3 + [False] * 47
    assert taken(inbox) == [said(n) for n in range(50)]
    assert all(inside is None or inside.done() for inside in waiting)
