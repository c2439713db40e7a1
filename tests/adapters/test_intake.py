"""What devices and others send, up to the inbox: nothing that is not authentic and well-formed becomes an input."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.contract.messages import Presence
from broker.contract.topics import Channel, topic_for
from broker.pki.devices import drop_old_keys, renew_device, strike_off
from broker.pki.link import device_links, load_papers, site_links
from broker.pki.registry_file import load_registry
from broker.wire import sealed
from fleet.adapters.echo import Echo
from fleet.adapters.intake import Intake, Item
from fleet.core.inputs import Received, Rejected, Unreadable
from fleet.frames import Arrived
from fleet.keyring import Keyring
from tests.adapters.clinic import NOW, SITE, Clinic, WireDevice


class Room:
    """An inbox with room for so many."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.full = False

    def offer(self, item: Item) -> bool:
        if not self.full:
            self.items.append(item)
        return not self.full

    def put(self, item: Item) -> None:
        self.items.append(item)


class Desk:
    """An intake with its clocks, its inbox and two devices."""

    def __init__(self, folder: Path) -> None:
        self.clinic = Clinic(folder)
        self.now_s = 100.0
        self.inbox = Room()
        self.keyring = Keyring(self.links())
        self.echo = Echo("a", lambda: 1)
        self.intake = Intake(
            SITE,
            self.keyring,
            self.inbox,
            heard_echo=self.echo.heard,
            boottime=lambda: self.now_s,
            walltime=lambda: 1e9,
        )

    def links(self) -> Any:
        return site_links(self.clinic.site_dir, load_registry(self.clinic.site_dir))

    def device(self, name: str = "stim-01") -> WireDevice:
        return self.clinic.device(name)

    def hears(self, packet: sealed.Packet, *, retained: bool = False, **changed: Any) -> list[Item]:
        """What becomes of one packet."""
        before = len(self.inbox.items)
        arrived = Arrived(packet.topic, packet.payload, packet.qos, retained, packet.user_properties)
        self.intake.hear(replace(arrived, **changed))
        return self.inbox.items[before:]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def packed(device: WireDevice, message: Any) -> sealed.Packet:
    return sealed.pack(SITE, device.name, message, next(iter(device._links.values())))


def test_an_authentic_message_comes_in_with_both_clocks(desk: Desk) -> None:
    device = desk.device()
    sample, birth = device.sample(), device.birth()
    assert desk.hears(packed(device, sample)) == [Received("stim-01", sample, 100.0, 1e9, False)]
    assert desk.hears(packed(device, birth), retained=True) == [Received("stim-01", birth, 100.0, 1e9, True)]
    assert not desk.intake.counts


def test_a_cleared_birth_says_nothing(desk: Desk) -> None:
    topic = topic_for(SITE, "stim-01", Channel.BIRTH)
    assert desk.hears(sealed.Packet(topic, b"", 1, True, None, ())) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda packet: replace(packet, user_properties=()), "no_mac"),
        (lambda packet: replace(packet, payload=packet.payload.replace(b'"idle"', b'"armed"')), "bad_mac"),
        (lambda packet: replace(packet, topic=packet.topic.replace("stim-01", "stim-02")), "unknown_kid"),
        (lambda packet: replace(packet, topic=packet.topic.replace("stim-01", "stim-99")), "unknown_device"),
        (lambda packet: replace(packet, topic=packet.topic.replace("north", "south")), "other_site"),
        (lambda packet: replace(packet, topic=packet.topic.replace("telemetry", "stop")), "wrong_direction"),
        (lambda packet: replace(packet, topic="stim/v1/north/stim-01/telemetry/more"), "not_a_topic"),
        (lambda packet: replace(packet, payload=b" " * 9000), "too_large"),
    ],
)
def test_what_is_not_authentic_is_rejected_and_counted(desk: Desk, spoil: Any, reason: str) -> None:
    device = desk.device()
    (rejected,) = desk.hears(spoil(packed(device, device.sample())))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert [(found, count) for (_, found), count in desk.intake.counts.items()] == [(reason, 1)]


@pytest.mark.parametrize("channel", [Channel.EVENT, Channel.BIRTH, Channel.PRESENCE])
def test_what_the_broker_could_not_hold_back_is_refused(desk: Desk, channel: Channel) -> None:
    """At QoS 0 a flood of authentic, well-formed events would come in as fast as a device can write."""
    device = desk.device()
    said = {Channel.EVENT: device.event(), Channel.BIRTH: device.birth(), Channel.PRESENCE: Presence(1, True)}
    packet = packed(device, said[channel])
    for _ in range(50):
        desk.hears(packet, qos=0)
    assert desk.inbox.items == [Rejected("stim-01", channel, "wrong_qos", 100.0, 1e9)]
    assert desk.intake.counts == {(channel, "wrong_qos"): 50}
    assert len(desk.hears(packet)) == 1  # at QoS 1


def test_an_unreadable_event_that_the_broker_could_not_hold_back_is_refused(desk: Desk) -> None:
    packet = desk.device().seal(Channel.EVENT, b"{}")
    for _ in range(50):
        desk.hears(packet, qos=0)
    assert desk.inbox.items == [Rejected("stim-01", Channel.EVENT, "missing_key", 100.0, 1e9)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{}", "missing_key"),
        (b"\xff\xfe", "not_utf8"),
        (b"[" * 5000, "not_json"),
        (b'{"boot_n":1,"online":"true"}', "wrong_type"),
        (b'{"boot_n":1,"online":true,"more":1}', "unknown_key"),
        (b'{"boot_n":1,"boot_n":1,"online":true}', "duplicate_key"),
        (b'{"boot_n":NaN,"online":true}', "not_finite"),
        (b'{"boot_n":0,"online":true}', "out_of_range"),
    ],
)
def test_what_is_authentic_and_malformed_is_rejected_too(desk: Desk, payload: bytes, reason: str) -> None:
    (rejected,) = desk.hears(desk.device().seal(Channel.PRESENCE, payload))
    assert isinstance(rejected, Rejected)
    assert (rejected.device, rejected.channel) == ("stim-01", Channel.PRESENCE)
    assert rejected.reason == reason or payload.startswith(b'{"boot_n":NaN')  # a parser may say not_json to a NaN


