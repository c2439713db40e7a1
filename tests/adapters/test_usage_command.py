"""`stimfleet usage` on a journal's file, without a fleet: what it prints is what the rows say."""

import argparse
import asyncio
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.journal.writer import Journal
from fleet.commandline import add_commands
from fleet.core.events import Event
from fleet.stored import FOLD
from tests.core.practice import Practice
from tests.core.usage_by_hand import ByHand, Row

WALL_AT = "2026-11-22T12:00:00.000Z"


async def written(folder: Path, events: list[Event]) -> Path:
    """A journal's folder as a fleet service leaves it."""
    journal = Journal(folder / "journal.db", FOLD, lambda _error: None)
    try:
        await journal.append(WALL_AT, events)
    finally:
        journal.close()
    return folder


def a_week() -> Practice:
    """Two devices, two rooms, two days; one session that only the fleet knows the length of, one that is not over."""
    clinic = Practice("Europe/Vienna")
    clinic.treats(on_time_s=301.5)
    clinic.treats("c-4712", "stim-7", on_time_s=360.25)
    clinic.days_later(1)
    clinic.begins("c-4713")
    clinic.after(31.0)
    clinic.is_off()
    clinic.is_idle()
    clinic.decides(clinic.request(device="stim-99", client="c-4714"))
    clinic.begins("c-4715", "stim-7")
    return clinic


def rows_in(folder: Path) -> list[Row]:
    """The rows as any tool would read them."""
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        return [(name, json.loads(body)) for name, body in database.execute("SELECT name, body FROM event")]


def run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="stimfleet")
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["usage", f"--data-dir={folder}", *words])
    return int(args.run(args))


@pytest.mark.parametrize("by", ["day", "room", "device", "cause"])
async def test_it_agrees_with_the_rows_to_the_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    folder = await written(tmp_path, a_week().journal)
    assert run(folder, f"--by={by}", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    expected, everything = ByHand(rows_in(folder)).figures(by)
    assert (document["by"], document["time_zone"]) == (by, "Europe/Vienna")
    assert document["rows"] == {key: row for key, row in expected.items() if any(row.values())}
    assert document["total"] == everything
    assert everything["by_fleet"] == 1, "the week has what it says"


async def test_as_csv_a_line_a_key_with_seconds_and_microcoulombs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = await written(tmp_path, a_week().journal)
    assert run(folder, "--by=device", "--csv", "--to=2026-11-22") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(line["device"], line["authorised"], line["session_s"], line["current_s"]) for line in lines] == [
        ("stim-12", "1", "904.5", "301.5"),
        ("stim-7", "1", "1080.75", "360.25"),
    ]
    assert "causes" not in lines[0]
    assert lines[0]["faults"] == "0"


async def test_a_room_whose_name_is_a_formula_stays_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody checks what a journal says about its rooms; a spreadsheet would obey it."""
    clinic = Practice()
    for evil in ('=cmd|"/c calc"!A0', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "room-1"):
        clinic.changes_device("stim-7", room=evil)  # never heard: a device's settings could not even carry it
        clinic.decides(clinic.request(device="stim-7"))
    folder = await written(tmp_path, clinic.journal)
    assert run(folder, "--by=room", "--csv") == 0
    rooms = [line["room"] for line in csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))]
    assert sorted(rooms) == ["'\t'=1", "'\r'=1", "'+1", "'-2+3", '\'=cmd|"/c calc"!A0', "'@SUM(A1)", "room-1"]


async def test_as_a_table_the_fleet_s_own_time_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = await written(tmp_path, a_week().journal)
    assert run(folder, "--by=day") == 0
    heading, first, second, total, by_fleet, not_over, days = capsys.readouterr().out.splitlines()
    assert heading.startswith("day         authorised  refused  started")
    assert first.split() == ["2026-11-22", "2", "0", "2", "2", "0", "0", "33.1", "11.0", "180.0", "0", "0.0", "0", "0"]
    assert second.split() == ["2026-11-23", "2", "1", "2", "0", "0", "1", "0.0", "0.0", "0.0", "1", "0.5", "0", "1"]
    assert total.split()[:3] == ["total", "4", "1"]
    assert len({len(line) for line in (heading, first, second, total)}) == 1
    assert by_fleet == (
        "By fleet only: 1, without numbers of the device; their minutes are the fleet's own, in no other column."
    )
    assert (not_over, days) == (
        "Not over yet: 1, in no column of minutes.",
        "Days are the clinic's (Europe/Vienna).",
    )


async def test_a_journal_of_nothing_is_a_table_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = await written(tmp_path, Practice().journal)
    assert run(folder, "--from=2026-11-01", "--to=2026-11-30") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["total", "0"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--from=2026-11-23", "--to=2026-11-22"), 1, "No day is from 2026-11-23 to 2026-11-22"),
        (("--from=soon",), 2, "'soon' is no day like 2026-11-25"),
        (("--by=operator",), 2, "invalid choice: 'operator'"),
        (("--csv", "--json"), 2, "not allowed with argument"),
    ],
)
async def test_what_cannot_be_counted_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int, said: str
) -> None:
    folder = await written(tmp_path, Practice().journal)
    try:
        ended = run(folder, *words)
    except SystemExit as exited:
        ended = int(str(exited.code))
    assert (ended, said in capsys.readouterr().err) == (status, True)


def test_without_a_journal_it_fails_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 1
    assert capsys.readouterr().err == f"{tmp_path}/journal.db cannot be used: there is no such journal.\n"


async def test_a_journal_that_was_tampered_with_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = await written(tmp_path, a_week().journal)
    with closing(sqlite3.connect(folder / "journal.db")) as database, database:
        database.execute("UPDATE event SET body = replace(body, 'c-4712', 'c-9999') WHERE position = 12")
        database.execute("DELETE FROM event WHERE position = 20")
    assert run(folder) == 1
    out, err = capsys.readouterr()
    assert (out, err.startswith("journal row ")) == ("", True)
    (folder / "journal.db").write_bytes(b"SQLite format 3\0" + b"\0" * 4000)
    assert run(folder) == 1
    assert "journal row 1: cannot be read (file is not a database)" in capsys.readouterr().err


def ended(command: list[str], **pipes: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=True, timeout=60, **pipes)


async def test_somebody_at_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    """On stderr, and only there: what is printed is the same."""
    folder = await written(tmp_path, a_week().journal)
    patched = "import stimfleet; from fleet.commands import usage; usage.PROGRESS_EVENTS = 10"
    program = f"{patched}; raise SystemExit(stimfleet.main())"
    command = [sys.executable, "-c", program, "usage", f"--data-dir={folder}"]
    ours, theirs = os.openpty()
    watched = await asyncio.to_thread(ended, command, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    events = len(rows_in(folder))
    assert f"10 of {events} events" in said
    assert said.endswith("\r\033[K")
    unwatched = await asyncio.to_thread(ended, command, capture_output=True)
    assert (unwatched.stdout, unwatched.stderr) == (watched.stdout, b"")
