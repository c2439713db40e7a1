"""The service, its site and other instances: registries that change, starts that are refused, who leads."""

import asyncio

import pytest

from broker.contract.messages import Lease
from broker.pki.devices import strike_off
from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import boottime_s, fleet_running, fleet_started, live
from tests.adapters.test_connections import Instance


async def test_a_device_struck_off_is_without_leases_within_a_second(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as device:
        await fleet.session(device)
        strike_off(clinic.site_dir, "stim-01")
        struck_s = boottime_s()
        await asyncio.sleep(2.0)  # whatever comes in this time has to come in its first second
        assert device.leased_since(struck_s + 1.0) == []
        assert len(device.leased_since(struck_s - 1.0)) > 0


async def test_a_registry_that_cannot_be_used_changes_nothing(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as device:
        await fleet.session(device)
        (clinic.site_dir / "registry.json").write_text("{ half a regis")
        await eventually(lambda: "the registry stays as it was" in fleet.log())
        leases = len(device.messages(Lease))
        await eventually(lambda: len(device.messages(Lease)) > leases + 3)


UNLUCKY = """
from fleet import site

def load_registry(site_dir, asked=[]):
    asked.append(site_dir)
    if len(asked) == 2:
        raise OSError(5, "Input/output error")
    return right(site_dir)

right, site.load_registry = site.load_registry, load_registry
"""


async def test_a_registry_that_could_not_be_read_for_a_moment_is_adopted_all_the_same(clinic: Clinic) -> None:
    async with fleet_started(clinic, UNLUCKY) as fleet, live(clinic, "stim-01"):
        await fleet.answers()
        strike_off(clinic.site_dir, "stim-01")
        async with asyncio.timeout(5):
            while not (await fleet.ask(op="devices"))["devices"][0]["struck_off"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # polls another process
        assert fleet.log().count("the registry stays as it was") == 1


async def test_a_registry_that_changes_while_an_instance_waits_is_the_one_it_leads_by(clinic: Clinic) -> None:
    async with fleet_running(clinic) as first, fleet_started(clinic) as second:
        await eventually(lambda: "another fleet instance runs here: waiting" in first.log())
        strike_off(clinic.site_dir, "stim-01")
        first.process.terminate()
        assert await first.ended(10) == 0
        await second.answers()
        async with asyncio.timeout(5):
            while not (await second.ask(op="devices"))["devices"][0]["struck_off"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # polls another process


async def test_a_second_instance_waits_and_takes_over(clinic: Clinic) -> None:
    async with fleet_running(clinic) as first, fleet_started(clinic) as second:
        await eventually(lambda: "another fleet instance runs here: waiting" in first.log())
        assert (await first.ask(op="status"))["fleet_n"] == 1
        first.process.terminate()
        assert await first.ended(10) == 0
        await second.answers()
        assert (await second.ask(op="status"))["fleet_n"] == 2


async def test_whoever_is_taken_over_ends_and_is_not_started_again(clinic: Clinic) -> None:
    """A fleet restored on another machine, with the same certificates and a journal that is further on."""
    async with fleet_running(clinic) as first, Instance(clinic, 99).running() as other:
        assert await first.ended(20) == 75
        assert "fleet instance number 99 runs this site" in first.log()
        assert not other.done()


async def test_a_hold_that_the_broker_forgot_in_a_crash_meets_the_device_all_the_same(clinic: Clinic) -> None:
    """What was retained since the broker last wrote its store is gone; the journal has it."""
    async with fleet_running(clinic) as fleet:
        ordered = await fleet.ask(op="stop", device="stim-01", issued_by="anna")
        async with asyncio.timeout(5):
            while (await fleet.ask(op="status"))["outbox"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # polls another process
        clinic.mosquitto.kill()
        (clinic.mosquitto.log.with_name("store") / "mosquitto.db").unlink(missing_ok=True)
        clinic.mosquitto.start()
        async with live(clinic, "stim-01") as device:
            await eventually(device.stops)
            fields = device.stops()[0].fields
    assert fields is not None
    assert (fields.command_id, fields.hold) == (ordered["command_id"], True)


async def test_a_data_folder_whose_path_is_too_long_is_said_in_a_sentence(clinic: Clinic) -> None:
    clinic.data_folder = "d" * 100
    async with fleet_started(clinic) as fleet:
        assert await fleet.ended(20) == 78
    assert "the data folder's path is too long" in fleet.log()
    assert "Traceback" not in fleet.log()


@pytest.mark.parametrize("missing", ["registry.json", "site.key"])
async def test_a_site_that_cannot_be_used_is_said_in_a_sentence(clinic: Clinic, missing: str) -> None:
    (clinic.site_dir / missing).unlink()
    async with fleet_started(clinic) as fleet:
        assert await fleet.ended(20) == 78
    assert missing in fleet.log()
    assert "Traceback" not in fleet.log()
