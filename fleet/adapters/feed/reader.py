"""The feed's reading end, for processes beside the fleet."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from fleet.adapters.feed.frames import FRAME_BYTES_MAX, BadFrame, Frame, unpack

SILENT_S_MAX = 3.0  # the fleet beats once a second
LENGTH_BYTES = 4
RETRY_S = 0.5


class FeedLost(Exception):
    """The fleet is not there, or says nothing."""


async def read_feed(path: Path) -> AsyncGenerator[Frame, None]:
    """Everything that the fleet hands on, from now on, until it is lost. Also the generator's end is a `FeedLost`.

    Raises:
        FeedLost: there is no fleet, it went, or it has said nothing for 3 s.
        BadFrame: it speaks otherwise.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise FeedLost(f"the feed {path.name} cannot be read: {error.strerror or error}") from error
    try:
        while True:
            async with asyncio.timeout(SILENT_S_MAX):
                length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "little")
                if not 0 < length <= FRAME_BYTES_MAX:
                    raise BadFrame(f"a frame of {length} bytes")
                frame = await reader.readexactly(length)
            yield unpack(frame)
    except TimeoutError as error:
        raise FeedLost(f"the fleet has said nothing for {SILENT_S_MAX:.0f} s") from error
    except (asyncio.IncompleteReadError, OSError) as error:
        raise FeedLost("the fleet has gone") from error
    finally:
        writer.transport.abort()


async def follow_feed(path: Path) -> AsyncGenerator[Frame | FeedLost, None]:
    """The same for ever: where the fleet is lost that is said, once in a row, and it is tried again twice a second.

    Raises:
        BadFrame
    """
    lost = False
    while True:
        try:
            async with aclosing(read_feed(path)) as frames:
                async for frame in frames:
                    lost = False
                    yield frame
        except FeedLost as error:
            if not lost:
                yield error
            lost = True
        await asyncio.sleep(RETRY_S)
