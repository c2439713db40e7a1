"""Signing in as people do: what a browser gets, keeps and loses."""

import json
import sqlite3
import stat
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Never

import pytest

from fleet.api.access import Role
from fleet.api.people import Unusable, fingerprint
from fleet.api.reception import COOKIE_FOLLOWS_S
from tests.api.desk import HOST, PASSWORD, Browser, Front, running, until

HOUR_S = 3_600.0


async def test_somebody_signs_in_and_the_page_knows_what_they_may(front: Front) -> None:
    front.user("anna", Role.THERAPIST, operator="anna.k")
    browser = front.browser()
    assert (await browser.get("/me")).status_code == 401
    answer = await browser.signs_in("anna")
    assert answer.status_code == 200
    assert {**answer.json(), "csrf": ""} == {
        "user": "anna",
        "name": "Anna",
        "role": "therapist",
        "csrf": "",
        "must_change": False,
    }
    me = (await browser.get("/me")).json()
    assert me["may"] == [
        "cancel", "confirm_off", "explain", "own_account", "own_session", "release", "request", "see", "see_clients",
        "see_records", "see_usage", "stop",
    ]  # fmt: skip
    assert (me["operator"], me["site"], me["time_zone"], me["simulated"]) == ("anna.k", "clinic", "Europe/Berlin", True)
    assert me["csrf"] == answer.json()["csrf"]


