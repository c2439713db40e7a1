"""A backup taken while the clinic works, and put back: the fleet leads again, and what is lost has a name (H21)."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from demo.processes import await_that
from fleet.adapters.journal.reading import JournalReader
from fleet.adapters.journal.restore import verify_journal
from tests.faults.conftest import Ward

DEVICE = "stim-01"


def journal(ward: Ward, *words: str) -> "subprocess.CompletedProcess[str]":
    """`stimfleet journal ...` as somebody types it."""
    command = [sys.executable, "-m", "stimfleet", "journal", *words, f"--data-dir={ward.clinic.fleet_dir}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def told(ward: Ward, name: str) -> list[dict[str, Any]]:
    """Every journaled event of one name."""
    reader = JournalReader(ward.clinic.fleet_dir / "journal.db")
    try:
        return [dict(each.body) for each in reader.new() if each.name == name]
    finally:
        reader.close()


def newest_n(ward: Ward) -> int:
    """The number of the device's newest event that the journal has."""
    return max((body["event"]["n"] for body in told(ward, "DeviceReported") if body["device"] == DEVICE), default=0)


def kept_by_the_device(ward: Ward) -> int:
    """How many events the device still has, because nobody has receipted them."""
    with closing(sqlite3.connect(ward.clinic.data(DEVICE) / "spool.db")) as spool:
        return int(spool.execute("SELECT count(*) FROM event").fetchone()[0])


def await_receipts(ward: Ward) -> None:
    await_that("the device has a receipt for everything", lambda: kept_by_the_device(ward) == 0, 15.0)


def fleet_n(ward: Ward) -> int:
    return int(ward.clinic.ask(op="status")["fleet_n"])


def the_next_instance_leads(ward: Ward) -> None:
    before = fleet_n(ward)
    os.kill(int(ward.clinic.ask(op="status")["pid"]), signal.SIGKILL)
    await_that("the next instance leads", lambda: ward.clinic.answers() and fleet_n(ward) > before, 15.0)


def test_a_restored_fleet_leads_again_and_names_what_it_has_lost(ward: Ward, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    await_receipts(ward)
    made = journal(ward, "backup", str(backup))
    assert made.returncode == 0, made.stderr
    in_backup_n, rows = newest_n_in(backup), verify_journal(backup).rows
    assert f"{backup} holds {rows} events and is proved, tip " in made.stdout

    # Life goes on: other instances lead, a session runs and ends, and the device is receipted for its events.
    for _ in range(2):
        the_next_instance_leads(ward)
    ward.end_to_end(DEVICE)
    await_receipts(ward)
    last_n, highest = newest_n(ward), fleet_n(ward)
    assert last_n > in_backup_n

    refused = journal(ward, "restore", str(backup))
    worker = ward.clinic.ask(op="status")["pid"]
    assert refused.returncode == 1
    assert f"fleet service, process {worker} uses {ward.clinic.fleet_dir}: end it first" in refused.stderr

    assert ward.clinic.fleet.end() is None
    restored = journal(ward, "restore", str(backup))
    assert restored.returncode == 0, restored.stderr
    assert f"The journal is now what {backup} holds: {rows} events" in restored.stdout
    assert f"events that the restored one has not, from row {rows + 1} on" in restored.stdout
    ward.clinic.fleet.start()

    # It takes a number above every one that a device has seen, and treats; each gap is named at the device's birth.
    await_that("the restored fleet leads", ward.clinic.answers, 20.0)
    ward.end_to_end(DEVICE)
    await_that("its number is the highest", lambda: fleet_n(ward) > highest, 10.0)
    assert told(ward, "FleetNumberRaised")
    gaps = [gap for gap in told(ward, "SpoolGapFound") if gap["device"] == DEVICE]
    named = [n for gap in gaps for n in range(gap["from_n"], gap["to_n"] + 1)]
    lost = list(range(in_backup_n + 1, last_n + 1))
    assert named == lost, "exactly what the device was receipted for and the backup has not, each once"
    await_receipts(ward)
    assert newest_n(ward) > last_n
    (aside,) = (ward.clinic.fleet_dir / "quarantine").glob("*/journal.db")
    exported = journal(ward, "export", f"--file={aside}", f"--from={rows + 1}")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count('"name": "DeviceReported"') >= last_n - in_backup_n, "and what it was is still there"


def newest_n_in(backup: Path) -> int:
    reader = JournalReader(backup)
    try:
        bodies = [told.body for told in reader.new() if told.name == "DeviceReported"]
    finally:
        reader.close()
    return max((body["event"]["n"] for body in bodies if body["device"] == DEVICE), default=0)
