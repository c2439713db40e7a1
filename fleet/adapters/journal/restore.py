"""State out of the journal: the newest snapshot that holds, and the fold of the rows after it. And the whole proof."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.forms import Forms, fingerprint
from fleet.adapters.journal.pieces import InPieces, in_pieces
from fleet.adapters.journal.rows import SNAPSHOTS, Row, Tip, checked, open_database, rows_after

State = TypeVar("State")
Stored = TypeVar("Stored")  # of a state, what a snapshot holds
ROWS_A_SIGN = 1_000  # how many rows are folded between two signs of life: a small part of a second


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
    """What the journal says. `folded`: events since the snapshot; `snapshot`: its position, None if none held."""

    state: State
    tip: Tip
    folded: int
    snapshot: int | None


def restore(
    connection: sa.Connection, fold: Fold[State, Stored], alive: Callable[[], None] = lambda: None
) -> Restored[State]:
    """State and tip, from the newest snapshot that holds; from the first row if there is none.

    A long journal takes minutes without a snapshot: `alive` is called all the while.

    Raises:
        JournalCorrupt: a row after the snapshot is not what was written.
        UnknownStored: a newer program wrote a row.
    """
    for stored in connection.execute(sa.select(SNAPSHOTS).order_by(SNAPSHOTS.c.position.desc())).all():
        if stored.shape != fold.shape or hashlib.sha256(stored.body).digest() != stored.checksum:
            continue
        try:
            state = fold.revive(fold.adapter.validate_json(stored.body, strict=True))
        except ValidationError:  # the shape's name does not say everything, e.g. a narrower bound: fold instead
            continue
        return _folded(connection, fold, state, Tip(stored.position, stored.hash), stored.position, alive)
    return _folded(connection, fold, fold.initial(), Tip(), None, alive)


def _folded(
    connection: sa.Connection,
    fold: Fold[State, Stored],
    state: State,
    tip: Tip,
    snapshot: int | None,
    alive: Callable[[], None],
) -> Restored[State]:
    start = tip.position

    def step(so_far: tuple[State, Tip], row: Row) -> tuple[State, Tip]:
        if row.position % ROWS_A_SIGN == 0:
            alive()
        event = fold.forms.load(row.position, row.name, row.version, row.body)
        return fold.evolve(so_far[0], event), Tip(row.position, row.hash)

    state, tip = reduce(step, checked(rows_after(connection, start), tip), (state, tip))
    return Restored(state, tip, tip.position - start, snapshot)


@dataclass(frozen=True, slots=True)
class Verified:
    """A journal whose every row is what was written. Keep `tip_hash` elsewhere: it also proves that no end was cut."""

    rows: int
    tip_hash: str


def verify_journal(path: Path, expected: str | None = None) -> Verified:
    """Check the whole chain, and that the row with the hash `expected` is in it. A service may be writing meanwhile.

    Raises:
        JournalCorrupt: names the first bad row.
        FileNotFoundError: there is no journal.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    tip, found = Tip(), expected is None
    engine = open_database(path, create=False)
    try:
        with engine.connect() as connection:
            for row in checked(rows_after(connection, 0), tip):
                tip = Tip(row.position, row.hash)
                found = found or row.hash.hex() == expected
    except sa.exc.DatabaseError as error:
        raise JournalCorrupt(tip.position + 1, f"the file cannot be read ({error.orig})") from error
    finally:
        engine.dispose()
    if not found:
        raise JournalCorrupt(tip.position + 1, "with the expected hash is not in the chain: its end was cut")
    return Verified(tip.position, tip.hash.hex())
