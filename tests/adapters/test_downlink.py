"""What the fleet sends: sealed, in order, stops first, never dropped in silence; some of it to a real Mosquitto."""

import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE
from broker.contract.messages import Cancel, Lease, Receipt, Release, Scope, Settings, Stop
from broker.contract.topics import ALL, FLEET_SAFETY, Channel
from broker.pki.link import site_links
from broker.pki.registry_file import load_registry
from broker.wire.codec import encode
from fleet.adapters.downlink import STOPS_A_TOPIC_MAX, Downlink, RetainedCleared, StopTaken, Undelivered
from fleet.keyring import Keyring
from fleet.mqtt import Connection, NoConnection
from tests.adapters.clinic import SITE, Clinic, eventually

DEVICE = "stim-01"
LEASE = Lease(1, 1, "a" * 32, 5, 5000)


def stop(n: int, *, hold: bool = True) -> Stop:
    return Stop(f"{n:032x}", Cause.EMERGENCY_STOP, hold, "anna", "2026-11-22T09:00:00.000Z")


def cancel(n: int) -> Cancel:
    return Cancel(1, f"{n:032x}", "b" * 32)


def settings(version: int) -> Settings:
    return Settings(version, (), "room-1", 5.0, 0.5, GENERIC_PROFILE, False)


def receipt(upto: int, spool: str = "5") -> Receipt:
    return Receipt((spool * 32)[:32], upto, ())


@dataclass
class Sent:
    channel: str
    payload: bytes
    retain: bool
    expiry_s: int | None


@dataclass
class Wire:
    """A line that keeps what was published; acknowledging is the test's."""

    unacknowledged_max: int = 100
    drains: bool = True
    over: bool = False
    sent: list[Sent] = field(default_factory=list)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: int | None = None,
        user_properties: Sequence[tuple[str, str]] = (),
    ) -> int:
        if self.over:
            raise NoConnection("over")
        self.sent.append(Sent(topic.removeprefix(f"stim/v1/{SITE}/"), payload, retain, expiry_s))
        return len(self.sent) if qos else 0

    @property
    def channels(self) -> list[str]:
        return [sent.channel for sent in self.sent]


class Heard:
    def __init__(self) -> None:
        self.taken: list[StopTaken] = []
        self.cleared: list[RetainedCleared] = []
        self.failed: list[tuple[str, Channel, Undelivered]] = []

    def stop_taken(self, taken: StopTaken) -> None:
        self.taken.append(taken)

    def retained_cleared(self, cleared: RetainedCleared) -> None:
        self.cleared.append(cleared)

    def undelivered(self, device: str, channel: Channel, why: Undelivered) -> None:
        self.failed.append((device, channel, why))


class Office:
    """A downlink with its clock, its reports and a line that is not attached yet."""

    def __init__(self, folder: Path, items_max: int = 100) -> None:
        self.clinic = Clinic(folder)
        self.now_s = 50.0
        self.heard = Heard()
        self.wire = Wire()
        ring = Keyring(site_links(self.clinic.site_dir, load_registry(self.clinic.site_dir)))
        self.downlink = Downlink(SITE, ring, self.heard, boottime=lambda: self.now_s, items_max=items_max)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_lease_goes_now_or_never(office: Office) -> None:
    office.downlink.send(DEVICE, LEASE)
    office.downlink.attach(office.wire)
    assert office.wire.sent == []
    office.downlink.send(DEVICE, LEASE)
    office.wire.drains = False
    office.downlink.send(DEVICE, LEASE)
    assert office.wire.channels == [f"{DEVICE}/lease"]
    assert office.heard.failed == [(DEVICE, Channel.LEASE, Undelivered.NOT_CONNECTED)] * 2
    assert office.downlink.counts == {(Channel.LEASE, Undelivered.NOT_CONNECTED): 2}
    assert office.downlink.waiting == 0


def test_a_connection_that_is_just_over_loses_nothing(office: Office) -> None:
    """A stop pushed in the turn in which the broker died waits for the next connection."""
    office.downlink.attach(office.wire)
    office.wire.over = True
    office.downlink.send(DEVICE, LEASE)
    office.downlink.send(DEVICE, stop(1))
    office.downlink.send(DEVICE, cancel(1))
    assert office.heard.failed == [(DEVICE, Channel.LEASE, Undelivered.NOT_CONNECTED)]
    assert office.downlink.waiting == 2
    office.downlink.detach()
    again = Wire()
    office.downlink.attach(again)
    assert again.channels == [f"{DEVICE}/stop", f"{DEVICE}/cancel"]


