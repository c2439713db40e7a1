"""Alarms as people on call answer them: acknowledged, accepted, commented; shelved never, where it must not be."""

from itertools import cycle
from typing import Any

import pytest

from demo.processes import await_that
from fleet.api.access import Role
from tests.api.live.conftest import DEVICES
from tests.api.live.house import House, said

ROOMS = cycle(DEVICES.items())  # each test has another device's: an alarm stays for ten seconds


@pytest.fixture
def alarm(house: House) -> Any:
    """A03 of a device, while the test lasts."""
    device, _room = next(ROOMS)
    asked = f"/alarms?device={device}"
    await_that("the one before is over", lambda: not house.viewer.get(asked)["alarms"], 20.0)
    (command,) = house.viewer.stop(scope="device", name=device, reason="trial")
    house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    found = await_that("it is open", lambda: house.viewer.get(asked)["alarms"], 10.0)
    yield next(row for row in found if row["code"] == "A03")
    said(house.therapist.post("/releases", {"device": device}), 200)
    house.ward.reset(device)


def test_an_alarm_is_counted_marked_and_told_with_what_to_do(house: House, alarm: dict[str, Any]) -> None:
    assert alarm["priority"] == "medium"
    device = alarm["device"]
    assert alarm["words"].startswith(f"MEDIUM Room {DEVICES[device]}, {device}: emergency stop")
    overview = house.viewer.get("/overview")
    assert overview["alarms"]["medium"] >= 1
    rows = {row["device"]: row for room in overview["rooms"] for row in room["devices"]}
    assert {"alarm_id": alarm["alarm_id"], "code": "A03", "priority": "medium"} in rows[device]["alarms"]


def test_who_is_on_call_acknowledges_accepts_and_comments(house: House, alarm: dict[str, Any]) -> None:
    on_call, path = house.browser(Role.ON_CALL), f"/alarms/{alarm['alarm_id']}"
    assert said(house.viewer.post(f"{path}/acknowledge"), 403)["error"] == "forbidden"
    said(on_call.post(f"{path}/acknowledge"), 200)
    said(on_call.post(f"{path}/accept"), 200)
    said(on_call.post(f"{path}/comment", {"text": "on my way"}), 200)

    def answered() -> dict[str, Any] | None:
        (row,) = [row for row in house.viewer.get("/alarms")["alarms"] if row["alarm_id"] == alarm["alarm_id"]]
        return row if "on my way" in str(row) else None

    row = await_that("it is shown", answered, 10.0)
    assert "on-call.one" in str(row), "and by whom"
    journaled = [name for name, body in house.journal() if "on-call.one" in str(body)]
    assert {"AlarmAcknowledged", "AlarmAccepted", "AlarmCommented"} <= set(journaled), journaled


def test_what_must_not_be_silenced_is_not(house: House, alarm: dict[str, Any]) -> None:
    shelve = {"reason": "known", "until": "2099-01-01T00:00:00Z"}
    refused = said(house.browser(Role.ON_CALL).post(f"/alarms/{alarm['alarm_id']}/shelve", shelve), 409)
    assert refused["refusals"][0]["words"]


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("shelve", {"reason": "known", "until": "tomorrow"}),
        ("shelve", {"until": "2099-01-01T00:00:00Z"}),
        ("shelve", {"reason": "known", "until": "2099-02-31T00:00:00Z"}),
        ("reject", {}),
        ("comment", {"text": "x" * 281}),
        ("comment", {"text": "a\u202eb"}),
    ],
)
def test_an_answer_that_is_none_names_the_field(house: House, what: str, body: dict[str, str]) -> None:
    problem = said(house.browser(Role.ON_CALL).post(f"/alarms/{'0' * 32}/{what}", body), 422)
    assert problem["text"].startswith("The request's ")
