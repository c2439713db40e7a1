"""A service whose journal cannot be read leads nothing, says which row and what to do, and is not started again."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fleet.adapters.control.client import FleetUnreachable
from fleet.adapters.journal.writer import Journal
from fleet.adapters.lock import Held, not_running
from fleet.core.state import snapshot
from fleet.stored import FOLD, FleetJournal
from tests.adapters.clinic import Clinic, eventually
from tests.adapters.running import fleet_running, fleet_started
from tests.adapters.test_journal import Disk
from tests.journal.golden import LONG_DAY, database_of, folded

RESTORE = "`stimfleet journal restore BACKUP` sets it aside for a backup"


def altered(*statements: str) -> Callable[[Path], None]:
    def alter(journal: Path) -> None:
        with closing(sqlite3.connect(journal)) as database, database:
            for statement in statements:
                database.execute(statement)

    return alter


def no_database(journal: Path) -> None:
    journal.write_bytes(b"not a database " * 100)


def of_a_newer_program(journal: Path) -> None:
    """Row 2 is an event that only a newer program knows; the chain holds."""
    with closing(sqlite3.connect(journal)) as database, database:
        (before,) = database.execute("SELECT hash FROM event WHERE position = 1").fetchone()
        (at,) = database.execute("SELECT at FROM event WHERE position = 2").fetchone()
        chained = hashlib.sha256(before + f"2\n{at}\nRoomPainted\n1\n".encode() + b"{}").digest()
        database.execute("DELETE FROM event WHERE position > 2")
        database.execute("DELETE FROM snapshot")
        database.execute(
            "UPDATE event SET name = 'RoomPainted', body = x'7b7d', hash = ? WHERE position = 2", (chained,)
        )


def a_day_is_in_the_journal_of(clinic: Clinic) -> Path:
    """With a snapshot, as an ended service leaves it."""
    clinic.data_dir.mkdir()
    path = database_of(LONG_DAY, clinic.data_dir / "journal.db")
    journal: FleetJournal = Journal(path, FOLD, Disk())
    journal.snapshot(snapshot(journal.restored.state))
    journal.close()
    return path


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            altered("DELETE FROM snapshot", "UPDATE event SET at = 'x' WHERE position = 2"),
            f"journal row 2: is not what was written. See `stimfleet journal verify`; {RESTORE}",
        ),
        (
            altered("DELETE FROM event WHERE position = (SELECT max(position) FROM event)"),
            "is missing, and there is a snapshot that was made of it. See `stimfleet journal verify`",
        ),
        (no_database, f"row 1: cannot be read (file is not a database). See `stimfleet journal verify`; {RESTORE}"),
        (
            of_a_newer_program,
            "journal row 2: is a RoomPainted version 1, unknown to this program. Start the newer program that wrote it",
        ),
    ],
    ids=["altered", "cut", "no database", "newer"],
)
async def test_a_journal_that_cannot_be_read_is_not_led_from(
    clinic: Clinic, damage: Callable[[Path], None], says: str
) -> None:
    journal = a_day_is_in_the_journal_of(clinic)
    damage(journal)
    before = {path.name: path.read_bytes() for path in parts(clinic.data_dir)}
    async with fleet_started(clinic) as fleet:
        assert await fleet.ended(20) == 65
    log = fleet.log()
    assert f"the journal {journal} cannot be used, nothing is led: " in log
    assert says in log
    assert log.count("cannot be used, nothing is led") == 1, "it is not tried again"
    assert "starting it again" not in log
    assert "Traceback" not in log
    assert not (clinic.data_dir / "control.sock").exists()
    assert {path.name: path.read_bytes() for path in parts(clinic.data_dir)} == before, "it is left as it was"


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.glob("journal.db*") if not path.name.endswith("-shm")]


async def test_a_snapshot_that_does_not_hold_is_passed_over_and_that_is_said(clinic: Clinic) -> None:
    altered("UPDATE snapshot SET body = substr(body, 1, 9)")(a_day_is_in_the_journal_of(clinic))
    async with fleet_running(clinic) as fleet:
        led = (await fleet.ask(op="status"))["fleet_n"]
    assert led == folded(LONG_DAY).fleet_n + 1, "the rows themselves say it all"
    assert "is damaged: it is passed over, the rows themselves are folded" in fleet.log()


async def test_a_disk_that_cannot_be_used_for_now_is_tried_again_ever_more_slowly(clinic: Clinic) -> None:
    """Not a spin, and no end either: it comes back when the disk does."""
    clinic.data_dir.mkdir()
    (clinic.data_dir / "journal.db").mkdir()
    async with fleet_started(clinic) as fleet:

        def tries() -> int:
            said = clinic.data_dir.with_name("data.log")
            return said.read_text().count("journal.db cannot be used: ") if said.exists() else 0

        await eventually(lambda: tries() >= 5, 20.0)  # with pauses of 0.1, 0.2, 0.5 and 1 s: now they are 1 and 2 s
        many = tries()
        await asyncio.sleep(1.5)  # only time shows that hardly anything happens in it
        assert tries() - many <= 2
        (clinic.data_dir / "journal.db").rmdir()
        await fleet.answers()
    assert "Traceback" not in fleet.log()


async def test_a_service_beside_which_somebody_else_writes_ends_with_a_sentence_and_is_not_started_again(
    clinic: Clinic,
) -> None:
    async with fleet_running(clinic) as fleet:
        position = (await fleet.ask(op="status"))["journal_position"]
        with closing(sqlite3.connect(clinic.data_dir / "journal.db")) as other, other:
            other.execute(
                "INSERT INTO event VALUES (?, ?, 'Counted', 1, '{}', x'00')", (position + 1, "2026-11-22T09:00:00.000Z")
            )
        with suppress(FleetUnreachable):  # it ends while it is asked
            await fleet.ask(op="drain", issued_by="berta")
        assert await fleet.ended(20) == 75
    log = fleet.log()
    assert log.count("this instance ends: ") == 1
    assert f"journal row {position + 1} is there and is not ours: somebody else writes this journal" in log
    assert "starting it again" not in log
    assert "JournalContested" not in log, "a sentence, not a traceback"


async def test_a_service_takes_its_lock_again_or_ends_when_another_has_it(clinic: Clinic) -> None:
    """Somebody removes the lock's file: without a look at it a second fleet would lead beside this one."""
    lock = clinic.data_dir / "fleet.lock"
    async with fleet_running(clinic) as fleet:
        lock.unlink()
        await eventually(lambda: lock.exists() and lock.read_text(), 10.0)
        with pytest.raises(Held, match="fleet service, process"), not_running(lock, "a second one"):
            raise AssertionError("a second one is in")
        lock.unlink()
        with not_running(lock, "a second one"):
            assert await fleet.ended(20) == 75
    assert "this instance ends: a second one, process" in fleet.log()
    assert "starting it again" not in fleet.log()
    assert "Traceback" not in fleet.log()
