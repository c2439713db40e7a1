"""A worker waits where there is no room on the machine, and not for ever."""

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import room


@pytest.fixture(autouse=True)
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another than that of the run that this test is of."""
    monkeypatch.setattr(room, "DOOR", tmp_path / "door")
    monkeypatch.setattr(room, "SHOWS_S", 0.0)
    room.DOOR.touch()
    return room.DOOR


def seen(monkeypatch: pytest.MonkeyPatch, *shares: float) -> Iterator[float]:
    """What its looks see; what is left of it was not looked at."""
    left = iter(shares)
    monkeypatch.setattr(room, "_look", lambda: next(left))
    return left


def test_it_begins_at_once_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    left = seen(monkeypatch, 0.4, 0.1)
    room.Patience().await_room(much=False)
    assert list(left) == [0.1]


def test_it_waits_until_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    left = seen(monkeypatch, 0.1, 0.39, 0.5, 0.1)
    room.Patience().await_room(much=False)
    assert list(left) == [0.1]


def test_what_needs_much_looks_at_the_middle_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    left = seen(monkeypatch, 0.1, 1.0, 0.1, 1.0, 0.1, 0.1, 0.5, 0.6, 0.7, 0.1, 0.1)
    room.Patience().await_room(much=True)
    assert list(left) == [0.1]


def test_what_needs_much_goes_one_after_the_other_and_what_does_not_goes_by(
    door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = seen(monkeypatch, *[1.0] * 6)
    with door.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=room.Patience().await_room, kwargs={"much": True})
        waiting.start()
        room.Patience().await_room(much=False)
        assert waiting.is_alive()
    waiting.join(60.0)
    assert list(left) == []


def test_where_it_was_in_vain_three_times_it_is_not_looked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST_S", 0.0)
    patience, left = room.Patience(), seen(monkeypatch, 0.1, 0.1, 0.1, 0.1)
    for _ in range(5):
        patience.await_room(much=False)
    assert list(left) == [0.1]


def test_it_sees_less_where_somebody_else_wants_the_same() -> None:
    """Another thread of this interpreter, with which it takes turns wherever it runs."""
    over = threading.Event()

    def computes() -> None:
        while not over.is_set():
            pass

    other = threading.Thread(target=computes)
    other.start()
    try:
        assert 0.0 < room._look() < 0.85
    finally:
        over.set()
        other.join()
