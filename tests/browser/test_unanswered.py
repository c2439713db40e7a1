"""What the page does while the server is slow, cut off or refuses: a stop goes out, what is shown is said to be old."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Request, Route, expect

from demo.processes import await_that
from tests.browser.house import PASSWORD, House
from tests.browser.test_stops import STOPS, ZERO
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

ALARMS = "**/api/v1/alarms*"
CUT_OFF = "Failed to load resource: net::ERR_FAILED"
DEVICE = "**/api/v1/devices/*"
LOGOUT = "**/api/v1/logout"
ME = "**/api/v1/me"
RELEASES = "**/api/v1/releases"
CONDITIONS = "**/api/v1/releases/*"


@pytest.fixture
def cut_off(visitor: Visitor) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Let nothing of an address through until what comes back is called. The browser may complain of that only."""

    def begin(address: str) -> Callable[[], None]:
        visitor.page.route(address, lambda route: route.abort())
        return lambda: visitor.page.unroute(address)

    yield begin
    visitor.broken[:] = [said for said in visitor.broken if said != CUT_OFF]


def stopped(house: House, device: str) -> None:
    assert house.clinic.ask(op="stop", device=device, issued_by="vera", reason="a test")["ok"]


def note(visitor: Visitor, text: str) -> Locator:
    return visitor.page.locator(".note", has_text=text)


