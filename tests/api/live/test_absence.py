"""The fleet is killed, hangs, or is not there: the web process goes on, says what is old, and says what else to do.

In a house of its own: its fleet is treated badly.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.processes import await_that
from tests.api.live.house import House, opened_house, said

OLD = "The fleet service cannot be reached: what is shown is old. Use the buttons on the stimulators."
BUTTON = "The fleet service cannot be reached: use the button on the stimulator."


@pytest.fixture(scope="module")
def tried_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened_house(tmp_path_factory.mktemp("tried"), {"stim-01": "room-1"}) as house:
        yield house


def shown(house: House) -> dict[str, Any]:
    overview: dict[str, Any] = house.viewer.get("/overview")
    return overview


def presence(house: House) -> str:
    (room,) = shown(house)["rooms"]
    (row,) = room["devices"]
    return str(row["presence"])


def newest_stop(house: House, scope: str) -> dict[str, Any] | None:
    stops: list[dict[str, Any]] = house.viewer.get("/stops")["stops"]
    return stops[0] if stops and stops[0]["scope"] == scope else None


def worker(house: House) -> int:
    """The pid of the fleet's worker, under its supervisor."""
    pid = house.clinic.fleet.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_a_worker_that_is_killed_is_back_before_a_page_calls_it_lost(tried_house: House) -> None:
    session = tried_house.ward.treat("stim-01")
    os.kill(worker(tried_house), signal.SIGKILL)
    answer = tried_house.viewer.post("/stops", {"scope": "device", "name": "stim-01"})  # asked while it starts again
    if answer.status_code == 202:
        (command,) = answer.json()["commands"]
    else:
        assert said(answer, 503)["text"] == BUTTON
        await_that("the fleet is back", lambda: not shown(tried_house)["fleet"]["stale"], 20.0)
        (command,) = tried_house.viewer.stop(scope="device", name="stim-01")
    tried_house.await_stop(command["command_id"], lambda stop: stop["confirmed"])
    tried_house.ward.await_record(session, ("stopped_latched", "emergency_stop"))
    tried_house.await_fresh()
    assert presence(tried_house) == "fresh"
    said(tried_house.therapist.post("/releases", {"device": "stim-01"}), 200)
    tried_house.ward.reset("stim-01")


def test_a_fleet_that_hangs_is_said_and_a_stop_answered_with_what_else_to_do(tried_house: House) -> None:
    fleet, pid = tried_house.clinic.fleet, worker(tried_house)
    fleet.send(signal.SIGSTOP)  # its supervisor, who would kill what hangs
    os.kill(pid, signal.SIGSTOP)
    try:
        await_that("it is said", lambda: shown(tried_house)["fleet"]["words"] == OLD, 10.0)
        fleet_row = shown(tried_house)["fleet"]
        assert (fleet_row["reachable"], fleet_row["connected"], fleet_row["words"]) == (False, False, OLD)
        assert presence(tried_house) == "stale"
        pushed_s = time.monotonic()
        problem = said(tried_house.viewer.post("/stops", {"scope": "site"}), 503)
        assert problem == {"error": "fleet_absent", "text": BUTTON}
        assert time.monotonic() - pushed_s < 3.0, "nobody is left waiting"
    finally:
        os.kill(pid, signal.SIGCONT)
        fleet.send(signal.SIGCONT)
    tried_house.await_fresh()
    # What was asked while it hung was heard all the same, and is in the record: the stop was late, and safe.
    newest = await_that("the stop is known", lambda: newest_stop(tried_house, scope="site"), 10.0)
    tried_house.await_stop(newest["command_id"], lambda stop: stop["confirmed"])
    said(tried_house.therapist.post("/releases", {"device": "all"}), 200)
    tried_house.ward.reset("stim-01")


def test_without_a_fleet_pages_are_old_and_come_back_with_it(tried_house: House) -> None:
    fleet = tried_house.clinic.fleet
    assert fleet.end() is None
    await_that("it is said", lambda: shown(tried_house)["fleet"]["words"] == OLD, 10.0)
    assert presence(tried_house) == "stale"
    assert said(tried_house.viewer.post("/stops", {"scope": "device", "name": "stim-01"}), 503)["text"] == BUTTON
    refused = said(tried_house.therapist.post("/sessions", tried_house.body("stim-01")), 503)
    assert refused["error"] == "fleet_absent"
    assert tried_house.viewer.get("/devices/stim-01")["device"]["device"] == "stim-01", "what was seen stays"
    assert tried_house.viewer.get("/devices/stim-01/samples")["columns"]["at"]
    explained = said(tried_house.therapist.post("/sessions/explain", tried_house.body("stim-01")), 200)
    assert isinstance(explained["refusals"], list)
    fleet.start()
    tried_house.await_fresh()
    tried_house.clinic.await_devices({"stim-01"})
    gaps = tried_house.viewer.get("/devices/stim-01/samples")["gaps"]
    assert gaps, "what came while nobody listened is a gap"


def test_a_web_process_that_is_killed_changes_nothing_for_a_session(tried_house: House) -> None:
    session = tried_house.ward.treat("stim-01")
    tried_house.web.kill()
    assert tried_house.ward.state_of(session) == ("running", None)
    tried_house.web.start()
    await_that("it answers", tried_house._answers, 20.0, tried_house.web.last_words)
    rows = tried_house.await_shown(lambda rows: rows["stim-01"]["phase"] == "running")  # whoever was signed in still is
    assert rows["stim-01"]["session"]["session_id"] == session
    assert tried_house.viewer.get("/stops")["stops"], "stops from before are read from the journal"
    tried_house.ward.end("stim-01")