def test_stops_go_before_everything_else(office: Office) -> None:
    office.downlink.send(DEVICE, settings(1))
    office.downlink.send(DEVICE, receipt(1))
    office.downlink.send(DEVICE, stop(1))
    office.downlink.send(ALL, stop(2))
    office.downlink.attach(office.wire)
    assert office.wire.channels == [f"{DEVICE}/stop", "all/stop", f"{DEVICE}/settings", f"{DEVICE}/receipt"]
    assert [sent.retain for sent in office.wire.sent] == [True, True, True, False]


def test_a_stop_that_the_broker_took_is_reported_with_its_holds_id(office: Office) -> None:
    office.downlink.attach(office.wire)
    office.downlink.send(DEVICE, stop(1))
    office.downlink.send(DEVICE, stop(2, hold=False))
    office.now_s = 50.25
    office.downlink.acknowledged(1, 0x10)  # nobody listens: it is retained all the same
    office.downlink.acknowledged(2, 0)
    hold_id = hashlib.sha256(office.wire.sent[0].payload).hexdigest()[:16]
    assert office.heard.taken == [StopTaken(f"{1:032x}", hold_id, 50.25), StopTaken(f"{2:032x}", None, 50.25)]
    assert office.heard.failed == []
    assert office.downlink.waiting == 0


def test_the_same_command_waiting_twice_waits_once(office: Office) -> None:
    for _ in range(50):
        office.downlink.send(DEVICE, stop(1))
        office.downlink.send(DEVICE, cancel(1))
    for version in (1, 2, 3):
        office.downlink.send(DEVICE, settings(version))
        office.downlink.send(DEVICE, receipt(version))
    office.downlink.send(DEVICE, receipt(9, spool="6"))
    assert office.downlink.waiting == 5
    office.downlink.attach(office.wire)
    assert office.wire.channels == [f"{DEVICE}/{c}" for c in ("stop", "cancel", "settings", "receipt", "receipt")]
    assert b'"version":3' in office.wire.sent[2].payload
    assert b'"upto":3' in office.wire.sent[3].payload


RELEASE, NEXT_RELEASE = "c" * 32, "d" * 32


def retained(wire: Wire, before: bytes = b"") -> bytes:
    """What a broker keeps on the stop topic once all of this has been published."""
    return ([before] + [sent.payload for sent in wire.sent if sent.retain])[-1]


def test_clearing_a_hold_never_undoes_a_stop_that_came_after_it(office: Office) -> None:
    office.downlink.send(DEVICE, stop(1))
    office.downlink.clear_stop(DEVICE, RELEASE)
    office.downlink.send(DEVICE, stop(1))
    office.downlink.attach(office.wire)
    assert retained(office.wire) == encode(stop(1))


def test_clearing_comes_after_the_stops_before_it_and_stays_beside_one_that_is_no_hold(office: Office) -> None:
    office.downlink.send(DEVICE, stop(1))
    office.downlink.clear_stop(DEVICE, RELEASE)
    office.downlink.send(DEVICE, stop(2, hold=False))
    office.downlink.attach(office.wire)
    assert [sent.payload for sent in office.wire.sent] == [encode(stop(1)), b"", encode(stop(2, hold=False))]
    assert retained(office.wire) == b""


def test_a_stop_after_an_unanswered_clearing_is_what_stays_after_a_new_connection(office: Office) -> None:
    office.downlink.attach(office.wire)
    office.downlink.send(DEVICE, stop(1))
    office.downlink.clear_stop(DEVICE, RELEASE)
    office.downlink.detach()
    office.downlink.send(DEVICE, stop(1))
    again = Wire()
    office.downlink.attach(again)
    assert retained(again) == encode(stop(1))


def test_a_cleared_hold_is_reported_once_the_broker_has_cleared_it_under_the_newest_release(office: Office) -> None:
    office.downlink.clear_stop(DEVICE, RELEASE)
    office.downlink.clear_stop(DEVICE, NEXT_RELEASE)
    office.downlink.clear_stop(ALL, RELEASE)
    office.downlink.attach(office.wire)
    assert office.wire.channels == [f"{DEVICE}/stop", "all/stop"]
    assert office.heard.cleared == []
    office.now_s = 51.0
    office.downlink.acknowledged(1, 0)
    office.downlink.acknowledged(2, 0x87)
    assert office.heard.cleared == [RetainedCleared(DEVICE, NEXT_RELEASE, 51.0)]
    assert office.heard.failed == [(ALL, Channel.STOP, Undelivered.DENIED)]


