"""What the recorder makes of its store's status, in the three words that the fleet knows."""

from typing import Any

import pytest

from fleet.core.store_events import StoreTrouble
from fleet.recording.trouble import Watch

REFUSES, DROPS, WAITS = StoreTrouble
WELL: dict[str, Any] = {"lost": 0, "missed": 0, "unreadable": 0, "dead_lettered": 0, "refusing": None}
DOWN = WELL | {"refusing": "InfluxDB cannot be reached"}
FULL = WELL | {"refusing": "the disk refuses: database or disk is full"}


def test_a_store_that_takes_what_comes_is_no_trouble() -> None:
    watch = Watch(WELL)
    assert watch.look(0.0, WELL, None) is None
    assert watch.look(1.0, WELL, 0.99) is None, "a write is on its way"
    assert watch.look(60.0, WELL, 1.0) is None, "a slow one says nothing as long as nothing refuses"


def test_a_write_that_does_not_come_back_from_a_store_that_refuses_is_the_gravest() -> None:
    watch = Watch(WELL)
    assert watch.look(0.0, WELL, None) is None
    assert watch.look(1.0, FULL, 0.5) is None, "it may come back in a moment"
    assert watch.look(2.4, FULL, 0.5) is None
    assert watch.look(2.5, FULL, 0.5) is REFUSES
    assert watch.look(3.5, FULL, 3.4) is REFUSES, "one that was taken, and the next is refused again"
    assert watch.look(4.5, WELL, None) is None


def test_writes_that_come_back_from_a_store_that_refuses_wait_on_disk() -> None:
    watch = Watch(WELL)
    assert watch.look(0.0, DOWN, None) is WAITS
    assert watch.look(1.0, DOWN, 0.999) is WAITS, "the next one is on its way to the disk"
    assert watch.look(4.0, DOWN, 2.0) is REFUSES, "that disk takes nothing either"
    assert watch.look(5.0, DOWN, None) is WAITS
    assert watch.look(6.0, WELL, None) is None


@pytest.mark.parametrize("what", ["lost", "missed", "unreadable", "dead_lettered"])
def test_what_is_gone_is_said_for_five_minutes_after_the_last_of_it(what: str) -> None:
    watch = Watch(WELL)
    assert watch.look(0.0, WELL, None) is None
    assert watch.look(10.0, WELL | {what: 3}, None) is DROPS
    assert watch.look(200.0, WELL | {what: 4}, None) is DROPS
    assert watch.look(499.9, WELL | {what: 4}, None) is DROPS
    assert watch.look(500.0, WELL | {what: 4}, None) is None


@pytest.mark.parametrize("what", ["lost", "missed", "unreadable", "dead_lettered"])
def test_what_was_gone_before_the_recorder_began_is_no_news_and_what_goes_after_it_is(what: str) -> None:
    watch = Watch(WELL | {what: 40})
    assert watch.look(0.0, WELL | {what: 40}, None) is None
    assert watch.look(1.0, WELL | {what: 41}, None) is DROPS


def test_a_count_that_begins_again_is_no_loss_and_goes_on_from_there() -> None:
    watch = Watch(WELL | {"dead_lettered": 40})
    assert watch.look(1.0, WELL, None) is None
    assert watch.look(2.0, WELL | {"dead_lettered": 1}, None) is DROPS


def test_the_gravest_of_several_is_said() -> None:
    watch = Watch(WELL)
    dropped = {"lost": 7}
    assert watch.look(10.0, DOWN | dropped, None) is DROPS
    assert watch.look(13.0, FULL | dropped, 10.0) is REFUSES
    assert watch.look(14.0, DOWN | dropped, None) is DROPS
    assert watch.look(320.0, DOWN | dropped, None) is WAITS
