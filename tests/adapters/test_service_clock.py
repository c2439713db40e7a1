"""A running service whose wall clock steps an hour ahead, over a kill, until a person accepts it (H06)."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from broker.contract.messages import Lease
from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import Fleet, fleet_started, live
from tests.adapters.test_service_dose import types

HOUR_S = 3600.0
# The host's wall clock is ahead by what a file says.
STEPPING = """
import sys, time
from pathlib import Path
import fleet.service

step = Path(sys.argv[2] + ".step")
fleet.service.walltime_s = lambda: time.time() + (float(step.read_text()) if step.exists() else 0.0)
"""


def step(clinic: Clinic, ahead_s: float) -> None:
    new = Path(f"{clinic.data_dir}.new")
    new.write_text(str(ahead_s))
    new.rename(f"{clinic.data_dir}.step")


async def doubts(fleet: Fleet) -> None:
    async with asyncio.timeout(10):
        while not (await fleet.ask(op="clock"))["in_doubt"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # polls another process


async def refused_for(fleet: Fleet, device: str) -> set[str]:
    answer = await fleet.ask(**fleet.request(device))
    return {refusal["rule"] for refusal in answer["refusals"]}


def newest_wall_s(clinic: Clinic) -> float:
    with closing(sqlite3.connect(clinic.data_dir / "journal.db")) as journal:
        (wall_s,) = journal.execute("SELECT max(json_extract(CAST(body AS TEXT), '$.wall_s')) FROM event").fetchone()
    return float(wall_s)


async def test_h06_an_hour_s_step_of_the_host_s_clock_is_told_outlives_a_kill_and_is_accepted(clinic: Clinic) -> None:
    async with fleet_started(clinic, STEPPING) as fleet, live(clinic, "stim-01") as device:
        await fleet.answers()
        assert "The host's clock is believed." in await types(fleet, "clock")
        assert "there is nothing to accept" in await types(fleet, "clock", "accept", "--reason=as my phone says")
        await fleet.session(device)
        step(clinic, HOUR_S)
        await doubts(fleet)
        assert "clock_in_doubt" in await refused_for(fleet, "stim-02")
        assert "clock           it STEPPED 1.0 h ahead: nothing is authorised" in await types(fleet, "status")
        assert "MEDIUM Site: the fleet host's clock has stepped ahead" in await types(fleet, "alarms")
        assert "The host's clock is 1.0 h ahead of where its boot time has it." in await types(fleet, "clock")
        leases = len(device.messages(Lease))
        await eventually(lambda: len(device.messages(Lease)) > leases)

        worker = fleet.worker
        os.kill(worker, signal.SIGKILL)
        await eventually(lambda: fleet.worker not in (0, worker))
        await fleet.answers()
        await doubts(fleet)
        assert newest_wall_s(clinic) < time.time() + 60.0, "nothing of the future is in the journal"

        assert "Say how you know" in await types(fleet, "clock", "accept")
        assert "belongs to `stimfleet clock accept`" in await types(fleet, "clock", "--reason=as my phone says")
        assert "has at most 280 characters" in await types(fleet, "clock", "accept", f"--reason={'x' * 281}")
        assert "Sessions are authorised again." in await types(fleet, "clock", "accept", "--reason=as my phone says")
        assert (await fleet.ask(op="status"))["clock_step_s"] is None
        assert "clock_in_doubt" not in await refused_for(fleet, "stim-02")
        assert newest_wall_s(clinic) > time.time() + HOUR_S - 60.0
        step(clinic, HOUR_S + 300.0)
        await doubts(fleet)
        step(clinic, HOUR_S)
        assert "is believed again after a minute" in await types(fleet, "clock")
