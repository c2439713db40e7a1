"""What pages are shown: the overview, one device with everything about it, alarms, the description itself."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from fleet.api import models
from fleet.api.access import Role
from tests.api.live.house import House, said


def test_the_overview_has_every_room_and_device(house: House) -> None:
    overview = house.viewer.get("/overview")
    rooms = {room["room"]: [row["device"] for row in room["devices"]] for room in overview["rooms"]}
    assert rooms == {"room-1": ["stim-01"], "room-2": ["stim-02", "stim-03"]}
    fleet = overview["fleet"]
    assert (fleet["site"], fleet["reachable"], fleet["connected"], fleet["stale"]) == ("north", True, True, False)
    assert set(overview["alarms"]) == {"high", "medium", "low", "info"}
    rows = house.viewer.get("/devices")["devices"]
    assert [row["device"] for row in rows] == ["stim-01", "stim-02", "stim-03"]


def test_what_is_shown_is_what_the_fleet_itself_says(house: House) -> None:
    house.await_fresh()
    theirs = {row["device"]: row for row in house.clinic.ask(op="devices")["devices"]}
    moving = {"silent_s", "silent", "amplitude_ma"}
    for row in house.viewer.get("/devices")["devices"]:
        assert {name: row[name] for name in theirs[row["device"]] if name not in moving} == {
            name: value for name, value in theirs[row["device"]].items() if name not in moving
        }


def test_one_device_has_its_settings_with_who_set_each_limit(house: House) -> None:
    shown = house.viewer.get("/devices/stim-02")
    assert shown["birth"]["serial"] == "SN-stim-02"
    assert shown["settings"]["limits"]["peak_ma_max"]["layer"] == "envelope"
    assert "certificate" in {due["check"] for due in shown["due"]}
    assert shown["due"] == shown["device"]["due"]
    assert said(house.viewer.client.get("/devices/stim-99"), 404)["error"] == "unknown_device"


@pytest.mark.parametrize(
    ("path", "where", "model"),
    [
        ("/devices", "devices", models.Device),
        ("/devices/stim-01", "sessions", models.Session),
        ("/alarms?past=true", "alarms", models.Alarm),
    ],
)
def test_every_field_of_a_row_is_described(house: House, path: str, where: str, model: type[BaseModel]) -> None:
    if where == "alarms":
        (command,) = house.viewer.stop(scope="device", name="stim-01")
        house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
        said(house.therapist.post("/releases", {"device": "stim-01"}), 200)
        house.ward.reset("stim-01")
    if where == "sessions":
        house.ward.treat("stim-01")
        house.ward.end("stim-01")
    rows: list[dict[str, Any]] = house.viewer.get(path)[where]
    assert rows
    assert {name for row in rows for name in row} == set(model.model_fields)


def test_columns_of_samples_are_those_of_the_contract() -> None:
    assert set(models.Columns.model_fields) == {
        *("at", "phase", "setting_ma", "amplitude_ma", "impedance_ohm", "lease_margin_s", "battery_pct"),
        *("temperature_c", "late"),
    }


def test_alarms_are_filtered_by_device(house: House) -> None:
    assert {row["device"] for row in house.viewer.get("/alarms?past=true&device=stim-01")["alarms"]} <= {"stim-01"}
    assert house.viewer.get("/alarms?device=stim-99")["alarms"] == []


def test_nobody_who_is_not_signed_in_sees_anything(house: House) -> None:

    for path in ("/overview", "/devices", "/stream", "/stops", "/openapi.json", "/sessions"):
        answer = httpx.get(f"{house.url}/api/v1{path}")
        assert said(answer, 401)["error"] == "not_signed_in", path


def test_the_house_is_drained_by_its_manager_only_and_says_so(house: House) -> None:
    assert said(house.therapist.post("/drain"), 403)["error"] == "forbidden"
    said(house.manager.post("/drain"), 200)
    house.await_shown(lambda _rows: house.viewer.get("/overview")["fleet"]["draining"])
    refused = said(house.therapist.post("/sessions", house.body("stim-01")), 409)
    assert [one["rule"] for one in refused["refusals"]] == ["draining"]
    said(house.manager.post("/undrain"), 200)
    house.await_shown(lambda _rows: not house.viewer.get("/overview")["fleet"]["draining"])


def test_an_alarm_that_is_none_is_not_acknowledged(house: House) -> None:
    answer = house.browser(Role.ON_CALL).post(f"/alarms/{'0' * 32}/acknowledge")
    assert answer.status_code in {404, 409, 422}, answer.text
