"""docs/operations.md: its commands are typed as they stand, in order, and say what the page says that they say.

The folders of the page are folders of the test, the broker has a port of its own, and `systemctl` starts and stops what
the unit of that name starts: its own `ExecStart`, with its own variables. There is no systemd here.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stimfleet
from broker.mosquitto.local import mosquitto_path
from broker.ports import free_port
from fleet.adapters.journal.reading import JournalReader
from tests.deploy.composition import ROOT
from tests.test_readme import Example, console_examples, says_what_it_should

PAGE = ROOT / "docs" / "operations.md"
UNITS = ROOT / "deploy" / "systemd"
FOLDERS = {"/etc/stimfleet": "etc", "/var/lib/stimfleet": "var", "/srv/backup": "backup", "/media/ca": "ca"}


class Host:
    """What the page takes for granted: folders, an account with its environment, services."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._places = {place: str(folder / name) for place, name in FOLDERS.items()}
        for name in set(FOLDERS.values()) - {"ca"}:
            (folder / name).mkdir()
        self.folder = folder / "etc"
        self.data_dir = folder / "var"
        self._log = folder / "services.log"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{Path(mosquitto_path()).parent}:{os.environ['PATH']}",
            "STIMFLEET_DATA_DIR": str(self.data_dir),
            "STIMFLEET_FLEET_HTTP_PORT": "0",
            "STIMFLEET_WEB_PORT": "0",
        }

    def here(self, text: str) -> str:
        """With the folders of this host."""
        for place, here in self._places.items():
            text = text.replace(place, here)
        return text.replace("provision site north", f"provision site north --broker-port={self.port}")

    def systemctl(self, verb: str, units: list[str]) -> None:
        for unit in units:
            if verb in {"stop", "restart"}:
                self.stop(unit)
            if verb in {"start", "restart"}:
                assert unit not in self._running, f"{unit} runs already"
                with self._log.open("ab") as log:
                    self._running[unit] = subprocess.Popen(
                        self._command(unit), cwd=self.folder, env=self.environment, stdout=log, stderr=log
                    )

    def stop(self, unit: str) -> None:
        process = self._running.pop(unit)
        assert process.poll() is None, f"{unit} ended by itself: {self._log.read_text()[-2000:]}"
        process.send_signal(signal.SIGTERM)
        # As systemd has it: ended by the signal that it was sent is a clean end.
        assert process.wait(20.0) in {0, -signal.SIGTERM}, f"{unit} ended badly: {self._log.read_text()[-2000:]}"

    def stop_all(self) -> None:
        for unit in reversed(tuple(self._running)):
            self.stop(unit)

    def kill_what_is_left(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def _command(self, unit: str) -> list[str]:
        if unit == "mosquitto":
            return ["mosquitto", "-c", str(self.folder / "site" / "broker" / "mosquitto.conf")]
        text = (UNITS / f"{unit}.service").read_text().replace("\\\n", " ")
        variables = dict(re.findall(r"^Environment=(\w+)=(\S+)$", text, re.MULTILINE))
        (command,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        for name, value in variables.items():
            command = command.replace(f"${{{name}}}", value)
        return shlex.split(self.here(command.replace("/opt/stimfleet/.venv/bin/", "")))


@pytest.mark.timeout(240)
def test_the_page_s_commands_do_what_it_says(tmp_path: Path) -> None:
    host = Host(tmp_path)
    try:
        for example in console_examples(PAGE):
            words = shlex.split(host.here(example.command))
            if words[0] == "systemctl":
                host.systemctl(words[1], words[2:])
            else:
                here = Example(host.here(example.command), host.here(example.says))
                says_what_it_should(here, host.folder, host.environment)
        host.stop_all()
    finally:
        host.kill_what_is_left()
    names = [told.name for told in _journal(host.data_dir / "journal.db")]
    assert names.count("DrainOrdered") == names.count("DrainLifted") == 1
    (set_aside,) = (host.data_dir / "quarantine").glob("*/journal.db")
    assert _journal(set_aside), "what was there before the restore is kept"


def _journal(path: Path) -> list[Any]:
    reader = JournalReader(path)
    try:
        return list(reader.new())
    finally:
        reader.close()


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda path: str(path.stem))
def test_every_unit_starts_a_command_of_ours_as_nobody_special(unit: Path) -> None:
    text = unit.read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^ExecStart=/opt/stimfleet/.venv/bin/stimfleet (.+)$", text, re.MULTILINE)
    assert stimfleet.parser().parse_args(shlex.split(command)).run
    assert re.search(r"^User=stimfleet$", text, re.MULTILINE)
    assert re.search(r"^NoNewPrivileges=yes$", text, re.MULTILINE)
    assert f"enable --now {unit.stem.rstrip('@')}" in text


def test_every_word_on_the_page_that_is_a_command_is_one() -> None:
    """Those in running text too: `stimfleet rota check FILE` and the like."""
    known = stimfleet.parser()._subparsers
    assert known is not None
    (choices,) = (set(action.choices or ()) for action in known._group_actions)
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"`stimfleet ([a-z-]+)", page)) <= choices
    units = {path.name.removesuffix(".service").rstrip("@") for path in UNITS.glob("*.service")}
    assert set(re.findall(r"`(stimfleet-(?:fleet|web|recorder|pager|agent))", page)) == units
