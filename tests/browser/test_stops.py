"""A stop says no more than is known: answers that do not come, stops upon stops, sessions that end."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Route, expect

from demo.processes import await_that
from tests.browser.house import DEVICES, House
from tests.browser.test_truth import AT_THE_WALL, held_up
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

ZERO = re.compile(r"zero current measured [\d.,]+\s?m?s")
HEALED_WITHIN_MS = 15_000  # an idle device is told again every 5 s
STOPS = "**/api/v1/stops"
STOP = "**/api/v1/stops/*"
NOT_RECORDED = "The stop went to the broker; whether it arrived is not known: use the button on the stimulator."


@pytest.fixture
def second(house: House, browser: Browser) -> Iterator[Visitor]:
    """Somebody else, at a browser of their own."""
    with Visitor(browser, house, (1440, 900)) as visitor:
        yield visitor


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
    visitor.page.unroute_all(behavior="wait")


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
