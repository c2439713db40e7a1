"""`stimfleet demo`, as a newcomer runs it: it tells the story, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from demo.processes import await_that
from fleet.adapters.journal.restore import verify_journal
from tests.faults.conftest import boottime_s

DEMO = [sys.executable, "-m", "stimfleet", "demo"]


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that have to do with the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if str(folder) in command:
                found.append(command)
    return found


def test_the_demo_runs_a_session_and_confirms_a_pushed_stop_at_measured_zero(tmp_path: Path) -> None:
    data = tmp_path / "data"
    began_s = boottime_s()
    done = subprocess.run([*DEMO, f"--data={data}"], capture_output=True, text=True, check=False, timeout=110)
    took_s = boottime_s() - began_s

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    story = re.sub(r"^ *\d+\.\d s +", "", done.stdout, flags=re.MULTILINE)
    steps = [
        "implanted device rules stimulation out, and nobody can override it",
        "density_ma_cm2 is beyond its limit: 2.598 against 2",
        "true output of stim-01",
        "An electrode lifts.",
        "true output: 0.0 mA.",
        "stop ordered by front-desk",
        "confirmed at measured zero",
        "hold released",
        "stim-01 is idle again",
        "All processes ended cleanly.",
    ]
    places = [story.index(step) for step in steps]
    assert places == sorted(places), "in this order"
    measured = re.search(r"zero current measured \((\d+\.\d+) mA\)", story)
    assert measured is not None
    assert float(measured[1]) < 1.0
    assert verify_journal(data / "fleet" / "journal.db").rows > 20
    assert left_running(tmp_path) == []
    assert took_s < 100.0


def test_interrupted_it_ends_everything(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    with log.open("wb") as out:
        demo = subprocess.Popen([*DEMO, f"--data={tmp_path / 'data'}"], stdout=out, stderr=subprocess.STDOUT)
    await_that("the clinic opens", lambda: "A therapist asks" in log.read_text(encoding="utf-8"), 60.0)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(30.0) == 130
    said = log.read_text(encoding="utf-8")
    assert said.endswith("Interrupted: ending everything.\n")
    assert "Traceback" not in said
    await_that("nothing is left", lambda: left_running(tmp_path / "data") == [], 10.0)


def test_it_does_not_write_into_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep this")
    done = subprocess.run([*DEMO, f"--data={tmp_path}"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} is not empty; name another folder with --data.\n"
