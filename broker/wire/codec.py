"""Bytes to message and back, strictly (contract.md "Transport"). The contract's only home of pydantic.

Nothing is coerced, guessed or filled in: duplicate and unknown keys, NaN and Infinity (also written 1e999), a byte
order mark, bytes after the object, deep nesting and numbers beyond their bounds are refused. A refusal has a reason
out of a bounded set, fit for a metric's label, and a sentence for people; neither ever holds a value of the payload.

pydantic's parser takes the last of two equal keys. A payload that is, byte for byte, what we would write for what it
says has no such two; of any other, the keys of every object are counted by a second, standard parser. That runs only on
what the first one could parse, which bounds its depth.

A message leaves only if its own bytes decode to it again: a NaN, a number beyond its bounds, a string where an enum
belongs, an oversized list never reach the wire.
"""

import json
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, SchemaSerializer, SchemaValidator

from broker.contract.messages import DETAIL_OF, Event, Message
from broker.contract.topics import CHANNEL_OF, CHANNELS, PAYLOAD_BYTES_MAX, Channel


class Malformed(StrEnum):
    """Why bytes are no message. Where several hold, the first in this order is named."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"  # also nesting too deep, a lone surrogate, a byte order mark, bytes after the object
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KEY = "missing_key"
    NOT_FINITE = "not_finite"  # NaN, Infinity, and numbers too large for a double
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"  # a string that is no member of its enumeration or does not match its pattern
    KIND_DETAIL_MISMATCH = "kind_detail_mismatch"  # an event whose detail is not that of its kind


class MalformedMessage(ValueError):
    """Bytes that are no message of their channel. `reason` is for metrics, the text for people."""

    def __init__(self, reason: Malformed, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class UnencodableMessage(ValueError):
    """A message that its own rules refuse. It never leaves; that it was made at all is a bug of the sender."""


_REASON_OF_ERROR = {
    "json_invalid": Malformed.NOT_JSON,
    "unexpected_keyword_argument": Malformed.UNKNOWN_KEY,
    "missing": Malformed.MISSING_KEY,
    "finite_number": Malformed.NOT_FINITE,
    "greater_than_equal": Malformed.OUT_OF_RANGE,
    "less_than_equal": Malformed.OUT_OF_RANGE,
    "too_long": Malformed.OUT_OF_RANGE,
    "string_too_short": Malformed.OUT_OF_RANGE,
    "string_too_long": Malformed.OUT_OF_RANGE,
    "string_pattern_mismatch": Malformed.NOT_ALLOWED,
    "enum": Malformed.NOT_ALLOWED,
}  # every other error of the validator is one of type
_DETAIL_NAME_OF_KIND = {kind.value: detail.__name__ for kind, detail in DETAIL_OF.items()}
_ORDER = {reason: place for place, reason in enumerate(Malformed)}


def decode(channel: Channel, payload: bytes) -> Message:
    """The message that `payload` says on `channel`.

    Raises:
        MalformedMessage: anything else than one message of that channel.
        ValueError: the echo, which carries no message.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise MalformedMessage(Malformed.TOO_LARGE, f"{len(payload)} bytes on {channel}, {PAYLOAD_BYTES_MAX} at most")
    if not payload:
        raise MalformedMessage(Malformed.EMPTY, f"an empty payload on {channel}")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(Malformed.NOT_UTF8, f"not UTF-8 at byte {error.start} on {channel}") from None
    try:
        message: Message = _validator(channel).validate_json(text)
        if _serializer(channel).to_json(message) != payload:
            _refuse_duplicate_keys(channel, text)
    except ValidationError as refused:
        raise _malformed(channel, text, refused.errors(include_url=False, include_input=False)) from None
    if isinstance(message, Event):
        _refuse_foreign_detail(message)
    return message


def encode(message: Message) -> bytes:
    """Compact JSON, keys in the order of the fields: the canonical bytes of `message`.

    Raises:
        UnencodableMessage: its own bytes would not decode to it.
    """
    channel = CHANNEL_OF[type(message)]
    try:
        payload = _serializer(channel).to_json(message, warnings="error")
        same = decode(channel, payload) == message
    except (PydanticSerializationError, MalformedMessage) as error:
        raise UnencodableMessage(f"no {channel} message: {error}") from error
    if not same:
        raise UnencodableMessage(f"no {channel} message: what its bytes say differs from it")
    return payload


