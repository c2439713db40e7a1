"""What goes wrong around the stimulator: the cable is cut, the wall clock is stepped."""

import asyncio
from contextlib import suppress

import pytest

from agents.simulation.faults import FaultKind, fault
from agents.simulation.world import Cable, SteppedClock, stepped


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(100):
        writer.write(chunk)
    writer.close()


async def test_a_cut_cable_is_silent_and_loses_nothing() -> None:
    cut = False
    broker = await asyncio.start_server(echo, "127.0.0.1", 0)
    cable, port = await Cable("127.0.0.1", broker.sockets[0].getsockname()[1], lambda: cut).open()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    cut = True
    writer.write(b"two")
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.readexactly(3)
            pytest.fail("the cable is cut")
    cut = False
    async with asyncio.timeout(2.0):
        assert await reader.readexactly(3) == b"two"
    writer.write_eof()
    async with asyncio.timeout(2.0):
        assert await reader.read() == b"", "an end at one side is an end at the other"
    writer.close()
    await writer.wait_closed()
    cable.close()
    broker.close()
    await asyncio.sleep(0.05)  # what still closes


async def test_a_cable_to_nobody_refuses() -> None:
    nobody = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = nobody.sockets[0].getsockname()[1]
    nobody.close()
    await nobody.wait_closed()
    cable, own_port = await Cable("127.0.0.1", port, lambda: False).open()
    reader, writer = await asyncio.open_connection("127.0.0.1", own_port)
    async with asyncio.timeout(2.0):
        assert await reader.read() == b"", "hung up at once"
    writer.close()
    await writer.wait_closed()
    cable.close()


def test_a_stepped_clock_is_wrong_while_the_fault_lasts() -> None:
    now_s = 500.0
    clock = stepped(
        lambda: 1000.0 + now_s, lambda: now_s, [fault(FaultKind.CLOCK_STEPPED, at_s=10.0, for_s=5.0, size=-3600.0)]
    )
    assert isinstance(clock, SteppedClock)
    shown = {}
    for age_s in (0.0, 9.75, 10.0, 14.75, 15.0):
        now_s = 500.0 + age_s
        shown[age_s] = clock() - 1000.0 - now_s
    assert shown == {0.0: 0.0, 9.75: 0.0, 10.0: -3600.0, 14.75: -3600.0, 15.0: 0.0}
