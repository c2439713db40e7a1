"""The embedded store's files: what is kept, what is dropped, what is said when one cannot be used."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.adapters.history.days import RAW
from fleet.adapters.history.embedded import EmbeddedHistory, Kept
from fleet.adapters.history.files import DAY_MS, VERSION
from fleet.adapters.history.months import ROLLUP
from fleet.adapters.history.port import History, HistoryRefuses, Resolution, Sample
from tests.adapters.history.shelf import NOON_S, Shelf, late, sample, until

DAY_S = 86_400.0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "history")


def names(shelf: Shelf) -> list[str]:
    return sorted(path.name for path in shelf.folder.glob("*.db"))


async def upkeep(store: History) -> None:
    assert isinstance(store, EmbeddedHistory)
    await store.upkeep()


async def test_a_day_of_utc_is_a_file_that_nobody_else_may_read(shelf: Shelf) -> None:
    async with shelf.open() as store:
        await store.write([sample("stim-1", n, NOON_S + n * DAY_S / 4) for n in range(5)])
        await upkeep(store)
    assert names(shelf) == ["raw-2026-11-25.db", "raw-2026-11-26.db"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in shelf.folder.iterdir()} == {0o600}


async def test_minutes_are_summed_up_once_they_are_over_and_again_for_what_comes_late(shelf: Shelf) -> None:
    device = "stim-1"
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, n, NOON_S + 30.0 * n) for n in range(6)])
        shelf.now_s = NOON_S + 135.0  # the third minute is not over
        await upkeep(store)
        assert minutes_in(shelf) == [0, 1]
        await store.write([late(sample(device, 100, NOON_S + 1.0), 130.0)])
        shelf.now_s = NOON_S + 300.0
        await upkeep(store)
        assert minutes_in(shelf) == [0, 1, 2]
        found = await reader.rollups(device, NOON_S, NOON_S + 300.0, Resolution.MINUTE)
    assert [one.count for one in found] == [3, 2, 2]


def minutes_in(shelf: Shelf) -> list[int]:
    """The minutes of which there are summaries, counted from noon."""
    with closing(sqlite3.connect(ROLLUP.path(shelf.folder, round(NOON_S * 1000)))) as file:
        found = file.execute("SELECT DISTINCT minute FROM minutes ORDER BY 1").fetchall()
    return [minute - round(NOON_S) // 60 for (minute,) in found]


async def test_rows_are_dropped_by_the_day_and_their_summaries_stay(shelf: Shelf) -> None:
    shelf = replace(shelf, kept=Kept(raw_days=3))
    device = "stim-1"
    async with shelf.open() as store, shelf.reading() as reader:
        for n in range(5):
            shelf.now_s = NOON_S + n * DAY_S
            await store.write([sample(device, 10 * n + k, shelf.now_s + k) for k in range(2)])
            await upkeep(store)
        assert names(shelf) == [
            *("raw-2026-11-27.db", "raw-2026-11-28.db", "raw-2026-11-29.db"),
            "rollup-2026-11.db",
        ]
        assert len(await reader.samples(device, NOON_S, NOON_S + DAY_S)) == 0
        days = await reader.rollups(device, NOON_S, NOON_S + 5 * DAY_S, Resolution.DAY)
        # What is so old is not begun again: a summary of it alone would take the place of the whole minute's.
        await store.write([sample(device, 90, NOON_S + 2.0)])
        await upkeep(store)
        assert store.status().expired == 1
        assert await reader.rollups(device, NOON_S, NOON_S + 5 * DAY_S, Resolution.DAY) == days
    # The last day's minute was not over when the last look was taken: it is read from its rows.
    assert [(one.count, one.missing) for one in days] == [(2, 0), (2, 8), (2, 8), (2, 8), (2, 8)]


async def test_a_host_whose_clock_runs_wild_drops_no_more_than_a_day_for_a_day(shelf: Shelf) -> None:
    shelf = replace(shelf, kept=Kept(raw_days=2))
    far_s = datetime(2040, 1, 1, tzinfo=UTC).timestamp()
    async with shelf.open() as store:
        await store.write([sample("stim-1", n, NOON_S + n * DAY_S) for n in range(2)])
        shelf.now_s = far_s
        await store.write([sample("stim-1", 7, far_s)])
        await upkeep(store)
    assert names(shelf) == ["raw-2026-11-26.db", "raw-2040-01-01.db", "rollup-2026-11.db"]


async def test_months_are_dropped_after_two_years(shelf: Shelf) -> None:
    shelf = replace(shelf, kept=Kept(raw_days=1, rollup_months=2))
    async with shelf.open() as store:
        for month in (8, 9, 10, 11):
            shelf.now_s = datetime(2026, month, 3, tzinfo=UTC).timestamp()
            await store.write([sample("stim-1", month, shelf.now_s - 300.0)])
            await upkeep(store)
        await upkeep(store)
    assert names(shelf) == ["raw-2026-11-02.db", "rollup-2026-09.db", "rollup-2026-10.db", "rollup-2026-11.db"]


async def test_a_late_sample_that_came_in_time_is_found_in_another_day(shelf: Shelf) -> None:
    """Its device's clock was ten minutes slow: in time it lay where it came, after midnight; late it would not."""
    after_midnight_s = (round(NOON_S * 1000) // DAY_MS + 1) * DAY_MS / 1000 + 60.0
    one = sample("stim-1", 5, after_midnight_s - 600.0, wall_s=after_midnight_s)
    async with shelf.open() as store:
        await store.write([one])
        await store.write([late(one, 30.0)])
        status = store.status()
    assert names(shelf) == ["raw-2026-11-26.db"]
    assert (status.written, status.doubles) == (1, 1)


async def test_a_file_of_a_newer_program_is_left_alone(shelf: Shelf) -> None:
    async with shelf.open() as store:
        await store.write([sample("stim-1", 1, NOON_S)])
    with closing(sqlite3.connect(RAW.path(shelf.folder, round(NOON_S * 1000)))) as file:
        file.execute(f"PRAGMA user_version = {VERSION + 1}")
    async with shelf.reading() as reader:
        with pytest.raises(HistoryRefuses, match=r"raw-2026-11-25\.db was made by a newer program .*install that one"):
            await reader.samples("stim-1", NOON_S, NOON_S + 1.0)
    store = shelf.store()
    writing = asyncio.create_task(store.write([sample("stim-1", 2, NOON_S)]))
    await until("it says so", lambda: "newer program" in (store.status().refusing or ""))
    await store.close()
    with pytest.raises(HistoryRefuses, match="closed before it could take"):
        await writing


async def test_a_file_that_is_none_is_named(shelf: Shelf) -> None:
    shelf.folder.mkdir()
    path = RAW.path(shelf.folder, round(NOON_S * 1000))
    path.write_bytes(b"not a database at all" * 1000)
    async with shelf.reading() as reader:
        with pytest.raises(HistoryRefuses, match=r"raw-2026-11-25\.db cannot be read: file is not a database"):
            await reader.samples("stim-1", NOON_S, NOON_S + 1.0)
    async with shelf.open() as store:
        await store.write([sample("stim-1", 2, NOON_S)])  # nobody has to move it away
        assert store.status().refusing is None
    assert path.with_name("raw-2026-11-25.db.damaged").read_bytes() == b"not a database at all" * 1000


async def test_a_reader_sees_each_batch_whole_while_it_is_written(shelf: Shelf) -> None:
    device = "stim-1"
    seen: set[int] = set()
    async with shelf.open() as store, shelf.reading() as reader:

        async def write() -> None:
            for n in range(2_000):
                await store.write([sample(device, 7 * n + k, NOON_S + n + k / 10) for k in range(7)])
                if n >= 40 and len(seen) > 2:  # on a busy machine it may be long until a reader has had its turns
                    return

        writing = asyncio.create_task(write())
        while not writing.done():
            seen.add(len(await reader.samples(device, NOON_S, NOON_S + 2_000.0)))
        await writing
    assert {count % 7 for count in seen} == {0}
    assert len(seen) > 2


async def test_devices_that_invent_sessions_do_not_fill_the_memory(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.history.days.NAMES_MAX", 10)
    invented: list[Sample] = [sample("stim-1", n, NOON_S + n, session_id=f"{n % 25:032x}") for n in range(50)]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(invented)
        found = await reader.samples("stim-1", NOON_S, NOON_S + 60.0)
        trace = await reader.trace("stim-1", f"{3:032x}")
    assert list(found.samples()) == invented
    assert trace.columns["seq"] == (3, 28)


def damage(shelf: Shelf, time_s: float) -> str:
    """What a disk may have made of the file of that day; its name."""
    path = RAW.path(shelf.folder, round(time_s * 1000))
    path.write_bytes(b"\xde\xad\xbe\xef" * 4096)
    return path.name


async def test_a_damaged_day_is_set_aside_and_today_is_recorded(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    yesterday_s = NOON_S - DAY_S
    async with shelf.open() as store:
        await store.write([sample("stim-1", 1, yesterday_s)])
    name = damage(shelf, yesterday_s)
    before = (shelf.folder / name).read_bytes()
    store, reader = shelf.store(), shelf.reader()
    async with asyncio.timeout(10.0):
        await store.write([late(sample("stim-1", 2, NOON_S - 30.0), 20.0)])  # its double would be looked for there
        await store.write([late(sample("stim-1", 3, yesterday_s), DAY_S - 600.0), sample("stim-1", 4, NOON_S)])
        assert store.status().refusing is None
        assert list((await reader.samples("stim-1", NOON_S - 60.0, NOON_S + 1.0)).columns["seq"]) == [2, 4]
        assert list((await reader.samples("stim-1", yesterday_s - 1.0, yesterday_s + 1.0)).columns["seq"]) == [3]
        assert await reader.rollups("stim-1", yesterday_s, NOON_S, Resolution.HOUR)
        await store.close()
    assert (shelf.folder / f"{name}.damaged").read_bytes() == before, "it is kept for people to look at"
    assert f"{name} is damaged" in caplog.text
    assert "raw-2026-11-25" not in caplog.text, "today's is healthy"


async def test_a_file_that_is_damaged_while_it_is_summed_up_or_again_is_set_aside(shelf: Shelf) -> None:
    store = shelf.store()
    await store.write([sample("stim-1", 1, NOON_S)])
    await store.close()
    for count in (1, 2):
        name, store = damage(shelf, NOON_S), shelf.store()
        await store.upkeep()
        assert store.status().refusing.startswith("it is damaged: ")
        assert name in store.status().refusing
        await store.write([sample("stim-1", count, NOON_S)])
        assert store.status().refusing is None
        await store.close()
    assert [path.name for path in sorted(shelf.folder.glob("*damaged*"))] == [f"{name}.damaged", f"{name}.damaged-2"]


async def test_a_damaged_month_has_no_day_set_aside(shelf: Shelf) -> None:
    store = shelf.store()
    await store.write([sample("stim-1", 1, NOON_S)])
    ROLLUP.path(shelf.folder, round(NOON_S * 1000)).write_bytes(b"\xde\xad\xbe\xef" * 4096)
    shelf.now_s += 120.0
    await store.upkeep()
    assert "rollup-2026-11.db" in store.status().refusing
    await store.write([sample("stim-1", 2, NOON_S + 1.0)])
    await store.close()
    assert names(shelf) == ["raw-2026-11-25.db", "rollup-2026-11.db"]
