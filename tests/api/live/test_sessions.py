"""Sessions over HTTP: would it be authorised, ask, watch, withdraw; who may see whose."""

import time
from typing import Any

import pytest

from demo.processes import await_that
from fleet.api.access import Role
from tests.api.live.house import House, said


def rules(refusals: list[dict[str, Any]]) -> list[str]:
    return [refusal["rule"] for refusal in refusals]


def of_requests(house: House) -> int:
    """How many rows of the journal are about a request. Meanwhile others may be about alarms, devices or the rota."""
    return sum(name.startswith("Session") for name, _body in house.journal())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"room": "room-2"}, ["room"]),
        ({"plan": {"body_site": "eyes"}}, ["placement"]),
        ({"plan": {"duration_s": 7200.0}}, ["duration", "limit"]),
        ({"screening": {"findings": ["implanted_device", "epilepsy"]}}, ["screening_absolute", "screening_relative"]),
        ({"screening": {"at_wall_s": 1.0}}, ["screening_age"]),
        ({"device": "stim-99"}, ["device_unknown", "device_not_fresh"]),
    ],
)
def test_explain_says_what_the_request_would_be_told_and_changes_nothing(
    house: House, changed: dict[str, Any], expected: list[str]
) -> None:
    asked = house.body("stim-01")
    for name, value in changed.items():
        asked[name] = {**asked[name], **value} if isinstance(value, dict) else value
    before = of_requests(house)
    explained = said(house.therapist.post("/sessions/explain", asked), 200)["refusals"]
    assert of_requests(house) == before, "nothing was journaled"
    assert rules(explained) == expected
    assert all(refusal["words"] for refusal in explained)
    if expected:
        refused = said(house.therapist.post("/sessions", asked), 409)
        assert rules(refused["refusals"]) == expected
        assert [one["words"] for one in refused["refusals"]] == [one["words"] for one in explained] or (
            "screening_age" in expected  # its number grows
        )
        assert all(refusal["words"] in refused["text"] for refusal in refused["refusals"])


def test_a_session_is_authorised_with_the_operator_who_is_signed_in_and_withdrawn(house: House) -> None:
    asked = {**house.body("stim-03"), "request_id": f"{time.time_ns():032x}"}
    granted = said(house.therapist.post("/sessions", asked), 201)
    assert granted["request_id"] == asked["request_id"]
    again = said(house.therapist.post("/sessions", asked), 201)
    assert again == granted, "the same request is the same session"
    session = granted["session_id"]
    await_that("it is read along", lambda: house.therapist.client.get(f"/sessions/{session}").status_code == 200, 5.0)
    (journaled,) = [
        body
        for name, body in house.journal()
        if name == "SessionAuthorised" and body["authorisation"]["session_id"] == session
    ]
    assert (journaled["issued_by"], journaled["authorisation"]["operator"]) == ("therapist.one", "anna.k")
    shown = house.therapist.get(f"/sessions/{session}")
    assert (shown["operator"], shown["client"], shown["state"]) == ("anna.k", "client-web", "authorised")
    assert shown["plan"]["body_site"] == "thigh"
    assert shown["limits"]["peak_ma_max"]["layer"] in {"envelope", "model", "clinic", "settings"}
    said(house.therapist.post(f"/sessions/{session}/cancel"), 200)
    await_that("it is withdrawn", lambda: house.therapist.get(f"/sessions/{session}")["state"] == "cancelled", 5.0)
    over = said(house.therapist.post(f"/sessions/{session}/cancel"), 409)
    assert rules(over["refusals"]) == ["session_over"]
    assert said(house.therapist.post(f"/sessions/{'0' * 32}/cancel"), 409)["refusals"][0]["rule"] == "session_unknown"
    house.await_shown(lambda rows: rows["stim-03"]["phase"] == "idle")


