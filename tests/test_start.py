"""What every command costs before it does anything."""

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

HEAVY = {"asyncio", "cryptography", "fastapi", "gmqtt", "importlib.metadata", "paho", "pydantic", "sqlalchemy"}


def test_the_version_is_said_where_a_script_reads_it() -> None:
    asked = [sys.executable, "-m", "stimfleet", "--version"]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"stimfleet {version('stimfleet')}\n", "")


def said_by(program: str) -> Any:
    """What a fresh interpreter says at its end, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_command_line_loads_nothing_heavy_before_a_command_is_chosen() -> None:
    loaded = said_by("import json, sys, stimfleet; stimfleet.parser(); print(json.dumps(sorted(sys.modules)))")
    assert "fleet.commandline" in loaded
    assert HEAVY & set(loaded) == set()


def test_the_collector_looks_seldom_during_a_command_and_at_nothing_after_it() -> None:
    program = """
import gc, json, sys
before = gc.get_threshold(), gc.get_freeze_count()
import stimfleet
imported = gc.get_threshold(), gc.get_freeze_count()
sys.argv[1:] = ["--version"]
try:
    stimfleet.command()
except SystemExit:
    print(json.dumps([before, imported, gc.get_threshold(), gc.get_freeze_count()]))
"""
    before, imported, threshold, frozen = said_by(program)
    assert imported == before  # who only imports it keeps its own ways
    assert threshold == [5_000, 20, 10]
    assert frozen > 5_000
