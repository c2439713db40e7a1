"""`stimfleet journal ...` as it is typed: what it says, and with what status it ends."""

import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

import stimfleet
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.lock import Held, not_running, one_instance
from fleet.commands import terminal
from tests.journal.golden import LONG_DAY, database_of, rows_of

ROWS = len(rows_of(LONG_DAY))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    database_of(LONG_DAY, tmp_path / "data" / "journal.db")
    return tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], data_dir: Path, *words: object) -> tuple[int, str, str]:
    status = stimfleet.main(["journal", *map(str, words), f"--data-dir={data_dir}"])
    said = capsys.readouterr()
    return status, said.out, said.err


def cut(journal: Path, after: int) -> None:
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("DELETE FROM event WHERE position > ?", (after,))


def test_a_tip_that_was_kept_elsewhere_shows_that_an_end_was_cut(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    backup = data_dir.parent / "b.db"
    status, out, _ = run(capsys, data_dir, "backup", backup)
    tip = verify_journal(backup).tip_hash
    assert (status, out.splitlines()[0]) == (0, f"{backup} holds {ROWS} events and is proved, tip {tip}.")
    holds = (0, f"The chain holds: {ROWS} events, tip {tip}.\n", "")
    assert run(capsys, data_dir, "verify", "--tip", tip) == holds
    assert run(capsys, data_dir, "verify", "--tip", tip, "--file", backup) == holds
    cut(data_dir / "journal.db", ROWS - 3)
    assert run(capsys, data_dir, "verify")[0] == 0, "of itself it does not show"
    status, _, err = run(capsys, data_dir, "verify", "--tip", tip)
    assert (status, "with the expected hash is not in the chain: its end was cut" in err) == (1, True)


def test_a_backup_is_put_back_and_what_was_set_aside_is_told(
    capsys: pytest.CaptureFixture[str], data_dir: Path
) -> None:
    backup = data_dir.parent / "b.db"
    run(capsys, data_dir, "backup", backup)
    cut(backup, ROWS - 4)
    status, out, err = run(capsys, data_dir, "restore", backup)
    assert (status, err) == (0, "")
    (aside,) = (data_dir / "quarantine").glob("journal-20*Z/journal.db")
    lines = out.splitlines()
    assert lines[0].startswith(f"The journal is now what {backup} holds: {ROWS - 4} events, tip ")
    assert lines[1:4] == [
        f"The one before is in {aside.parent}; nothing was deleted.",
        f"It has 4 events that the restored one has not, from row {ROWS - 3} on:",
        f"  stimfleet journal export --file {aside} --from {ROWS - 3}",
    ]
    assert "is a gap" in lines[4]
    assert "SpoolGapFound" in lines[4]
    status, out, _ = run(capsys, data_dir, *lines[3].split()[2:])
    assert [json.loads(line)["position"] for line in out.splitlines()] == list(range(ROWS - 3, ROWS + 1))
    assert run(capsys, data_dir, "restore", aside)[1].splitlines()[2] == (
        "It has no event that the restored one has not, and fewer of them."
    )


def test_a_journal_that_could_not_be_read_is_told_as_that(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    backup = data_dir.parent / "b.db"
    run(capsys, data_dir, "backup", backup)
    (data_dir / "journal.db").write_bytes(b"not a database " * 50)
    status, _, err = run(capsys, data_dir, "backup", data_dir.parent / "c.db")
    assert status == 1
    assert err.startswith("Nothing was backed up, the journal itself is damaged: journal row 1: cannot be read")
    status, out, _ = run(capsys, data_dir, "restore", backup)
    assert status == 0
    assert "It cannot be read whole, so nobody can say how many events are newer in it." in out
    assert verify_journal(data_dir / "journal.db").rows == ROWS


def test_a_restore_into_a_folder_without_a_journal_makes_one(
    capsys: pytest.CaptureFixture[str], data_dir: Path, tmp_path: Path
) -> None:
    status, out, _ = run(capsys, tmp_path / "new", "restore", data_dir / "journal.db")
    assert (status, len(out.splitlines())) == (0, 1)
    assert verify_journal(tmp_path / "new" / "journal.db").rows == ROWS
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_backup_that_is_not_there(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    status, _, err = run(capsys, data_dir, "restore", data_dir / "none.db")
    assert (status, err) == (1, f"{data_dir / 'none.db'} cannot be used: it is not there.\n")
    status, _, err = run(capsys, data_dir, "verify", "--file", data_dir / "none.db")
    assert (status, err) == (1, f"There is no file {data_dir / 'none.db'}.\n")


def test_a_backup_of_a_newer_program_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this program did not know the first event yet."""
    from fleet.stored import FOLD

    backup = data_dir.parent / "b.db"
    run(capsys, data_dir, "backup", backup)
    monkeypatch.delitem(FOLD.forms._by_key, ("FleetTookOver", 1))
    status, _, err = run(capsys, data_dir, "restore", backup)
    assert status == 1
    assert err.startswith(
        f"{backup} was written by a newer program, nothing was changed: journal row 1: is a FleetTook"
    )


def test_a_restore_waits_for_nobody_and_says_who_is_at_work(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    with one_instance(data_dir / "fleet.lock", lambda: None):
        status, _, err = run(capsys, data_dir, "restore", data_dir / "journal.db")
    assert status == 1
    assert err == (
        f"fleet service, process {os.getpid()} uses {data_dir}: end it first (Ctrl-C where it runs, or systemctl stop "
        "stimfleet-fleet), then restore again. Nothing was changed.\n"
    )


def test_a_fleet_waits_for_a_restore(data_dir: Path) -> None:
    lock = data_dir / "fleet.lock"
    with (
        not_running(lock, "stimfleet journal restore"),
        pytest.raises(Held, match=f"stimfleet journal restore, process {os.getpid()}"),
        not_running(lock, "another"),
    ):
        raise AssertionError("two at once")


def test_a_restore_under_another_account_would_lock_the_fleet_out(
    capsys: pytest.CaptureFixture[str], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = data_dir.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    status, _, err = run(capsys, data_dir, "restore", data_dir / "journal.db")
    assert (status, f"belongs to another account (uid {owner}): restore as that one" in err) == (1, True)


def test_long_work_shows_how_far_it_is_at_a_terminal_only(
    capsys: pytest.CaptureFixture[str], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "SHOW_EVERY_S", 0.0)
    assert run(capsys, data_dir, "export")[2] == ""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as at_terminal, closing(io.FileIO(master)) as seen:
        monkeypatch.setattr(sys, "stderr", at_terminal)
        run(capsys, data_dir, "export")
        at_terminal.flush()
        shown = seen.read(100_000)
        while not shown.endswith(b"\r\x1b[K"):  # and leaves nothing behind; a terminal hands it on in pieces
            shown += seen.read(100_000)
    assert b"Exported 1 rows ..." in shown
