"""The published document: valid AsyncAPI 3.0, complete, and its schemas judge as the codec does.

The schema of AsyncAPI itself is beside this file, from https://github.com/asyncapi/spec-json-schemas (Apache-2.0).
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft7Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from broker.contract.messages import EventKind, Message
from broker.contract.topics import CHANNEL_OF, Channel
from broker.wire.asyncapi import document, document_text
from broker.wire.codec import Malformed, encode
from broker.wire.field_words import FIELD_WORDS
from broker.wire.vectors import vectors
from tests.contract.any_message import messages
from tests.contract.test_codec import payload_of

DOCUMENT = document()
ASYNCAPI = json.loads((Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_text(encoding="utf-8"))
REGISTRY: Registry[Any] = Registry().with_resource("urn:wire", Resource.from_contents(DOCUMENT, DRAFT7))
# contract.md's tables by hand: what the agent does, QoS, retained (None: by its hold), expiry in seconds
TABLE = {
    "birth": ("send", 1, True, None),
    "presence": ("send", 1, True, None),
    "telemetry": ("send", 0, False, None),
    "event": ("send", 1, False, None),
    "ack": ("send", 1, False, None),
    "lease": ("receive", 0, False, None),
    "authorisation": ("receive", 1, False, 30),
    "cancel": ("receive", 1, False, 30),
    "stop": ("receive", 1, None, None),
    "stop_all": ("receive", 1, None, None),
    "release": ("receive", 1, False, 30),
    "settings": ("receive", 1, True, None),
    "receipt": ("receive", 1, False, None),
}
# What a JSON schema cannot see: the bytes themselves, and keys that a reader has already put into one.
BEYOND_SCHEMAS = {
    Malformed.EMPTY,
    Malformed.TOO_LARGE,
    Malformed.NOT_UTF8,
    Malformed.NOT_JSON,
    Malformed.DUPLICATE_KEY,
    Malformed.NOT_FINITE,
}
# To a JSON schema 5000.0 is an integer, and Python's `$` overlooks a last line feed, which ECMAScript's does not.
BEYOND_THIS_VALIDATOR = {"an integer with a fraction", "an integer with an exponent", "a line feed after an id"}


def judge(pointer: str) -> Validator:
    """A validator of one schema of the document."""
    return Draft7Validator({"$ref": f"urn:wire#{pointer}"}, registry=REGISTRY)


def judge_of(channel: str) -> Validator:
    payload = DOCUMENT["components"]["messages"][channel]["payload"]["$ref"]
    return judge(str(payload).removeprefix("#"))


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_is_valid_asyncapi_3_0() -> None:
    assert [error.message for error in Draft7Validator(ASYNCAPI).iter_errors(DOCUMENT)] == []


def test_a_broken_document_would_be_noticed() -> None:
    broken = {**DOCUMENT, "operations": {"send_birth": {"action": "shout"}}}
    assert list(Draft7Validator(ASYNCAPI).iter_errors(broken))


def test_the_text_is_the_document() -> None:
    assert json.loads(document_text()) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        match part:
            case {"$ref": str(reference), **rest}:
                return [reference, *references(rest)]
            case dict():
                return [reference for inner in part.values() for reference in references(inner)]
            case list():
                return [reference for inner in part for reference in references(inner)]
            case _:
                return []

    found = references(DOCUMENT)
    assert len(found) > 100
    for reference in found:
        assert resolved(reference) is not None


@pytest.mark.parametrize("channel", TABLE)
def test_every_channel_has_its_operation_with_its_bindings(channel: str) -> None:
    action, qos, retain, expiry_s = TABLE[channel]
    operation = DOCUMENT["operations"][f"{action}_{channel}"]
    binding = operation["bindings"]["mqtt"]
    assert operation["action"] == action
    assert operation["channel"] == {"$ref": f"#/channels/{channel}"}
    assert (binding["qos"], binding.get("retain"), binding.get("messageExpiryInterval")) == (qos, retain, expiry_s)


def test_there_is_nothing_besides() -> None:
    assert set(DOCUMENT["channels"]) == set(TABLE) == set(DOCUMENT["components"]["messages"])
    assert len(DOCUMENT["operations"]) == len(TABLE)
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    expected = {f"stim/v1/{{site}}/{{device}}/{name}" for name in TABLE if name != "stop_all"}
    assert addresses == expected | {"stim/v1/{site}/all/stop"}


@pytest.mark.parametrize("channel", TABLE)
def test_every_message_has_an_example_that_its_own_schema_accepts(channel: str) -> None:
    message = DOCUMENT["components"]["messages"][channel]
    assert message["examples"]
    for example in message["examples"]:
        assert list(judge_of(channel).iter_errors(example["payload"])) == []
        if channel != "stop_all":
            assert list(judge("/components/schemas/UserProperties").iter_errors(example["headers"])) == []


def test_every_kind_of_event_has_an_example() -> None:
    examples = DOCUMENT["components"]["messages"]["event"]["examples"]
    assert {example["payload"]["kind"] for example in examples} == {kind.value for kind in EventKind}


def test_only_the_site_wide_stop_goes_without_user_properties() -> None:
    without = {name for name, message in DOCUMENT["components"]["messages"].items() if "headers" not in message}
    assert without == {"stop_all"}


def test_clients_show_a_certificate() -> None:
    server = DOCUMENT["servers"]["clinic"]
    assert server["protocol"] == "secure-mqtt"
    assert [resolved(scheme["$ref"])["type"] for scheme in server["security"]] == ["X509"]


@given(messages())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_schemas_accept_whatever_the_codec_writes(message: Message) -> None:
    channel = CHANNEL_OF[type(message)]
    assert [error.message for error in judge_of(channel).iter_errors(json.loads(encode(message)))] == []


@pytest.mark.parametrize("vector", vectors()["codec"]["accepted"], ids=lambda vector: str(vector["name"]))
def test_the_schemas_accept_the_accepted_vectors(vector: dict[str, Any]) -> None:
    assert judge_of(vector["channel"]).is_valid(json.loads(vector["payload"]))


@pytest.mark.parametrize(
    "vector",
    [
        vector
        for vector in vectors()["codec"]["refused"]
        if vector["reason"] not in BEYOND_SCHEMAS and vector["name"] not in BEYOND_THIS_VALIDATOR
    ],
    ids=lambda vector: str(vector["name"]),
)
def test_the_schemas_refuse_the_refused_vectors_that_are_json(vector: dict[str, Any]) -> None:
    assert not judge_of(vector["channel"]).is_valid(json.loads(payload_of(vector)))


def test_the_rules_name_every_channel_and_both_user_properties() -> None:
    rules = DOCUMENT["info"]["description"]
    for word in ("`mac`", "`kid`", "stimfleet v1", "8192", "all/stop", "`receipt`", "`birth`", "`presence`"):
        assert word in rules
    assert {row.value for row in Channel} - {"echo"} <= set(TABLE)


# --- what the document says besides -----------------------------------------------------------------------------------


def test_every_figure_of_the_rules_is_filled_in() -> None:
    assert re.findall(r"\{[A-Z_]+\}", DOCUMENT["info"]["description"]) == []


def rows(head: str) -> dict[str, list[str]]:
    """The table of the rules that begins with that column: first cell to the others."""
    lines = DOCUMENT["info"]["description"].split(f"| {head} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_the_table_of_causes_is_the_clinics() -> None:
    """domain.md "Session", by hand: seconds of ramp, what becomes of the session, who resets."""
    ends, latches, pauses = "ends", "ends and latches", "pauses"
    engineer, therapist = "engineer", "therapist"
    released = "release, then therapist"
    assert {cause: (row[1], row[2], row[3]) for cause, row in rows("cause").items()} == {
        "completed": ("1", "completes", "-"),
        "therapist_stop": ("1", ends, "-"),
        "pause_timeout": ("1", ends, "-"),
        "cancelled": ("1", ends, "-"),
        "battery_empty": ("1", ends, "-"),
        "patient_stop": ("0", latches, therapist),
        "emergency_stop": ("0", latches, released),
        "rule_stop": ("0", latches, released),
        "session_cap": ("1", latches, therapist),
        "lease_lost": ("1", latches, therapist),
        "over_limit": ("0", latches, "therapist; engineer from number 2 within 24 h"),
        "output_stuck": ("0", latches, engineer),
        "electrode_open": ("0", pauses, "-"),
        "electrode_short": ("0", pauses, "-"),
        "electrode_degraded": ("0", pauses, "-"),
        "sensor_frozen": ("0", latches, engineer),
        "over_temperature": ("0", latches, engineer),
        "self_test_failed": ("0", latches, engineer),
        "watchdog_tripped": ("0", latches, therapist),
        "reboot": ("0", latches, therapist),
    }


def test_the_table_of_limits_is_the_envelope_and_the_generic_model() -> None:
    table = {name: (row[1], row[2]) for name, row in rows("limit").items()}
    assert set(table) == set(DOCUMENT["components"]["schemas"]["Limits"]["properties"])
    assert table["peak_ma_max"] == ("130", "120")
    assert table["pulse_width_us_min"] == ("20", "50")
    assert table["rms_ma_max"] == ("50", "50")
    assert table["density_ma_cm2_max"] == ("2", "2")
    assert table["pulse_energy_mj_max"] == ("300", "300")
    assert table["session_s_max"] == ("1800", "1800")


@pytest.mark.parametrize(
    "words",
    [
        "below 20 % no start",
        "below 5 % the session",
        "not above 60 C",
        "min(pause_total_s, 600 s)",
        "1e-09",
        "1.1 * x + 1 mA",
        "10 identical raw readings",
        "no new reading for 1 s",
        "without a break for 3 s",
        "50 mA up to 400 Hz and 80 mA up to 1500 Hz",
        "TCP_NODELAY",
        "net.ipv4.tcp_thin_linear_timeouts=1",
        "`device.json`",
        "`device.key`",
        "`device.crt`",
        "`ca.crt`",
        "`site.pub`",
        "`stale`, `unknown_sample`, `other_boot` and `old_fleet` are not stored",
        "`allowed_until_s`",
    ],
)
def test_the_rules_say(words: str) -> None:
    assert words in " ".join(DOCUMENT["info"]["description"].split())


def test_every_part_of_the_vectors_is_described() -> None:
    found = vectors()
    parts = [f"{part}.{inner}" for part in ("codec", "mac", "limits") for inner in found[part]]
    parts += [part for part in found if part not in {"codec", "mac", "limits", "about"}]
    assert [part for part in parts if f"`{part}`" not in DOCUMENT["info"]["description"]] == []


def test_every_description_belongs_to_a_field_and_reaches_the_document() -> None:
    for name, words in FIELD_WORDS.items():
        properties = DOCUMENT["components"]["schemas"][name]["properties"]
        assert {field: properties[field]["description"] for field in words} == words


def test_what_a_unit_does_not_say_is_described() -> None:
    for field in ("pause_total_s", "start_within_s", "answers", "lease_ttl_ms"):
        assert DOCUMENT["components"]["schemas"]["Authorisation"]["properties"][field]["description"]
    assert "sample was sent" in DOCUMENT["components"]["schemas"]["Lease"]["properties"]["ttl_ms"]["description"]
