"""Packets: what goes out carries all that the contract asks for, what comes in is believed only as far as it may be."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import Lease, Message, Stop
from broker.contract.topics import CHANNELS, Address, Channel, Direction, NotATopic, topic_for
from broker.wire.codec import Malformed, UnencodableMessage, encode
from broker.wire.examples import DEVICE, EXAMPLES, SITE
from broker.wire.mac import seal
from broker.wire.sealed import Cleared, Opener, Packet, Received, Refused, RefusedFor, Stopped, hold_id_of, pack
from broker.wire.vector_keys import vector_link
from broker.wire.vectors import vectors

LINK = vector_link()
RENEWED = vector_link("device", "renewed site")
RING = {DEVICE: {RENEWED.kid: RENEWED, LINK.kid: LINK}}
AGENT = Opener(SITE, Direction.DOWNLINK, RING)
FLEET = Opener(SITE, Direction.UPLINK, RING)
STOP = Stop("c0ffee12" * 4, Cause.EMERGENCY_STOP, hold=True, issued_by="ana", issued_at="2026-11-23T09:30:00.000Z")
STOP_TOPIC = topic_for(SITE, DEVICE, Channel.STOP)
ALL_STOP = "stim/v1/north/all/stop"
# contract.md's two tables, written out by hand: QoS, retained, expiry in seconds
UPLINKS = {
    "birth": (1, True, None),
    "presence": (1, True, None),
    "telemetry": (0, False, None),
    "event": (1, False, None),
    "ack": (1, False, None),
}
DOWNLINKS = {
    "lease": (0, False, None),
    "authorisation": (1, False, 30),
    "cancel": (1, False, 30),
    "stop": (1, True, None),
    "release": (1, False, 30),
    "settings": (1, True, None),
    "receipt": (1, False, None),
}


def opener(channel: Channel) -> Opener:
    return FLEET if channel in UPLINKS else AGENT


def opened(packet: Packet) -> Any:
    """By whichever side listens to it."""
    return opener(Channel(packet.topic.rsplit("/", 1)[1])).open(packet.topic, packet.payload, packet.user_properties)


def sealed_bytes(channel: Channel, payload: bytes) -> tuple[str, bytes, tuple[tuple[str, str], ...]]:
    topic = topic_for(SITE, DEVICE, channel)
    made = seal(LINK, CHANNELS[channel].direction, topic, payload)
    return topic, payload, (("mac", made.mac), ("kid", made.kid))


# --- out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", EXAMPLES)
def test_a_packet_has_its_channels_topic_qos_retention_and_expiry(channel: Channel) -> None:
    packet = pack(SITE, DEVICE, EXAMPLES[channel], LINK)
    expected = (UPLINKS | DOWNLINKS)[channel.value]
    assert packet.topic == f"stim/v1/north/stim-12/{channel.value}"
    assert (packet.qos, packet.retain, packet.expiry_s) == expected
    assert [name for name, _ in packet.user_properties] == ["mac", "kid"]


def test_a_stop_that_is_no_hold_is_not_retained() -> None:
    assert not pack(SITE, DEVICE, replace(STOP, hold=False), LINK).retain


def test_the_site_wide_stop_never_carries_a_mac_and_everything_else_does() -> None:
    assert pack(SITE, "all", STOP, None).user_properties == ()
    with pytest.raises(ValueError, match="MAC"):
        pack(SITE, "all", STOP, LINK)
    with pytest.raises(ValueError, match="MAC"):
        pack(SITE, DEVICE, STOP, None)
    with pytest.raises(NotATopic):
        pack(SITE, "all", EXAMPLES[Channel.LEASE], None)


def test_what_its_own_rules_refuse_is_not_packed() -> None:
    with pytest.raises(UnencodableMessage):
        pack(SITE, DEVICE, Lease(1, 1, "no session", 1, 5000), LINK)


# --- in -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", [channel for channel in EXAMPLES if channel is not Channel.STOP])
def test_what_was_packed_is_received(channel: Channel) -> None:
    received = opened(pack(SITE, DEVICE, EXAMPLES[channel], LINK))
    assert received == Received(Address(SITE, DEVICE, channel), EXAMPLES[channel], LINK.kid)


@pytest.mark.parametrize("link", [LINK, RENEWED], ids=["old site key", "new site key"])
def test_during_a_rotation_both_keys_are_good(link: Any) -> None:
    assert isinstance(opened(pack(SITE, DEVICE, EXAMPLES[Channel.LEASE], link)), Received)


@pytest.mark.parametrize("vector", vectors()["mac"]["bad"], ids=lambda vector: str(vector["name"]))
def test_a_bad_packet_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    pairs = [(name, value) for name, value in vector["user_properties"]]
    refused = AGENT.open(vector["topic"], vector["payload"].encode(), pairs)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.authentic) == (vector["reason"], False)


@pytest.mark.parametrize("vector", vectors()["mac"]["good"], ids=lambda vector: str(vector["name"]))
def test_a_good_packet_is_authentic_whatever_it_says(vector: dict[str, Any]) -> None:
    pairs = [(name, value) for name, value in vector["user_properties"]]
    side = FLEET if vector["direction"] == "uplink" else AGENT
    result = side.open(vector["topic"], vector["payload"].encode(), pairs)
    authentic = isinstance(result, Received | Stopped) or (isinstance(result, Refused) and result.authentic)
    assert authentic


def test_further_user_properties_change_nothing() -> None:
    packet = pack(SITE, DEVICE, EXAMPLES[Channel.LEASE], LINK)
    pairs = (("traceparent", "00-1"), *packet.user_properties, ("x", "y"))
    assert isinstance(AGENT.open(packet.topic, packet.payload, pairs), Received)


def test_an_authentic_but_unreadable_event_is_refused_as_such_so_that_it_can_be_receipted() -> None:
    refused = FLEET.open(*sealed_bytes(Channel.EVENT, b"no JSON"))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.authentic) == (Malformed.NOT_JSON, True)
    assert refused.address == Address(SITE, DEVICE, Channel.EVENT)


def test_nothing_of_a_payload_is_parsed_before_its_mac_is_good() -> None:
    refused = FLEET.open(topic_for(SITE, DEVICE, Channel.EVENT), b"no JSON", ())
    assert isinstance(refused, Refused)
    assert refused.reason is RefusedFor.NO_MAC


def test_a_payload_above_8_kib_is_not_even_hashed() -> None:
    refused = FLEET.open(*sealed_bytes(Channel.EVENT, b" " * 8193))
    assert isinstance(refused, Refused)
    assert refused.reason is RefusedFor.TOO_LARGE


def test_a_payload_of_exactly_8_kib_is_read() -> None:
    presence = encode(EXAMPLES[Channel.PRESENCE])
    received = FLEET.open(*sealed_bytes(Channel.PRESENCE, presence.rjust(8192)))
    assert received == Received(Address(SITE, DEVICE, Channel.PRESENCE), EXAMPLES[Channel.PRESENCE], LINK.kid)


@pytest.mark.parametrize("channel", ["birth", "presence", "settings"])
def test_an_empty_message_where_one_is_retained_says_nothing(channel: str) -> None:
    topic = f"stim/v1/north/stim-12/{channel}"
    assert opener(Channel(channel)).open(topic, b"", ()) == Cleared(Address(SITE, DEVICE, Channel(channel)))


def test_an_empty_message_elsewhere_is_refused() -> None:
    assert isinstance(AGENT.open("stim/v1/north/stim-12/lease", b"", ()), Refused)
    refused = AGENT.open(*sealed_bytes(Channel.LEASE, b""))
    assert isinstance(refused, Refused)
    assert refused.reason is Malformed.EMPTY


def test_the_echo_is_no_message_of_either_side() -> None:
    for side in (AGENT, FLEET):
        refused = side.open("stim/v1/north/fleet/echo", b"1", ())
        assert isinstance(refused, Refused)
        assert refused.reason is RefusedFor.WRONG_DIRECTION


# --- stops ----------------------------------------------------------------------------------------------------------


def test_an_authentic_stop_is_believed() -> None:
    packet = pack(SITE, DEVICE, STOP, LINK)
    stopped = AGENT.open(packet.topic, packet.payload, packet.user_properties)
    assert stopped == Stopped(Address(SITE, DEVICE, Channel.STOP), hold_id_of(packet.payload), STOP)


@given(st.binary(min_size=1, max_size=64), st.lists(st.tuples(st.text(max_size=4), st.text(max_size=40)), max_size=3))
@settings(max_examples=200)
def test_any_bytes_on_a_stop_topic_stop_and_none_of_them_is_believed(
    payload: bytes, pairs: list[tuple[str, str]]
) -> None:
    for topic in (STOP_TOPIC, ALL_STOP):
        stopped = AGENT.open(topic, payload, pairs)
        assert isinstance(stopped, Stopped)
        assert stopped.fields is None


@pytest.mark.parametrize(
    ("payload", "pairs", "why"),
    [
        (encode(STOP), (), RefusedFor.NO_MAC),
        (encode(STOP), (("mac", "0" * 32), ("kid", LINK.kid)), RefusedFor.BAD_MAC),
        (encode(STOP), (("mac", "0" * 32), ("kid", "0" * 8)), RefusedFor.UNKNOWN_KID),
        (b"x" * 9000, (), RefusedFor.TOO_LARGE),
    ],
    ids=["no mac", "bad mac", "unknown kid", "too large"],
)
def test_a_stop_without_a_good_mac_says_why_it_is_bare(payload: bytes, pairs: Any, why: RefusedFor) -> None:
    stopped = AGENT.open(STOP_TOPIC, payload, pairs)
    assert stopped == Stopped(Address(SITE, DEVICE, Channel.STOP), hold_id_of(payload), None, why)


def test_an_authentic_stop_that_cannot_be_read_is_a_bare_stop() -> None:
    stopped = AGENT.open(*sealed_bytes(Channel.STOP, b'{"command_id":'))
    assert isinstance(stopped, Stopped)
    assert (stopped.fields, stopped.why_bare) == (None, Malformed.NOT_JSON)


def test_the_site_wide_stop_is_never_believed_even_under_a_macs_disguise() -> None:
    payload = encode(STOP)
    forged = seal(LINK, Direction.DOWNLINK, ALL_STOP, payload)
    stopped = AGENT.open(ALL_STOP, payload, (("mac", forged.mac), ("kid", forged.kid)))
    assert stopped == Stopped(Address(SITE, "all", Channel.STOP), hold_id_of(payload), None)


def test_an_empty_stop_is_a_hold_that_was_cleared_and_stops_nothing() -> None:
    for topic, device in ((STOP_TOPIC, DEVICE), (ALL_STOP, "all")):
        assert AGENT.open(topic, b"", ()) == Cleared(Address(SITE, device, Channel.STOP))


def test_another_devices_stop_is_not_ours() -> None:
    refused = AGENT.open("stim/v1/north/stim-13/stop", b"x", ())
    assert isinstance(refused, Refused)
    assert refused.reason is RefusedFor.UNKNOWN_DEVICE


def test_a_holds_id_is_the_first_eight_bytes_of_sha_256_of_its_payload() -> None:
    """`abc` is FIPS 180-4's own example."""
    assert hold_id_of(b"abc") == "ba7816bf8f01cfea"


