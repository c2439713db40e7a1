"""Every view, in four sizes: axe-core finds nothing serious, nothing is too wide, and a picture is kept."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import serious
from tests.browser.house import House
from tests.browser.visitor import Visitor

# Size in pixels, and whether it is dark there.
SIZES: Final = {
    "wide": ((1440, 900), False),
    "tablet": ((1024, 768), False),
    "narrow": ((390, 844), False),
    "wall": ((1920, 1080), True),
}
# Who looks at it, and the heading that says that it is there.
VIEWS: Final = {
    "overview": ("anna.k", "Overview"),
    "wall": ("vera", "Wall"),
    "room/room-1": ("anna.k", "Room room-1"),
    "device/stim-01": ("anna.k", "Device stim-01"),
    "device/stim-03": ("mira", "Device stim-03"),
    "session": ("anna.k", "Session"),
    "sessions": ("anna.k", "Sessions"),
    "request/stim-02": ("anna.k", "Request a session"),
    "alarms": ("mira", "Alarms"),
    "stops": ("mira", "Stops"),
    "usage": ("mira", "Usage"),
    "health": ("mira", "Health"),
    "users": ("ada", "Users"),
    "account": ("vera", "Your account"),
    "nowhere": ("vera", "Not found"),
}
SETTLED: Final = "() => !document.querySelector('main .waiting')"


@pytest.fixture(scope="module")
def busy(house: House) -> Iterator[House]:
    """One room treats, in another a stop was pushed: views have something to show."""
    session = house.treat("stim-01", to_ma=12)
    house.treat("stim-03")
    house.clinic.ask(op="stop", device="stim-03", issued_by="mira", reason="a test")
    assert session
    yield house
    house.tidy()


def look(visitor: Visitor, view: str, title: str) -> None:
    """Go there, and wait until all of it is."""
    where = view
    if view == "session":
        running = [one for one in visitor.ask("sessions?open=true")["sessions"] if one["device"] == "stim-01"]
        where = f"session/{running[0]['session_id']}"
    visitor.go(where)
    expect(visitor.title(title)).to_be_attached()
    visitor.page.wait_for_function(SETTLED)
    if view.startswith(("device", "session/")):
        visitor.page.wait_for_function("() => Number(document.querySelector('.panels').dataset.samples) > 0")


@pytest.mark.parametrize("user", sorted({user for user, _ in VIEWS.values()}))
def test_every_view_is_usable_by_everybody(busy: House, browser: Browser, user: str) -> None:
    breaches = []
    with Visitor(browser, busy, SIZES["wide"][0]) as visitor:
        visitor.sign_in(user)
        for view, (viewer, title) in VIEWS.items():
            if viewer == user:
                look(visitor, view, title)
                breaches += [f"{view}: {found}" for found in in_every_size(visitor, view)]
    assert not breaches, "\n".join(breaches)


def in_every_size(visitor: Visitor, view: str) -> Iterator[str]:
    """What is wrong with the view that is open, in any size."""
    for size, ((width, height), dark) in SIZES.items():
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.page.emulate_media(color_scheme="dark" if dark else "light")
        visitor.drawn()
        visitor.picture(f"{view.replace('/', '-')}-{size}")
        too_wide = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if too_wide > 0:
            yield f"{size}: {too_wide} px wider than the window"
        if size in {"narrow", "wall"}:  # a small light one and a large dark one: its rules ask for no other size
            yield from (f"{size}: {found}" for found in serious(visitor.page))


def test_what_is_serious_would_be_found(visitor: Visitor) -> None:
    """Otherwise the tests above would pass about nothing."""
    visitor.sign_in("vera")
    visitor.page.evaluate("document.body.append(document.createElement('button'))")
    visitor.page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    assert {found.split(":")[1].strip() for found in serious(visitor.page)} == {"button-name", "color-contrast"}


def test_the_door_is_usable_by_everybody(house: House, visitor: Visitor) -> None:
    visitor.page.goto(house.url)
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    visitor.picture("sign-in-wide")
    assert serious(visitor.page) == []


def test_who_likes_less_motion_gets_none(house: House, browser: Browser) -> None:
    with Visitor(browser, house, (1440, 900)) as visitor:
        visitor.page.emulate_media(reduced_motion="reduce")
        visitor.sign_in("vera")
        moving = """() => [...document.querySelectorAll('*')].filter(one => {
          const style = getComputedStyle(one);
          return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none';
        }).length"""
        assert visitor.page.evaluate(moving) == 0
