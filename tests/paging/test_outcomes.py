"""What the fleet is told, until it has it: while it is away, while it is busy, and when it knows better."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.control.asking import FleetAway, ask
from fleet.paging import outcomes
from fleet.paging.outcomes import Reports

Answer = Callable[[dict[str, Any]], dict[str, Any] | bytes]


class Fleet:
    """A control socket that answers as it is told; `heard` is what it was asked."""

    def __init__(self, path: Path, answer: Answer = lambda asked: {"ok": True}) -> None:
        self.path = path
        self.answer = answer
        self.heard: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Fleet"]:
        self.path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, self.path)
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        self.heard.append(asked)
        answer = self.answer(asked)
        writer.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()
        self.news.set()

    async def hears(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10.0):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()
        return self.heard


@asynccontextmanager
async def telling(path: Path) -> AsyncIterator[Reports]:
    reports = Reports(path)
    running = asyncio.create_task(reports.run())
    try:
        yield reports
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def settled(reports: Reports) -> None:
    async with asyncio.timeout(10.0):
        await reports.idle.wait()


async def test_outcomes_are_told_and_then_forgotten(tmp_path: Path) -> None:
    async with Fleet(tmp_path / "control.sock").listening() as fleet, telling(fleet.path) as reports:
        assert reports.idle.is_set()
        reports.delivered("one")
        reports.failed("two", "connection refused")
        assert reports.knows("one")
        await settled(reports)
        assert not reports.knows("one")
    assert sorted(fleet.heard, key=lambda asked: str(asked["op"])) == [
        {"op": "page_delivered", "page_id": "one"},
        {"op": "page_failed", "page_id": "two", "why": "connection refused"},
    ]


async def test_a_fleet_that_is_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with telling(path) as reports:
        for number in range(20):
            reports.delivered(f"page {number}")
        async with Fleet(path).listening() as fleet:
            await settled(reports)
        assert {asked["page_id"] for asked in fleet.heard} == {f"page {number}" for number in range(20)}


@pytest.mark.parametrize("not_now", [{"ok": False, "error": "busy", "text": "..."}, b"no JSON\n", b"[]\n", b""])
async def test_what_was_not_taken_in_is_told_again(tmp_path: Path, not_now: dict[str, Any] | bytes) -> None:
    answers: list[dict[str, Any] | bytes] = [not_now, not_now, {"ok": True}]
    fleet = Fleet(tmp_path / "control.sock", lambda asked: answers.pop(0))
    async with fleet.listening(), telling(fleet.path) as reports:
        reports.delivered("one")
        await settled(reports)
    assert len(fleet.heard) == 3


async def test_what_the_fleet_refuses_it_knows_already(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refused = {"ok": False, "error": "refused", "text": "...", "refusals": [{"rule": "page_unknown"}]}
    fleet = Fleet(tmp_path / "control.sock", lambda asked: refused)
    async with fleet.listening(), telling(fleet.path) as reports:
        reports.delivered("one")
        await settled(reports)
        assert caplog.text == ""
        fleet.answer = lambda asked: {"ok": False, "error": "bad_request", "text": "The request's why: too long."}
        reports.failed("two", "x" * 500)
        await settled(reports)
    assert "the fleet does not understand: The request's why: too long." in caplog.text
    assert len(fleet.heard) == 2


async def test_what_is_kept_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outcomes, "KEPT_MAX", 3)
    reports = Reports(tmp_path / "control.sock")
    for number in range(5):
        reports.delivered(f"page {number}")
    assert [reports.knows(f"page {number}") for number in range(5)] == [False, False, True, True, True]
    assert "message page 0: the fleet could not be told" in caplog.text


async def test_a_fleet_that_does_not_answer_in_time_is_away(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(hangs, tmp_path / "control.sock")
    with pytest.raises(FleetAway):
        await ask(tmp_path / "control.sock", {"op": "status"}, within_s=0.1)
    over.set()
    server.close()
