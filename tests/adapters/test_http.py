"""The HTTP server in the fleet's loop: what it answers, and that nobody at its port can end or hold up anything."""

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from broker.ports import free_port
from fleet.adapters import http
from fleet.adapters.http import Answer

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK"
BROKEN_BODY = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno-size\r\n"


@dataclass
class Place:
    """A server on a port of its own, and all that reached the loop instead of being dealt with."""

    port: int = field(default_factory=free_port)
    answer: Callable[[], Answer] = lambda: Answer(200, "text/plain", b"well\n")
    states: list[str | None] = field(default_factory=list)
    loose: list[dict[str, Any]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Place"]:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.loose.append(context))
        routes = {"/healthz": self.answered}
        serving = asyncio.ensure_future(http.serve("127.0.0.1", self.port, routes, self.states.append))
        try:
            yield self
            assert not serving.done(), "nobody ended it"
        finally:
            for writer in self.writers:
                writer.transport.abort()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        assert self.loose == [], "in the fleet's process this would end it"

    def answered(self) -> Answer:
        return self.answer()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(5.0):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)  # it is about to listen
                else:
                    self.writers.append(writer)
                    return reader, writer

    async def said(self, request: bytes) -> bytes:
        """Everything that comes back until the connection is over."""
        reader, writer = await self.connect()
        return await exchanged(reader, writer, request)


async def exchanged(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        async with asyncio.timeout(10.0):
            while part := await reader.read(65_536):
                heard += part
    writer.close()
    return heard


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place().serving() as here:
        yield here


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


# --- what it answers ------------------------------------------------------------------------------------------------


async def test_one_request_one_answer_one_connection(place: Place) -> None:
    head, _, body = (await place.said(GET)).partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 200 ok"
    assert {"content-type: text/plain", "content-length: 5", "cache-control: no-store"} < set(lines)
    assert "connection: close" in lines
    assert body == b"well\n"
    assert (await place.said(GET * 3)).count(OK) == 1
    assert (await place.said(request("GET /healthz?whoever=asks"))).startswith(OK)


async def test_head_is_get_without_the_body(place: Place) -> None:
    head, _, body = (await place.said(request("HEAD /healthz"))).partition(b"\r\n\r\n")
    assert b"content-length: 5" in head
    assert body == b""


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("GET /", 404, "There is nothing here but /healthz."),
        ("GET /metrics/", 404, "There is nothing here but"),
        ("GET /../healthz", 404, "There is nothing here but"),
        ("POST /healthz", 405, "This can only be read."),
        ("DELETE /healthz", 405, "This can only be read."),
        ("BREW /healthz", 405, "This can only be read."),
    ],
)
async def test_there_is_nothing_else_and_nothing_to_change(place: Place, line: str, status: int, words: str) -> None:
    said = (await place.said(request(line, "Content-Length: 0"))).decode()
    assert said.startswith(f"HTTP/1.1 {status} ")
    assert words in said
    assert ("allow: GET, HEAD" in said) == (status == 405)


