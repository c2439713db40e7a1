"""`python -m tests.adapters.history.killed ROUNDS SEED FOLDER [URL DATABASE]`: a writer that is killed again and again.

Each writer is forked, takes up after the last sample whose write its predecessor saw confirmed, and is killed at a
random moment after none, one or some batches: while it opens, writes, or waits. Prints the last confirmed sequence
number after each.
"""

import asyncio
import os
import random
import select
import signal
import sys
from pathlib import Path

from fleet.adapters.history.influx_reading import Where
from tests.adapters.history.shelf import NOON_S, Shelf, sample

DEVICE = "stim-1"
BATCH = 20
PERIOD_S = 0.05
BATCHES_MAX = 4  # that are confirmed before it is killed
THEN_S = (0.0, 0.02)  # from then until it is
STARTS_S_MAX = 30.0  # a busy machine


def at_s(seq: int) -> float:
    return round(NOON_S - 60.0 + seq * PERIOD_S, 3)


async def write_on(shelf: Shelf, first: int, confirmed: int) -> None:
    """Write for ever; the last number of each batch goes into the pipe when its write has returned."""
    async with shelf.open() as store:
        while True:
            batch = [sample(DEVICE, seq, at_s(seq)) for seq in range(first, first + BATCH)]
            await store.write(batch)
            first += BATCH
            os.write(confirmed, (first - 1).to_bytes(8, "little"))


def one_life(shelf: Shelf, last: int, batches: int, then_s: float) -> int:
    """Fork a writer, kill it some time after so many batches; the last number that was confirmed by then."""
    heard, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        asyncio.run(write_on(shelf, last + 1, says))
    os.close(says)
    said = bytearray()
    while len(said) < 8 * batches and select.select([heard], [], [], STARTS_S_MAX)[0]:
        said += os.read(heard, 65_536)
    select.select([], [], [], then_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while piece := os.read(heard, 65_536):
        said += piece
    os.close(heard)
    return int.from_bytes(said[-8:], "little") if said else last


def main(rounds: str, seed: str, folder: str, url: str | None = None, database: str = "") -> None:
    chance = random.Random(seed)
    shelf = Shelf(Path(folder), None if url is None else Where(url, "clinic", database))
    last = -1
    for _ in range(int(rounds)):
        last = one_life(shelf, last, chance.randint(0, BATCHES_MAX), chance.uniform(*THEN_S))
        sys.stdout.write(f"{last}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
