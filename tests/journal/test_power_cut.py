"""Power cut at any point of the journal: what was confirmed is there, the chain verifies (H21)."""

from pathlib import Path
from random import Random

import pytest

from fleet.adapters.journal.errors import JournalError
from tests.journal.cuts import lay_out_again, look_at_each
from tests.journal.disk import Disk, Recording
from tests.journal.tally import check_and_go_on
from tests.journal.traced import traced

# A real journal: lives that append, are confirmed and take snapshots. The first ends, the last is killed at work. The
# log is taken in every few commits, as a long life does it every thousand pages.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from fleet.adapters.journal import rows
from tests.journal.tally import event, state_after
from tests.adapters.test_journal import AT, open_journal

as_shipped = rows._durable

def durable(connection, record):
    as_shipped(connection, record)
    connection.execute("PRAGMA wal_autocheckpoint = 25")
    for pragma in sys.argv[3:]:
        connection.execute(f"PRAGMA {pragma}")

rows._durable = durable

async def live(commits):
    journal = open_journal(Path(sys.argv[1]))
    n = journal.restored.tip.position
    for commit in range(commits):
        futures = []
        for _ in range(1 + commit % 3):
            n += 1
            futures.append(journal.append(AT, [event(n)]))
        await asyncio.gather(*futures)
        os.write(1, f"confirmed {n}\\n".encode())
        if commit % 5 == 4:
            journal.snapshot(state_after(n))
    return journal

lives = [int(commits) for commits in sys.argv[2].split(",")]
for commits in lives[:-1]:
    asyncio.run(live(commits)).close()
asyncio.run(live(lives[-1]))
os._exit(0)
"""


def confirmed(marks: list[str]) -> int:
    return int(marks[-1].split()[1]) if marks else 0


async def holds(folder: Path, marks: list[str]) -> None:
    await check_and_go_on(folder / "journal.db", confirmed(marks))


def record(tmp_path: Path, lives: str, *pragmas: str) -> Recording:
    root = tmp_path / "data"
    root.mkdir(exist_ok=True)
    return traced(root, WRITER, str(root / "journal.db"), lives, *pragmas)


async def test_power_cut_at_every_call_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    assert await look_at_each(record(tmp_path, "16,22"), holds, luck=2) > 300


@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
async def test_and_again_while_it_comes_back(tmp_path: Path, share: float) -> None:
    """The power goes once more, while what the first cut left is opened, mended and written on."""
    recording = record(tmp_path, "20")
    disk = Disk(recording)
    for operation in recording.operations[: int(share * len(recording.operations))]:
        disk.play(operation)
    *_, left = disk.after_the_cut(Random(3), 1)
    before = confirmed(disk.marks)
    assert before > 0
    again = tmp_path / "again"
    (again / "data").mkdir(parents=True)
    lay_out_again(left, recording.root, again / "data")

    async def holds_both(folder: Path, marks: list[str]) -> None:
        await check_and_go_on(folder / "journal.db", max(before, confirmed(marks)))

    assert await look_at_each(record(again, "8"), holds_both, luck=1) > 20


@pytest.mark.parametrize("careless", ["synchronous = OFF", "synchronous = NORMAL"])
async def test_the_proof_finds_what_may_be_lost(tmp_path: Path, careless: str) -> None:
    """The proof itself is proven: a journal that syncs less than ours loses what was confirmed."""
    recording = record(tmp_path, "6", careless)
    with pytest.raises((AssertionError, JournalError), match=r"was confirmed|cannot be read|is missing"):
        await look_at_each(recording, holds, luck=2)
