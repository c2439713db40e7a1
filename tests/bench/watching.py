"""The bench's browsers: a process in which each holds a stream open and asks what the live page asks, every 5 s.

`python -m tests.bench.watching URL`, tokens and devices as JSON on stdin; says `ready` once each has its snapshot, and
at SIGTERM what came. It reads bytes and understands none of them: a browser's own work is done on other machines.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from broker.scheduling import ORDINARY_NS, ask_for_turns

ASKED_EVERY_S = 5.0
NICE = 15  # of all processes of the bench it is the last that may keep a stop waiting


class Watching:
    """The process, from the measuring side."""

    def __init__(self, url: str, tokens: Sequence[str], devices: Sequence[str]) -> None:
        self._url = url
        self._asked = json.dumps({"tokens": list(tokens), "devices": list(devices)})

    def __enter__(self) -> Self:
        self._running = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.watching", self._url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        self._running.stdin.write(self._asked)
        self._running.stdin.close()
        os.set_blocking(self._running.stdout.fileno(), False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.kill()
        self._running.wait()
        if self._running.stdout is not None:
            self._running.stdout.close()

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def ready(self) -> bool:
        assert self._running.stdout is not None
        return self._running.stdout.readline().strip() == "ready"

    def seen(self) -> dict[str, Any]:
        """End it: how many streams were open all the while, events, bytes, answers, and how many failed."""
        self._running.send_signal(signal.SIGTERM)
        self._running.wait(10)
        assert self._running.stdout is not None
        os.set_blocking(self._running.stdout.fileno(), True)
        counted: dict[str, Any] = json.loads(self._running.stdout.read())
        return counted


# --- in the process -------------------------------------------------------------------------------------------------


class _Counted:
    """What came to all of them."""

    def __init__(self) -> None:
        self.streams = self.events = self.octets = self.answers = self.failed = 0


async def _stream(address: tuple[str, int], token: str, trace: str, counted: _Counted, begun: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(_asks(f"/api/v1/stream?trace={trace}", token))
    await reader.readuntil(b"\r\n\r\n")
    counted.streams += 1
    try:
        while octets := await reader.read(256 * 1024):
            counted.octets += len(octets)
            counted.events += octets.count(b"event: ")
            begun.set()
    finally:
        writer.transport.abort()
    counted.streams -= 1  # it ended by itself


async def _ask(address: tuple[str, int], token: str, device: str, begins_s: float, counted: _Counted) -> None:
    await asyncio.sleep(begins_s)  # browsers were opened at different times
    reader, writer = await asyncio.open_connection(*address)
    while True:
        for path in ("/api/v1/alarms", "/api/v1/stops?limit=20", f"/api/v1/devices/{device}"):
            writer.write(_asks(path, token))
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            counted.answers += 1
            counted.failed += b" 200 " not in head.split(b"\r\n")[0]
        await asyncio.sleep(ASKED_EVERY_S)  # as often as an open page asks


def _asks(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


async def _watch(url: str, tokens: Sequence[str], devices: Sequence[str]) -> None:
    counted, end = _Counted(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    at = urlsplit(url)
    address = str(at.hostname), int(at.port or 80)
    begun = [asyncio.Event() for _ in tokens]
    async with asyncio.TaskGroup() as group:
        tasks = []
        for n, token in enumerate(tokens):
            drawn = devices[n % len(devices)]  # each looks at one device
            listens = _stream(address, token, drawn, counted, begun[n])
            asks = _ask(address, token, drawn, n * ASKED_EVERY_S / len(tokens), counted)
            tasks += [group.create_task(listens, name=f"stream {n}"), group.create_task(asks, name=f"page {n}")]
        for one in begun:
            await one.wait()
        print("ready", flush=True)  # noqa: T201 # to the measuring side
        await end.wait()
        print(json.dumps(vars(counted)), flush=True)  # noqa: T201 # the same
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    os.nice(NICE)
    ask_for_turns(ORDINARY_NS)
    said = json.load(sys.stdin)
    asyncio.run(_watch(sys.argv[1], said["tokens"], said["devices"]))
