"""A journal in which something is missing, put in, or cut off: verify, export and tail each name it, and fail."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import stimfleet
from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.export import exported
from fleet.adapters.journal.reading import JournalReader
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.rows import Row
from fleet.adapters.journal.salvage import Damaged
from tests.adapters.test_journal import AT, Counted, open_journal
from tests.journal.golden import LONG_DAY, database_of, rows_of
from tests.journal.tally import FOLD
from tests.journal.test_opening import altered

DAY = rows_of(LONG_DAY)
AS_AT_ROW_5 = "at, name, version, body, hash FROM event WHERE position = 5"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return database_of(LONG_DAY, tmp_path / "journal.db")


def run(capsys: pytest.CaptureFixture[str], command: str, file: Path) -> tuple[int, list[str], str]:
    status = stimfleet.main(["journal", *command.split(), "--file", str(file)])
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err


def exported_problems(capsys: pytest.CaptureFixture[str], file: Path) -> list[dict[str, Any]]:
    status, out, _ = run(capsys, "export", file)
    assert status == 1
    return [told for told in map(json.loads, out) if "problem" in told]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (altered("DELETE FROM event WHERE position = 8"), ["journal row 8 missing"]),
        (altered("DELETE FROM event WHERE position < 4"), ["journal rows 1 to 3 missing"]),
        (
            altered("UPDATE event SET hash = zeroblob(32) WHERE position = 8"),
            [
                "journal row 8 is not what was written; `stimfleet journal export` has its bytes",
                "journal row 9 is not what was written; `stimfleet journal export` has its bytes",
            ],
        ),
        (
            altered(f"INSERT INTO event SELECT -5, {AS_AT_ROW_5}", f"INSERT INTO event SELECT 0, {AS_AT_ROW_5}"),
            [
                f"journal row {position} stands before the first row: nobody wrote it there; "
                "`stimfleet journal export` has its bytes"
                for position in (-5, 0)
            ],
        ),
    ],
    ids=["one missing", "the first missing", "a hash", "before the first"],
)
def test_whatever_does_not_hold_is_told_in_its_place(
    capsys: pytest.CaptureFixture[str], file: Path, damage: Callable[[Path], None], told: list[str]
) -> None:
    without_check(file)
    damage(file)
    status, out, _ = run(capsys, "tail", file)
    assert (status, [line for line in out if line.startswith("journal")]) == (1, told)
    assert [f"journal row{'s' * ('to' in each)} {each['position']}" for each in exported_problems(capsys, file)] == [
        line[: len(f"journal row{'s' * (' to ' in line)} {position(line)}")] for line in told
    ]
    status, _, err = run(capsys, "verify", file)
    assert (status, f"journal row {position(told[0])}: " in err) == (1, True)


def position(line: str) -> str:
    return line.split()[2]


def without_check(file: Path) -> None:
    """As a file of an earlier version: its table takes any position."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE older (position INTEGER PRIMARY KEY, at, name, version, body, hash)")
        database.execute("INSERT INTO older SELECT * FROM event")
        database.execute("DROP TABLE event")
        database.execute("ALTER TABLE older RENAME TO event")


@pytest.mark.parametrize("position", [-5, 0])
def test_a_new_file_takes_no_row_before_the_first(file: Path, position: int) -> None:
    with closing(sqlite3.connect(file)) as database, pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        database.execute(f"INSERT INTO event SELECT {position}, {AS_AT_ROW_5}")


def test_the_least_position_that_there_can_be_is_found_too(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    without_check(file)
    altered(f"INSERT INTO event SELECT {-(2**63)}, {AS_AT_ROW_5}")(file)
    with pytest.raises(JournalCorrupt, match="stands before the first row"):
        verify_journal(file)
    (problem,) = exported_problems(capsys, file)
    assert (problem["position"], bytes.fromhex(problem["body_hex"])) == (-(2**63), DAY[4].body)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [altered("DROP TABLE event"), empty], ids=["dropped", "empty file"])
def test_a_journal_without_its_table_is_damaged(
    capsys: pytest.CaptureFixture[str], file: Path, damage: Callable[[Path], None]
) -> None:
    damage(file)
    for words in ("tail", "export", "verify"):
        status, _, err = run(capsys, words, file)
        assert (status, "no such table" in err) == (1, True), words


def test_one_whose_table_was_dropped_is_damaged_for_whoever_follows_too(file: Path) -> None:
    altered("DROP TABLE event")(file)
    reader = JournalReader(file)
    with pytest.raises(JournalCorrupt, match="no such table"):
        list(reader.new())
    reader.close()


async def test_whoever_reads_on_is_told_what_is_missing_between_two_looks(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j.db")
    reader = JournalReader(tmp_path / "j.db")
    await journal.append(AT, [Counted(1), Counted(2)])
    assert [told.unread for told in reader.new()] == [None, None]
    await journal.append(AT, [Counted(3), Counted(4), Counted(5)])
    altered("DELETE FROM event WHERE position = 3")(tmp_path / "j.db")
    assert [told.unread for told in reader.new()] == ["row 3 missing", None, None]
    assert list(reader.new()) == [], "once"
    reader.close()
    journal.close()


async def test_of_a_cut_file_everything_before_the_cut_is_read(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = open_journal(path)
    await journal.append(AT, [Counted(n, f"note {n:05d} " + "n" * 400) for n in range(1, 3001)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10 // 4096 * 4096 + 1000])
    there = {int(n) for n in re.findall(rb"note (\d{5}) ", path.read_bytes())}
    shutil.copy(path, tmp_path / "before.db")

    found = [found for found, _ in exported(path, FOLD.forms)]
    read = [each.position for each in found if isinstance(each, Row)]
    assert len(there) > 1500
    assert len(there - set(read)) < 20, "but for the page that was cut"
    *before, last = found
    spans = [range(each.position, (each.position if isinstance(each, Row) else each.last or 0) + 1) for each in before]
    assert [*chain(*spans)] == list(range(1, last.position)), "each row up to there, in its place"
    assert last == Damaged(last.position, None, "cannot be read (database disk image is malformed)")
    reader = JournalReader(path, FOLD.forms)
    told: list[int] = []
    with pytest.raises(JournalCorrupt, match="malformed"):
        told.extend(each.position for each in reader.new())
    reader.close()
    assert told == [each.position for each in before], "all of it, and then the damage"
    with pytest.raises(JournalCorrupt, match="malformed"):
        verify_journal(path)
    assert path.read_bytes() == (tmp_path / "before.db").read_bytes(), "nothing was written"


def test_a_page_of_which_nothing_is_left_has_no_bytes_to_export(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    content = bytearray(file.read_bytes())
    page = content.index(DAY[len(DAY) // 2].body[:40]) // 4096
    content[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    file.write_bytes(content)
    lost = [each["position"] for each in exported_problems(capsys, file) if len(each) == 2]
    assert len(DAY) // 2 + 1 in lost
    status, out, _ = run(capsys, "tail", file)
    assert status == 1
    for row in lost:
        assert f"journal row {row} cannot be read (database disk image is malformed)" in out


def test_a_range_that_ends_before_it_begins_is_a_mistake(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    status, out, err = run(capsys, "export --from 5 --to 3", file)
    assert (status, out) == (2, [])
    assert err == "--from 5 --to 3 is no range: the first row comes before the last.\n"
