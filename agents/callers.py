"""Who is at a local socket: each client's lines answered in turn, and somebody put out where one more wants in.

Room is made by, in this order:

1. whoever was answered, has nothing waiting and has said nothing longest;
2. whoever came a second ago and has not said a line yet;
3. where a newcomer has waited a second: whoever has been answered most often, between two lines.

Never by a client that is being answered, nor by one that has just come. Until there is room a newcomer waits, and the
others in the kernel's queue behind it: so many files are open and no more.
"""

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.unix_sockets import place_for, take_away

_log = logging.getLogger(__name__)
CLIENTS_MAX: Final = 32
FIRST_LINE_S: Final = 1.0
SILENT_S: Final = 30.0
WRITE_S_MAX: Final = 2.0  # a client that does not read
_LOOK_AGAIN_S: Final = 0.02
_NO_FILES_S: Final = 1.0  # asyncio's own servers wait as long
_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_QUEUE: Final = 1024  # who waits to be let in; the kernel's own bound may be lower

Answer = Callable[[bytes], Awaitable[bytes]]


@dataclass(eq=False, slots=True)
class _Client:
    connection: socket.socket
    since_s: float  # when it was let in, then when it was last answered: the loop's clock
    unread: bytes = b""
    answered: int = 0
    is_answering: bool = False
    is_put_out: bool = False

    @property
    def has_line(self) -> bool:
        """Whether something of it waits, here or in the kernel."""
        return b"\n" in self.unread or _is_readable(self.connection)

    def put_out(self) -> None:
        """It can say nothing more, and hears that; what it has said by now is still read."""
        self.is_put_out = True
        with suppress(OSError):  # it has gone by itself
            self.connection.shutdown(socket.SHUT_RDWR)


class Callers:
    """`answer` is given a line with its end and makes the line to send; `too_long` is sent for one over the limit.

    What `answer` raises ends `serve`.
    """

    def __init__(self, path: Path, answer: Answer, line_bytes_max: int, too_long: bytes) -> None:
        self._path = path
        self._answer = answer
        self._line_bytes_max = line_bytes_max
        self._too_long = too_long
        self._loop = asyncio.get_running_loop()
        self._clients: dict[_Client, None] = {}  # who was answered last comes last
        self._listening: socket.socket | None = None
        self._left = asyncio.Event()

    def open(self) -> None:
        """Listen: whoever comes waits until `serve`.

        Raises:
            OSError: the path cannot be bound.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with place_for(self._path):
                listening.bind(str(self._path))
            listening.listen(_QUEUE)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
        self._listening = listening

    def close(self) -> None:
        """Listen no more; `serve` must have ended."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            take_away(self._path)

    async def serve(self) -> None:
        """Let in and answer, until it is cancelled."""
        if self._listening is None:
            return  # closed before it began
        async with asyncio.TaskGroup() as clients:
            while True:
                try:
                    connection, _ = await self._loop.sock_accept(self._listening)
                except OSError as error:
                    if error.errno not in _NO_FILES:
                        raise
                    _log.error("nobody can be let in at %s: %s", self._path.name, error)
                    await asyncio.sleep(_NO_FILES_S)
                    continue
                try:
                    await self._make_room()
                except BaseException:
                    connection.close()
                    raise
                client = _Client(connection, self._loop.time())
                self._clients[client] = None
                clients.create_task(self._converse(client), name=f"{self._path.name}: a client")

    # --- room -------------------------------------------------------------------------------------------------------

    async def _make_room(self) -> None:
        from_s = self._loop.time()
        while len(self._clients) >= CLIENTS_MAX:
            self._left.clear()
            is_one_going = any(client.is_put_out for client in self._clients)
            if not is_one_going and (client := self._who_goes(self._loop.time() - from_s)) is not None:
                client.put_out()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._left.wait()

    def _who_goes(self, waited_s: float) -> _Client | None:
        free = [client for client in self._clients if not client.is_answering]
        heard = [client for client in free if client.answered]
        silent = next((client for client in heard if not client.has_line), None)
        if silent is not None:
            return silent
        late_s = self._loop.time() - FIRST_LINE_S
        unheard = next((client for client in free if not client.answered and client.since_s <= late_s), None)
        if unheard is not None:
            return unheard
        return max(heard, key=lambda client: client.answered, default=None) if waited_s >= FIRST_LINE_S else None

    # --- one client -------------------------------------------------------------------------------------------------

    async def _converse(self, client: _Client) -> None:
        try:
            client.connection.setblocking(False)
            while (line := await self._line(client)) is not None:
                if len(line) > self._line_bytes_max:
                    await self._say(client, self._too_long)
                    return
                client.is_answering = True
                answer = await self._answer(line)
                client.is_answering = False
                client.answered += 1
                client.since_s = self._loop.time()
                self._clients[client] = self._clients.pop(client)
                await self._say(client, answer)
                await asyncio.sleep(0.0)  # the others' turn, however much of this one waits
        except (ConnectionError, TimeoutError) as error:
            _log.info("a client of %s ended: %s", self._path.name, error or "silent")
        finally:
            self._clients.pop(client, None)
            client.connection.close()
            self._left.set()

    async def _line(self, client: _Client) -> bytes | None:
        """The next line, or too much of one; None: it has said all."""
        async with asyncio.timeout(SILENT_S):
            while b"\n" not in client.unread and len(client.unread) <= self._line_bytes_max:
                await self._readable(client.connection)
                came = client.connection.recv(self._line_bytes_max)
                if not came:
                    return None
                client.unread += came
        line, end, client.unread = client.unread.partition(b"\n")
        return line + end

    async def _say(self, client: _Client, answer: bytes) -> None:
        async with asyncio.timeout(WRITE_S_MAX):
            await self._loop.sock_sendall(client.connection, answer)

    async def _readable(self, connection: socket.socket) -> None:
        """Not read yet: what waits is to be seen until it is taken."""
        if _is_readable(connection):
            return
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(connection, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_reader(connection)


def _is_readable(connection: socket.socket) -> bool:
    look = select.poll()
    look.register(connection, select.POLLIN)
    return bool(look.poll(0))
