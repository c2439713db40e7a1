"""What waits on a disk that fails in the worst way: what was confirmed is sent in its order."""

import asyncio
import errno
import os
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import pytest

from broker.ports import free_port
from fleet.adapters.history.influx import InfluxHistory
from fleet.adapters.history.influx_reading import Where
from fleet.adapters.history.spill import Batch, Spill
from tests.adapters.history.shelf import NOON_S, sample, until
from tests.paging.test_begun import no_file_longer_than


def batch(n: int) -> Batch:
    return Batch(f"sample,device=stim-1 seq={n}i {n}".encode() * 10, n, NOON_S + n)


def drained(spill: Spill) -> list[Batch]:
    got = []
    while (one := spill.head()) is not None:
        got.append(one)
        spill.sent()
    return got


def refuses(*_: object) -> NoReturn:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("looked_at", [False, True])
def test_what_is_confirmed_behind_half_a_batch_that_cannot_be_taken_back_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, looked_at: bool
) -> None:
    spill = Spill(tmp_path, 10**6)
    spill.append(batch(1))
    if looked_at:
        assert spill.head() == batch(1)
    (first,) = tmp_path.glob("*.spill")
    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", refuses)
        with no_file_longer_than(first.stat().st_size + 100), pytest.raises(OSError, match="File too large"):
            spill.append(batch(2))
    assert "cannot be shortened" in caplog.text
    spill.append(batch(3))
    assert drained(spill) == [batch(1), batch(3)]
    assert (spill.samples, spill.size_bytes, list(tmp_path.iterdir())) == (0, 0, [])
    spill.close()


def test_a_whole_batch_that_was_not_confirmed_is_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is in the file, and whether it is on the disk the disk did not say: it comes again."""
    spill = Spill(tmp_path, 10**6)
    spill.append(batch(1))
    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", refuses)
        broken.setattr(os, "fsync", refuses)
        with pytest.raises(OSError, match="Input/output error"):
            spill.append(batch(2))
    spill.append(batch(2))
    spill.append(batch(3))
    spill.close()
    assert drained(spill) == [batch(1), batch(2), batch(3)]
    assert (spill.samples, spill.size_bytes) == (0, 0)


def test_after_a_restart_too_everything_confirmed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = Spill(tmp_path, 10**6)
    spill.append(batch(1))
    (first,) = tmp_path.glob("*.spill")
    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", refuses)
        with no_file_longer_than(first.stat().st_size + 100), pytest.raises(OSError, match="File too large"):
            spill.append(batch(2))
    spill.append(batch(3))
    spill.close()
    again = Spill(tmp_path, 10**6)
    assert again.samples == 1 + 3
    assert drained(again) == [batch(1), batch(3)]
    again.close()


async def test_what_waits_and_cannot_be_read_is_set_aside_and_what_comes_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is down, and the disk loses what it had confirmed: no loop that eats a core, and no wait for ever."""
    where = Where(f"http://127.0.0.1:{free_port()}", "clinic", "clinic", "token")
    store = InfluxHistory(where, tmp_path, ZoneInfo("UTC"), lambda: NOON_S, 10**9, (0.05, 0.1))
    await store.write([sample("stim-1", 1, NOON_S)])
    (path,) = (tmp_path / "spill").glob("*.spill")
    path.write_bytes(b"\xff" * path.stat().st_size)
    running = asyncio.create_task(store.run())
    await until("it is given up", lambda: store.status().spilled == 0)
    async with asyncio.timeout(10.0):
        await store.flush()
    assert path.with_name(f"{path.name}.damaged").exists()
    assert "1 samples that waited for the store cannot be read" in caplog.text
    await store.write([sample("stim-1", 2, NOON_S + 1.0)])
    assert store.status().spilled == 1
    running.cancel()
    await store.close()
