"""The running service and the settings of its site: what changes on disk reaches devices, and binds who has not it."""

import asyncio
import time
from functools import partial

from broker.contract.limits import Layer
from broker.contract.messages import Authorisation, Lease, Settings
from broker.pki.settings import Change, set_clinic, set_device
from broker.wire import sealed
from tests.adapters.clinic import Clinic, WireDevice, eventually
from tests.adapters.running import boottime_s, fleet_running, live


async def given(device: WireDevice, version: int) -> tuple[float, Settings]:
    """A version of the settings, and when it reached the device."""
    await eventually(lambda: any(settings.version == version for settings in device.messages(Settings)))
    return next(
        (came_s, opened.message)
        for came_s, opened in device.heard
        if isinstance(opened, sealed.Received)
        and isinstance(opened.message, Settings)
        and opened.message.version == version
    )


async def test_a_device_on_an_old_version_gets_no_authorisation_and_after_5_s_no_lease(clinic: Clinic) -> None:
    async with (
        fleet_running(clinic) as fleet,
        live(clinic, "stim-01") as running,
        live(clinic, "stim-02") as idle,
    ):
        await fleet.session(running)
        running.takes_settings = idle.takes_settings = False
        set_clinic(clinic.site_dir, Change({"peak_ma_max": 70.0}), {})
        issued_s, settings = await given(running, 2)
        assert (settings.limits.peak_ma_max.value, settings.limits.peak_ma_max.layer) == (70.0, Layer.CLINIC)
        refused = await fleet.ask(**fleet.request("stim-02"))
        assert [refusal["rule"] for refusal in refused["refusals"]] == ["device_settings"]

        await asyncio.sleep(issued_s + 7.0 - boottime_s())  # what must not come has had its time
        came_s = running.leased_since(issued_s)
        assert 4.5 < came_s[-1] - issued_s < 5.3, "ten samples a second were answered up to then, and none since"
        assert (await fleet.ask(op="status"))["refused_by_core"]["lease.settings_old"] > 10

        # It has them: it is leased again, and the other one may be authorised.
        for device in (running, idle):
            device.takes_settings = True
            device.settings_version = 2
            device.say(device.birth())
        taken_s = boottime_s()
        await eventually(partial(running.leased_since, taken_s + 0.2))
        await asyncio.sleep(0.3)  # a few samples of the other one with its new settings
        assert (await fleet.ask(**fleet.request("stim-02")))["ok"]


async def test_what_the_clinic_chooses_is_in_settings_authorisations_and_leases(clinic: Clinic) -> None:
    chosen = {"idle_period_s": 7.0, "live_period_s": 0.2, "start_within_s": 60.0, "pause_total_s": 120.0}
    set_clinic(clinic.site_dir, Change(), {**chosen, "lease_ttl_ms": 6_000})
    set_device(clinic.site_dir, "stim-01", Change({"frequency_hz_max": 80.0}))
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as device:
        _, settings = await given(device, 1)
        assert (settings.idle_period_s, settings.live_period_s) == (7.0, 0.2)
        assert settings.limits.frequency_hz_max.value == 80.0
        await fleet.session(device)
        (authorisation,) = device.messages(Authorisation)
        assert (authorisation.start_within_s, authorisation.pause_total_s) == (60.0, 120.0)
        assert {lease.ttl_ms for lease in device.messages(Lease)} == {6_000} == {authorisation.lease_ttl_ms}

        # Shorter at once, within a second of the word.
        set_clinic(clinic.site_dir, Change(), {"lease_ttl_ms": 4_000})
        said_s = time.monotonic()
        await eventually(lambda: device.messages(Lease)[-1].ttl_ms == 4_000)
        assert time.monotonic() - said_s < 2.0
