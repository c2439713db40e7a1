"""`stimfleet simulate`: many agents in one process on a provisioned site, and people who treat with them."""

import argparse
import asyncio
import contextlib
import logging
import resource
import secrets
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from agents.agent import AgentRefused
from agents.clocks import Clocks
from agents.crowd import Crowd, run_crowd
from agents.rounds import Lateness
from agents.simulation.bench import Bench
from agents.socket_path import PANEL_SOCKET
from broker.mosquitto.running import reload_broker
from broker.pki.folder import ProvisioningRefused
from broker.pki.registry import Registry
from demo import papers
from demo.asking import Unanswered, ask
from demo.day import Day, a_day
from demo.papers import CannotSimulate
from demo.people import FrontDesk, House, Therapist
from demo.script import BadScript, day_from, text_of
from demo.side_by_side import READY, run_side_by_side

DAY_S: Final = 8 * 3600.0  # where nothing is said, the day is as long as a clinic's
AGENTS_A_PROCESS: Final = 100
UP_WITHIN_S: Final = 60.0


_REFUSALS: Final = (AgentRefused, BadScript, CannotSimulate, ProvisioningRefused, OSError, ValueError)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        simulation = _prepared(arguments)
        if arguments.print_day:
            sys.stdout.write(text_of(simulation.day))
            return 0
        asyncio.run(simulation.run())
    except _REFUSALS as refused:
        return _refuse(refused)
    except ExceptionGroup as group:
        refusals, bugs = group.split(_REFUSALS)
        if bugs is not None or refusals is None:
            raise
        return _refuse(_first(refusals))
    return 0


def _refuse(refused: Exception) -> int:
    text = str(refused).rstrip(".")
    sys.stderr.write(f"{text}.\n")
    return 1


