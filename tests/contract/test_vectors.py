"""The published test vectors: they are what the code says, and a second implementation agrees with them."""

import hashlib
import json
from importlib.resources import files
from typing import Any

import pytest

from broker.contract.limits import Contact
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


# --- limits and holds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", PUBLISHED["limits"]["plans"], ids=named)
def test_a_plan_breaks_what_exact_fractions_say(vector: dict[str, Any]) -> None:
    found = [(row["quantity"], row["value"], row["layer"]) for row in vector["breaches"]]
    assert (found, set(found)) == (sorted(found), by_hand.broken(vector["plan"], vector["limits"]))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("vector", PUBLISHED["limits"]["plans"], ids=named)
def test_the_allowed_peak_is_what_exact_fractions_say(vector: dict[str, Any]) -> None:
    peak_ma, layers = by_hand.allowed_peak(vector["plan"], vector["limits"])
    assert vector["allowed_peak_ma"]["value"] == pytest.approx(peak_ma, rel=1e-9)
    assert vector["allowed_peak_ma"]["layer"] in layers


def test_every_quantity_is_broken_by_a_plan_and_every_layer_sets_a_limit() -> None:
    rows = [row for vector in PUBLISHED["limits"]["plans"] for row in vector["breaches"]]
    assert {row["quantity"] for row in rows} == {
        "peak_ma",
        "pulse_width_us",
        "frequency_hz",
        "rms_ma",
        "density_ma_cm2",
        "pulse_energy_mj",
        "session_s",
        "ramp_up_s",
    }
    assert {row["layer"] for row in rows} == {"envelope", "model", "clinic", "plan", "settings"}


@pytest.mark.parametrize("vector", PUBLISHED["limits"]["tightened"], ids=named)
def test_the_strictest_wins_field_by_field(vector: dict[str, Any]) -> None:
    assert vector["strictest"] == by_hand.strictest(vector["outer"], vector["inner"])


@pytest.mark.parametrize("vector", PUBLISHED["limits"]["contacts"], ids=str)
def test_a_contact_is_what_the_bounds_say(vector: dict[str, Any]) -> None:
    assert vector["contact"] == by_hand.contact(vector["impedance_ohm"], vector["baseline_ohm"])


def test_every_contact_has_a_vector() -> None:
    assert {vector["contact"] for vector in PUBLISHED["limits"]["contacts"]} == {contact.value for contact in Contact}


def test_steps_and_over_limit_are_what_the_rules_say() -> None:
    for vector in PUBLISHED["limits"]["steps"]:
        usual_ma = 2.0 if vector["setting_ma"] < 20.0 else 1.0
        assert vector["step_ma"] == min(usual_ma, vector["setting_step_ma_max"])
    for vector in PUBLISHED["limits"]["over_limit"]:
        assert vector["above_ma"] == pytest.approx(vector["setting_ma"] * 11 / 10 + 1, rel=1e-9)


@pytest.mark.parametrize("vector", PUBLISHED["holds"], ids=named)
def test_a_holds_id_is_the_first_8_bytes_of_sha_256(vector: dict[str, Any]) -> None:
    assert hashlib.sha256(vector["payload"].encode()).digest()[:8].hex() == vector["hold_id"]