def test_two_stops_that_are_repeated_in_turn_wait_once_each(office: Office) -> None:
    """Without a broker the core repeats every open stop: two presses must not fill the outbox."""
    for _ in range(200):
        office.downlink.send(DEVICE, stop(1))
        office.downlink.send(DEVICE, stop(2))
    assert office.downlink.waiting == 2
    assert office.heard.failed == []


def test_a_stop_has_room_whatever_else_waits(tmp_path: Path) -> None:
    """Neither receipts nor the many stops of one device take the room of another one's stop."""
    office = Office(tmp_path, items_max=40)
    for spool in range(60):
        office.downlink.send(DEVICE, receipt(1, spool=f"{spool:032x}"))
    assert office.heard.failed == [(DEVICE, Channel.RECEIPT, Undelivered.OUTBOX_FULL)] * 20
    office.heard.failed.clear()
    for n in range(100):
        office.downlink.send(DEVICE, stop(n))
    refused = [(DEVICE, Channel.STOP, Undelivered.OUTBOX_FULL)] * (100 - STOPS_A_TOPIC_MAX)
    assert office.heard.failed == refused
    office.downlink.send("stim-02", stop(1_000))
    office.downlink.send(ALL, stop(1_001))
    office.downlink.clear_stop(DEVICE, RELEASE)
    assert office.heard.failed == refused
    office.downlink.attach(office.wire)
    assert [office.wire.channels.count(f"{where}/stop") for where in (DEVICE, "stim-02", ALL)] == [17, 1, 1]
    office.downlink.send(DEVICE, stop(200))  # those before are under way: there is room again
    assert office.wire.sent[-1].payload == encode(stop(200))


def test_what_was_not_acknowledged_goes_out_again_first_and_in_order(office: Office) -> None:
    office.downlink.attach(office.wire)
    office.downlink.send(DEVICE, settings(1))
    office.downlink.send(DEVICE, stop(1))
    office.downlink.send(DEVICE, cancel(1))
    office.downlink.acknowledged(1, 0)
    office.downlink.detach()
    office.downlink.send(DEVICE, cancel(2))
    office.downlink.send(DEVICE, stop(2))
    again = Wire()
    office.downlink.attach(again)
    assert [sent.payload for sent in again.sent[:2]] == [office.wire.sent[1].payload, encode(stop(2))]
    assert again.channels == [f"{DEVICE}/{c}" for c in ("stop", "stop", "cancel", "cancel")]
    office.downlink.acknowledged(99, 0)  # an answer to the connection before: nobody's
    assert office.downlink.waiting == 4


def test_no_more_are_under_way_than_the_broker_takes(office: Office) -> None:
    office.wire.unacknowledged_max = 2
    office.downlink.attach(office.wire)
    for n in range(5):
        office.downlink.send(DEVICE, cancel(n))
    assert len(office.wire.sent) == 2
    office.downlink.send(DEVICE, stop(1))
    office.downlink.acknowledged(1, 0)
    assert office.wire.channels[2] == f"{DEVICE}/stop"
    for packet_id in range(2, 7):
        office.downlink.acknowledged(packet_id, 0)
    assert len(office.wire.sent) == 6
    assert office.downlink.waiting == 0


def test_what_expires_while_it_waits_is_reported(office: Office) -> None:
    office.downlink.send(DEVICE, cancel(1))
    office.now_s += 20.5
    office.downlink.send(DEVICE, cancel(2))
    office.now_s += 9.5
    office.downlink.attach(office.wire)
    assert [sent.expiry_s for sent in office.wire.sent] == [21]  # 30 s less 9.5 s, in whole seconds as MQTT counts
    assert office.heard.failed == [(DEVICE, Channel.CANCEL, Undelivered.EXPIRED)]


def test_a_full_outbox_refuses_aloud(tmp_path: Path) -> None:
    office = Office(tmp_path, items_max=2)
    for n in (1, 2, 3):
        office.downlink.send(DEVICE, cancel(n))
    office.downlink.send(DEVICE, stop(1))
    office.downlink.send(ALL, stop(2))
    office.downlink.send("stim-02", stop(3))
    office.downlink.send(DEVICE, stop(1))  # waits already
    assert office.heard.failed == [
        (DEVICE, Channel.CANCEL, Undelivered.OUTBOX_FULL),
        ("stim-02", Channel.STOP, Undelivered.OUTBOX_FULL),
    ]


