"""A stop that was held for long enough goes out, whatever the page does meanwhile; a tap stops nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import CDPSession, expect

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

# The page is busy until that long after a finger has come down, and only then hears of it.
HEARD_LATE = """for_ms => addEventListener("pointerdown", ({ timeStamp }) => {
  window.landed_ms = timeStamp;
  while (performance.now() - timeStamp < for_ms);
}, { once: true, capture: true })"""
SENT_AFTER = """performance.getEntriesByType("resource").find(({ name }) => name.endsWith("api/v1/stops"))?.startTime
  - window.landed_ms"""
# By nothing that would take the focus.
PUSHED = "what => import('/core/stopping.js').then(({ push }) => push(...what))"
PUT_AWAY = "() => import('/core/stopping.js').then(({ dismiss }) => dismiss(1))"
NOT_STOPPED = "Not stopped. Hold for 0.6 seconds to stop stim-04."


class Fingers:
    """Touches on one button, each by its number."""

    def __init__(self, visitor: Visitor, what: str) -> None:
        self._session: CDPSession = visitor.page.context.new_cdp_session(visitor.page)
        self._on: list[int] = []
        box = visitor.page.locator(STOP.format(what)).bounding_box()
        assert box
        self._x, self._y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def down(self, finger: int) -> None:
        self._on.append(finger)
        self._touch("touchStart", self._on)

    def up(self, finger: int) -> None:
        self._on.remove(finger)
        self._touch("touchEnd", [finger])

    def cancel(self) -> None:
        """By the system, for a gesture of its own."""
        self._on.clear()
        self._touch("touchCancel", [])

    def _touch(self, kind: str, fingers: list[int]) -> None:
        points = [{"id": finger, "x": self._x + 8 * finger, "y": self._y} for finger in fingers]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


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


def assert_stopped_nothing(house: House, visitor: Visitor) -> None:
    """Nor does it once it would have been held for long enough."""
    visitor.outlast_a_hold()
    assert not house.clinic.device("stim-04")["holds"]
    assert pushed(visitor) == 0


@pytest.fixture
def vera(visitor: Visitor) -> Visitor:
    visitor.sign_in("vera")
    visitor.go("device", "stim-04")
    expect(visitor.title("Device stim-04")).to_be_focused()
    return visitor


@pytest.fixture
def fingers(vera: Visitor) -> Fingers:
    return Fingers(vera, "device/stim-04")


def test_a_hold_on_a_busy_page_is_as_long_as_it_was(house: House, vera: Visitor) -> None:
    vera.page.evaluate(BUSY, [HOLD_MS - 100, HOLD_MS + 900])
    vera.hold("device/stim-04", for_ms=HOLD_MS + 150)
    expect(vera.truth()).to_contain_text(ZERO)
    assert house.clinic.device("stim-04")["holds"]
    assert pushed(vera) == 1


def test_a_short_tap_on_a_busy_page_stops_nothing(house: House, vera: Visitor) -> None:
    vera.page.evaluate(BUSY, [0, HOLD_MS + 900])
    vera.hold("device/stim-04", for_ms=HOLD_MS // 6)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED)
    assert_stopped_nothing(house, vera)


def test_a_hold_that_is_heard_of_late_began_when_the_finger_came_down(vera: Visitor) -> None:
    late_ms = 3 * HOLD_MS
    vera.page.evaluate(HEARD_LATE, late_ms)
    with pressed(vera, "device/stim-04"):
        expect(vera.truth()).to_contain_text(ZERO)
    assert late_ms < vera.page.evaluate(SENT_AFTER) < late_ms + HOLD_MS


def test_a_pointer_that_cannot_be_captured_is_followed_all_the_same(vera: Visitor) -> None:
    vera.page.evaluate("() => { Element.prototype.setPointerCapture = () => { throw new Error('it is gone'); }; }")
    vera.hold("device/stim-04")
    expect(vera.truth()).to_contain_text(ZERO)
    assert vera.broken == ["it is gone"]
    vera.broken.clear()


def test_a_second_finger_that_stays_stops_though_the_first_one_lifts(vera: Visitor, fingers: Fingers) -> None:
    """A palm may come first."""
    fingers.down(1)
    fingers.down(2)
    fingers.up(1)
    expect(vera.truth()).to_contain_text(ZERO)
    fingers.up(2)
    assert vera.page.locator("#polite").get_by_text("Not stopped").count() == 0
    assert pushed(vera) == 1


def test_two_fingers_that_hold_stop_once(vera: Visitor, fingers: Fingers) -> None:
    fingers.down(1)
    fingers.down(2)
    expect(vera.truth()).to_contain_text(ZERO)
    vera.outlast_a_hold()
    fingers.up(1)
    fingers.up(2)
    vera.drawn()
    assert vera.page.locator("#polite").get_by_text("Not stopped").count() == 0
    assert pushed(vera) == 1


def test_two_fingers_that_tap_stop_nothing_and_are_told_once(house: House, vera: Visitor, fingers: Fingers) -> None:
    fingers.down(1)
    fingers.down(2)
    fingers.up(1)
    fingers.up(2)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED)
    assert_stopped_nothing(house, vera)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED)


def test_a_touch_that_is_cancelled_in_time_stops_nothing_and_says_so(
    house: House, vera: Visitor, fingers: Fingers
) -> None:
    """A swipe home on a phone begins at the edge where the dock is."""
    fingers.down(1)
    fingers.cancel()
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED)
    assert_stopped_nothing(house, vera)


def test_a_touch_that_is_cancelled_once_it_was_long_enough_has_stopped(vera: Visitor, fingers: Fingers) -> None:
    fingers.down(1)
    vera.outlast_a_hold()
    fingers.cancel()
    expect(vera.truth()).to_contain_text(ZERO)
    assert vera.page.locator("#polite").get_by_text("Not stopped").count() == 0
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
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED)
    assert_stopped_nothing(house, vera)


def test_a_finger_that_slips_off_in_time_stops_nothing(house: House, vera: Visitor) -> None:
    with pressed(vera, "device/stim-04"):
        vera.page.mouse.move(10, 10)
        expect(vera.page.locator(STOP.format("device/stim-04"))).to_have_attribute("data-gesture", "short")
    assert_stopped_nothing(house, vera)


def test_the_stop_stays_the_same_button_from_view_to_view_and_when_others_are_pushed(vera: Visitor) -> None:
    """It keeps the keyboard's focus, and the finger that is on it."""
    site = vera.page.locator(STOP.format("site/north"))
    site.evaluate("button => { window.before = button; button.focus({ focusVisible: true }); }")
    vera.page.evaluate(PUSHED, ["device", "stim-04"])
    expect(vera.truth()).to_contain_text(ZERO)
    expect(site).to_be_focused()
    vera.page.evaluate(PUT_AWAY)
    expect(vera.page.locator(".truth")).to_have_count(0)
    expect(site).to_be_focused()
    assert site.evaluate("button => button === window.before")
    vera.go("overview")
    expect(vera.title("Overview")).to_be_focused()
    assert site.evaluate("button => button === window.before")
