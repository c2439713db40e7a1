"""Test vectors of the codec: what is a message, and what is none and why."""

from collections.abc import Iterator
from typing import Any

from broker.contract.messages import EventKind
from broker.contract.topics import PAYLOAD_BYTES_MAX, Channel
from broker.wire.codec import Malformed, MalformedMessage, decode, encode
from broker.wire.examples import EVENTS, EXAMPLES, SESSION_ID

Vector = dict[str, Any]


def _text(channel: Channel) -> str:
    return encode(EXAMPLES[channel]).decode()


def accepted() -> Iterator[Vector]:
    for channel, message in EXAMPLES.items():
        yield _accept(f"example {channel}", channel, encode(message).decode())
    for kind, event in EVENTS.items():
        yield _accept(f"event {kind}", Channel.EVENT, encode(event).decode())
    presence = _text(Channel.PRESENCE)
    yield _accept("white space", Channel.PRESENCE, ' {\t"boot_n" : 7 ,\r\n"online" : true } \n')
    yield _accept("keys in another order", Channel.PRESENCE, '{"online":true,"boot_n":7}')
    yield _accept("a key written with an escape", Channel.PRESENCE, presence.replace("online", "\\u006fnline"))
    yield _accept("the largest exact integer", Channel.PRESENCE, presence.replace("7", str(2**53 - 1)))
    telemetry = _text(Channel.TELEMETRY)
    yield _accept("an integer where a number belongs", Channel.TELEMETRY, telemetry.replace("31.0", "31"))
    yield _accept("an exponent", Channel.TELEMETRY, telemetry.replace("311.5", "3.115E+2"))
    yield _accept("no reading", Channel.TELEMETRY, telemetry.replace("30.8", "null"))
    yield _accept("an umlaut", Channel.STOP, _text(Channel.STOP).replace('"ana"', '"\\u00c4rztin Groß"'))


def _accept(name: str, channel: Channel, payload: str) -> Vector:
    return {
        "name": name,
        "channel": channel.value,
        "payload": payload,
        "canonical": encode(decode(channel, payload.encode())).decode(),
    }


def refused() -> Iterator[Vector]:
    """Each against what it must be refused for: making the vectors fails where the codec says otherwise."""
    for name, channel, payload, reason in (*_whole_payloads(), *_altered_messages(), *_altered_events()):
        assert _reason(channel, payload) is reason, name
        yield {"name": name, "channel": channel.value, **_payload(payload), "reason": reason.value}


def _reason(channel: Channel, payload: bytes) -> Malformed | None:
    try:
        decode(channel, payload)
    except MalformedMessage as malformed:
        return malformed.reason
    return None


def _payload(payload: bytes) -> Vector:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"payload_hex": payload.hex()}
    if len(text) > 4096 and text == text[0] * len(text):
        return {"payload_repeated": {"text": text[0], "times": len(text)}}
    return {"payload": text}


_Refusal = tuple[str, Channel, bytes, Malformed]


