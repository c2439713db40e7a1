"""Bytes to message and back: whatever is a message comes back equal, whatever is none is refused with a reason."""

import json
import math
import sys
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import Event, EventKind, Holds, Message, Stop, Telemetry
from broker.contract.topics import CHANNEL_OF, Channel
from broker.wire.codec import (
    Malformed,
    MalformedMessage,
    UnencodableMessage,
    decode,
    encode,
    json_schema,
    warm_up,
)
from broker.wire.examples import EVENTS, EXAMPLES
from broker.wire.vectors import vectors
from tests.contract.any_message import messages

VECTORS = vectors()["codec"]
CHANNELS_WITH_MESSAGES = st.sampled_from(sorted(CHANNEL_OF.values()))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def payload_of(vector: dict[str, Any]) -> bytes:
    if "payload_hex" in vector:
        return bytes.fromhex(vector["payload_hex"])
    if "payload_repeated" in vector:
        return str(vector["payload_repeated"]["text"] * vector["payload_repeated"]["times"]).encode()
    return str(vector["payload"]).encode()


def altered(channel: Channel, **changes: Any) -> Message:
    """An example with some fields of chance, which mypy would rightly refuse."""
    example: Any = EXAMPLES[channel]
    message: Message = replace(example, **changes)
    return message


def telemetry(**changes: Any) -> Message:
    return altered(Channel.TELEMETRY, **changes)


# --- what is a message ----------------------------------------------------------------------------------------------


@given(messages())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_message_comes_back_as_it_left(message: Message) -> None:
    payload = encode(message)
    assert decode(CHANNEL_OF[type(message)], payload) == message
    assert len(payload) <= 8192


@given(messages(), st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_key_twice_is_found_in_whatever_else_is_as_it_should_be(message: Message, data: st.DataObject) -> None:
    """Also where both say the same, and the rest is what we would have written ourselves."""
    payload = encode(message).decode()
    key, value = data.draw(st.sampled_from(list(json.loads(payload).items())))
    twice = f"{payload[:-1]},{json.dumps(key)}:{json.dumps(value)}}}"
    with pytest.raises(MalformedMessage) as refused:
        decode(CHANNEL_OF[type(message)], twice.encode())
    assert refused.value.reason in (Malformed.DUPLICATE_KEY, Malformed.TOO_LARGE)


@given(messages())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_bytes_are_the_fields_in_order_as_compact_json(message: Message) -> None:
    """Against the standard library's own encoder: enums by value, no spaces, UTF-8 unescaped."""
    text = encode(message).decode()
    assert json.loads(text) == json.loads(json.dumps(asdict(message)))
    assert list(json.loads(text)) == list(asdict(message))
    strings_apart = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    assert not any(character.isspace() for part in strings_apart for character in part)


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda vector: str(vector["name"]))
def test_an_accepted_vector_says_what_its_canonical_bytes_say(vector: dict[str, Any]) -> None:
    channel = Channel(vector["channel"])
    message = decode(channel, payload_of(vector))
    assert encode(message).decode() == vector["canonical"]
    assert json.loads(vector["canonical"]) == json.loads(vector["payload"])


def test_every_kind_of_event_is_among_the_accepted() -> None:
    kinds = {json.loads(vector["payload"])["kind"] for vector in VECTORS["accepted"] if vector["channel"] == "event"}
    assert kinds == {kind.value for kind in EventKind}


def test_a_missing_reading_stays_missing() -> None:
    sample = decode(Channel.TELEMETRY, encode(telemetry(amplitude_ma=None, impedance_ohm=None)))
    assert isinstance(sample, Telemetry)
    assert (sample.amplitude_ma, sample.impedance_ohm) == (None, None)


def test_the_largest_event_and_birth_fit_into_8_kib() -> None:
    birth = altered(
        Channel.BIRTH,
        capabilities=tuple(f"{'c' * 30}{n:02}" for n in range(32)),
        holds=Holds.of(device=("f" * 16,) * 16, all=("0" * 16,) * 16, more=True),
        serial="\U0001f9be" * 64,
        model="\U0001f9be" * 64,
        firmware="\U0001f9be" * 64,
        agent_version="\U0001f9be" * 64,
    )
    assert len(encode(birth)) <= 8192


