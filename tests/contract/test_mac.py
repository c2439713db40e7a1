"""Keys and MACs: both ends agree, and nobody else does."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract.topics import Direction, NotATopic, parse_topic
from broker.wire.mac import LinkKeys, Seal, by_kid, device_link, kid_of, seal, site_link, verify
from tests.contract import by_hand

DEVICE_KEY = ec.derive_private_key(0x1234567, ec.SECP256R1())
SITE_KEY = ec.derive_private_key(0x7654321, ec.SECP256R1())
LINK = device_link(DEVICE_KEY, SITE_KEY.public_key(), "north", "stim-12")
TOPIC = "stim/v1/north/stim-12/lease"


def test_device_and_fleet_derive_the_same_keys() -> None:
    assert site_link(SITE_KEY, DEVICE_KEY.public_key(), "north", "stim-12") == LINK


def test_they_are_those_that_arithmetic_by_hand_derives() -> None:
    generator = (by_hand.GX, by_hand.GY)
    device, site = by_hand.times(0x1234567, generator), by_hand.times(0x7654321, generator)
    points = by_hand.point_bytes(device).hex(), by_hand.point_bytes(site).hex()
    expected = by_hand.derived(0x1234567, site, *points, "north/stim-12")
    assert (LINK.kid, LINK.up.hex(), LINK.down.hex()) == (expected["kid"], expected["up_key"], expected["down_key"])


@pytest.mark.parametrize(
    "other",
    [
        device_link(DEVICE_KEY, SITE_KEY.public_key(), "north", "stim-13"),
        device_link(DEVICE_KEY, SITE_KEY.public_key(), "south", "stim-12"),
        device_link(ec.derive_private_key(3, ec.SECP256R1()), SITE_KEY.public_key(), "north", "stim-12"),
    ],
    ids=["other device", "other site", "other key"],
)
def test_another_link_shares_no_key(other: LinkKeys) -> None:
    assert {other.up, other.down}.isdisjoint({LINK.up, LINK.down})


def test_up_and_down_are_different_keys_of_32_bytes() -> None:
    assert LINK.up != LINK.down
    assert (len(LINK.up), len(LINK.down)) == (32, 32)


def test_the_order_of_the_keys_counts_for_the_kid() -> None:
    assert kid_of(DEVICE_KEY.public_key(), SITE_KEY.public_key()) == LINK.kid
    assert kid_of(SITE_KEY.public_key(), DEVICE_KEY.public_key()) != LINK.kid


def test_several_pairs_of_keys_are_told_apart_by_kid() -> None:
    renewed = device_link(DEVICE_KEY, ec.derive_private_key(5, ec.SECP256R1()).public_key(), "north", "stim-12")
    ring = by_kid([renewed, LINK])
    assert (ring[LINK.kid], ring[renewed.kid], list(ring)) == (LINK, renewed, [renewed.kid, LINK.kid])


@given(st.binary(max_size=200))
def test_a_seal_is_32_hex_of_mac_and_8_of_kid_and_verifies(payload: bytes) -> None:
    for direction in (Direction.UPLINK, Direction.DOWNLINK):
        sealed = seal(LINK, direction, TOPIC, payload)
        assert (len(sealed.mac), len(sealed.kid)) == (32, 8)
        assert sealed == Seal(sealed.mac.lower(), LINK.kid)
        assert verify(LINK, direction, TOPIC, payload, sealed.mac)


@given(st.data(), st.binary(min_size=1, max_size=64))
@settings(max_examples=200)
def test_any_altered_bit_is_noticed(data: st.DataObject, payload: bytes) -> None:
    mac = seal(LINK, Direction.DOWNLINK, TOPIC, payload).mac
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    altered = bytearray(payload)
    altered[bit // 8] ^= 1 << bit % 8
    assert not verify(LINK, Direction.DOWNLINK, TOPIC, bytes(altered), mac)
    assert not verify(LINK, Direction.DOWNLINK, TOPIC + "s", payload, mac)
    assert not verify(LINK, Direction.UPLINK, TOPIC, payload, mac)
    place = data.draw(st.integers(0, 31))
    flipped = mac[:place] + f"{int(mac[place], 16) ^ 1:x}" + mac[place + 1 :]
    assert not verify(LINK, Direction.DOWNLINK, TOPIC, payload, flipped)


@given(st.text(max_size=40))
def test_a_mac_of_chance_is_refused_and_crashes_nothing(mac: str) -> None:
    assert not verify(LINK, Direction.DOWNLINK, TOPIC, b"{}", mac)


@pytest.mark.parametrize("mac", ["", "\ud800", "ü" * 32, "0" * 31, "0" * 33])
def test_a_mac_of_a_wrong_form_is_refused(mac: Any) -> None:
    assert not verify(LINK, Direction.UPLINK, TOPIC, b"{}", mac)


def test_topic_and_payload_cannot_be_shifted_into_each_other() -> None:
    mac = seal(LINK, Direction.UPLINK, "a", b"b\nc").mac
    assert verify(LINK, Direction.UPLINK, "a\nb", b"c", mac)  # why a topic must never hold a line feed:
    with pytest.raises(NotATopic):
        parse_topic("stim/v1/north/stim-12/lease\n")


def test_the_fleets_echo_carries_no_mac() -> None:
    with pytest.raises(ValueError, match="echo"):
        seal(LINK, Direction.LOOP, "stim/v1/north/fleet/echo", b"1")


def test_keys_do_not_show() -> None:
    assert LINK.up.hex() not in repr(LINK)
    assert repr(LINK) == f"LinkKeys(kid={LINK.kid!r})"
