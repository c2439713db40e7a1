"""The person at the front desk types commands: plain words, the truth, and an exit status that means it."""

import io
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.clinic import OPERATOR
from demo.processes import await_that
from stimfleet import main
from tests.faults.conftest import Ward

DO_IT_BY_HAND = "press the stop button on the stimulator or switch it off at the wall."


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


def types(folder: Path, *words: str) -> Said:
    """Run a `stimfleet` command of the fleet's on its folder. What it raises, the test raises."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = main([*words, f"--data-dir={folder}"])
        except SystemExit as ended:  # argparse has not understood it
            status = int(ended.code or 0)
    return Said(status, out.getvalue(), err.getvalue())


def types_in_a_shell(folder: Path, *words: str) -> Said:
    """The same as a process of its own: what is true of one command's way in and out is true of all."""
    command = [sys.executable, "-m", "stimfleet", *words, f"--data-dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def desk(ward: Ward, *words: str) -> Said:
    return types(ward.clinic.fleet_dir, *words)


def asks_for(device: str, *more: str) -> tuple[str, ...]:
    request = ("session", "request", "--client=client-77aa", f"--device={device}", f"--operator={OPERATOR}")
    return (*request, "--room=room-1", "--screened-at=now", *more)


def test_a_session_is_refused_with_reasons_then_authorised_shown_and_withdrawn(ward: Ward) -> None:
    ward.clinic.await_devices({"stim-01"})
    refused = desk(ward, *asks_for("stim-01", "--finding=pregnancy", "--ramp-up-s=0.2"))
    assert refused.status == 1
    assert refused.err.splitlines() == [
        "Refused, for 2 reasons:",
        "- pregnancy rules stimulation out, and nobody can override it [domain]",
        "- ramp_up_s is below its limit: 0.2 against 0.5 [envelope]",
    ]

    granted = desk(ward, *asks_for("stim-01", "--no-findings"))
    assert granted.status == 0, granted.err
    session = granted.out.split()[2].rstrip(".")
    ward.clinic.await_phase("stim-01", "authorised")
    assert desk(ward, "session", "list", "--open").out.startswith(f"{session[:8]}  room-1     stim-01    authorised")

    assert desk(ward, "session", "cancel", session[:8]).out == "Cancelled.\n"
    ward.clinic.await_phase("stim-01", "idle")
    shown = desk(ward, "session", "show", session[:8]).out
    assert "state       cancelled" in shown
    record = [line.split("  ", 1)[1] for line in shown.splitlines() if line.startswith("20")]
    assert record[0] == f"stim-01: session {session[:8]} authorised"
    assert any(line.startswith(f"session {session[:8]} cancelled by ") for line in record)


def test_drained_nothing_new_is_authorised_until_it_is_lifted(ward: Ward) -> None:
    assert desk(ward, "drain").status == 0
    refused = desk(ward, *asks_for("stim-01", "--no-findings"))
    assert "- the fleet is draining: nothing new is authorised [fleet]" in refused.err
    assert desk(ward, "undrain").out == "Sessions are authorised again.\n"
    assert "draining" not in desk(ward, *asks_for("stim-01", "--finding=pregnancy")).err


def test_a_stop_is_followed_to_measured_zero_and_a_long_comment_does_not_hold_it_up(ward: Ward) -> None:
    ward.treat("stim-01")
    stopped = types_in_a_shell(
        ward.clinic.fleet_dir, "stop", "stim-01", "--reason", "somebody called that the patient is in pain " * 10
    )
    assert stopped.status == 0, stopped.err
    ordered, sent, confirmed = stopped.out.splitlines()
    assert (ordered, sent) == ("Ordered.", "Sent.")
    assert "zero current measured" in confirmed
    assert ward.true_ma("stim-01") == 0.0
    assert desk(ward, "release", "stim-01").status == 0
    ward.reset("stim-01")


@pytest.mark.parametrize("wrong", ["-1", "0", "nan", "inf", "soon"])
def test_a_wrong_waiting_time_delays_no_stop_and_is_said(ward: Ward, wrong: str) -> None:
    stopped = desk(ward, "stop", "stim-02", f"--within-s={wrong}")
    assert stopped.status == 0, stopped.err
    assert stopped.err == (
        f"--within-s must be a positive number of seconds, like 10; {wrong!r} is none. "
        "The stop was pushed all the same, and zero is waited for 7 s.\n"
    )
    assert "zero current measured" in stopped.out
    assert desk(ward, "release", "stim-02").status == 0
    ward.reset("stim-02")


def test_a_stop_of_the_whole_site_does_not_tell_of_receipts_that_cannot_come(ward: Ward) -> None:
    stopped = desk(ward, "stop", "all")
    assert stopped.status == 0, stopped.err
    confirmed = [line for line in stopped.out.splitlines() if "zero current measured" in line]
    assert len(confirmed) == 2
    for line in confirmed:
        assert re.fullmatch(r"stim-0[12]: sent after \d+ ms, zero current measured \(.* mA\) after \d+ ms", line)
    assert desk(ward, "release", "all").status == 0
    for device in ("stim-01", "stim-02"):
        ward.reset(device)


@pytest.mark.parametrize(
    "words", [("stop",), ("stop", "stim-01", "--within-s"), ("stop", "stim-01", "stim-02"), ("stop", "--al")]
)
def test_a_stop_that_is_not_understood_says_that_nothing_was_stopped(tmp_path: Path, words: tuple[str, ...]) -> None:
    stopped = types(tmp_path, *words)
    assert stopped.status == 2
    assert stopped.err.splitlines()[-1] == f"NOTHING WAS STOPPED: {DO_IT_BY_HAND}"


def test_the_help_of_a_stop_is_no_failed_stop(tmp_path: Path) -> None:
    asked = types(tmp_path, "stop", "--help")
    assert (asked.status, asked.err) == (0, "")


def unread(*words: str) -> tuple[int, str]:
    """Type a command whose reader has gone (`... | head -0`); its exit status, and what it says besides."""
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as at a terminal
    try:
        command = [sys.executable, "-m", "stimfleet", *words]
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=buffered
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("--version",),
        ("session", "--help"),
        ("asyncapi",),
        ("rota", "show", "--site-dir=nowhere"),
        ("provision", "dose", "--modality=nmes", "--site-dir={site}"),
        ("session", "list", "--data-dir={fleet}"),
        ("status", "--data-dir={fleet}"),
        ("devices", "--data-dir={fleet}"),
        ("alarms", "--data-dir={fleet}"),
        ("journal", "tail", "--data-dir={fleet}"),
        ("journal", "verify", "--data-dir={fleet}"),
    ],
)
def test_a_reader_that_has_gone_ends_a_command_quietly(ward: Ward, words: tuple[str, ...]) -> None:
    places = {"site": ward.clinic.site_dir, "fleet": ward.clinic.fleet_dir}
    status, err = unread(*(word.format(**places) for word in words))
    if "nowhere" in words[-1]:  # it has nothing to say to whoever has gone: it fails as ever
        assert status == 1
        assert "nowhere" in err
    else:
        assert (status, err) == (128 + signal.SIGPIPE, "")


