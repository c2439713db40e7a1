"""Export and reading along: what can be read is told, what cannot is named and given as it lies there."""

import hashlib
import json
import sqlite3
import stat
import tracemalloc
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import stimfleet
from fleet.adapters.journal.errors import JournalCorrupt
from fleet.adapters.journal.export import exported
from fleet.adapters.journal.reading import JournalReader, Told
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.salvage import Damaged
from tests.adapters.test_journal import AT, Counted, open_journal
from tests.journal.golden import LONG_DAY, database_of, rows_of
from tests.journal.tally import FOLD

DAY = rows_of(LONG_DAY)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A fleet's folder, after the long day."""
    (tmp_path / "data").mkdir()
    database_of(LONG_DAY, tmp_path / "data" / "journal.db")
    return tmp_path / "data"


def alter(data_dir: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(data_dir / "journal.db")) as database, database:
        database.execute(statement, values)


def run(capsys: pytest.CaptureFixture[str], command: str) -> tuple[int, list[str], str]:
    """Exit status, lines of stdout, stderr."""
    status = stimfleet.main(command.split())
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err


def export(capsys: pytest.CaptureFixture[str], data_dir: Path, more: str = "") -> tuple[int, list[Any], str]:
    status, out, err = run(capsys, f"journal export --data-dir {data_dir} {more}")
    return status, [json.loads(line) for line in out], err


# --- what is whole ----------------------------------------------------------------------------------------------------


def test_every_row_is_a_line_from_which_the_chain_can_be_checked_by_hand(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    status, out, err = run(capsys, f"journal export --data-dir {data_dir}")
    assert (status, err) == (0, "")
    before = bytes(32)
    for line, row in zip(out, DAY, strict=True):
        told = json.loads(line)
        assert list(told) == ["position", "at", "name", "version", "body", "hash"]
        body = line[line.index('"body": ') + 8 : line.rindex(', "hash"')].encode()
        head = f"{told['position']}\n{told['at']}\n{told['name']}\n{told['version']}\n".encode()
        before = hashlib.sha256(before + head + body).digest()
        assert (told["hash"], body) == (before.hex(), row.body)


def test_a_range_of_rows(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    status, rows, _ = export(capsys, data_dir, "--from 5 --to 7")
    assert (status, [row["position"] for row in rows]) == (0, [5, 6, 7])
    assert export(capsys, data_dir, f"--from {len(DAY) + 1}")[:2] == (0, [])
    assert [row["position"] for row in export(capsys, data_dir, f"--from {len(DAY)}")[1]] == [len(DAY)]


async def test_since_a_day_means_everything_from_the_first_row_of_it_on(tmp_path: Path) -> None:
    """Wall clocks step back: a row after it that says an earlier day is wanted too."""
    journal = open_journal(tmp_path / "j.db")
    for at in ("2026-11-23T23:59:59.999Z", "2026-11-24T00:00:00.000Z", "2026-11-23T23:00:00.000Z", "2026-11-25T09:00Z"):
        await journal.append(at, [Counted(1)])
    journal.close()

    def since(day: str) -> list[int]:
        return [found.position for found, _ in exported(tmp_path / "j.db", FOLD.forms, since=day)]

    assert since("2026-11-24") == [2, 3, 4]
    assert since("2026-11-25") == [4]
    assert since("2026-11-26") == []
    assert since("2020-01-01") == [1, 2, 3, 4]


def test_into_a_new_private_file(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    out = data_dir.parent / "out.jsonl"
    assert run(capsys, f"journal export --data-dir {data_dir} --out {out}") == (0, [], "")
    assert len(out.read_text().splitlines()) == len(DAY)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    status, _, err = run(capsys, f"journal export --data-dir {data_dir} --out {out}")
    assert (status, "is there already and is not overwritten" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("export --from 0", "'0' is no row: they are counted from 1"),
        ("export --from x", "'x' is no row"),
        ("export --since yesterday", "'yesterday' is no day like 2026-11-25"),
        ("verify --tip abc", "a tip is 64 of 0-9 and a-f"),
    ],
)
def test_what_is_not_understood_is_said(capsys: pytest.CaptureFixture[str], words: str, says: str) -> None:
    with pytest.raises(SystemExit) as ended:
        stimfleet.main(["journal", *words.split()])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("words", ["export", "tail", "verify", "backup b.db"])
def test_without_a_journal_it_says_where_it_looked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: str
) -> None:
    status, _, err = run(capsys, f"journal {words} --data-dir {tmp_path}")
    assert status == 1
    assert f"There is no {tmp_path / 'journal.db'}; --data-dir or STIMFLEET_DATA_DIR names the fleet's folder" in err


async def test_memory_does_not_grow_with_the_journal(tmp_path: Path) -> None:
    """12 MB of rows are exported in a few."""
    journal = open_journal(tmp_path / "j.db")
    for _ in range(6):
        await journal.append(AT, [Counted(1, "n" * 1000)] * 2_000)
    journal.close()
    tracemalloc.start()
    rows = sum(1 for _ in exported(tmp_path / "j.db", FOLD.forms))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 12_000
    assert peak < 6_000_000


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "problem", "as_it_lies"),
    [
        (
            "UPDATE event SET name = 'RoomPainted' WHERE position = 4",
            "is not what was written",
            {"name": "RoomPainted"},
        ),
        ("UPDATE event SET version = 9 WHERE position = 4", "is not what was written", {"version": 9}),
        ("UPDATE event SET version = 'x' WHERE position = 4", "is not", {"version_hex": "78", "version_type": "text"}),
        ("UPDATE event SET body = x'ff00' WHERE position = 4", "is not what was written", {"body_hex": "ff00"}),
        ("UPDATE event SET body = 'ab' WHERE position = 4", "is not", {"body_hex": "6162", "body_type": "text"}),
        ("UPDATE event SET at = x'00ff' WHERE position = 4", "is not what was written", {"at_hex": "00ff"}),
        ("UPDATE event SET at = CAST(x'c328' AS TEXT) WHERE position = 4", "cannot be", {"at_hex": "c328"}),
        ("UPDATE event SET hash = x'07' WHERE position = 4", "is not what was written", {"hash": "07"}),
    ],
)
def test_an_altered_row_is_given_as_it_lies_there_and_named(
    capsys: pytest.CaptureFixture[str], data_dir: Path, statement: str, problem: str, as_it_lies: dict[str, object]
) -> None:
    alter(data_dir, statement)
    status, rows, err = export(capsys, data_dir)
    assert status == 1
    assert [row["position"] for row in rows] == list(range(1, len(DAY) + 1)), "nothing is left out"
    assert rows[3]["problem"].startswith(problem)
    assert as_it_lies.items() <= rows[3].items()
    assert "Journal row 4 " in err
    assert err.endswith("Not everything in the journal could be read: each place is named above and in the lines.\n")
    bad = [row["position"] for row in rows if "problem" in row]
    assert bad == ([4, 5] if "SET hash" in statement else [4]), "a row is held against the hash before it"


