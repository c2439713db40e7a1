"""A TLS server that answers a CONNECT with whatever bytes a test wants: what no real broker can be made to say."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.adapters.clinic import Clinic

CONNACK = bytes([0x20, 3, 0, 0, 0])
REFUSED = bytes([0x20, 3, 0, 0x87, 0])  # CONNACK, not authorized
TAKEN_OVER = bytes([0xE0, 2, 0x8E, 0])  # DISCONNECT, session taken over


@asynccontextmanager
async def server(clinic: Clinic, behave: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A TLS server with the broker's certificate that reads CONNECT and then does as told; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = clinic.site_dir / "broker"
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    done = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            await behave(writer)
            await done.wait()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        done.set()
        listening.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
