"""One agent as a process, against a real broker, and a stimulator that is a process of its own and knows the truth."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agents.simulation.stimulator import HOST_WATCHDOG_S
from broker.contract.causes import Cause
from broker.contract.messages import (
    Ack,
    AckStatus,
    Authorisation,
    Birth,
    CommandRefusal,
    Event,
    EventKind,
    Lease,
    Phase,
    Presence,
    Stop,
    Telemetry,
)
from broker.contract.topics import ALL, Channel
from broker.wire.codec import encode
from broker.wire.sealed import Packet, hold_id_of, pack
from tests.agents_shell.clinic import (
    LEASE_TTL_MS,
    SITE,
    Clinic,
    ScriptedFleet,
    boottime_s,
    fresh_id,
    scripted_fleet,
    topic,
    wall,
)
from tests.agents_shell.processes import Room, bench, room, run, start_agent

_log = logging.getLogger(__name__)  # what was measured: pytest --log-cli-level=INFO
LEASE_S = LEASE_TTL_MS / 1000.0
TICK_S = 0.05
RAMP_S = 1.0
BUSY_MACHINE_S = 0.15  # what two cores under other tests add to a tick
PULSE_S = 0.02


@asynccontextmanager
async def live_session(clinic: Clinic, folder: Path) -> AsyncIterator[tuple[Room, ScriptedFleet, Authorisation]]:
    """A session that runs at 2 mA, begun as a therapist begins it."""
    async with scripted_fleet(clinic) as fleet, room(folder, clinic) as one:
        yield one, fleet, await begin_session(one, fleet)


async def begin_session(one: Room, fleet: ScriptedFleet) -> Authorisation:
    fleet.leases = True
    await fleet.put_in_service()
    session = await fleet.authorise()
    await fleet.hear(Ack, lambda ack: (ack.command_id, ack.status) == (session.command_id, AckStatus.DONE))
    assert (await one.press("arm"))["accepted"]
    await fleet.hear(Telemetry, lambda sample: sample.phase is Phase.ARMED and (sample.lease_margin_s or -1.0) > 0.0)
    assert (await one.press("start"))["accepted"]
    assert (await one.press("raise", step_ma=2.0))["accepted"]
    await fleet.hear_new(Telemetry, lambda sample: (sample.amplitude_ma or 0.0) > 1.8)
    assert one.truth().at(boottime_s()) > 1.5
    return session


async def zero(one: Room, within_s: float) -> float:
    """Since when nothing flows, by the stimulator's own record."""
    async with asyncio.timeout(within_s):
        while (since_s := one.truth().zero_since()) is None:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.02)
    return since_s


async def latched(one: Room, fleet: ScriptedFleet, *causes: Cause) -> None:
    await fleet.hear(Birth, lambda birth: birth.latched in causes)
    await fleet.hear(Telemetry, lambda sample: sample.phase is Phase.LATCHED)
    assert "latched at zero" in (await one.press("status"))["words"]


# --- stops ----------------------------------------------------------------------------------------------------------


async def test_a_pushed_stop_ends_a_session_at_measured_zero_and_only_a_person_resets_it(
    clinic: Clinic, tmp_path: Path
) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        pushed_s = boottime_s()
        stop = await fleet.stop()
        done = await fleet.hear(Ack, lambda ack: (ack.command_id, ack.status) == (stop.command_id, AckStatus.DONE))
        confirmed_s = boottime_s()
        true_zero_s = await zero(one, 1.0)
        _log.info("%s: %s", "stop_to_true_zero_ms", round((true_zero_s - pushed_s) * 1e3, 1))
        _log.info("%s: %s", "stop_to_confirmed_ms", round((confirmed_s - pushed_s) * 1e3, 1))
        assert true_zero_s - pushed_s < TICK_S + BUSY_MACHINE_S
        assert done.amplitude_ma is not None
        assert done.amplitude_ma < 1.0
        assert true_zero_s < confirmed_s, "confirmed is measured, not assumed"
        await latched(one, fleet, Cause.EMERGENCY_STOP)
        ended = await fleet.hear(Event, lambda event: event.kind is EventKind.SESSION_ENDED)
        assert ended.cause is Cause.EMERGENCY_STOP

        assert not (await one.press("start"))["accepted"]
        async with asyncio.timeout(8.0):
            # The cause must be gone for 3 s.
            while not (await one.press("reset"))["accepted"]:  # noqa: ASYNC110  # asked as a person would
                await asyncio.sleep(0.5)
        await fleet.hear(Event, lambda event: event.kind is EventKind.LATCH_RESET)
        assert one.truth().zero_since() == true_zero_s, "a reset starts nothing"


