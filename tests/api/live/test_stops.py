"""A stop over HTTP: sent at once, followed to measured zero, its hold lifted with its conditions shown."""

import time
from typing import Any

import pytest

from fleet.api.access import Role
from tests.api.live.house import House, said


def free_again(house: House, *devices: str) -> None:
    """Release and reset what was stopped."""
    for device in devices:
        said(house.therapist.post("/releases", {"device": device}), 200)
        house.ward.reset(device)
    house.await_shown(
        lambda rows: all(rows[device]["phase"] == "idle" and not rows[device]["holds"] for device in devices)
    )


def test_a_device_is_stopped_and_its_latencies_are_those_of_the_record(house: House) -> None:
    session = house.ward.treat("stim-01")
    pushed_s = time.monotonic()
    (command,) = house.viewer.stop(scope="device", name="stim-01", reason="patient asked")  # whoever is signed in may
    answered_s = time.monotonic() - pushed_s
    assert command["device"] == "stim-01"
    assert answered_s < 1.0
    stop = house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    assert (stop["scope"], stop["issued_by"], stop["reason"]) == ("device", "viewer.one", "patient asked")
    (one,) = stop["devices"]
    assert (one["device"], one["room"], one["urgent"], one["standing"]) == ("stim-01", "room-1", True, "zero")
    confirmed = next(
        body
        for name, body in house.journal()
        if name == "StopConfirmed" and body["command_id"] == command["command_id"]
    )
    for latency in ("cause_to_sent_s", "sent_to_received_s", "sent_to_zero_s", "amplitude_ma"):
        assert one[latency] == pytest.approx(confirmed[latency]), latency
    assert one["words"] == f"zero current measured after {confirmed['sent_to_zero_s'] * 1000:.0f} ms"
    assert house.ward.true_ma("stim-01") == 0.0
    house.ward.await_record(session, ("stopped_latched", "emergency_stop"))
    assert house.viewer.get("/stops")["stops"][0]["command_id"] == command["command_id"]

    releasable = house.therapist.get("/releases/stim-01")
    assert releasable["may"]
    assert {one["condition"]: one["holds"] for one in releasable["conditions"]} == {
        "hold": True,
        "sent": True,
        "zero_measured": True,
        "heard": True,
    }
    assert "emergency_stop" in releasable["afterwards"]
    free_again(house, "stim-01")
    released = house.await_stop(command["command_id"], lambda shown: shown["released_at"] is not None)
    assert released["released_by"] == "therapist.one"
    assert not house.therapist.get("/releases/stim-01")["may"]


def test_a_room_is_stopped_in_one_go_and_each_device_has_its_own_command(house: House) -> None:
    house.ward.treat("stim-02")
    commands = house.viewer.stop(scope="room", name="room-2")
    assert [command["device"] for command in commands] == ["stim-02", "stim-03"]
    assert len({command["command_id"] for command in commands}) == 2
    for command in commands:
        house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    rows = house.await_shown(lambda rows: bool(rows["stim-02"]["holds"] and rows["stim-03"]["holds"]))
    assert not rows["stim-01"]["holds"]
    free_again(house, "stim-02", "stim-03")


def test_the_site_is_stopped_with_one_command(house: House) -> None:
    house.ward.treat("stim-01")
    (command,) = house.viewer.stop(scope="site", reason="smoke")
    assert command["device"] == "all"
    stop = house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    assert {one["device"] for one in stop["devices"]} == {"stim-01", "stim-02", "stim-03"}
    assert house.therapist.get("/releases/all")["may"]
    assert {hold["scope"] for hold in house.viewer.get("/devices/stim-03")["holds"]} == {"all"}
    said(house.therapist.post("/releases", {"device": "all"}), 200)
    for device in ("stim-01", "stim-02", "stim-03"):
        house.ward.reset(device)
    house.await_shown(lambda rows: all(row["phase"] == "idle" and not row["holds"] for row in rows.values()))


