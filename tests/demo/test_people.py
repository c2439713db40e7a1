"""What the scripted people do with the fleet's answers; with real panels and a real fleet in test_simulate.py."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents import presses
from demo import people
from demo.day import Visit
from demo.people import House, Therapist

VISIT = Visit(at_s=0.0, device="stim-01", client="client-a001")
GRANTED = {"ok": True, "session_id": "5e" * 16}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """People who ask again without a pause."""
    monkeypatch.setattr(people, "ASKS_AGAIN_S", 0.0)
    monkeypatch.setattr(people, "AGAIN_S", 0.0)


def refused(*rules: str) -> dict[str, Any]:
    return {"ok": False, "refusals": [refusal(rule) for rule in rules]}


def refusal(rule: str) -> dict[str, Any]:
    empty = dict.fromkeys(("quantity", "value", "limit", "layer", "not_before"))
    return {"rule": rule, **empty, "layer": "device"}


@asynccontextmanager
async def answering(path: Path, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> AsyncIterator[None]:
    """A socket that answers line by line, until whoever asks hangs up."""
    calls: list[asyncio.Task[Any] | None] = []

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(asyncio.current_task())
        while line := await reader.readline():
            writer.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(call, path):
        yield
        await asyncio.gather(*filter(None, calls))


@dataclass
class Desk:
    """A fleet's control socket that gives `answers`, the last one for ever."""

    answers: list[dict[str, Any]]
    asked: int = 0
    said: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def therapist(
        self, folder: Path, boottime_s: Callable[[], float] = time.monotonic
    ) -> AsyncIterator[Therapist]:
        house = House(folder / "control.sock", "op-1", boottime_s, time.time, self.said.append, asyncio.Event())
        async with answering(house.fleet_socket, self._answer):
            yield Therapist(house, "stim-01", "room-1", folder / "panel.sock")

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert asked["op"] == "session_request"
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def held(asked: dict[str, Any]) -> dict[str, Any]:
    """What the panel of a device answers that is latched, and held by the fleet."""
    if asked["do"] == "reset":
        return {"accepted": False, "words": presses._HELD}
    return {"accepted": True, "words": "phase latched\nsession none"}


async def test_who_is_told_not_yet_asks_again_and_says_nothing_of_it(tmp_path: Path) -> None:
    desk = Desk([refused("device_not_fresh", "device_settings"), refused("device_not_idle"), GRANTED])
    async with desk.therapist(tmp_path) as therapist:
        assert await therapist.request(VISIT) == GRANTED
    assert (desk.asked, desk.said) == (3, [])


async def test_who_is_told_no_asks_once(tmp_path: Path) -> None:
    desk = Desk([refused("device_not_idle", "device_held"), GRANTED])
    async with desk.therapist(tmp_path) as therapist:
        assert not (await therapist.request(VISIT))["ok"]
    assert desk.asked == 1
    assert desk.said == [
        "    stim-01: refused: the device is not idle [device]",
        "    stim-01: refused: the device is held: release it first [device]",
    ]


async def test_who_is_told_not_yet_for_too_long_gives_up_and_says_why(tmp_path: Path) -> None:
    desk = Desk([refused("device_not_idle")])
    async with desk.therapist(tmp_path, boottime_s=lambda: 15.0 * desk.asked) as therapist:
        assert not (await therapist.request(VISIT))["ok"]
    assert desk.asked == 2
    assert desk.said == ["    stim-01: refused: the device is not idle [device]"]


@pytest.mark.parametrize("is_closing_time", [True, False])
async def test_what_closing_time_waits_for_is_said_once(tmp_path: Path, is_closing_time: bool) -> None:
    """At any other time a therapist has to wait for a release as well, and says nothing of it."""
    said: list[str] = []
    closing = asyncio.Event()
    if is_closing_time:
        closing.set()
    looks = iter(range(1_000))
    house = House(tmp_path / "none", "op-1", lambda: next(looks), time.time, said.append, closing)
    async with answering(tmp_path / "panel.sock", held):
        await Therapist(house, "stim-01", "room-1", tmp_path / "panel.sock").work((), began_s=0.0)
    assert said == [f"    stim-01: {presses._HELD} That is waited for a little."] * is_closing_time
