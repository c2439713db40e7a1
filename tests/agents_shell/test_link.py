"""The link against a real Mosquitto with certificates: what is said when, what is heard, and what is lost."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from agents.clocks import Clocks
from agents.connection import Endpoint
from agents.control import Snapshot
from agents.downlink import ToControl
from agents.drivers.port import Identity
from agents.link import Link
from agents.spool import Happened, Spool, Stamp, open_spool
from agents.steps import Acknowledge, Sample
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import ENVELOPE, GENERIC_PROFILE
from broker.contract.messages import (
    Ack,
    AckStatus,
    Birth,
    CommandRefusal,
    CommandRefused,
    Event,
    EventKind,
    Lease,
    Phase,
    Presence,
    Receipt,
    Scope,
    Settings,
    Stop,
    Telemetry,
)
from broker.contract.topics import ALL, Channel, Direction
from broker.pki.devices import strike_off
from broker.wire.codec import encode
from broker.wire.mac import LinkKeys, seal
from broker.wire.sealed import hold_id_of, pack
from tests.agents_shell.clinic import (
    SITE,
    Clinic,
    ScriptedFleet,
    authorisation,
    boottime_s,
    fresh_id,
    scripted_fleet,
    topic,
    wall,
)

_log = logging.getLogger(__name__)  # what was measured: pytest --log-cli-level=INFO
CLOCKS = Clocks(boottime_s, time.time)
SNAPSHOT = Snapshot(
    identity=Identity("stim-01", "bench-ems-2", "2.4.1", GENERIC_PROFILE),
    boot_n=3,
    seq=1000,
    fleet_n=0,
    phase=Phase.IDLE,
    session_id=None,
    latched=None,
    reset_by=ResetBy.NOBODY,
    holds=messages.Holds(),
    conditions=(),
    settings=None,
    setting_ma=0.0,
    elapsed_s=0.0,
    lease_margin_s=None,
    lease_margin_least_s=None,
    leases_refused=0,
    reading=None,
    stepped_s=0.0,
    overruns=0,
    shed=0,
)


@dataclass
class Ears:
    """Stands where the control loop stands, and writes down what it is told, and when."""

    heard: list[tuple[ToControl, bool]] = field(default_factory=list)
    stops: list[tuple[Scope, Stop | None, str, bool]] = field(default_factory=list)
    stopped_at_s: list[float] = field(default_factory=list)

    def hear(self, message: ToControl, retained: bool = False) -> bool:
        self.heard.append((message, retained))
        return True

    def hear_stop(self, scope: Scope, stop: Stop | None, hold_id: str, retained: bool = False) -> None:
        self.stopped_at_s.append(time.perf_counter())
        self.stops.append((scope, stop, hold_id, retained))


@dataclass
class Device:
    """A link with its spool, and what a test may change about the device."""

    link: Link
    spool: Spool
    ears: Ears
    refused: list[CommandRefused]
    running: asyncio.Task[None]
    snapshot: list[Snapshot]

    def happen(self, kind: EventKind = EventKind.SESSION_PAUSED) -> Event:
        (event,) = self.spool.append(Happened(Stamp(3, wall(), boottime_s()), fresh_id(), kind))
        self.link.say_events()
        return event

    def sample(self, seq: int, *, ago_s: float = 0.0) -> None:
        self.link.say_sample(Sample(boottime_s() - ago_s, telemetry(seq)))


def telemetry(seq: int) -> Telemetry:
    return Telemetry(
        boot_n=3,
        seq=seq,
        at="1970-01-01T00:00:00.000Z",
        phase=Phase.IDLE,
        session_id=None,
        elapsed_s=0.0,
        setting_ma=0.0,
        amplitude_ma=0.1,
        pulse_width_us=0.0,
        frequency_hz=0.0,
        impedance_ohm=None,
        battery_pct=90.0,
        temperature_c=25.0,
        lease_margin_s=None,
        settings_version=0,
        late=False,
    )


@contextlib.asynccontextmanager
async def device(clinic: Clinic, folder: Path, name: str = "stim-01") -> AsyncIterator[Device]:
    keys = clinic.keys(name)
    tls = clinic.tls(clinic.device_dir(name) / "device.key")
    endpoint = Endpoint(SITE, name, keys, clinic.mosquitto.host, clinic.mosquitto.port, tls)
    spool, _ = open_spool(folder / f"{name}.db", fresh_id, lambda: Stamp(3, wall(), boottime_s()))
    ears, refused, snapshot = Ears(), list[CommandRefused](), [SNAPSHOT]
    with ThreadPoolExecutor(1) as disk:
        link = Link(endpoint, ears, lambda: snapshot[0], spool, disk, CLOCKS, refused.append)
        running = asyncio.create_task(link.run())
        one = Device(link, spool, ears, refused, running, snapshot)
        try:
            yield one
        finally:
            link.end()
            async with asyncio.timeout(10.0):
                await one.running
    spool.close()


@contextlib.asynccontextmanager
async def connected(clinic: Clinic, folder: Path) -> AsyncIterator[tuple[Device, ScriptedFleet]]:
    async with scripted_fleet(clinic) as fleet, device(clinic, folder) as one:
        await until(lambda: one.link.connected)
        yield one, fleet


async def until(condition: object, within_s: float = 8.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # many conditions, some of another thread
            await asyncio.sleep(0.01)


def lease(seq: int) -> Lease:
    return Lease(1, 3, "a" * 32, seq, 5000)


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


# --- hearing --------------------------------------------------------------------------------------------------------


async def test_what_is_authentic_goes_to_the_control_loop(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        settings = Settings(1, (), "room-1", 5.0, 0.5, ENVELOPE, False)
        cancel = messages.Cancel(3, fresh_id(), fresh_id())
        for message in (lease(7), cancel, settings):
            await fleet.say("stim-01", message)
        await until(lambda: len(one.ears.heard) == 3)
        assert one.ears.heard == [(lease(7), False), (cancel, False), (settings, False)]
        assert one.link.downlink.dropped == {}
        await fleet.clear("stim-01", Channel.SETTINGS)


async def test_retained_settings_and_holds_are_heard_on_connecting(clinic: Clinic, tmp_path: Path) -> None:
    settings = Settings(4, (), "room-1", 5.0, 0.5, ENVELOPE, False)
    async with scripted_fleet(clinic) as fleet:
        await fleet.say("stim-01", settings)
        stop = await fleet.stop(hold=True)
        await fleet.say_raw(topic(Channel.STOP, ALL), b"fire alarm", retain=True)
        try:
            async with device(clinic, tmp_path) as one:
                await until(lambda: len(one.ears.heard) == 1 and len(one.ears.stops) == 2)
                assert one.ears.heard == [(settings, True)]
                assert sorted(one.ears.stops, key=lambda entry: entry[0]) == [
                    (Scope.ALL, None, hold_id_of(b"fire alarm"), True),
                    (Scope.DEVICE, stop, hold_id_of(encode(stop)), True),
                ]
        finally:
            for name, channel in (("stim-01", Channel.SETTINGS), ("stim-01", Channel.STOP), (ALL, Channel.STOP)):
                await fleet.clear(name, channel)


@pytest.mark.parametrize("whom", ["stim-01", ALL])
async def test_anything_on_a_stop_topic_stops(clinic: Clinic, tmp_path: Path, whom: str) -> None:
    anything = [b"stop", b"{}", b"\xff\x00\xfe", b"{" * 4000, b" ", b"null", b"x" * 8192]
    async with connected(clinic, tmp_path) as (one, fleet):
        for payload in anything:
            await fleet.say_raw(topic(Channel.STOP, whom), payload)
        await until(lambda: len(one.ears.stops) == len(anything))
        scope = Scope.ALL if whom == ALL else Scope.DEVICE
        assert one.ears.stops == [(scope, None, hold_id_of(payload), False) for payload in anything]


async def test_a_stop_whose_mac_is_forged_stops_and_nothing_of_it_is_believed(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        mild = Stop(fresh_id(), Cause.CANCELLED, False, "mallory", wall())
        await fleet.say_raw(topic(Channel.STOP), encode(mild), (("mac", "0" * 32), ("kid", "0" * 8)))
        await until(lambda: one.ears.stops)
        assert one.ears.stops == [(Scope.DEVICE, None, hold_id_of(encode(mild)), False)]
        assert one.refused == [CommandRefused("stop", None, CommandRefusal.NOT_AUTHENTIC)]


async def test_an_empty_message_on_a_stop_topic_is_nothing(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        await fleet.say_raw(topic(Channel.STOP), b"")
        await fleet.say("stim-01", lease(1))
        await until(lambda: one.ears.heard)
        assert one.ears.stops == []


def spoilt(clinic: Clinic) -> dict[str, tuple[bytes, tuple[tuple[str, str], ...]]]:
    """A lease as it must not come, by what is wrong with it."""
    (keys,) = clinic.keys("stim-01").values()
    (others,) = clinic.keys("stim-02").values()
    good = pack(SITE, "stim-01", lease(7), keys)
    foreign = pack(SITE, "stim-02", lease(7), others)
    signed = partial(_signed, keys)
    mac, kid = good.user_properties
    return {
        "no mac": (good.payload, ()),
        "two macs": (good.payload, (mac, mac, kid)),
        "forged mac": (good.payload, (("mac", "0" * 32), kid)),
        "mac that is no hex": (good.payload, (("mac", "ä" * 16), kid)),
        "unknown key": (good.payload, (mac, ("kid", "ffffffff"))),
        "another device's": (foreign.payload, foreign.user_properties),
        "altered": (good.payload.replace(b"5000", b"9000"), good.user_properties),
        "empty": (b"", good.user_properties),
        "not UTF-8": signed(b'{"fleet_n":1\xff}'),
        "not JSON": signed(b"{"),
        "no object": signed(b"[]"),
        "wrong type": signed(good.payload.replace(b"5000", b'"5000"')),
        "true for one": signed(good.payload.replace(b'"fleet_n":1', b'"fleet_n":true')),
        "out of range": signed(good.payload.replace(b"5000", b"50000")),
        "NaN": signed(good.payload.replace(b"5000", b"NaN")),
        "unknown key in it": signed(good.payload[:-1] + b',"really":true}'),
        "key twice": signed(good.payload[:-1] + b',"ttl_ms":9000}'),
        "missing key": signed(b'{"fleet_n":1}'),
        "too large": signed(good.payload[:-1] + b" " * 8200 + b"}"),
    }


def _signed(keys: LinkKeys, payload: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    sealed = seal(keys, Direction.DOWNLINK, topic(Channel.LEASE), payload)
    return payload, (("mac", sealed.mac), ("kid", sealed.kid))


async def test_bad_input_of_every_kind_is_dropped_counted_and_told_once(clinic: Clinic, tmp_path: Path) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        bad = spoilt(clinic)
        for payload, properties in bad.values():
            await fleet.say_raw(topic(Channel.LEASE), payload, properties, qos=0)
        await fleet.say("stim-01", lease(8))
        await until(lambda: one.ears.heard)
        assert one.ears.heard == [(lease(8), False)], "only the good one"
        assert one.ears.stops == []
        # What is too large does not pass the broker; everything else is counted.
        assert sum(one.link.downlink.dropped.values()) == len(bad) - 1
        assert one.link.downlink.dropped["lease", "bad_mac"] == 4  # forged, no hex, altered, empty
        assert sorted(one.refused, key=lambda refused: refused.reason) == [
            CommandRefused("lease", None, CommandRefusal.NOT_AUTHENTIC),
            CommandRefused("lease", None, CommandRefusal.UNREADABLE),
        ]


async def test_nothing_retained_is_believed_but_stops_and_settings(clinic: Clinic, tmp_path: Path) -> None:
    retained: dict[Channel, messages.Message] = {
        Channel.LEASE: lease(7),
        Channel.AUTHORISATION: authorisation(telemetry(7)),
        Channel.CANCEL: messages.Cancel(3, fresh_id(), fresh_id()),
        Channel.RELEASE: messages.Release(3, 7, fresh_id(), Scope.DEVICE, (), "test"),
    }
    async with scripted_fleet(clinic) as fleet:
        for message in retained.values():
            await fleet.say("stim-01", message, retain=True)
        try:
            async with device(clinic, tmp_path) as one:
                await until(lambda: len(one.link.downlink.dropped) == len(retained))
                assert one.ears.heard == []
                told = {CommandRefused(channel, None, CommandRefusal.RETAINED) for channel in retained}
                assert set(one.refused) == told
        finally:
            for channel in retained:
                await fleet.clear("stim-01", channel)


async def test_a_retained_receipt_deletes_nothing(clinic: Clinic, tmp_path: Path) -> None:
    async with scripted_fleet(clinic) as fleet:
        fleet.receipts = False
        async with device(clinic, tmp_path) as one:
            event = one.happen()
            await fleet.hear(Event, lambda told: told == event)
        await fleet.say("stim-01", Receipt(event.spool_id, 1, ()), retain=True)
        try:
            async with device(clinic, tmp_path) as one:
                await until(lambda: one.link.downlink.dropped["receipt", "retained"] == 1)
                assert one.spool.pending(0, 10) == (event,)
        finally:
            await fleet.clear("stim-01", Channel.RECEIPT)


async def test_a_stop_overtakes_everything(clinic: Clinic, tmp_path: Path) -> None:
    """With a full spool draining, late samples leaving and leases pouring in, it reaches the control loop at once."""
    async with connected(clinic, tmp_path) as (one, fleet):
        for _ in range(300):
            one.spool.append(Happened(Stamp(3, wall(), boottime_s()), fresh_id(), EventKind.SESSION_PAUSED))
        for seq in range(4000, 4300):
            one.sample(seq, ago_s=5.0)
        one.link.say_events()
        latencies_s = []
        for number in range(20):
            for seq in range(50):
                await fleet.say("stim-01", lease(seq))
            before_s = time.perf_counter()
            await fleet.say_raw(topic(Channel.STOP), b"stop", qos=1)
            await until(lambda count=number + 1: len(one.ears.stops) == count)
            latencies_s.append(one.ears.stopped_at_s[-1] - before_s)
        _log.info("%s: %s", "median_ms", round(sorted(latencies_s)[10] * 1e3, 1))
        _log.info("%s: %s", "max_ms", round(max(latencies_s) * 1e3, 1))
        assert sorted(latencies_s)[10] < 0.1
        assert max(latencies_s) < 1.0


async def test_a_bug_in_the_ear_ends_the_link_and_is_no_lost_connection(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(clinic, tmp_path) as (one, fleet):
        monkeypatch.setattr(one.ears, "hear", lambda *_: 1 / 0)
        await fleet.say("stim-01", lease(1))
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.timeout(5.0):
                await asyncio.shield(one.running)
        assert raised.group_contains(ZeroDivisionError)
        one.running = asyncio.create_task(asyncio.sleep(0))


# --- losing the broker ----------------------------------------------------------------------------------------------


async def test_it_comes_back_after_the_broker_was_killed_and_tells_everything(
    own_clinic: Clinic, tmp_path: Path
) -> None:
    clinic = own_clinic
    async with device(clinic, tmp_path) as one:
        await until(lambda: one.link.connected)
        clinic.mosquitto.kill()
        await until(lambda: not one.link.connected)
        events = [one.happen() for _ in range(5)]
        one.sample(5000)
        await asyncio.sleep(1.2)  # the sample grows old
        one.sample(5001)
        clinic.mosquitto.start()
        async with scripted_fleet(clinic) as fleet:
            await until(lambda: one.link.connected)
            await fleet.hear(Event, lambda event: event == events[-1])
            assert [event for event in fleet.of(Event) if event.spool_id == one.spool.spool_id] == events
            late = {sample.seq for sample in fleet.of(Telemetry) if sample.late}
            await until(lambda: one.spool.pending(0, 10) == ())
        assert late <= {5000, 5001}
        assert one.link.counts["connections"] == 2


async def test_no_broker_no_stampede(clinic: Clinic, tmp_path: Path) -> None:
    """The pauses between attempts grow, are spread over their whole span, and never leave 0.2 to 5 s."""
    async with device(clinic, tmp_path) as one:
        spans = [[one.link._backoff_s(failures) for _ in range(200)] for failures in range(1, 12)]
    assert all(0.2 <= pause <= 5.0 for span in spans for pause in span)
    assert [round(max(span), 1) for span in spans[:5]] == pytest.approx([0.4, 0.8, 1.6, 3.2, 5.0], abs=0.1)
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
            await asyncio.sleep(0.02)
        heard = len(fleet.heard)
        event = one.happen()
        await until(lambda: one.link.counts["publishes_denied"] >= 2)
        assert len(fleet.heard) == heard
        assert event in one.spool.pending(0, 1000), "denied is not delivered: it stays"
