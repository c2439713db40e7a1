"""The same day without a mouse: everything can be reached, is seen when it is, and is told to a screen reader."""

import re

import pytest
from playwright.sync_api import expect

from demo.processes import await_that
from tests.browser.house import PASSWORD, House
from tests.browser.keyboard import Keyboard
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")


def test_a_session_and_a_stop_by_keyboard_alone(house: House, visitor: Visitor) -> None:
    page, keys = visitor.page, Keyboard(visitor.page)
    page.goto(house.url)
    keys.to("User")
    keys.type("anna.k")
    keys.to("Password")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(visitor.title("Overview")).to_be_visible()
    expect(visitor.device("stim-04")).to_be_visible()

    keys.enter("Request a session")
    expect(visitor.title("Request a session")).to_be_focused()  # a screen reader is told where it is
    keys.choose("Device", "stim-04")
    keys.to("Client token")
    keys.type(house.client())
    keys.to("epilepsy")
    keys.press("Space")
    keys.to("I have asked about every one")
    keys.press("Space")
    keys.enter("Request it")
    expect(page.locator("#verdict")).to_be_focused()  # with the reasons
    expect(page.locator("#verdict .refusals")).to_contain_text("Epilepsy needs the recorded override")
    keys.back_to("epilepsy")
    keys.press("Space")
    expect(page.locator("#asked")).not_to_be_checked()  # other findings are asked for anew
    keys.to("I have asked about every one")
    keys.press("Space")
    keys.enter("Request it")
    expect(visitor.title("Session")).to_be_focused()
    house.start("stim-04")
    expect(page.locator(".device-head .badge")).to_have_text("running")

    keys.press("Shift+Tab", "Shift+Tab")
    keys.enter("Skip to emergency stop")
    expect(page.locator("#dock")).to_be_focused()
    keys.to("Emergency stop: stim-04")
    keys.press("Enter")  # once is no stop
    expect(page.locator("#polite")).to_contain_text("Press Enter again to stop stim-04.")
    assert house.clinic.device("stim-04")["phase"] == "running"
    keys.press("Enter")
    expect(page.locator("#assertive")).to_contain_text(re.compile(r"stim-04: zero current measured after \d+\s?ms\."))
    await_that("nothing flows", lambda: house.clinic.truth("stim-04")["true_ma"] < 1.0, 5.0)

    keys.enter("stim-04")  # from the session to its device
    expect(visitor.title("Device stim-04")).to_be_focused()
    expect(page.locator(".release .conditions")).to_contain_text("zero current has been measured")
    keys.enter("Release stim-04")
    expect(page.get_by_text("Released. Reset it at the device.").first).to_be_visible()
    await_that("no hold is left", lambda: not house.clinic.device("stim-04")["holds"], 5.0)
    house.insist("stim-04", "reset")
    keys.enter("Sign out")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_alarms_usage_and_csv_by_keyboard_alone(house: House, mira: Visitor) -> None:
    page, keys = mira.page, Keyboard(mira.page)
    mira.sign_in("mira")
    answer = house.clinic.ask(op="stop", device="stim-03", issued_by="vera", reason="a test")
    assert answer["ok"], answer
    expect(page.locator("[data-room=room-2]")).to_contain_text("1 abnormal")
    keys.enter("Alarms")
    expect(mira.title("Alarms")).to_be_focused()
    alarm = page.locator("[data-code=A03]", has_text="stim-03")
    expect(alarm).to_be_visible()
    keys.enter("room-2, stim-03")  # the alarm's own heading, then what can be done about it
    expect(mira.title("Device stim-03")).to_be_focused()
    keys.enter("Acknowledge")
    expect(alarm.locator(".signal")).to_have_text(re.compile("acknowledged until"))

    keys.enter("Usage")
    expect(mira.title("Usage")).to_be_focused()
    keys.enter("Room")
    expect(page.get_by_role("button", name="Room", exact=True)).to_have_attribute("aria-pressed", "true")
    keys.to("Download CSV")
    with page.expect_download() as download:
        keys.press("Enter")
    assert download.value.suggested_filename == "usage-by-room.csv"


def test_a_key_that_is_kept_down_stops_nothing(house: House, visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("vera")
    visitor.go("device", "stim-02")
    expect(visitor.title("Device stim-02")).to_be_focused()  # from then on the focus is the visitor's
    Keyboard(page).to("Emergency stop: stim-02")
    for _ in range(6):  # Playwright repeats a key that it presses again before it is let go
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.locator("#dock [data-stop='device/stim-02']")).to_have_attribute("data-gesture", "armed")
    assert page.locator(".truth").count() == 0
    assert not house.clinic.device("stim-02")["holds"]
