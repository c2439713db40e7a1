"""Hypothesis strategies for every message of the contract, built from the types and shapes of its fields."""

import types
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from broker.contract.messages import DETAIL_OF, Event, EventKind, Message
from broker.contract.shapes import AtMost, Between, Matching, Text
from broker.contract.topics import CHANNEL_OF

# What a text may hold, said here again: printable, no line separators, no change of writing direction.
TEXT = st.characters(
    exclude_categories=("Cc", "Cs"),
    exclude_characters="\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)


def messages() -> st.SearchStrategy[Message]:
    """Any message that the contract allows."""
    return st.one_of(*(message(kind) for kind in CHANNEL_OF))


def message(kind: type[Message]) -> st.SearchStrategy[Any]:
    """Any message of one class."""
    return events() if kind is Event else built(kind)


def events() -> st.SearchStrategy[Event]:
    """Any event, with the detail of its kind."""

    def of_kind(kind: EventKind) -> st.SearchStrategy[Event]:
        detail = DETAIL_OF.get(kind)
        return built(Event, kind=st.just(kind), detail=st.none() if detail is None else built(detail))

    return st.sampled_from(EventKind).flatmap(of_kind)


def built(kind: type, /, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]
    return st.builds(kind, **{name: given[name] if name in given else value(hints[name]) for name in names})


def value(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return shaped(arguments[0], arguments[1])
    if origin in (Union, types.UnionType):
        return st.one_of(*(value(argument) for argument in arguments))
    if hint is type(None):
        return st.none()
    if hint is bool:
        return st.booleans()
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert is_dataclass(hint), hint
    assert isinstance(hint, type)
    return built(hint)


def shaped(base: Any, shape: Any) -> st.SearchStrategy[Any]:
    match shape:
        case Between(low, high) if base is int:
            return st.integers(int(low), int(high))
        case Between(low, high):
            return st.floats(low, high)
        case Matching(pattern):
            return st.from_regex(f"(?:{pattern})", fullmatch=True)
        case Text(chars_max):
            return st.text(TEXT, min_size=1, max_size=chars_max)
        case AtMost(items):
            return st.lists(value(get_args(base)[0]), max_size=min(items, 3)).map(tuple)
        case _:
            raise AssertionError(f"unknown shape {shape}")
