"""InfluxDB that is down, refuses, or is not set up: what waits, what is given up, and what is said about it."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker.ports import free_port
from fleet.adapters.history.influx_reading import Where
from fleet.adapters.history.port import HistoryRefuses, Resolution
from fleet.adapters.history.spill import Batch, Spill
from tests.adapters.history.engines import Engine, engine
from tests.adapters.history.shelf import NOON_S, Shelf, sample, until

DAY_S = 86_400
PERIOD_S = 5
NOW_DOWN = "InfluxDB answers 502"


NEEDS = pytest.mark.needs("influxd", "nginx")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that the tests here may stop."""
    with engine(tmp_path_factory.mktemp("influx")) as one:
        yield one


@pytest.fixture
def shelf(own: Engine, tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "waiting", own.database("clinic"))


def points(influx: Engine, device: str) -> int:
    """How many the engine itself says that it has."""
    (result,) = json.loads(influx.ask('SELECT count("seq") FROM "sample" GROUP BY "device"', "clinic"))["results"]
    counts = {series["tags"]["device"]: series["values"][0][1] for series in result.get("series", ())}
    return int(counts.get(device, 0))


@NEEDS
async def test_a_day_without_the_store_loses_nothing(own: Engine, shelf: Shelf) -> None:
    """Four devices at rest, a sample every 5 s, a minute at a time; the day takes seconds."""
    devices = [shelf.device(n) for n in range(4)]

    def minute(begin: int) -> list[tuple[str, int]]:
        return [(device, at) for at in range(begin, begin + 60, PERIOD_S) for device in devices]

    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, at, NOON_S + at, session_id=None) for device, at in minute(0)])
        own.stop()
        for begin in range(60, DAY_S, 60):
            shelf.now_s = NOON_S + begin
            await store.write([sample(device, at, NOON_S + at, session_id=None) for device, at in minute(begin)])
        down = store.status()
        own.start()
        await store.flush()
        up = store.status()
        days = await reader.rollups(devices[0], NOON_S, NOON_S + DAY_S, Resolution.DAY)
        hour = await reader.samples(devices[3], NOON_S + 3_600.0, NOON_S + 7_200.0)
    each = DAY_S // PERIOD_S
    assert (down.taken, down.written, down.spilled) == (4 * each, 4 * 12, 4 * each - 4 * 12)
    assert down.oldest_waiting_s == NOON_S + 60.0
    assert (down.refusing or "").startswith(NOW_DOWN)
    assert (up.written, up.spilled, up.dead_lettered, up.refusing) == (4 * each, 0, 0, None)
    assert up.oldest_waiting_s is None
    assert [points(own, device) for device in devices] == [each] * 4
    assert sum(one.count for one in days) == each
    assert sum(one.missing for one in days) == (PERIOD_S - 1) * (each - 1), "numbered by the second"
    assert hour.columns["seq"] == tuple(range(3_600, 7_200, PERIOD_S))
    assert list(shelf.folder.glob("spill/*")) == []


@NEEDS
async def test_what_waits_is_sent_by_the_next_process(own: Engine, shelf: Shelf) -> None:
    device = shelf.device()
    own.stop()
    async with shelf.open() as store:
        await store.write([sample(device, n, NOON_S + n) for n in range(10)])
    async with shelf.open() as store:
        await until("it is looked at", lambda: store.status().oldest_waiting_s is not None)
        assert (store.status().spilled, store.status().oldest_waiting_s) == (10, NOON_S)
        await store.write([sample(device, n, NOON_S + n) for n in range(10, 15)])
        own.start()
        await store.flush()
    assert points(own, device) == 15


@NEEDS
async def test_a_batch_that_is_refused_is_kept_counted_and_not_in_the_way(own: Engine, shelf: Shelf) -> None:
    """Somebody else has written text where a number belongs: the engine takes no number there on that day."""
    device, yesterday_s = shelf.device(), NOON_S - DAY_S
    own.put(f'sample,device={device},boot_n=9 setting_ma="strong" {round(yesterday_s * 1e9)}', "clinic")
    shard = [sample(device, n, yesterday_s + n) for n in range(3)]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(shard)
        await store.write([sample(device, 50, NOON_S + 8 * DAY_S)])  # another shard
        status = store.status()
        later = await reader.samples(device, NOON_S, NOON_S + 9 * DAY_S)
    assert (status.taken, status.written, status.dead_lettered, status.spilled) == (4, 1, 3, 0)
    assert status.refusing is None
    assert later.columns["seq"] == (50,)
    letters = (shelf.folder / "dead-letters.lp").read_text().splitlines()
    assert re.match(r"# 2026-11-25T12:00:00\.000\+00:00 refused: 400 .*field type conflict", letters[0])
    assert [line.split(",")[0] for line in letters[1:]] == ["sample"] * 3 + ["session_minute"]
    async with shelf.open() as again:
        assert again.status().dead_lettered == 3, "also after a restart"