def test_a_second_push_for_the_site_waits_for_what_the_first_still_waits_for(house: House) -> None:
    """From another browser, while one device measures nothing: it is not told "confirmed" for the others' zero."""
    house.clinic.suffer("stim-03", kind="sensor_lost")
    house.await_shown(lambda rows: rows["stim-03"]["amplitude_ma"] is None)
    (first,) = house.viewer.stop(scope="site", reason="smoke")
    house.await_stop(first["command_id"], lambda shown: waits_for(shown) == {"stim-03"})
    (second,) = house.therapist.stop(scope="site", reason="smoke")
    assert second["command_id"] != first["command_id"], "the others are at zero: it is a stop of its own"
    shown = house.await_stop(second["command_id"], lambda shown: waits_for(shown) == {"stim-03"})
    assert not shown["confirmed"]
    followed_by = {one["device"]: one["followed_by"] for one in shown["devices"]}
    assert followed_by == {
        "stim-01": second["command_id"],
        "stim-02": second["command_id"],
        "stim-03": first["command_id"],
    }
    house.clinic.heal("stim-03", "sensor_lost")
    house.await_stop(second["command_id"], lambda shown: shown["confirmed"])
    said(house.therapist.post("/releases", {"device": "all"}), 200)
    for device in ("stim-01", "stim-02", "stim-03"):
        house.ward.reset(device)
    house.await_shown(lambda rows: all(row["phase"] == "idle" and not row["holds"] for row in rows.values()))


def waits_for(stop: dict[str, Any]) -> set[str]:
    return {one["device"] for one in stop["devices"] if one["standing"] != "zero"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "moon", "name": "stim-01"}, 422),
        ({"scope": "device"}, 422),
        ({"scope": "device", "name": "all"}, 422),
        ({"scope": "site", "name": "stim-01"}, 422),
        ({"scope": "device", "name": "../stim"}, 422),
        ({"scope": "device", "name": "stim-01", "reason": "x" * 65}, 422),
        ({"scope": "device", "name": "stim-01", "reason": "a\nb"}, 422),
        ({"scope": "device", "name": "stim-01", "hold": False}, 422),
        ({"scope": "room", "name": "room-9"}, 404),
        ({"scope": "device", "name": "fleet"}, 422),
    ],
)
def test_a_stop_that_cannot_be_meant_says_what_is_wrong(house: House, body: dict[str, Any], status: int) -> None:
    problem = said(house.viewer.post("/stops", body), status)
    assert problem["text"].endswith(".")


def test_a_device_that_is_heard_is_not_confirmed_off_by_anybody(house: House) -> None:
    refused = said(house.therapist.post("/devices/stim-01/confirm-off"), 409)
    assert [refusal["rule"] for refusal in refused["refusals"]] == ["device_speaks"]
    assert "it is heard" in refused["text"] or "is heard" in refused["text"]


def test_nothing_is_released_that_is_not_held(house: House) -> None:
    refused = said(house.therapist.post("/releases", {"device": "stim-01"}), 409)
    assert [refusal["rule"] for refusal in refused["refusals"]] == ["no_hold"]
    assert said(house.viewer.post("/releases", {"device": "stim-01"}), 403)["error"] == "forbidden"


def test_an_unknown_stop_is_unknown(house: House) -> None:
    assert said(house.viewer.client.get(f"/stops/{'0' * 32}"), 404)["error"] == "unknown_stop"


def test_a_machine_with_a_token_stops_too(house: House) -> None:
    token = house.token(Role.VIEWER)
    answer = house.viewer.client.post(
        f"{house.url}/api/v1/stops",
        json={"scope": "device", "name": "stim-01"},
        headers={"Authorization": f"Bearer {token}"},
    )
    (command,) = said(answer, 202)["commands"]
    stop = house.await_stop(command["command_id"], lambda shown: shown["confirmed"])
    assert stop["issued_by"].startswith("token:")
    free_again(house, "stim-01")
