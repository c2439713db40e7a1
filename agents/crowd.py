"""Many agents in one process, each the real one: link, certificate, spool, latch, panel; stimulators are simulated.

    event loop: links, panels, the bench's sockets   one thread: every control loop   a thread each: latch and spool

Decided by measurement (docs/decisions/2026-11-25-clinic-day.md). What one agent dies of ends them all.
"""

import asyncio
import contextlib
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.agent import Agent, AgentRefused, alone
from agents.clocks import Clocks
from agents.counters import FILE_NAME as COUNTERS
from agents.drivers.in_process import InProcessStimulator
from agents.rounds import Lateness, Rounds
from agents.settings import Settings
from agents.simulation.bench import Bench, Standing, let_time_pass, open_bench, socket_of
from agents.socket_path import PANEL_SOCKET, overlong
from broker.wire.codec import warm_up

TIME_PASSES_S: Final = 0.25  # for stimulators whose control loop is dead or late; a living one moves its own
FILES_AN_AGENT: Final = 16


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who is in it, and where: `papers/DEVICE` is what was handed to a device, `data/DEVICE` is its own folder."""

    bench: Bench
    papers: Path
    data: Path
    broker_host: str | None = None
    broker_port: int | None = None

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(standing.device for standing in self.bench.devices)

    def settings(self, device: str) -> Settings:
        cable = self.bench.folder / f"{device}.port"
        is_cabled = self.bench.broker is not None and (self.bench.cabled is None or device in self.bench.cabled)
        return Settings(
            device_dir=self.papers / device,
            data_dir=self.data / device,
            stimulator=socket_of(self.bench.folder, device),
            broker_host="127.0.0.1" if is_cabled else self.broker_host,
            broker_port=int(cable.read_text(encoding="ascii")) if is_cabled else self.broker_port,
            counters=self.data / device / COUNTERS,
        )


async def run_crowd(crowd: Crowd, clocks: Clocks, end: asyncio.Event, on_ready: Callable[[], None]) -> Lateness:
    """Live until `end` is set. Calls `on_ready` once every agent is up; how late the control ticks were.

    Raises:
        AgentRefused: one of them cannot begin.
        BadFault, ValueError, OSError: the bench cannot be opened, or has not enough files.
        ExceptionGroup: one of them cannot go on.
    """
    for device in crowd.devices:
        if (why := overlong(crowd.data / device / PANEL_SOCKET)) is not None:
            raise AgentRefused(f"The panel of {device} cannot open: {why}.")
    _allow_files(FILES_AN_AGENT * len(crowd.devices))
    warm_up()
    rounds = Rounds(clocks.boottime_s)
    async with contextlib.AsyncExitStack() as stack:
        standing = await stack.enter_async_context(open_bench(crowd.bench, clocks.boottime_s, driven=True))
        agents = {}
        for device, stimulator in standing.items():
            stack.enter_context(alone(crowd.data / device))
            agents[device] = _agent(crowd, device, stimulator, clocks, rounds)
        try:
            await _live(agents, tuple(standing.values()), clocks, end, on_ready)
        except* AgentRefused as refused:
            raise refused.exceptions[0] from None
    return rounds.lateness


def _agent(crowd: Crowd, device: str, standing: Standing, clocks: Clocks, rounds: Rounds) -> Agent:
    driver = InProcessStimulator(standing.stimulator, clocks.boottime_s, standing.lock)
    return Agent(crowd.settings(device), clocks, stimulator=driver, round_=rounds, tell=lambda word: None)


async def _live(
    agents: dict[str, Agent],
    standing: tuple[Standing, ...],
    clocks: Clocks,
    end: asyncio.Event,
    on_ready: Callable[[], None],
) -> None:
    waited_for = set(agents)

    def ready(device: str) -> None:
        waited_for.discard(device)
        if not waited_for:
            on_ready()

    async with asyncio.TaskGroup() as crowd:
        time_passes = let_time_pass(standing, clocks.boottime_s, TIME_PASSES_S, end)
        crowd.create_task(time_passes, name="crowd: time passes")
        for device, agent in agents.items():
            life = agent.run(end, on_ready=lambda device=device: ready(device))  # type: ignore[misc]
            crowd.create_task(life, name=f"crowd: {device}")


def _allow_files(wanted: int) -> None:
    """As many open files as the account may have, where the usual number is too small.

    Raises:
        OSError: it may not have as many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{wanted} open files are needed, this account may have {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
