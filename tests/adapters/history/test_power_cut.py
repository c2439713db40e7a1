"""Power cut at any system call of a writer: what was taken is there, in the store or waiting for it, and once."""

import re
from pathlib import Path

import pytest

from fleet.adapters.history.port import HistoryRefuses, Sample
from fleet.adapters.history.spill import Spill
from tests.adapters.history.shelf import NOON_S, Shelf, sample
from tests.journal.cuts import look_at_each
from tests.journal.disk import Recording
from tests.journal.traced import traced

# A real writer, killed at work; it says each number that was confirmed. Its log is taken in every few commits, as a
# long life does it every thousand pages. The samples lie around midnight, so that there are two files.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from fleet.adapters.history import days, files
from fleet.adapters.history.influx_reading import Where
from tests.adapters.history.shelf import NOON_S, Shelf
from tests.adapters.history.test_power_cut import MIDNIGHT_S, one

def open_to_write(path, kind):
    connection = files.open_to_write(path, kind)
    connection.execute("PRAGMA wal_autocheckpoint = 25")
    for pragma in sys.argv[3:]:
        connection.execute(f"PRAGMA {pragma}")
    return connection

days.open_to_write = open_to_write

async def live():
    where = Where("http://127.0.0.1:1", "clinic", "clinic") if sys.argv[2] == "waiting" else None
    shelf = Shelf(Path(sys.argv[1]), where, now_s=MIDNIGHT_S + 600.0)
    store = shelf.store()
    for n in range(0, 36, 3):
        await store.write([one(k) for k in range(n, n + 3)])
        os.write(1, f"confirmed {n + 2}\\n".encode())
        if n == 27 and where is None:
            await store.upkeep()
    os._exit(0)

asyncio.run(live())
"""
MIDNIGHT_S = NOON_S + 43_200.0


def one(n: int) -> Sample:
    return sample("stim-1", n, MIDNIGHT_S - 50.0 + 5.0 * n)


def confirmed(marks: list[str]) -> int:
    return int(marks[-1].split()[1]) if marks else -1


def record(tmp_path: Path, which: str, *pragmas: str) -> Recording:
    root = tmp_path / "data"
    root.mkdir()
    return traced(root, WRITER, str(root / "history"), which, *pragmas)


async def store_holds(folder: Path, marks: list[str]) -> None:
    shelf = Shelf(folder / "history", now_s=MIDNIGHT_S + 600.0)
    async with shelf.open() as store, shelf.reading() as reader:
        before = await reader.samples("stim-1", MIDNIGHT_S - 60.0, MIDNIGHT_S + 600.0)
        seqs = list(before.columns["seq"])
        assert seqs[: confirmed(marks) + 1] == list(range(confirmed(marks) + 1)), "what was confirmed is there"
        await store.write([one(n) for n in range(40)])
        after = await reader.samples("stim-1", MIDNIGHT_S - 60.0, MIDNIGHT_S + 600.0)
        assert after.columns["seq"] == tuple(range(40)), "and it goes on, without doubles"
        assert store.status().doubles == len(seqs)


async def spill_holds(folder: Path, marks: list[str]) -> None:
    spill = Spill(folder / "history" / "spill", 10**9)
    seqs: list[int] = []
    while (batch := spill.head()) is not None:
        seqs += [int(seq) for seq in re.findall(rb" seq=(\d+)i", batch.lines)]
        spill.sent()
    spill.close()
    assert seqs == list(range(len(seqs))), "in order, and once"
    assert len(seqs) > confirmed(marks), "what was confirmed is there"


async def test_power_cut_at_every_call_loses_no_row_that_was_taken(tmp_path: Path) -> None:
    assert await look_at_each(record(tmp_path, "embedded"), store_holds, luck=1) > 100


async def test_power_cut_at_every_call_loses_nothing_that_waits_for_influxdb(tmp_path: Path) -> None:
    assert await look_at_each(record(tmp_path, "waiting"), spill_holds, luck=2) > 30


async def test_the_proof_finds_a_store_that_does_not_sync(tmp_path: Path) -> None:
    recording = record(tmp_path, "embedded", "synchronous = OFF")
    with pytest.raises((AssertionError, HistoryRefuses), match=r"was confirmed|cannot be read"):
        await look_at_each(recording, store_holds, luck=1)