def test_a_stop_whose_reader_has_gone_is_pushed_and_says_what_counts_where_it_can(ward: Ward) -> None:
    status, err = unread("stop", "stim-01", f"--data-dir={ward.clinic.fleet_dir}")
    assert status != 0
    assert err.splitlines() == [
        "Nobody reads along any more, so nobody waits for measured zero.",
        f"NOT confirmed: stim-01: {DO_IT_BY_HAND}",
    ]
    assert "stim-01: stop ordered by" in desk(ward, "journal", "tail").out
    await_that("released", lambda: desk(ward, "release", "stim-01").status == 0, 15.0)
    ward.reset("stim-01")


def test_a_stop_that_nobody_can_confirm_says_so_everywhere(ward: Ward) -> None:
    ward.treat("stim-01")
    agent = ward.clinic.agents["stim-01"]
    agent.send(signal.SIGSTOP)
    stopped = desk(ward, "stop", "stim-01", "--within-s=3")
    assert stopped.status == 1
    assert stopped.err.splitlines()[-1] == f"NOT confirmed: stim-01: {DO_IT_BY_HAND}"
    seen = next(line for line in desk(ward, "devices").out.splitlines() if "stim-01" in line)
    assert "silent for" in seen
    assert "STOP NOT confirmed: switch it off at the wall" in seen
    gravest = desk(ward, "alarms").out.splitlines()[0]
    assert gravest.startswith("A01  ")
    assert gravest.endswith("HIGH Room room-1, stim-01: output not confirmed zero. Switch it off at the wall.")

    agent.send(signal.SIGCONT)
    await_that("the stop is confirmed", lambda: not ward.clinic.device("stim-01")["stop_unconfirmed"], 15.0)
    await_that("released", lambda: desk(ward, "release", "stim-01").status == 0, 15.0)
    ward.reset("stim-01")
    assert "A01" not in desk(ward, "alarms").out
    assert any("A01" in line and "Over since" in line for line in desk(ward, "alarms", "--all").out.splitlines())


