"""The control socket's server. Nobody at it can hold up or grow the service: every size, count and wait has a bound."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from broker.unix_sockets import place_for, take_away
from fleet.adapters.control.requests import BadRequest, Request, parse, render

log = logging.getLogger(__name__)
LINE_BYTES_MAX = 64 * 1024
CLIENTS_MAX = 32
IDLE_S_MAX = 300.0  # a client that says nothing; one too many puts out whoever has said nothing longest
WRITE_S_MAX = 2.0  # a client that does not read

Answer = Callable[[Request], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def control_socket(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Serve `answer` at `path` while the context is open. What `answer` raises ends the context's process.

    Raises:
        OSError: the path cannot be bound.
    """
    server = _Server(answer)
    with place_for(path):
        listening = await asyncio.start_unix_server(server.serve, path, limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        listening.close()
        server.disconnect_all()
        take_away(path)


class _Server:
    """Serves each client's lines in turn. A newcomer is always let in: it may want to stop something."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._clients: dict[asyncio.StreamWriter, None] = {}  # who was heard last comes last
        self._answering: set[asyncio.StreamWriter] = set()
        self._over = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CLIENTS_MAX:
            self._put_one_out()
        self._clients[writer] = None
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, TimeoutError):
            pass  # the client went, said nothing for minutes, or does not read: that is its business
        except asyncio.CancelledError:
            if not self._over:  # until Python 3.12 asyncio takes the end of the loop for an error of a client's
                raise
        finally:
            self._clients.pop(writer, None)
            self._answering.discard(writer)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def _put_one_out(self) -> None:
        """Whoever has said nothing longest; if all wait for an answer, whoever has waited longest: it was heard."""
        idle = (writer for writer in self._clients if writer not in self._answering)
        chosen = next(idle, next(iter(self._clients)))
        del self._clients[chosen]
        chosen.transport.abort()

    def disconnect_all(self) -> None:
        """Let every client go, for good."""
        self._over = True
        for writer in tuple(self._clients):
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one line; whether there may be another."""
        try:
            async with asyncio.timeout(IDLE_S_MAX):
                line = await reader.readline()
        except ValueError:  # asyncio's word for a line beyond the limit
            await self._say(writer, _error("too_large", f"A request has at most {LINE_BYTES_MAX} bytes."))
            return False
        if not line.endswith(b"\n") or writer not in self._clients:
            return False
        self._clients[writer] = self._clients.pop(writer)
        self._answering.add(writer)
        await self._say(writer, await self._answered(line))
        self._answering.discard(writer)
        return True

    async def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            request = parse(line)
        except BadRequest as bad:
            return _error("bad_request", str(bad))
        return await self._answer(request)

    async def _say(self, writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
        writer.write(render(answer))
        async with asyncio.timeout(WRITE_S_MAX):
            await writer.drain()


def _error(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "error": code, "text": text}
