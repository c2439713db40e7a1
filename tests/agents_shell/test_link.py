"""The link against a real Mosquitto with certificates: what is said when, and what becomes of it without a broker."""

import asyncio
import gc
import itertools
import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest

from agents import link
from agents.connection import Endpoint
from agents.link import Link
from agents.spool import Happened, SpoolFailed, Stamp, open_spool
from agents.steps import Acknowledge
from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import (
    Ack,
    AckStatus,
    Birth,
    CommandRefusal,
    Event,
    EventKind,
    Presence,
    Receipt,
    Telemetry,
)
from broker.pki.devices import strike_off
from tests.agents_shell.clinic import (
    Clinic,
    boottime_s,
    fresh_id,
    scripted_fleet,
    wall,
)
from tests.agents_shell.devices import CLOCKS, SNAPSHOT, Ears, connected, device, until

# --- speaking -------------------------------------------------------------------------------------------------------


async def test_it_says_birth_then_presence_and_says_goodbye(clinic: Clinic, tmp_path: Path) -> None:
    async with scripted_fleet(clinic) as fleet:
        async with device(clinic, tmp_path) as one:
            birth = await fleet.hear(Birth)
            await fleet.hear(Presence, lambda presence: presence.online)
            assert (birth.spool_id, birth.oldest_n, birth.boot_n, birth.seq) == (one.spool.spool_id, 1, 3, 1000)
            assert birth.profile == GENERIC_PROFILE
            past = len(fleet.of(Presence))
        await fleet.hear(Presence, lambda presence: not presence.online, past=past, within_s=2.0)
    kinds = [type(opened.message) for _, opened in fleet.heard if hasattr(opened, "message")]
    assert kinds.index(Birth) < kinds.index(Presence)