@pytest.mark.parametrize(
    ("said", "spool_id", "n"),
    [
        ({"spool_id": "5" * 32, "n": 7}, "5" * 32, 7),
        ({"spool_id": "5" * 31, "n": 7}, None, 7),
        ({"spool_id": "5" * 32, "n": 0}, "5" * 32, None),
        ({"spool_id": "5" * 32, "n": True}, "5" * 32, None),
        ({"spool_id": ["5" * 32], "n": 2**60}, None, None),
        ([], None, None),
    ],
)
def test_an_unreadable_event_is_handed_on_with_its_place(desk: Desk, said: Any, spool_id: Any, n: Any) -> None:
    payload = json.dumps(said).encode()
    digest = hashlib.sha256(payload).hexdigest()
    items = desk.hears(desk.device().seal(Channel.EVENT, payload))
    assert items == [Unreadable("stim-01", spool_id, n, digest, 100.0, 1e9)]


def test_an_event_that_is_no_json_at_all_is_handed_on_without_its_place(desk: Desk) -> None:
    for payload in (b"no json", b"[" * 5000):
        digest = hashlib.sha256(payload).hexdigest()
        items = desk.hears(desk.device().seal(Channel.EVENT, payload))
        assert items == [Unreadable("stim-01", None, None, digest, 100.0, 1e9)]


def test_a_burst_of_forgeries_reaches_the_inbox_once_a_second_and_is_counted_in_full(desk: Desk) -> None:
    device = desk.device()
    forged = replace(packed(device, device.sample()), user_properties=())
    assert sum(len(desk.hears(forged)) for _ in range(500)) == 1
    desk.now_s += 0.999
    assert desk.hears(forged) == []
    desk.now_s += 0.001
    assert len(desk.hears(forged)) == 1
    assert desk.intake.counts == {(Channel.TELEMETRY, "no_mac"): 502}


def test_forgeries_under_ever_new_names_grow_nothing(desk: Desk) -> None:
    for n in range(5_000):
        desk.intake.hear(Arrived(topic_for(SITE, f"x{n}", Channel.TELEMETRY), b"x", 0, False, ()))
    assert len(desk.intake._rejected_s) == 4_096
    assert desk.intake.counts == {(Channel.TELEMETRY, "unknown_device"): 5_000}


def test_a_full_inbox_sheds_telemetry_and_nothing_else(desk: Desk) -> None:
    device = desk.device()
    desk.inbox.full = True
    event, presence = device.event(), Presence(1, True)
    assert desk.hears(packed(device, device.sample())) == []
    assert desk.hears(packed(device, event)) == [Received("stim-01", event, 100.0, 1e9, False)]
    assert desk.hears(packed(device, presence)) == [Received("stim-01", presence, 100.0, 1e9, False)]
    assert desk.intake.counts == {(Channel.TELEMETRY, "shed"): 1}


def test_a_device_struck_off_is_not_heard_any_more(desk: Desk) -> None:
    device = desk.device()
    strike_off(desk.clinic.site_dir, "stim-01")
    desk.keyring.exchange(desk.links())
    (rejected,) = desk.hears(packed(device, device.sample()))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "unknown_device"
    assert desk.keyring.answering("stim-01") is None


def test_a_device_is_answered_under_the_keys_that_it_speaks_under(desk: Desk) -> None:
    old = desk.device()
    (old_kid,) = old._links
    renewed = desk.clinic.folder / "renewed"
    renew_device(desk.clinic.site_dir, desk.clinic.folder / "ca", "stim-01", renewed, now=NOW, new_key=True)
    desk.keyring.exchange(desk.links())
    (new_kid,) = set(desk.keyring["stim-01"]) - {old_kid}

    def answers() -> str:
        keys = desk.keyring.answering("stim-01")
        assert keys is not None
        return keys.kid

    assert answers() == new_kid  # nothing heard yet: the newest
    desk.hears(packed(old, old.sample()))
    assert answers() == old_kid
    drop_old_keys(desk.clinic.site_dir, "stim-01")
    desk.keyring.exchange(desk.links())
    assert answers() == new_kid
    assert old_kid not in desk.keyring["stim-01"]


def test_an_echo_is_the_echos_business(desk: Desk) -> None:
    topic = desk.intake.topics[-1][0]
    assert topic == "stim/v1/north/fleet/echo"
    desk.echo.begin()
    beat = desk.echo.beat()
    assert desk.echo.misses == 1
    assert desk.hears(sealed.Packet(topic, beat, 0, False, None, ())) == []
    assert desk.echo.misses == 0
    (rejected,) = desk.hears(sealed.Packet(topic, b"[]", 0, False, None, ()))
    assert rejected == Rejected(None, Channel.ECHO, "not_an_echo", 100.0, 1e9)


def test_the_devices_papers_and_the_sites_registry_make_the_same_keys(desk: Desk) -> None:
    papers = load_papers(desk.clinic.folder / "stim-02")
    assert dict(desk.keyring["stim-02"]) == device_links(papers)
    assert set(desk.keyring) == {"stim-01", "stim-02"}
    assert len(desk.keyring) == 2