def test_a_stop_for_no_device_says_that_nobody_is_stopped(ward: Ward) -> None:
    stopped = desk(ward, "stop", "stim-1")
    assert stopped.status == 1
    assert "There is no device stim-1: it was sent all the same, nobody is stopped." in stopped.err
    assert "Devices: stim-01, stim-02." in stopped.err


def test_without_a_fleet_a_stop_still_says_what_to_do(tmp_path: Path) -> None:
    stopped = types_in_a_shell(tmp_path, "stop", "stim-01")
    assert stopped.status == 1
    assert stopped.err.startswith(f"The fleet service does not answer at {tmp_path}/control.sock")
    assert stopped.err.splitlines()[-1] == f"NOT confirmed: stim-01: {DO_IT_BY_HAND}"


@pytest.mark.parametrize(
    "words",
    [("devices",), ("status",), ("alarms",), ("session", "list"), ("journal", "tail"), ("journal", "verify")],
)
def test_without_a_fleet_every_command_fails_in_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = types(tmp_path, *words)
    assert said.status == 1
    assert len(said.err.splitlines()) == 1
    assert str(tmp_path) in said.err


def test_a_screening_that_nobody_made_is_no_screening(ward: Ward) -> None:
    said = desk(ward, *asks_for("stim-01"))
    assert said.status == 2
    assert "one of the arguments --no-findings --finding is required" in said.err


@pytest.mark.parametrize("wrong", ["2020-01-01", "2020-01-01+01:00", "2020-01-01T10:00", "yesterday"])
def test_a_time_of_a_screening_that_is_none_is_answered_by_one_that_is_taken(tmp_path: Path, wrong: str) -> None:
    asked = asks_for("stim-01", "--no-findings")
    said = types(tmp_path, *asked, f"--screened-at={wrong}")
    assert said.status == 2
    example = re.search(r"\b20\S+(?=[.]?$)", said.err.rstrip())
    assert example is not None
    assert example[0] == "2026-11-22T09:30+01:00"
    followed = types(tmp_path, *asked, f"--screened-at={example[0]}")
    assert (followed.status, "The fleet service does not answer" in followed.err) == (1, True), "it was understood"


def test_the_fleet_s_own_state_is_told_in_words(ward: Ward) -> None:
    told = desk(ward, "status")
    assert told.status == 0
    lines = told.out.splitlines()
    assert lines[0].startswith("site north, fleet instance ")
    assert lines[1] == "broker          connected"
    assert f"http            http://127.0.0.1:{ward.clinic.http_port}" in lines
