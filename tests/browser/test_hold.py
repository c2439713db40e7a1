"""A stop that was held for long enough goes out, whatever the page does meanwhile; a tap stops nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.visitor import HOLD_MS, Visitor

pytestmark = pytest.mark.usefixtures("orderly")

ZERO = re.compile(r"zero current measured [\d.,]+\s?m?s")
STOP = "#dock [data-stop='{}']"
# Nothing is drawn, timed or heard from shortly before a hold is long enough until well after the finger has gone.
BUSY = """([from, until]) => addEventListener("pointerdown", ({ timeStamp }) => setTimeout(() => {
  while (performance.now() - timeStamp < until);
}, from), { once: true, capture: true })"""
AT_ONCE = """where =>
  addEventListener("pointerdown", () => { location.hash = where; }, { once: true, capture: true })"""


@contextmanager
def pressed(visitor: Visitor, what: str) -> Iterator[None]:
    """With the finger on it."""
    visitor.page.locator(STOP.format(what)).hover()
    visitor.page.mouse.down()
    try:
        yield
    finally:
        visitor.page.mouse.up()


def pushed(visitor: Visitor) -> int:
    """How many stops have been sent from this page."""
    return sum(url.endswith("api/v1/stops") for url in visitor.asked)


@pytest.fixture
def vera(visitor: Visitor) -> Visitor:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    expect(visitor.title("Device stim-04")).to_be_focused()
    return visitor


def test_a_hold_on_a_busy_page_is_as_long_as_it_was(house: House, vera: Visitor) -> None:
    vera.page.evaluate(BUSY, [HOLD_MS - 100, HOLD_MS + 900])
    vera.hold("device/stim-04", for_ms=HOLD_MS + 150)
    expect(vera.truth()).to_contain_text(ZERO)
    assert house.clinic.device("stim-04")["holds"]
    assert pushed(vera) == 1


def test_whoever_goes_on_to_another_view_while_holding_stops_all_the_same(vera: Visitor) -> None:
    with pressed(vera, "room/room-3"):
        vera.go("room", "room-3")
        expect(vera.title("Room room-3")).to_be_focused()  # and not the button any more
        expect(vera.truth()).to_contain_text(ZERO)
    assert pushed(vera) == 1


def test_a_button_that_is_gone_before_it_was_held_long_enough_stops_all_the_same(house: House, vera: Visitor) -> None:
    vera.page.evaluate(AT_ONCE, "#/overview")
    with pressed(vera, "device/stim-04"):
        expect(vera.page.locator(STOP.format("device/stim-04"))).to_have_count(0)
        expect(vera.truth()).to_contain_text(ZERO)
    assert house.clinic.device("stim-04")["holds"]
    assert pushed(vera) == 1


def test_a_button_that_is_gone_and_was_only_tapped_stops_nothing(house: House, vera: Visitor) -> None:
    vera.page.evaluate(AT_ONCE, "#/overview")
    vera.hold("device/stim-04", for_ms=HOLD_MS // 2)
    expect(vera.page.locator(STOP.format("device/stim-04"))).to_have_count(0)
    expect(vera.page.locator("#polite")).to_have_text("Not stopped. Hold for 0.6 seconds to stop stim-04.")
    assert not house.clinic.device("stim-04")["holds"]
    assert pushed(vera) == 0


def test_a_finger_that_slips_off_in_time_stops_nothing(house: House, vera: Visitor) -> None:
    with pressed(vera, "device/stim-04"):
        vera.page.mouse.move(10, 10)
        expect(vera.page.locator(STOP.format("device/stim-04"))).to_have_attribute("data-gesture", "short")
    assert not house.clinic.device("stim-04")["holds"]
    assert pushed(vera) == 0


def test_the_stop_stays_the_same_button_from_view_to_view_and_when_others_are_pushed(vera: Visitor) -> None:
    """It keeps the keyboard's focus, and the finger that is on it."""
    site = vera.page.locator(STOP.format("site/north"))
    site.evaluate("button => { window.before = button; button.focus({ focusVisible: true }); }")
    vera.hold("device/stim-04")
    expect(vera.truth()).to_contain_text(ZERO)
    assert site.evaluate("button => button === window.before")
    vera.truth().get_by_role("button", name="Close").click()
    expect(vera.page.locator(".truth")).to_have_count(0)
    vera.go("overview")
    expect(vera.title("Overview")).to_be_focused()
    assert site.evaluate("button => button === window.before")
