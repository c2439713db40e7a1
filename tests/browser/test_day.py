"""A day at the page, with the mouse: refused, authorised, started, seen, stopped, released."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from demo.processes import await_that
from tests.browser.house import House
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

MILLISECONDS = re.compile(r"zero current measured \d+\s?ms")


def test_who_is_not_signed_in_sees_nothing_but_the_door(house: House, visitor: Visitor) -> None:
    visitor.page.goto(house.url + "#/device/stim-01")
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    visitor.fill_in("anna.k", "not-her-password-at-all")
    expect(visitor.page.get_by_text("User or password is wrong.").first).to_be_visible()
    assert visitor.page.locator("[data-device]").count() == 0


def test_a_request_is_refused_with_every_reason(visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("anna.k")
    page.get_by_role("link", name="Request a session").click()
    page.get_by_label("Device", exact=True).select_option("stim-02")
    page.get_by_role("button", name="New client").click()
    page.get_by_label("epilepsy").check()
    page.get_by_label("Where the pads go").select_option("front_of_neck")
    page.get_by_label("Strongest setting, mA").fill("140")
    page.locator("#asked").check()

    would = page.locator("#verdict .refusals")
    expect(would.locator("[data-rule=placement]")).to_contain_text("Electrodes must not go there: front of the neck.")
    page.get_by_role("button", name="Request it").click()
    expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    visitor.picture("refused")
    rules = {one.get_attribute("data-rule") for one in would.locator("li").all()}
    assert rules == {"screening_relative", "placement", "limit"}
    expect(would).to_contain_text("Epilepsy needs the recorded override of a named clinician.")
    expect(would).to_contain_text("Peak current 140.0 mA is above its limit of 130.0 mA. (envelope)")
    expect(would).to_contain_text("Peak current 140.0 mA is above its limit of 120.0 mA. (model)")

    # A clinician who is one, and a site that is allowed: only the limit is left.
    page.get_by_label("Overridden by").fill("clara.m")
    page.get_by_label("Where the pads go").select_option("thigh")
    expect(would.locator("[data-rule=screening_relative]")).to_have_count(0)
    expect(would.locator("[data-rule=placement]")).to_have_count(0)
    assert {one.get_attribute("data-rule") for one in would.locator("li").all()} == {"limit"}


AT_ONCE = """() => {
    for (const name of ["epilepsy", "cardiac_condition"])
        document.querySelector(`input[name=finding][value=${name}]`).click();
    for (const [id, value] of [["body_site", "front_of_neck"], ["duration_s", "10"], ["setting_ma_max", "140"]]) {
        const field = document.getElementById(id);
        field.value = value;
        for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
}"""


def test_nothing_is_lost_that_is_entered_before_the_page_has_drawn_anew(visitor: Visitor) -> None:
    """On a busy tablet that may take a second: what was found, and where the pads go, stand all the same."""
    page = visitor.page
    visitor.sign_in("anna.k")
    visitor.go("request", "stim-02")
    expect(page.get_by_label("epilepsy")).to_be_visible()
    page.evaluate(AT_ONCE)

    would = page.locator("#verdict .refusals")
    expect(would.locator("[data-rule=placement]")).to_be_visible()
    expect(would).to_contain_text("Epilepsy needs the recorded override of a named clinician.")
    expect(would).to_contain_text("Cardiac condition needs the recorded override of a named clinician.")
    expect(would).to_contain_text("Peak current 140.0 mA")
    visitor.drawn()
    assert page.get_by_label("epilepsy").is_checked()
    assert page.get_by_label("Where the pads go").input_value() == "front_of_neck"
    assert page.get_by_label("Duration").input_value() == "10"


def test_a_session_from_request_to_release(house: House, visitor: Visitor, mira: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("anna.k")
    visitor.go("request", "stim-01")
    page.get_by_label("Client token").fill(house.client())
    page.locator("#asked").check()
    expect(page.get_by_text("Nothing speaks against it now.").first).to_be_visible()
    page.get_by_role("button", name="Request it").click()
    expect(visitor.title("Session")).to_be_visible()
    expect(page.get_by_text("Arm and start it at stim-01.")).to_be_visible()

    house.start("stim-01", to_ma=10)  # the therapist, at the device
    expect(page.locator(".device-head .badge")).to_have_text("running")
    expect(page.locator(".device-head")).to_contain_text("10.0 mA")
    drawn = visitor.samples_drawn()
    await_that("the trace goes on", lambda: visitor.samples_drawn() >= drawn + 3, 10.0)

    page.locator("#dock [data-stop='device/stim-01']").click()  # a tap does nothing
    expect(page.locator("#dock [data-stop='device/stim-01']")).to_have_attribute("data-gesture", "short")
    visitor.outlast_a_hold()
    assert house.clinic.device("stim-01")["phase"] == "running"
    assert page.locator(".truth").count() == 0

    visitor.hold("device/stim-01")
    truth = visitor.truth()
    expect(truth).to_contain_text(MILLISECONDS)
    expect(truth).to_contain_text(re.compile(r"received \d+\s?ms"))
    await_that("nothing flows", lambda: house.clinic.truth("stim-01")["true_ma"] < 1.0, 5.0)
    visitor.picture("zero-measured")
    (told,) = [stop for stop in _stops(visitor) if stop["device"] == "stim-01"]
    zero_ms = round(told["devices"][0]["sent_to_zero_s"] * 1000)
    expect(truth).to_contain_text(re.compile(rf"zero current measured {zero_ms}\s?ms"))

    visitor.go("overview")
    room = page.locator("[data-room=room-1]")
    expect(room).to_contain_text("1 abnormal")
    expect(visitor.device("stim-01")).to_contain_text("latched, held")

    mira.sign_in("mira")
    mira.page.get_by_role("link", name="See alarm").click()
    alarm = mira.page.locator("[data-code=A03]")
    expect(alarm).to_contain_text("room-1, stim-01")
    expect(alarm).to_contain_text("See to the patient; then release the hold and reset it at the device.")
    alarm.get_by_role("button", name="Comment").click()
    alarm.get_by_label("Comment (no client data)").fill("=patient is well <b>")
    mira.page.keyboard.press("Enter")
    expect(alarm.locator(".comments")).to_have_text(re.compile("mira .*: =patient is well <b>"))
    alarm.get_by_role("button", name="Acknowledge").click()
    expect(alarm.locator(".signal")).to_have_text(re.compile("acknowledged until"))
    alarm.get_by_role("button", name="I take it").click()
    expect(alarm).to_contain_text("mira has it")

    visitor.go("device", "stim-01")
    expect(page.locator(".release .conditions")).to_contain_text("zero current has been measured")
    page.get_by_role("button", name="Release stim-01").click()
    expect(page.get_by_text("Released. Reset it at the device.").first).to_be_visible()
    await_that("no hold is left", lambda: not house.clinic.device("stim-01")["holds"], 5.0)
    expect(page.get_by_role("heading", name="Reset at the device")).to_be_visible()
    house.insist("stim-01", "reset")
    expect(page.locator(".device-head .badge")).to_have_text("ready")
    expect(mira.page.locator(".alarm-strip.noted")).to_be_visible()  # it is quiet; it is over 10 s after its cause


def test_what_it_came_to_agrees_with_the_journal(house: House, mira: Visitor) -> None:
    page = mira.page
    mira.sign_in("mira")
    mira.go("usage")
    page.get_by_role("button", name="Device", exact=True).click()
    shown = page.get_by_role("region", name="Numbers").get_by_role("row").filter(has_text="stim-01")
    one = house.usage(by="device")["stim-01"]
    assert one["started"] >= 1
    expect(shown).to_contain_text(f"{one['session_s'] / 60:.1f}\u202fmin")
    cells = shown.get_by_role("cell").all_inner_texts()
    names = ["authorised", "refused", "started", "completed", "stopped", "aborted"]
    assert [int(cell) for cell in cells[: len(names)]] == [one[name] for name in names]

    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = {row["device"]: row for row in csv.DictReader(file)}
    assert float(rows["stim-01"]["session_s"]) == one["session_s"]
    assert int(rows["stim-01"]["stopped"]) == one["stopped"]

    mira.go("health")
    expect(page.get_by_role("row").filter(has_text="stim-01").first).to_contain_text("Certificate")
    expect(page.get_by_role("row").filter(has_text="stim-01").first).to_contain_text("Ω")


def _stops(visitor: Visitor) -> list[dict[str, Any]]:
    stops: list[dict[str, Any]] = visitor.ask("stops")["stops"]
    return stops
