"""A stop says no more than is known: other tabs, sessions that end, answers that do not come, stops upon stops."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch

import httpx
import pytest
from playwright.sync_api import Browser, Response, Route, expect

from demo.processes import await_that
from tests.browser.house import DEVICES, PASSWORD, House
from tests.browser.test_truth import AT_THE_WALL, held_up
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

ZERO = re.compile(r"zero current measured [\d.,]+\s?m?s")
HEALED_WITHIN_MS = 15_000  # an idle device is told again every 5 s
STOPS = "**/api/v1/stops"
STOP = "**/api/v1/stops/*"
DEVICE = "**/api/v1/devices/*"
ME = "**/api/v1/me"
LOOKS_AT_A_TIME = 13  # every 0.25 s, for 3 s, and one more
NOT_RECORDED = "The stop went to the broker; whether it arrived is not known: use the button on the stimulator."


def sign_in_in_another_tab(visitor: Visitor, user: str) -> None:
    other = visitor.page.context.new_page()
    signed_in = other.request.post(
        f"{visitor.url}api/v1/login", data={"user": user, "password": PASSWORD}, headers={"Origin": visitor.url}
    )
    assert signed_in.ok, signed_in.text()
    other.close()


def hears_who_it_is_once_refused(visitor: Visitor, asked: str) -> list[int]:
    """Its stream would tell the page at once: here the answer waits until what is `asked` was refused. The statuses."""
    refused: list[int] = []
    waiting: list[Route] = []

    def look(route: Route) -> None:
        if refused:
            route.fallback()
        else:
            waiting.append(route)

    def heard(response: Response) -> None:
        if response.status in {401, 403} and fnmatch(response.url, asked):
            refused.append(response.status)
            while waiting:
                waiting.pop().fallback()

    visitor.page.route(ME, look)
    visitor.page.on("response", heard)
    return refused


def looked_on(visitor: Visitor, looks: list[int]) -> int:
    """How many looks there were, after some more time of the page."""
    visitor.goes_on_for(100)
    return len(looks)


@pytest.fixture
def second(house: House, browser: Browser) -> Iterator[Visitor]:
    """Somebody else, at a browser of their own."""
    with Visitor(browser, house, (1440, 900)) as visitor:
        yield visitor


def test_a_stop_goes_out_after_somebody_else_has_signed_in_in_another_tab(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    account = visitor.page.locator(".account")
    expect(account).to_have_text("Vera")
    refused = hears_who_it_is_once_refused(visitor, STOPS)
    sign_in_in_another_tab(visitor, "anna.k")

    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    assert refused == [403]
    assert house.clinic.device("stim-04")["holds"]
    expect(account).to_have_text("Anna")  # and the page says whose it is now
    visitor.picture("another-signed-in")
    (newest, *_) = visitor.ask("stops")["stops"]
    assert (newest["device"], newest["issued_by"]) == ("stim-04", "anna.k")


@pytest.mark.parametrize(
    "on_its_way",
    [
        "a stop",
        "a stop, and nobody says at first who it is now",
        "a stop, and their cookie follows a moment later",
        "a look",
        "a look, and their cookie follows a moment later",
    ],
)
def test_what_was_on_its_way_while_somebody_else_signed_in_puts_nobody_out(
    house: House, visitor: Visitor, on_its_way: str
) -> None:
    """The server has ended the session that it was asked with, but somebody is signed in in this browser."""
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    (before,) = visitor.page.context.cookies()
    answered = []

    def as_the_one_before(route: Route) -> None:
        cookie = {"cookie": f"{before['name']}={before['value']}"}
        answer = route.fetch(headers=route.request.headers | cookie)
        answered.append(answer.status)
        route.fulfill(response=answer)

    what, _, moreover = on_its_way.partition(", and ")
    unheard = "nobody says" in moreover
    cookie_follows = "cookie follows" in moreover
    if unheard:
        visitor.page.route(ME, lambda route: route.abort(), times=1)
    if cookie_follows:
        visitor.page.route(ME, as_the_one_before, times=1)
    asked = DEVICE if what == "a look" else STOPS
    refused = hears_who_it_is_once_refused(visitor, asked)
    sign_in_in_another_tab(visitor, "anna.k")
    visitor.page.route(asked, as_the_one_before, times=1)
    if what == "a look":
        visitor.go("device", "stim-03")
        expect(visitor.title("stim-03")).to_be_visible()
    else:
        visitor.hold("device/stim-04")
        expect(visitor.truth()).to_contain_text(ZERO)
    expect(visitor.page.locator(".account")).to_have_text("Anna")
    assert answered == [401] * (1 + cookie_follows)
    assert refused[0] == 401
    if unheard:
        visitor.broken.remove("Failed to load resource: net::ERR_FAILED")


def test_whose_page_it_is_now_is_said_without_anything_being_pressed(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    expect(visitor.page.locator(".account")).to_have_text("Vera")
    sign_in_in_another_tab(visitor, "anna.k")
    expect(visitor.page.locator(".account")).to_have_text("Anna")  # its stream ends with the session of the one before


def test_while_the_answer_to_a_sign_in_in_another_tab_is_on_its_way_nobody_is_put_out(visitor: Visitor) -> None:
    """Longer than it is waited for at a time; a stop that is pushed meanwhile goes out when it is here."""
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    (cookie,) = visitor.page.context.cookies()
    answer = httpx.post(
        f"{visitor.url}api/v1/login",
        json={"user": "anna.k", "password": PASSWORD},
        headers={"origin": visitor.url.rstrip("/")},
        cookies={cookie["name"]: cookie["value"]},
    ).raise_for_status()
    looks: list[int] = []
    visitor.page.on("response", lambda response: looks.append(response.status) if fnmatch(response.url, ME) else None)
    visitor.hold("device/stim-04")
    await_that("it has begun to look anew", lambda: looked_on(visitor, looks) > LOOKS_AT_A_TIME, 30.0)
    expect(visitor.page.locator(".account")).to_have_text("Vera")
    assert set(looks) == {401}

    new = answer.cookies[cookie["name"]]
    visitor.page.context.add_cookies(
        [{"name": cookie["name"], "value": new, "domain": cookie["domain"], "path": cookie["path"]}]
    )
    expect(visitor.truth()).to_contain_text(ZERO)
    expect(visitor.page.locator(".account")).to_have_text("Anna")
    (newest, *_) = visitor.ask("stops")["stops"]
    assert (newest["device"], newest["issued_by"]) == ("stim-04", "anna.k")


def test_a_stop_that_is_not_confirmed_stays_however_many_follow(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")
    house.treat("stim-02")
    visitor.go("device", "stim-02")
    first = visitor.page.locator("[data-truth='1']")
    with held_up(house.clinic.simulate.pid):
        visitor.hold("device/stim-02")
        expect(first).to_contain_text(AT_THE_WALL)
        others = ["device/stim-01", "room/room-1", "device/stim-03", "room/room-2", "device/stim-04", "room/room-3"]
        for n, other in enumerate(others, start=2):
            where, name = other.split("/")
            visitor.go(where, name)
            visitor.hold(other)
            expect(visitor.page.locator(f"[data-truth='{n}']")).to_contain_text("received …")
        expect(first).to_contain_text(AT_THE_WALL)
        expect(first).to_be_in_viewport()  # before those that are not late
        visitor.picture("stops-upon-stops")
    expect(first).to_contain_text(ZERO)  # it was followed all the time


def test_what_the_server_says_of_a_stop_is_said_and_nothing_else(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    said = {"error": "not_recorded", "text": NOT_RECORDED}
    visitor.page.route(STOPS, lambda route: route.fulfill(status=503, json=said))
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(NOT_RECORDED)
    expect(visitor.page.locator("#assertive")).to_contain_text("Not known whether the stop of stim-04 has gone out.")
    visitor.picture("not-recorded")
    for text in (visitor.truth().inner_text(), visitor.page.locator("#assertive").inner_text()):
        assert not re.search(r"NOT sent|NOT gone out", text)
    visitor.page.unroute(STOPS)
    expect(visitor.truth()).to_contain_text(ZERO)


def test_a_stop_is_over_when_the_server_says_so_and_not_before(visitor: Visitor) -> None:
    """A second stop of the site may list fewer devices than it is for: the others are followed by the first."""
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")

    def unconfirmed(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | ({"confirmed": False} if answer.ok else {}))

    visitor.page.route(STOP, unconfirmed)
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    expect(visitor.truth()).to_contain_text("Zero current is NOT confirmed on every device that it is for.")
    assert visitor.truth().get_by_role("button", name="Close").count() == 0
    expect(visitor.page.locator("#assertive")).not_to_contain_text("zero current measured")
    visitor.page.unroute_all(behavior="wait")  # an answer that is being altered is altered to its end
    visitor.truth().get_by_role("button", name="Close").click()
    expect(visitor.page.locator(".truth")).to_have_count(0)


def test_what_was_measured_and_what_was_only_seen_are_both_said_each_by_name(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("room", "room-1")

    def one_seen(route: Route) -> None:
        """As if stim-02 had been silent, and somebody had stood at it."""
        answer = route.fetch()
        said = answer.json()
        for row in said.get("devices", []):
            if row["device"] == "stim-02" and row["standing"] == "zero":
                row |= {"standing": "off_by_person", "amplitude_ma": None, "sent_to_zero_s": None}
        route.fulfill(response=answer, json=said)

    visitor.page.route(STOP, one_seen)
    visitor.hold("room/room-1")
    loud = visitor.page.locator("#assertive")
    expect(loud).to_contain_text("stim-02: a person has seen that it is off; nothing was measured.")
    expect(loud).to_contain_text(re.compile(r"stim-01: zero current measured after [\d.,]+\s?m?s\."))
    expect(loud).not_to_contain_text("room-1: zero current measured")


def test_a_stop_of_a_session_that_has_ended_is_said_not_to_be_sent(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("account")
    stop = visitor.page.locator("#dock [data-stop='site/north']")
    expect(stop).to_be_visible()
    refused = hears_who_it_is_once_refused(visitor, STOPS)
    visitor.page.context.clear_cookies()
    stop.hover()
    visitor.page.mouse.down()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(visitor.page.get_by_text("You are not signed in any more.")).to_be_visible()
    expect(visitor.truth()).to_contain_text("NOT sent.")
    expect(visitor.truth()).to_contain_text("Use the button on the stimulator.")
    expect(visitor.truth()).to_be_in_viewport()
    visitor.page.mouse.up()
    assert refused == [401]
    visitor.picture("signed-out-at-a-stop")
    assert not any(house.clinic.device(device)["holds"] for device in DEVICES)


def test_the_end_of_a_session_is_announced(visitor: Visitor) -> None:
    left = timedelta(minutes=20, seconds=30)

    def me(route: Route) -> None:
        answer = route.fetch()
        ends = (datetime.now(UTC) + left).isoformat()
        route.fulfill(response=answer, json=answer.json() | ({"ends_at": ends} if answer.ok else {}))

    visitor.sign_in("vera")
    note = visitor.page.locator(".note", has_text="Your session ends at")
    assert visitor.ask("me")["ends_at"] is not None
    expect(note).to_have_count(0)  # hours are left
    visitor.page.route("**/api/v1/me", me)
    visitor.page.reload()
    expect(note).to_contain_text("in 20\u202fmin")
    visitor.picture("session-ends")


def test_no_alarm_sounds_once_nobody_is_signed_in(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    assert house.clinic.ask(op="stop", device="stim-04", issued_by="vera", reason="a test")["ok"]
    await_that("the alarm is heard", lambda: sounding(visitor), 10.0)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert not sounding(visitor)


def sounding(visitor: Visitor) -> bool:
    return bool(visitor.page.evaluate("import('/parts/sound.js').then(({ sound }) => sound.active())"))


def test_a_second_stop_of_the_site_waits_for_what_the_first_one_waits_for(
    house: House, visitor: Visitor, second: Visitor
) -> None:
    """Pushed by somebody else, at another browser, while one device shows no current at all: that is not zero."""
    for one, user in ((visitor, "vera"), (second, "anna.k")):
        one.sign_in(user)
    house.clinic.suffer("stim-02", kind="sensor_lost")
    all_but_one = f"Zero current measured on {len(DEVICES) - 1} of {len(DEVICES)} devices."
    for one in (visitor, second):
        one.hold("site/north")
        expect(one.truth()).to_contain_text(all_but_one)
        expect(one.truth()).not_to_contain_text("received")  # a stop of the site has no receipts to wait for
        assert one.truth().get_by_role("button", name="Close").count() == 0
    second.picture("site-stopped-twice")
    commands = {stop["command_id"] for stop in second.ask("stops")["stops"] if stop["scope"] == "site"}
    assert len(commands) >= 2  # the second is a stop of its own
    house.clinic.heal("stim-02", "sensor_lost")
    everywhere = f"Zero current measured on {len(DEVICES)} of {len(DEVICES)} devices."
    for one in (visitor, second):
        expect(one.truth()).to_contain_text(everywhere, timeout=HEALED_WITHIN_MS)
        expect(one.truth().get_by_role("button", name="Close")).to_be_visible()

    def released() -> bool:
        house.clinic.ask(op="release", device="all", issued_by="mira")
        return not any(house.clinic.device(device)["holds"] for device in DEVICES)

    await_that("the site is released", released, 10.0)
