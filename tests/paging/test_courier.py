"""Orders carried out: each once, by its channel, with its outcome told; and told plainly where the words fail."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.notify.lane import Deliver
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.core.attention_events import PageDue
from fleet.paging import courier as courier_module
from fleet.paging.begun import Begun
from fleet.paging.courier import INTERRUPTED, Courier
from fleet.paging.outcomes import Reports
from fleet.words import pages as page_words
from fleet.words.pages import Surroundings
from tests.core.on_call import OnCall
from tests.paging.test_begun import no_file_longer_than
from tests.paging.test_lane import message
from tests.paging.test_outcomes import Fleet


@dataclass
class Round:
    """A courier with a real control socket before it and channels that take what `takes` says."""

    folder: Path
    takes: Callable[[str, Message], None] = lambda channel, message: None
    given: list[tuple[str, Message]] = field(default_factory=list)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[tuple[Courier, Fleet]]:
        begun = Begun(self.folder / "pager.begun")
        fleet = Fleet(self.folder / "control.sock")
        reports = Reports(fleet.path)
        courier = Courier(
            Surroundings(site="north"), reports, begun, self._channel, send_s=1.0, boottime=time.monotonic
        )
        async with fleet.listening():
            running = [asyncio.create_task(courier.run()), asyncio.create_task(reports.run())]
            try:
                yield courier, fleet
                async with asyncio.timeout(10.0):
                    await courier.idle.wait()
                    await reports.idle.wait()
            finally:
                for task in running:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                begun.close()

    def _channel(self, person: str, method: str) -> Deliver:
        def deliver(message: Message) -> None:
            self.given.append((f"{person}/{method}", message))
            self.takes(person, message)

        return deliver


def wrong() -> OnCall:
    clinic = OnCall()
    clinic.running()
    clinic.shows("stim-12", amplitude_ma=90.0)
    return clinic


def pages(clinic: OnCall) -> list[PageDue]:
    return [event for event in clinic.journal if isinstance(event, PageDue)]


async def test_an_order_is_carried_out_once_and_its_outcome_told(tmp_path: Path) -> None:
    clinic, round_ = wrong(), Round(tmp_path)
    async with round_.going() as (courier, fleet):
        for position, event in enumerate(clinic.journal, start=1):
            courier.heard(position, event, clinic.state)
        for page in pages(clinic):
            courier.heard(0, page, clinic.state)  # heard again before anything came of it
        asked = await fleet.hears(1)
    assert asked == [{"op": "page_delivered", "page_id": page.page_id} for page in pages(clinic)]
    assert [name for name, _ in round_.given] == ["anna/phone"]


async def test_what_is_not_taken_is_told_with_how_often_it_was_tried(tmp_path: Path) -> None:
    def refuses(channel: str, message: Message) -> None:
        raise NotDelivered("connection refused", again=True)

    clinic = wrong()
    async with Round(tmp_path, refuses).going() as (courier, fleet):
        courier.begin(pages(clinic), clinic.state)
        (said,) = await fleet.hears(1)
    assert said == {
        "op": "page_failed",
        "page_id": pages(clinic)[0].page_id,
        "why": "connection refused, 3 tries",
    }


async def test_what_was_interrupted_twice_is_told_and_not_sent(tmp_path: Path) -> None:
    clinic, round_ = wrong(), Round(tmp_path)
    (page,) = pages(clinic)
    (tmp_path / "pager.begun").write_text(f"{page.page_id}\n" * 2)
    async with round_.going() as (courier, fleet):
        courier.begin([page], clinic.state)
        (said,) = await fleet.hears(1)
    assert said["why"] == INTERRUPTED
    assert round_.given == []


async def test_a_disk_that_refuses_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    clinic, round_ = wrong(), Round(tmp_path)
    async with round_.going() as (courier, fleet):
        with no_file_longer_than(8):
            courier.begin(pages(clinic), clinic.state)
            (said,) = await fleet.hears(1)
    assert said["op"] == "page_delivered"
    assert [name for name, _ in round_.given] == ["anna/phone"]


async def test_what_nobody_ordered_goes_the_same_way_and_the_fleet_hears_nothing_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses_ben(person: str, message: Message) -> None:
        if person == "ben":
            raise NotDelivered("answered 410", again=False)

    round_, came = Round(tmp_path, refuses_ben), list[bool]()
    async with round_.going() as (courier, fleet):
        said = message("a1" * 16, "b2" * 16)
        courier.tell("anna", "phone", said, came.append)
        await courier.idle.wait()
        courier.tell("ben", "phone", replace(said, page_id="a2" * 16), came.append)
        await courier.idle.wait()
    assert came == [True, False]
    assert [name for name, _ in round_.given] == ["anna/phone", "ben/phone"]
    assert fleet.heard == []
    assert (tmp_path / "pager.begun").read_bytes() == b"", "after a crash nobody asks whether it had begun"
    assert f"channel ben/phone: message {'a2' * 16} NOT delivered: answered 410" in caplog.text


async def test_words_that_fail_keep_nobody_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(alarm: Any) -> str:
        raise KeyError("A99")

    monkeypatch.setattr(page_words, "alarm_words", fails)
    clinic, round_ = wrong(), Round(tmp_path)
    async with round_.going() as (courier, fleet):
        courier.begin(pages(clinic), clinic.state)
        (said,) = await fleet.hears(1)
    assert said["op"] == "page_delivered"
    ((_, message),) = round_.given
    assert message.line == "HIGH A02 room-4, stim-12."
    assert "has no words" in caplog.text


async def test_there_are_not_more_channels_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "LANES_MAX", 0)
    clinic = wrong()
    async with Round(tmp_path).going() as (courier, fleet):
        courier.begin(pages(clinic), clinic.state)
        (said,) = await fleet.hears(1)
        came: list[bool] = []
        courier.tell("ben", "phone", message("a1" * 16, "b2" * 16), came.append)
    assert said["why"] == "there are too many channels"
    assert came == [False]
