"""Events and state as stored text: a registry of types by name and version, each with a strict adapter.

A stored form never changes its meaning. A class that changes gets a new version, and the old one an `upgrade` from the
old form's parsed JSON to the new event; so a journal written years ago still folds.
"""

import dataclasses
import hashlib
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored, Unstorable

Upgrade = Callable[[Any], Any]


@cache
def _adapter(stored: Any) -> TypeAdapter[Any]:
    """Old versions and the present one of a type share it: it takes half a millisecond to build."""
    return TypeAdapter(stored)


@dataclass(frozen=True)
class Form:
    """How one version of one type is stored. `upgrade` set: an old version, read but no longer written."""

    type: type[Any]
    name: str
    version: int = 1
    upgrade: Upgrade | None = None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return _adapter(self.type)  # type: ignore[arg-type] # every class can be hashed; mypy doubts it


def grown(event: type[Any], version: int) -> Form:
    """An old version that differs from the present one in nothing but keys that it lacks and that have defaults."""
    present = Form(event, event.__name__)

    def upgrade(body: Any) -> Any:
        return present.adapter.validate_json(to_json(body), strict=True)

    return Form(event, event.__name__, version, upgrade)


class Forms:
    """The registry of everything that a journal may hold."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._by_key: dict[tuple[str, int], Form] = {}
        self._by_type: dict[type[Any], Form] = {}
        for form in forms:
            if (form.name, form.version) in self._by_key:
                raise ValueError(f"two forms named {form.name} version {form.version}")
            self._by_key[form.name, form.version] = form
            if form.upgrade is None:
                self._by_type[form.type] = form

    @classmethod
    def of(cls, union: Any, older: Iterable[Form] = ()) -> "Forms":
        """The forms of a union of event classes, under their class names and their `version` (1 if they have none).

        `older` says how the versions before are read.
        """
        types = typing.get_args(union) or (union,)
        return cls([*(Form(one, one.__name__, getattr(one, "version", 1)) for one in types), *older])

    def warm_up(self) -> None:
        """Build every adapter now, in the supervisor, rather than after a restart."""
        for form in self._by_key.values():
            _ = form.adapter

    def dump(self, event: object) -> tuple[str, int, bytes]:
        """Name, version and canonical JSON of an event.

        Raises:
            Unstorable: it would not read back as itself.
        """
        form = self._by_type.get(type(event))
        if form is None:
            raise Unstorable(f"{type(event).__name__} is not registered as an event")
        body = dump_exactly(form.adapter, event)
        return form.name, form.version, body

    def load(self, position: int, name: str, version: int, body: bytes) -> Any:
        """The event that a row holds.

        Raises:
            UnknownStored: written by a newer program.
            JournalCorrupt: not the form that its name and version say.
        """
        form = self._by_key.get((name, version))
        if form is None:
            raise UnknownStored(position, f"is a {name} version {version}, unknown to this program")
        try:
            if form.upgrade is not None:
                return form.upgrade(from_json(body))
            return form.adapter.validate_json(body, strict=True)
        except (ValueError, TypeError, LookupError) as error:  # an `upgrade` meets what no version ever held
            raise JournalCorrupt(position, f"holds no {name} version {version} ({type(error).__name__})") from None


def dump_exactly(adapter: TypeAdapter[Any], value: object) -> bytes:
    """JSON that reads back equal.

    Raises:
        Unstorable: it would not, e.g. a NaN or a member of the wrong type.
    """
    try:
        body = adapter.dump_json(value, warnings="error")
        same = adapter.validate_json(body, strict=True) == value
    except (PydanticSerializationError, ValidationError) as error:
        raise Unstorable(f"{type(value).__name__} cannot be stored: {error}") from error
    if not same:
        raise Unstorable(f"{type(value).__name__} would read back as something else")
    return body


def fingerprint(root: type[Any]) -> str:
    """Names the shape of a dataclass and of all it is made of: a snapshot of another shape is not used."""
    seen: dict[str, str] = {}

    def visit(shape: Any) -> None:
        if isinstance(shape, type) and dataclasses.is_dataclass(shape) and shape.__qualname__ not in seen:
            hints = typing.get_type_hints(shape, include_extras=False)
            fields = {field.name: hints[field.name] for field in dataclasses.fields(shape)}
            seen[shape.__qualname__] = repr(fields)
            for hint in fields.values():
                visit(hint)
        for inner in typing.get_args(shape):
            visit(inner)

    visit(root)
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:16]
