"""One agent as a process, against a real broker, and a stimulator that is a process of its own and knows the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broker.contract.messages import Authorisation, Event, EventKind, Phase, Telemetry
from tests.agents_shell.clinic import Clinic, ScriptedFleet, scripted_fleet
from tests.agents_shell.processes import Room, room


@asynccontextmanager
async def live_session(clinic: Clinic, folder: Path, setting_ma: float = 4.0) -> AsyncIterator[tuple[Room, ScriptedFleet, Authorisation]]:
    """A session that runs at `setting_ma`, raised step by step as a therapist does."""
    async with scripted_fleet(clinic) as fleet, room(folder, clinic) as one:
        session = await begin_session(one, fleet, setting_ma)
        yield one, fleet, session


async def begin_session(one: Room, fleet: ScriptedFleet, setting_ma: float = 4.0) -> Authorisation:
    fleet.leases = True
    session = await fleet.authorise()
    await fleet.hear(Telemetry, lambda sample: sample.phase is Phase.AUTHORISED)
    assert (await one.press("arm"))["accepted"]
    await fleet.hear(Telemetry, lambda sample: sample.phase is Phase.ARMED and (sample.lease_margin_s or -1.0) > 0.0)
    started = await one.press("start")
    assert started["accepted"], started
    set_ma = 0.0
    while set_ma < setting_ma:
        raised = await one.press("raise", step_ma=2.0)
        set_ma += 2.0 if raised["accepted"] else 0.0
        await asyncio.sleep(0.1)
    await fleet.hear_new(Telemetry, lambda sample: (sample.amplitude_ma or 0.0) > setting_ma - 1.0)
    return session


async def test_a_session_runs_and_a_pushed_stop_ends_at_measured_zero(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, session):
        print((await one.press("status"))["words"])
        stop = await fleet.stop()
        await asyncio.sleep(2)
        print((await one.press("status"))["words"])
        print([ (e.kind, e.cause) for e in fleet.of(Event)])
        print(one.agent_log())
        assert 0
