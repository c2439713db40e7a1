"""`dataclasses.replace` for the values that every tick of the control loop replaces a dozen times.

The same for frozen, slotted dataclasses whose fields are all given to their constructor and that have nothing to do
after it. Each has a twin here that is not frozen: the copy is made and changed as one of those, and is of the frozen
class from then on, which Python allows where both have the same slots and no base but `object`.

Medians of fifteen, by turns in one run (2026-11-27): a state of 31 fields takes 3.0 us, 6.4 us with every slot copied
through its own descriptor, 17 us with `replace`.
"""

import dataclasses
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast

V = TypeVar("V")


def changed(value: V, **fields: Any) -> V:
    """A copy of `value` with these fields instead.

    Raises:
        AttributeError: it has no such field.
    """
    kind: Any = type(value)
    read, twin = _twin(kind)
    copy = twin(*read(value))
    for name, field in fields.items():
        setattr(copy, name, field)
    copy.__class__ = kind
    return cast(V, copy)


def prepare(*kinds: type) -> None:
    """Make the twins of these classes now: not in a tick, and not where a session is the first to need one.

    Raises:
        TypeError: there is none of a class like that.
    """
    for kind in kinds:
        _, twin = _twin(kind)
        object.__new__(twin).__class__ = kind


@cache
def _twin(kind: Any) -> tuple[Callable[[Any], tuple[Any, ...]], Any]:
    """How the fields of a class are read, all at once, and the class with the same slots that is not frozen."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    assert len(names) > 1, f"{kind.__name__}: of a single name attrgetter gives the value, not a tuple of it"
    return attrgetter(*names), dataclasses.make_dataclass(kind.__name__, names, slots=True)
