"""Real processes for the agents' tests: the bench with its stimulators, and the agent that a test may kill."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.commandline import ask_panel
from agents.drivers.bench import BenchStimulator
from agents.simulation.trace import Trace, read_trace
from demo.processes import Running, await_that
from tests.agents_shell.clinic import Clinic, boottime_s
from tests.forked import begin_forked

# The whole command line has parts that these tests have no need of.
_COMMAND = """
import argparse, sys
from agents.commandline import add_commands
from broker.collecting import collecting_seldom
parser = argparse.ArgumentParser()
add_commands(parser.add_subparsers(required=True))
arguments = parser.parse_args()
with collecting_seldom():
    sys.exit(arguments.run(arguments))
"""
READY_S = 15.0


class Process:
    """One of our commands, running. Its output goes to `log`."""

    def __init__(self, process: Running, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    async def started(cls, log: Path, *arguments: str) -> "Process":
        """Start it and wait until it says that it is ready."""
        return await asyncio.to_thread(cls._started, log, arguments)

    @classmethod
    def _started(cls, log: Path, arguments: tuple[str, ...]) -> "Process":
        log.touch()
        told_before = log.stat().st_size
        one = cls(begin_forked(arguments, log, nice=0, within=()), log)

        def ready() -> bool:
            assert one._process.poll() is None, f"{arguments[0]} is not ready: {one.said()}"
            return re.search(rb"\bready\b", log.read_bytes()[told_before:]) is not None

        await_that(f"{arguments[0]} is ready", ready, READY_S, one.said)
        return one

    def said(self) -> str:
        return self._log.read_text()

    def send(self, number: signal.Signals) -> float:
        """Send a signal; returns when."""
        at_s = boottime_s()
        self._process.send_signal(number)
        return at_s

    async def ended(self, within_s: float = 10.0) -> int:
        return await asyncio.to_thread(self._process.wait, within_s)

    async def end(self) -> int:
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            return await self.ended()
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            raise


async def run(*arguments: str) -> tuple[int, str]:
    """Run one of our commands to its end: its status, and what it said."""
    return await _run(arguments)


async def run_without_terminal(*arguments: str) -> tuple[int, str]:
    """As a service or a script runs it: nothing to type at."""
    return await _run(arguments, stdin=asyncio.subprocess.DEVNULL, start_new_session=True)


async def _run(arguments: tuple[str, ...], **how: Any) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _COMMAND, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        **how,
    )
    async with asyncio.timeout(READY_S):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@dataclass
class Room:
    """stim-01 on the bench, and its agent."""

    folder: Path
    clinic: Clinic
    agent: Process

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def truth(self) -> Trace:
        """The true output so far, as the stimulator itself wrote it down."""
        return read_trace(self.folder / "trace" / "stim-01.csv")

    async def press(self, do: str, **more: object) -> dict[str, Any]:
        return await asyncio.to_thread(ask_panel, self.data_dir, {"do": do, **more})

    async def ready(self) -> None:
        """Until zero has been measured: after a start that takes a pulse period of the slowest pattern."""
        async with asyncio.timeout(READY_S):
            while "idle: no session" not in (await self.press("status"))["words"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the state of another process: it can only be asked

    async def tell_bench(self, **said: object) -> dict[str, Any]:
        stimulator = BenchStimulator(self.folder / "bench" / "stim-01.sock", timeout_s=2.0)
        try:
            return await asyncio.to_thread(stimulator.tell, **said)
        finally:
            stimulator.close()

    async def start_agent(self) -> None:
        self.agent = await start_agent(self.folder, self.clinic)


async def start_agent(folder: Path, clinic: Clinic) -> Process:
    """The agent of stim-01, over the bench's cable to the broker."""
    return await Process.started(
        folder / "agent.log",
        "agent",
        *("--device-dir", str(clinic.device_dir("stim-01"))),
        *("--data-dir", str(folder / "data")),
        *("--stimulator", str(folder / "bench" / "stim-01.sock")),
        *("--broker-port", (folder / "bench" / "stim-01.port").read_text().strip()),
    )


@contextlib.asynccontextmanager
async def bench(
    folder: Path, faults: dict[str, Any] | None = None, clinic: Clinic | None = None
) -> AsyncIterator[Process]:
    arguments = ["stimulators", "--dir", str(folder / "bench"), "--device", "stim-01"]
    arguments += ["--trace-dir", str(folder / "trace")]
    if clinic is not None:
        arguments += ["--broker", f"{clinic.mosquitto.host}:{clinic.mosquitto.port}"]
    if faults is not None:
        (folder / "faults.json").write_text(json.dumps(faults))
        arguments += ["--faults", str(folder / "faults.json")]
    process = await Process.started(folder / "bench.log", *arguments)
    try:
        yield process
    finally:
        await process.end()


@contextlib.asynccontextmanager
async def room(folder: Path, clinic: Clinic) -> AsyncIterator[Room]:
    """A room with a running stimulator and agent; both are ended afterwards."""
    async with bench(folder, clinic=clinic):
        one = Room(folder, clinic, await start_agent(folder, clinic))
        try:
            yield one
        finally:
            await one.agent.end()