def warm_up() -> None:
    """Build every validator now rather than at the first message of each channel."""
    for channel in CHANNEL_OF.values():
        _validator(channel)
        _serializer(channel)


def json_schema(channel: Channel) -> dict[str, Any]:
    """The JSON schema of a channel's payload, its references as the published document has them."""
    return _adapter(channel).json_schema(ref_template="#/components/schemas/{model}")


# --- the insides ----------------------------------------------------------------------------------------------------


@cache
def _adapter(channel: Channel) -> TypeAdapter[Message]:
    message = CHANNELS[channel].message
    if message is None:
        raise ValueError(f"{channel} carries no message")
    return TypeAdapter(message)


@cache
def _validator(channel: Channel) -> SchemaValidator:
    validator = _adapter(channel).validator
    assert isinstance(validator, SchemaValidator)
    return validator


@cache
def _serializer(channel: Channel) -> SchemaSerializer:
    serializer = _adapter(channel).serializer
    assert isinstance(serializer, SchemaSerializer)
    return serializer


class _DuplicateKey(ValueError):
    """Two equal keys in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKey
    return found


_decode_unique = json.JSONDecoder(object_pairs_hook=_unique).decode


def _refuse_duplicate_keys(channel: Channel, text: str) -> None:
    try:
        _decode_unique(text)
    except _DuplicateKey:
        raise MalformedMessage(Malformed.DUPLICATE_KEY, f"a key twice in one object on {channel}") from None


def _refuse_foreign_detail(event: Event) -> None:
    wanted = DETAIL_OF.get(event.kind, type(None))
    if type(event.detail) is not wanted:
        raise MalformedMessage(
            Malformed.KIND_DETAIL_MISMATCH,
            f"an event {event.kind} carries {_detail_name(wanted)}, not {_detail_name(type(event.detail))}",
        )


def _detail_name(detail: type) -> str:
    return "no detail" if detail is type(None) else detail.__name__


def _malformed(channel: Channel, text: str, errors: list[ErrorDetails]) -> MalformedMessage:
    if errors[0]["type"] == "json_invalid":
        # Its own message quotes nothing of the payload but may name a character: only the place is repeated.
        return MalformedMessage(Malformed.NOT_JSON, f"not JSON on {channel}")
    if not errors[0]["loc"]:
        return MalformedMessage(Malformed.NOT_AN_OBJECT, f"not one JSON object on {channel}")
    _refuse_duplicate_keys(channel, text)
    known = [error for error in errors if _concerns(error, text)] if channel is Channel.EVENT else errors
    if not known:  # the detail has a shape, but not the one of the event's kind
        return MalformedMessage(Malformed.KIND_DETAIL_MISMATCH, f"a detail that its kind does not carry on {channel}")
    reason, error = min(((_reason_of(error), error) for error in known), key=lambda pair: _ORDER[pair[0]])
    return MalformedMessage(reason, f"{reason} at {_place(reason, error)} on {channel}")


def _reason_of(error: ErrorDetails) -> Malformed:
    return _REASON_OF_ERROR.get(error["type"], Malformed.WRONG_TYPE)


def _concerns(error: ErrorDetails, text: str) -> bool:
    """Whether an event's error counts: of the union of details only the one that belongs to the kind does."""
    loc = error["loc"]
    if len(loc) < 2 or loc[0] != "detail":
        return True
    kind = json.loads(text).get("kind")
    return isinstance(kind, str) and loc[1] == _DETAIL_NAME_OF_KIND.get(kind)


def _place(reason: Malformed, error: ErrorDetails) -> str:
    """Where in the message, by field names of ours; an unknown key is the payload's and is not repeated."""
    loc = error["loc"][:-1] if reason is Malformed.UNKNOWN_KEY else error["loc"]
    return ".".join(str(part) for part in loc) or "the top"
