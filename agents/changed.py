"""`dataclasses.replace` for the values that every tick of the control loop replaces a dozen times.

The same for frozen, slotted dataclasses whose fields are all given to their constructor and that have nothing to do
after it; it copies the slots instead of calling the constructor with every field by name. Measured with a session
running: a tick of session and driver takes 120 to 130 us with it, 170 to 200 us without (2026-11-25).
"""

import dataclasses
from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import repeat
from operator import attrgetter, call
from typing import Any, TypeVar

V = TypeVar("V")


def changed(value: V, **fields: Any) -> V:
    """A copy of `value` with these fields instead.

    Raises:
        KeyError: it has no such field.
    """
    kind: Any = type(value)
    read, writes, write = _slots(kind)
    copy: V = object.__new__(kind)
    deque(map(call, writes, repeat(copy), read(value)), maxlen=0)  # every write, without a loop in Python
    for name, field in fields.items():
        write[name](copy, field)
    return copy


@cache
def _slots(kind: Any) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Any, ...], dict[str, Any]]:
    """How the fields of a class are read, all at once, and written: its slots' own descriptors."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    assert len(names) > 1, f"{kind.__name__}: of a single name attrgetter gives the value, not a tuple of it"
    write = {name: getattr(kind, name).__set__ for name in names}
    return attrgetter(*names), tuple(write.values()), write