def rewrite(data_dir: Path, position: int, name: str, version: int, body: bytes) -> None:
    """What a newer program would have written there: the chain holds."""
    before, rows = DAY[position - 2].hash, []
    for row in DAY[position - 1 :]:
        now = replace(row, name=name, version=version, body=body) if row.position == position else row
        head = f"{now.position}\n{now.at}\n{now.name}\n{now.version}\n".encode()
        before = hashlib.sha256(before + head + now.body).digest()
        rows.append((now.name, now.version, now.body, before, now.position))
    with closing(sqlite3.connect(data_dir / "journal.db")) as database, database:
        database.executemany("UPDATE event SET name = ?, version = ?, body = ?, hash = ? WHERE position = ?", rows)


@pytest.mark.parametrize(
    ("name", "version", "problem"),
    [
        ("RoomPainted", 1, "is a RoomPainted version 1, unknown to this program"),
        ("DrainOrdered", 99, "is a DrainOrdered version 99, unknown to this program"),
        ("DrainOrdered", 1, "holds no DrainOrdered version 1 (ValidationError)"),
    ],
)
def test_what_only_another_program_can_read_is_named_and_given_in_hex(
    capsys: pytest.CaptureFixture[str], data_dir: Path, name: str, version: int, problem: str
) -> None:
    rewrite(data_dir, 6, name, version, b'{"colour":"blue"}')
    verify_journal(data_dir / "journal.db")
    status, rows, err = export(capsys, data_dir)
    assert (status, len(rows)) == (1, len(DAY))
    body = b'{"colour":"blue"}'.hex()
    expected = {"position": 6, "problem": problem, "name": name, "version": version, "body_hex": body}
    assert expected.items() <= rows[5].items()
    assert [row["position"] for row in rows if "problem" in row] == [6]
    assert f"Journal row 6 {problem}: exported as it is, bytes as hex." in err

    status, told, _ = run(capsys, f"journal tail --data-dir {data_dir}")
    assert status == 1
    assert any(f"journal row 6 {problem}; `stimfleet journal export` has its bytes" in line for line in told)