def _whole_payloads() -> Iterator[_Refusal]:
    presence = _text(Channel.PRESENCE).encode()
    for name, payload, reason in (
        ("nothing", b"", Malformed.EMPTY),
        ("one byte too many", b" " * (PAYLOAD_BYTES_MAX + 1), Malformed.TOO_LARGE),
        ("8 KiB of brackets", b"[" * PAYLOAD_BYTES_MAX, Malformed.NOT_JSON),
        ("8 KiB of braces", b"{" * PAYLOAD_BYTES_MAX, Malformed.NOT_JSON),
        ("nested objects", b'{"a":' * 1000 + b"1" + b"}" * 1000, Malformed.NOT_JSON),
        ("a byte that is no UTF-8", presence.replace(b"o", b"\xff"), Malformed.NOT_UTF8),
        ("a surrogate in UTF-8", presence.replace(b"o", b"\xed\xa0\x80"), Malformed.NOT_UTF8),
        ("an overlong slash", presence.replace(b"o", b"\xc0\xaf"), Malformed.NOT_UTF8),
        ("UTF-16", presence.decode().encode("utf-16"), Malformed.NOT_UTF8),
        ("a byte order mark", b"\xef\xbb\xbf" + presence, Malformed.NOT_JSON),
        ("bytes after the object", presence + b"x", Malformed.NOT_JSON),
        ("a second object", presence * 2, Malformed.NOT_JSON),
        ("a zero byte after the object", presence + b"\x00", Malformed.NOT_JSON),
        ("cut off", presence[:-1], Malformed.NOT_JSON),
        ("a comment", presence + b"//", Malformed.NOT_JSON),
        ("a trailing comma", presence.replace(b"}", b",}"), Malformed.NOT_JSON),
        ("single quotes", presence.replace(b'"', b"'"), Malformed.NOT_JSON),
        ("a leading zero", presence.replace(b"7", b"07"), Malformed.NOT_JSON),
        ("hexadecimal", presence.replace(b"7", b"0x7"), Malformed.NOT_JSON),
        ("five thousand digits", presence.replace(b"7", b"7" * 5000), Malformed.NOT_JSON),
        ("an array", b"[]", Malformed.NOT_AN_OBJECT),
        ("a string", b'"online"', Malformed.NOT_AN_OBJECT),
        ("a number", b"97", Malformed.NOT_AN_OBJECT),
        ("null", b"null", Malformed.NOT_AN_OBJECT),
        ("no keys", b"{}", Malformed.MISSING_KEY),
        ("another channel's message", _text(Channel.LEASE).encode(), Malformed.UNKNOWN_KEY),
    ):
        yield name, Channel.PRESENCE, payload, reason


