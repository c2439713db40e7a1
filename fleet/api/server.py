"""The web server's sockets: uvicorn's HTTP protocol, with a bound on how many connections there are and on how long
each may take to ask. Its `Server` is not used: it installs signal handlers and ends the process where a port is taken.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from fleet.api.settings import WebSettings

log = logging.getLogger(__name__)
HEAD_BYTES_MAX = 16 * 1024
HEAD_S_MAX = 10.0  # from its first byte to the end of a request's head
IDLE_S = 60.0  # a connection that is kept for further requests
HANDSHAKE_S_MAX = 10.0
ENDING_S = 2.0  # for answers under way when the process ends
BACKLOG = 128


class CannotListen(Exception):
    """The address cannot be listened on; the text is one sentence for people."""


def tls_context(settings: WebSettings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer by the settings' certificate; None where there is none.

    Raises:
        CannotListen: certificate or key cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CannotListen(f"tls_certificate and tls_key cannot be used: {error}.") from error
    return context


@asynccontextmanager
async def listening(app: ASGIApp, settings: WebSettings) -> AsyncIterator[str]:
    """Serve `app` while the context is open; where it is found, as a URL.

    Raises:
        CannotListen
    """
    tls = tls_context(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
    except OSError as error:
        sock.close()
        raise CannotListen(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.") from error
    connections = _Connections(app, settings.connections_max)
    server = await asyncio.get_running_loop().create_server(
        connections.one_more,
        sock=sock,
        ssl=tls,
        ssl_handshake_timeout=None if tls is None else HANDSHAKE_S_MAX,
        backlog=BACKLOG,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        yield f"{'http' if tls is None else 'https'}://{host}:{sock.getsockname()[1]}"
    finally:
        server.close()
        await connections.end()


class _Connections:
    """Those that are open, the longest first."""

    def __init__(self, app: ASGIApp, connections_max: int) -> None:
        self._max = connections_max
        self._config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(IDLE_S),
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        )
        self._config.load()
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # broken requests are their senders' business
        self._state = ServerState()
        self.open: dict[_Connection, None] = {}

    def one_more(self) -> "_Connection":
        """A newcomer is let in: it may want to stop something. Whoever has asked nothing for longest makes room."""
        if len(self.open) >= self._max:
            idle = (connection for connection in self.open if not connection.answering)
            next(idle, next(iter(self.open))).abort()
        return _Connection(self, self._config, self._state)

    async def end(self) -> None:
        """Let answers under way come to their end, for a moment."""
        for connection in tuple(self.open):
            connection.shutdown()
        try:
            async with asyncio.timeout(ENDING_S):
                while self._state.tasks:
                    await asyncio.wait(tuple(self._state.tasks))
        except TimeoutError:
            log.warning("%d answers were cut", len(self._state.tasks))
        for connection in tuple(self.open):
            connection.abort()


class _Connection(H11Protocol):
    """One connection, with a deadline for whatever its client has to do."""

    def __init__(self, connections: _Connections, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {"abort": self.abort})
        self._connections = connections
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def answering(self) -> bool:
        """Whether a request of it is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self.transport = transport
        self._connections.open[self] = None
        self._within(HEAD_S_MAX)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        was_idle = not self.answering and self.timeout_keep_alive_task is not None
        self._guarded(lambda: super(_Connection, self).data_received(data))
        if self.answering:
            self._within(None)
        elif was_idle:
            self._within(HEAD_S_MAX)

    def on_response_complete(self) -> None:
        self._within(IDLE_S + HEAD_S_MAX)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.open.pop(self, None)
        self._within(None)
        self._guarded(lambda: super(_Connection, self).connection_lost(exc))

    def abort(self) -> None:
        """Close it at once: what waits to be sent is dropped."""
        self._connections.open.pop(self, None)
        if self.transport is not None:
            self.transport.abort()

    def _within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.abort)

    def _guarded(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except Exception:  # what a stranger sends must end its connection, not the process: the loop would hear of it
            log.exception("a connection failed")
            self.abort()
