"""The disk hangs under the web process: whoever wants to stop is not kept waiting, and the page says that it is old.

It really hangs: strace holds up each call of the process on the files of the fleet's folder, the journal's and the
users', for a minute. The fleet has a disk that answers: what it confirms is asked of it, and is in its journal.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.processes import await_that
from fleet.api.sight import NO_JOURNAL
from tests.api.live.house import House, log_of, said
from tests.api.live.test_stops import free_again
from tests.hanging import hanging

HELD_UP = "openat,newfstatat,pread64,pwrite64,fsync,fdatasync"
HANGS_WORDS = "the journal cannot be followed for now: the disk does not answer"
STOPPED_S_MAX = 1.0  # what the same stop may take with a disk that answers: test_stops


@contextmanager
def held_up_web(house: House) -> Iterator[Path]:
    """While it lasts the web process is answered by no file of the fleet's folder; the calls that are held up."""
    databases = [house.clinic.fleet_dir / name for name in ("journal.db", "users.db")]
    log = house.clinic.folder / "logs" / "held-up"
    with hanging(house.web.pid, databases, HELD_UP, log):
        yield log


def fleet_says(house: House) -> dict[str, Any]:
    row: dict[str, Any] = house.viewer.get("/overview")["fleet"]
    return row


def confirmed(house: House, command_id: str) -> bool:
    stops = [body for name, body in house.journal() if name == "StopConfirmed"]
    return any(body["command_id"] == command_id for body in stops)


def test_a_stop_waits_for_no_disk_of_the_web_process_and_what_is_shown_meanwhile_says_that_it_is_old(
    house: House,
) -> None:
    session = house.ward.treat("stim-01")
    house.await_shown(lambda rows: rows["stim-01"]["phase"] == "running")
    before = log_of(house)
    with held_up_web(house) as held_up:
        await_that("the journal hangs", lambda: held_up.exists() and "journal.db" in held_up.read_text(), 10.0)
        pushed_s = time.monotonic()
        (command,) = house.viewer.stop(scope="device", name="stim-01")
        answered_s = time.monotonic() - pushed_s
        await_that("the fleet has confirmed it", lambda: confirmed(house, command["command_id"]), STOPPED_S_MAX)
        assert answered_s < STOPPED_S_MAX
        assert house.ward.true_ma("stim-01") == 0.0
        await_that("it is said", lambda: fleet_says(house)["words"] == NO_JOURNAL, 5.0)
        assert fleet_says(house)["stale"]
        assert house.viewer.client.get(f"/stops/{command['command_id']}").status_code == 404, "it is not read along"
        await_that("the log says so", lambda: HANGS_WORDS in log_of(house)[len(before) :], 5.0)
        await_that("the audit hangs", lambda: "users.db" in held_up.read_text(), 10.0)
        pushed_s = time.monotonic()
        (again,) = house.viewer.stop(scope="site")
        assert time.monotonic() - pushed_s < STOPPED_S_MAX
    house.await_stop(command["command_id"], lambda stop: stop["confirmed"])
    house.await_stop(again["command_id"], lambda stop: stop["confirmed"])
    house.ward.await_record(session, ("stopped_latched", "emergency_stop"))
    said(house.therapist.post("/releases", {"device": "all"}), 200)
    for device in house.clinic.devices:
        if device != "stim-01":
            house.ward.reset(device)
    free_again(house, "stim-01")
