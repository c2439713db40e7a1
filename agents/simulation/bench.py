"""The bench: simulated stimulators as a process of their own, each behind its Unix socket, in real time.

An agent that is killed or stopped leaves them running on their own watchdogs, as it would leave hardware. Many agents
in one process (`agents.crowd`) have their stimulators on a bench in that process: they are driven there, and the
sockets are for faults and the truth.
"""

import asyncio
import contextlib
import dataclasses
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.drivers import bench_lines
from agents.simulation.faults import BadFault, Fault, FaultKind, fault_from
from agents.simulation.stimulator import SimulatedStimulator
from agents.simulation.trace import Trace
from agents.simulation.world import Cable
from agents.socket_path import overlong

_log = logging.getLogger(__name__)
_STEP_S: Final = 0.05  # how old the trace on disk may be; what happened meanwhile is caught up exactly
_SOCKET_BACKLOG: Final = 8
MODEL: Final = "bench-ems-2"


@dataclass(frozen=True, slots=True)
class OnBench:
    """One stimulator and what it says that it is."""

    device: str
    serial: str
    model: str = MODEL


@dataclass(frozen=True, slots=True)
class Bench:
    """Which stimulators stand on the bench, and where. `trace_dir` gets DEVICE.csv, the true output.

    With `broker` (host and port) each has a cable to it that `link_cut` cuts: DEVICE.port says on which port of
    127.0.0.1 the agent finds it. `cabled` are those that get one; None: all.
    """

    folder: Path
    devices: tuple[OnBench, ...]
    seed: int = 0
    trace_dir: Path | None = None
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    broker: tuple[str, int] | None = None
    cabled: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A stimulator that is switched on. Whoever touches it holds the lock: it may be driven in another thread."""

    stimulator: SimulatedStimulator
    lock: threading.Lock = field(default_factory=threading.Lock)


def socket_of(folder: Path, device: str) -> Path:
    return folder / f"{device}.sock"


async def run_bench(bench: Bench, on_ready: Callable[[], None], clock: Callable[[], float]) -> None:
    """Run until SIGTERM or SIGINT; `clock` is boot time. Calls `on_ready` once every socket listens.

    Raises:
        BadFault: faults for a device that does not stand on the bench.
        ValueError: a socket's path is too long.
        OSError: a socket or trace cannot be made.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_bench(bench, clock) as standing:
        on_ready()
        await let_time_pass(standing.values(), clock, _STEP_S, stop)


@contextlib.asynccontextmanager
async def open_bench(
    bench: Bench, clock: Callable[[], float], *, driven: bool = False
) -> AsyncIterator[dict[str, Standing]]:
    """Switch everything on, by device. `driven`: the host is in this process, others are refused. Raises as above."""
    if strangers := set(bench.faults) - {each.device for each in bench.devices}:
        raise BadFault(f"faults for devices that are not on the bench: {', '.join(sorted(strangers))}")
    for each in bench.devices:
        if (why := overlong(socket_of(bench.folder, each.device))) is not None:
            raise ValueError(why)
    bench.folder.mkdir(parents=True, exist_ok=True)
    switched_on = {each.device: Standing(_switch_on(bench, each, clock())) for each in bench.devices}
    async with contextlib.AsyncExitStack() as stack:
        for device, standing in switched_on.items():
            stack.callback(standing.stimulator.trace.close)
            path = socket_of(bench.folder, device)
            path.unlink(missing_ok=True)
            host = _Host(standing, clock, driven)
            server = await asyncio.start_unix_server(
                host.serve, path, limit=bench_lines.LINE_BYTES_MAX, backlog=_SOCKET_BACKLOG
            )
            path.chmod(0o600)
            stack.callback(server.close)
            if bench.broker is not None and (bench.cabled is None or device in bench.cabled):
                stack.callback((await _lay_cable(bench, device, standing, clock)).close)
        yield switched_on


def _switch_on(bench: Bench, standing: OnBench, now_s: float) -> SimulatedStimulator:
    if bench.trace_dir is not None:
        bench.trace_dir.mkdir(parents=True, exist_ok=True)
    trace = Trace(None if bench.trace_dir is None else bench.trace_dir / f"{standing.device}.csv")
    return SimulatedStimulator(
        standing.serial,
        standing.model,
        start_s=now_s,
        seed=bench.seed,
        faults=bench.faults.get(standing.device, ()),
        trace=trace,
    )


