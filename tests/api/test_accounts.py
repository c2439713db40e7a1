"""Users, tokens and the audit, as an admin looks after them; and as nobody else can."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from fleet.api.access import TOKEN_ROLES, Role
from fleet.api.passwords import Passwords
from fleet.api.people import NotKept, Told
from tests.api.desk import NOON_WALL_S, PASSWORD, Browser, Front, running, until

NEW = "eight green hens in a yard"


@pytest.fixture
async def admin(front: Front) -> Browser:
    front.user("root", Role.ADMIN)
    browser = front.browser("192.0.2.1")
    await browser.signs_in("root")
    return browser


async def test_an_admin_adds_somebody_who_chooses_their_own_password(front: Front, admin: Browser) -> None:
    body = {"user": "anna", "name": "Anna K.", "role": "therapist", "operator": "anna.k"}
    answer = await admin.sends("POST", "/users", body)
    assert answer.status_code == 201
    made = answer.json()["one_time_password"]
    as_set = {"disabled": False, "must_change": True, "password_at": "2026-11-25T12:00:00.000Z"}
    assert answer.json() == {**body, **as_set, "one_time_password": made}
    anna = front.browser()
    assert (await anna.signs_in("anna", made)).json()["must_change"] is True
    answer = await anna.sends("POST", "/me/password", {"password": made, "new": NEW})
    assert (answer.status_code, answer.json()["must_change"]) == (200, False)
    anna.csrf = answer.json()["csrf"]
    assert "explain" in (await anna.get("/me")).json()["may"]
    assert (await front.browser().signs_in("anna", made)).status_code == 401
    assert (await front.browser().signs_in("anna", NEW)).status_code == 200


async def test_no_answer_has_a_hash_or_a_fingerprint(front: Front, admin: Browser) -> None:
    front.token(Role.VIEWER)
    for path in ("/users", "/tokens", "/audit"):
        text = (await admin.get(path)).text
        assert "argon2" not in text
        assert '"key"' not in text
        assert '"hash"' not in text


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"user": "root", "name": "R", "role": "viewer"}, 409, "user_exists"),
        ({"user": "Anna K", "name": "A", "role": "viewer"}, 422, "invalid"),
        ({"user": "token:1", "name": "A", "role": "viewer"}, 422, "invalid"),
        ({"user": "anna", "name": "A", "role": "owner"}, 422, "invalid"),
        ({"user": "anna", "name": "", "role": "viewer"}, 422, "invalid"),
        ({"user": "anna", "name": "line\nline", "role": "viewer"}, 422, "invalid"),
        ({"user": "anna", "name": "A", "role": "viewer", "is_admin": True}, 422, "invalid"),
        ({"user": "anna", "name": "A", "role": "viewer", "operator": "nobody"}, 409, "unknown_operator"),
        ({"user": "anna", "name": "A", "role": "viewer", "password": "short"}, 409, "weak_password"),
    ],
)
async def test_what_cannot_be_added_is_told_why(admin: Browser, body: dict[str, Any], status: int, word: str) -> None:
    answer = await admin.sends("POST", "/users", body)
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    assert len((await admin.get("/users")).json()["users"]) == 1


@pytest.mark.parametrize(
    "change", [{"role": "viewer"}, {"disabled": True}, {"password": NEW}, {"generate": True}, {"operator": "anna.k"}]
)
async def test_sessions_end_where_rights_or_password_change(
    front: Front, admin: Browser, change: dict[str, Any]
) -> None:
    front.user("anna", Role.MANAGER)
    anna = front.browser()
    await anna.signs_in("anna")
    assert (await admin.sends("PATCH", "/users/anna", change)).status_code == 200
    assert (await anna.get("/me")).status_code == 401


async def test_a_new_name_ends_nothing(front: Front, admin: Browser) -> None:
    front.user("anna", Role.VIEWER)
    anna = front.browser()
    await anna.signs_in("anna")
    await admin.sends("PATCH", "/users/anna", {"name": "Anna Kern"})
    assert (await anna.get("/me")).json()["name"] == "Anna Kern"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"generate": True, "password": NEW}, 409),
        ({"password": "password1234"}, 409),
        ({"user": "bert"}, 422),
        ({"hash": "x"}, 422),
        ({"disabled": "yes"}, 422),
        ({"role": "owner"}, 422),
        ({}, 200),
        ({"role": None, "disabled": None, "password": None, "name": None}, 200),
    ],
)
async def test_a_change_that_is_none_changes_nothing(
    front: Front, admin: Browser, change: dict[str, Any], status: int
) -> None:
    anna = front.user("anna", Role.VIEWER)
    assert (await admin.sends("PATCH", "/users/anna", change)).status_code == status
    assert front.store.kept().users["anna"] == anna


async def test_an_operator_is_given_and_taken_away(front: Front, admin: Browser) -> None:
    front.user("anna", Role.THERAPIST)
    for operator in ("anna.k", None):
        answer = await admin.sends("PATCH", "/users/anna", {"operator": operator})
        assert answer.json()["operator"] == operator
        assert front.store.kept().users["anna"].operator == operator
    answer = await admin.sends("PATCH", "/users/anna", {"operator": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (409, "unknown_operator")


async def test_the_last_admin_stays_one(front: Front, admin: Browser) -> None:
    for change in ({"role": "viewer"}, {"disabled": True}):
        answer = await admin.sends("PATCH", "/users/root", change)
        assert (answer.status_code, answer.json()["error"]) == (409, "last_admin")
    front.user("second", Role.ADMIN, disabled=True)
    assert (await admin.sends("PATCH", "/users/root", {"role": "viewer"})).status_code == 409, "that one is disabled"
    await admin.sends("PATCH", "/users/second", {"disabled": False})
    assert (await admin.sends("PATCH", "/users/root", {"role": "viewer"})).status_code == 200


async def test_ones_own_password_is_changed_with_the_present_one_only(front: Front, admin: Browser) -> None:
    answer = await admin.sends("PATCH", "/users/root", {"password": NEW})
    assert (answer.status_code, answer.json()["error"]) == (409, "own_password")
    for body, status, word in (
        ({"password": "not the present one", "new": NEW}, 401, "wrong"),
        ({"password": PASSWORD, "new": PASSWORD}, 409, "same_password"),
        ({"password": PASSWORD, "new": "short"}, 409, "weak_password"),
    ):
        answer = await admin.sends("POST", "/me/password", body)
        assert (answer.status_code, answer.json()["error"]) == (status, word)
    assert (await admin.get("/me")).status_code == 200, "still signed in"


async def test_changing_ones_password_ends_every_other_session_and_renews_this_one(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    here, there = front.browser(), front.browser()
    await here.signs_in("anna")
    await there.signs_in("anna")
    before = here.cookie
    assert (await here.sends("POST", "/me/password", {"password": PASSWORD, "new": NEW})).status_code == 200
    assert here.cookie != before
    assert (await here.get("/me")).status_code == 200
    assert (await there.get("/me")).status_code == 401


async def test_a_thief_of_a_session_guesses_the_password_as_slowly_as_anybody(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    thief = front.browser()
    await thief.signs_in("anna")
    guesses = [
        await thief.sends("POST", "/me/password", {"password": f"guess number {n}", "new": NEW}) for n in range(6)
    ]
    assert [guess.status_code for guess in guesses] == [401] * 5 + [429]
    assert (await thief.get("/me")).status_code == 200


# --- IDOR: whose is it ---


async def test_nobody_but_an_admin_reaches_other_peoples_accounts(front: Front) -> None:
    front.user("root", Role.ADMIN)
    front.user("victim", Role.THERAPIST)
    token = front.reception.tokens()
    for role in set(Role) - {Role.ADMIN}:
        front.user(f"u-{role}", role)
        browser = front.browser(f"192.0.2.{len(role)}")
        await browser.signs_in(f"u-{role}")
        for method, path, body in (
            ("GET", "/users", None),
            ("POST", "/users", {"user": "mine", "name": "M", "role": "admin"}),
            ("PATCH", "/users/victim", {"password": NEW}),
            ("PATCH", f"/users/u-{role}", {"role": "admin"}),  # not even one's own role
            ("PATCH", "/users/nobody", {"role": "admin"}),  # nor whether there is one
            ("GET", "/tokens", None),
            ("POST", "/tokens", {"name": "mine", "role": "manager"}),
            ("DELETE", "/tokens/00000000", None),
            ("GET", "/audit", None),
        ):
            answer = await browser.sends(method, path, body)
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), (role, method, path)
    users = front.store.kept().users
    assert users["victim"].hash == front.reception._kept.users["victim"].hash
    assert {user.role for user in users.values() if user.id.startswith("u-")} == set(Role) - {Role.ADMIN}
    assert front.reception.tokens() == token


async def test_a_session_is_that_of_its_user_whatever_else_is_said(front: Front) -> None:
    front.user("root", Role.ADMIN)
    front.user("anna", Role.VIEWER)
    anna = front.browser()
    await anna.signs_in("anna")
    for headers in (
        {"x-user": "root"},
        {"x-forwarded-user": "root"},
        {"cookie": f"stimfleet={anna.cookie}; user=root"},
    ):
        assert (await anna.client.get("/api/v1/me", headers=headers)).json()["user"] == "anna"
    assert (await anna.client.get("/api/v1/me?user=root")).json()["user"] == "anna"
    refused = await anna.sends("POST", "/me/password", {"password": PASSWORD, "new": NEW, "user": "root"})
    assert refused.status_code == 422


# --- tokens ---


async def test_a_token_is_shown_once_used_and_revoked(front: Front, admin: Browser) -> None:
    answer = await admin.sends("POST", "/tokens", {"name": "wall display", "role": "viewer", "days": 30})
    assert answer.status_code == 201
    value, token = answer.json()["value"], answer.json()["token"]
    assert answer.json()["ends_at"] == "2026-12-25T12:00:00.000Z"
    assert value not in (await admin.get("/tokens")).text
    async with front.machine(value) as machine:
        me = (await machine.get("/api/v1/me")).json()
        assert (me["user"], me["name"], me["role"], me["csrf"]) == (f"token:{token}", "wall display", "viewer", None)
        assert (await machine.post("/api/v1/logout")).status_code == 403, "there is no session to end"
        body = {"password": "x", "new": NEW}
        assert (await machine.post("/api/v1/me/password", json=body)).status_code == 403
        assert (await admin.sends("DELETE", f"/tokens/{token}")).status_code == 204
        assert (await machine.get("/api/v1/me")).status_code == 401
    assert (await admin.sends("DELETE", f"/tokens/{token}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "m", "role": "admin"}, 422),
        ({"name": "m", "role": "viewer", "days": 0}, 422),
        ({"name": "m", "role": "viewer", "days": 3_661}, 422),
        ({"name": "m", "role": "viewer", "days": 1.5}, 422),
        ({"name": "taken", "role": "viewer"}, 409),
        ({"name": "m", "role": "viewer", "days": None}, 201),
    ],
)
async def test_tokens_that_can_be_and_that_cannot(admin: Browser, body: dict[str, Any], status: int) -> None:
    await admin.sends("POST", "/tokens", {"name": "taken", "role": "viewer"})
    assert (await admin.sends("POST", "/tokens", body)).status_code == status


async def test_a_token_may_be_everything_but_admin(admin: Browser) -> None:
    answers = {role: (await admin.sends("POST", "/tokens", {"name": role, "role": role})).status_code for role in Role}
    assert answers == {role: 201 if role in TOKEN_ROLES else 422 for role in Role}
    assert set(Role) - set(TOKEN_ROLES) == {Role.ADMIN}


async def test_an_admins_token_that_somebody_put_into_the_store_is_still_no_admin(front: Front) -> None:
    async with front.machine(front.token(Role.ADMIN)) as machine:
        assert (await machine.get("/api/v1/users")).status_code == 403


# --- the audit ---


async def test_the_audit_says_who_did_what_from_where(front: Front, admin: Browser) -> None:
    async with running(front.reception):
        front.user("anna", Role.VIEWER)
        anna = front.browser("192.0.2.44")
        await anna.signs_in("anna", "a wrong one, surely")
        await anna.signs_in("anna")
        await anna.stops()
        await anna.sends("POST", "/stops", {"scope": 7, "client": "c-1", "device": "stim-12"})  # no order
        await admin.sends("PATCH", "/users/anna", {"role": "manager", "password": NEW})
        await admin.sends("PATCH", "/users/root", {"disabled": True})
        await until(lambda: len(front.audit()) == 9)
        rows = (await admin.get("/audit?limit=100")).json()["rows"]
        older = (await admin.get("/audit?limit=2&before=5")).json()["rows"]
        assert [row["position"] for row in rows] == list(range(9, 0, -1))
    assert {row["at"] for row in rows} == {"2026-11-25T12:00:00.000Z"}
    told = {(row["who"], row["address"], row["what"], row["subject"], row["outcome"]) for row in rows}
    assert told >= {
        ("root", "192.0.2.1", "sign in", "", "done"),
        ("anna", "192.0.2.44", "sign in", "", "refused"),
        ("anna", "192.0.2.44", "sign in", "", "done"),
        ("anna", "192.0.2.44", "POST /api/v1/stops", "room room-4", "done"),
        ("anna", "192.0.2.44", "POST /api/v1/stops", "stim-12", "422"),
        ("root", "192.0.2.1", "change user", "anna: password, role", "done"),
        ("root", "192.0.2.1", "PATCH /api/v1/users/root", "", "409"),
    }
    assert [row["position"] for row in older] == [4, 3]


async def test_who_only_looks_and_who_is_nobody_leave_no_row(front: Front, admin: Browser) -> None:
    before = len(front.audit())
    async with running(front.reception):
        await admin.get("/users")
        await front.browser().stops()
        front.reception.tell(Told(NOON_WALL_S, "test", "", "last"))
        await until(lambda: front.audit()[-1].what == "last")
    assert len(front.audit()) == before + 1


# --- in the store ---


async def test_a_password_that_changed_while_it_was_verified_signs_nobody_in(front: Front) -> None:
    anna = front.user("anna", Role.VIEWER)
    front.store.change_user("anna", Told(NOON_WALL_S, "x", "", "change"), hash=front.passwords.hash(NEW))
    assert front.reception._kept.users["anna"] == anna, "the copy in memory is the one before"
    assert (await front.browser().signs_in("anna")).status_code == 401


async def test_a_hash_of_older_costs_is_renewed_when_its_user_comes(front: Front) -> None:
    anna = front.user("anna", Role.VIEWER)
    front.reception.passwords = Passwords(passes=2, memory_kib=16)
    browser = front.browser()
    await browser.signs_in("anna")
    renewed = front.store.kept().users["anna"].hash
    assert "m=16,t=2,p=1" in renewed
    assert anna.hash != renewed
    assert (await browser.get("/me")).status_code == 200, "it is the same password: no session ends"
    assert (await front.browser().signs_in("anna")).status_code == 200


async def test_one_user_has_twenty_sessions_and_the_oldest_goes(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browsers = [front.browser() for _ in range(21)]
    for browser in browsers:
        await browser.signs_in("anna")
        front.wall.after(1.0)
    assert [(await browser.get("/me")).status_code for browser in browsers] == [401] + [200] * 20


def test_an_audit_that_is_written_stays(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    for statement in ("DELETE FROM audit", "UPDATE audit SET who = 'somebody else'"):
        users = sqlite3.connect(front.folder / "users.db")
        with closing(users) as other, pytest.raises(sqlite3.IntegrityError, match="append"):
            other.execute(statement)
    assert len(front.audit()) == 1


def test_a_change_that_is_refused_leaves_no_row(front: Front) -> None:
    front.user("root", Role.ADMIN)
    rows = len(front.audit())
    with pytest.raises(NotKept, match="last admin"):
        front.store.change_user("root", Told(NOON_WALL_S, "root", "", "change user"), disabled=True)
    assert len(front.audit()) == rows


async def test_a_cookie_from_another_fleet_is_nobodys(front: Front, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Front(tmp_path_factory.mktemp("other"))
    for place in (front, other):
        place.user("anna", Role.ADMIN)
    there, here = other.browser(), front.browser()
    await there.signs_in("anna")
    here.has_the_cookie_of(there)
    assert (await here.get("/me")).status_code == 401
    other.store.close()
