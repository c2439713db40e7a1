"""State out of the journal: the newest snapshot that holds, and the fold of the rows after it. And the whole proof."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.forms import Forms, fingerprint
from fleet.adapters.journal.pieces import InPieces, in_pieces
from fleet.adapters.journal.rows import (
    SNAPSHOTS,
    Row,
    Tip,
    checked,
    none_before_the_first,
    open_database,
    rows_after,
    unreadable,
)

State = TypeVar("State")
Stored = TypeVar("Stored")  # of a state, what a snapshot holds
ROWS_A_SIGN = 1_000  # how many rows are folded between two signs of life: a small part of a second


def ignored(_position: int) -> None:
    """For whoever does not want to know how far it is."""


@dataclass(frozen=True)
class Fold(Generic[State, Stored]):
    """How events make a state: how it begins, what each event does to it, and how it comes back from a snapshot."""

    initial: Callable[[], State]
    evolve: Callable[[State, Any], State]
    forms: Forms
    stored: type[Stored]
    revive: Callable[[Stored], State]
    version: int = 1  # raised when `evolve` comes to mean something else: then old snapshots are not used

    @cached_property
    def adapter(self) -> TypeAdapter[Stored]:
        return TypeAdapter(self.stored)

    @cached_property
    def shape(self) -> str:
        return f"{self.version}-{fingerprint(self.stored)}"

    def warm_up(self) -> None:
        """Build all that a restart needs, in the supervisor."""
        self.forms.warm_up()
        _ = self.adapter, self.shape, self.pieces

    @cached_property
    def pieces(self) -> InPieces:
        """How the body of a snapshot is made, piece by piece.

        The dumping raises:
            Unstorable: it would not read back as itself.
        """
        return in_pieces(self.stored)


@dataclass(frozen=True, slots=True)
class Restored(Generic[State]):
    """What the journal says. `folded`: events since the snapshot; `snapshot`: its position, None if none held.

    `passed_over`: the snapshots that were not used, each with its reason, in words.
    """

    state: State
    tip: Tip
    folded: int
    snapshot: int | None
    passed_over: tuple[str, ...] = ()


def restore(
    connection: sa.Connection, fold: Fold[State, Stored], alive: Callable[[], None] = lambda: None
) -> Restored[State]:
    """State and tip, from the newest snapshot that holds; from the first row if there is none.

    A long journal takes minutes without a snapshot: `alive` is called all the while.

    Raises:
        JournalCorrupt: a row after the snapshot is not what was written, or the row that it was made of is not there.
        UnknownStored: a newer program wrote a row.
        JournalUnwritable: the disk refuses.
    """
    passed_over: list[str] = []
    for stored in snapshots(connection):
        if not _is_whole(stored):
            passed_over.append(f"snapshot {stored.position} is damaged")
            continue
        tip = _tip_of(connection, stored)
        if stored.shape != fold.shape:
            passed_over.append(f"snapshot {stored.position} is of another version of this program")
            continue
        try:
            state = fold.revive(fold.adapter.validate_json(stored.body, strict=True))
        except ValidationError:  # the shape's name does not say everything, e.g. a narrower bound
            passed_over.append(f"snapshot {stored.position} holds what this version of the program does not take")
            continue
        return _folded(connection, fold, Restored(state, tip, 0, stored.position, tuple(passed_over)), alive)
    return _folded(connection, fold, Restored(fold.initial(), Tip(), 0, None, tuple(passed_over)), alive)


def snapshots(connection: sa.Connection) -> Sequence[Any]:
    """The stored snapshots, newest first.

    Raises:
        JournalCorrupt, JournalUnwritable
    """
    try:
        return connection.execute(sa.select(SNAPSHOTS).order_by(SNAPSHOTS.c.position.desc())).all()
    except sa.exc.DatabaseError as error:
        raise unreadable(error, 1) from error


def _is_whole(stored: Any) -> bool:
    return isinstance(stored.body, bytes) and hashlib.sha256(stored.body).digest() == stored.checksum


def _tip_of(connection: sa.Connection, stored: Any) -> Tip:
    """The row that a snapshot was made of: without it the journal's end was cut, or is another one.

    Raises:
        JournalCorrupt
    """
    row = next(rows_after(connection, stored.position - 1), None) if stored.position else None
    if stored.position and (row is None or row.position != stored.position):
        raise JournalCorrupt(stored.position, "is missing, and there is a snapshot that was made of it")
    if row is not None and row.hash != stored.hash:
        raise JournalCorrupt(stored.position, "is not the one that its snapshot was made of")
    return Tip(stored.position, stored.hash)


def _folded(
    connection: sa.Connection, fold: Fold[State, Stored], begun: Restored[State], alive: Callable[[], None]
) -> Restored[State]:
    def step(so_far: tuple[State, Tip], row: Row) -> tuple[State, Tip]:
        if row.position % ROWS_A_SIGN == 0:
            alive()
        event = fold.forms.load(row.position, row.name, row.version, row.body)
        return fold.evolve(so_far[0], event), Tip(row.position, row.hash)

    start = begun.tip
    state, tip = reduce(step, checked(rows_after(connection, start.position), start), (begun.state, start))
    return replace(begun, state=state, tip=tip, folded=tip.position - start.position)


@dataclass(frozen=True, slots=True)
class Verified:
    """A journal whose every row is what was written. Keep `tip_hash` elsewhere: it also proves that no end was cut."""

    rows: int
    tip_hash: str


def verify_journal(
    path: Path, expected: str | None = None, *, forms: Forms | None = None, looked: Callable[[int], None] = ignored
) -> Verified:
    """Check the whole chain, and that the row with the hash `expected` is in it. A service may be writing meanwhile.

    With `forms` also that this program can read every row. `looked` is told the position, every thousand rows.

    Raises:
        JournalCorrupt: names the first bad row.
        UnknownStored: names the first row that only a newer program can read.
        JournalUnwritable: the disk refuses.
        FileNotFoundError: there is no journal.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    tip, found = Tip(), expected is None
    engine = open_database(path, create=False)
    try:
        with engine.connect() as connection:
            made_of = [stored for stored in snapshots(connection) if _is_whole(stored)]
            none_before_the_first(connection)
            for row in checked(rows_after(connection, 0), tip):
                if forms is not None:
                    forms.load(row.position, row.name, row.version, row.body)
                tip = Tip(row.position, row.hash)
                found = found or row.hash.hex() == expected
                if row.position % ROWS_A_SIGN == 0:
                    looked(row.position)
            for stored in made_of:
                _tip_of(connection, stored)
    finally:
        engine.dispose()
    if not found:
        raise JournalCorrupt(tip.position + 1, "with the expected hash is not in the chain: its end was cut")
    return Verified(tip.position, tip.hash.hex())
