"""The usage ledger of a journal on disk: `stimfleet usage` says the same, and what was counted is not counted twice."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet.adapters.journal.errors import JournalCorrupt, JournalReplaced
from fleet.adapters.journal.writer import Journal
from fleet.core.events import Event
from fleet.core.tallies import By
from fleet.reports.journal_ledger import JournalLedger, open_usage
from fleet.reports.usage_ledger import UsageLedger
from fleet.stored import FOLD
from tests.adapters.test_usage_command import run, written
from tests.core.practice import Practice
from tests.reports.test_usage_ledger import three_months


async def appended(folder: Path, events: list[Event]) -> None:
    journal = Journal(folder / "journal.db", FOLD, lambda _error: None)
    try:
        await journal.append("2026-11-22T12:00:00.000Z", events)
    finally:
        journal.close()


def counted(folder: Path) -> JournalLedger[UsageLedger]:
    ledger = open_usage(folder / "journal.db", folder / "usage.json")
    while ledger.look():
        pass
    return ledger


def said(ledger: JournalLedger[UsageLedger], by: By) -> dict[str, Any]:
    rows, total = ledger.counted.add_up(by)
    return {"rows": {key: row.figures() for key, row in rows.items()}, "total": total.figures()}


def by_command(folder: Path, by: By, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(folder, f"--by={by}", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    return {"rows": printed["rows"], "total": printed["total"]}


async def test_it_says_what_the_command_says_to_the_digit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = await written(tmp_path, three_months().journal)
    ledger = counted(folder)
    for by in By:
        assert said(ledger, by) == by_command(folder, by, capsys)
    ledger.close()


async def test_what_was_counted_is_not_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = three_months().journal
    half = len(journal) // 2
    await written(tmp_path, journal[:half])
    first = counted(tmp_path)
    assert not first.from_checkpoint
    first.save()
    first.close()
    await appended(tmp_path, journal[half:])
    second = open_usage(tmp_path / "journal.db", tmp_path / "usage.json")
    assert (second.from_checkpoint, second.tip.position) == (True, half)
    rows = 0
    while looked := second.look():
        rows += looked
    assert rows == len(journal) - half
    assert said(second, By.DEVICE) == by_command(tmp_path, By.DEVICE, capsys)
    second.close()
    assert (tmp_path / "usage.json").stat().st_mode & 0o777 == 0o600


async def test_a_service_that_writes_meanwhile_is_followed(tmp_path: Path) -> None:
    clinic = Practice()
    await written(tmp_path, clinic.journal)
    ledger = counted(tmp_path)
    before = len(clinic.journal)
    clinic.treats("client-0001", on_time_s=300.0)
    await appended(tmp_path, clinic.journal[before:])
    assert ledger.look() == len(clinic.journal) - before
    assert ledger.look() == 0
    assert said(ledger, By.DEVICE)["total"]["current_s"] == 300.0
    ledger.close()


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def of_another_program(file: Path) -> None:
    file.write_bytes(b"0" + file.read_bytes())


def garbled(file: Path) -> None:
    file.write_bytes(b"{}")


@pytest.mark.parametrize("harm", [torn, of_another_program, garbled, Path.unlink])
async def test_a_file_that_does_not_hold_is_thrown_away(tmp_path: Path, harm: Any) -> None:
    await written(tmp_path, three_months().journal)
    first = counted(tmp_path)
    expected = said(first, By.DAY)
    first.save()
    first.close()
    harm(tmp_path / "usage.json")
    second = counted(tmp_path)
    assert not second.from_checkpoint
    assert said(second, By.DAY) == expected
    second.close()


async def test_what_was_counted_of_another_journal_is_thrown_away(tmp_path: Path) -> None:
    """As long, or shorter, and never this one."""
    clinic = three_months()
    await written(tmp_path, clinic.journal)
    ledger = counted(tmp_path)
    ledger.save()
    (tmp_path / "journal.db").rename(tmp_path / "aside.db")
    other = Practice()
    other.at("2027-12-01 09:00")
    for _ in range(200):
        other.stims["stim-12"].boot_n += 1
        other.ready("stim-12")
    await written(tmp_path, other.journal)
    with pytest.raises(JournalReplaced, match="another journal"):
        ledger.look()
    ledger.close()
    anew = open_usage(tmp_path / "journal.db", tmp_path / "usage.json")
    assert (anew.from_checkpoint, anew.tip.position) == (False, 0)
    anew.close()


async def test_a_journal_that_was_tampered_with_is_not_counted(tmp_path: Path) -> None:
    await written(tmp_path, three_months().journal)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database, database:
        database.execute("UPDATE event SET name = 'DeviceBorn' WHERE position = 30")
    with pytest.raises(JournalCorrupt, match="row 30"):
        counted(tmp_path)


async def test_nothing_new_is_not_written_again(tmp_path: Path) -> None:
    await written(tmp_path, Practice().journal)
    ledger = counted(tmp_path)
    ledger.save()
    (tmp_path / "usage.json").unlink()
    ledger.save()
    assert not (tmp_path / "usage.json").exists()
    ledger.close()


async def test_a_journal_that_goes_away_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    await written(tmp_path, three_months().journal)
    ledger = counted(tmp_path)
    ledger.save()
    (tmp_path / "journal.db").rename(tmp_path / "aside.db")
    with pytest.raises(JournalReplaced):
        ledger.look()
    ledger.close()
    with pytest.raises(FileNotFoundError):
        open_usage(tmp_path / "journal.db", tmp_path / "usage.json")
    (tmp_path / "journal.db").write_bytes(b"SQLite format 3\0" + b"\0" * 4000)
    with pytest.raises(JournalCorrupt):
        open_usage(tmp_path / "journal.db", tmp_path / "usage.json")
