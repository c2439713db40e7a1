"""What the scripted people do with the fleet's answers; with real panels and a real fleet in test_simulate.py."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.day import Visit
from demo.people import House, Therapist

VISIT = Visit(at_s=0.0, device="stim-01", client="client-a001")
GRANTED = {"ok": True, "session_id": "5e" * 16}


def refused(*rules: str) -> dict[str, Any]:
    return {"ok": False, "refusals": [refusal(rule) for rule in rules]}


def refusal(rule: str) -> dict[str, Any]:
    empty = dict.fromkeys(("quantity", "value", "limit", "layer", "not_before"))
    return {"rule": rule, **empty, "layer": "device"}


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
        socket = folder / "control.sock"
        house = House(socket, "op-1", boottime_s, time.time, self.said.append, asyncio.Event())
        async with await asyncio.start_unix_server(self._answer, socket):
            yield Therapist(house, "stim-01", "room-1", folder / "panel.sock")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline())["op"] == "session_request"
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


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