def _altered_messages() -> Iterator[_Refusal]:
    """One change each to an example: what stood there, what stands there now."""
    for name, channel, before, after, reason in (
        ("a key twice", Channel.PRESENCE, '"online"', '"online":true,"online"', Malformed.DUPLICATE_KEY),
        ("a key twice, escaped", Channel.PRESENCE, '"online"', '"\\u006fnline":true,"online"', Malformed.DUPLICATE_KEY),
        ("a key twice inside", Channel.AUTHORISATION, '"on_s"', '"on_s":6.0,"on_s"', Malformed.DUPLICATE_KEY),
        ("an unknown key", Channel.LEASE, '"ttl_ms"', '"extra":1,"ttl_ms"', Malformed.UNKNOWN_KEY),
        ("an unknown key inside", Channel.AUTHORISATION, '"on_s"', '"extra":1,"on_s"', Malformed.UNKNOWN_KEY),
        ("a lone surrogate", Channel.STOP, '"ana"', '"\\ud800"', Malformed.NOT_JSON),
        ("NaN", Channel.TELEMETRY, "30.8", "NaN", Malformed.NOT_FINITE),
        ("Infinity", Channel.TELEMETRY, "30.8", "Infinity", Malformed.NOT_FINITE),
        ("1e999", Channel.TELEMETRY, "30.8", "1e999", Malformed.NOT_FINITE),
        ("a digit string of 400", Channel.TELEMETRY, "30.8", "9" * 400, Malformed.NOT_FINITE),
        ("a number as a string", Channel.TELEMETRY, "30.8", '"97"', Malformed.WRONG_TYPE),
        ("true for 1", Channel.TELEMETRY, "30.8", "true", Malformed.WRONG_TYPE),
        ("1 for true", Channel.PRESENCE, "true", "1", Malformed.WRONG_TYPE),
        ("true as a string", Channel.PRESENCE, "true", '"true"', Malformed.WRONG_TYPE),
        ("an integer with a fraction", Channel.LEASE, "5000", "5000.0", Malformed.WRONG_TYPE),
        ("an integer with an exponent", Channel.LEASE, "5000", "5e3", Malformed.WRONG_TYPE),
        ("null where something belongs", Channel.LEASE, "5000", "null", Malformed.WRONG_TYPE),
        ("an object where a number belongs", Channel.LEASE, "5000", "{}", Malformed.WRONG_TYPE),
        ("an array where an object belongs", Channel.BIRTH, '"holds":{', '"holds":[],"x":{', Malformed.UNKNOWN_KEY),
        ("below a bound", Channel.LEASE, "5000", "0", Malformed.OUT_OF_RANGE),
        ("above a bound", Channel.LEASE, "5000", "10001", Malformed.OUT_OF_RANGE),
        ("negative", Channel.TELEMETRY, "30.8", "-0.1", Malformed.OUT_OF_RANGE),
        ("an integer beyond 2^53 - 1", Channel.PRESENCE, "7", str(2**53), Malformed.OUT_OF_RANGE),
        ("a text too long", Channel.STOP, '"ana"', f'"{"a" * 65}"', Malformed.OUT_OF_RANGE),
        ("an empty text", Channel.STOP, '"ana"', '""', Malformed.OUT_OF_RANGE),
        ("a line feed in a text", Channel.STOP, '"ana"', '"a\\nb"', Malformed.NOT_ALLOWED),
        ("a zero byte in a text", Channel.STOP, '"ana"', '"a\\u0000"', Malformed.NOT_ALLOWED),
        ("a change of writing direction", Channel.STOP, '"ana"', '"\\u202eana"', Malformed.NOT_ALLOWED),
        ("an unknown cause", Channel.STOP, "emergency_stop", "bad_mood", Malformed.NOT_ALLOWED),
        ("capitals in an enumeration", Channel.STOP, "emergency_stop", "Emergency_Stop", Malformed.NOT_ALLOWED),
        ("capitals in hex", Channel.LEASE, SESSION_ID, SESSION_ID.upper(), Malformed.NOT_ALLOWED),
        ("an id too long", Channel.LEASE, SESSION_ID, SESSION_ID + "0", Malformed.NOT_ALLOWED),
        ("a line feed after an id", Channel.LEASE, SESSION_ID, SESSION_ID + "\\n", Malformed.NOT_ALLOWED),
        ("a time without its zone", Channel.STOP, ".000Z", ".000", Malformed.NOT_ALLOWED),
        ("a time in other digits", Channel.STOP, "2026", "\\u0968\\u0966\\u0968\\u096c", Malformed.NOT_ALLOWED),
    ):  # fmt: skip
        text = _text(channel)
        assert before in text, name
        yield name, channel, text.replace(before, after, 1).encode(), reason


def _altered_events() -> Iterator[_Refusal]:
    changed = encode(EVENTS[EventKind.SETTING_CHANGED]).decode()
    armed = encode(EVENTS[EventKind.SESSION_ARMED]).decode()
    mismatch = Malformed.KIND_DETAIL_MISMATCH
    for name, text, before, after, reason in (
        ("another kind's detail", changed, '"setting_changed"', '"session_ended"', mismatch),
        ("a detail where none belongs", armed, '"detail":null', '"detail":{"setting_ma":1.0}', mismatch),
        ("any detail where none belongs", armed, '"detail":null', '"detail":{"x":1}', mismatch),
        ("no detail where one belongs", changed, '{"setting_ma":31.0}', "null", mismatch),
        ("an unknown key in a detail", changed, '"setting_ma"', '"x":1,"setting_ma"', Malformed.UNKNOWN_KEY),
        ("a wrong type in a detail", changed, "31.0", '"31.0"', Malformed.WRONG_TYPE),
        ("a detail out of range", changed, "31.0", "1000.1", Malformed.OUT_OF_RANGE),
        ("an unknown kind", armed, "session_armed", "session_harmed", Malformed.NOT_ALLOWED),
    ):
        assert before in text, name
        yield name, Channel.EVENT, text.replace(before, after, 1).encode(), reason
