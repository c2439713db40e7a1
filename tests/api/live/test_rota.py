"""The rota over HTTP: shown without secrets, put as a whole or not at all, by one editor at a time; and test alarms."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from demo.processes import await_that
from fleet.api.access import Role
from tests.api.live.house import Browser, House, said

TOKEN = "tgram://123456:bottoken/chat"
KEYLESS = {"id": "hook", "kind": "webhook", "priorities": ["high"], "destination": "https://desk.clinic.example/hook"}
ROTA: dict[str, Any] = {
    "people": [
        {
            "id": "anna",
            "name": "Anna",
            "methods": [
                {"id": "phone", "kind": "apprise", "priorities": ["high", "medium"], "destination": TOKEN},
                {
                    "id": "desk",
                    "kind": "webhook",
                    "priorities": ["high"],
                    "destination": "https://desk.clinic.example/hook?t=s3cret\nkey-of-sixteen-or-more-characters",
                },
            ],
        },
        {
            "id": "ben",
            "name": "Ben",
            "methods": [
                {"id": "phone", "kind": "apprise", "priorities": ["high", "medium"], "destination": "ntfy://host/ben"}
            ],
        },
    ],
    "rotations": [{"id": "on-call", "people": ["anna", "ben"], "first_day": "2026-11-23", "hand_over": "08:00"}],
    "rungs": {"high": [["on-call"], ["everyone"]], "medium": [["on-call"]]},
}


@pytest.fixture
def manager(house: House) -> Iterator[Browser]:
    yield house.manager
    for left in house.clinic.site_dir.glob("rota.json"):
        left.unlink()
    await_that("nobody uses the rota any more", lambda: not house.manager.get("/people")["people"], 20.0)


def put(who: Browser, rota: Any, version: str | None) -> httpx.Response:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return who.client.put("/rota", json=rota, headers=headers)


@pytest.fixture
def version(manager: Browser) -> str:
    """Of a rota that is there."""
    assert manager.get("/rota")["version"] == "none"
    return str(said(put(manager, ROTA, "none"), 200)["version"])


def test_it_is_put_shown_and_taken_up_by_the_fleet(house: House, manager: Browser, version: str) -> None:
    shown = await_that("taken up", lambda: (got := manager.get("/rota"))["in_use"] and got, 10.0)
    assert shown["version"] == version
    assert manager.client.get("/rota").headers["etag"] == f'"{version}"'
    high = [rung for rung in shown["rungs"] if rung["priority"] == "high"]
    assert [(rung["rung"], rung["names"]) for rung in high] == [(1, ["on-call"]), (2, ["everyone"])]
    assert len(high[0]["people"]) == 1
    (next_one,) = high[0]["next"]["people"]
    assert {high[0]["people"][0]["person"], next_one["person"]} == {"anna", "ben"}, "a week each"
    assert [person["person"] for person in high[1]["people"]] == ["anna", "ben"]
    assert shown["gaps"] == []
    assert shown["turns"][0]["from_at"] < shown["as_of"] < shown["turns"][-1]["until_at"]
    adopted = [body["rota"] for name, body in house.journal() if name == "RotaAdopted" and body["rota"]]
    assert set(adopted[-1]["people"]) == {"anna", "ben"}


def test_nothing_that_leads_to_anybody_is_ever_shown(house: House, manager: Browser, version: str) -> None:
    await_that("taken up", lambda: manager.get("/rota")["in_use"], 10.0)
    for path in ("/rota", "/people", "/audit"):
        who = house.browser(Role.ADMIN) if path == "/audit" else house.browser(Role.ON_CALL)
        text = json.dumps(who.get(path))
        assert "bottoken" not in text
        assert "s3cret" not in text
        assert "key-of-sixteen" not in text
    anna = manager.get("/people")["people"][0]
    assert [(way["method"], way["to"]) for way in anna["methods"]] == [
        ("phone", "tgram"),
        ("desk", "https://desk.clinic.example"),
    ]
    kept = house.clinic.site_dir / "rota.json"
    assert "bottoken" not in kept.read_text(), "it is in a file of its own, its owner's only"
    assert {path.stat().st_mode & 0o777 for path in (house.clinic.site_dir / "secrets").iterdir()} == {0o600}


def test_what_is_put_as_it_was_shown_leads_where_it_did(house: House, manager: Browser, version: str) -> None:
    shown = manager.get("/rota")["rota"]
    shown["people"][0]["name"] = "Anna K."
    changed = said(put(manager, shown, version), 200)
    assert changed["rota"]["people"][0]["name"] == "Anna K."
    file = json.loads((house.clinic.site_dir / "rota.json").read_text())
    secret = file["people"][0]["methods"][0]["secret"]
    assert (house.clinic.site_dir / "secrets" / secret).read_text() == f"{TOKEN}\n"


def test_of_two_editors_the_second_is_told(manager: Browser, house: House, version: str) -> None:
    mine, theirs = copy.deepcopy(ROTA), copy.deepcopy(ROTA)
    mine["digest_at"], theirs["digest_at"] = "07:00", "06:00"
    said(put(manager, mine, version), 200)
    assert said(put(manager, theirs, version), 412)["error"] == "changed"
    assert said(put(manager, theirs, None), 428)["error"] == "version_missing"
    assert manager.get("/rota")["rota"]["digest_at"] == "07:00"
    admin = house.browser(Role.ADMIN)

    def told() -> set[tuple[str, str]]:
        rows = admin.get("/audit?limit=20")["rows"]
        return {(row["who"], row["outcome"]) for row in rows if row["what"] == "change rota"}

    both = {("manager.one", "done"), ("manager.one", "refused: changed meanwhile")}
    await_that("both are in the audit", lambda: both <= told(), 5.0)


def test_one_that_cannot_be_used_is_refused_with_every_error_at_its_place(manager: Browser, version: str) -> None:
    wrong = copy.deepcopy(ROTA)
    wrong["rungs"]["high"] = [["on-call"], ["nobody-of-that-name"]]
    wrong["rotations"][0]["people"] = ["anna", "ben", "cleo"]
    wrong["people"][1]["methods"][0] = {
        "id": "sms",
        "kind": "apprise",
        "priorities": ["medium"],
        "destination": "no url",
    }
    problem = said(put(manager, wrong, version), 422)
    assert problem["error"] == "bad_rota"
    places = {error["place"] for error in problem["errors"]}
    assert {"people/ben/sms", "rotations/on-call", "rungs/high/2", "rungs/high/1"} <= places, problem
    assert all(error["text"].endswith(".") for error in problem["errors"])
    assert manager.get("/rota")["version"] == version, "nothing was changed"


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("people", [*ROTA["people"], {"id": "cleo", "name": "Cleo", "methods": [KEYLESS]}], "people/cleo/hook"),
        ("people", [{**ROTA["people"][0], "id": "No Name"}, ROTA["people"][1]], "people[0]"),
        ("digest_at", "25:00", "digest_at"),
        ("quiet_hours", {"begin": "22:00", "end": "24:30"}, "quiet_hours"),
        ("rungs", {"high": [["on-call"]], "medium": [["on-call"]], "urgent": [["anna"]]}, "rungs"),
        ("proven_within_days", 0, "proven_within_days"),
        ("drill", {"every_days": 40, "at": "10:00"}, "drill"),
    ],
)
def test_a_word_that_is_none_is_refused_at_its_place(
    manager: Browser, version: str, field: str, value: Any, place: str
) -> None:
    problem = said(put(manager, {**ROTA, field: value}, version), 422)
    assert place in {error["place"] for error in problem["errors"]}, problem


def test_a_file_that_somebody_broke_by_hand_is_said_and_can_be_replaced(house: House, manager: Browser) -> None:
    (house.clinic.site_dir / "rota.json").write_text('{"people": []}')
    shown = manager.get("/rota")
    assert shown["rota"] is None
    assert shown["errors"], "it says why"
    assert said(put(manager, ROTA, shown["version"]), 200)["errors"] == []


def test_only_who_may_edits_and_only_who_may_looks(house: House, version: str) -> None:
    assert said(put(house.browser(Role.ON_CALL), ROTA, version), 403)["error"] == "forbidden"
    assert said(house.viewer.client.get("/rota"), 403)["error"] == "forbidden"
    assert house.browser(Role.ON_CALL).get("/rota")["version"] == version
    for days in ("from=2026-02-31", "days=0", "days=63", "from=9999-12-31"):
        assert said(house.manager.client.get(f"/rota?{days}"), 422)["error"] == "invalid"


def test_a_drill_goes_out_by_every_way_and_an_answer_proves_it(house: House, manager: Browser, version: str) -> None:
    await_that("taken up", lambda: manager.get("/rota")["in_use"], 10.0)
    drill = said(manager.post("/drills", {"person": "anna"}), 202)["drill_id"]

    def ways() -> dict[str, Any]:
        (anna,) = [person for person in manager.get("/people")["people"] if person["person"] == "anna"]
        return {way["method"]: way for way in anna["methods"]}

    await_that("it is on its way", lambda: {way["drill"] for way in ways().values()} == {"sending"}, 5.0)
    pages = {body["method"]: body for name, body in house.journal() if name == "PageDue" and body["series"] == drill}
    assert pages.keys() == {"phone", "desk"}
    assert {page["issued_by"] for name, page in house.journal() if name == "DrillOrdered"} >= {"manager.one"}
    house.clinic.ask(op="page_delivered", page_id=pages["phone"]["page_id"])
    await_that("it waits for its answer", lambda: ways()["phone"]["drill"] == "waiting", 5.0)
    house.clinic.ask(op="drill_answered", page_id=pages["phone"]["page_id"], issued_by="anna")
    proven = await_that("it is proven", lambda: ways()["phone"]["last_proven_at"], 5.0)
    assert ways()["phone"]["proven_until"] > proven
    assert ways()["phone"]["drill"] is None
    assert ways()["desk"]["last_proven_at"] is None
    assert (
        said(manager.post("/drills/answers", {"code": pages["phone"]["page_id"][:8]}), 404)["error"] == "no_such_test"
    )
    refused = said(manager.post("/drills", {"person": "nobody"}), 409)
    assert refused["refusals"][0]["rule"] == "person_unknown"
    assert said(house.browser(Role.ON_CALL).post("/drills", {}), 403)["error"] == "forbidden"


def test_a_drill_is_answered_by_the_code_of_its_message(house: House, manager: Browser, version: str) -> None:
    """By a person who is called, and by nobody who has no code; the audit names who said so."""
    await_that("taken up", lambda: manager.get("/rota")["in_use"], 10.0)
    drill = said(manager.post("/drills", {"person": "anna"}), 202)["drill_id"]

    def ordered() -> dict[str, str]:
        due = [body for name, body in house.journal() if name == "PageDue" and body["series"] == drill]
        return {str(body["method"]): str(body["page_id"]) for body in due}

    pages = await_that("both ways are due", lambda: ordered() if len(ordered()) == 2 else None, 5.0)
    code, called = pages["desk"][:8], house.browser(Role.ON_CALL)

    def shown() -> bool:
        (anna,) = [person for person in manager.get("/people")["people"] if person["person"] == "anna"]
        return any(way["method"] == "desk" and way["drill"] for way in anna["methods"])

    await_that("the page's process has read of it", shown, 5.0)  # a code that it does not know counts as a wrong one
    for wrong in ({}, {"code": code[:7]}, {"code": code.upper() + "G"}, {"code": 12345678}, {"page_id": pages["desk"]}):
        assert said(called.post("/drills/answers", wrong), 422)["error"] == "invalid"
    assert said(called.post("/drills/answers", {"code": "0" * 31 + "f"}), 404)["error"] == "no_such_test"
    for role in (Role.VIEWER, Role.THERAPIST, Role.ADMIN):
        assert said(house.browser(role).post("/drills/answers", {"code": code}), 403)["error"] == "forbidden"
    machine = httpx.post(
        f"{house.url}/api/v1/drills/answers",
        json={"code": code},
        headers={"Authorization": f"Bearer {house.token(Role.ON_CALL)}"},
    )
    assert (machine.status_code, machine.json()["error"]) == (403, "forbidden"), "a machine has not got a message"
    assert not [body for name, body in house.journal() if name == "ChannelProven" and body["page_id"] in pages.values()]

    assert said(called.post("/drills/answers", {"code": code}), 200) == {"person": "anna", "method": "desk"}
    proven = [body for name, body in house.journal() if name == "ChannelProven" and body["page_id"] in pages.values()]
    assert [(one["page_id"], one["person"], one["method"], one["issued_by"]) for one in proven] == [
        (pages["desk"], "anna", "desk", "on-call.one")
    ]

    def is_proven() -> bool:
        (anna,) = [person for person in manager.get("/people")["people"] if person["person"] == "anna"]
        return any(way["method"] == "desk" and way["last_proven_at"] for way in anna["methods"])

    await_that("the page says so", is_proven, 5.0)
    assert said(called.post("/drills/answers", {"code": code}), 404)["error"] == "no_such_test"

    def audited() -> bool:
        rows = house.browser(Role.ADMIN).get("/audit?limit=50")["rows"]
        told = [(row["who"], row["outcome"], row["subject"]) for row in rows if row["what"].endswith("/drills/answers")]
        return ("on-call.one", "done", code) in told

    await_that("it is in the audit", audited, 5.0)