async def test_the_patient_presses_the_hand_switch(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        pressed_s = boottime_s()
        await one.tell_bench(do="fault", fault={"kind": "hand_switch", "for_s": 0.3})
        assert await zero(one, 1.0) - pressed_s < 2 * TICK_S + BUSY_MACHINE_S
        await latched(one, fleet, Cause.PATIENT_STOP)


async def test_the_red_button_of_the_panel_stops_without_a_broker(own_clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(own_clinic, tmp_path) as (one, _, _):
        own_clinic.mosquitto.kill()
        pressed_s = boottime_s()
        assert (await one.press("stop_button"))["accepted"]
        assert await zero(one, 1.0) - pressed_s < TICK_S + BUSY_MACHINE_S
        words = (await one.press("status"))["words"]
        assert "the patient or the red button stopped it" in words
        assert "not connected" in words


async def test_an_agent_that_starts_under_a_hold_authorises_nothing_until_it_is_released(
    clinic: Clinic, tmp_path: Path
) -> None:
    async with scripted_fleet(clinic) as fleet:
        await fleet.put_in_service()
        stop = await fleet.stop(hold=True)
        hold_id = hold_id_of(encode(stop))
        async with room(tmp_path, clinic):
            birth = await fleet.hear(Birth, lambda birth: bool(birth.holds))
            assert birth.holds.device == (hold_id,)
            refused = await fleet.authorise()
            ack = await fleet.hear(
                Ack, lambda ack: ack.command_id == refused.command_id and ack.status is not AckStatus.RECEIVED
            )
            assert ack.status is AckStatus.REFUSED
            assert ack.reason in {CommandRefusal.HELD, CommandRefusal.LATCHED}
            await fleet.clear("stim-01", Channel.STOP)
            release = await fleet.release((hold_id,))
            await fleet.hear(Ack, lambda ack: (ack.command_id, ack.status) == (release.command_id, AckStatus.DONE))
            await fleet.hear(Birth, lambda birth: not birth.holds, past=len(fleet.of(Birth)) - 1)


# --- the agent dies, sleeps, ends -----------------------------------------------------------------------------------


async def test_a_killed_agent_leaves_zero_current_and_comes_up_latched(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        past = len(fleet.of(Presence))
        killed_s = one.agent.send(signal.SIGKILL)
        true_zero_s = await zero(one, 2.0)
        _log.info("%s: %s", "kill_to_true_zero_ms", round((true_zero_s - killed_s) * 1e3, 1))
        assert true_zero_s - killed_s < HOST_WATCHDOG_S + PULSE_S
        await fleet.hear(Presence, lambda presence: not presence.online, past=past)  # its will
        await one.agent.ended()
        await one.start_agent()
        await latched(one, fleet, Cause.REBOOT)
        assert fleet.of(Birth)[-1].boot_n == 2
        started = await fleet.hear(Event, lambda event: event.kind is EventKind.SESSION_STARTED)
        assert started.boot_n == 1, "what it had on disk before it died is told"
        assert one.truth().zero_since() == true_zero_s


async def test_a_frozen_agent_loses_its_output_and_cannot_go_on_where_it_was(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        frozen_s = one.agent.send(signal.SIGSTOP)
        true_zero_s = await zero(one, 2.0)
        assert true_zero_s - frozen_s < HOST_WATCHDOG_S + PULSE_S
        await asyncio.sleep(0.5)  # frozen well past the watchdog
        one.agent.send(signal.SIGCONT)
        await latched(one, fleet, Cause.WATCHDOG_TRIPPED)
        assert one.truth().zero_since() == true_zero_s


async def test_an_agent_that_is_told_to_end_ends_at_zero_and_says_so(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        past = len(fleet.of(Presence))
        told_s = one.agent.send(signal.SIGTERM)
        assert await one.agent.ended() == 0
        assert await zero(one, 0.1) - told_s < 2 * TICK_S + BUSY_MACHINE_S
        await fleet.hear(Presence, lambda presence: not presence.online, past=past)
        await one.start_agent()
        await latched(one, fleet, Cause.REBOOT)


# --- permission -----------------------------------------------------------------------------------------------------


async def test_with_the_broker_killed_output_ends_with_the_lease_and_the_agent_comes_back(
    own_clinic: Clinic, tmp_path: Path
) -> None:
    async with room(tmp_path, own_clinic) as one:
        async with scripted_fleet(own_clinic) as fleet:
            await begin_session(one, fleet)
            own_clinic.mosquitto.kill()
            last_good_s = boottime_s()  # no sample that was sent later has been answered
        true_zero_s = await zero(one, 9.0)
        _log.info("%s: %s", "last_good_sample_to_true_zero_s", round(true_zero_s - last_good_s, 3))
        assert true_zero_s - last_good_s < LEASE_S + TICK_S + RAMP_S
        own_clinic.mosquitto.start()
        async with scripted_fleet(own_clinic) as fleet:
            lost = await fleet.hear(Event, lambda event: event.kind is EventKind.LATCHED)
            assert lost.cause is Cause.LEASE_LOST
            await latched(one, fleet, Cause.LEASE_LOST)
            assert any(sample.late for sample in fleet.of(Telemetry)) or await fleet.hear(
                Telemetry, lambda sample: sample.late
            ), "what it measured meanwhile is told late"


async def test_a_short_cut_of_the_cable_ends_no_session_and_a_long_one_ends_it_with_the_lease(
    clinic: Clinic, tmp_path: Path
) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        await one.tell_bench(do="fault", fault={"kind": "link_cut", "for_s": 1.5})
        await asyncio.sleep(1.5)  # as long as the cut lasts
        await fleet.hear_new(Telemetry, lambda sample: not sample.late and (sample.lease_margin_s or 0.0) > 3.0)
        assert one.truth().zero_since() is None, "the session goes on"
        cut_s = boottime_s()  # nothing that was sent later has been answered
        await one.tell_bench(do="fault", fault={"kind": "link_cut"})
        true_zero_s = await zero(one, 9.0)
        assert true_zero_s - cut_s < LEASE_S + TICK_S + RAMP_S + BUSY_MACHINE_S
        await one.tell_bench(do="heal", kind="link_cut")
        await latched(one, fleet, Cause.LEASE_LOST)
        assert one.truth().zero_since() == true_zero_s


async def test_no_repeated_forged_foreign_or_unfounded_message_extends_or_starts_a_session(
    clinic: Clinic, tmp_path: Path
) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, session):
        sample = await fleet.hear_new(Telemetry)
        good = await fleet.say("stim-01", lease(sample, session))
        fleet.leases = False
        last_good_s = boottime_s()
        while one.truth().zero_since() is None and boottime_s() < last_good_s + 9.0:
            await attack(fleet, session, good, fleet.of(Telemetry)[-1])
            await asyncio.sleep(0.2)  # five attacks a second
        true_zero_s = await zero(one, 0.1)
        assert true_zero_s - last_good_s < LEASE_S + TICK_S + RAMP_S + BUSY_MACHINE_S
        await latched(one, fleet, Cause.LEASE_LOST)
        for _ in range(3):
            await attack(fleet, session, good, fleet.of(Telemetry)[-1])
            await fleet.say("stim-01", session)  # the very authorisation, repeated
        await fleet.hear_new(Telemetry)
        assert one.truth().zero_since() == true_zero_s, "and starts none"
        refused = [event for event in fleet.of(Event) if event.kind is EventKind.COMMAND_REFUSED]
        assert 1 <= len(refused) <= 8, "told, but once per burst"


def lease(sample: Telemetry, session: Authorisation) -> Lease:
    return Lease(1, sample.boot_n, session.session_id, sample.seq, LEASE_TTL_MS)


async def attack(fleet: ScriptedFleet, session: Authorisation, good: Packet, sample: Telemetry) -> None:
    """What somebody could send who has no site key but heard what was once said; and what answers no sample of this."""
    clinic = fleet.clinic
    (foreign_keys,) = clinic.keys("stim-02").values()
    wanted = lease(sample, session)
    foreign = pack(SITE, "stim-02", wanted, foreign_keys)
    altered = good.payload.replace(str(sample.seq).encode(), str(sample.seq + 1).encode())
    where = topic(Channel.LEASE)
    await fleet.say_raw(where, good.payload, good.user_properties)  # repeated
    await fleet.say_raw(where, encode(wanted), good.user_properties)  # altered: a fresh lease under an old MAC
    await fleet.say_raw(where, altered, good.user_properties)
    await fleet.say_raw(where, encode(wanted))  # without a MAC
    await fleet.say_raw(where, encode(wanted), (("mac", "0" * 32), good.user_properties[1]))  # forged
    await fleet.say_raw(where, foreign.payload, foreign.user_properties)  # another device's
    await fleet.say_raw(topic(Channel.AUTHORISATION), encode(session), good.user_properties)
    for genuine in (
        replace(wanted, boot_n=sample.boot_n + 1),
        replace(wanted, session_id=fresh_id()),
        replace(wanted, answers=sample.seq + 1000),
        replace(wanted, answers=sample.seq - 1000),
    ):
        await fleet.say("stim-01", genuine)


# --- beginning ------------------------------------------------------------------------------------------------------


async def test_what_cannot_begin_says_why_in_a_sentence(clinic: Clinic, tmp_path: Path) -> None:
    def arguments(device: str = "stim-01", data: str = "data") -> list[str]:
        return [
            "agent",
            *("--device-dir", str(clinic.device_dir(device)), "--data-dir", str(tmp_path / data)),
            *("--stimulator", str(tmp_path / "bench" / "stim-01.sock"), "--broker-port", str(clinic.mosquitto.port)),
        ]

    assert await run(*arguments()) == (
        1,
        f"the stimulator at {tmp_path}/bench/stim-01.sock does not answer: [Errno 2] No such file or directory.\n",
    )
    async with bench(tmp_path, clinic=clinic):
        running = await start_agent(tmp_path, clinic)
        status, said = await run(*arguments())
        assert (status, said) == (1, f"Another agent runs on the data folder {tmp_path}/data.\n")
        assert await running.end() == 0
        status, said = await run(*arguments("stim-02", "other"))
        assert status == 1
        assert "The stimulator here has the serial stim-01, the papers are for stim-02" in said
    status, said = await run("agent", "--device-dir", str(tmp_path), "--data-dir", str(tmp_path), "--stimulator", "x")
    assert status == 1
    assert "device.json cannot be read" in said
    assert await run("agent") == (1, "device_dir is missing: give --device-dir, or set STIMFLEET_AGENT_DEVICE_DIR.\n")


@pytest.mark.parametrize(
    ("in_the_way", "says"),
    [
        (
            "spool.db",
            (
                "The agent cannot begin: cannot open the event spool {}/spool.db: unable to open database file. Nothing"
                " is stimulated unrecorded: take away what is in the way, see to the disk, or give another --data-dir."
            ),
        ),
        (
            "panel.sock",
            (
                "The panel cannot open at {}/panel.sock: Address already in use. Take away what is there, or give"
                " another --data-dir."
            ),
        ),
    ],
)
async def test_what_stands_in_the_way_in_the_data_folder_is_named(
    clinic: Clinic, tmp_path: Path, in_the_way: str, says: str
) -> None:
    data = tmp_path / "data"
    (data / in_the_way).mkdir(parents=True)
    async with bench(tmp_path, clinic=clinic):
        status, said = await run(
            "agent",
            *("--device-dir", str(clinic.device_dir("stim-01")), "--data-dir", str(data)),
            *("--stimulator", str(tmp_path / "bench" / "stim-01.sock"), "--broker-port", str(clinic.mosquitto.port)),
        )
    assert (status, said) == (1, says.format(data) + "\n")
    assert (data / in_the_way).is_dir(), "nothing of somebody's is taken away"


async def test_a_corrupt_spool_is_set_aside_and_told(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "spool.db").write_bytes(b"not a database" * 1000)
    async with scripted_fleet(clinic) as fleet, room(tmp_path, clinic):
        told = await fleet.hear(Event, lambda event: event.kind is EventKind.SELF_TEST_FAILED)
        assert "spool.db.corrupt-1" in str(told.detail)
    assert (tmp_path / "data" / "spool.db.corrupt-1").read_bytes().startswith(b"not a database")


async def test_all_stop_reaches_the_device_with_any_bytes(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        pushed_s = boottime_s()
        await fleet.say_raw(topic(Channel.STOP, ALL), b"!")
        assert await zero(one, 1.0) - pushed_s < TICK_S + BUSY_MACHINE_S
        await latched(one, fleet, Cause.EMERGENCY_STOP)


async def test_a_forged_mild_stop_is_an_emergency_stop_with_a_hold(clinic: Clinic, tmp_path: Path) -> None:
    async with live_session(clinic, tmp_path) as (one, fleet, _):
        mild = Stop(fresh_id(), Cause.COMPLETED, False, "mallory", wall())
        await fleet.say_raw(topic(Channel.STOP), encode(mild), (("mac", "f" * 32), ("kid", "f" * 8)))
        await zero(one, 1.0)
        hold_id = hold_id_of(encode(mild))
        await fleet.hear(Birth, lambda birth: birth.holds.device == (hold_id,))
        await latched(one, fleet, Cause.EMERGENCY_STOP)
