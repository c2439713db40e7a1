"""Usage, health and the record of a session over HTTP: what `stimfleet usage` and the journal say, to the digit."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.processes import await_that
from tests.api.live.house import House, said


@pytest.fixture(scope="module")
def session(house: House) -> str:
    """One that is over, ended by hand, with a stop after it."""
    session = house.ward.treat("stim-01", to_ma=8)
    await_that(
        "its impedance is known",
        lambda: any(name == "BaselineMeasured" and body["session_id"] == session for name, body in house.journal()),
        15.0,
    )
    house.ward.end("stim-01")
    house.ward.await_record(session, ("aborted", "therapist_stop"))
    return session


@pytest.mark.parametrize(
    "asked",
    [
        "/devices/stim-01/health?from=9999-12-31&to=9999-12-31",
        "/devices/stim-01/health?from=0001-01-01&to=0001-01-01",
        "/devices/stim-01/alarms?from=9999-12-31&to=9999-12-31",
        "/devices/stim-01/samples?from=9999-12-31T23:00:00%2B00:00&to=9999-12-31T23:59:59%2B00:00",
        "/usage?to=0001-01-05",
        "/rota?from=9999-12-31",
        "/sessions?before=0001-01-01T00:00:00%2B01:00",
        "/sessions?before=2026-11-25T18:00:00",
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_in_words(house: House, asked: str) -> None:
    problem = said(house.manager.client.get(asked), 422)
    assert problem["error"] == "invalid"
    assert problem["text"].startswith("The request's ")


def by_the_command(house: House, by: str) -> dict[str, Any]:
    """What the command line counts from the journal, by itself."""
    command = [str(Path(sys.executable).with_name("stimfleet")), "usage", "--by", by, "--json"]
    run = subprocess.run([*command, f"--data-dir={house.clinic.fleet_dir}"], capture_output=True, text=True, check=True)
    counted: dict[str, Any] = json.loads(run.stdout)
    return counted


@pytest.mark.parametrize("by", ["day", "room", "device", "cause"])
def test_usage_agrees_with_the_journal_to_the_second(house: House, session: str, by: str) -> None:
    counted = by_the_command(house, by)

    def shown() -> dict[str, Any] | None:
        usage: dict[str, Any] = house.viewer.get(f"/usage?by={by}")
        return usage if usage["total"]["causes"] == counted["total"]["causes"] else None

    usage = await_that("all of it is counted", shown, 15.0)
    assert session
    assert usage["simulated_until"] is None
    assert (usage["by"], usage["time_zone"]) == (by, counted["time_zone"])
    rows = {row[by]: row for row in usage["rows"]}
    assert rows.keys() >= counted["rows"].keys()
    for key, row in [*counted["rows"].items(), ("total", counted["total"])]:
        mine = usage["total"] if key == "total" else rows[key]
        assert {name: mine[name] for name in row} == row, key
    utilised = usage["total"]["utilisation"]
    assert utilised is None if by == "cause" or not usage["total"]["opening_s"] else utilised >= 0.0


def table_of(house: House, path: str) -> list[dict[str, str]]:
    answer = house.therapist.client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    text = answer.content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_usage_for_a_spreadsheet_is_the_same(house: House, session: str) -> None:
    assert session
    usage = house.viewer.get("/usage?by=room")
    table = table_of(house, "/usage.csv?by=room")
    # What was refused for a device that nobody has is under `-`, which no spreadsheet may take for a formula.
    assert [row["room"] for row in table] == [
        row["room"].replace("-", "'-", row["room"] == "-") for row in usage["rows"]
    ]
    assert [int(row["started"]) for row in table] == [row["started"] for row in usage["rows"]]
    assert [float(row["session_s"]) for row in table] == [row["session_s"] for row in usage["rows"]]


def test_the_record_of_a_session_has_every_event_with_both_clocks(house: House, session: str) -> None:
    record = house.therapist.get(f"/sessions/{session}/record")
    assert (record["session_id"], record["device"], record["ended_by"]) == (session, "stim-01", "therapist_stop")
    assert record["operator"] == "anna.k"
    of_it = [event for event in record["events"] if event["of_session"]]
    journaled = [name for name, body in house.journal() if session in json.dumps(body)]
    assert [event["name"] for event in of_it] == journaled, "all of it, in order"
    assert [event["position"] for event in record["events"]] == sorted(event["position"] for event in record["events"])
    ended = next(event for event in of_it if event["kind"] == "session_ended")
    assert ended["boottime_s"] > 0.0
    assert ended["device_at"].endswith("Z")
    assert "session ended" in ended["words"]
    assert {limit["name"] for limit in record["limits"]} >= {"peak_ma_max", "session_s_max"}
    table = table_of(house, f"/sessions/{session}/record.csv")
    assert [int(row["position"]) for row in table] == [event["position"] for event in record["events"]]
    assert [row["hash"] for row in table] == [event["hash"] for event in record["events"]]


def test_a_cell_that_begins_like_a_formula_is_text(house: House) -> None:
    reason = "=HYPERLINK(0)"
    session = house.ward.treat("stim-02")
    (command,) = house.viewer.stop(scope="device", name="stim-02", reason=reason)
    house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    house.ward.await_record(session, ("stopped_latched", "emergency_stop"))
    said(house.therapist.post("/releases", {"device": "stim-02"}), 200)
    house.ward.reset("stim-02")
    raw = house.therapist.client.get(f"/sessions/{session}/record.csv").content.decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(raw, newline="")) for cell in row]
    assert any(reason in cell for cell in cells), "it is there, inside the event's own text"
    numbers = [cell for cell in cells if cell.replace(".", "", 1).lstrip("-").isdigit()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and cell not in numbers]


def test_health_has_the_devices_day_with_what_is_due(house: House, session: str) -> None:
    assert session

    def shown() -> dict[str, Any] | None:
        health: dict[str, Any] = house.viewer.get("/devices/stim-01/health")
        return health if health["rows"] and health["rows"][-1]["sessions"] else None

    health = await_that("its sessions are counted", shown, 15.0)
    (row,) = health["rows"]
    assert (row["device"], row["room"]) == ("stim-01", "room-1")
    assert row["impedance_ohm"] > 100.0
    assert row["impedance_drift_pct"] == pytest.approx(0.0, abs=1e-6), "its first days are what it is compared with"
    assert health["due"] == house.viewer.get("/devices/stim-01")["due"]
    assert health["simulated_until"] is None
    (line,) = table_of(house, "/devices/stim-01/health.csv")
    assert int(line["sessions"]) == row["sessions"]


@pytest.mark.parametrize(
    "wrong",
    ["by=week", "from=2026-13-01", "from=2026-11-25&to=2026-11-01", "from=0001-01-01", "to=9999-99-99", "from=1"],
)
def test_a_range_that_is_none_is_refused(house: House, wrong: str) -> None:
    assert said(house.viewer.client.get(f"/usage?{wrong}"), 422)["error"] == "invalid"
    assert house.viewer.client.get(f"/usage.csv?{wrong}").status_code == 422


def test_a_record_is_for_who_may_see_it_and_of_a_session_that_there_is(house: House, session: str) -> None:
    assert said(house.viewer.client.get(f"/sessions/{session}/record"), 403)["error"] == "forbidden"
    assert said(house.viewer.client.get(f"/sessions/{session}/record.csv"), 403)["error"] == "forbidden"
    assert said(house.therapist.client.get(f"/sessions/{'0' * 32}/record"), 404)["error"] == "unknown_session"