async def test_the_cookie_is_for_our_page_alone_and_goes_with_the_browser(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    cookie = (await front.browser().signs_in("anna")).headers["set-cookie"]
    name, *attributes = cookie.split("; ")
    assert name.startswith("stimfleet=")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=strict"], "no Domain, no Max-Age, no Expires"


async def test_over_tls_the_cookie_is_of_this_host_only(tmp_path: Path) -> None:
    front = Front(tmp_path, over_tls=True)
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    answer = await browser.signs_in("anna")
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-stimfleet=")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=strict", "Secure"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert (await browser.get("/me")).status_code == 200
    plain = {"cookie": f"stimfleet={browser.cookie}"}
    browser.client.cookies.clear()
    assert (await browser.client.get("/api/v1/me", headers=plain)).status_code == 401, "not under the plain name"
    front.store.close()


async def test_whoever_has_the_store_has_no_cookie_no_token_and_no_password(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    token = front.token(Role.VIEWER)
    assert browser.cookie is not None
    folder = [path for path in front.folder.iterdir() if path.name.startswith("users.db")]
    written = b"".join(path.read_bytes() for path in folder)
    assert fingerprint(browser.cookie) in written, "its fingerprint is looked for where it is"
    assert fingerprint(token) in written
    assert b"$argon2id$v=19$" in written
    for secret in (browser.cookie, token, PASSWORD, browser.csrf or "?"):
        assert secret.encode() not in written
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder} == {0o600}


async def test_a_cookie_that_was_there_before_is_not_taken_over(front: Front) -> None:
    """Session fixation: what somebody else put into the browser must not become a session."""
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    browser.client.cookies.set("stimfleet", "chosen-by-somebody-else", domain=HOST)
    answer = await browser.signs_in("anna")
    assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
    planted = front.browser()
    planted.client.cookies.set("stimfleet", "chosen-by-somebody-else", domain=HOST)
    assert (await planted.get("/me")).status_code == 401


async def test_signing_in_again_ends_the_session_that_the_browser_had(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser, other = front.browser(), front.browser()
    await browser.signs_in("anna")
    first = browser.cookie
    await browser.signs_in("anna")
    other.client.cookies.set("stimfleet", first or "", domain=HOST)
    assert first != browser.cookie
    assert (await other.get("/me")).status_code == 401


async def test_whose_browser_signs_in_anew_is_told_so_for_a_while_and_nobody_else(front: Front) -> None:
    """Its other tabs have the cookie before until the answer with the new one is here."""
    front.user("anna", Role.VIEWER)
    browser, another_tab, stranger = front.browser(), front.browser(), front.browser()
    await browser.signs_in("anna")
    another_tab.has_the_cookie_of(browser)
    assert (await browser.signs_in("anna", "not hers at all")).status_code == 401
    assert (await another_tab.get("/me")).status_code == 200, "nobody has signed in"
    await browser.signs_in("anna")
    stranger.client.cookies.set("stimfleet", "never-a-session", domain=HOST)
    async with running(front.reception):
        front.wall.after(COOKIE_FOLLOWS_S)
        assert await refused(another_tab) == (401, "signing_in")
        assert await refused(stranger) == (401, "not_signed_in")
        front.wall.after(1)
        assert await refused(another_tab) == (401, "not_signed_in")
        await until(lambda: not front.reception._followed)
    assert (await browser.get("/me")).status_code == 200


async def test_a_browser_that_changes_its_password_is_about_to_get_another_cookie(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser, another_tab, elsewhere = front.browser(), front.browser(), front.browser()
    await browser.signs_in("anna")
    await elsewhere.signs_in("anna")
    another_tab.has_the_cookie_of(browser)
    changed = {"password": PASSWORD, "new": "eight green hens in a yard"}
    assert (await browser.sends("POST", "/me/password", changed)).status_code == 200
    assert await refused(another_tab) == (401, "signing_in")
    assert await refused(elsewhere) == (401, "not_signed_in")


async def test_whoever_signs_in_again_because_no_answer_came_is_about_to_get_that_one(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser, another_tab = front.browser(), front.browser()
    await browser.signs_in("anna")
    another_tab.has_the_cookie_of(browser)
    await browser.signs_in("anna")
    front.wall.after(COOKIE_FOLLOWS_S)
    again = front.browser()
    again.has_the_cookie_of(another_tab)
    await again.signs_in("anna")
    front.wall.after(COOKIE_FOLLOWS_S)
    assert await refused(another_tab) == (401, "signing_in")


@pytest.mark.parametrize("fails", ["change_user", "begin_session"])
async def test_where_the_disk_refuses_no_other_cookie_is_about_to_come(
    front: Front, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Of a changed password the first half may be written: all sessions are over, and none has begun."""
    front.user("anna", Role.VIEWER)
    browser, another_tab = front.browser(), front.browser()
    await browser.signs_in("anna")
    another_tab.has_the_cookie_of(browser)

    def refuse(*_: Any, **__: Any) -> Never:
        raise Unusable("the disk is full")

    monkeypatch.setattr(front.store, fails, refuse)
    changed = {"password": PASSWORD, "new": "eight green hens in a yard"}
    assert (await browser.sends("POST", "/me/password", changed)).status_code == 503
    if fails == "begin_session":
        assert await refused(another_tab) == (401, "not_signed_in")
        return
    assert (await browser.sends("POST", "/logout")).status_code == 204
    assert await refused(another_tab) == (401, "not_signed_in")


async def refused(browser: Browser) -> tuple[int, str]:
    answer = await browser.get("/me")
    return answer.status_code, answer.json()["error"]


async def test_signing_out_ends_the_session_also_for_who_kept_the_cookie(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser, thief = front.browser(), front.browser()
    await browser.signs_in("anna")
    thief.has_the_cookie_of(browser)
    assert (await thief.get("/me")).status_code == 200
    answer = await browser.sends("POST", "/logout")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await thief.get("/me")).status_code == 401


async def test_a_session_ends_after_an_hour_unused_and_after_a_working_day(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    front.wall.after(HOUR_S)
    assert (await browser.get("/me")).status_code == 200
    front.wall.after(HOUR_S + 1)
    assert (await browser.get("/me")).status_code == 401
    began_s = front.wall()
    await browser.signs_in("anna")
    for _ in range(12):
        front.wall.after(HOUR_S)
        told = await browser.get("/me")
        assert told.status_code == 200
        assert datetime.fromisoformat(told.json()["ends_at"]).timestamp() == pytest.approx(began_s + 12 * HOUR_S)
    front.wall.after(1)
    assert (await browser.get("/me")).status_code == 401, "used all day, and over all the same"


async def test_a_session_that_is_over_is_not_kept(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    await front.browser().signs_in("anna")
    front.wall.after(HOUR_S + 1)
    async with running(front.reception):
        await until(lambda: not front.store.kept().sessions)


async def test_a_stream_that_is_open_keeps_the_session_and_hears_of_its_end(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    who = front.reception.by_cookie(browser.cookie or "")
    assert who is not None
    for _ in range(3):
        front.wall.after(0.9 * HOUR_S)
        assert front.reception.still(who)
    await browser.sends("POST", "/logout")
    assert not front.reception.still(who)


async def test_a_restart_signs_nobody_out(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    await browser.signs_in("anna")
    front.wall.after(0.9 * HOUR_S)
    await browser.get("/me")
    async with running(front.reception):
        await until(lambda: [one.used_wall_s for one in front.store.kept().sessions.values()] == [front.wall()])
    again = front.opened()
    front.wall.after(0.9 * HOUR_S)
    assert again.by_cookie(browser.cookie or "") is not None


@pytest.mark.parametrize(
    "body",
    [
        {"user": "anna"},
        {"user": "anna", "password": 7},
        {"user": "anna", "password": PASSWORD, "role": "admin"},
        {"user": "a" * 65, "password": PASSWORD},
        {"user": "anna", "password": "x" * 1_025},
        {"user": "anna", "password": "\ud800"},
        [],
        "anna",
    ],
)
async def test_what_is_no_sign_in_is_told_so_and_not_repeated(front: Front, body: object) -> None:
    answer = await front.browser().client.post(
        "/api/v1/login",
        content=json.dumps(body),
        headers={"content-type": "application/json", "origin": f"http://{HOST}"},
    )
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "text"}
    assert PASSWORD not in answer.text


async def test_a_session_that_is_not_on_the_disk_is_none(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    with closing(sqlite3.connect(front.folder / "users.db")) as other, other:
        other.execute("DROP TABLE session")
    answer = await front.browser().signs_in("anna")
    assert (answer.status_code, answer.json()["error"]) == (503, "store_unusable")
    assert "set-cookie" not in answer.headers
