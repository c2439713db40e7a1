"""Many agents in several processes: one interpreter uses one core, and a hundred live sessions take half of one.

Each process is `stimfleet simulate --no-day` with its share of the devices; people live in the process that starts it.
"""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from demo.papers import CannotSimulate, some
from demo.processes import ENDS_WITHIN_S, Process

READY: Final = "simulate ready"
READY_WITHIN_S: Final = 120.0
LOOKS_S: Final = 0.1
SAID_LAST: Final = 2  # lines: what the agents cost, and how late they were


def shares(devices: tuple[str, ...], processes: int) -> tuple[tuple[str, ...], ...]:
    """The devices of each process: as many to each as to any other, or one more.

    >>> shares(("a", "b", "c", "d", "e"), 2)
    (('a', 'b', 'c'), ('d', 'e'))
    """
    count = min(processes, len(devices))
    return tuple(devices[-(-n * len(devices) // count) : -(-(n + 1) * len(devices) // count)] for n in range(count))


async def run_side_by_side(
    given: argparse.Namespace, devices: tuple[str, ...], live: Callable[[], Awaitable[None]], say: Callable[[str], None]
) -> None:
    """Start them, `live` once all are ready, end them, and say what each said last.

    Raises:
        CannotSimulate: one of them does not come up, or has ended by itself.
    """
    processes = [_process(given, number, share) for number, share in enumerate(shares(devices, given.processes), 1)]
    try:
        for process in processes:
            process.start()
        await _all_ready(processes)
        await live()
        if dead := [process for process in processes if not process.alive]:
            raise CannotSimulate(f"{dead[0].name} has ended: {dead[0].last_words()}")
    finally:
        for process in processes:
            process.send(signal.SIGTERM)  # all at once; each takes a moment to say goodbye
        statuses = [await asyncio.to_thread(process.wait, ENDS_WITHIN_S) for process in processes]
        for process, status in zip(processes, statuses, strict=True):
            if status is None:
                process.kill()
    for process, status in zip(processes, statuses, strict=True):
        if status != 0:
            raise CannotSimulate(f"{process.name} did not end well ({status}): {process.last_words()}")
        for line in process.log.read_text(encoding="utf-8").splitlines()[-SAID_LAST:]:
            say(f"{process.name}: {line}")


def _process(given: argparse.Namespace, number: int, devices: tuple[str, ...]) -> Process:
    folders = {"site": given.site_dir, "ca": given.ca_dir, "papers": given.papers_dir, "data": given.data_dir}
    folders |= {"bench": given.bench_dir, "fleet": given.fleet_dir}
    where = [f"--{name}-dir={folder}" for name, folder in folders.items()]
    where += [] if given.trace_dir is None else [f"--trace-dir={given.trace_dir}"]
    broker = {"host": given.broker_host, "port": given.broker_port}
    where += [f"--broker-{name}={value}" for name, value in broker.items() if value is not None]
    who = [f"--device={device}" for device in devices]
    log: Path = given.data_dir / f"simulate-{number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    command = ["simulate", "--no-day", f"--seed={given.seed}", *where, *who]
    return Process(f"process {number}, {some(devices)}", command, log)


async def _all_ready(processes: list[Process]) -> None:
    async def ready(process: Process) -> None:
        while not any(line.startswith(READY) for line in process.log.read_text(encoding="utf-8").splitlines()):
            if not process.alive:
                raise CannotSimulate(f"{process.name} does not come up: {process.last_words()}")
            await asyncio.sleep(LOOKS_S)  # another process: its log can only be looked at

    try:
        async with asyncio.timeout(READY_WITHIN_S):
            for process in processes:
                await ready(process)
    except TimeoutError:
        raise CannotSimulate(f"Not every process is up within {READY_WITHIN_S:.0f} s: see their logs") from None