def test_a_device_without_keys_is_sent_nothing_but_a_bare_stop(office: Office) -> None:
    """It may have been struck off a moment ago, with current flowing: a stop needs no MAC to be obeyed."""
    office.downlink.attach(office.wire)
    office.downlink.send("stim-99", cancel(1))
    office.downlink.send("stim-99", LEASE)
    assert office.wire.sent == []
    assert office.heard.failed == [
        ("stim-99", Channel.CANCEL, Undelivered.NO_KEY),
        ("stim-99", Channel.LEASE, Undelivered.NO_KEY),
    ]
    office.downlink.send("stim-99", stop(1))
    assert office.wire.sent == [Sent("stim-99/stop", encode(stop(1)), True, None)]


@pytest.mark.parametrize(("code", "why"), [(0x87, Undelivered.DENIED), (0x97, Undelivered.REFUSED)])
def test_what_the_broker_does_not_take_is_reported(office: Office, code: int, why: Undelivered) -> None:
    office.downlink.attach(office.wire)
    office.downlink.send(DEVICE, stop(1))
    office.downlink.acknowledged(1, code)
    assert office.heard.failed == [(DEVICE, Channel.STOP, why)]
    assert office.heard.taken == []
    assert office.downlink.waiting == 0


async def test_a_device_gets_what_was_sent_and_a_hold_stays_until_it_is_cleared(tmp_path: Path) -> None:
    office = Office(tmp_path)
    with office.clinic.mosquitto:
        safety = await Connection.open(office.clinic.endpoint(FLEET_SAFETY), acknowledged=office.downlink.acknowledged)
        office.downlink.attach(safety)
        device = office.clinic.device(DEVICE)
        await device.connect()
        release = Release(1, 1, 5, "c" * 32, Scope.DEVICE, (), "anna")
        for message in (LEASE, settings(1), receipt(3), release, stop(1)):
            office.downlink.send(DEVICE, message)
        await eventually(lambda: len(device.heard) == 5)
        assert device.messages(Lease) == [LEASE]
        assert device.messages(Settings) == [settings(1)]
        assert device.messages(Receipt) == [receipt(3)]
        assert device.messages(Release) == [release]
        (stopped,) = device.stops()
        assert stopped.fields == stop(1)
        await eventually(lambda: office.downlink.waiting == 0)
        assert [taken.hold_id for taken in office.heard.taken] == [stopped.hold_id]

        later = office.clinic.device(DEVICE)
        await later.connect()  # it takes the name over; the hold waits for it
        await eventually(lambda: later.stops() == [stopped])
        office.downlink.clear_stop(DEVICE, RELEASE)
        await eventually(lambda: [cleared.command_id for cleared in office.heard.cleared] == [RELEASE])
        last = office.clinic.device(DEVICE)
        await last.connect()
        await eventually(lambda: last.messages(Settings))  # retained too, so it comes when the stop would have come
        assert last.stops() == []
        for connection in (device.connection, later.connection, last.connection, safety):
            await connection.close()


async def test_a_broker_that_denies_the_fleet_is_found_out(tmp_path: Path) -> None:
    """An ACL that is not ours, e.g. restored from a backup: the stop is reported as denied, not taken for sent."""
    office = Office(tmp_path)
    with office.clinic.mosquitto:
        safety = await Connection.open(office.clinic.endpoint(FLEET_SAFETY), acknowledged=office.downlink.acknowledged)
        office.downlink.attach(safety)
        (office.clinic.site_dir / "broker" / "acl").write_text("user somebody-else\ntopic read x\n")
        os.kill(office.clinic.mosquitto.pid, signal.SIGHUP)
        sent = 0
        while not office.heard.failed:  # Mosquitto says nowhere that it has read its list again
            office.downlink.send(DEVICE, stop(sent := sent + 1))
            await eventually(lambda: office.downlink.waiting == 0)
        assert office.heard.failed == [(DEVICE, Channel.STOP, Undelivered.DENIED)]
        assert len(office.heard.taken) == sent - 1
        await safety.close()


def test_every_message_that_is_no_lease_is_known_by_its_command(office: Office) -> None:
    """Two different commands on one topic never take each other's place."""
    office.downlink.send(DEVICE, replace(cancel(1), session_id="d" * 32))
    office.downlink.send(DEVICE, cancel(2))
    assert office.downlink.waiting == 2
