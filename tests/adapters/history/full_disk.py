"""`python -m tests.adapters.history.full_disk embedded|waiting`: a disk that fills up, and has room again; below the
embedded store, or below what waits for an InfluxDB that is not there.

Run in a mount namespace of its own (unshare), where it may mount a disk of a megabyte. Prints a line of JSON.
"""

import asyncio
import errno
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from broker.ports import free_port
from fleet.adapters.history.influx_reading import Where
from fleet.adapters.history.spill import Spill
from tests.adapters.history.shelf import NOON_S, Shelf, sample, until


def fill(path: Path) -> None:
    """Take what room is left, to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as refused:
                if refused.errno != errno.ENOSPC:
                    raise


async def story(disk: Path) -> dict[str, object]:
    shelf = Shelf(disk / "history")
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample("stim-1", seq, NOON_S + seq) for seq in range(10)])
        fill(disk / "other")
        writing = asyncio.create_task(store.write([sample("stim-1", seq, NOON_S + seq) for seq in range(10, 3_000)]))
        await until("it is said", lambda: store.status().refusing is not None)
        refusing, taken, done = store.status().refusing, store.status().taken, writing.done()
        await store.upkeep()  # type: ignore[attr-defined] # the embedded store's: it must not end for a full disk
        read = len(await reader.samples("stim-1", NOON_S, NOON_S + 3_000.0))
        (disk / "other").unlink()
        await writing
        after = store.status()
        trace = await reader.samples("stim-1", NOON_S, NOON_S + 3_000.0)
    return {
        "refusing": refusing,
        "taken_before": taken,
        "confirmed_before": done,
        "read_while_full": read,
        "refusing_after": after.refusing,
        "written": after.written,
        "whole": trace.columns["seq"] == tuple(range(3_000)),
    }


async def story_of_waiting(disk: Path) -> dict[str, object]:
    shelf = Shelf(disk / "waiting", Where(f"http://127.0.0.1:{free_port()}", "clinic", "clinic"))
    async with shelf.open() as store:
        await store.write([sample("stim-1", seq, NOON_S + seq) for seq in range(10)])
        fill(disk / "other")
        writing = asyncio.create_task(store.write([sample("stim-1", seq, NOON_S + seq) for seq in range(10, 1_000)]))
        await until("it is said", lambda: "No space left" in (store.status().refusing or ""))
        full, done = store.status(), writing.done()
        (disk / "other").unlink()
        await writing
        after = store.status()
    spill = Spill(disk / "waiting" / "spill", 10**9)
    seqs = []
    while (batch := spill.head()) is not None:
        seqs += [int(seq) for seq in re.findall(rb" seq=(\d+)i", batch.lines)]
        spill.sent()
    return {
        "refusing": (full.refusing or "").partition(":")[0],
        "waiting_before": full.spilled,
        "confirmed_before": done,
        "waiting_after": after.spilled,
        "whole": seqs == list(range(1_000)),
    }


STORIES = {"embedded": story, "waiting": story_of_waiting}


def main(which: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "full", folder], check=True)
        try:
            found = asyncio.run(STORIES[which](Path(folder)))
        finally:
            subprocess.run(["umount", folder], check=True)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