# --- what is none ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["name"]))
def test_a_refused_vector_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage) as refused:
        decode(Channel(vector["channel"]), payload_of(vector))
    assert refused.value.reason == vector["reason"]


def test_every_reason_has_a_vector() -> None:
    assert {vector["reason"] for vector in VECTORS["refused"]} == {reason.value for reason in Malformed}


@given(CHANNELS_WITH_MESSAGES, st.binary(max_size=300))
@settings(deadline=None)
def test_bytes_of_chance_are_refused_and_crash_nothing(channel: Channel, payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(channel, payload)


@given(CHANNELS_WITH_MESSAGES, json_values)
@settings(deadline=None)
def test_json_of_chance_is_refused_and_crashes_nothing(channel: Channel, document: Any) -> None:
    with pytest.raises(MalformedMessage):
        decode(channel, json.dumps(document).encode("utf-8", "surrogatepass"))


@given(CHANNELS_WITH_MESSAGES, st.data())
@settings(max_examples=300, deadline=None)
def test_one_altered_byte_is_refused_or_another_message(channel: Channel, data: st.DataObject) -> None:
    payload = bytearray(encode(EXAMPLES[channel]))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    try:
        message = decode(channel, bytes(payload))
    except MalformedMessage:
        return
    assert json.loads(encode(message)) == json.loads(payload)


@given(CHANNELS_WITH_MESSAGES, st.data())
@settings(max_examples=200, deadline=None)
def test_a_missing_an_unknown_and_a_repeated_key_are_each_refused(channel: Channel, data: st.DataObject) -> None:
    document = json.loads(encode(EXAMPLES[channel]))
    key = data.draw(st.sampled_from(sorted(document)))
    unknown = data.draw(st.text(max_size=10).filter(lambda name: name not in document))

    without = {name: value for name, value in document.items() if name != key}
    assert reason(channel, json.dumps(without)) is Malformed.MISSING_KEY
    assert reason(channel, json.dumps({**document, unknown: 1})) is Malformed.UNKNOWN_KEY
    twice = json.dumps(document)[:-1] + f", {json.dumps(key)}: {json.dumps(document[key])}}}"
    assert reason(channel, twice) is Malformed.DUPLICATE_KEY


@pytest.mark.parametrize("key", ["device", "all", "service", "more"])
def test_nothing_may_be_left_out_of_the_holds_of_a_birth(key: str) -> None:
    document = json.loads(encode(EXAMPLES[Channel.BIRTH]))
    del document["holds"][key]
    assert reason(Channel.BIRTH, json.dumps(document)) is Malformed.MISSING_KEY


def reason(channel: Channel, text: str) -> Malformed:
    with pytest.raises(MalformedMessage) as refused:
        decode(channel, text.encode())
    return refused.value.reason


@given(CHANNELS_WITH_MESSAGES, st.data())
@settings(max_examples=200, deadline=None)
def test_nothing_is_taken_for_another_type(channel: Channel, data: st.DataObject) -> None:
    document = json.loads(encode(EXAMPLES[channel]))
    key = data.draw(st.sampled_from(sorted(document)))
    impostor = disguised(document[key])
    assert reason(channel, json.dumps({**document, key: impostor})) is not None


def disguised(value: Any) -> Any:
    """The same said in another type: what a lenient reader would take for it."""
    match value:
        case bool():
            return int(value)
        case int() | float():
            return str(value)
        case None:
            return ""
        case str():
            return [value]
        case list():
            return {str(place): item for place, item in enumerate(value)}
        case _:
            return [value]


@pytest.mark.parametrize("depth", [100, 199, 201, 1000, sys.getrecursionlimit() + 10, 4000])
def test_deep_nesting_is_refused_at_every_depth(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = (opening * depth + "1" + closing * depth)[:8000]
        text = encode(EXAMPLES[Channel.PRESENCE]).decode().replace("true", nested)
        assert reason(Channel.PRESENCE, text) in (Malformed.NOT_JSON, Malformed.WRONG_TYPE, Malformed.TOO_LARGE)


def test_a_refusal_never_repeats_the_payload() -> None:
    for channel, message in EXAMPLES.items():
        document = json.loads(encode(message))
        for key in document:
            for secret in ({"SECRET": 1}, "SECRET\x07", ["SECRET"], 1e300):
                for altered in ({**document, key: secret}, {**document, "SECRET": secret}):
                    with pytest.raises(MalformedMessage) as refused:
                        decode(channel, json.dumps(altered).encode())
                    assert "SECRET" not in str(refused.value)
                    assert "e+300" not in str(refused.value)
                    assert refused.value.__cause__ is None
    with pytest.raises(MalformedMessage) as refused:
        decode(Channel.PRESENCE, b'{"SECRET')
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_with_any_other_kinds_detail_is_refused(kind: EventKind) -> None:
    own = EVENTS[kind].detail
    for other in EVENTS.values():
        event = replace(EVENTS[kind], detail=other.detail)
        if type(other.detail) is type(own):
            assert decode(Channel.EVENT, encode(event)) == event
            continue
        text = json.dumps({**json.loads(encode(EVENTS[kind])), "detail": json.loads(encode(other))["detail"]})
        assert reason(Channel.EVENT, text) is Malformed.KIND_DETAIL_MISMATCH
        with pytest.raises(UnencodableMessage):
            encode(event)


def test_an_event_of_an_unreadable_kind_blames_the_kind_not_the_detail() -> None:
    document = json.loads(encode(EVENTS[EventKind.SETTING_CHANGED]))
    kinds: tuple[Any, ...] = (None, 7, [], {}, "unheard_of")
    for kind in kinds:
        text = json.dumps({**document, "kind": kind, "detail": {"what": 1}})
        assert reason(Channel.EVENT, text) in (Malformed.WRONG_TYPE, Malformed.NOT_ALLOWED)


# --- what never leaves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        telemetry(amplitude_ma=math.nan),
        telemetry(amplitude_ma=math.inf),
        telemetry(elapsed_s=math.nan),
        telemetry(elapsed_s=-1.0),
        telemetry(setting_ma="31"),
        telemetry(late=1),
        telemetry(seq=1.0),
        telemetry(seq=2**53),
        telemetry(phase="dancing"),
        telemetry(phase=None),
        telemetry(phase="idle"),
        telemetry(session_id="short"),
        telemetry(at="yesterday"),
        telemetry(at="2026-11-23T09:30:00.000+01:00"),
        Stop("c0ffee12" * 4, Cause.EMERGENCY_STOP, True, "a" * 65, "2026-11-23T09:30:00.000Z"),
        Stop("c0ffee12" * 4, Cause.EMERGENCY_STOP, True, "\ud800", "2026-11-23T09:30:00.000Z"),
        altered(Channel.RELEASE, holds=["9f86d081884c7d65"]),
        altered(Channel.RELEASE, holds=("9f86d081884c7d65",) * 33),
        altered(Channel.SETTINGS, limits=None),
    ],
    ids=repr,
)
def test_a_message_that_its_own_rules_refuse_never_leaves(message: Message) -> None:
    with pytest.raises(UnencodableMessage):
        encode(message)


def test_the_echo_carries_no_message() -> None:
    with pytest.raises(ValueError, match="carries no message"):
        decode(Channel.ECHO, b"{}")


@pytest.mark.parametrize(
    ("holds", "holding"),
    [
        (Holds.of(), False),
        (Holds.of(device=("9f86d081884c7d65",)), True),
        (Holds.of(all=("9f86d081884c7d65",)), True),
        (Holds.of(service=True), True),
        (Holds.of(more=True), True),
    ],
)
def test_any_hold_holds(holds: Holds, holding: bool) -> None:
    assert bool(holds) is holding


def test_warming_up_builds_every_channel() -> None:
    warm_up()
    assert all(json_schema(channel)["type"] == "object" for channel in CHANNEL_OF.values())


def test_an_event_is_what_the_event_channel_carries() -> None:
    assert isinstance(decode(Channel.EVENT, encode(EXAMPLES[Channel.EVENT])), Event)
