"""In which order a store gets what waits: read off the requests themselves, at a front that is busy for a while."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from broker.ports import free_port
from fleet.adapters.history.influx_reading import Where
from tests.adapters.history.shelf import NOON_S, Shelf, sample, until


@dataclass
class Front:
    """Answers writes with `status`. `taken`: the sequence numbers of each request that it took; `asked` counts all."""

    status: int
    taken: list[list[int]] = field(default_factory=list)
    asked: int = 0
    largest_bytes: int = 0

    async def write(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked += 1
        self.largest_bytes = max(self.largest_bytes, len(body))
        if self.status == 204:
            self.taken.append([int(seq) for seq in re.findall(rb" seq=(\d+)i", body)])
        return web.Response(status=self.status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Where]:
        port = free_port()
        application = web.Application(client_max_size=2**25)
        application.router.add_post("/api/v2/write", self.write)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield Where(f"http://127.0.0.1:{port}", "clinic", "clinic", "token")
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("busy", [401, 404, 413, 429, 500, 503])
async def test_nothing_overtakes_what_waits(tmp_path: Path, busy: int) -> None:
    """Whatever it answers that is no fault of the batch: it is asked again, and what comes meanwhile stands behind."""
    front = Front(busy)
    async with front.serve() as where:
        shelf = Shelf(tmp_path / "waiting", where)
        async with shelf.open() as store:
            await store.write([sample("stim-1", seq, NOON_S + seq) for seq in (1, 2)])
            await until("it is asked again", lambda: front.asked >= 3)
            assert f"InfluxDB answers {busy}" in (store.status().refusing or "")
            front.status = 204
            for seq in range(3, 7):
                await store.write([sample("stim-1", seq, NOON_S + seq)])
            await store.flush()
            await store.write([sample("stim-1", 7, NOON_S + 7)])
            status = store.status()
    assert front.taken == [[1, 2], [3], [4], [5], [6], [7]]
    assert (status.written, status.spilled, status.dead_lettered, status.refusing) == (7, 0, 0, None)


async def test_a_batch_is_no_larger_than_what_a_request_may_be(tmp_path: Path) -> None:
    front = Front(204)
    async with front.serve() as where:
        shelf = Shelf(tmp_path / "waiting", where)
        async with shelf.open() as store:
            await store.write([sample("s" * 32, 2**52 + seq, NOON_S + seq / 1000) for seq in range(5_000)])
    assert [len(batch) for batch in front.taken] == [2_000, 2_000, 1_000]
    assert front.largest_bytes < 1_000_000
