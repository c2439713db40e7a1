"""A disk that takes rows and no snapshot, and one that hangs without a word: what is said of each."""

import asyncio
import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.writer import HANGS_S, Journal
from tests.adapters.test_journal import AT, Counted, Disk, Tally, eventually
from tests.hanging import SYNCS, hanging
from tests.journal.tally import FOLD


@contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    """As on a disk that is nearly full: what is small still fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_snapshot_that_does_not_fit_is_told_and_rows_are_written_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, disk = tmp_path / "j.db", Disk()
    journal: Journal[Tally, Tally] = Journal(path, FOLD, disk)
    try:
        await journal.append(AT, [Counted(1)])
        with no_file_beyond(1_000_000), caplog.at_level(logging.ERROR):
            journal.snapshot(Tally(1, ("x" * 4_000_000,)))
            await eventually(lambda: "no snapshot at row 1, the next start takes longer" in caplog.text)
            await asyncio.wait_for(journal.append(AT, [Counted(10)]), 2.0)
            assert not journal.refusing
        assert disk.changes == [], "whoever asks whether alarms are written is told that they are"
        journal.snapshot(Tally(11))
    finally:
        journal.close()
    again: Journal[Tally, Tally] = Journal(path, FOLD, Disk())
    again.close()
    assert (again.restored.state, again.restored.snapshot) == (Tally(11), 2), "the next one fits"
    assert verify_journal(path).rows == 2


WRITER = """
import asyncio, sys
from pathlib import Path
from fleet.adapters.journal.writer import Journal
from tests.adapters.test_journal import AT, Counted, Disk
from tests.journal.tally import FOLD

async def main():
    journal = Journal(Path(sys.argv[1]), FOLD, Disk())
    await journal.append(AT, [Counted(1)])
    print("open", flush=True)
    sys.stdin.readline()
    loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    written = journal.append(AT, [Counted(10)])
    before = journal.refusing
    while not journal.refusing and loop.time() - began_s < 20.0:
        await asyncio.sleep(0.05)
    print(before, written.done(), loop.time() - began_s, flush=True)
    sys.stdin.readline()
    await written
    print(journal.refusing, flush=True)
    journal.close()

asyncio.run(main())
"""


def test_a_commit_that_hangs_is_said_to_be_refused_until_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdin is not None
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "open\n"
        with hanging(writer.pid, [path], SYNCS, tmp_path / "held-up"):
            writer.stdin.write("append\n")
            writer.stdin.flush()
            before, done, after_s = writer.stdout.readline().split()
            assert (before, done) == ("False", "False")
            assert HANGS_S <= float(after_s) < HANGS_S + 1.0
        writer.stdin.write("wait\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "False\n", "the disk answers again"
        assert writer.wait(10.0) == 0
    finally:
        writer.kill()
        writer.communicate()
    assert verify_journal(path).rows == 2
