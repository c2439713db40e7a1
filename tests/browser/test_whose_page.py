"""Whose page it is: signing in in another tab, or again; signing out; what is pushed and asked for meanwhile."""

from collections.abc import Callable, Sized
from fnmatch import fnmatch

import httpx
import pytest
from playwright.sync_api import Locator, Response, Route, expect

from demo.processes import await_that
from tests.browser.house import DEVICES, PASSWORD, House
from tests.browser.test_stops import STOPS, ZERO
from tests.browser.test_truth import held_up
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

DEVICE = "**/api/v1/devices/*"
ME = "**/api/v1/me"
LOGOUT = "**/api/v1/logout"
STREAM = "**/api/v1/stream*"
LOOKS_AT_A_TIME = 13  # every 0.25 s, for 3 s, and one more


def account(visitor: Visitor) -> Locator:
    """Who the page says is signed in."""
    return visitor.page.locator(".account")


def signs_in(visitor: Visitor, user: str) -> Callable[[], None]:
    """Somebody signs in in another tab. What comes back is to be called when the new cookie arrives in this browser."""
    (cookie,) = visitor.page.context.cookies()
    answer = httpx.post(
        f"{visitor.url}api/v1/login",
        json={"user": user, "password": PASSWORD},
        headers={"origin": visitor.url.rstrip("/")},
        cookies={cookie["name"]: cookie["value"]},
    ).raise_for_status()
    name, value = cookie["name"], answer.cookies[cookie["name"]]
    domain, path = cookie["domain"], cookie["path"]
    return lambda: visitor.page.context.add_cookies([{"name": name, "value": value, "domain": domain, "path": path}])


def sign_in_in_another_tab(visitor: Visitor, user: str) -> None:
    signs_in(visitor, user)()


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


def answered(visitor: Visitor, asked: str) -> list[int]:
    """The statuses with which the page is answered from now on what is `asked`."""
    statuses: list[int] = []
    visitor.page.on("response", lambda got: statuses.append(got.status) if fnmatch(got.url, asked) else None)
    return statuses


def looked_on(visitor: Visitor, looks: Sized) -> int:
    """How many looks there were, after some more time of the page."""
    visitor.goes_on_for(100)
    return len(looks)


def test_a_stop_goes_out_after_somebody_else_has_signed_in_in_another_tab(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    expect(account(visitor)).to_have_text("Vera")
    refused = hears_who_it_is_once_refused(visitor, STOPS)
    sign_in_in_another_tab(visitor, "anna.k")

    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    assert refused == [403]
    assert house.clinic.device("stim-04")["holds"]
    expect(account(visitor)).to_have_text("Anna")  # and the page says whose it is now
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
    expect(account(visitor)).to_have_text("Anna")
    assert answered == [401] * (1 + cookie_follows)
    assert refused[0] == 401
    if unheard:
        visitor.broken.remove("Failed to load resource: net::ERR_FAILED")


@pytest.mark.parametrize("goes_on", [False, True])
def test_whose_page_it_is_now_is_said_without_anything_being_pressed(visitor: Visitor, goes_on: bool) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    expect(account(visitor)).to_have_text("Vera")
    sign_in_in_another_tab(visitor, "anna.k")
    if goes_on:
        visitor.go("device", "stim-03")  # with another stream, before the one of the one before is ended
    expect(account(visitor)).to_have_text("Anna")  # its stream ends with the session of the one before


def test_while_the_answer_to_a_sign_in_in_another_tab_is_on_its_way_nobody_is_put_out(visitor: Visitor) -> None:
    """Longer than it is waited for at a time; a stop that is pushed meanwhile goes out when it is here."""
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    its_here = signs_in(visitor, "anna.k")
    looks = answered(visitor, ME)
    visitor.hold("device/stim-04")
    expect(visitor.page.locator("#assertive")).to_contain_text("Not known whether the stop of stim-04 has gone out.")
    assert len(looks) < LOOKS_AT_A_TIME, "it is said before it is known who it is"
    expect(visitor.page.locator(".note", has_text="It is not known who is signed in here now.")).to_be_visible()
    await_that("it has begun to look anew", lambda: looked_on(visitor, looks) > LOOKS_AT_A_TIME, 30.0)
    expect(account(visitor)).to_have_text("Vera")
    visitor.picture("who-is-not-known")
    assert set(looks[-LOOKS_AT_A_TIME:]) == {401}  # before that its stream may have asked

    its_here()
    expect(visitor.truth()).to_contain_text(ZERO)
    expect(account(visitor)).to_have_text("Anna")
    expect(visitor.page.locator(".note", has_text="It is not known")).to_have_count(0)
    (newest, *_) = visitor.ask("stops")["stops"]
    assert (newest["device"], newest["issued_by"]) == ("stim-04", "anna.k")


def test_a_stop_on_its_way_is_soon_said_not_to_be_read_while_nobody_knows_who_it_is(
    house: House, visitor: Visitor
) -> None:
    visitor.sign_in("vera", anew=True)
    house.treat("stim-02")
    visitor.go("device", "stim-02")
    with held_up(house.clinic.simulate.pid):
        visitor.hold("device/stim-02")
        expect(visitor.truth()).to_contain_text("received …")
        its_here = signs_in(visitor, "anna.k")
        unread = visitor.truth().get_by_text("cannot be read")
        expect(unread).to_be_visible()
        expect(account(visitor)).to_have_text("Vera")
        its_here()
        expect(unread).to_have_count(0)
    expect(visitor.truth()).to_contain_text(ZERO)


@pytest.mark.parametrize("what", ["device/stim-04", "room/room-3"])
def test_enter_pressed_once_before_somebody_else_has_signed_in_is_pressed_once(visitor: Visitor, what: str) -> None:
    """The button that the keyboard is at stays, and armed: pressed again, it stops."""
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    expect(visitor.title("stim-04")).to_be_focused()
    stop = visitor.page.locator(f"#dock [data-stop='{what}']")
    stop.focus()
    visitor.page.keyboard.press("Enter")
    sign_in_in_another_tab(visitor, "anna.k")
    expect(account(visitor)).to_have_text("Anna")
    visitor.drawn()
    expect(stop).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.truth()).to_contain_text(ZERO)


