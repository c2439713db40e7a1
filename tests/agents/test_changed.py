"""`changed` is `dataclasses.replace` for what the control loop replaces: the same values, the same refusals."""

from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import pytest

from agents.changed import changed, prepare
from tests.agents.clinic import Clinic


def values() -> list[Any]:
    """One of each kind that a step replaces, from the middle of a session."""
    clinic = Clinic()
    clinic.until_running(8.0)
    state = clinic.state
    assert state.session is not None
    return [state, state.durable, state.session, state.session.numbers, state.watch]


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_it_gives_what_replace_gives(value: Any) -> None:
    mark = object()
    for field in fields(value):
        ours, theirs = changed(value, **{field.name: mark}), replace(value, **{field.name: mark})
        assert type(ours) is type(value)
        assert [getattr(ours, each.name) for each in fields(value)] == [
            getattr(theirs, each.name) for each in fields(value)
        ]
        assert getattr(value, field.name) is not mark, "the old one stays as it was"
    assert changed(value) == value
    assert changed(value) is not value


def test_a_field_that_is_none_is_refused_and_the_copy_is_frozen() -> None:
    @dataclass(frozen=True, slots=True)
    class Pair:
        left: int
        right: int = 2

    pair = changed(Pair(1), right=3)
    assert (pair.left, pair.right) == (1, 3)
    assert hash(pair) == hash(Pair(1, 3))
    with pytest.raises(AttributeError):
        changed(pair, middle=4)
    with pytest.raises(FrozenInstanceError):
        pair.left = 5  # type: ignore[misc]


def test_a_class_that_python_gives_no_twin_is_refused_before_anything_is_changed() -> None:
    @dataclass(frozen=True, slots=True)
    class Base:
        left: int

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        right: int

    with pytest.raises(TypeError, match="object layout differs"):
        prepare(Derived)


def test_a_class_of_a_single_field_is_refused_rather_than_copied_wrong() -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        name: str

    with pytest.raises(AssertionError, match="One: of a single name"):
        changed(One("abc"))
