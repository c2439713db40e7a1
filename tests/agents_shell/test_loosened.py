"""H20 at the device: what a fleet loosens beyond the envelope and the model is nothing, however well it is signed."""

from dataclasses import replace
from pathlib import Path

from broker.contract.limits import ENVELOPE, LIMIT_NAMES, Layer, Limit, Limits
from broker.contract.messages import Ack, AckStatus, Birth, CommandRefusal, Phase, Settings, Telemetry
from tests.agents_shell.clinic import PLAN, Clinic, ScriptedFleet, authorisation, boottime_s, scripted_fleet
from tests.agents_shell.devices import until
from tests.agents_shell.processes import room


def loosened() -> Limits:
    """Every limit ten times as loose, in the innermost layer's name."""
    return Limits(
        **{
            name: Limit(getattr(ENVELOPE, name).value * (0.1 if name.endswith("_min") else 10.0), Layer.SETTINGS)
            for name in LIMIT_NAMES
        }
    )


async def roll_out(fleet: ScriptedFleet, version: int) -> None:
    await fleet.say("stim-01", Settings(version, (), "room-1", 1.0, 0.2, loosened(), service_hold=False))
    await fleet.hear(Birth, lambda birth: birth.settings_version == version)


async def outcome(fleet: ScriptedFleet, command_id: str) -> Ack:
    return await fleet.hear(Ack, lambda ack: ack.command_id == command_id and ack.status is not AckStatus.RECEIVED)


async def test_loosened_settings_are_taken_and_loosen_nothing(clinic: Clinic, tmp_path: Path) -> None:
    async with scripted_fleet(clinic) as fleet, room(tmp_path, clinic) as one:
        fleet.leases = True
        await roll_out(fleet, 1)
        await fleet.hear(Telemetry, lambda sample: sample.settings_version == 1 and sample.phase is Phase.IDLE)

        # 125 mA: inside what the fleet allows and inside the envelope's 130, beyond the model's 120.
        for plan in (
            replace(PLAN, setting_ma_max=125.0),
            replace(PLAN, pulse_width_us=600.0),
            replace(PLAN, duration_s=1_801.0),
            replace(PLAN, setting_ma_max=100.0, electrode_area_cm2=5.0),  # 3.5 mA/cm2
        ):
            wanted = replace(authorisation(fleet.of(Telemetry)[-1], plan), limits=loosened())
            await fleet.say("stim-01", wanted)
            ack = await outcome(fleet, wanted.command_id)
            assert (ack.status, ack.reason) == (AckStatus.REFUSED, CommandRefusal.BEYOND_LIMITS), plan

        session = replace(authorisation(fleet.of(Telemetry)[-1]), limits=loosened())
        await fleet.say("stim-01", session)
        assert (await outcome(fleet, session.command_id)).status is AckStatus.DONE
        assert (await one.press("arm"))["accepted"]
        await fleet.hear(Telemetry, lambda sample: sample.phase is Phase.ARMED and (sample.lease_margin_s or -1.0) > 0)
        assert (await one.press("start"))["accepted"]
        await roll_out(fleet, 2)  # while it runs, too
        raised_s = boottime_s()
        assert "2 mA, the largest step here" in (await one.press("raise", step_ma=20.0))["words"]
        await fleet.hear_new(Telemetry, lambda sample: (sample.amplitude_ma or 0.0) > 1.8)
        # What is measured is noisy, and its peak was held: that the whole step flows says the stimulator alone.
        await until(lambda: one.truth().at(boottime_s()) > 1.8)
        await fleet.hear_new(Telemetry)
        assert 1.8 < one.truth().peak(raised_s, boottime_s()) <= 2.0