def test_a_button_that_was_armed_and_left_is_said_not_to_have_stopped(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    expect(visitor.title("stim-04")).to_be_focused()
    visitor.page.locator("#dock [data-stop='device/stim-04']").focus()
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.locator("#polite")).to_contain_text("Not stopped: stim-04.")


def test_a_page_that_is_loaded_while_a_sign_in_is_on_its_way_waits_for_it(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    its_here = signs_in(visitor, "anna.k")
    looks = answered(visitor, ME)
    visitor.page.reload()
    await_that("it looks for longer than a page looks", lambda: looked_on(visitor, looks) > LOOKS_AT_A_TIME, 30.0)
    assert visitor.page.get_by_role("button", name="Sign in").count() == 0
    expect(visitor.page.get_by_text("Reading …")).to_be_visible()
    its_here()
    expect(account(visitor)).to_have_text("Anna")


def test_whoever_signs_out_while_a_sign_in_is_on_its_way_is_signed_out_when_it_is_here(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    its_here = signs_in(visitor, "anna.k")
    refused = answered(visitor, LOGOUT)
    visitor.page.get_by_role("button", name="Sign out").click()
    await_that("it is tried again", lambda: looked_on(visitor, refused) > 1, 30.0)
    assert set(refused) == {401}
    its_here()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert visitor.ask("me")["error"] == "not_signed_in"


def test_whoever_signs_out_is_not_told_that_they_were_put_out(visitor: Visitor) -> None:
    """Their stream ends before the answer to that is here."""
    visitor.sign_in("vera", anew=True)
    looks = answered(visitor, ME)

    def late(route: Route) -> None:
        answer = route.fetch()
        await_that("the page has asked who it is", lambda: looked_on(visitor, looks) > 0, 10.0)
        route.fulfill(response=answer)

    visitor.page.route(LOGOUT, late)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert set(looks) == {401}
    expect(visitor.page.get_by_text("You are not signed in any more.")).to_have_count(0)


@pytest.mark.parametrize("view", ["usage", "stops"])
@pytest.mark.parametrize("soon", [True, False], ids=["soon", "later"])
def test_what_could_not_be_read_while_somebody_signed_in_is_read_then(visitor: Visitor, view: str, soon: bool) -> None:
    visitor.sign_in("mira", anew=True)
    its_here = signs_in(visitor, "mira")
    looks = answered(visitor, ME)
    visitor.go(view)
    refused = visitor.page.locator("main .wrong")
    if soon:
        await_that("it was refused, and who it is is looked for", lambda: looked_on(visitor, looks) > 0, 10.0)
    else:
        expect(refused).to_contain_text("Somebody is signing in in this browser")
    its_here()
    expect(visitor.page.get_by_role("table").first).to_be_visible()
    expect(refused).to_have_count(0)


def test_what_is_drawn_for_somebody_else_is_drawn_anew(visitor: Visitor) -> None:
    """A trace that stayed would go on with what the one before has read, limits too."""
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    visitor.page.locator(".panels").evaluate("trace => { trace.dataset.former = true; }")
    sign_in_in_another_tab(visitor, "anna.k")
    expect(account(visitor)).to_have_text("Anna")
    expect(visitor.page.locator(".panels")).to_be_visible()
    expect(visitor.page.locator("[data-former]")).to_have_count(0)


def test_a_view_that_does_not_come_is_asked_for_again_and_a_stop_is_in_reach_meanwhile(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.page.route("**/views/device.js", lambda route: route.abort())
    visitor.go("device", "stim-04")
    expect(visitor.page.get_by_text("This part of the page cannot be loaded.")).to_be_visible()
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    visitor.page.unroute("**/views/device.js")
    expect(visitor.title("stim-04")).to_be_visible()
    said = ("net::ERR_FAILED", "Failed to fetch dynamically imported module")  # as often as it was asked for
    visitor.broken[:] = [one for one in visitor.broken if not any(words in one for words in said)]


def test_whoever_has_signed_in_is_there_when_the_server_says_who_it_is(visitor: Visitor) -> None:
    """Behind a form they would be signed in for whoever loads the page next."""
    visitor.page.goto(visitor.url)
    busy = {"error": "busy", "text": "One moment, please."}
    visitor.page.route(ME, lambda route: route.fulfill(status=503, json=busy))
    visitor.fill_in("vera", PASSWORD)
    expect(visitor.page.get_by_text("One moment, please.")).to_be_visible()
    visitor.page.unroute(ME)
    expect(account(visitor)).to_have_text("Vera")


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
