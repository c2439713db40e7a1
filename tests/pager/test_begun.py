"""Which messages may have gone out: known after a SIGKILL, sent once more, and then no more."""

from pathlib import Path

from fleet.begun import LINES_MAX, Begun

ONE, TWO = "a1" * 16, "b2" * 16


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
