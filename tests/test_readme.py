"""The README's examples are run, in order, in an empty folder, and say what the README says that they say."""

import doctest
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
COMES_WITHIN_S = 30.0  # a person tries again, too: a process that was just started is not up at once


@dataclass(frozen=True)
class Example:
    """One command and what it says; `...` stands for anything."""

    command: str
    says: str

    @property
    def in_background(self) -> bool:
        return self.command.endswith("&")

    @property
    def words(self) -> list[str]:
        return shlex.split(self.command.removesuffix("&"))

    def is_answered_by(self, said: str) -> bool:
        return doctest.OutputChecker().check_output(self.says, said, doctest.ELLIPSIS)


def console_examples(page: Path) -> list[Example]:
    """Every `$` line of a page's console blocks with the lines under it."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    whole = [block.replace("\\\n", "") for block in blocks]  # a command may go on in the next line
    parts = [part for block in whole for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [Example(*part.split("\n", 1)) for part in parts]


def test_the_readme_runs(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for example in console_examples(README):
            if example.in_background:
                running.append(subprocess.Popen(example.words, cwd=tmp_path, env=environment))
            else:
                says_what_it_should(example, tmp_path, environment)
        assert [process.poll() for process in running] == [None] * len(running), "nothing ended by itself"
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
    assert [process.wait(15.0) for process in running] == [0] * len(running), "all end cleanly"


def says_what_it_should(example: Example, folder: Path, environment: dict[str, str]) -> None:
    give_up_s = time.monotonic() + COMES_WITHIN_S
    while True:
        done = subprocess.run(example.words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if example.is_answered_by(said):
            return
        assert time.monotonic() < give_up_s, f"$ {example.command}\n{said}\nbut the page says\n{example.says}"
        time.sleep(0.1)  # asks a command again


def test_the_readme_has_examples_to_run() -> None:
    commands = [example.command for example in console_examples(README)]
    assert len(commands) > 10
    assert all(command.startswith("stimfleet ") for command in commands)
