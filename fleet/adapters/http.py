"""A small HTTP/1.1 server for who watches the fleet: some paths to read, one request a connection.

It lives in the loop that answers samples, so nobody at its port may hold that up: it takes few connections a second,
few at a time, each for a short time, and keeps what a request may send small. Where its port is taken the fleet goes
on without it and tries again.

This is uvicorn's HTTP protocol with its ways made harmless; each is proved in tests/adapters/test_http.py:
- its `Server` installs signal handlers, ends the process where a port is taken, and wakes ten times a second: only the
  protocol is used;
- it waits for ever for the rest of a request (slowloris), and takes any number of connections: bounded here;
- its loggers tell of every broken request: silenced here. What our own answers raise is logged by us;
- should one of its callbacks or tasks fail, the loop would hear of it, and that ends this process: caught here, told,
  and the connection closed (none is known to: 1,500 broken conversations at random brought none about).
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = logging.getLogger(__name__)
CONNECTIONS_MAX = 16  # one more puts out whoever has been here longest
ACCEPT_PERIOD_S = 0.02  # 50 a second: a flood waits in the kernel, and costs us no more than that
BACKLOG = 16
REQUEST_S_MAX = 5.0  # from the first byte to the last of the answer
HEADER_BYTES_MAX = 8_192
RETRY_S = 5.0
METHODS = ("GET", "HEAD")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    content_type: str
    body: bytes


Routes = Mapping[str, Callable[[], Answer]]
Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]


async def serve(host: str, port: int, routes: Routes, changed: Callable[[str | None], None]) -> None:
    """Serve `routes` (path to answer) until cancelled. `changed` hears why it cannot, and None once it can."""
    while True:
        try:
            listening = _listen(host, port)
        except OSError as error:
            changed(error.strerror or str(error))
            await asyncio.sleep(RETRY_S)
            continue
        changed(None)
        with listening:
            await _accept(listening, routes)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, and takes nobody yet.

    Raises:
        OSError: the address is none of this machine's, or the port is taken, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


async def _accept(listening: socket.socket, routes: Routes) -> None:
    loop = asyncio.get_running_loop()
    connections = _Connections(routes)
    taken = True
    try:
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
                await loop.connect_accepted_socket(connections.one_more, accepted)
            except OSError as error:  # it went while it waited, or this process has no descriptor left
                if taken:  # told once in a row
                    log.warning("a connection could not be taken: %s", error)
                taken = False
            else:
                taken = True
            await asyncio.sleep(ACCEPT_PERIOD_S)
    finally:
        connections.end()


class _Connections:
    """Those that are open, the longest first."""

    def __init__(self, routes: Routes) -> None:
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
        self._config = uvicorn.Config(
            _application(routes),
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        )
        self._config.load()
        self._state = ServerState()
        self._state.tasks = _Tasks()
        self.open: dict[_Connection, None] = {}

    def one_more(self) -> "_Connection":
        if len(self.open) >= CONNECTIONS_MAX:
            next(iter(self.open)).abort()
        return _Connection(self, self._config, self._state)

    def end(self) -> None:
        for connection in tuple(self.open):
            connection.abort()


class _Tasks(set["asyncio.Task[None]"]):
    """Answers under way. What one raises is over with its connection: most often it was the client's doing."""

    def discard(self, task: object) -> None:
        assert isinstance(task, asyncio.Task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _tell(error)
        super().discard(task)


class _Connection(H11Protocol):
    """One connection: one request, one answer, a few seconds in all."""

    def __init__(self, connections: _Connections, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._connections = connections
        self._deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self.transport = transport
        self._connections.open[self] = None
        self._deadline = self.loop.call_later(REQUEST_S_MAX, self.abort)
        self._guarded(lambda: super(_Connection, self).connection_made(transport))

    def data_received(self, data: bytes) -> None:
        self._guarded(lambda: super(_Connection, self).data_received(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.open.pop(self, None)
        self._deadline.cancel()
        self._guarded(lambda: super(_Connection, self).connection_lost(exc))

    def abort(self) -> None:
        self._connections.open.pop(self, None)
        self.transport.abort()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 # what a stranger sends must end its connection, not the process
            _tell(error)
            self.abort()


def _tell(error: BaseException) -> None:
    """What a client brings about is its own business; anything else is a fault of ours, or of uvicorn's."""
    if not isinstance(error, h11.ProtocolError | OSError):
        log.error("a request failed", exc_info=error)


def _application(routes: Routes) -> Callable[..., Awaitable[None]]:
    """The ASGI application: reads nothing but method and path."""

    async def application(scope: Scope, _receive: object, send: Send) -> None:
        answer = _answer(routes, scope["method"], scope["path"])
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        if answer.status == 405:
            headers.append((b"allow", ", ".join(METHODS).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return application


def _answer(routes: Routes, method: str, path: str) -> Answer:
    make = routes.get(path)
    if make is None:
        return _plain(404, f"There is nothing here but {', '.join(routes)}.")
    if method not in METHODS:
        return _plain(405, "This can only be read.")
    try:
        return make()
    except Exception:  # enforcement goes first: a figure that cannot be shown ends nothing, and is not hidden
        log.exception("%s cannot be answered", path)
        return _plain(500, "This failed; the fleet's log says why.")


def _plain(status: int, words: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", f"{words}\n".encode())