async def _lay_cable(bench: Bench, device: str, standing: Standing, clock: Callable[[], float]) -> asyncio.Server:
    assert bench.broker is not None
    host, port = bench.broker
    stimulator = standing.stimulator  # its faults are replaced as a whole: looking at them needs no lock
    server, own_port = await Cable(host, port, lambda: stimulator.suffers(FaultKind.LINK_CUT, clock())).open()
    (bench.folder / f"{device}.port").write_text(f"{own_port}\n", encoding="ascii")
    return server


async def let_time_pass(
    standing: Iterable[Standing], clock: Callable[[], float], step_s: float, stop: asyncio.Event
) -> None:
    """Until `stop`. However seldom, what happened in the meantime is what would have happened."""
    while not stop.is_set():
        for each in standing:
            with each.lock:
                each.stimulator.advance(clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(step_s):
                await stop.wait()


class _Silent(Exception):
    """The stimulator does not answer this one."""


@dataclass(slots=True)
class _Host:
    """Answers one stimulator's connections. Like a serial port it has one host at a time; all may do the rest."""

    standing: Standing
    clock: Callable[[], float]
    driven: bool  # by a host in this process
    _served: asyncio.StreamWriter | None = None  # the connection whose host drives

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while raw := await reader.readline():
                with contextlib.suppress(_Silent):
                    writer.write(self._answer(raw, writer))
                    await writer.drain()
        except (ConnectionError, ValueError) as error:  # ValueError: the reader's, for a line over its limit
            _log.info("a connection to %s ended: %s", self.standing.stimulator.serial, error)
        finally:
            if self._served is writer:
                self._served = None
            writer.close()

    def _answer(self, raw: bytes, writer: asyncio.StreamWriter) -> bytes:
        try:
            said = bench_lines.parsed(raw)
            with self.standing.lock:
                return bench_lines.line(**self._do(said, self.standing.stimulator, writer))
        except (bench_lines.BadLine, BadFault) as error:
            return bench_lines.line(error=str(error))

    def _do(
        self, said: Mapping[str, Any], stimulator: SimulatedStimulator, writer: asyncio.StreamWriter
    ) -> dict[str, object]:
        match said.get("do"):
            case "exchange":
                drive = bench_lines.drive_from(said.get("drive"))
                self._serve_alone(writer)
                self._demand_answer(stimulator)
                return {"reading": bench_lines.flat(stimulator.exchange(drive, self.clock()))}
            case "self_test":
                self._serve_alone(writer)
                self._demand_answer(stimulator)
                return {"failed": stimulator.self_test(self.clock())}
            case "identify":
                return {"identity": dataclasses.asdict(stimulator.identify())}
            case "truth":
                return self._truth(stimulator)
            case "fault":
                fault, now_s = fault_from(said.get("fault")), self.clock()
                stimulator.advance(now_s)
                stimulator.suffer(fault)
                return {"done": True, "at_s": now_s}
            case "heal":
                stimulator.heal(fault_from({"kind": said.get("kind")}).kind)
                return {"done": True}
            case unknown:
                raise bench_lines.BadLine(f"cannot do {unknown!r:.40}")

    def _serve_alone(self, writer: asyncio.StreamWriter) -> None:
        """Raises: BadLine: another host drives it."""
        taken = self._served is not None and self._served is not writer and not self._served.is_closing()
        if self.driven or taken:
            raise bench_lines.BadLine("in use by another host")
        self._served = writer

    def _truth(self, stimulator: SimulatedStimulator) -> dict[str, object]:
        now_s = self.clock()
        stimulator.advance(now_s)
        zero_since_s = stimulator.trace.zero_since()
        return {
            "at_s": now_s,
            "true_ma": stimulator.trace.at(now_s),
            "zero_since_s": None if zero_since_s == float("-inf") else zero_since_s,
            "charge_uc": stimulator.charge_uc,
        }

    def _demand_answer(self, stimulator: SimulatedStimulator) -> None:
        if not stimulator.answers(self.clock()):
            raise _Silent(FaultKind.DRIVER_SILENT)
