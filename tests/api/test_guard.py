"""At every route: who is it, does the request come from our own page, may they."""

import pytest

from fleet.api.access import BEFORE_PASSWORD, PEOPLE_ONLY, PERMISSIONS, How, Permission, Role, SignedIn
from tests.api.desk import HOST, NOON_WALL_S, Front

P = Permission
TREATING = {P.SEE_CLIENTS, P.SEE_RECORDS, P.EXPLAIN, P.REQUEST, P.CANCEL, P.RELEASE, P.CONFIRM_OFF}


# --- the table, as docs/decisions/2026-11-25-eyes.md says it ---


def test_anybody_who_is_signed_in_may_stop_and_see() -> None:
    for role in Role:
        assert {P.STOP, P.SEE, P.SEE_USAGE, P.OWN_ACCOUNT, P.OWN_SESSION} <= PERMISSIONS[role]
    assert {P.STOP} <= BEFORE_PASSWORD


def test_each_role_may_what_the_decision_says_and_nothing_else() -> None:
    viewer = {P.OWN_ACCOUNT, P.OWN_SESSION, P.SEE, P.SEE_USAGE, P.STOP}
    called = {P.ALARM_RESPOND, P.SEE_ROTA, P.ANSWER_DRILL}
    assert PERMISSIONS[Role.VIEWER] == viewer
    assert PERMISSIONS[Role.THERAPIST] == viewer | TREATING
    assert PERMISSIONS[Role.ON_CALL] == viewer | called
    assert PERMISSIONS[Role.MANAGER] == (
        viewer | TREATING | called | {P.EDIT_ROTA, P.DRILL, P.DRAIN, P.SEE_STAFF_USAGE}
    ) - {P.REQUEST}
    assert PERMISSIONS[Role.ADMIN] == viewer | {P.USERS, P.TOKENS, P.AUDIT}
    assert set().union(*PERMISSIONS.values()) == set(Permission), "a permission that nobody has is a mistake"


@pytest.mark.parametrize("role", list(Role))
def test_a_machine_does_nothing_that_a_person_answers_for(role: Role) -> None:
    machine = SignedIn("token:1", "a machine", role, None, How.TOKEN)
    assert machine.may == PERMISSIONS[role] - PEOPLE_ONLY
    theirs = {P.OWN_SESSION, P.REQUEST, P.RELEASE, P.CONFIRM_OFF, P.ANSWER_DRILL, P.USERS, P.TOKENS, P.AUDIT}
    assert not machine.may & theirs


# --- from our own page ---


async def test_a_request_of_our_own_page_is_let_in(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    answer = await browser.stops()
    assert (answer.status_code, answer.json()) == (202, {"issued_by": "anna"})
    assert (await browser.stops(**{"sec-fetch-site": "same-origin"})).status_code == 202


@pytest.mark.parametrize("token", ["", "0" * 64, "undefined"])
async def test_without_the_pages_token_nothing_is_changed(front: Front, token: str) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    browser.csrf = token
    answer = await browser.stops()
    assert (answer.status_code, answer.json()["error"]) == (403, "csrf")


async def test_the_token_of_another_session_does_not_do(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    front.user("bert", Role.VIEWER)
    anna, bert = front.browser(), front.browser()
    await anna.signs_in("anna")
    await bert.signs_in("bert")
    anna.csrf = bert.csrf
    assert (await anna.stops()).json()["error"] == "csrf"


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "http://evil.example"},
        {"origin": f"http://{HOST}.evil.example"},
        {"origin": f"http://{HOST}:8081"},
        {"origin": f"http://{HOST}:port"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_another_page_changes_nothing_even_with_cookie_and_token(front: Front, said: dict[str, str]) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    answer = await browser.stops(**said)
    assert (answer.status_code, answer.json()["error"]) == (403, "foreign_page")


async def test_a_browser_that_does_not_say_where_from_changes_nothing(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    headers = {"x-csrf-token": browser.csrf or ""}
    answer = await browser.client.post("/api/v1/stops", json={"scope": "room", "name": "room-4"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "foreign_page")
    login = await browser.client.post("/api/v1/login", json={"user": "anna", "password": "?"})
    assert (login.status_code, login.json()["error"]) == (403, "foreign_page"), "nobody is signed in by another page"


async def test_another_page_reads_nothing_where_the_browser_says_so(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    answer = await browser.client.get("/api/v1/me", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_foreign_form_can_send_is_no_order(front: Front, kind: str) -> None:
    """A form of another page sends no JSON; only what is said to be JSON is read as JSON."""
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    answer = await browser.client.post(
        "/api/v1/stops",
        content=b'{"scope": "room", "name": "room-4"}',
        headers={"content-type": kind, "origin": browser.origin, "x-csrf-token": browser.csrf or ""},
    )
    assert answer.status_code == 422


# --- machines ---


async def test_a_token_needs_neither_origin_nor_csrf_and_is_named_in_what_it_orders(front: Front) -> None:
    front.user("anna", Role.ADMIN)
    token = front.token(Role.VIEWER)
    async with front.machine(token) as machine:
        answer = await machine.post("/api/v1/stops", json={"scope": "room", "name": "room-4"})
    assert answer.status_code == 202
    [kept] = front.reception.tokens()
    assert answer.json() == {"issued_by": f"token:{kept.id}"}
    assert token.startswith("sf_")


async def test_a_token_ends_on_its_day(front: Front) -> None:
    token = front.token(Role.VIEWER, ends_wall_s=NOON_WALL_S + 86_400.0)
    async with front.machine(token) as machine:
        front.wall.after(86_399.0)
        assert (await machine.get("/api/v1/me")).status_code == 200
        front.wall.after(1.0)
        assert (await machine.get("/api/v1/me")).status_code == 401


async def test_a_token_that_is_not_good_is_not_made_up_for_by_a_cookie(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    for wrong in ("Bearer sf_nothing", "Basic YW5uYTpzZWNyZXQ=", "Bearer", "", f"Bearer {browser.cookie}"):
        answer = await browser.client.get("/api/v1/me", headers={"authorization": wrong})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_is_no_cookie(front: Front) -> None:
    token = front.token(Role.VIEWER)
    browser = front.browser()
    browser.client.cookies.set("stimfleet", token, domain=HOST)
    assert (await browser.get("/me")).status_code == 401


# --- a password that somebody else set ---


async def test_whoever_has_to_choose_a_password_may_do_that_and_stop(front: Front) -> None:
    front.user("anna", Role.MANAGER, must_change=True)
    browser = front.browser()
    assert (await browser.signs_in("anna")).json()["must_change"] is True
    assert (await browser.get("/me")).json()["may"] == ["own_account", "own_session", "stop"]
    assert (await browser.stops()).status_code == 202
    front.user("root", Role.ADMIN, must_change=True)
    admin = front.browser()
    await admin.signs_in("root")
    answer = await admin.get("/users")
    assert (answer.status_code, answer.json()["error"]) == (403, "password_must_change")
