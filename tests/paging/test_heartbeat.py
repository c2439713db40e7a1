"""The heartbeat: it goes out while help would come, and its loss is noticed on both sides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from demo.processes import await_that
from fleet.adapters.notify.message import NotDelivered
from fleet.paging.heartbeat import Heartbeat
from tests.paging.house import KEY, House, rota, webhook
from tests.paging.receivers import HttpReceiver, boottime_s
from tests.paging.test_outcomes import Fleet

WELL = {"ok": True, "connected": True, "journal_refusing": False}


@asynccontextmanager
async def beating(_of: object, does: Callable[[], Any]) -> AsyncIterator[None]:
    running = asyncio.create_task(does())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def heart(
    path: Path, address: Callable[[], str] | None, period_s: float = 60.0, reaches: Callable[[], bool] = lambda: True
) -> Heartbeat:
    return Heartbeat(path, "north", address, reaches, send_s=2.0, period_s=period_s)


async def until(holds: Callable[[], bool]) -> None:
    """The receiver has a thread of its own, and so has whoever waits for it."""
    await asyncio.to_thread(await_that, "the heartbeat", holds, 10.0)


async def test_it_goes_out_and_is_taken(tmp_path: Path) -> None:
    with HttpReceiver() as switch:
        async with Fleet(tmp_path / "control.sock", lambda asked: WELL).listening() as fleet:
            heartbeat = heart(fleet.path, lambda: switch.url, period_s=0.05)
            async with beating(heartbeat, heartbeat.beat):
                await until(lambda: len(switch.posted) >= 3)
                await until(lambda: heartbeat.taken is True)
    assert switch.posted[0].said == {"site": "north", "watchdog": "stimfleet"}


async def test_it_stops_when_nobody_would_be_helped(tmp_path: Path) -> None:
    """A fleet that is away, has no broker, or cannot write: whoever watches from outside is to notice."""
    said: dict[str, Any] = {}
    with HttpReceiver() as switch:
        async with Fleet(tmp_path / "control.sock", lambda asked: said).listening() as fleet:
            for unwell in ({"connected": False}, {"journal_refusing": True}, {"ok": False}):
                said.clear()
                said.update({**WELL, **unwell})
                before = len(fleet.heard)
                heartbeat = heart(fleet.path, lambda: switch.url, period_s=0.02)
                async with beating(heartbeat, heartbeat.beat):
                    await until(lambda before=before: len(fleet.heard) > before + 2)  # type: ignore[misc]
                assert heartbeat.taken is None
        heartbeat = heart(tmp_path / "nowhere.sock", lambda: switch.url, period_s=0.02)
        async with beating(heartbeat, heartbeat.beat):
            await asyncio.sleep(0.2)  # ten beats' time in which nothing may happen
    assert switch.posted == []


async def test_it_stops_while_messages_reach_nobody_and_is_back_within_seconds_once_they_do(tmp_path: Path) -> None:
    """The period is ten minutes: what is well again is said long before."""
    reaching = False
    looked: list[bool] = []

    def reaches() -> bool:
        looked.append(reaching)
        return reaching

    with HttpReceiver() as switch:
        async with Fleet(tmp_path / "control.sock", lambda asked: WELL).listening() as fleet:
            heartbeat = heart(fleet.path, lambda: switch.url, period_s=600.0, reaches=reaches)
            async with beating(heartbeat, heartbeat.beat):
                await until(lambda: len(looked) >= 2)
                assert (switch.posted, heartbeat.taken) == ([], None)
                reaching = True
                await until(lambda: len(switch.posted) == 1)
                await until(lambda: heartbeat.taken is True)
    assert looked == [False] * (len(looked) - 1) + [True], "then it waits for its period"


async def test_a_switch_that_does_not_take_it_is_told_to_the_fleet(tmp_path: Path) -> None:
    def no_address() -> str:
        raise NotDelivered("its secret cannot be read: No such file or directory", again=False)

    with HttpReceiver(statuses=[500]) as switch:
        async with Fleet(tmp_path / "control.sock", lambda asked: WELL).listening() as fleet:
            for address in (lambda: switch.url, no_address):
                heartbeat = heart(fleet.path, address)
                async with beating(heartbeat, heartbeat.beat):
                    await until(lambda heartbeat=heartbeat: heartbeat.taken is False)  # type: ignore[misc]
                fleet.heard.clear()
                async with beating(heartbeat, heartbeat.tell_the_fleet):
                    assert await fleet.hears(1) == [{"op": "pager_alive", "heartbeat": False}]


async def test_without_a_switch_the_fleet_still_hears_that_somebody_tells_people(tmp_path: Path) -> None:
    async with Fleet(tmp_path / "control.sock").listening() as fleet:
        heartbeat = heart(fleet.path, None)
        async with beating(heartbeat, heartbeat.tell_the_fleet):
            assert await fleet.hears(1) == [{"op": "pager_alive", "heartbeat": None}]


def test_h19_while_every_message_fails_the_switch_outside_hears_nothing(tmp_path: Path) -> None:
    """Three tests are refused: A12 has no way to anybody, so it is the silence that tells. Then one arrives."""
    names = ("anna", "ben", "cleo")
    with HttpReceiver() as switch, HttpReceiver(statuses=[410]) as phones:
        secrets = {**{f"{name}-phone": f"{phones.url}/\n{KEY}" for name in names}, "switch": switch.url}
        settings = 'send_s = 1.0\nheartbeat_secret = "switch"\nheartbeat_period_s = 1.0\n'
        with House(tmp_path, rota(**{name: webhook(name) for name in names}), secrets, settings) as house:
            switch.await_posts(2)
            assert house.clinic.ask(op="drill", issued_by="oskar")["ok"]
            await_that("all are refused", lambda: len(house.journaled("PageMissed")) == 3, 10.0, house.pager.last_words)
            failed_s = boottime_s()
            await_that("four beats' time", lambda: boottime_s() > failed_s + 5.0, 10.0)
            assert [post for post in switch.posted if post.at_s > failed_s + 1.0] == []
            phones.statuses = [200]
            again_s = boottime_s()
            assert house.clinic.ask(op="drill", issued_by="oskar", person="ben")["ok"]
            await_that("it beats again", lambda: any(post.at_s > again_s for post in switch.posted), 10.0)
            assert house.journaled("PageArrived"), "it beats because somebody was reached"
