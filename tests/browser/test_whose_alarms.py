"""Alarms while the page changes hands: read on, never said to be none, and what was refused at one is said."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from demo.processes import await_that
from tests.browser.house import PASSWORD, House
from tests.browser.test_stops import sounding
from tests.browser.test_whose_page import account, hears_who_it_is_once_refused, looked_on, sign_in_in_another_tab
from tests.browser.visitor import Visitor

# The second where it took the page long to hear who it is.
AS_ANOTHER = re.compile("it is Oskar now. Nothing was changed.|load the page again")

pytestmark = pytest.mark.usefixtures("orderly")


def test_alarms_are_read_on_after_somebody_has_left_in_the_middle_of_it(house: House, visitor: Visitor) -> None:
    """What was done about one is read back some hundred milliseconds later: nobody may be there any more."""
    assert house.clinic.ask(op="stop", device="stim-04", issued_by="vera", reason="a test")["ok"]
    visitor.sign_in("mira", anew=True)
    visitor.go("alarms")
    card = visitor.page.locator("[data-code=A03]", has_text="stim-04")
    card.get_by_role("button", name="Comment").click()
    said = visitor.page.locator("#alarm-said")
    said.fill("hers")
    sign_in_in_another_tab(visitor, "oskar")
    expect(account(visitor)).to_have_text("Oskar")
    expect(card.get_by_role("button", name="Comment")).to_be_visible()
    expect(said).to_have_count(0)  # what the one before has typed is not the next one's

    waiting: list[Callable[[], None]] = []

    def late(route: Route) -> None:
        answer = route.fetch()
        waiting.append(lambda: route.fulfill(response=answer))

    visitor.page.route("**/api/v1/alarms*", late)
    await_that("they are read", lambda: looked_on(visitor, waiting) > 0, 10.0)
    visitor.page.evaluate("import('/core/alarms.js').then(alarms => alarms.readAlarmsSoon())")
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    waiting[0]()
    visitor.page.unroute("**/api/v1/alarms*")
    visitor.goes_on_for(700)  # the last of them is due
    assert not sounding(visitor)
    visitor.fill_in("mira", PASSWORD)
    expect(card).to_be_visible()


def test_nobody_is_told_that_there_are_no_alarms_while_the_page_changes_hands(house: House, visitor: Visitor) -> None:
    assert house.clinic.ask(op="stop", device="stim-04", issued_by="vera", reason="a test")["ok"]
    visitor.sign_in("vera", anew=True)
    visitor.go("alarms")
    alarm = visitor.page.locator("[data-code=A03]", has_text="stim-04")
    expect(alarm).to_be_visible()
    seen = "new MutationObserver(() => { window.none ||= !!document.querySelector('.all-well'); })"
    visitor.page.evaluate(f"{seen}.observe(document.body, {{ childList: true, subtree: true }})")
    waiting = visitor.held_back("**/api/v1/alarms*")
    await_that("they are being read", lambda: looked_on(visitor, waiting) > 0, 10.0)
    sign_in_in_another_tab(visitor, "anna.k")
    expect(account(visitor)).to_have_text("Anna")
    waiting[0].continue_()
    visitor.page.unroute("**/api/v1/alarms*")
    expect(alarm).to_be_visible(timeout=2_000)  # and not only when they are due again
    assert not visitor.page.evaluate("window.none")


def test_what_was_refused_at_an_alarm_as_the_page_changed_hands_is_said(house: House, visitor: Visitor) -> None:
    assert house.clinic.ask(op="stop", device="stim-04", issued_by="vera", reason="a test")["ok"]
    visitor.sign_in("mira", anew=True)
    visitor.go("alarms")
    card = visitor.page.locator("[data-code=A03]", has_text="stim-04")
    refused = hears_who_it_is_once_refused(visitor, "**/acknowledge")
    sign_in_in_another_tab(visitor, "oskar")
    card.get_by_role("button", name="Acknowledge").click()
    expect(card.locator(".wrong")).to_contain_text(AS_ANOTHER)
    expect(account(visitor)).to_have_text("Oskar")
    expect(card.locator(".wrong")).to_be_visible()
    assert refused == [403]
