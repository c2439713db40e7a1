"""What the page draws and asks for is what is in force, what happened, and what was asked: not what usually is."""

import json
import math
import re

import pytest
from playwright.sync_api import Request, Route, expect

from demo.processes import await_that
from tests.browser.house import House
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

SESSIONS = re.compile(r"/api/v1/sessions/[0-9a-f]+$")
# Of a session whose electrodes measured 640 ohm at its beginning, under settings stricter than its plan.
IN_FORCE = {
    "setting_ma_max": 37.5,
    "peak_ma_max": 90.0,
    "lease_ttl_s": 4.0,
    "baseline_ohm": 640.0,
    "short_ohm": 150.0,
    "degraded_ohm": 960.0,
    "beyond_ohm": 1280.0,
    "open_ohm": 10000.0,
}
DRAWN = (
    "Limits in force: limit 37.5\u202fmA, short below 150\u202fΩ, degraded above 960\u202fΩ, stops above 1,280\u202fΩ, "
    "a lease is good for 4.0\u202fs."
)


def test_the_fleet_says_which_limits_are_in_force_and_they_are_drawn(house: House, visitor: Visitor) -> None:
    """Once its electrodes are measured, ohms go by what they were then."""
    visitor.sign_in("vera")
    session = house.treat("stim-02")

    def measured() -> float | None:
        ohm: float | None = visitor.ask(f"sessions/{session}")["in_force"]["baseline_ohm"]
        return ohm

    baseline_ohm = await_that("the electrodes are measured", measured, 20.0)
    visitor.go("session", session)
    degraded, stops = (math.floor(times * baseline_ohm + 0.5) for times in (1.5, 2.0))  # a half goes up on the page
    drawn = f"degraded above {degraded:,}\u202fΩ, stops above {stops:,}\u202fΩ"
    expect(visitor.page.locator(".panels")).to_have_attribute("aria-label", re.compile(re.escape(drawn)))


def test_the_limits_that_are_drawn_are_those_in_force(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")
    session = house.treat("stim-02")

    def stricter(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"in_force": IN_FORCE})

    visitor.page.route(SESSIONS, stricter)
    for where, name in (("session", session), ("device", "stim-02")):
        visitor.go(where, name)
        expect(visitor.page.locator(".panels")).to_have_attribute("aria-label", re.compile(re.escape(DRAWN)))
        visitor.picture(f"limits-in-force-{where}")


@pytest.mark.parametrize(("view", "answers"), [("usage", "**/api/v1/usage?*"), ("health", "**/health?*")])
def test_a_past_that_never_happened_is_called_simulated(visitor: Visitor, view: str, answers: str) -> None:
    def made_up(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"simulated_until": "2999-01-31"})

    visitor.sign_in("vera")
    visitor.go(view)
    note = visitor.page.locator("main .simulated")
    expect(visitor.page.locator("main .charts").first).to_be_visible()
    expect(note).to_have_count(0)
    visitor.page.route(answers, made_up)
    visitor.page.get_by_role("button", name="Month", exact=True).click()
    expect(note).to_have_text("Everything up to 31 Jan 2999 is simulated: it never happened.")
    visitor.picture(f"simulated-{view}")


def test_a_request_that_nobody_answered_is_asked_again_as_the_same(house: House, visitor: Visitor) -> None:
    """It may have been heard: asked again it is answered with what came of it, not refused as a second one."""
    page = visitor.page
    visitor.sign_in("anna.k")
    visitor.go("request", "stim-03")
    page.get_by_label("Client token").fill(house.client())
    page.locator("#asked").check()
    expect(page.get_by_text("Nothing speaks against it now.").first).to_be_visible()
    asked: list[str] = []

    def heard_and_lost(route: Route) -> None:
        """The fleet hears it; its answer does not come back."""
        asked.append(request_id(route.request))
        assert route.fetch().ok
        route.abort()

    page.route("**/api/v1/sessions", heard_and_lost, times=1)
    with page.expect_response(lambda answer: answer.url.endswith("/sessions") and answer.status < 300) as answered:
        page.get_by_role("button", name="Request it").click()
        expect(page.locator("#verdict")).to_contain_text("The server does not answer.")
        page.get_by_role("button", name="Request it").click()
    assert asked == [request_id(answered.value.request)]
    expect(visitor.title("Session")).to_be_visible()
    visitor.broken.remove("Failed to load resource: net::ERR_FAILED")  # the answer that did not come back


def request_id(request: Request) -> str:
    return str(json.loads(request.post_data or "{}")["request_id"])


def test_a_house_that_is_draining_says_so_and_takes_no_new_session(house: House, visitor: Visitor) -> None:
    """Draining is begun and ended at the command line or over HTTP; the page says it to everybody."""
    page = visitor.page
    visitor.sign_in("anna.k")
    note = page.locator(".notes", has_text="Draining: no new session is authorised until somebody ends it.")
    verdict = page.locator("#verdict .refusals [data-rule=draining]")
    expect(note).to_have_count(0)
    assert house.clinic.ask(op="drain", issued_by="mira")["ok"]
    try:
        expect(note).to_be_visible()
        visitor.go("request", "stim-04")
        page.get_by_label("Client token").fill(house.client())
        page.locator("#asked").check()
        page.get_by_role("button", name="Request it").click()
        expect(page.get_by_role("heading", name="Refused")).to_be_visible()
        expect(verdict).to_contain_text("The fleet is draining: nothing new is authorised.")
        visitor.picture("draining")
    finally:
        assert house.clinic.ask(op="undrain", issued_by="mira")["ok"]
    expect(note).to_have_count(0)
    page.get_by_role("button", name="Request it").click()
    expect(visitor.title("Session")).to_be_visible()
