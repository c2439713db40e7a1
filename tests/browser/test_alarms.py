"""Alarms at the page: heard, paused for two minutes at most, put aside with a reason and an end, not by everybody."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")


def pushed(house: House, device: str) -> None:
    answer = house.clinic.ask(op="stop", device=device, issued_by="vera", reason="a test")
    assert answer["ok"], answer


def test_the_sound_is_paused_for_two_minutes_at_most_and_says_so(house: House, mira: Visitor) -> None:
    page = mira.page
    page.clock.install()
    mira.sign_in("mira")
    pushed(house, "stim-02")
    expect(page.locator(".alarm-strip")).to_contain_text("room-1, stim-02: Emergency stop.")
    page.get_by_role("button", name="Pause sound").click()
    paused = page.get_by_role("button", name="AUDIO PAUSED")
    expect(paused).to_have_text(re.compile(r"AUDIO PAUSED 1(20|19|18)\u202fs"))
    page.clock.fast_forward(118_000)
    expect(paused).to_be_visible()
    page.clock.fast_forward(4_000)
    expect(page.get_by_role("button", name="Pause sound")).to_be_visible()  # it sounds again by itself


def test_a_low_alarm_is_put_aside_with_a_reason_and_an_end(house: House, mira: Visitor) -> None:
    mira.sign_in("mira")
    refused = house.clinic.request("stim-02", client=house.client(), setting_ma_max=140.0)
    assert not refused["ok"]
    mira.go("alarms")
    alarm = mira.page.locator("[data-code=A06]", has_text="stim-02")
    expect(alarm).to_contain_text("An attempt beyond a limit was refused")
    alarm.get_by_role("button", name="Shelve").click()
    alarm.get_by_label("Why is it put aside?").fill("the plan is being written anew")
    alarm.get_by_label("For").select_option("2")
    alarm.get_by_role("button", name="Shelve").last.click()
    expect(alarm.locator(".signal")).to_have_text(re.compile(r"shelved until \d\d:\d\d"))
    alarm.get_by_role("button", name="Unshelve").click()
    expect(alarm.locator(".signal")).not_to_have_text(re.compile("shelved"))


def test_an_emergency_stop_is_never_put_aside_and_a_viewer_puts_nothing_aside(
    house: House, visitor: Visitor, mira: Visitor
) -> None:
    pushed(house, "stim-02")
    for one, user in ((mira, "mira"), (visitor, "vera")):
        one.sign_in(user)
        one.go("alarms")
        expect(one.page.locator("[data-code=A03]").first).to_contain_text("room-1, stim-02")
    alarm = mira.page.locator("[data-code=A03]", has_text="stim-02")
    assert alarm.get_by_role("button").all_inner_texts() == ["Acknowledge", "I take it", "I cannot", "Comment"]
    assert visitor.page.locator(".alarm-card").get_by_role("button").count() == 0
