"""A room's stop: one request, every device of the room, each with a command of its own."""

import asyncio

from broker.contract.causes import Cause
from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import Fleet, fleet_running, live


async def test_every_device_of_the_room_hears_its_own_stop(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as first, live(clinic, "stim-02") as second:
        first.talks = second.talks = False  # a sample would say that nothing flows, and the stop would be over
        await _unheard(fleet)
        answer = await fleet.ask(op="stop", room="room-1", issued_by="anna", reason="smoke")
        assert answer["ok"], answer
        assert [one["device"] for one in answer["commands"]] == ["stim-01", "stim-02"]
        await eventually(lambda: first.stops() and second.stops())
        heard = {}
        for device in (first, second):
            (stop,) = {said.fields for said in device.stops()}
            assert stop is not None
            assert (stop.cause, stop.hold, stop.issued_by) == (Cause.EMERGENCY_STOP, True, "anna")
            heard[device.name] = stop.command_id
        assert heard == {one["device"]: one["command_id"] for one in answer["commands"]}
        again = await fleet.ask(op="stop", room="room-1", issued_by="bo")
        assert again["commands"] == answer["commands"], "pushed again: the same stops go out once more"


async def _unheard(fleet: Fleet) -> None:
    """Until the fleet has heard of no device for ten times as long as their samples are apart: none is on its way."""
    async with asyncio.timeout(20):
        while any(row["silent_s"] < 1.0 for row in (await fleet.ask(op="devices"))["devices"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # polls another process


async def test_a_room_without_devices_is_said(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet:
        answer = await fleet.ask(op="stop", room="room-9", issued_by="anna")
        assert (answer["ok"], answer["error"]) == (False, "unknown_room")
        assert answer["text"] == "No device stands in room-9: nothing was stopped."
        neither = await fleet.ask(op="stop", issued_by="anna")
        assert (neither["ok"], neither["error"]) == (False, "bad_request")
