"""A link with what stands around it in these tests: a real spool, a real broker, and ears that write down."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from agents.clocks import Clocks
from agents.connection import Endpoint
from agents.control import Snapshot
from agents.downlink import ToControl
from agents.drivers.port import Identity
from agents.link import Link
from agents.spool import Happened, Spool, Stamp, open_spool
from agents.steps import Sample
from broker.contract import messages
from broker.contract.causes import ResetBy
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import (
    CommandRefused,
    Event,
    EventKind,
    Lease,
    Phase,
    Scope,
    Stop,
    Telemetry,
)
from tests.agents_shell.clinic import (
    SITE,
    Clinic,
    ScriptedFleet,
    boottime_s,
    fresh_id,
    scripted_fleet,
    wall,
)

CLOCKS = Clocks(boottime_s, time.time)
SNAPSHOT = Snapshot(
    identity=Identity("stim-01", "bench-ems-2", "2.4.1", GENERIC_PROFILE),
    boot_n=3,
    seq=1000,
    fleet_n=0,
    phase=Phase.IDLE,
    session_id=None,
    latched=None,
    reset_by=ResetBy.NOBODY,
    holds=messages.Holds.of(),
    conditions=(),
    settings=None,
    setting_ma=0.0,
    elapsed_s=0.0,
    lease_margin_s=None,
    lease_margin_least_s=None,
    leases_refused=0,
    reading=None,
    stepped_s=0.0,
    overruns=0,
    shed=0,
)


@dataclass
class Ears:
    """Stands where the control loop stands, and writes down what it is told, and when."""

    heard: list[tuple[ToControl, bool]] = field(default_factory=list)
    stops: list[tuple[Scope, Stop | None, str, bool]] = field(default_factory=list)
    stopped_at_s: list[float] = field(default_factory=list)

    def hear(self, message: ToControl, retained: bool = False) -> bool:
        self.heard.append((message, retained))
        return True

    def connected(self) -> None:
        """A control loop would say how it is."""

    def hear_stop(self, scope: Scope, stop: Stop | None, hold_id: str, retained: bool = False) -> None:
        self.stopped_at_s.append(time.perf_counter())
        self.stops.append((scope, stop, hold_id, retained))


@dataclass
class Device:
    """A link with its spool, and what a test may change about the device."""

    link: Link
    spool: Spool
    ears: Ears
    refused: list[CommandRefused]
    running: asyncio.Task[None]
    snapshot: list[Snapshot]

    def happen(self, kind: EventKind = EventKind.SESSION_PAUSED) -> Event:
        (event,) = self.spool.append(Happened(Stamp(3, wall(), boottime_s()), fresh_id(), kind))
        self.link.say_events()
        return event

    def sample(self, seq: int, *, ago_s: float = 0.0) -> None:
        self.link.say_sample(Sample(boottime_s() - ago_s, telemetry(seq)))


def telemetry(seq: int) -> Telemetry:
    return Telemetry(
        boot_n=3,
        seq=seq,
        at="1970-01-01T00:00:00.000Z",
        phase=Phase.IDLE,
        session_id=None,
        elapsed_s=0.0,
        setting_ma=0.0,
        amplitude_ma=0.1,
        pulse_width_us=0.0,
        frequency_hz=0.0,
        impedance_ohm=None,
        battery_pct=90.0,
        temperature_c=25.0,
        lease_margin_s=None,
        settings_version=0,
        late=False,
    )


@contextlib.asynccontextmanager
async def device(clinic: Clinic, folder: Path, name: str = "stim-01") -> AsyncIterator[Device]:
    keys = clinic.keys(name)
    tls = clinic.tls(clinic.device_dir(name) / "device.key")
    endpoint = Endpoint(SITE, name, keys, clinic.mosquitto.host, clinic.mosquitto.port, tls)
    spool, _ = open_spool(folder / f"{name}.db", fresh_id, lambda: Stamp(3, wall(), boottime_s()))
    ears, refused, snapshot = Ears(), list[CommandRefused](), [SNAPSHOT]
    with ThreadPoolExecutor(1) as disk:
        link = Link(endpoint, ears, lambda: snapshot[0], spool, disk, CLOCKS, refused.append)
        running = asyncio.create_task(link.run())
        one = Device(link, spool, ears, refused, running, snapshot)
        try:
            yield one
        finally:
            link.end()
            async with asyncio.timeout(10.0):
                await one.running
    spool.close()


@contextlib.asynccontextmanager
async def connected(clinic: Clinic, folder: Path) -> AsyncIterator[tuple[Device, ScriptedFleet]]:
    async with scripted_fleet(clinic) as fleet, device(clinic, folder) as one:
        await until(lambda: one.link.connected)
        yield one, fleet


async def until(condition: object, within_s: float = 8.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # many conditions, some of another thread
            await asyncio.sleep(0.01)


def lease(seq: int) -> Lease:
    return Lease(1, 3, "a" * 32, seq, 5000)
