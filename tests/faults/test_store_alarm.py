"""The history's store fails beside a whole clinic: enforcement goes on, somebody is told (A13), and writing resumes."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.contract.messages import Phase
from demo.processes import Process, await_that
from fleet.adapters.history.embedded_reading import EmbeddedReader
from fleet.adapters.history.port import HistoryReader, Trace
from fleet.adapters.history.telling import NoRecorder, ask_status
from tests.adapters.history.full_disk import fill
from tests.faults.conftest import Ward, boottime_s

DEVICE, OTHER = "stim-01", "stim-02"
OPEN_S = 60.0  # the table's on-delay
NOTICED_S = 25.0  # the recorder's look and word, on a machine that has other things to do
CLEARED_S = 30.0 + NOTICED_S
# A disk of its own for the history, seen by the recorder alone: `sh -c` has its place as $0, and the command behind it.
OWN_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
ON_A_SMALL_DISK = [*OWN_MOUNTS, "sh", "-ec", 'mount -t tmpfs -o size=16m small "$0"; exec "$@"']


@contextmanager
def recorder_of(ward: Ward, name: str, within: tuple[str, ...] = ()) -> Iterator[Process]:
    """It runs, has been heard, and ends in order."""
    places = [f"--site-dir={ward.clinic.site_dir}", f"--data-dir={ward.clinic.fleet_dir}"]
    one = Process("recorder", ["recorder", *places], ward.clinic.folder / f"{name}.log", nice=10, within=within)
    one.start()
    try:
        await_that(
            "the recorder writes what it hears", lambda: status(ward).get("written", 0) > 0, 30.0, one.last_words
        )
        yield one
    finally:
        ended = one.end()
    assert ended is None


def status(ward: Ward) -> dict[str, Any]:
    try:
        return ask_status(ward.clinic.fleet_dir / "recorder.sock")
    except NoRecorder:
        return {}


def a13(ward: Ward) -> dict[str, Any] | None:
    """The alarm, as anybody is shown it; None where it is not open."""
    rows = ward.clinic.ask(op="alarms")["alarms"]
    return next((row for row in rows if row["code"] == "A13"), None)


def await_a13(ward: Ward, session: str) -> dict[str, Any]:
    """It comes after its delay and not before, and all the while the session has its permission and its current."""
    began_s = boottime_s()
    alarm = await_that("A13 is open", lambda: _looked(ward, session), OPEN_S + NOTICED_S)
    assert boottime_s() - began_s > OPEN_S - 5.0, "what blinks calls nobody"
    return alarm


def await_cleared(ward: Ward, session: str) -> None:
    await_that("A13 is over", lambda: _looked(ward, session) is None, CLEARED_S)
    (past,) = [row for row in ward.clinic.ask(op="alarms", past=True)["alarms"] if row["code"] == "A13"][:1]
    assert past["cleared"] is not None


def _looked(ward: Ward, session: str) -> dict[str, Any] | None:
    assert ward.true_ma(DEVICE) > 0.0, "the session goes on"
    assert ward.state_of(session) == ("running", None)
    return a13(ward)


def copy_of(disk: Path, recorder: Process, place: Path) -> Path:
    """What a reader would find. SQLite follows links, and would look for the disk where it is not mounted."""
    recorder.send(signal.SIGSTOP)
    shutil.copytree(disk, place, ignore=shutil.ignore_patterns("*-shm"))
    recorder.send(signal.SIGCONT)
    return place


async def read(reader: HistoryReader, session: str) -> Trace:
    try:
        return await reader.trace(DEVICE, session)
    finally:
        await reader.close()


@pytest.mark.timeout(300)
def test_the_disk_of_the_history_is_full_the_session_goes_on_the_alarm_is_on_and_writing_resumes(
    ward: Ward, tmp_path: Path
) -> None:
    place = ward.clinic.fleet_dir / "history"
    place.mkdir(exist_ok=True)  # another recorder's may be there; this one sees its own disk in its place
    with recorder_of(ward, "small-disk", (*ON_A_SMALL_DISK, str(place))) as recorder:
        disk = Path(f"/proc/{recorder.pid}/root{place}")
        session = ward.treat(DEVICE)
        assert a13(ward) is None
        fill(disk / "other")
        await_that("the disk refuses", lambda: "is full" in (status(ward)["refusing"] or ""), 20.0)
        alarm = await_a13(ward, session)
        assert (alarm["priority"], alarm["signal"], alarm["why"]["quantity"]) == ("medium", "on", "store_refuses")
        assert (alarm["device"], alarm["room"]) == (None, None)
        # Beside it a session is authorised, leased and ended, as ever.
        ward.end_to_end(OTHER)
        (disk / "other").unlink()
        await_that("it is written again", lambda: status(ward)["refusing"] is None, 20.0, recorder.last_words)
        await_cleared(ward, session)
        ward.end(DEVICE)
        ward.await_record(session, ("aborted", "therapist_stop"))
        now = await_that("all is written", lambda: _idle(ward), 20.0)
        assert (now["lost"], now["missed"], now["dead_lettered"]) == (0, 0, 0)
        copied = copy_of(disk, recorder, tmp_path / "history")
        trace = asyncio.run(read(EmbeddedReader(copied, ZoneInfo("UTC")), session))
    assert trace.gaps == (), "what came while the disk was full is there as well"
    margins = [one.lease_margin_s for one in trace.samples() if one.phase is Phase.RUNNING and one.elapsed_s > 1.0]
    assert min(margin or 0.0 for margin in margins) > 2.0, "no lease waited for the history"
    assert trace.columns["elapsed_s"][-1] > OPEN_S


def _idle(ward: Ward) -> dict[str, Any] | None:
    now = status(ward)
    return now if now["waiting"] <= 2 and now["spilled"] == 0 else None
