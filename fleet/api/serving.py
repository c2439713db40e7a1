"""The web process at its port: many connections, of which strangers may hold none for long.

This is uvicorn's HTTP protocol with bounds that uvicorn has not got; each is proved in tests/api/test_serving.py:

- there are `connections_max`; one more puts a stranger out: the one that has been here longest, of the address that has
  most. A stranger is a connection on which nobody signed in has asked anything yet. So who is signed in finds a place,
  whatever crowds in;
- where all are known, one of the user goes who has most: an idle one, or, where they have more than `places_each` or a
  quarter of all, one that is busy. Otherwise any idle one goes; where there is none, the new one. One sign-in or token
  has `places_each` at most, of which its own longest goes for one more. So no user takes the places of the others;
- a stranger has a few seconds for the head of its first request, and anybody for the head of the next; the body's bound
  is `fleet.api.shield`'s; TLS has its handshake bounded, and a handshake takes a place like any connection;
- who does not read what they asked for is put out;
- what a client brings about is no line in the log.

uvicorn's `Server` is not used: it creates connections without asking, and bounds no handshake.
"""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = logging.getLogger(__name__)
BACKLOG: Final = 512
HEAD_BYTES_MAX: Final = 16_384
SHARES: Final = 4  # who has more than that part of all places, or `places_each`, gives one up for another user
ENDING_S: Final = 2.0  # for answers that are under way when the process ends
REFUSED_S: Final = 0.2  # until the next try where the system gives no connection


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of connections at the port."""

    connections_max: int = 512
    places_each: int = 32  # of one sign-in or token; a browser opens 6
    head_s: float = 5.0  # from the connection, or from the first byte after an answer, to the end of the head
    idle_s: float = 60.0  # between an answer and the next request
    unread_s: float = 20.0  # how long what was answered may wait to be taken
    handshake_s: float = 5.0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: the address is none of this machine's, or the port is taken, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY on what says that it is TCP, and only there. Without it every answer waited 44 ms: head
    # and body are written one after the other, and the client's kernel puts off its acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


async def serve(
    application: Callable[..., Any],
    listening: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    trusted_proxies: tuple[str, ...] = (),
    bounds: Bounds = Bounds(),
) -> None:
    """Serve an ASGI application until cancelled; then answers under way have a moment to get out.

    `trusted_proxies`: addresses of ours whose X-Forwarded-For and X-Forwarded-Proto are believed.
    """
    connections = _Connections(application, tls, trusted_proxies, bounds)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    accepted, address = await loop.sock_accept(listening)
                except OSError as error:  # no descriptor left, or it went while it waited
                    log.warning("a connection could not be taken: %s", error)
                    await asyncio.sleep(REFUSED_S)
                    continue
                place = _Place(accepted, str(address[0]))
                if connections.take(place):
                    tasks.create_task(connections.begin(place), name=f"connection from {place.address}")
                else:
                    accepted.close()
                await asyncio.sleep(0)  # a crowd at the door waits for its turn: those inside have theirs in between
    finally:
        await connections.end()


class _Place:
    """One connection's place: first a socket in its handshake, then a protocol."""

    def __init__(self, accepted: socket.socket, address: str) -> None:
        self.accepted = accepted
        self.address = address
        self.connection: _Connection | None = None

    @property
    def stranger(self) -> bool:
        return self.user is None

    @property
    def user(self) -> str | None:
        return None if self.connection is None else self.connection.user

    @property
    def key(self) -> bytes | None:
        return None if self.connection is None else self.connection.key

    @property
    def idle(self) -> bool:
        return self.connection is not None and self.connection.idle

    def put_out(self) -> None:
        if self.connection is not None:
            self.connection.transport.abort()
            return
        with suppress(OSError):  # it went by itself
            self.accepted.shutdown(socket.SHUT_RDWR)  # the handshake hears of it


