"""What a request has to keep to, at a real socket: names, sizes, time, and how many there may be."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from fleet.api import bounds, server
from fleet.api.bounds import Bounds
from fleet.api.server import listening
from fleet.api.settings import WebSettings


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with what it was sent."""
    body = (await receive())["body"] if scope["method"] == "POST" else scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(**changed: Any) -> AsyncIterator[int]:
    """The port of a server of `echo`, within the bounds."""
    settings = WebSettings(site_dir=Path(), data_dir=Path(), port=0, **changed)
    async with listening(Bounds(echo, settings.host_names, secure=False), settings) as url:
        yield int(urlsplit(url).port or 0)


class Caller:
    """A connection on which every byte is the test's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def at(cls, port: int) -> "Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def say(self, words: str) -> None:
        self.writer.write(words.encode())

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = b""
        if "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        return int(head[0].split()[1]), headers, body

    async def was_hung_up(self) -> None:
        """Wait until the other side has closed."""
        try:
            async with asyncio.timeout(15):
                while await self.reader.read(1000):
                    pass
        except ConnectionError:
            pass

    def close(self) -> None:
        self.writer.transport.abort()


def post(body: str, kind: str = "application/json", host: str = "localhost", length: int | None = None) -> str:
    said = f"POST /x HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
    return f"{said}Content-Length: {len(body) if length is None else length}\r\n\r\n{body}"


async def test_a_body_of_json_comes_through_and_the_answer_is_dressed() -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(post('{"a": 1}'))
        status, headers, body = await caller.answer()
        assert (status, body) == (200, b'{"a": 1}')
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        caller.say("GET /again HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")  # the same connection serves on
        assert (await caller.answer())[2] == b"/again"
        caller.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.nip.io:80", "[::2]", "a:b:c"]
)
async def test_a_foreign_name_is_no_name_of_ours(host: str) -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        status, _, body = await caller.answer()
        assert (status, json.loads(body)["error"]) == (400, "host")
        caller.close()


async def test_names_of_the_settings_are_ours() -> None:
    async with served(allowed_hosts=("clinic.example",)) as port:
        for host in ("clinic.example", "CLINIC.example:8080", "localhost", "[::1]:8080"):
            caller = await Caller.at(port)
            caller.say(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert (await caller.answer())[0] == 200, host
            caller.close()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_is_not_json_is_not_looked_at(kind: str) -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(post("a=1", kind))
        status, _, body = await caller.answer()
        assert (status, json.loads(body)["error"]) == (415, "not_json")
        caller.close()


@pytest.mark.parametrize("length", ["65537", "99999999999999999999", "1e3"])
async def test_a_body_that_is_too_long_is_refused_before_it_comes(length: str) -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(f"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
        assert (await caller.answer())[0] in {400, 413}  # the last one is no HTTP
        caller.close()


async def test_a_body_without_a_length_is_bounded_too() -> None:
    async with served() as port:
        caller = await Caller.at(port)
        head = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
        caller.say(f"{head}\r\n\r\n" + ("1000\r\n" + "x" * 4096 + "\r\n") * 17)
        assert (await caller.answer())[0] == 413
        caller.close()


async def test_a_body_of_the_greatest_length_comes_through() -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(post("x" * bounds.BODY_BYTES_MAX))
        status, _, body = await caller.answer()
        assert (status, len(body)) == (200, 65_536)
        caller.close()


async def test_a_body_that_dawdles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BODY_S_MAX", 0.2)
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(post('{"a"', length=100))
        status, headers, body = await caller.answer()
        assert (status, json.loads(body)["error"], headers["connection"]) == (408, "slow", "close")
        await caller.was_hung_up()
        caller.close()


async def test_a_head_that_dawdles_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.3)
    async with served() as port:
        silent, dawdling = await Caller.at(port), await Caller.at(port)
        dawdling.say("GET / HTTP/1.1\r\nHost: local")
        await asyncio.gather(silent.was_hung_up(), dawdling.was_hung_up())
        later = await Caller.at(port)  # a second request on a kept connection is bounded too
        later.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await later.answer()
        later.say("GET / HT")
        await later.was_hung_up()
        for caller in (silent, dawdling, later):
            caller.close()


async def test_a_newcomer_is_let_in_and_whoever_asks_nothing_makes_room() -> None:
    async with served(connections_max=8) as port:
        idle = [await Caller.at(port) for _ in range(8)]
        for caller in idle[1:]:  # all but the first have asked something, and may again
            caller.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await caller.answer()
        newcomer = await Caller.at(port)
        newcomer.say("GET /stop HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await newcomer.answer())[2] == b"/stop"
        await idle[0].was_hung_up()
        for caller in (*idle, newcomer):
            caller.close()


@pytest.mark.parametrize(
    "junk", ["\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00", "GET / HTTP/9.9\r\n\r\n", "A" * 40_000]
)
async def test_what_is_no_http_ends_its_connection_and_nothing_else(junk: str) -> None:
    async with served() as port:
        caller = await Caller.at(port)
        caller.say(junk)
        caller.writer.write_eof()
        await caller.was_hung_up()
        after = await Caller.at(port)
        after.say("GET /on HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await after.answer())[2] == b"/on"
        caller.close()
        after.close()