def test_a_part_of_the_page_that_fails_holds_up_no_stop(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    failing = "({ subscribe }) => { window.mended = subscribe(() => { throw new Error('a part that fails'); }); }"
    visitor.page.evaluate(f"import('/core/store.js').then({failing})")
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    visitor.page.evaluate("window.mended()")
    assert set(visitor.broken) == {"a part that fails"}  # and that is not kept quiet
    visitor.broken.clear()


def test_a_stop_is_sent_before_any_part_of_the_page_is_told_of_it(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    visitor.page.evaluate("""async () => {
        const { state, subscribe } = await import("/core/store.js");
        const ask = window.fetch;
        let sent = false;
        window.told = [];
        window.fetch = (url, ...more) => ((sent ||= url.endsWith("/stops")), ask(url, ...more));
        subscribe(() => state.pushed.length && window.told.push(sent));
    }""")
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    told = visitor.page.evaluate("window.told")
    assert told
    assert all(told)


def test_a_view_that_fails_leaves_what_stands_around_it(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.page.route(DEVICE, lambda route: route.fulfill(json={"sessions": [None]}))
    visitor.go("device", "stim-04")
    expect(visitor.page.get_by_text("This part of the page fails.")).to_be_visible()
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    visitor.page.unroute(DEVICE)
    expect(visitor.title("stim-04")).to_be_visible(timeout=10_000)  # it is read every 5 s
    assert all("null" in said for said in visitor.broken)
    visitor.broken.clear()


def test_a_chart_that_cannot_begin_leaves_the_stop_where_it_is(visitor: Visitor) -> None:
    visitor.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => { throw new Error('no canvas'); };")
    visitor.page.goto(f"{visitor.url}#/device/stim-04")
    visitor.fill_in("vera", PASSWORD)
    expect(visitor.title("stim-04")).to_be_visible()
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    assert set(visitor.broken) == {"no canvas"}
    visitor.broken.clear()


def test_what_became_of_a_stop_stays_in_sight_while_it_is_asked_who_has_signed_in(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.go("device", "stim-04")
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    busy = {"error": "busy", "text": "One moment, please."}
    visitor.page.route(ME, lambda route: route.fulfill(status=503, json=busy))
    visitor.fill_in("vera", PASSWORD)
    expect(visitor.page.get_by_text("One moment, please.")).to_be_visible()
    expect(visitor.truth()).to_contain_text(ZERO)


def test_whoever_has_to_choose_a_password_is_told_nothing_of_alarms(visitor: Visitor) -> None:
    """They may not see them yet."""
    visitor.sign_in("vera", anew=True)

    def must_choose(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"must_change": True, "may": ["own_account", "stop"]})

    visitor.page.route(ME, must_choose)
    asked: list[str] = []
    visitor.page.reload()
    visitor.page.on("request", lambda request: asked.append(request.url))
    expect(visitor.page.get_by_text("Before you go on, choose a password of your own.")).to_be_visible()
    visitor.goes_on_for(9_500)  # alarms are old after 9 s
    assert visitor.page.locator(".note", has_text=re.compile("OLD|Connecting")).count() == 0
    assert not [url for url in asked if "/alarms" in url]
    visitor.page.unroute_all(behavior="wait")


def test_a_sign_in_whose_cookie_is_not_kept_is_said(visitor: Visitor) -> None:
    def without_cookie(route: Route) -> None:
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        visitor.page.context.clear_cookies()
        route.fulfill(status=answer.status, headers=kept, body=answer.body())
        visitor.page.context.clear_cookies()

    visitor.page.route("**/api/v1/login", without_cookie)
    visitor.page.goto(visitor.url)
    visitor.fill_in("vera", PASSWORD)
    expect(visitor.page.get_by_text("You are not signed in any more.")).to_be_visible()


def test_a_stop_whose_answer_is_cut_off_in_the_middle_is_pushed_again(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")

    def cut(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(status=answer.status, content_type="application/json", body=answer.text()[:20])

    visitor.page.route(STOPS, cut, times=1)
    visitor.hold("device/stim-04")
    expect(visitor.truth()).to_contain_text(ZERO)
    expect(visitor.page.locator(".truth")).to_have_count(1)


def test_an_answer_that_is_cut_off_is_none(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.page.route(DEVICE, lambda route: route.fulfill(content_type="application/json", body='{"sessio'))
    visitor.go("device", "stim-04")
    expect(visitor.page.locator("main .wrong")).to_have_text("The server does not answer.")
    visitor.page.unroute(DEVICE)
    expect(visitor.page.get_by_text("Read at")).to_be_visible(timeout=10_000)
    expect(visitor.page.locator("main .wrong")).to_have_count(0)


def test_whoever_could_not_be_signed_out_is_told_and_can_still_stop(
    visitor: Visitor, cut_off: Callable[[str], Callable[[], None]]
) -> None:
    """They would be signed in for whoever opens the page next."""
    visitor.sign_in("vera", anew=True)
    comes_back = cut_off(LOGOUT)
    sign_out = visitor.page.get_by_role("button", name="Sign out")
    sign_out.click()
    expect(note(visitor, "You may still be SIGNED IN")).to_be_visible()
    expect(visitor.page.locator("#assertive")).to_contain_text("You may still be SIGNED IN")
    expect(visitor.page.locator("#dock [data-stop='site/north']")).to_be_visible()
    visitor.picture("not-signed-out")
    comes_back()
    sign_out.click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert visitor.ask("me")["error"] == "not_signed_in"


def test_a_page_that_is_loaded_while_the_server_refuses_comes_when_it_answers(visitor: Visitor) -> None:
    """Who is signed in is not asked to sign in again."""
    visitor.sign_in("vera")
    busy = {"error": "busy", "text": "One moment, please."}
    visitor.page.route(ME, lambda route: route.fulfill(status=503, json=busy))
    visitor.page.reload()
    expect(visitor.page.get_by_text("One moment, please.")).to_be_visible()
    expect(visitor.page.get_by_text("does not replace the stop button on the stimulator")).to_be_visible()
    assert visitor.page.get_by_role("button", name="Sign in").count() == 0
    visitor.page.unroute(ME)
    expect(visitor.title("Overview")).to_be_visible()


def test_a_view_that_does_not_come_is_said_and_the_page_can_be_loaded_anew(
    visitor: Visitor, cut_off: Callable[[str], Callable[[], None]]
) -> None:
    visitor.sign_in("vera")
    comes_back = cut_off("**/views/device.js")
    visitor.go("device", "stim-04")
    expect(visitor.page.get_by_text("This part of the page cannot be loaded.")).to_be_visible()
    visitor.picture("view-absent")
    visitor.go("overview")
    expect(visitor.device("stim-04")).to_be_visible()  # the others come
    visitor.go("device", "stim-04")
    anew = visitor.page.get_by_role("button", name="Load the whole page again")
    expect(anew).to_be_visible()
    comes_back()
    anew.click()
    expect(visitor.title("stim-04")).to_be_visible()
    said = "Failed to fetch dynamically imported module"
    visitor.broken[:] = [one for one in visitor.broken if said not in one]


@pytest.mark.parametrize("never_read", [False, True])
def test_alarms_that_cannot_be_read_are_said_to_be_old(
    house: House, visitor: Visitor, cut_off: Callable[[str], Callable[[], None]], never_read: bool
) -> None:
    stopped(house, "stim-04")
    visitor.sign_in("vera")
    expect(visitor.page.locator(".alarm-strip")).to_contain_text("stim-04")
    comes_back = cut_off(ALARMS)
    if never_read:
        visitor.page.reload()
    expect(note(visitor, "OLD ALARMS")).to_be_visible(timeout=20_000)
    visitor.picture("old-alarms")
    comes_back()
    expect(note(visitor, "OLD ALARMS")).to_have_count(0)


def test_alarms_that_were_not_read_yet_are_not_said_to_be_none(house: House, visitor: Visitor) -> None:
    stopped(house, "stim-04")
    visitor.sign_in("vera")
    waiting = visitor.held_back(ALARMS)
    visitor.page.reload()
    visitor.go("alarms")
    expect(visitor.title("Alarms")).to_be_visible()
    expect(visitor.page.locator("main .waiting")).to_be_visible()
    assert visitor.page.get_by_text("No open alarm").count() == 0
    await_that("they are asked for", lambda: visitor.page.evaluate("1") and waiting, 10.0)
    visitor.page.route("**/api/v1/stream*", lambda route: route.abort())
    visitor.go("device", "stim-04")  # with another stream: none comes
    expect(note(visitor, "OLD DATA")).to_be_visible(timeout=15_000)  # and not: Connecting …
    visitor.go("alarms")
    visitor.page.unroute_all()
    expect(visitor.page.locator("[data-code=A03]", has_text="stim-04")).to_be_visible(timeout=15_000)
    visitor.broken[:] = [said for said in visitor.broken if said != CUT_OFF]


def test_a_slow_server_is_asked_for_one_thing_once_at_a_time(visitor: Visitor) -> None:
    """Each question would drop the answer to the one before, and none would ever be shown."""
    visitor.sign_in("vera")
    waiting = visitor.held_back(DEVICE)
    visitor.go("device", "stim-04")
    await_that("it is asked for", lambda: visitor.page.evaluate("1") and waiting, 10.0)
    visitor.goes_on_for(6_000)  # it would be asked for again after 5 s, and is not given up before 10 s
    assert len(waiting) == 1
    waiting[0].continue_()
    read = visitor.page.get_by_text("Read at")
    expect(read).to_be_visible()
    first = read.inner_text()
    await_that("it is asked for again", lambda: visitor.page.evaluate("1") and len(waiting) > 1, 10.0)
    visitor.goes_on_for(1_100)
    assert read.inner_text() == first  # not as of now
    waiting[1].continue_()
    visitor.page.unroute(DEVICE)
    expect(read).not_to_have_text(first)


def test_conditions_of_a_release_that_could_not_be_read_are_shown_when_they_can(
    house: House, visitor: Visitor, cut_off: Callable[[str], Callable[[], None]]
) -> None:
    stopped(house, "stim-04")
    visitor.sign_in("vera")
    comes_back = cut_off(CONDITIONS)
    visitor.go("device", "stim-04")
    wrong = visitor.page.locator(".release .wrong")
    expect(wrong).to_have_text("The server does not answer.")
    comes_back()
    expect(wrong).to_have_count(0)
    expect(visitor.page.locator(".release .conditions")).to_contain_text("zero current has been measured")


def test_a_release_that_was_not_heard_is_said_at_its_device_and_at_no_other(house: House, visitor: Visitor) -> None:
    for device in ("stim-02", "stim-04"):
        stopped(house, device)
    visitor.sign_in("anna.k")
    waiting = visitor.held_back(RELEASES)
    visitor.go("device", "stim-04")
    visitor.page.get_by_role("button", name="Release stim-04").click()
    await_that("it is on its way", lambda: visitor.page.evaluate("1") and waiting, 10.0)
    visitor.go("device", "stim-02")
    expect(visitor.page.locator(".release .conditions")).to_be_visible()
    waiting[0].abort()
    said = "It is not known whether this was done."
    expect(visitor.page.locator("#assertive")).to_contain_text(f"stim-04: The server does not answer. {said}")
    visitor.goes_on_for(1_100)  # drawn again by then
    expect(visitor.page.locator(".release .wrong")).to_have_count(0)
    visitor.go("device", "stim-04")
    expect(visitor.page.locator(".release .wrong")).to_contain_text(said)
    visitor.broken.remove(CUT_OFF)


def test_what_is_typed_at_an_alarm_stays_while_something_else_is_done_about_it(house: House, mira: Visitor) -> None:
    stopped(house, "stim-04")
    mira.sign_in("mira")
    mira.go("alarms")
    card = mira.page.locator("[data-code=A03]", has_text="stim-04")
    waiting = mira.held_back(re.compile("/acknowledge$"))
    acknowledge = card.get_by_role("button", name="Acknowledge")
    acknowledge.click()
    acknowledge.click()  # while it is under way
    card.get_by_role("button", name="Comment").click()
    mira.page.locator("#alarm-said").fill("half a sen")
    assert len(waiting) == 1
    waiting[0].continue_()
    expect(card.locator(".signal")).to_contain_text("acknowledged")
    expect(mira.page.locator("#alarm-said")).to_have_value("half a sen")
    sent: list[Request] = []
    mira.page.on("request", lambda request: sent.append(request) if request.url.endswith("/comment") else None)
    mira.page.locator("#alarm-said").press("Enter")
    expect(card.locator(".comments")).to_contain_text("half a sen")
    expect(mira.page.locator("#alarm-said")).to_have_count(0)
    assert len(sent) == 1
