"""The dose ledger in a running service: two requests at once, over a kill, and as a person is told of it."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Phase, Receipt, SessionEnded
from broker.contract.plan import Modality
from broker.pki.dosing import tighten_dose
from tests.adapters.clinic import Clinic, WireDevice, eventually
from tests.adapters.running import Fleet, fleet_running, live

CLIENT = "client-9d20"


async def types(fleet: Fleet, *words: str) -> str:
    """What a `stimfleet` command prints, whatever its exit status."""
    command = [sys.executable, "-m", "stimfleet", *words, f"--data-dir={fleet.clinic.data_dir}"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


async def ends(device: WireDevice, on_time_s: float) -> None:
    """The device reports the end of its session, and is idle."""
    numbers = SessionEnded(elapsed_s=3 * on_time_s, on_time_s=on_time_s, peak_ma=20.0, charge_uc=1e4, gaps=0)
    device.say(device.event(EventKind.SESSION_ENDED, cause=Cause.COMPLETED, detail=numbers))
    await eventually(lambda: device.messages(Receipt))
    device.phase, device.session_id, device.elapsed_s = Phase.IDLE, None, 0.0


async def is_idle(fleet: Fleet, device: WireDevice) -> None:
    async with asyncio.timeout(10):
        while device.name not in [  # noqa: ASYNC110
            row["device"] for row in (await fleet.ask(op="devices"))["devices"] if row["phase"] == "idle"
        ]:
            await asyncio.sleep(0.05)  # polls another process


def today() -> Any:
    return datetime.now(UTC).date()


async def test_h06_two_requests_at_once_for_one_client_on_two_devices(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01"), live(clinic, "stim-02"):
        for _ in range(5):
            answers = await asyncio.gather(
                *(fleet.ask(**fleet.request(name, client=CLIENT)) for name in ("stim-01", "stim-02"))
            )
            granted = [answer for answer in answers if answer["ok"]]
            refused = [answer for answer in answers if not answer["ok"]]
            assert (len(granted), len(refused)) == (1, 1)
            assert [refusal["rule"] for refusal in refused[0]["refusals"]] == ["client_in_session", "dose_rest"]
            session_id = granted[0]["session_id"]
            assert (await fleet.ask(op="session_cancel", session_id=session_id, issued_by="anna"))["ok"]


async def test_what_a_client_has_had_outlives_a_kill_and_is_told_in_plain_words(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01") as device, live(clinic, "stim-02") as other:
        assert (await types(fleet, "client", CLIENT)).splitlines()[1] == "No sessions in the ledger."
        assert (await fleet.ask(**fleet.request("stim-01", client=CLIENT)))["ok"]
        await device.accept()
        os.kill(fleet.worker, signal.SIGKILL)
        await fleet.answers()
        (held,) = (await fleet.ask(op="client_show", client=CLIENT))["client"]["sessions"]
        assert (held["standing"], held["reserved_s"], held["day"]) == ("reserved", 1200.0, today().isoformat())

        await ends(device, 390.0)
        for one in (device, other):  # the new worker has to hear them first
            await is_idle(fleet, one)
        refused = await fleet.ask(**fleet.request("stim-02", client=CLIENT))
        again_on = (today() + timedelta(days=2)).isoformat()
        assert [(r["rule"], r["value"], r["limit"], r["again_on"]) for r in refused["refusals"]] == [
            ("dose_rest", 0.0, 2.0, again_on)
        ]
        assert (await types(fleet, "client", CLIENT)).splitlines() == [
            f"{CLIENT}: {today()} by the clinic's clock (UTC)",
            f"{today()}  nmes    stim-01    counts, current for 6.5 min by the device",
            f"nmes    1 of 3 in 7 days, possible from {again_on}",
            f"wb_ems  0 of 1 in 7 days, possible from {today() + timedelta(days=5)}; the first, at most 12 min",
        ]
        asked = ("session", "request", f"--client={CLIENT}", "--device=stim-02", "--room=room-1", "--operator=anna")
        assert (await types(fleet, *asked, "--screened-at=now", "--no-findings")).splitlines()[1] == (
            "- too soon after the client's last session (days since: 0, at least 2); possible again from "
            f"{again_on} [domain]"
        )


async def test_a_clinic_s_tighter_rules_hold_from_the_moment_they_are_set(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet, live(clinic, "stim-01"):
        tighten_dose(clinic.site_dir, Modality.NMES, {"duration_s_max": 900.0})
        async with asyncio.timeout(10):
            while (answer := await fleet.ask(**fleet.request("stim-01", client=CLIENT)))["ok"]:
                await fleet.ask(op="session_cancel", session_id=answer["session_id"], issued_by="anna")
                await asyncio.sleep(0.05)  # polls another process
        assert [(r["rule"], r["layer"], r["limit"]) for r in answer["refusals"]] == [("duration", "clinic", 900.0)]


async def test_a_client_token_that_is_none_is_refused_in_a_sentence(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet:
        assert "client" in await types(fleet, "client", "Anna Example")
        assert (await fleet.ask(op="client_show", client="Anna Example"))["error"] == "bad_request"