def _first(group: ExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _prepared(arguments: argparse.Namespace) -> "_Simulation":
    """Raises: what `run` tells."""
    devices = tuple(dict.fromkeys(arguments.device or ())) or papers.names(arguments.agents)
    arguments.processes = arguments.processes or -(-len(devices) // AGENTS_A_PROCESS)
    rooms = papers.rooms_of(devices, arguments.rooms)
    seconds = DAY_S if arguments.seconds is None else arguments.seconds
    day = day_from(arguments.script) if arguments.script else a_day(devices, seconds, arguments.seed)
    if strangers := day.devices - set(devices):
        raise CannotSimulate(f"The script speaks of {', '.join(sorted(strangers))}: not among the simulated devices")
    simulation = _Simulation(arguments, devices, Day(visits=()) if arguments.no_day else day)
    if not arguments.print_day:
        simulation.provision(rooms)
    return simulation


@dataclass(slots=True)
class _Simulation:
    arguments: argparse.Namespace
    devices: tuple[str, ...]
    day: Day
    registry: Registry | None = None
    operator: str = ""
    clocks: Clocks = field(default_factory=lambda: Clocks(_boottime_s, time.time))
    end: asyncio.Event = field(default_factory=asyncio.Event)

    def provision(self, rooms: dict[str, str]) -> None:
        given, now = self.arguments, datetime.now(UTC)
        began_s = _boottime_s()
        new, self.registry = papers.provision_missing(given.site_dir, given.ca_dir, given.papers_dir, rooms, now)
        if new:
            _say(f"Put on the list in {_boottime_s() - began_s:.1f} s: {papers.some(new)}.")
            reload_broker(given.site_dir, time.monotonic)
        if self.day.visits:
            self.operator = papers.operator_of(given.site_dir, given.ca_dir, now)

    async def run(self) -> None:
        """Until it is over or somebody ends it. Raises: what `run` tells."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.end.set)
        if self.arguments.processes > 1:
            await run_side_by_side(self.arguments, self.devices, self._live, _say)
        else:
            await self._run_here()

    async def _run_here(self) -> None:
        given, began_s = self.arguments, _boottime_s()
        assert self.registry is not None
        bench = Bench(given.bench_dir, papers.standing(self.registry, self.devices), given.seed, given.trace_dir)
        crowd = Crowd(bench, given.papers_dir, given.data_dir, given.broker_host, given.broker_port)
        ready, closed = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            agents = group.create_task(run_crowd(crowd, self.clocks, closed, ready.set), name="simulate: agents")
            agents.add_done_callback(lambda _: ready.set())  # refused: nobody waits for ever
            await ready.wait()
            if not agents.done():
                _say(f"{READY} after {_boottime_s() - began_s:.1f} s: {papers.some(self.devices)}")
                await self._live()
            closed.set()
        _say(_lateness_words(agents.result()))

    async def _live(self) -> None:
        fleet = self.arguments.fleet_dir / "control.sock"
        house = House(
            fleet,
            self.operator,
            _boottime_s,
            time.time,
            self._tell,
            asyncio.Event(),
        )
        if self.day.visits:
            await self._await_devices(house)
        used_s, began_s = _cpu_s(), _boottime_s()
        async with asyncio.TaskGroup() as people:
            people.create_task(self._close(house), name="simulate: closing time")
            self._employ(people, house, began_s)
        lived_s = _boottime_s() - began_s
        who = "people" if self.arguments.processes > 1 else f"{len(self.devices)} agents"
        _say(
            f"{who} for {lived_s:.0f} s: {_cpu_s() - used_s:.1f} s of CPU, "
            f"{1000.0 * (_cpu_s() - used_s) / lived_s / len(self.devices):.2f} ms a second for each device"
        )
        taken = Counter(press.button for press in house.presses if press.accepted)
        if taken:
            _say("People pressed: " + ", ".join(f"{button} {count}" for button, count in sorted(taken.items())))

    async def _close(self, house: House) -> None:
        """The house closes after its time, or when somebody ends it."""
        with contextlib.suppress(TimeoutError):  # closing time
            async with asyncio.timeout(self.arguments.seconds):
                await self.end.wait()
        house.closing.set()

    def _employ(self, people: asyncio.TaskGroup, house: House, began_s: float) -> None:
        """A therapist for each device that has visits: agents of the day's own, or of nobody's."""
        assert self.registry is not None
        run_id = None if self.arguments.script else secrets.token_hex(2)
        for device in sorted({visit.device for visit in self.day.visits}):
            panel = self.arguments.data_dir / device / PANEL_SOCKET
            therapist = Therapist(house, device, self.registry.devices[device].room, panel)
            # A made-up client of an earlier run of the same seed has had its session of the day.
            visits = [
                visit if run_id is None else replace(visit, client=f"{visit.client}-{run_id}")
                for visit in self.day.of(device)
            ]
            people.create_task(therapist.work(visits, began_s), name=f"simulate: therapist at {device}")
        if self.day.stops:
            people.create_task(FrontDesk(house).work(self.day.stops, began_s), name="simulate: front desk")

    async def _await_devices(self, house: House) -> None:
        """Until the fleet has heard every device since it is up. Raises: CannotSimulate: it does not."""
        began_s = _boottime_s()
        while not self.end.is_set():
            waited_s, missed = _boottime_s() - began_s, set(self.devices)
            try:
                rows = (await ask(house.fleet_socket, op="devices"))["devices"]
                missed -= {row["device"] for row in rows if row["has_its_settings"] and row["silent_s"] <= waited_s}
                why = f"it misses {', '.join(sorted(missed)[:5])}"
            except Unanswered as unanswered:
                why = f"the fleet: {unanswered}"
            if not missed:
                _say("The fleet sees every device: the day begins.")
                return
            if waited_s > UP_WITHIN_S:
                raise CannotSimulate(f"The fleet does not see every device within {UP_WITHIN_S:.0f} s: {why}")
            await house.pause(0.2)

    def _tell(self, words: str) -> None:
        if self.arguments.tell:
            _say(words)


def _boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _lateness_words(late: Lateness) -> str:
    if not late.ticks:
        return "No control tick."
    return (
        f"{late.ticks} control ticks, late by {late.percentile_ms(50.0)} ms (p50), {late.percentile_ms(99.0)} ms "
        f"(p99), {late.percentile_ms(99.9)} ms (p99.9), {late.worst_ms} ms (worst)"
    )


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
