"""When it goes wrong the page says so: a stop that nobody hears, one that is not confirmed, data that are old."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from demo.processes import await_that
from tests.browser.house import DEVICES, House
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("orderly")

GAPS = re.compile(r"gaps: (\d+)")
AT_THE_WALL = "NOT confirmed: switch it off at the wall"


@contextmanager
def held_up(pid: int) -> Iterator[None]:
    """It neither works nor ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stop_that_is_not_confirmed_sends_people_to_the_wall(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")  # whoever sees something wrong may stop it
    house.treat("stim-02")
    visitor.go("device", "stim-02")
    expect(visitor.page.locator(".device-head .badge")).to_have_text("running")
    with held_up(house.clinic.simulate.pid):
        visitor.hold("device/stim-02")
        expect(visitor.truth()).to_contain_text(AT_THE_WALL)
        expect(visitor.page.locator("#assertive")).to_contain_text("stim-02: NOT confirmed. Switch it off at the wall.")
        strip = visitor.page.locator(".alarm-strip")
        expect(visitor.page.locator(".release .not-met")).to_contain_text("zero current has NOT been measured yet")
        visitor.picture("not-confirmed")
        expect(strip).to_contain_text("HIGH")
        expect(strip).to_contain_text("room-1, stim-02: Output not confirmed zero. Switch it off at the wall.")
        assert visitor.truth().get_by_role("button", name="Close").count() == 0  # it stays until it is known
    expect(visitor.truth()).to_contain_text(re.compile(r"zero current measured [\d.,]+\s?m?s"))
    expect(visitor.truth()).not_to_contain_text(AT_THE_WALL)
    visitor.truth().get_by_role("button", name="Close").click()
    expect(visitor.page.locator(".truth")).to_have_count(0)


def test_a_person_who_stands_at_a_silent_device_says_that_it_is_off(house: House, visitor: Visitor) -> None:
    """Taken once nothing has been heard of it for long enough, and shown as what it is: seen, not measured."""
    visitor.sign_in("anna.k")
    house.treat("stim-02")
    visitor.go("device", "stim-02")
    seen_off = visitor.page.get_by_role("button", name="I stand at it and have seen that it is off")
    noted = visitor.page.get_by_text("Noted: a person has seen that it is off.").first
    with held_up(house.clinic.simulate.pid):
        visitor.hold("device/stim-02")
        seen_off.click()
        refused = visitor.page.locator(".release .refusals")
        expect(refused).to_contain_text("The device is heard: what it measures counts.")  # seconds ago
        expect(visitor.truth()).to_contain_text(AT_THE_WALL)
        await_that("it is silent", lambda: house.clinic.device("stim-02")["presence"] != "fresh", 20.0)
        seen_off.click()
        expect(noted).to_be_visible()
        expect(visitor.truth()).to_contain_text("a person has seen that it is off; nothing was measured")
        expect(visitor.truth()).not_to_contain_text(AT_THE_WALL)
        expect(seen_off).to_have_count(0)
        loud = visitor.page.locator("#assertive")
        expect(loud).to_contain_text("stim-02: a person has seen that it is off; nothing was measured.")
        expect(loud).not_to_contain_text("zero current measured")
        visitor.picture("seen-off")
        (told,) = visitor.ask("stops")["stops"][0]["devices"]
        assert (told["standing"], told["amplitude_ma"]) == ("off_by_person", None)
        visitor.truth().get_by_role("button", name="Close").click()
        expect(visitor.page.locator(".truth")).to_have_count(0)


def test_nothing_of_a_silent_device_looks_like_now(house: House, visitor: Visitor) -> None:
    """Wherever its numbers stand: on its session, on itself, in its room, on its line."""
    visitor.sign_in("vera")
    session = house.treat("stim-02")
    visitor.go("session", session)
    head = visitor.page.locator(".device-head")
    expect(head).to_contain_text("8.0 mA")
    expect(head.locator(".badge")).to_have_text("running")
    with held_up(house.clinic.simulate.pid):
        expect(head.locator(".badge")).to_have_text("stale")
        expect(head).to_contain_text("its session was running.")
        expect(head).to_contain_text("Its device is silent: without permission it ends by itself.")
        expect(head).not_to_contain_text("mA")
        visitor.picture("session-stale")
        visitor.go("device", "stim-02")
        expect(head.locator(".badge")).to_have_text("stale")
        expect(head).not_to_contain_text("mA")
        visitor.hold("device/stim-02")
        expect(head.locator(".badge")).to_have_text("zero NOT confirmed")
        expect(head).to_contain_text("Silent for")
        expect(head).not_to_contain_text("mA")
        visitor.picture("device-silent-unconfirmed")
        visitor.go("room", "room-1")
        expect(visitor.device("stim-02")).to_contain_text("zero NOT confirmed")
        expect(visitor.device("stim-02")).not_to_contain_text("mA")
        visitor.go("overview")
        expect(visitor.device("stim-02")).to_contain_text("silent for")
        expect(visitor.device("stim-02")).not_to_contain_text("mA")
        visitor.go("session", session)
        expect(head.locator(".badge").first).to_have_text("zero NOT confirmed")
        expect(head).not_to_contain_text("mA")
        visitor.picture("session-unconfirmed")


def test_the_whole_site_is_stopped_and_released(house: House, visitor: Visitor) -> None:
    visitor.sign_in("anna.k")
    house.treat("stim-02")
    visitor.hold("site/north")
    expect(visitor.truth()).to_contain_text(f"Zero current measured on {len(DEVICES)} of {len(DEVICES)} devices.")
    assert house.clinic.truth("stim-02")["true_ma"] < 1.0
    visitor.picture("site-stopped")
    visitor.go("device", "stim-04")
    visitor.page.get_by_role("button", name="Release the whole site").click()
    await_that("nothing is held", lambda: not any(house.clinic.device(device)["holds"] for device in DEVICES), 10.0)


def test_a_stop_that_nobody_hears_is_said_to_be_unheard_and_sent_again(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.go("room", "room-3")
    expect(visitor.device("stim-04")).to_be_visible()
    with held_up(house.web.pid):
        visitor.hold("room/room-3")
        expect(visitor.truth()).to_contain_text("Nobody answers: NOT known whether it has gone out. Use the button")
        assert not house.clinic.device("stim-04")["holds"]
    expect(visitor.truth()).to_contain_text(re.compile(r"zero current measured \d+\s?ms"))
    assert house.clinic.device("stim-04")["holds"]


def test_the_page_says_loudly_that_its_data_are_old(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")
    note = visitor.page.locator(".note.high")
    expect(note).to_have_count(0)
    with held_up(house.web.pid):
        expect(note).to_contain_text("OLD DATA. Nothing has been heard from the server for")
        expect(visitor.device("stim-04")).to_contain_text("stale")
        visitor.picture("old-data")
        assert visitor.page.evaluate("getComputedStyle(document.querySelector('.view')).opacity") != "1"
    expect(note).to_have_count(0)


def test_without_the_fleet_nothing_looks_fresh(house: House, visitor: Visitor) -> None:
    visitor.sign_in("vera")
    expect(visitor.device("stim-04")).to_contain_text("ready")
    with held_up(house.clinic.fleet.pid):  # the supervisor, which would start it again at once
        os.kill(house.clinic.ask(op="status")["pid"], signal.SIGKILL)
        expect(visitor.page.locator(".note.high")).to_contain_text("OLD DATA. The fleet service does not answer")
        expect(visitor.device("stim-04")).to_contain_text("stale")
    expect(visitor.page.locator(".note.high")).to_have_count(0)
    house.clinic.await_devices({"stim-04"})
    expect(visitor.device("stim-04")).to_contain_text("ready")


def test_samples_that_did_not_come_are_a_gap(house: House, visitor: Visitor) -> None:
    visitor.sign_in("anna.k")
    house.treat("stim-02")
    visitor.go("device", "stim-02")
    trace = visitor.page.locator(".panels")
    expect(trace).to_have_attribute("aria-label", GAPS)
    before = gaps(visitor)
    with held_up(house.clinic.simulate.pid):
        expect(trace).to_have_attribute("aria-label", re.compile(f"gaps: {before + 1}"))  # while nothing comes
        visitor.go("overview")
        expect(visitor.device("stim-02")).to_contain_text("stale")
    visitor.go("device", "stim-02")
    expect(trace).to_have_attribute("aria-label", re.compile("current now [1-9].*gaps: "))  # it goes on
    assert gaps(visitor) == before + 1


def gaps(visitor: Visitor) -> int:
    """As the trace is told to whoever does not see it, with a sample that has just come: silence is a gap, too."""
    told = visitor.page.wait_for_function(
        """drawn => {
            const trace = document.querySelector(".panels");
            return Number(trace?.dataset.samples) > drawn && trace.getAttribute("aria-label");
        }""",
        arg=visitor.samples_drawn(),
    )
    found = GAPS.search(str(told.json_value()))
    assert found
    return int(found[1])
