"""Snapshots in pieces: what the whole would be, and time for others in between."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from fleet.adapters.journal.errors import Unstorable
from fleet.adapters.journal.pieces import in_pieces
from fleet.adapters.journal.writer import SMALL_PIECE_BYTES
from fleet.core.state import Durable
from tests.adapters.test_journal import AT, Counted, Tally, eventually, fold, open_journal
from tests.core.long_day import a_long_day


@dataclass(frozen=True, slots=True)
class Door:
    width_m: float
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class House:
    number: int
    doors: dict[str, Door]
    numbers: dict[str, int]
    front: Door


def dumped(shape: Any, value: Any) -> list[bytes]:
    return list(in_pieces(shape)(value))


@pytest.mark.parametrize(
    "house",
    [
        House(3, {}, {}, Door(1.0)),
        House(3, {'north "gate"': Door(0.5), "süd": Door(2.0, {"de": "Tor"})}, {"a": 1, "b": 2}, Door(1.0, {"x": "y"})),
    ],
)
def test_the_pieces_together_are_the_whole_byte_for_byte(house: House) -> None:
    assert b"".join(dumped(House, house)) == TypeAdapter(House).dump_json(house)


def test_the_state_after_a_long_day_is_many_pieces_and_none_is_large() -> None:
    durable = a_long_day().state.durable
    pieces = dumped(Durable, durable)
    whole = TypeAdapter(Durable).dump_json(durable)
    assert b"".join(pieces) == whole
    assert len(pieces) > len(durable.devices) + len(durable.sessions) + len(durable.stops)
    assert max(map(len, pieces)) < len(whole) / 3


def test_a_piece_that_would_not_read_back_is_refused() -> None:
    for spoilt in (
        House(3, {"north": Door(float("nan"))}, {}, Door(1.0)),
        House(3, {}, {"a": 1.5}, Door(1.0)),  # type: ignore[dict-item] # that is the point
        House("3", {}, {}, Door(1.0)),  # type: ignore[arg-type] # and that
    ):
        with pytest.raises(Unstorable):
            dumped(House, spoilt)


async def test_rows_do_not_wait_for_a_snapshot_that_is_being_made(tmp_path: Path) -> None:
    """A receipt, an authorisation, an answer: all of them would."""
    enough, known = threading.Event(), fold()

    def without_end(tally: Tally) -> Iterator[bytes]:
        while not enough.is_set():
            yield b" " * SMALL_PIECE_BYTES
        yield TypeAdapter(Tally).dump_json(tally)

    known.__dict__["pieces"] = without_end
    journal = open_journal(tmp_path / "j.db", known=known)
    await journal.append(AT, [Counted(1)])
    journal.snapshot(Tally(1))
    for _ in range(5):
        await journal.append(AT, [Counted(1)])
    assert journal._snapshot is not None  # still being made
    enough.set()
    await eventually(lambda: journal._snapshot is None)
    journal.close()
    again = open_journal(tmp_path / "j.db")
    again.close()
    assert (again.restored.state, again.restored.snapshot, again.restored.folded) == (Tally(6), 1, 5)
