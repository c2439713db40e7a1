"""A stop that was held for long enough goes out, whatever the page does meanwhile; a tap stops nothing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Final

import pytest
from playwright.sync_api import CDPSession, expect

from tests.browser.house import DEVICES, House
from tests.browser.visitor import HOLD_MS, Visitor

ALONE: Final = ("stim-03", "stim-04")  # each in its room
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
NOT_STOPPED = "Not stopped. Hold for 0.6 seconds to stop {}."


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


def assert_stopped_nothing(house: House, visitor: Visitor, device: str) -> None:
    """Nor does it once it would have been held for long enough."""
    visitor.outlast_a_hold()
    assert not house.clinic.device(device)["holds"]
    assert pushed(visitor) == 0


@pytest.fixture(scope="module")
def turns(house: House) -> Iterator[Iterator[str]]:
    """A device that was stopped takes no reset for three seconds: meanwhile the other one is used."""
    yield cycle(ALONE)
    house.tidy()


@pytest.fixture
def device(house: House, turns: Iterator[str]) -> Iterator[str]:
    """The one that is stopped, or not: idle, released and reset."""
    device = next(turns)
    house.tidy(device)
    yield device
    house.release(device)


@pytest.fixture
def vera(visitor: Visitor, device: str) -> Visitor:
    visitor.sign_in("vera")
    visitor.go("device", device)
    expect(visitor.title(f"Device {device}")).to_be_focused()
    return visitor


@pytest.fixture
def fingers(vera: Visitor, device: str) -> Fingers:
    return Fingers(vera, f"device/{device}")


def test_a_hold_on_a_busy_page_is_as_long_as_it_was(house: House, vera: Visitor, device: str) -> None:
    vera.page.evaluate(BUSY, [HOLD_MS - 100, HOLD_MS + 900])
    vera.hold(f"device/{device}", for_ms=HOLD_MS + 150)
    expect(vera.truth()).to_contain_text(ZERO)
    assert house.clinic.device(device)["holds"]
    assert pushed(vera) == 1


def test_a_short_tap_on_a_busy_page_stops_nothing(house: House, vera: Visitor, device: str) -> None:
    vera.page.evaluate(BUSY, [0, HOLD_MS + 900])
    vera.hold(f"device/{device}", for_ms=HOLD_MS // 6)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED.format(device))
    assert_stopped_nothing(house, vera, device)


def test_a_hold_that_is_heard_of_late_began_when_the_finger_came_down(vera: Visitor, device: str) -> None:
    late_ms = 3 * HOLD_MS
    vera.page.evaluate(HEARD_LATE, late_ms)
    with pressed(vera, f"device/{device}"):
        expect(vera.truth()).to_contain_text(ZERO)
    assert late_ms < vera.page.evaluate(SENT_AFTER) < late_ms + HOLD_MS


def test_a_pointer_that_cannot_be_captured_is_followed_all_the_same(vera: Visitor, device: str) -> None:
    vera.page.evaluate("() => { Element.prototype.setPointerCapture = () => { throw new Error('it is gone'); }; }")
    vera.hold(f"device/{device}")
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


def test_two_fingers_that_tap_stop_nothing_and_are_told_once(
    house: House, vera: Visitor, fingers: Fingers, device: str
) -> None:
    fingers.down(1)
    fingers.down(2)
    fingers.up(1)
    fingers.up(2)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED.format(device))
    assert_stopped_nothing(house, vera, device)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED.format(device))


def test_a_touch_that_is_cancelled_in_time_stops_nothing_and_says_so(
    house: House, vera: Visitor, fingers: Fingers, device: str
) -> None:
    """A swipe home on a phone begins at the edge where the dock is."""
    fingers.down(1)
    fingers.cancel()
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED.format(device))
    assert_stopped_nothing(house, vera, device)


def test_a_touch_that_is_cancelled_once_it_was_long_enough_has_stopped(vera: Visitor, fingers: Fingers) -> None:
    fingers.down(1)
    vera.outlast_a_hold()
    fingers.cancel()
    expect(vera.truth()).to_contain_text(ZERO)
    assert vera.page.locator("#polite").get_by_text("Not stopped").count() == 0
    assert pushed(vera) == 1


def test_whoever_goes_on_to_another_view_while_holding_stops_all_the_same(vera: Visitor, device: str) -> None:
    with pressed(vera, f"room/{DEVICES[device]}"):
        vera.go("room", DEVICES[device])
        expect(vera.title(f"Room {DEVICES[device]}")).to_be_focused()  # and not the button any more
        expect(vera.truth()).to_contain_text(ZERO)
    assert pushed(vera) == 1


def test_a_button_that_is_gone_before_it_was_held_long_enough_stops_all_the_same(
    house: House, vera: Visitor, device: str
) -> None:
    vera.page.evaluate(AT_ONCE, "#/overview")
    with pressed(vera, f"device/{device}"):
        expect(vera.page.locator(STOP.format(f"device/{device}"))).to_have_count(0)
        expect(vera.truth()).to_contain_text(ZERO)
    assert house.clinic.device(device)["holds"]
    assert pushed(vera) == 1


def test_a_button_that_is_gone_and_was_only_tapped_stops_nothing(house: House, vera: Visitor, device: str) -> None:
    vera.page.evaluate(AT_ONCE, "#/overview")
    vera.hold(f"device/{device}", for_ms=HOLD_MS // 2)
    expect(vera.page.locator(STOP.format(f"device/{device}"))).to_have_count(0)
    expect(vera.page.locator("#polite")).to_have_text(NOT_STOPPED.format(device))
    assert_stopped_nothing(house, vera, device)


def test_a_finger_that_slips_off_in_time_stops_nothing(house: House, vera: Visitor, device: str) -> None:
    with pressed(vera, f"device/{device}"):
        vera.page.mouse.move(10, 10)
        expect(vera.page.locator(STOP.format(f"device/{device}"))).to_have_attribute("data-gesture", "short")
    assert_stopped_nothing(house, vera, device)


def test_the_stop_stays_the_same_button_from_view_to_view_and_when_others_are_pushed(
    vera: Visitor, device: str
) -> None:
    """It keeps the keyboard's focus, and the finger that is on it."""
    site = vera.page.locator(STOP.format("site/north"))
    site.evaluate("button => { window.before = button; button.focus({ focusVisible: true }); }")
    vera.page.evaluate(PUSHED, ["device", device])
    expect(vera.truth()).to_contain_text(ZERO)
    expect(site).to_be_focused()
    vera.page.evaluate(PUT_AWAY)
    expect(vera.page.locator(".truth")).to_have_count(0)
    expect(site).to_be_focused()
    assert site.evaluate("button => button === window.before")
    vera.go("overview")
    expect(vera.title("Overview")).to_be_focused()
    assert site.evaluate("button => button === window.before")