class _Connections:
    """The places that are taken, the longest first."""

    def __init__(
        self, application: Callable[..., Any], tls: ssl.SSLContext | None, proxies: tuple[str, ...], bounds: Bounds
    ) -> None:
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
        self.bounds = bounds
        self.config = uvicorn.Config(
            application,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(bounds.idle_s),
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        )
        self.config.load()
        self.state = ServerState()
        self.state.tasks = _Tasks()
        self._tls = tls
        self._places: dict[_Place, None] = {}

    def take(self, place: _Place) -> bool:
        """Whether there is a place; for one more somebody may have to go."""
        if len(self._places) >= self.bounds.connections_max:
            goes = self._who_goes()
            if goes is None:
                return False
            self._put_out(goes)
        self._places[place] = None
        return True

    def known(self, place: _Place) -> None:
        """Somebody signed in asks there. Beyond what one sign-in may have, another of its own goes."""
        own = [one for one in self._places if one.key == place.key]
        if len(own) > self.bounds.places_each:
            self._put_out(_longest([one for one in own if one is not place]))

    def _put_out(self, place: _Place) -> None:
        self._places.pop(place, None)
        place.put_out()

    def _who_goes(self) -> _Place | None:
        strangers = [place for place in self._places if place.stranger]
        if strangers:
            [(most, _)] = Counter(place.address for place in strangers).most_common(1)
            return next(place for place in strangers if place.address == most)
        [(user, places)] = Counter(place.user for place in self._places).most_common(1)
        longest = _longest([place for place in self._places if place.user == user])
        share = min(self.bounds.places_each, self.bounds.connections_max // SHARES)
        if longest.idle or places > share:
            return longest
        return next((place for place in self._places if place.idle), None)

    async def begin(self, place: _Place) -> None:
        """From the socket to the protocol, through the handshake."""

        def connection() -> _Connection:
            place.connection = None
            return _Connection(self, place)

        handshake_s = self.bounds.handshake_s if self._tls else None
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                connection, place.accepted, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        except (OSError, TimeoutError):  # ssl.SSLError is one: no client of ours, or none at all
            place.accepted.close()
            self.left(place)

    def left(self, place: _Place) -> None:
        self._places.pop(place, None)

    async def end(self) -> None:
        """Idle ones go at once, answers under way when they are out, or their time is."""
        open_ = [place.connection for place in self._places if place.connection is not None]
        for connection in open_:
            connection.shutdown()
        answers = [task for task in self.state.tasks if not task.done()]
        if answers:
            await asyncio.wait(answers, timeout=ENDING_S)
        for place in tuple(self._places):
            place.put_out()
        for task in answers:
            task.cancel()


def _longest(places: list[_Place]) -> _Place:
    """The idle one that has been here longest, or the busy one."""
    return next((place for place in places if place.idle), places[0])


class _Tasks(set["asyncio.Task[None]"]):
    """Answers under way. What one raises is over with its connection: most often it was the client's doing."""

    def discard(self, task: object) -> None:
        assert isinstance(task, asyncio.Task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _tell(error)
        super().discard(task)


class _Connection(H11Protocol):
    """One connection, with its bounds. The guard says as whose it is `known_as`: who is signed in and asks on it."""

    def __init__(self, connections: _Connections, place: _Place) -> None:
        super().__init__(connections.config, connections.state, {"connection": self})
        self.user: str | None = None  # None: a stranger's
        self.key: bytes | None = None  # of the sign-in or token
        self._connections = connections
        self._place = place
        self._head: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def known_as(self, user: str, key: bytes) -> None:
        if key != self.key:
            self.user, self.key = user, key
            self._connections.known(self._place)

    @property
    def idle(self) -> bool:
        """Whether no answer is under way."""
        cycle: object = self.cycle  # uvicorn types it as if there were always one
        return cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        self.transport = transport
        self._place.connection = self
        self._head_begins()
        self._guarded(lambda: super(_Connection, self).connection_made(transport))

    def data_received(self, data: bytes) -> None:
        if self.idle and self._head is None:
            self._head_begins()
        self._guarded(lambda: super(_Connection, self).data_received(data))
        if not self.idle:
            self._head = _end(self._head)

    def pause_writing(self) -> None:
        self._unread = self.loop.call_later(self._connections.bounds.unread_s, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread = _end(self._unread)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._unread = _end(self._head), _end(self._unread)
        self._connections.left(self._place)
        self._guarded(lambda: super(_Connection, self).connection_lost(exc))

    def _head_begins(self) -> None:
        self._head = self.loop.call_later(self._connections.bounds.head_s, self.transport.abort)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 # what a stranger sends must end its connection, not the process
            _tell(error)
            self.transport.abort()


def _end(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """End a timer, if there is one; there is none any more."""
    if timer is not None:
        timer.cancel()
    return None


def _tell(error: BaseException) -> None:
    """What a client brings about is its own business; anything else is a fault of ours, or of uvicorn's."""
    if not isinstance(error, h11.ProtocolError | OSError):
        log.error("a request failed", exc_info=error)
