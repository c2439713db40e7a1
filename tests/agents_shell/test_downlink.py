"""What the agent hears over a real Mosquitto: believed, dropped, counted; and a stop above all."""

import asyncio
import logging
import time
from functools import partial
from pathlib import Path

import pytest

from agents.spool import Happened, Stamp
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE
from broker.contract.messages import (
    CommandRefusal,
    CommandRefused,
    Event,
    EventKind,
    Receipt,
    Scope,
    Settings,
    Stop,
)
from broker.contract.topics import ALL, Channel, Direction
from broker.wire.codec import encode
from broker.wire.mac import LinkKeys, seal
from broker.wire.sealed import hold_id_of, pack
from tests.agents_shell.clinic import (
    SITE,
    Clinic,
    authorisation,
    boottime_s,
    fresh_id,
    scripted_fleet,
    topic,
    wall,
)
from tests.agents_shell.devices import connected, device, lease, telemetry, until

_log = logging.getLogger(__name__)  # what was measured: pytest --log-cli-level=INFO


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
        # A little too large still passes the broker; a packet over its own bound ends its sender's connection.
        assert sum(one.link.downlink.dropped.values()) == len(bad)
        assert one.link.downlink.dropped["lease", "too_large"] == 1
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
        Channel.RELEASE: messages.Release(1, 3, 7, fresh_id(), Scope.DEVICE, (), "test"),
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


async def test_a_stop_is_heard_at_once_however_much_comes_and_goes(clinic: Clinic, tmp_path: Path) -> None:
    """With a full spool draining, late samples leaving and leases pouring in, it reaches the control loop at once.

    On the wire nothing overtakes: MQTT keeps the order. What waits before the control loop a stop does overtake; that
    is shown in tests/agents/test_queues.py.
    """
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
        one.running = asyncio.create_task(asyncio.sleep(0))  # the link is over; nothing is left to end