async def test_a_changed_birth_is_said_again(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        one.snapshot[0] = replace(SNAPSHOT, latched=Cause.PATIENT_STOP)
        one.link.say_birth()
        await fleet.hear(Birth, lambda birth: birth.latched is Cause.PATIENT_STOP)


async def test_a_birth_is_said_once_a_day_though_nothing_has_changed(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert link.BIRTH_EVERY_S == 24 * 3600.0
    monkeypatch.setattr(link, "BIRTH_EVERY_S", 0.3)
    async with connected(clinic, tmp_path) as (_, fleet):
        past = len(fleet.of(Birth))
        await fleet.hear(Birth, past=past)
        await fleet.hear(Birth, past=past + 1)


async def test_a_sample_leaves_at_once_and_live(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        for seq in range(2000, 2020):
            one.sample(seq)
        await fleet.hear(Telemetry, lambda sample: sample.seq == 2019)
        samples = [sample for sample in fleet.of(Telemetry) if sample.seq >= 2000]
        assert [sample.seq for sample in samples] == list(range(2000, 2020))
        assert not any(sample.late for sample in samples)
        assert samples[0].at[:4] != "1970", "the shell writes the time"


async def test_an_old_sample_leaves_late(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        one.sample(3000, ago_s=2.0)
        one.sample(3001)
        assert (await fleet.hear(Telemetry, lambda sample: sample.seq == 3000)).late
        assert not (await fleet.hear(Telemetry, lambda sample: sample.seq == 3001)).late


async def test_acks_arrive_with_their_outcome(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        one.link.say_ack(Acknowledge("c" * 32, AckStatus.REFUSED, CommandRefusal.STALE))
        ack = await fleet.hear(Ack, lambda ack: ack.command_id == "c" * 32)
        assert (ack.boot_n, ack.status, ack.reason) == (3, AckStatus.REFUSED, CommandRefusal.STALE)


async def test_events_leave_in_order_and_are_kept_until_the_receipt(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        fleet.receipts = False
        events = [one.happen() for _ in range(30)]
        await fleet.hear(Event, lambda event: event == events[-1])
        assert [event for event in fleet.of(Event) if event.spool_id == one.spool.spool_id] == events
        assert one.spool.pending(0, 100) == tuple(events)
        await fleet.say("stim-01", Receipt(one.spool.spool_id, 20, ()))
        await until(lambda: one.spool.oldest_n == 21)
        await fleet.say("stim-01", Receipt(one.spool.spool_id, 30, ()))
        await until(lambda: one.spool.pending(0, 100) == ())


async def test_without_receipts_a_window_is_told_and_then_told_again(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.link.RESEND_LEAST_S", 0.3)
    async with connected(clinic, tmp_path) as (one, fleet):
        fleet.receipts = False
        for _ in range(70):
            one.spool.append(Happened(Stamp(3, wall(), boottime_s()), fresh_id(), EventKind.SESSION_PAUSED))
        one.link.say_events()
        own = one.spool.spool_id
        await until(lambda: Counter(event.n for event in fleet.of(Event) if event.spool_id == own)[64] >= 2)
        told = Counter(event.n for event in fleet.of(Event) if event.spool_id == own)
        assert max(told) == 64, "a window, and not more"
        assert min(told[n] for n in range(1, 65)) >= 2
        fleet.receipts = True
        await until(lambda: one.spool.oldest_n == 71, within_s=15.0)


async def test_new_events_do_not_put_off_the_telling_again_of_old_ones(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fleet was away for the first; a new one every 0.1 s must not restart the 0.5 s after which it is told again,
    and neither must a receipt that says nothing new."""
    monkeypatch.setattr("agents.link.RESEND_LEAST_S", 0.5)
    async with connected(clinic, tmp_path) as (one, fleet):
        fleet.receipts = False
        first = one.happen()
        for _ in range(15):
            await asyncio.sleep(0.1)  # the pace at which new ones come
            one.happen()
            await fleet.say("stim-01", Receipt(one.spool.spool_id, 0, ()))
        assert Counter(event.event_id for event in fleet.of(Event))[first.event_id] >= 2


async def test_a_quiet_link_keeps_its_patience_for_the_next_event(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything receipted nothing is told again, and the pause before telling again does not grow."""
    monkeypatch.setattr("agents.link.RESEND_LEAST_S", 0.2)
    async with connected(clinic, tmp_path) as (one, fleet):
        one.happen()
        await until(lambda: one.spool.pending(0, 10) == ())
        await asyncio.sleep(1.5)  # long enough for three doublings
        fleet.receipts = False
        lost = one.happen()
        await fleet.hear(Event, lambda event: event == lost)
        past = len(fleet.of(Event))
        await fleet.hear(Event, lambda event: event == lost, past=past, within_s=0.9)


async def test_a_receipt_from_the_future_gives_a_new_spool_and_a_new_birth(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        fleet.receipts = False
        event = one.happen()
        old_id = one.spool.spool_id
        await fleet.say("stim-01", Receipt(old_id, 500, ()))
        birth = await fleet.hear_new(Birth)
        assert birth.spool_id == one.spool.spool_id != old_id
        again = await fleet.hear(Event, lambda told: told.spool_id == birth.spool_id)
        assert (again.n, again.event_id) == (1, event.event_id)


# --- losing the broker ----------------------------------------------------------------------------------------------


async def test_it_comes_back_after_the_broker_was_killed_and_tells_everything(
    own_clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = own_clinic
    listening = asyncio.Event()
    async with device(clinic, tmp_path) as one:
        await until(lambda: one.link.connected)
        connection = one.link._connection

        async def when_the_fleet_listens() -> None:
            await listening.wait()  # a sample has no second chance
            await connection()

        monkeypatch.setattr(one.link, "_connection", when_the_fleet_listens)
        clinic.mosquitto.kill()
        await until(lambda: not one.link.connected)
        events = [one.happen() for _ in range(5)]
        one.sample(5000)
        await asyncio.sleep(1.2)  # the sample grows old
        one.sample(5001)
        clinic.mosquitto.start()
        async with scripted_fleet(clinic) as fleet:
            await asyncio.sleep(1.2)  # the other one, too
            one.sample(5002)
            listening.set()
            await until(lambda: one.link.connected)
            await fleet.hear(Event, lambda event: event == events[-1])
            assert [event for event in fleet.of(Event) if event.spool_id == one.spool.spool_id] == events
            for seq, late in ((5000, True), (5001, True), (5002, False)):
                sample = await fleet.hear(Telemetry, lambda sample, seq=seq: sample.seq == seq)  # type: ignore[misc]
                assert sample.late == late, seq
            await until(lambda: one.spool.pending(0, 10) == ())
        assert one.link.counts["connections"] == 2


async def test_a_connection_that_is_lost_while_nobody_reads_leaves_no_error_behind(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio would log it, with a traceback, whenever it is collected: under whatever goes on by then."""
    try:
        async with clinic.service("fleet-intake") as client:
            clinic.mosquitto.kill()
            await until(client._disconnected.done)
    finally:
        clinic.mosquitto.start()
    del client
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("turns_between", range(8))
async def test_a_link_that_loses_its_connection_as_it_is_ended_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns_between: int
) -> None:
    """Another part of the agent fails in the turn in which the connection is lost, or some turns after it: the task
    group of the agent ends the link, and the link must not take that for its own task group's doing."""
    endpoint = Endpoint("north", "stim-01", {}, "127.0.0.1", 1, ssl.create_default_context())
    spool, _ = open_spool(tmp_path / "spool.db", fresh_id, lambda: Stamp(3, wall(), boottime_s()))
    lost, connections = asyncio.Event(), itertools.count(1)
    with ThreadPoolExecutor(1) as disk:
        link = Link(endpoint, Ears(), lambda: SNAPSHOT, spool, disk, CLOCKS, lambda _: None, lambda _, __: 0.01)

        async def lane() -> None:
            await lost.wait()
            raise aiomqtt.MqttError("gone")

        async def connection() -> None:
            assert next(connections) == 1, "it went on after it was ended"
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(lane())
                lanes.create_task(asyncio.Event().wait())

        async def disk_fails() -> None:
            await asyncio.sleep(0.01)  # the link stands
            lost.set()
            for _ in range(turns_between):
                await asyncio.sleep(0)  # one turn of the loop
            raise SpoolFailed("dead")

        async def live() -> None:
            async with asyncio.TaskGroup() as life:
                life.create_task(link.run())
                life.create_task(disk_fails())

        monkeypatch.setattr(link, "_connection", connection)
        with pytest.raises(ExceptionGroup) as raised:
            await asyncio.wait_for(live(), 2.0)
    assert raised.group_contains(SpoolFailed)
    assert not raised.group_contains(AssertionError)
    spool.close()


async def test_no_broker_no_stampede(clinic: Clinic, tmp_path: Path) -> None:
    """The pauses between attempts grow, are spread over their whole span, and never leave 0.2 to 5 s."""
    async with device(clinic, tmp_path) as one:
        spans = [[one.link._backoff_s(failures) for _ in range(200)] for failures in range(1, 12)]
        one.link._jitter = lambda least_s, most_s: most_s
        longest = [one.link._backoff_s(failures) for failures in range(1, 6)]
    assert all(0.2 <= pause <= 5.0 for span in spans for pause in span)
    assert longest == pytest.approx([0.4, 0.8, 1.6, 3.2, 5.0])
    assert min(spans[-1]) < 0.5
    assert max(spans[-1]) > 4.5


async def test_a_device_that_was_struck_off_counts_what_the_broker_denies(own_clinic: Clinic, tmp_path: Path) -> None:
    async with connected(own_clinic, tmp_path) as (one, fleet):
        strike_off(own_clinic.site_dir, "stim-01")
        own_clinic.mosquitto.reload()
        for seq in itertools.count(6000):
            one.happen()
            if one.link.counts["publishes_denied"]:
                break
            assert seq < 6100
            await asyncio.sleep(0.02)  # time for the ACL to be read anew
        heard = len(fleet.heard)
        event = one.happen()
        await until(lambda: one.link.counts["publishes_denied"] >= 2)
        assert len(fleet.heard) == heard
        assert event in one.spool.pending(0, 1000), "denied is not delivered: it stays"
