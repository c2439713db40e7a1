"""The feed: every sample that the fleet takes in goes to whoever reads along, and nobody there holds it up."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.adapters.feed import server
from fleet.adapters.feed.frames import (
    BadFrame,
    Beat,
    Frame,
    Missed,
    Sample,
    beat_frame,
    missed_frame,
    sample_frame,
    unpack,
)
from fleet.adapters.feed.reader import FeedLost, follow_feed, read_feed
from fleet.adapters.feed.server import Feed


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    feed = Feed(lambda: 7.5)
    async with feed.serve(tmp_path / "feed.sock"):
        beats = asyncio.create_task(feed.beats())
        yield feed
        beats.cancel()


async def joined(feed: Feed, readers: int = 1) -> None:
    """Until the server has heard of the connections."""
    while feed.readers < readers:  # noqa: ASYNC110 # the feed tells nobody
        await asyncio.sleep(0.001)  # a turn of the loop, and a little


async def next_sample(frames: AsyncIterator[Frame]) -> Frame:
    """The next that is no sign of life."""
    async for frame in frames:
        if not isinstance(frame, Beat):
            return frame
    raise AssertionError("the feed ended")


async def first_frame(path: Path) -> Frame:
    async with aclosing(read_feed(path)) as frames:
        return await anext(frames)


async def test_a_sample_comes_as_it_was_taken_in(feed: Feed, tmp_path: Path) -> None:
    async with aclosing(read_feed(tmp_path / "feed.sock")) as frames:
        first = asyncio.create_task(next_sample(frames))
        await joined(feed)
        feed.sample("stim-01", b'{"seq":4}', 12.25, 1e9)
        assert await first == Sample("stim-01", 12.25, 1e9, b'{"seq":4}')


async def test_signs_of_life_come_without_samples(feed: Feed, tmp_path: Path) -> None:
    async with aclosing(read_feed(tmp_path / "feed.sock")) as frames:
        assert await anext(frames) == Beat(7.5)


async def test_without_readers_nothing_is_kept(feed: Feed) -> None:
    for _ in range(1_000):
        feed.sample("stim-01", b"{}", 1.0, 1.0)
    assert (feed.readers, feed._frames) == (0, [])


async def test_a_reader_that_does_not_read_loses_samples_and_is_told_how_many(
    feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WAITING_BYTES_MAX", 100_000)
    reader, writer = await asyncio.open_unix_connection(tmp_path / "feed.sock", limit=1_000)
    await joined(feed)
    given_away, payload = 0, b"x" * 8_000
    while not feed.missed:  # the kernel's buffer fills, then ours
        for _ in range(10):
            feed.sample("stim-01", payload, 1.0, 1.0)
            given_away += 1
        await asyncio.sleep(server.FLUSH_S * 1.5)  # until it was written, or not
    missed, got, told = feed.missed, 0, 0
    feed.sample("stim-01", b"last", 1.0, 1.0)
    while True:
        frame = unpack(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "little")))
        told += frame.samples if isinstance(frame, Missed) else 0
        if isinstance(frame, Sample):
            if frame.payload == b"last":
                break
            got += 1
    assert told == missed > 0
    assert got + told == given_away
    writer.close()


async def test_a_slow_reader_takes_nothing_from_a_quick_one(
    feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "WAITING_BYTES_MAX", 50_000)
    _slow, slow_writer = await asyncio.open_unix_connection(tmp_path / "feed.sock", limit=1_000)
    await joined(feed)
    async with aclosing(read_feed(tmp_path / "feed.sock")) as frames:
        first = asyncio.create_task(next_sample(frames))
        await joined(feed, 2)
        feed.sample("stim-01", b"0", 1.0, 1.0)
        assert await first == Sample("stim-01", 1.0, 1.0, b"0")
        number = 1
        while not feed.missed:
            feed.sample("stim-01", str(number).encode().ljust(4_000), 1.0, 1.0)
            frame = await next_sample(frames)
            assert isinstance(frame, Sample)
            assert int(frame.payload) == number
            number += 1
    slow_writer.close()


async def test_only_so_many_read_along_and_whoever_speaks_is_put_out(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "feed.sock"
    connections = [await asyncio.open_unix_connection(path) for _ in range(server.READERS_MAX)]
    await joined(feed, server.READERS_MAX)
    one_more, more_writer = await asyncio.open_unix_connection(path)
    assert await one_more.read() == b""
    connections[0][1].write(b"stop")
    with suppress(ConnectionResetError):  # or the end, as the kernel likes
        while await connections[0][0].read(100):
            pass
    assert feed.readers == server.READERS_MAX - 1
    for _, writer in (*connections, (one_more, more_writer)):
        writer.close()


async def test_nobody_else_may_read_along(feed: Feed, tmp_path: Path) -> None:
    mode = (tmp_path / "feed.sock").stat().st_mode
    assert (stat.S_IMODE(mode), mode & stat.S_IFMT(mode)) == (0o600, stat.S_IFSOCK)
    assert (tmp_path / "feed.sock").stat().st_uid == os.geteuid()


async def test_who_follows_is_told_when_the_fleet_goes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "feed.sock"
    async with aclosing(follow_feed(path)) as frames:
        gone = await anext(frames)
        assert isinstance(gone, FeedLost)
        assert "No such file" in str(gone)
        for now_s in (1.0, 2.0):  # two lives of a fleet
            feed = Feed(partial(float, now_s))
            async with feed.serve(path):
                beats = asyncio.create_task(feed.beats())
                assert await anext(frames) == Beat(now_s)
                beats.cancel()
            assert str(await anext(frames)) == "the fleet has gone"


async def test_a_fleet_that_says_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.feed.reader.SILENT_S_MAX", 0.1)
    async with Feed(lambda: 1.0).serve(tmp_path / "feed.sock"):
        with pytest.raises(FeedLost, match="has said nothing"):
            await first_frame(tmp_path / "feed.sock")


@pytest.mark.parametrize("length", [0, 16 * 1024 + 1, 2**32 - 1])
async def test_a_frame_of_an_impossible_length_is_none(tmp_path: Path, length: int) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(length.to_bytes(4, "little"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(speak, tmp_path / "other.sock"):
        with pytest.raises(BadFrame, match=f"of {length} bytes"):
            await first_frame(tmp_path / "other.sock")


@given(
    st.text("abcxyz0189-", min_size=1, max_size=32),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
    st.binary(max_size=8_192),
)
def test_what_is_packed_is_unpacked(device: str, received_s: float, wall_s: float, payload: bytes) -> None:
    frame = sample_frame(device, received_s, wall_s, payload)
    assert int.from_bytes(frame[:4], "little") == len(frame) - 4
    assert unpack(frame[4:]) == Sample(device, received_s, wall_s, payload)


def test_the_other_kinds_too() -> None:
    assert unpack(missed_frame(12)[4:]) == Missed(12)
    assert unpack(beat_frame(1.5)[4:]) == Beat(1.5)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_or_is_a_frame(frame: bytes) -> None:
    try:
        found = unpack(frame)
    except BadFrame:
        return
    assert isinstance(found, Sample | Missed | Beat)
