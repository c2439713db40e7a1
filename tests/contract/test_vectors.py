"""The published test vectors: they are what the code says, and a second implementation agrees with them."""

import json
from importlib.resources import files
from typing import Any

import pytest

from broker.wire.vectors import vectors, vectors_text
from tests.contract import by_hand

PUBLISHED: dict[str, Any] = json.loads(files("broker.wire").joinpath("vectors.json").read_text(encoding="utf-8"))
LINKS = {(link["device"], link["kid"]): link for link in PUBLISHED["mac"]["links"]}


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def test_the_published_file_is_current() -> None:
    text = files("broker.wire").joinpath("vectors.json").read_text(encoding="utf-8")
    assert text == vectors_text(), "run: stimfleet vectors --out broker/wire/vectors.json"


def test_making_them_twice_makes_the_same() -> None:
    assert vectors() == vectors()


@pytest.mark.parametrize("link", PUBLISHED["mac"]["links"], ids=lambda link: str(link["kid"]))
def test_both_sides_derive_the_published_keys_by_hand(link: dict[str, str]) -> None:
    device, site = int(link["device_private_scalar"], 16), int(link["site_private_scalar"], 16)
    generator = (by_hand.GX, by_hand.GY)
    assert by_hand.point_bytes(by_hand.times(device, generator)).hex() == link["device_public_point"]
    assert by_hand.point_bytes(by_hand.times(site, generator)).hex() == link["site_public_point"]

    points = link["device_public_point"], link["site_public_point"]
    published = {name: link[name] for name in ("shared_secret", "kid", "up_key", "down_key")}
    where = f"{link['site']}/{link['device']}"
    assert by_hand.derived(device, by_hand.point_of(points[1]), *points, where) == published
    assert by_hand.derived(site, by_hand.point_of(points[0]), *points, where) == published


@pytest.mark.parametrize("vector", PUBLISHED["mac"]["good"], ids=named)
def test_a_good_mac_is_what_hmac_says(vector: dict[str, Any]) -> None:
    properties = dict(vector["user_properties"])
    link = LINKS["stim-12", properties["kid"]]
    key = link["up_key"] if vector["direction"] == "uplink" else link["down_key"]
    assert by_hand.mac(key, vector["topic"], vector["payload"]) == properties["mac"]


@pytest.mark.parametrize("vector", PUBLISHED["mac"]["bad"], ids=named)
def test_a_bad_mac_is_not(vector: dict[str, Any]) -> None:
    """An agent of stim-12 listens to its own downlinks, wants one mac and one kid, and knows its own two links."""
    ours = vector["topic"].startswith("stim/v1/north/stim-12/") and vector["topic"].endswith(("/lease", "/receipt"))
    names = sorted(name for name, _ in vector["user_properties"])
    properties = dict(vector["user_properties"])
    link = LINKS.get(("stim-12", properties.get("kid", "")))
    authentic = (
        ours
        and names == ["kid", "mac"]
        and link is not None
        and by_hand.mac(link["down_key"], vector["topic"], vector["payload"]) == properties["mac"]
    )
    assert not authentic


def test_every_direction_has_good_macs() -> None:
    assert {vector["direction"] for vector in PUBLISHED["mac"]["good"]} == {"uplink", "downlink"}


@pytest.mark.parametrize("story", PUBLISHED["permission"], ids=named)
def test_permission_is_what_plain_arithmetic_says(story: dict[str, Any]) -> None:
    expected = [step["expect"] for step in story["steps"] if "expect" in step]
    assert by_hand.play(story) == expected


def test_every_reason_against_a_lease_has_a_story() -> None:
    outcomes = [step.get("expect", {}) for story in PUBLISHED["permission"] for step in story["steps"]]
    assert {outcome["refused"] for outcome in outcomes if "refused" in outcome} == {
        "other_session",
        "unknown_sample",
        "not_newer",
        "stale",
    }
