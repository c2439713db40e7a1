"""Which messages may have gone out: known after a SIGKILL, sent once more, and then no more."""

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.paging.begun import LINES_MAX, Begun

ONE, TWO = "a1" * 16, "b2" * 16


@contextmanager
def no_file_longer_than(bytes_max: int) -> Iterator[None]:
    """What a disk that is full says of a longer one: a part is taken, and then nothing (EFBIG instead of ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_began_is_known_to_whoever_comes_after(tmp_path: Path) -> None:
    path = tmp_path / "pager.begun"
    first = Begun(path)
    assert first.may_go(ONE)
    first.note(ONE)  # and here it is killed: nothing is closed, nothing is flushed
    second = Begun(path)
    assert second.may_go(ONE), "nobody knows whether it went out: once more"
    second.note(ONE)
    third = Begun(path)
    assert not third.may_go(ONE)
    assert third.may_go(TWO)
    for one in (first, second, third):
        one.close()


def test_a_torn_line_is_another_message(tmp_path: Path) -> None:
    path = tmp_path / "pager.begun"
    path.write_bytes(f"{ONE}\n".encode() + b"\xff\x00b2")
    begun = Begun(path)
    assert begun.times[ONE] == 1
    assert begun.may_go(TWO)
    begun.close()


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "pager.begun"
    begun = Begun(path)
    for number in range(LINES_MAX - 1):
        begun.note(f"{number:032x}")
    begun.forget(lambda page_id: page_id == f"{7:032x}")
    assert len(path.read_text().splitlines()) == LINES_MAX - 1, "not yet"
    begun.note(ONE)
    begun.note(ONE)
    begun.forget(lambda page_id: page_id in {f"{7:032x}", ONE})
    assert sorted(path.read_text().splitlines()) == sorted([f"{7:032x}", ONE, ONE])
    begun.note(TWO)
    begun.close()
    again = Begun(path)
    assert (again.times[ONE], again.times[TWO], again.times[f"{8:032x}"]) == (2, 1, 0)
    again.close()


def test_a_disk_that_refuses_is_said_once_and_keeps_nothing_from_going_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pager.begun"
    begun = Begun(path)
    begun.note(ONE)
    with no_file_longer_than(40):
        begun.note(TWO)
        begun.note(TWO)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "pager.begun" in caplog.text
    assert not begun.may_go(TWO), "this process knows"
    three = "c3" * 16
    begun.note(three)
    begun.close()
    again = Begun(path)
    assert (again.times[ONE], again.times[three]) == (1, 1), "what is written behind half a line is a line"
    again.close()


def test_a_disk_that_refuses_to_shorten_it_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pager.begun"
    begun = Begun(path)
    for number in range(LINES_MAX):
        begun.note(f"{number:032x}")
    before = path.read_bytes()
    with no_file_longer_than(40):
        begun.forget(lambda page_id: int(page_id, 16) < 7)
    assert path.read_bytes() == before
    assert begun.times.total() == LINES_MAX
    begun.note(ONE)
    begun.close()
    assert path.read_bytes() == before + f"{ONE}\n".encode()


def test_a_file_that_cannot_be_opened_is_no_reason_not_to_tell(tmp_path: Path) -> None:
    (tmp_path / "pager.begun").mkdir()
    begun = Begun(tmp_path / "pager.begun")
    begun.note(ONE)
    assert begun.may_go(ONE)
    begun.close()
