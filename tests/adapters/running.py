"""A fleet service that runs: its supervisor's process, its control socket, and devices that are live."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.contract.messages import Settings
from fleet.adapters.control.client import FleetUnreachable, ask
from fleet.mqtt import NoConnection
from tests.adapters.clinic import Clinic, WireDevice, eventually
from tests.forked import Forked, forked

MAIN = """
import logging, sys
from pathlib import Path
from fleet.settings import load_settings
from fleet.supervisor import supervise

logging.basicConfig(level=logging.INFO, filename=sys.argv[2] + ".log")
ports = {"broker_port": int(sys.argv[3]), "http_port": int(sys.argv[4])}
sys.exit(supervise(load_settings(Path(sys.argv[1]), Path(sys.argv[2]), **ports)))
"""
PLAN = {
    "modality": "nmes",
    "body_site": "thigh",
    "electrode_area_cm2": 80.0,
    "frequency_hz": 50.0,
    "pulse_width_us": 300.0,
    "setting_ma_max": 60.0,
    "duration_s": 1200.0,
    "on_s": 6.0,
    "off_s": 12.0,
    "ramp_up_s": 1.0,
    "ramp_down_s": 1.0,
}


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Fleet:
    """A running fleet service, as people and the kernel see it."""

    clinic: Clinic
    process: Forked

    async def ask(self, **request: Any) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self.clinic.data_dir / "control.sock", request)

    @property
    def worker(self) -> int:
        """The pid of the supervisor's child; 0 at a moment without one."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else 0

    async def ended(self, within_s: float) -> int | None:
        """Its exit status, once it has ended; None: it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self.process.wait, within_s)
        return self.process.poll()

    def log(self) -> str:
        return Path(f"{self.clinic.data_dir}.log").read_text()

    async def session(self, device: WireDevice) -> str:
        """Have a session authorised, accepted and running on `device`, which is live."""
        answer = await self.ask(**self.request(device.name))
        assert answer["ok"], answer
        await device.accept()
        return str(answer["session_id"])

    def request(self, device: str, **changed: Any) -> dict[str, Any]:
        screening = {"rule_set": "ems-1", "at_wall_s": time.time() - 60.0, "findings": []}
        asked = {"client": f"client-{device}", "device": device, "room": "room-1", "operator": "anna"}
        return {"op": "session_request", **asked, "plan": PLAN, "screening": screening, **changed}

    async def answers(self) -> None:
        """Wait until people are answered."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(FleetUnreachable):
                    if (await self.ask(op="status"))["connected"]:
                        return
                await asyncio.sleep(0.02)  # polls another process


@asynccontextmanager
async def fleet_started(clinic: Clinic, bug: str = "") -> AsyncIterator[Fleet]:
    """A fleet service from its first moment, with a `bug` put into it; ended in order."""
    where = [str(clinic.site_dir), str(clinic.data_dir), str(clinic.mosquitto.port), str(clinic.http_port)]
    fleet = Fleet(clinic, forked(bug + MAIN, *where))
    try:
        yield fleet
        fleet.process.terminate()
        assert await fleet.ended(within_s=15) is not None, f"it was asked to end, and runs on: {fleet.log()}"
    finally:
        fleet.process.kill()


@asynccontextmanager
async def fleet_running(clinic: Clinic) -> AsyncIterator[Fleet]:
    """A fleet service that answers people and devices."""
    async with fleet_started(clinic) as fleet:
        await fleet.answers()
        yield fleet


@asynccontextmanager
async def live(clinic: Clinic, name: str) -> AsyncIterator[WireDevice]:
    """A device that is connected, born and sends samples."""
    device = clinic.device(name)
    await device.connect()
    device.say(device.birth())
    samples = asyncio.ensure_future(device.live())
    try:
        await eventually(lambda: device.messages(Settings))
        await _heard_with_its_settings(clinic, name)
        yield device
    finally:
        samples.cancel()
        with contextlib.suppress(asyncio.CancelledError, NoConnection):  # a killed broker ended its samples
            await samples
        await device.connection.close()


async def _heard_with_its_settings(clinic: Clinic, name: str) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(FleetUnreachable):
                rows = (await asyncio.to_thread(ask, clinic.data_dir / "control.sock", {"op": "devices"}))["devices"]
                if any(row["device"] == name and row["has_its_settings"] for row in rows):
                    return
            await asyncio.sleep(0.02)  # polls another process
