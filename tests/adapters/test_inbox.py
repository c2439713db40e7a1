"""The inbox: bounded, in order, and people before telemetry."""

import asyncio

from fleet.core.inputs import Rejected, Tick
from fleet.inbox import URGENT_MAX, Inbox


def said(n: int) -> Rejected:
    return Rejected("stim-01", None, str(n), float(n), 0.0)


async def test_items_come_out_in_the_order_in_which_they_came() -> None:
    inbox = Inbox(10)
    assert inbox.offer(said(1))
    await inbox.put(said(2))
    assert inbox.offer(said(3))
    assert [await inbox.take() for _ in range(3)] == [said(1), said(2), said(3)]


async def test_a_stop_does_not_queue_behind_a_flood() -> None:
    inbox = Inbox(1_000)
    for n in range(1_000):
        assert inbox.offer(said(n))
    stop = Tick(5.0, 0.0)
    assert inbox.urgent(stop)
    assert await inbox.take() == stop
    assert await inbox.take() == said(0)


async def test_a_full_inbox_refuses_what_may_be_shed_and_makes_the_rest_wait() -> None:
    inbox = Inbox(2)
    assert inbox.offer(said(1))
    assert inbox.offer(said(2))
    assert not inbox.offer(said(3))
    waiting = asyncio.ensure_future(inbox.put(said(4)))
    await asyncio.sleep(0)  # one turn of the loop, in which it must not get in
    assert not waiting.done()
    assert await inbox.take() == said(1)
    await waiting
    assert [await inbox.take(), await inbox.take()] == [said(2), said(4)]


async def test_whoever_takes_from_an_empty_inbox_waits() -> None:
    inbox = Inbox(2)
    for put in (inbox.offer, inbox.urgent):
        taking = asyncio.ensure_future(inbox.take())
        await asyncio.sleep(0)  # one turn of the loop, in which there is nothing to take
        assert not taking.done()
        put(said(7))
        assert await taking == said(7)


async def test_the_urgent_are_bounded_too() -> None:
    inbox = Inbox(100)
    assert all(inbox.urgent(said(n)) for n in range(URGENT_MAX))
    assert not inbox.urgent(said(0))


async def test_nothing_is_lost_when_a_full_inbox_empties_while_many_wait() -> None:
    inbox = Inbox(3)

    async def putting(n: int) -> None:
        await inbox.put(said(n))

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for n in range(50):
            group.create_task(putting(n), name=f"put {n}")
        taken = [await inbox.take() for _ in range(50)]
    assert taken == [said(n) for n in range(50)]