@NEEDS
async def test_a_store_that_is_not_set_up_yet_is_waited_for(own: Engine, shelf: Shelf) -> None:
    device = shelf.device()
    own.ask('DROP DATABASE "clinic"')
    async with shelf.open() as store:
        await store.write([sample(device, 1, NOON_S)])
        status = store.status()
        own.ask('CREATE DATABASE "clinic"')
        await store.flush()
        after = store.status()
    assert status.refusing == "InfluxDB answers 404: there is no such bucket"
    assert (status.spilled, status.dead_lettered) == (1, 0)
    assert (after.written, after.refusing) == (1, None)
    assert points(own, device) == 1


@NEEDS
async def test_what_may_wait_is_bounded(own: Engine, shelf: Shelf) -> None:
    device = shelf.device()
    shelf = replace(shelf, spill_bytes_max=2_000)
    own.stop()
    async with shelf.open() as store:
        await store.write([sample(device, n, NOON_S + n) for n in range(4)])
        writing = asyncio.create_task(store.write([sample(device, n, NOON_S + n) for n in range(4, 8)]))
        await until("it is said", lambda: "which is all that may" in (store.status().refusing or ""))
        assert (store.status().taken, store.status().spilled, writing.done()) == (4, 4, False)
        own.start()
        await writing
        await store.flush()
    assert points(own, device) == 8


@NEEDS
async def test_a_reader_says_when_there_is_nobody_to_ask(shelf: Shelf) -> None:
    nobody = replace(shelf, where=Where(f"http://127.0.0.1:{free_port()}", "clinic", "clinic"))
    async with nobody.reading() as reader:
        with pytest.raises(HistoryRefuses, match=r"InfluxDB cannot be asked: .*Cannot connect"):
            await reader.samples("stim-1", NOON_S, NOON_S + 1.0)
    assert shelf.where is not None
    missing = replace(shelf, where=replace(shelf.where, bucket="nowhere"))
    async with missing.reading() as reader:
        with pytest.raises(HistoryRefuses, match="InfluxDB cannot answer: database not found: nowhere"):
            await reader.samples("stim-1", NOON_S, NOON_S + 1.0)


def batch(n: int) -> Batch:
    return Batch(f"line {n}".encode() * 50, n, float(n))


def drained(spill: Spill) -> list[Batch]:
    found = []
    while (head := spill.head()) is not None:
        found.append(head)
        spill.sent()
    return found


def test_what_waits_comes_back_in_order_through_many_files_and_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.history.spill.FILE_BYTES_MAX", 2_000)
    first = Spill(tmp_path, 10**6)
    for n in range(1, 21):
        first.append(batch(n))
    assert first.head() == batch(1)
    first.sent()
    first.close()
    second = Spill(tmp_path, 10**6)
    assert second.samples == sum(range(1, 21)), "of a file that was begun all is sent again"
    assert len(list(tmp_path.iterdir())) > 3
    second.append(batch(21))
    assert drained(second) == [batch(n) for n in range(1, 22)]
    assert (second.samples, second.size_bytes, list(tmp_path.iterdir())) == (0, 0, [])
    second.append(batch(22))
    assert drained(second) == [batch(22)]
    second.close()


@pytest.mark.parametrize("torn", [1, 10, 300, 319])
def test_half_a_batch_was_never_confirmed(tmp_path: Path, torn: int) -> None:
    first = Spill(tmp_path, 10**6)
    first.append(batch(1))
    first.append(batch(2))
    first.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn])
    second = Spill(tmp_path, 10**6)
    assert second.samples == 1
    second.append(batch(3))
    assert drained(second) == [batch(1), batch(3)]
    second.close()