def test_a_trace_is_what_the_device_sent_with_its_limits(house: House) -> None:
    session = house.ward.treat("stim-01", to_ma=4)
    await_that(
        "four seconds of it", lambda: len(house.viewer.get(f"/sessions/{session}/trace")["columns"]["at"]) >= 8, 15.0
    )
    trace = house.viewer.get(f"/sessions/{session}/trace")
    columns = trace["columns"]
    assert {len(column) for column in columns.values()} == {len(columns["at"])}
    assert columns["at"] == sorted(columns["at"])
    assert trace["gaps"] == []
    assert not any(columns["late"])
    assert columns["setting_ma"][-1] == 4.0
    assert any(abs(amplitude - 4.0) < 1.0 for amplitude in columns["amplitude_ma"] if amplitude is not None)
    assert all(margin <= 5.0 for margin in columns["lease_margin_s"] if margin is not None)
    assert trace["limits"]["setting_ma_max"] == 40.0
    samples = house.viewer.get("/devices/stim-01/samples")
    assert set(columns["at"]) <= set(samples["columns"]["at"]), "the device's own samples have them all"
    row = house.await_shown(lambda rows: rows["stim-01"]["session"] is not None)["stim-01"]
    assert (row["session"]["session_id"], row["session"]["state"]) == (session, "running")
    assert "client" not in row["session"]
    house.ward.end("stim-01")
    house.ward.await_record(session, ("aborted", "therapist_stop"))
    ended = await_that("the page has its end", lambda: house.viewer.get(f"/sessions/{session}")["ended"], 5.0)
    assert house.viewer.get(f"/sessions/{session}")["elapsed_s"] == ended["elapsed_s"] > 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        "from=2026-11-25T00:00:00Z&to=2026-11-24T00:00:00Z",
        "from=yesterday",
        "to=2026-11-25T00:00:00",
        "from=2020-01-01T00:00:00Z",
    ],
)
def test_a_time_that_is_none_is_refused(house: House, wrong: str) -> None:
    assert said(house.viewer.client.get(f"/devices/stim-01/samples?{wrong}"), 422)["error"] == "invalid"


def test_who_may_not_see_clients_sees_none(house: House) -> None:
    session = house.ward.treat("stim-02")
    house.ward.end("stim-02")
    client = house.therapist.get(f"/sessions/{session}")["client"]
    for path in ("/sessions", f"/sessions/{session}", "/devices/stim-02", "/overview", f"/sessions/{session}/trace"):
        assert client not in house.viewer.client.get(path).text, path
        assert "anna.k" not in house.viewer.client.get(path).text, path
    assert house.viewer.get(f"/sessions/{session}")["client"] is None
    assert said(house.viewer.client.get(f"/sessions?client={client}"), 403)["error"] == "forbidden"
    assert said(house.viewer.client.get(f"/clients/{client}"), 403)["error"] == "forbidden"
    ledger = house.therapist.get(f"/clients/{client}")
    assert session in {one["session_id"] for one in ledger["sessions"]}
    found = house.therapist.get(f"/sessions?client={client}")["sessions"]
    assert {one["session_id"] for one in found} >= {session}
    assert {one["client"] for one in found} == {client}


def test_sessions_are_listed_newest_first_and_page_by_page(house: House) -> None:
    listed = house.therapist.get("/sessions?limit=200")["sessions"]
    times = [one["authorised_at"] for one in listed]
    assert times == sorted(times, reverse=True)
    first = house.therapist.get("/sessions?limit=2")
    rest = house.therapist.get(f"/sessions?limit=200&before={first['next']}")["sessions"]
    assert [one["session_id"] for one in [*first["sessions"], *rest]] == [one["session_id"] for one in listed]
    # The web process reads along: what an earlier test has just ended is seen as over a moment later.
    await_that("none is open", lambda: house.therapist.get("/sessions?open=true")["sessions"] == [], 10.0)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"operator": "other.one"}, "operator"),
        ({"plan": {}}, "plan"),
        ({"client": "Anna Muster"}, "client"),
        ({"request_id": "1"}, "request_id"),
        ({"screening": {"rule_set": "x", "at_wall_s": "now"}}, "screening"),
    ],
)
def test_what_is_no_request_names_the_field(house: House, changed: dict[str, Any], field: str) -> None:
    problem = said(house.therapist.post("/sessions", {**house.body("stim-01"), **changed}), 422)
    assert field in problem["text"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER, Role.ADMIN, Role.ON_CALL])
def test_only_a_therapist_asks_for_a_session(house: House, role: Role) -> None:
    assert said(house.browser(role).post("/sessions", house.body("stim-01")), 403)["error"] == "forbidden"
