"""What goes wrong around a stimulator rather than in it: the cable to the broker, and the wall clock."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agents.simulation.faults import Fault, FaultKind, strongest

_LOOK_S: Final = 0.02
_CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Cable:
    """Carries bytes between an agent and its broker, except while it is cut.

    Cut means silence, not an end: connections stay open, what was sent waits, new connections hang, as behind a
    switch that lost its power. TCP's own retransmission is not seen; what waited comes at once when the cut ends.
    """

    broker_host: str
    broker_port: int
    is_cut: Callable[[], bool]

    async def open(self) -> tuple[asyncio.Server, int]:
        """Listen on a free port of 127.0.0.1: the server, and the port."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return server, port

    async def _carry(self, agent_in: asyncio.StreamReader, agent_out: asyncio.StreamWriter) -> None:
        try:
            await self._wait_while_cut()
            broker_in, broker_out = await asyncio.open_connection(self.broker_host, self.broker_port)
        except OSError:
            agent_out.transport.abort()  # refused there, refused here
            return
        with contextlib.suppress(ConnectionError):
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry_one_way(agent_in, broker_out), name="cable: to the broker")
                ways.create_task(self._carry_one_way(broker_in, agent_out), name="cable: to the agent")

    async def _carry_one_way(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                await self._wait_while_cut()
                sink.write(chunk)
                await sink.drain()
        except ConnectionError:
            sink.transport.abort()  # a broken end breaks the other
        finally:
            sink.close()

    async def _wait_while_cut(self) -> None:
        while self.is_cut():  # noqa: ASYNC110  # a fault begins and ends by the clock
            await asyncio.sleep(_LOOK_S)


@dataclass(frozen=True, slots=True)
class SteppedClock:
    """A wall clock that is wrong by the size of whatever `clock_stepped` is present; ages count from `start_s`."""

    wall_s: Callable[[], float]
    boottime_s: Callable[[], float]
    start_s: float
    faults: tuple[Fault, ...]

    def __call__(self) -> float:
        step = strongest(self.faults, FaultKind.CLOCK_STEPPED, self.boottime_s() - self.start_s)
        return self.wall_s() + (step.size if step else 0.0)


def stepped(wall_s: Callable[[], float], boottime_s: Callable[[], float], faults: Iterable[Fault]) -> SteppedClock:
    """A wall clock for an agent, whose faults begin to count now."""
    return SteppedClock(wall_s, boottime_s, boottime_s(), tuple(faults))
