"""How the recorder does, told to whoever connects: one line of JSON at a socket, which needs no room on the disk."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker.unix_sockets import place_for, take_away

LINE_BYTES_MAX = 16 * 1024


class NoRecorder(Exception):
    """None runs, or it does not answer; the text says so to people."""


@asynccontextmanager
async def tell_status(path: Path, status: Callable[[], Mapping[str, Any]]) -> AsyncIterator[None]:
    """Answer at `path` while the context is open.

    Raises:
        OSError: the path cannot be bound.
    """

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(status()).encode() + b"\n")
        writer.close()  # what is written goes out; nobody is waited for

    with place_for(path):
        server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()
        take_away(path)


def ask_status(path: Path, within_s: float = 1.0) -> dict[str, Any]:
    """What the recorder of that socket says.

    Raises:
        NoRecorder
    """
    said = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(within_s)
            connection.connect(str(path))
            while len(said) <= LINE_BYTES_MAX and (piece := connection.recv(4_096)):
                said += piece
        status = json.loads(said)
    except (OSError, ValueError) as error:
        raise NoRecorder("No recorder runs for this data folder: start `stimfleet recorder`.") from error
    if not isinstance(status, dict):
        raise NoRecorder("What answers in the recorder's place is none.")
    return status