def test_missing_rows_are_named_in_their_place(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    alter(data_dir, "DELETE FROM event WHERE position IN (1, 2, 8, 10)")
    status, rows, err = export(capsys, data_dir)
    assert status == 1
    assert [row for row in rows if "problem" in row] == [
        {"position": 1, "to": 2, "problem": "missing"},
        {"position": 8, "problem": "missing"},
        {"position": 10, "problem": "missing"},
    ]
    assert "Journal rows 1 to 2 missing." in err
    assert "Journal row 8 missing." in err
    assert [row["position"] for row in export(capsys, data_dir, "--from 8 --to 9")[1]] == [8, 9]


def spoil(path: Path, text: bytes) -> int:
    """Overwrite the whole database page on which a text stands; the page's number."""
    content = bytearray(path.read_bytes())
    page = content.index(text) // 4096
    content[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    return page


async def test_a_page_that_cannot_be_read_does_not_hide_what_lies_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = open_journal(path)
    await journal.append(AT, [Counted(n, f"note {n:05d} " + "n" * 400) for n in range(1, 3001)])
    journal.close()
    spoil(path, b"note 01500")
    found = [found for found, _ in exported(path, FOLD.forms)]
    lost = [each for each in found if isinstance(each, Damaged)]
    assert [each.position for each in found] == list(range(1, 3001)), "each row, in its place"
    assert 1500 in {each.position for each in lost}
    assert 1 <= len(lost) < 20, "a page has a few rows"
    assert all("malformed" in each.why for each in lost)
    with pytest.raises(JournalCorrupt, match="malformed") as damage:
        verify_journal(path)
    assert damage.value.position == lost[0].position, "the first bad row is named"
    reader = JournalReader(path, FOLD.forms)
    told = list(reader.new())
    reader.close()
    assert [each.position for each in told if each.unread] == [each.position for each in lost]


def test_a_journal_that_is_no_database_says_so(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    (data_dir / "journal.db").write_bytes(b"not a database " * 100)
    status, rows, err = export(capsys, data_dir)
    assert (status, rows) == (1, [{"position": 1, "to": None, "problem": "cannot be read (file is not a database)"}])
    assert "Journal rows 1 to the end cannot be read (file is not a database)." in err
    for words in ("verify", "tail", "tail --follow"):
        status, _, err = run(capsys, f"journal {words} --data-dir {data_dir}")
        assert (status, "journal row 1: cannot be read (file is not a database)" in err) == (1, True)


# --- reading along ----------------------------------------------------------------------------------------------------


def test_of_an_event_that_a_device_could_not_make_readable_a_person_finds_everything(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    """Device, spool, number and the hash of what is in the device's quarantine."""
    (row,) = (row for row in DAY if row.name == "EventUnreadable")
    body = json.loads(row.body)
    _, told, _ = run(capsys, f"journal tail --data-dir {data_dir}")
    (line,) = (line for line in told if "cannot be read" in line)
    assert line == (
        f"{row.at}  {body['device']}: event {body['n']} of spool {body['spool_id']} cannot be read; "
        f"the device sets it aside (payload SHA-256 {body['payload_sha256']})"
    )
    (row,) = (row for row in DAY if row.name == "EventConflicted")
    event = json.loads(row.body)["event"]
    (line,) = (line for line in told if "under one number" in line)
    assert f"{event['n']} of spool {event['spool_id']}; the second is {event['event_id']}" in line


async def test_a_reader_goes_on_in_the_journal_that_a_restore_put_there(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    for name, by in (("j.db", 1), ("other.db", 2)):
        journal = open_journal(tmp_path / name)
        await journal.append(AT, [Counted(by)] * 3)
        journal.close()
    reader = JournalReader(path)
    assert [told.body["by"] for told in reader.new()] == [1, 1, 1]
    (tmp_path / "other.db").replace(path)
    journal = open_journal(path)
    await journal.append(AT, [Counted(5)])
    assert [told.body["by"] for told in reader.new()] == [5], "it went on behind what it had told"
    reader.close()
    journal.close()


@pytest.mark.parametrize(("body", "why"), [(b"{half", "is no JSON"), (b"[1]", "is no JSON object")])
async def test_whoever_follows_a_stop_is_told_of_a_row_that_is_none(tmp_path: Path, body: bytes, why: str) -> None:
    journal = open_journal(tmp_path / "j.db")
    await journal.append(AT, [Counted(1), Counted(2)])
    journal.close()
    alter_one = "UPDATE event SET body = ?, hash = ? WHERE position = 2"
    with closing(sqlite3.connect(tmp_path / "j.db")) as database, database:
        (before,) = database.execute("SELECT hash FROM event WHERE position = 1").fetchone()
        chained = hashlib.sha256(before + f"2\n{AT}\nCounted\n1\n".encode() + body).digest()
        database.execute(alter_one, (body, chained))
    reader = JournalReader(tmp_path / "j.db")
    good, bad = reader.new()
    reader.close()
    assert bad.unread is not None
    assert bad.unread.startswith(f"row 2 {why}")
    assert good == Told(1, AT, "Counted", {"by": 1, "note": None, "share": 0.5})


def test_there_is_nothing_to_read_before_the_journal_is_made(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path / "j.db")
    reader.skip(10)
    assert list(reader.new()) == []
    sqlite3.connect(tmp_path / "j.db").close()
    (tmp_path / "j.db").touch()
    reader.skip(10)
    assert list(reader.new()) == []
    reader.close()


def test_a_day_of_the_command_line_is_a_day() -> None:
    since = stimfleet.parser().parse_args(["journal", "export", "--since", "2026-11-25"]).since
    assert since == date(2026, 11, 25)
