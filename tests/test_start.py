"""What every command costs before it does anything: what it loads, and what it has no need of."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from broker.pki.devices import provision_device
from broker.pki.site import provision_site

# Each takes 0.01 to 0.2 s of a processor.
LIBRARIES: Final = (
    *("apprise", "argon2", "asyncio", "cryptography", "cryptography.x509", "fastapi", "gmqtt", "httpx"),
    *("importlib.metadata", "influxdb_client", "paho", "prometheus_client", "pydantic", "pydantic_settings"),
    *("sqlalchemy", "uvicorn"),
)
OURS: Final = ("agents.control", "fleet.core.decide", "fleet.core.state")  # all classes of the agent, or of the core
HEAVY: Final = {*LIBRARIES, *OURS}
# A command whose folders are not there goes as far as it can, and has then loaded what it loads at its start. Of each:
# its exit status, what shows how far it came, and what of HEAVY it has a use for.
SETTINGS: Final = "asyncio importlib.metadata pydantic pydantic_settings"
CORE: Final = "fleet.core.decide fleet.core.state"
USES: Final[dict[str, tuple[int, str, str]]] = {
    "status": (1, "fleet.adapters.control.client", ""),
    "session list": (1, "fleet.adapters.control.client", ""),
    "stop stim-01": (1, "fleet.adapters.control.client", ""),
    "device stop-button --data-dir=device": (1, "agents.socket_path", ""),
    "user list": (1, "fleet.api.store", "asyncio importlib.metadata sqlalchemy"),
    "journal verify": (1, "fleet.adapters.journal.restore", "asyncio importlib.metadata pydantic sqlalchemy"),
    "recorder": (78, "fleet.recording.recorder", SETTINGS),
    "pager": (78, "fleet.paging.pager", f"{SETTINGS} fleet.core.state sqlalchemy"),
    "web": (78, "fleet.web", f"{SETTINGS} argon2 fastapi fleet.core.state sqlalchemy uvicorn"),
    "fleet": (
        78,
        "fleet.service",
        f"{SETTINGS} {CORE} cryptography cryptography.x509 gmqtt prometheus_client sqlalchemy uvicorn",
    ),
    "agent --device-dir=papers --data-dir=device --stimulator=nowhere": (
        1,
        "broker.pki.keys",
        f"{SETTINGS} agents.control cryptography paho",
    ),
    "simulate --agents=1": (
        1,
        "demo.simulate",
        f"{SETTINGS} agents.control cryptography cryptography.x509 paho",
    ),
}


def test_the_version_is_said_where_a_script_reads_it() -> None:
    asked = [sys.executable, "-m", "stimfleet", "--version"]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"stimfleet {version('stimfleet')}\n", "")


def said_by(program: str, *words: str, cwd: Path | None = None) -> Any:
    """What a fresh interpreter says at its end, as JSON."""
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the papers of one device in it, and nothing else where a command looks."""
    folder, now = tmp_path_factory.mktemp("start"), datetime.now(UTC)
    provision_site(folder / "another-site", folder / "ca", "north", now=now)
    papers = ("stim-01", "room-1", "SN-1", "EMS-2", folder / "papers")
    provision_device(folder / "another-site", folder / "ca", *papers, now=now)
    return folder


def test_the_command_line_loads_nothing_heavy_before_a_command_is_chosen() -> None:
    loaded = said_by("import json, sys, stimfleet; stimfleet.parser(); print(json.dumps(sorted(sys.modules)))")
    assert "fleet.commandline" in loaded
    assert HEAVY & set(loaded) == set()


@pytest.mark.parametrize("command", USES)
def test_a_command_loads_what_it_has_a_use_for(command: str, device: Path) -> None:
    program = """
import json, sys
import stimfleet
status = stimfleet.main()
print()
print(json.dumps([status, sorted(sys.modules)]))
"""
    status, loaded = said_by(program, *command.split(), cwd=device)
    exit_status, came_to, uses = USES[command]
    assert (status, came_to in loaded) == (exit_status, True)
    assert (HEAVY & set(loaded)) - set(uses.split()) == set()


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
    assert threshold[:2] == [5_000, 20]  # the third is none any more in newer Pythons
    assert frozen > 5_000


@pytest.mark.parametrize("ours", [True, False])
def test_while_a_process_loads_nothing_is_looked_for_nor_in_ours_at_what_it_has_loaded(*, ours: bool) -> None:
    """What somebody else's process holds, a test's, is not ours to keep for ever."""
    program = f"""
import contextlib, gc, json
from broker.collecting import collecting_seldom, loading
looks = []
with collecting_seldom() if {ours} else contextlib.nullcontext():
    with loading():
        gc.callbacks.append(lambda phase, told: looks.append(phase))
        from fleet.core import decide
        during = len(looks)
    after = gc.isenabled(), gc.get_freeze_count()
print(json.dumps([during, *after]))
"""
    during, looks, frozen = said_by(program)
    assert (during, looks) == (0, True)
    assert (frozen > 10_000) == ours
    assert ours or frozen == 0
