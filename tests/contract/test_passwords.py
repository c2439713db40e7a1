"""Passwords for the programs beside the fleet service: random, once, and for nobody but those who need them."""

import re
import stat
from pathlib import Path

import pytest

from broker.pki.folder import ProvisioningRefused
from broker.pki.passwords import make_passwords
from stimfleet import main


def test_each_is_made_once_random_and_closed_to_the_world(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert make_passwords(folder, ["one", "two"]) == ("one", "two")
    one, two = ((folder / name).read_text() for name in ("one", "two"))
    assert re.fullmatch("[0-9a-f]{64}", one)
    assert one != two
    assert stat.S_IMODE((folder / "one").stat().st_mode) == 0o640
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750

    assert make_passwords(folder, ["one", "two", "three"]) == ("three",)
    assert (folder / "one").read_text() == one, "whoever has it already goes on with it"


def test_a_name_that_is_a_path_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ProvisioningRefused, match="must be named by"):
        make_passwords(tmp_path / "secrets", ["one", "../ca.key"])
    assert not (tmp_path / "secrets").exists()


def test_the_commands_may_be_given_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = ["provision", "site", "north", f"--site-dir={tmp_path / 'site'}", f"--ca-dir={tmp_path / 'ca'}"]
    assert main([*site, "--unless-there"]) == 0
    key = (tmp_path / "site" / "site.key").read_bytes()
    assert main([*site, "--unless-there"]) == 0
    assert "is in" in capsys.readouterr().out
    assert (tmp_path / "site" / "site.key").read_bytes() == key
    assert main(site) == 1, "without the word it says no, as ever"
    south = [word if word != "north" else "south" for word in site]
    assert main([*south, "--unless-there"]) == 1
    assert "holds the site north, not south" in capsys.readouterr().err

    passwords = ["provision", "passwords", "grafana", f"--out={tmp_path / 'secrets'}"]
    assert main(passwords) == 0
    assert main(passwords) == 0
    said = capsys.readouterr().out
    assert "Made in" in said
    assert "already" in said
    assert (tmp_path / "secrets" / "grafana").read_text() not in said, "never shown"
