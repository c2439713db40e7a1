"""Writers of the history, and its engine, killed at random moments: nothing that was taken is lost, nothing doubled."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fleet.adapters.history.days import RAW
from tests.adapters.history.engines import Engine, engine
from tests.adapters.history.killed import BATCH, DEVICE, at_s
from tests.adapters.history.shelf import NOON_S, Shelf, sample, until

KILLS = 50


def killed_writers(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.adapters.history.killed", str(KILLS), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def confirmed(writers: "subprocess.Popen[str]") -> int:
    """The last number that any of them saw confirmed."""
    said, _ = writers.communicate(timeout=100.0)
    assert writers.returncode == 0
    lives = [int(line) for line in said.split()]
    assert len(lives) == KILLS
    assert len(set(lives)) > KILLS // 2, "most of them had something confirmed"
    return lives[-1]


@pytest.mark.parametrize("seed", ["1", "2"])
async def test_a_killed_writer_loses_nothing_that_was_taken_and_doubles_nothing(tmp_path: Path, seed: str) -> None:
    shelf = Shelf(tmp_path / "history")
    last = confirmed(killed_writers(seed, str(shelf.folder)))
    async with shelf.open() as store, shelf.reading() as reader:
        await store.upkeep()  # type: ignore[attr-defined] # the embedded store's
        trace = await reader.samples(DEVICE, at_s(0), at_s(last + 2 * BATCH))
        status = store.status()
    assert status.refusing is None
    seqs = list(trace.columns["seq"])
    assert seqs == list(range(len(seqs)))
    assert last < len(seqs) <= last + 1 + BATCH, "and at most the batch that was on its way when the last one died"
    with closing(sqlite3.connect(RAW.path(shelf.folder, round(NOON_S * 1000)))) as file:
        assert file.execute("SELECT count(*), count(DISTINCT seq) FROM sample").fetchone() == (len(seqs), len(seqs))
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def counted(influx: Engine, database: str) -> int:
    """As the engine itself counts."""
    (result,) = json.loads(influx.ask('SELECT count("seq") FROM "sample"', database))["results"]
    return int(result["series"][0]["values"][0][1]) if "series" in result else 0


@pytest.mark.needs("influxd", "nginx")
async def test_killed_writers_and_a_killed_influxdb_lose_and_double_nothing(tmp_path: Path) -> None:
    with engine(tmp_path) as influx:
        shelf = Shelf(tmp_path / "waiting", influx.database("clinic"))
        assert shelf.where is not None
        writers = killed_writers("3", str(shelf.folder), shelf.where.url, "clinic")
        for _ in range(3):
            influx.stop(signal.SIGKILL)
            await until(
                "something waits", lambda: any(shelf.folder.glob("spill/*.spill")) or writers.poll() is not None
            )
            influx.start()
        last = confirmed(writers)
        async with shelf.open() as store, shelf.reading() as reader:
            await store.flush()
            status = store.status()
            trace = await reader.samples(DEVICE, at_s(0), at_s(last + 2 * BATCH))
            await store.write([sample(DEVICE, last + 5 * BATCH, at_s(last + 5 * BATCH))])
        total = counted(influx, "clinic")
    assert (status.spilled, status.dead_lettered, status.refusing) == (0, 0, None)
    seqs = list(trace.columns["seq"])
    assert seqs == list(range(len(seqs)))
    assert last < len(seqs) <= last + 1 + BATCH
    assert total == len(seqs) + 1, "no point twice, and the store takes what comes now"