async def test_an_answer_that_fails_is_said_logged_and_over(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Answer:
        raise KeyError("a figure that is not there")

    good, place.answer = place.answer, fails
    assert (await place.said(GET)).startswith(b"HTTP/1.1 500 ")
    assert "KeyError: 'a figure that is not there'" in caplog.text
    place.answer = good
    assert (await place.said(GET)).startswith(OK)


# --- who would hold it up -------------------------------------------------------------------------------------------


async def test_slow_clients_are_put_out_and_keep_nobody_from_being_answered(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "REQUEST_S_MAX", 1.0)
    slow = [await place.connect() for _ in range(http.CONNECTIONS_MAX - 1)]
    began_s = time.monotonic()
    for _, writer in slow:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-More: ")
    assert (await place.said(GET)).startswith(OK)

    async def trickles(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.1)  # a byte now and then, for ever

    trickling = [asyncio.ensure_future(trickles(writer)) for _, writer in slow]
    for reader, _ in slow:
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    assert time.monotonic() - began_s < 3.0, "a second each, however much they trickle"
    for task in trickling:
        task.cancel()


async def test_one_too_many_puts_out_the_longest(place: Place) -> None:
    first, *_ = [await place.connect() for _ in range(http.CONNECTIONS_MAX + 1)]
    async with asyncio.timeout(2.0):
        with contextlib.suppress(ConnectionError):
            assert await first[0].read() == b""
    assert (await place.said(GET)).startswith(OK)


async def test_who_does_not_read_is_put_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S_MAX", 0.5)
    large = Answer(200, "text/plain", b"." * 20_000_000)
    async with Place(answer=lambda: large).serving() as place:
        _, writer = await place.connect()
        writer.write(GET)
        await asyncio.sleep(1.0)  # it reads nothing, and its time is over
        place.answer = Place().answer
        assert (await place.said(GET)).startswith(OK)
        writer.transport.abort()


async def test_a_flood_is_taken_at_50_connections_a_second(place: Place) -> None:
    """What is beyond waits in the kernel, or is refused there, and costs the loop that answers samples nothing."""
    await place.said(GET)
    began_s = time.monotonic()
    asked = [asyncio.ensure_future(place.said(GET)) for _ in range(80)]
    await asyncio.sleep(1.0)  # a second of flood
    answered = sum(one.done() for one in asked)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert 1 <= answered <= (time.monotonic() - began_s) / http.ACCEPT_PERIOD_S + http.BACKLOG
    assert (await place.said(GET)).startswith(OK)


# --- broken requests ------------------------------------------------------------------------------------------------

BROKEN = [
    b"\r\n\r\n",
    b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",  # without a host
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody speaks TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    request("GET /healthz", "Content-Length: -1"),
    request("GET /healthz", "Content-Length: 5", "Content-Length: 6"),
    request("GET /healthz", "Transfer-Encoding: gzip"),
    request("GET /healthz", "X: " + "a" * http.HEADER_BYTES_MAX),
    request("GET /" + "a" * http.HEADER_BYTES_MAX),
    request("GET /healthz", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    request("POST /healthz", "Expect: 100-continue", "Content-Length: 10"),
    request("POST /healthz", "Content-Length: 1000000000") + b"a" * 1_000_000,
    BROKEN_BODY,
    GET + b"\x00\x01\x02",
    GET + BROKEN_BODY,
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
async def test_what_is_no_request_ends_its_own_connection_and_nothing_else(
    place: Place, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await place.said(broken)
    reader, writer = await place.connect()
    writer.write(broken)
    writer.transport.abort()  # and goes before it is answered
    assert await reader.read() == b""
    assert (await place.said(GET)).startswith(OK)
    assert caplog.records == [], "strangers do not fill the log"


@given(
    st.lists(st.sampled_from([*BROKEN, GET, b"\r\n", b"0\r\n\r\n"]) | st.binary(max_size=40), min_size=1, max_size=4)
)
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    async def story() -> None:
        async with Place().serving() as place:
            _, writer = await place.connect()
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # one turn of the loop
            writer.transport.abort()
            assert (await place.said(GET)).startswith(OK)

    asyncio.run(story())


# --- the port -------------------------------------------------------------------------------------------------------


async def test_a_taken_port_is_told_and_had_once_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "RETRY_S", 0.1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = Place(port=other.getsockname()[1])
        async with place.serving():
            async with asyncio.timeout(5.0):
                while len(place.states) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # told at each try
            assert set(place.states) == {"Address already in use"}
            other.close()
            async with asyncio.timeout(5.0):
                while place.states[-1] is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # the next try
            assert (await place.said(GET)).startswith(OK)


async def test_signals_stay_whose_they_were(place: Place) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert (await place.said(GET)).startswith(OK)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_process_without_descriptors_tells_it_once_and_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    right, failures = loop.sock_accept, iter(range(3))

    async def accept(listening: socket.socket) -> Any:
        if next(failures, None) is not None:
            raise OSError(24, "Too many open files")
        return await right(listening)

    await place.said(GET)
    monkeypatch.setattr(loop, "sock_accept", accept)
    await place.said(GET)  # taken by the call that was under way
    assert (await place.said(GET)).startswith(OK)
    assert caplog.text.count("a connection could not be taken: [Errno 24] Too many open files") == 1


# --- faults of ours or of uvicorn's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("callback", ["connection_made", "data_received", "connection_lost"])
async def test_a_callback_that_fails_ends_its_connection_and_is_told(
    place: Place, callback: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the loop it would be a bug that nobody dealt with, and end the fleet's process."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as faulty:
        faulty.setattr(H11Protocol, callback, fails)
        await place.said(GET)
    assert "ZeroDivisionError: a fault" in caplog.text
    assert (await place.said(GET)).startswith(OK)


async def test_an_answer_s_task_that_fails_ends_its_connection_and_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(http, "REQUEST_S_MAX", 0.2)
    with monkeypatch.context() as faulty:
        faulty.setattr(RequestResponseCycle, "run_asgi", fails)
        assert await place.said(GET) == b""
    gc.collect()  # a task whose exception nobody took says so then
    assert "ZeroDivisionError: a fault" in caplog.text
    assert (await place.said(GET)).startswith(OK)
