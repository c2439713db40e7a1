"""Many at one panel: a stop gets through whatever the other local clients do."""

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.callers import CLIENTS_MAX
from agents.commandline import ask_panel
from agents.steps import Press, Reply
from tests.agents_shell.test_panel import panel_on

STOP = {"do": "stop_button"}
STATUS = b'{"do": "status"}\n'


@asynccontextmanager
async def polling(path: Path, clients: int, lines: int = 1) -> AsyncIterator[None]:
    """As many threads, each of which connects, asks `lines` at once, reads a little and goes, over and over."""
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(5.0)
                    client.connect(str(path))
                    client.sendall(STATUS * lines)
                    client.recv(10)
            except OSError:  # it was put out: it comes again
                continue

    threads = [threading.Thread(target=poll, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)


@pytest.mark.parametrize(("clients", "lines"), [(CLIENTS_MAX, 1), (3 * CLIENTS_MAX, 1), (CLIENTS_MAX, 40)])
async def test_every_stop_gets_through_while_others_poll(tmp_path: Path, clients: int, lines: int) -> None:
    async with panel_on(tmp_path) as (panel, buttons), polling(panel.path, clients, lines):
        for _ in range(40):
            assert (await asyncio.to_thread(ask_panel, tmp_path, STOP))["accepted"]
    assert [press for press, _, _ in buttons.pressed] == [Press.STOP_BUTTON] * 40


async def test_a_press_that_is_being_answered_is_not_hung_up_on(tmp_path: Path) -> None:
    """However many come after it, and whatever has said nothing for longer."""
    async with panel_on(tmp_path) as (panel, buttons):
        buttons.answer = None  # the control loop takes its time
        reader, writer = await asyncio.open_unix_connection(panel.path)
        writer.write(json.dumps(STOP).encode() + b"\n")
        async with asyncio.timeout(5.0):
            while not buttons.pressed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # what the panel has passed on can only be looked at
        others = [await asyncio.open_unix_connection(panel.path) for _ in range(2 * CLIENTS_MAX)]
        for other_reader, other in others:
            other.write(STATUS)
            assert json.loads(await asyncio.wait_for(other_reader.readline(), 5.0))["accepted"]
        panel.reply(Reply(1, True, "Done."))
        assert json.loads(await asyncio.wait_for(reader.readline(), 5.0)) == {"accepted": True, "words": "Done."}
        for _, each in [*others, (reader, writer)]:
            each.close()


async def test_whoever_has_said_nothing_longest_goes_first(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, _):
        clients = [await asyncio.open_unix_connection(panel.path) for _ in range(CLIENTS_MAX)]
        for reader, writer in [*clients, clients[0]]:  # the first speaks again
            writer.write(STATUS)
            assert json.loads(await asyncio.wait_for(reader.readline(), 5.0))["accepted"]
        assert (await asyncio.to_thread(ask_panel, tmp_path, STOP))["accepted"]
        assert await asyncio.wait_for(clients[1][0].read(), 5.0) == b""
        clients[0][1].write(STATUS)
        assert json.loads(await asyncio.wait_for(clients[0][0].readline(), 5.0))["accepted"]
        for _, writer in clients:
            writer.close()


async def test_whoever_has_just_come_is_heard_before_it_has_to_go(tmp_path: Path) -> None:
    """A press takes its time between coming and speaking, on a busy machine."""
    async with panel_on(tmp_path) as (panel, buttons):
        slow_reader, slow = await asyncio.open_unix_connection(panel.path)
        others = [await asyncio.open_unix_connection(panel.path) for _ in range(2 * CLIENTS_MAX)]
        await asyncio.sleep(0.3)  # slower than any client of ours, and within its second
        slow.write(json.dumps(STOP).encode() + b"\n")
        assert json.loads(await asyncio.wait_for(slow_reader.readline(), 5.0))["accepted"]
        assert [press for press, _, _ in buttons.pressed] == [Press.STOP_BUTTON]
        for _, each in [*others, (slow_reader, slow)]:
            each.close()


async def test_those_who_never_stop_talking_make_room_too(tmp_path: Path) -> None:
    """A place is taken between two lines where nobody is silent for as long as a newcomer waits."""
    over = asyncio.Event()

    async def talk(path: Path) -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                while not over.is_set():
                    writer.write(STATUS * 30)
                    await writer.drain()
                    if not await reader.read(64 * 1024):
                        break
            except ConnectionError:  # it was put out: it comes again
                continue
            finally:
                writer.close()

    async with panel_on(tmp_path) as (panel, buttons), asyncio.TaskGroup() as talking:
        for _ in range(CLIENTS_MAX):
            talking.create_task(talk(panel.path))
        for _ in range(3):
            assert (await asyncio.to_thread(ask_panel, tmp_path, STOP))["accepted"]
        over.set()
        assert len(buttons.pressed) == 3


async def test_nobody_else_may_connect_from_the_sockets_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode is that of its birth: what comes later is too late for whoever was quicker."""
    modes: list[int] = []
    listen = socket.socket.listen

    def looked_at(listening: socket.socket, *backlog: int) -> None:
        modes.append(stat.S_IMODE(Path(listening.getsockname()).stat().st_mode))
        listen(listening, *backlog)

    monkeypatch.setattr(socket.socket, "listen", looked_at)
    before = os.umask(0)
    try:
        async with panel_on(tmp_path):
            assert modes == [0o600]
    finally:
        os.umask(before)


async def test_a_panel_that_is_closed_before_it_served_ends_quietly(tmp_path: Path) -> None:
    """An agent that is ended at once."""
    async with panel_on(tmp_path) as (panel, _):
        assert panel.path.is_socket()
    assert not panel.path.exists()
