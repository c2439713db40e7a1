"""Signing in as people do: what a browser gets, keeps and loses."""

import json
import sqlite3
import stat
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from fleet.api.access import Role
from fleet.api.people import fingerprint
from fleet.api.reception import COOKIE_FOLLOWS_S
from fleet.api.store import SESSIONS_MAX
from tests.api.desk import HOST, PASSWORD, Front, running, until

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


async def test_signing_in_again_ends_the_session_that_the_browser_had_as_the_new_one_is_used(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    front.user("vera", Role.THERAPIST)
    browser, another_tab = front.browser(), front.browser()
    await browser.signs_in("anna")
    another_tab.has_the_cookie_of(browser)
    await browser.signs_in("vera")
    assert (await another_tab.get("/me")).json()["user"] == "anna", "it has no other cookie yet"
    assert (await browser.get("/me")).json()["user"] == "vera"
    assert (await another_tab.get("/me")).status_code == 401
    async with running(front.reception):
        await until(lambda: [row.user for row in front.store.kept().sessions.values()] == ["vera"])


async def test_where_the_answer_with_the_new_cookie_is_lost_the_session_before_ends_a_minute_later(
    front: Front,
) -> None:
    front.user("anna", Role.VIEWER)
    browser, lost = front.browser(), front.browser()
    await browser.signs_in("anna")
    lost.has_the_cookie_of(browser)
    await lost.signs_in("anna")
    front.wall.after(COOKIE_FOLLOWS_S)
    assert (await browser.get("/me")).status_code == 200
    front.wall.after(1)
    restarted = front.opened()
    for reception in (front.reception, restarted):
        assert reception.by_cookie(browser.cookie or "") is None
        assert reception.by_cookie(lost.cookie or "") is not None


async def test_the_session_before_takes_nobodys_place_among_those_of_a_user(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browsers = [front.browser() for _ in range(SESSIONS_MAX)]
    for browser in browsers:
        front.wall.after(1)
        await browser.signs_in("anna")
    front.wall.after(1)
    await browsers[-1].signs_in("anna")
    assert [(await browser.get("/me")).status_code for browser in browsers] == [200] * SESSIONS_MAX


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
