"""PUBLISH packets against the standard (MQTT 5, section 3.3): by hand, by another implementation, and spoilt."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fleet.frames import Arrived, MalformedFrame, length_of, puback_frame, publish_frame, published

# "a/b", QoS 1 and retained, packet id 10, properties of 12 bytes: expiry of 30 s and the pair ("k", "v"); payload "hi".
BY_HAND = bytes.fromhex("33 16 0003612f62 000a 0c 020000001e 2600016b000176 6869")
SAID: dict[str, Any] = {"qos": 1, "retain": True, "packet_id": 10, "expiry_s": 30, "user_properties": (("k", "v"),)}


def opened(frame: bytes) -> tuple[Arrived, int]:
    """What a whole frame says, its length read by the rule of section 1.5.5."""
    length, at = 0, 1
    while True:
        length |= (frame[at] & 0x7F) << 7 * (at - 1)
        at += 1
        if frame[at - 1] < 0x80:
            break
    assert len(frame) == at + length
    return published(frame[0], frame[at:])


def test_a_frame_written_by_hand_reads_as_what_it_says_and_is_written_so() -> None:
    assert opened(BY_HAND) == (Arrived("a/b", b"hi", 1, True, (("k", "v"),)), 10)
    assert publish_frame("a/b", b"hi", **SAID) == BY_HAND


@given(
    topic=st.text(min_size=1, max_size=200),
    payload=st.binary(max_size=20_000),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    expiry_s=st.none() | st.integers(0, 2**32 - 1),
    pairs=st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=5),
)
def test_whatever_is_written_reads_back(
    topic: str, payload: bytes, qos: int, retain: bool, expiry_s: int | None, pairs: list[tuple[str, str]]
) -> None:
    frame = publish_frame(
        topic, payload, qos=qos, retain=retain, packet_id=777, expiry_s=expiry_s, user_properties=pairs
    )
    assert opened(frame) == (Arrived(topic, payload, qos, retain, tuple(pairs)), 777 * qos)


def test_whatever_else_a_publisher_may_add_is_passed_over() -> None:
    """Written by another implementation: every property that a PUBLISH may carry from a broker to us."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho types it only in part
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 77
    properties.ContentType = "application/json"
    properties.ResponseTopic = "somewhere/else"
    properties.CorrelationData = b"\x00\xff"
    properties.SubscriptionIdentifier = 300
    properties.UserProperty = [("mac", "ab"), ("kid", "cd")]
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call] # the same
    body = b"\x00\x03a/b" + packed + b"payload"
    assert published(0x30, body) == (Arrived("a/b", b"payload", 0, False, (("mac", "ab"), ("kid", "cd"))), 0)


def test_what_is_no_utf8_in_a_user_property_spoils_the_message_and_nothing_else() -> None:
    body = b"\x00\x01a" + b"\x07\x26\x00\x01\xff\x00\x01v" + b"x"
    (arrived, _) = published(0x30, body)
    assert arrived.user_properties == (("�", "v"),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00\x05ab",  # the topic ends too early
        b"\x00\x01a",  # no properties
        b"\x00\x01\xff\x00",  # a topic that is no UTF-8
        b"\x00\x01a\x05\x26\x00",  # properties end too early
        b"\x00\x01a\x80\x80",  # a length without an end
        b"\x00\x01a\x03\x23\x00\x01",  # a topic alias, which we do not allow
        b"\x00\x01a\x02\x02\x00\x00\x00\x00",  # an expiry that is longer than the properties
        b"\x00\x01a\x06\x26\x00\x09k\x00\x01v",  # a name that is longer than the properties
    ],
)
def test_what_is_no_publish_is_told(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        published(0x30, body)


@given(st.sampled_from([0x30, 0x31, 0x32, 0x33]), st.binary(max_size=60))
def test_no_bytes_do_anything_but_read_or_be_refused(first: int, body: bytes) -> None:
    try:
        arrived, packet_id = published(first, body)
    except MalformedFrame:
        return
    assert body.endswith(arrived.payload)
    assert 0 <= packet_id <= 0xFFFF


@pytest.mark.parametrize(
    ("number", "octets"), [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001")]
)
def test_lengths_are_those_of_the_standard(number: int, octets: str) -> None:
    """The boundaries of table 1-1 of section 1.5.5."""
    assert length_of(number).hex() == octets


def test_a_puback_names_its_packet() -> None:
    assert puback_frame(513) == bytes([0x40, 2]) + struct.pack(">H", 513)