# --- whatever comes -------------------------------------------------------------------------------------------------


@given(
    st.one_of(st.text(max_size=60), st.sampled_from([f"stim/v1/north/stim-12/{channel}" for channel in Channel])),
    st.binary(max_size=100),
    st.lists(st.tuples(st.sampled_from(["mac", "kid", "x"]), st.text(max_size=32)), max_size=4),
)
@settings(max_examples=300)
def test_no_packet_crashes_either_side_and_none_of_chance_is_received(
    topic: str, payload: bytes, pairs: list[tuple[str, str]]
) -> None:
    for side in (AGENT, FLEET):
        assert not isinstance(side.open(topic, payload, pairs), Received)


def test_a_refusal_never_repeats_topic_or_payload() -> None:
    for refused in (
        AGENT.open("stim/v1/SECRET/x/lease", b"SECRET", ()),
        AGENT.open("SECRET", b"SECRET", ()),
        AGENT.open("stim/v1/north/stim-12/lease", b"SECRET", (("mac", "SECRET"), ("kid", "SECRET"))),
        FLEET.open(*sealed_bytes(Channel.EVENT, b'{"SECRET":1}')),
    ):
        assert isinstance(refused, Refused)
        assert "SECRET" not in refused.text


def test_every_message_has_one_way() -> None:
    """What an agent hears the fleet does not, and the other way round."""
    for channel, message in EXAMPLES.items():
        example: Message = message
        packet = pack(SITE, DEVICE, example, LINK)
        other_side = AGENT if opener(channel) is FLEET else FLEET
        refused = other_side.open(packet.topic, packet.payload, packet.user_properties)
        assert isinstance(refused, Refused)
        assert refused.reason is RefusedFor.WRONG_DIRECTION
