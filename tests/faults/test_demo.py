"""`stimfleet demo`, as a newcomer runs it: it tells the story, counts honestly, and leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.processes import await_that
from fleet.adapters.journal.restore import verify_journal
from stimfleet import main
from tests.faults.conftest import boottime_s

DEMO = [sys.executable, "-m", "stimfleet", "demo"]
LATENCY = {"p50": float, "p99": float, "max": float}
SHAPE: dict[str, Any] = {
    "seconds": float,
    "devices": int,
    "telemetry": {"published": int, "received": int, "lost": int},
    "events": {"published": int, "journaled": int, "missing": int},
    "sessions": {"authorised": int, "refused": int, "started": int, "completed": int, "stopped": int},
    "stops": {
        "pushed": int,
        "confirmed_zero": int,
        "unconfirmed": int,
        "latency_ms": {"cause_to_sent": LATENCY, "sent_to_zero": LATENCY, "cause_to_zero": LATENCY},
    },
    "leases": {"granted": int, "lost": int, "margin_s": {"p5": float, "p50": float}},
    "violations": list,
}


def shape_of(value: Any) -> Any:
    return {name: shape_of(each) for name, each in value.items()} if isinstance(value, dict) else type(value)


def processes_of(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Processes that have to do with the folder, and their command lines."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it has just ended
                continue
            if any(str(folder) in word for word in words):
                yield int(entry.name), words


def left_running(folder: Path) -> list[str]:
    return [" ".join(words) for _, words in processes_of(folder)]


@contextmanager
def demo_of(*words: str, **streams: Any) -> Iterator["subprocess.Popen[str]"]:
    """A demo that is ended, with all that it has started, whatever becomes of the test."""
    # Whoever runs the tests in the background may have them ignore Ctrl-C, and all that they start.
    with subprocess.Popen(["env", "--default-signal=INT", *DEMO, *words], text=True, **streams) as demo:
        try:
            yield demo
        finally:
            demo.terminate()


def test_everything_happens_nothing_is_missing_and_no_rule_is_broken(tmp_path: Path) -> None:
    data, report = tmp_path / "data", tmp_path / "report.json"
    began_s = boottime_s()
    command = [*DEMO, f"--data={data}", "--for=45", "--past=1", f"--report={report}", "--seed=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=118)
    took_s = boottime_s() - began_s
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    _tells(re.sub(r"^ *\d+\.\d s +", "", done.stdout, flags=re.MULTILINE))

    counts = json.loads(report.read_text(encoding="utf-8"))
    assert shape_of(counts) == SHAPE
    assert counts["violations"] == []
    assert counts["events"]["missing"] == 0
    assert counts["events"]["journaled"] == counts["events"]["published"] > 80
    assert counts["devices"] == 12
    assert 45.0 <= counts["seconds"] < 60.0
    assert counts["sessions"]["refused"] == 3
    assert counts["sessions"]["started"] == counts["sessions"]["stopped"] >= 12
    assert counts["sessions"]["completed"] == 0, "none of them was that short"
    assert counts["stops"]["pushed"] == counts["stops"]["confirmed_zero"] >= 1
    zero_ms = counts["stops"]["latency_ms"]["cause_to_zero"]
    assert 100.0 < zero_ms["p50"] <= zero_ms["max"] < 1000.0, "zero is measured over 100 ms"
    assert counts["telemetry"]["published"] > 500
    assert 0 <= counts["telemetry"]["lost"] < 60, "what a link that was cut and a killed agent lose"
    assert counts["leases"]["lost"] == 1, "the one whose link was cut; any other is a violation as well"
    assert 0.0 < counts["leases"]["margin_s"]["p5"] <= counts["leases"]["margin_s"]["p50"] <= 5.0

    assert verify_journal(data / "fleet" / "journal.db").rows > 200
    assert left_running(tmp_path) == []
    assert took_s < 110.0


def _tells(story: str) -> None:
    """Each incident is told, and what came of it, by the journal and by what truly flowed."""
    for step in (
        "implanted device rules stimulation out, and nobody can override it",
        "density_ma_cm2 is beyond its limit: 2.598 against 2",
        r"is announced at (stim-\d\d) as well.*\n(?:.*\n)*? *\1: refused: ",  # whatever the reasons
        r"An electrode lifts at (stim-\d\d)\.",
        r"paused, true output zero \d+ ms after the pad came off",
        "electrode open, impedance_ohm no reading",
        "session resumed",
        "stop ordered by front-desk",
        r"zero current measured \(0\.\d\d mA\)",
        r"confirmed at measured zero \d+ ms after sending",
        "hold released by front-desk",
        r"The link of (stim-\d\d) is cut",
        r"nobody had to do anything; true output zero \d\.\d s after the cut",
        "lease lost",
        r"the stimulator's own watchdog ended output \d+ ms after the kill",
        r"agent started \(boot [0-9]+\)",
        r"latched \(reboot\)",
        r"1\d\.\d mA flowed at most; zero \d+ ms after it began",
        r"over limit, amplitude_ma",
        r"the relay opened, zero \d+ ms after the pause",
        "output stuck, amplitude_ma",
        "An engineer has to reset this, with the engineer's PIN",
        "whatever still runs is stopped by hand",
        "ended: therapist_stop",
        "All processes ended cleanly.",
        "The observer read the true output of all 12 stimulators: no violation.",
        "stimfleet journal tail --data-dir",
    ):
        assert re.search(step, story), f"{step}\n{story}"
    assert "left out" not in story.lower(), story


def test_a_page_that_never_comes_is_told_and_the_clinic_goes_on_without_it(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    words = (f"--data={tmp_path / 'data'}", "--for=10", "--devices=2", "--rooms=1")
    with log.open("wb") as out, demo_of(*words, stdout=out, stderr=subprocess.STDOUT) as demo:
        web = await_that("the web process is there", lambda: web_of(tmp_path), 40.0)
        os.kill(web, signal.SIGSTOP)
        waits = "Waiting for the live page, which has not come up yet."
        await_that("it is waited for", lambda: waits in log.read_text(encoding="utf-8"), 50.0)
        os.kill(web, signal.SIGKILL)
        assert demo.wait(25.0) == 1
    said = log.read_text(encoding="utf-8")
    told, ended = "There is no live page: web said last: ", "web had ended by itself (status -9)"
    assert said.index("Closing time") < said.index(waits) < said.index(told) < said.index(ended)
    assert "The live page: " not in said
    assert "no violation" in said


def web_of(folder: Path) -> int | None:
    return next((process for process, words in processes_of(folder) if "web" in words), None)


def test_interrupted_it_ends_everything(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    with log.open("wb") as out, demo_of(f"--data={tmp_path / 'data'}", stdout=out, stderr=subprocess.STDOUT) as demo:
        await_that("the clinic opens", lambda: "A therapist asks" in log.read_text(encoding="utf-8"), 75.0)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30.0) == 130
    said = log.read_text(encoding="utf-8")
    assert said.endswith("Interrupted: ending everything.\n")
    assert "Traceback" not in said
    await_that("nothing is left", lambda: left_running(tmp_path / "data") == [], 10.0)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """What is said where nothing is begun: no process is needed to hear it."""
    try:
        status = main(["demo", *words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    assert told.out == ""
    return status, told.err.splitlines()[-1]


def test_it_does_not_write_into_a_folder_that_holds_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("keep this")
    says = f"{tmp_path} is not empty; name another folder with --data."
    assert refused(capsys, f"--data={tmp_path}") == (1, says)


def test_it_says_beforehand_that_there_can_be_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "nowhere" / "report.json"
    says = f"The report {report} cannot be written (No such file or directory); name another file with --report."
    assert refused(capsys, f"--report={report}") == (1, says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--for=3", "argument --for: '3' is no number of seconds from 10 to 86400"),
        ("--devices=0", "argument --devices: '0' is no whole number from 1 to 99"),
        ("--rooms=x", "argument --rooms: 'x' is no whole number from 1 to 99"),
    ],
)
def test_what_cannot_be_understood(words: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = refused(capsys, words)
    assert status == 2
    assert said == f"stimfleet demo: error: {says}"
