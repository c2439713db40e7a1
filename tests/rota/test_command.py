"""`stimfleet rota ...` as a person types it."""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.pki.site import provision_site
from fleet.commandline import add_commands
from fleet.rota.file import load_rota
from tests.rota.test_file import ROTA


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    provision_site(folder, tmp_path / "ca", "north", now=datetime.now(UTC))
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "anna-phone").write_text("ntfys://token@push.example/anna")
    return folder


def run(site: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="stimfleet")
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["rota", *words, "--site-dir", str(site)])
    status: int = args.run(args)
    return status


def file_of(folder: Path, **changes: object) -> str:
    path = folder / "mine.json"
    path.write_text(json.dumps({**ROTA, **changes}))
    return os.fspath(path)


TURN = ROTA["rotations"][0]
ALWAYS = {**TURN, "first_day": "2020-01-06", "last_day": None, "overrides": []}


def test_a_file_is_imported_and_shown(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = file_of(tmp_path, rotations=[ALWAYS])
    assert run(site, "check", mine) == 0
    assert run(site, "import", mine) == 0
    assert load_rota(site) == load_rota(Path(mine))
    capsys.readouterr()
    assert run(site, "show") == 0
    said = capsys.readouterr().out
    assert any(line in said for line in ("on-call     Anna now", "on-call     Ben now"))
    assert "high        on-call, then everyone" in said
    assert "engineers medium      ben" in said
    assert "anna        Anna: phone (apprise: high medium), mail (apprise: low info)" in said
    assert "token" not in said
    assert "mailto" not in said


def test_a_gap_in_cover_is_shown(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "import", file_of(tmp_path, rotations=[{**ALWAYS, "last_day": "2020-02-03"}])) == 0
    assert run(site, "show") == 1
    shown = capsys.readouterr()
    assert "on-call     NOBODY now" in shown.out
    assert "A gap in cover: from " in shown.err


def test_without_a_rota_that_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, "show") == 1
    assert "There is no rota: nobody is told of any alarm." in capsys.readouterr().err
    assert run(site, "check", os.fspath(site)) == 1
    assert "There is no rota in " in capsys.readouterr().err


def test_every_error_has_its_line_and_nothing_is_imported(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = file_of(tmp_path, rungs={"high": [["zoe"]]})
    for what in ("check", "import"):
        assert run(site, what, mine) == 1
        assert capsys.readouterr().err.splitlines() == [
            "The rota has no rungs for medium priority: somebody must be told.",
            "Rung 1 of rungs.high names 'zoe', which is neither a person nor a rotation.",
        ]
    assert load_rota(site) is None


def test_a_secret_that_is_not_there_is_said_and_never_shown(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "secrets" / "anna-phone").unlink()
    assert run(site, "import", file_of(tmp_path)) == 1
    assert "The secret of anna/phone cannot be read: " in capsys.readouterr().err
    assert load_rota(site) is None


def test_a_rota_that_is_there_and_cannot_be_used_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "rota.json").write_text("{")
    assert run(site, "show") == 1
    assert "is not JSON" in capsys.readouterr().err.replace("It is", "is")


def test_a_site_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "show") == 1
    assert "The registry " in capsys.readouterr().err
