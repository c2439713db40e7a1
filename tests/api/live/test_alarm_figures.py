"""Figures against alarm fatigue and the history of a device, over HTTP: what the journal on the disk comes to."""

import csv
import io
from typing import Any

import pytest

from demo.processes import await_that
from fleet.api.access import Role
from tests.api.live.house import House, said


@pytest.fixture(scope="module")
def stopped(house: House) -> str:
    """One alarm that is over, and that somebody had; its id."""
    (command,) = house.viewer.stop(scope="device", name="stim-02", reason="trial")
    house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    found = await_that("it is open", lambda: house.viewer.get("/alarms?device=stim-02")["alarms"], 10.0)
    alarm = next(str(row["alarm_id"]) for row in found if row["code"] == "A03")
    said(house.browser(Role.ON_CALL).post(f"/alarms/{alarm}/accept"), 200)
    said(house.therapist.post("/releases", {"device": "stim-02"}), 200)
    house.ward.reset("stim-02")
    await_that("it is over", lambda: not house.viewer.get("/alarms?device=stim-02")["alarms"], 20.0)
    return alarm


def raised(house: House) -> list[dict[str, Any]]:
    """Counted from the journal, by its rows alone."""
    journal = house.journal()
    grouped = {body["alarm_id"] for name, body in journal if name == "AlarmCleared" and body["grouped_into"]}
    return [body for name, body in journal if name == "AlarmRaised" and body["alarm_id"] not in grouped]


def test_the_figures_are_the_journals(house: House, stopped: str) -> None:
    counted = raised(house)
    shown = house.viewer.get("/alarms/figures")
    assert shown["total"]["alarms"] == len(counted)
    assert {row["code"]: row["alarms"] for row in shown["codes"]} == {
        code: sum(one["code"] == code for one in counted) for code in {one["code"] for one in counted}
    }
    assert shown["device_days"] % 3 == 0, "three devices, a day or two"
    assert shown["per_device_day"] == pytest.approx(len(counted) / shown["device_days"])
    assert shown["total"]["accepted"]["n"] >= 1
    assert 0.0 < shown["total"]["accepted"]["median_s"] <= shown["total"]["accepted"]["p90_s"]
    assert sum(row["alarms"] for row in shown["days"]) == len(counted)
    assert len(shown["noisiest"]) <= 10
    assert stopped


@pytest.mark.parametrize(("by", "key"), [("day", "days"), ("code", "codes"), ("condition", "noisiest")])
def test_they_are_the_same_for_a_spreadsheet(house: House, stopped: str, by: str, key: str) -> None:
    assert stopped
    answer = house.viewer.client.get(f"/alarms/figures.csv?by={by}")
    assert answer.headers["content-disposition"] == f'attachment; filename="alarms-by-{by}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [int(row["alarms"]) for row in rows] == [row["alarms"] for row in house.viewer.get("/alarms/figures")[key]]


def test_a_devices_history_says_who_had_it_and_how_soon(house: House, stopped: str) -> None:
    shown = house.viewer.get("/devices/stim-02/alarms")
    (row,) = [row for row in shown["alarms"] if row["alarm_id"] == stopped]
    assert (row["code"], row["device"], row["accepted_by"]) == ("A03", "stim-02", "on-call.one")
    accepted = next(body for name, body in house.journal() if name == "AlarmAccepted" and body["alarm_id"] == stopped)
    began = next(body for name, body in house.journal() if name == "AlarmRaised" and body["alarm_id"] == stopped)
    assert row["accepted_after_s"] == pytest.approx(accepted["wall_s"] - began["wall_s"])
    assert row["cleared"] > row["since"]
    assert shown["more"] == 0
    assert [row["since"] for row in shown["alarms"]] == sorted((row["since"] for row in shown["alarms"]), reverse=True)


def test_a_range_that_is_none_and_a_device_that_is_none_are_refused(house: House) -> None:
    for wrong in ("from=2026-11-25&to=2026-11-01", "from=2024-01-01&to=2026-11-25", "from=today"):
        assert said(house.viewer.client.get(f"/alarms/figures?{wrong}"), 422)["error"] == "invalid"
    assert said(house.viewer.client.get("/alarms/figures.csv?by=week"), 422)["error"] == "invalid"
    assert said(house.viewer.client.get("/devices/stim-99/alarms"), 404)["error"] == "unknown_device"
