"""A channel's lane: one message at a time, the gravest first, a little patience, an outcome for each. Real threads."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from fleet.adapters.notify.lane import OVERFULL, SUPERSEDED, WAITING_MAX, Lane, Outcome
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.adapters.notify.threads import THREADS_MAX
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act

HIGH, MEDIUM, LOW, _ = Priority


def message(page_id: str, series: str = "", priority: Priority = HIGH) -> Message:
    return Message(
        page_id=page_id,
        series=series or page_id,
        act=Act.TRIGGER,
        priority=priority,
        code="A01",
        site="north",
        room="room-4",
        device="stim-12",
        line="HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall.",
        details=(),
        rung=1,
        drill=False,
        by=None,
        runbook=None,
        link=None,
        at="2026-11-25T12:00:00.000Z",
        until_s=0.0,
    )


@dataclass
class Channel:
    """The other side: `does` is called with each message, in a thread."""

    does: Callable[[Message], None]
    send_s: float = 1.0
    again_after_s: tuple[float, ...] = (0.05, 0.1)
    waiting_max: int = WAITING_MAX
    name: str = "anna/phone"
    told: list[Outcome] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def hears(self, outcome: Outcome) -> None:
        self.told.append(outcome)
        self.news.set()

    async def outcomes(self, count: int) -> list[Outcome]:
        async with asyncio.timeout(10.0):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()
        return self.told

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane]:
        lane = Lane(
            self.name,
            self.does,
            self.hears,
            begins=lambda message: self.begun.append(message.page_id),
            send_s=self.send_s,
            boottime=time.monotonic,
            again_after_s=self.again_after_s,
            waiting_max=self.waiting_max,
        )
        running = asyncio.create_task(lane.run())
        try:
            yield lane
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def until(over: threading.Event) -> Callable[[Message], None]:
    """Nothing is answered until it is over."""

    def hangs(message: Message) -> None:
        over.wait(10.0)

    return hangs


def takes(message: Message) -> None:
    """Everything is taken."""


async def test_what_comes_is_handed_over_and_its_outcome_is_told() -> None:
    channel = Channel(takes)
    async with channel.lane() as lane:
        lane.put(message("one"))
        assert await channel.outcomes(1) == [Outcome("one", None, 1)]
        lane.put(message("two"))
        assert (await channel.outcomes(2))[1] == Outcome("two", None, 1)
    assert channel.begun == ["one", "two"]


async def test_the_gravest_goes_first_and_of_one_series_only_the_newest() -> None:
    free, given = threading.Event(), list[str]()
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def holds_up(message: Message) -> None:
        given.append(message.page_id)
        loop.call_soon_threadsafe(begun.set)
        free.wait(5.0)

    channel = Channel(holds_up, send_s=5.0)
    async with channel.lane() as lane:
        lane.put(message("first"))
        await begun.wait()
        lane.put(message("low", priority=LOW))
        lane.put(message("medium", "series", MEDIUM))
        lane.put(replace(message("high", priority=HIGH), code="A02"))
        lane.put(message("stuck", priority=HIGH))
        lane.put(message("newer", "series", MEDIUM))
        free.set()
        told = await channel.outcomes(6)
    assert given == ["first", "stuck", "high", "newer", "low"]
    assert told[0] == Outcome("medium", SUPERSEDED, 0)
    assert {outcome.page_id for outcome in told[1:]} == set(given)


async def test_what_is_too_much_is_the_newest_of_the_least_grave() -> None:
    channel = Channel(takes, waiting_max=3)
    lane = Lane(
        "anna/phone",
        takes,
        channel.hears,
        begins=lambda message: None,
        send_s=1.0,
        boottime=time.monotonic,
        waiting_max=3,
    )
    for number in range(3):
        lane.put(message(f"low {number}", priority=LOW))
    lane.put(message("high", priority=HIGH))
    lane.put(message("medium", priority=MEDIUM))
    assert [(outcome.page_id, outcome.why) for outcome in channel.told] == [("low 2", OVERFULL), ("low 1", OVERFULL)]


@pytest.mark.parametrize(("fails", "tries", "why"), [(1, 2, None), (2, 3, None), (3, 3, "connection refused")])
async def test_a_door_that_is_closed_is_tried_three_times(fails: int, tries: int, why: str | None) -> None:
    calls = []

    def opens_later(message: Message) -> None:
        calls.append(message.page_id)
        if len(calls) <= fails:
            raise NotDelivered("connection refused", again=True)

    channel = Channel(opens_later)
    async with channel.lane() as lane:
        lane.put(message("one"))
        assert await channel.outcomes(1) == [Outcome("one", why, tries)]
    assert channel.begun == ["one"], "it began once"


@dataclass
class Desk:
    """The other side in threads of the lane: each message of which `holds` is true is kept until `free`."""

    holds: Callable[[Message], bool]
    free: threading.Event = field(default_factory=threading.Event)
    given: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def takes(self, message: Message) -> None:
        self.given.append(message.page_id)
        self.loop.call_soon_threadsafe(self.news.set)
        if self.holds(message):
            self.free.wait(10.0)

    async def has(self, count: int) -> list[str]:
        async with asyncio.timeout(5.0):
            while len(self.given) < count:
                self.news.clear()
                await self.news.wait()
        return self.given


async def test_an_output_that_is_not_zero_waits_for_nothing_that_is_on_its_way() -> None:
    """Not for a digest of 4.8 s, and not behind an A02; the less grave wait behind what is graver."""
    desk = Desk(lambda message: message.page_id in {"digest", "a02"})
    channel = Channel(desk.takes, send_s=5.0)
    async with channel.lane() as lane:
        lane.put(message("digest", priority=LOW))
        assert await desk.has(1) == ["digest"]
        lane.put(replace(message("a02"), code="A02"))
        assert await desk.has(2) == ["digest", "a02"]
        lane.put(replace(message("a06", priority=MEDIUM), code="A06"))
        lane.put(message("a01"))
        assert await desk.has(3) == ["digest", "a02", "a01"]
        assert await channel.outcomes(1) == [Outcome("a01", None, 1)]
        desk.free.set()
        await channel.outcomes(4)
    assert desk.given[3:] == ["a06"]


async def test_of_two_outputs_that_are_not_zero_none_waits_for_the_other_and_a_thread_is_left_for_what_is_graver() -> (
    None
):
    desk = Desk(lambda message: message.code == "A02")
    channel = Channel(desk.takes, send_s=5.0)
    async with channel.lane() as lane:
        for number in range(10):
            lane.put(replace(message(f"{number}"), code="A02"))
        lane.put(replace(message("newer", series="0", priority=HIGH), code="A02"))
        await desk.has(THREADS_MAX - 1)
        lane.put(message("a01"))
        assert (await channel.outcomes(2))[1] == Outcome("a01", None, 1)
        assert desk.given.index("a01") == THREADS_MAX - 1
        desk.free.set()
        told = await channel.outcomes(12)
    assert told[0] == Outcome("0", SUPERSEDED, 0)
    assert [outcome.why for outcome in told[1:]] == [None] * 11


async def test_what_is_newer_of_a_series_never_goes_beside_what_is_older() -> None:
    desk = Desk(lambda message: message.page_id == "sounds")
    channel = Channel(desk.takes, send_s=5.0)
    async with channel.lane() as lane:
        lane.put(message("sounds", "series"))
        await desk.has(1)
        lane.put(replace(message("is over", "series"), act=Act.RESOLVE))
        lane.put(message("other"))
        assert await desk.has(2) == ["sounds", "other"]
        desk.free.set()
        await channel.outcomes(3)
    assert desk.given == ["sounds", "other", "is over"]


async def test_nothing_waits_for_another_s_pause() -> None:
    """A digest is refused and would be tried again in 1.5 s: others go meanwhile, and it goes again at its time."""
    calls: list[tuple[str, float]] = []

    def refuses_digests_once(message: Message) -> None:
        calls.append((message.page_id, time.monotonic()))
        if len(calls) == 1:
            raise NotDelivered("connection refused", again=True)

    channel = Channel(refuses_digests_once, again_after_s=(1.5,))
    async with channel.lane() as lane:
        lane.put(message("digest", priority=LOW))
        lane.put(message("low", priority=LOW))
        await channel.outcomes(1)
        lane.put(message("a01"))
        told = await channel.outcomes(3)
    assert told == [Outcome("low", None, 1), Outcome("a01", None, 1), Outcome("digest", None, 2)]
    (_, first_s), _, (_, a01_s), (_, again_s) = calls
    assert a01_s - first_s < 1.0
    assert 1.4 < again_s - first_s < 2.5


async def test_what_is_refused_for_good_is_told_at_once() -> None:
    def refuses(message: Message) -> None:
        raise NotDelivered("answered 404", again=False)

    channel = Channel(refuses)
    async with channel.lane() as lane:
        lane.put(message("one"))
        assert await channel.outcomes(1) == [Outcome("one", "answered 404", 1)]


async def test_silence_is_not_waited_for_twice_when_it_took_long() -> None:
    """1.2 s without an answer, and 1 s until the next try would be over the 2 s: the next person is told now."""
    over = threading.Event()
    channel = Channel(until(over), send_s=1.2, again_after_s=(1.0, 1.0))
    async with channel.lane() as lane:
        began_s = time.monotonic()
        lane.put(message("one"))
        assert await channel.outcomes(1) == [Outcome("one", "no answer in time", 1)]
        assert 1.1 < time.monotonic() - began_s < 2.0
        over.set()


async def test_a_slow_channel_holds_up_no_other() -> None:
    over = threading.Event()
    slow = Channel(until(over), send_s=5.0)
    quick = Channel(takes)
    async with slow.lane() as slow_lane, quick.lane() as quick_lane:
        for number in range(20):
            slow_lane.put(message(f"slow {number}"))
        began_s = time.monotonic()
        for number in range(20):
            quick_lane.put(message(f"quick {number}"))
        assert all(outcome.why is None for outcome in await quick.outcomes(20))
        assert time.monotonic() - began_s < 1.0
        assert slow.told == []
        over.set()


async def test_a_channel_that_hangs_has_four_threads_and_says_so() -> None:
    over = threading.Event()
    channel = Channel(until(over), send_s=0.1, again_after_s=(), name="ben/phone")
    async with channel.lane() as lane:
        for number in range(THREADS_MAX + 3):
            lane.put(message(f"{number}"))
        told = await channel.outcomes(THREADS_MAX + 3)
        assert [outcome.why for outcome in told] == ["no answer in time"] * THREADS_MAX + [
            "busy with earlier messages"
        ] * 3
        living = [thread for thread in threading.enumerate() if thread.name == "channel ben/phone"]
        assert len(living) == THREADS_MAX
        over.set()
        lane.put(message("after"))
        assert (await channel.outcomes(THREADS_MAX + 4))[-1].page_id == "after"


async def test_something_newer_ends_the_waiting_for_another_try() -> None:
    calls, tried, loop = [], asyncio.Event(), asyncio.get_running_loop()

    def closed(message: Message) -> None:
        calls.append(message.page_id)
        loop.call_soon_threadsafe(tried.set)
        if message.page_id == "one":
            raise NotDelivered("connection refused", again=True)

    channel = Channel(closed, again_after_s=(1.5,))
    async with channel.lane() as lane:
        lane.put(message("one", "series"))
        await tried.wait()
        lane.put(message("other"))
        lane.put(message("two", "series"))
        told = await channel.outcomes(3)
    assert Outcome("one", SUPERSEDED, 1) in told
    assert calls == ["one", "other", "two"]


async def test_a_fault_of_ours_costs_one_message_and_says_nothing_secret(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(message: Message) -> None:
        if message.page_id == "one":
            raise KeyError("https://user:password@host/")

    channel = Channel(breaks)
    async with channel.lane() as lane:
        lane.put(message("one"))
        lane.put(replace(message("two"), priority=LOW))
        assert await channel.outcomes(2) == [Outcome("one", "a fault of ours: KeyError", 1), Outcome("two", None, 1)]
    assert "password" not in caplog.text
    assert "channel anna/phone: a fault of ours: KeyError" in caplog.text


async def test_of_five_hundred_at_once_the_one_output_that_is_not_zero_goes_first_and_nothing_is_lost() -> None:
    given: list[str] = []
    channel = Channel(lambda message: given.append(message.page_id))
    async with channel.lane() as lane:
        for number in range(500):
            lane.put(replace(message(f"{number}"), code="A02"))
        lane.put(message("stuck"))
        assert all(outcome.why is None for outcome in await channel.outcomes(501))
    assert given[0] == "stuck"
    assert len(set(given)) == 501
