"""On call in the browser: who has it, the week, gaps, the editor with its errors at their place, drills, the phone."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect

from demo.processes import await_that
from fleet.adapters.journal.reading import JournalReader
from tests.browser.axe import serious
from tests.browser.duty import begin_duty, end_duty
from tests.browser.house import PASSWORD, House
from tests.browser.keyboard import Keyboard
from tests.browser.visitor import Visitor

PHONE: Final = (360, 740)
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844), "phone": PHONE}
VIEWS: Final = {
    "rota": "On call",
    "rota/edit": "Change the rota",
    "figures": "Alarm figures",
    "call": "On call",
}
TOKEN: Final = "tgram://123456:bottoken/chat"


@pytest.fixture(scope="module")
def manager(house: House, browser: Browser) -> Iterator[Visitor]:
    """The manager, who stays signed in from test to test."""
    with Visitor(browser, house, SIZES["wide"]) as visitor:
        visitor.sign_in("mira")
        yield visitor


@pytest.fixture
def duty(house: House, manager: Visitor) -> Iterator[Visitor]:
    """The manager, and a rota that the fleet has."""
    manager.go("account")  # whatever the test before left open is not gone on with
    begin_duty(house, manager)
    yield manager
    manager.page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
    manager.page.emulate_media(color_scheme="light")
    end_duty(house, manager)


@pytest.fixture(scope="module")
def phone(house: House, browser: Browser) -> Iterator[Visitor]:
    """Whoever is on call, at their telephone."""
    with Visitor(browser, house, PHONE) as visitor:
        visitor.sign_in("otto")
        yield visitor


@pytest.fixture
def stopped(house: House) -> Iterator[str]:
    """An alarm of stim-02, while the test lasts: somebody has pushed its stop."""
    house.clinic.ask(op="stop", device="stim-02", issued_by="mira", reason="a test")
    yield "stim-02"
    await_that("it is released", lambda: house.clinic.ask(op="release", device="stim-02", issued_by="mira")["ok"], 10.0)
    house.insist("stim-02", "reset")


def on_disk(house: House) -> Any:
    return json.loads((house.clinic.site_dir / "rota.json").read_text())


def journaled(house: House, name: str) -> list[dict[str, Any]]:
    """Every event of that name."""
    reader = JournalReader(house.clinic.fleet_dir / "journal.db")
    try:
        return [dict(told.body) for told in reader.new() if told.name == name]
    finally:
        reader.close()


def test_every_view_of_it_is_usable_by_everybody(duty: Visitor, stopped: str) -> None:
    breaches = []
    for view, title in VIEWS.items():
        duty.go(view)
        expect(duty.title(title)).to_be_attached()
        duty.page.wait_for_function("() => !document.querySelector('main .waiting')")
        if view == "call":
            expect(duty.page.locator(".call-card[data-code=A03]", has_text=stopped)).to_be_visible()
        for size, (width, height) in SIZES.items():
            duty.page.set_viewport_size({"width": width, "height": height})
            duty.page.emulate_media(color_scheme="dark" if size == "wide" else "light")
            duty.drawn()
            duty.picture(f"{view.replace('/', '-')}-{size}", whole=view != "call")
            wider = duty.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            breaches += [f"{view} {size}: {wider} px wider than the window"] if wider > 0 else []
            if size != "narrow":
                breaches += [f"{view} {size}: {found}" for found in serious(duty.page)]
    assert not breaches, "\n".join(breaches)


def test_who_has_it_now_and_next_is_what_the_rota_says(duty: Visitor) -> None:
    duty.go("rota")
    first = duty.page.locator("[data-rung='high/1']")
    expect(first).to_contain_text("Oskar")  # petra had the week before
    expect(first).to_contain_text("08:00: Petra")
    expect(duty.page.locator("[data-rung='high/3']")).to_contain_text("Oskar, Petra, Quinn")
    expect(duty.page.get_by_text("No gap in cover")).to_be_visible()
    week = duty.page.locator("[data-rotation='on-call']")
    expect(week.locator("rect.own")).to_have_count(2)
    expect(week.locator(".turns li").last).to_contain_text("Oskar")


def test_a_stand_in_and_a_gap_are_edited_and_shown_red(house: House, duty: Visitor) -> None:
    page = duty.page
    duty.go("rota", "edit")
    page.get_by_role("button", name="Add a stand-in").click()
    stand_in = page.locator(".override")
    stand_in.get_by_label("Instead").select_option(label="nobody")
    page.get_by_role("button", name="Save the rota").click()
    expect(duty.title("On call")).to_be_visible()
    gaps = page.get_by_role("list", name="Gaps in cover")
    expect(gaps.locator("li")).to_have_count(2)  # of high, and of medium
    expect(gaps).to_contain_text("nobody is told first of HIGH alarms")
    page.get_by_role("button", name="Later").click()
    (override,) = on_disk(house)["rotations"][0]["overrides"]
    assert override["person"] is None
    expect(gaps.locator("li").first).to_have_css("color", "rgb(176, 16, 26)")  # of what is grave


def test_what_is_pressed_twice_before_the_page_has_drawn_anew_is_not_done_to_a_neighbour(duty: Visitor) -> None:
    duty.go("rota", "edit")
    rungs = duty.page.locator("#edit-rungs [data-rung^='rungs/high/']")
    expect(rungs.first).to_be_visible()
    before = rungs.count()
    twice = "button => { button.click(); button.click(); }"
    ladder = duty.page.locator("#edit-rungs .ladder-form").first
    ladder.get_by_role("button", name="Add one more who").evaluate(twice)
    expect(rungs).to_have_count(before + 2)
    rungs.nth(0).get_by_role("button", name="Remove number 1").evaluate(twice)
    expect(rungs).to_have_count(before + 1)
    duty.page.get_by_role("link", name="Cancel").click()  # or it is kept for the next who edits
    expect(duty.title("On call")).to_be_visible()


def test_an_error_stands_where_it_is_and_nothing_is_saved(house: House, duty: Visitor) -> None:
    before = on_disk(house)
    page = duty.page
    duty.go("rota", "edit")
    way = page.locator("[data-way='quinn/mail']")
    way.get_by_label("MEDIUM").uncheck()
    page.get_by_role("button", name="Remove number 1 of MEDIUM").click()
    page.get_by_role("button", name="Save the rota").click()
    expect(page.get_by_role("heading", name="Not saved")).to_be_visible()
    at_rung = page.locator("[data-rung='rungs/medium/1'] .wrong")
    expect(at_rung).to_have_text("Rung 1 of rungs.medium: quinn has no method for medium priority.")
    expect(page.get_by_text("1 error is marked where it is.")).to_be_visible()
    assert on_disk(house) == before
    way.get_by_label("MEDIUM").check()
    page.get_by_role("button", name="Save the rota").click()
    expect(duty.title("On call")).to_be_visible()
    assert on_disk(house)["rungs"]["medium"] == [["quinn"]]


def test_where_a_way_leads_is_typed_in_once_and_never_shown(house: House, duty: Visitor) -> None:
    page = duty.page
    duty.go("rota", "edit")
    form = page.locator("[data-person='quinn']")
    form.get_by_label("New way").fill("chat")
    form.get_by_role("button", name="Add way").click()
    page.locator("[data-way='quinn/chat']").get_by_label("Leads to").fill(TOKEN)
    page.get_by_role("button", name="Save the rota").click()
    expect(duty.title("On call")).to_be_visible()
    expect(page.locator("[data-person='quinn'] [data-way='chat']")).to_contain_text("chat tgram")
    assert "bottoken" not in page.content()
    quinn = on_disk(house)["people"][2]
    assert (house.clinic.site_dir / "secrets" / quinn["methods"][1]["secret"]).read_text() == f"{TOKEN}\n"
    assert quinn["methods"][0]["url"].startswith("mailto://"), "the other way leads where it did"


def test_of_two_who_edit_the_second_is_told(house: House, browser: Browser, duty: Visitor) -> None:
    duty.go("rota", "edit")
    duty.page.get_by_label("Daily digest at").fill("06:45")
    with Visitor(browser, house, SIZES["wide"]) as other:
        other.sign_in("mira")
        other.go("rota", "edit")
        other.page.get_by_label("Daily digest at").fill("07:15")
        other.page.get_by_role("button", name="Save the rota").click()
        expect(other.title("On call")).to_be_visible()
    duty.page.get_by_role("button", name="Save the rota").click()
    expect(duty.page.get_by_text("Somebody else has changed the rota meanwhile")).to_be_visible()
    duty.page.get_by_role("button", name="Read theirs").click()
    expect(duty.page.get_by_label("Daily digest at")).to_have_value("07:15")
    assert on_disk(house)["digest_at"] == "07:15"


def test_what_was_begun_is_still_there_when_an_alarm_called_one_away(house: House, duty: Visitor) -> None:
    before = on_disk(house)
    duty.go("rota", "edit")
    duty.page.get_by_label("Daily digest at").fill("06:10")
    duty.go("alarms")
    expect(duty.title("Alarms")).to_be_visible()
    duty.go("rota", "edit")
    expect(duty.page.get_by_text("What you had begun is still here")).to_be_visible()
    expect(duty.page.get_by_label("Daily digest at")).to_have_value("06:10")
    duty.page.get_by_role("button", name="Begin anew").click()
    expect(duty.page.get_by_label("Daily digest at")).to_have_value("07:30")
    assert on_disk(house) == before


def test_what_was_begun_is_not_there_for_whoever_comes_next(house: House, duty: Visitor, mira: Visitor) -> None:
    mira.sign_in("mira", anew=True)
    mira.go("rota", "edit")
    mira.page.get_by_label("Daily digest at").fill("06:10")
    short_name = mira.page.locator("#new-person")
    short_name.fill("half a na")
    mira.page.get_by_role("button", name="Sign out").click()
    mira.fill_in("mira", PASSWORD)  # or another manager, who is not asked either
    expect(mira.page.get_by_label("Daily digest at")).to_have_value("07:30")
    expect(short_name).to_have_value("")


def test_a_drill_is_pushed_and_what_came_of_it_is_shown(house: House, duty: Visitor) -> None:
    duty.go("rota")
    quinn = duty.page.locator(".people [data-person='quinn']")
    expect(quinn).to_contain_text("Never proven")
    quinn.get_by_role("button", name="Test Quinn").click()
    expect(quinn).to_contain_text("Test alarm is being sent")

    def page_id() -> str | None:
        drills = [one for one in journaled(house, "PageDue") if one["drill"] and one["person"] == "quinn"]
        return str(drills[-1]["page_id"]) if drills else None

    page = await_that("it is due", page_id, 10.0)
    house.clinic.ask(op="page_delivered", page_id=page)
    expect(quinn).to_contain_text("Waiting for the answer until")
    house.clinic.ask(op="drill_answered", page_id=page, issued_by="quinn")
    expect(quinn).to_contain_text("Proven")


def test_who_is_on_call_sees_the_rota_and_changes_nothing(duty: Visitor, phone: Visitor) -> None:
    assert duty.ask("rota")["in_use"]
    phone.go("rota")
    expect(phone.page.locator("[data-rung='high/1']")).to_contain_text("Oskar")
    expect(phone.page.get_by_role("link", name="Change the rota")).to_have_count(0)
    expect(phone.page.get_by_role("button", name="Test everyone")).to_have_count(0)
    phone.go("rota", "edit")
    expect(phone.page.get_by_text("Only managers change the rota.")).to_be_visible()


def test_on_the_phone_it_is_taken_with_one_thumb(phone: Visitor, stopped: str) -> None:
    phone.go("call")
    card = phone.page.locator(".call-card[data-code=A03]", has_text=stopped)
    take = card.get_by_role("button", name="I take it")
    expect(take).to_be_visible()
    dock = phone.page.locator("#dock").bounding_box()
    assert dock is not None
    for name in ("I take it", "Acknowledge", "I cannot"):
        box = card.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["height"] >= 56, "for a thumb"
        assert box["y"] + box["height"] <= dock["y"], "in reach without scrolling, and not under the stop"
    expect(card).to_contain_text("nobody has it")
    card.get_by_role("button", name="I cannot").click()
    card.get_by_role("button", name="With a patient").click()
    expect(card).to_contain_text("otto cannot (With a patient)")
    card.get_by_role("button", name="Acknowledge").click()
    expect(card.get_by_role("button", name="Acknowledge")).to_have_count(0)
    take.click()
    expect(card).to_contain_text("otto has it")


def test_on_the_phone_a_test_alarm_is_answered_by_the_code_of_its_message(
    house: House, duty: Visitor, phone: Visitor
) -> None:
    """By keyboard alone; a wrong code proves nothing. While no test is under way there is nothing of it."""
    phone.go("rota")
    expect(phone.page.locator("[data-rung='high/1']")).to_contain_text("Oskar")
    phone.go("call")
    expect(phone.page.locator(".call-rota")).to_contain_text("Oskar")
    test = phone.page.locator(".call-test")
    expect(test).to_have_count(0)
    assert house.clinic.ask(op="drill", person="quinn", issued_by="mira")["ok"]

    def code() -> str | None:
        drills = [one for one in journaled(house, "PageDue") if one["drill"] and one["person"] == "quinn"]
        open_ones = [one for one in drills if not proven(one["page_id"])]
        return str(open_ones[-1]["page_id"])[:8] if open_ones else None

    def proven(page_id: str) -> bool:
        return any(one["page_id"] == page_id for one in journaled(house, "ChannelProven"))

    def shown() -> bool:
        ways = [way for one in duty.ask("people")["people"] for way in one["methods"]]
        return any(way["drill"] is not None for way in ways)

    right = await_that("the test alarm is due", code, 10.0)
    await_that("the page's server has read so far, too", shown, 10.0)
    phone.go("rota")
    phone.go("call")
    expect(test).to_contain_text("A test alarm is under way")
    phone.drawn()  # the focus is on its title by now
    keyboard = Keyboard(phone.page)
    keyboard.to("Code in the message")
    keyboard.type("00000000")
    keyboard.press("Enter")
    expect(test.locator(".wrong")).to_contain_text("No open test alarm has this code")
    assert code() == right, "it is not answered"
    keyboard.press("Control+a")  # the focus is where it was
    keyboard.type(right.upper())
    keyboard.enter("I have got it")
    expect(test.locator(".done")).to_have_text("Proven: mail reaches quinn.")
    assert code() is None
    phone.broken.clear()  # the browser complains of the answer 404
    assert not serious(phone.page)


def test_the_phone_says_loudly_when_it_hears_nothing(phone: Visitor) -> None:
    phone.go("call")
    expect(phone.page.get_by_text("As of ", exact=False).first).to_be_visible()
    phone.page.context.set_offline(True)
    expect(phone.page.locator(".call-truth.old")).to_contain_text("OLD: not heard for", timeout=20_000)
    expect(phone.page.get_by_text("No alarm that has to be acted on.")).to_have_count(0)
    phone.page.context.set_offline(False)
    expect(phone.page.get_by_text("As of ", exact=False).first).to_be_visible(timeout=20_000)
    phone.broken.clear()  # the browser complains that it was offline


def test_by_keyboard_alone_a_stand_in_is_entered(house: House, duty: Visitor) -> None:
    duty.go("rota")
    expect(duty.title("On call")).to_be_focused()
    keyboard = Keyboard(duty.page)
    keyboard.enter("Change the rota")
    expect(duty.title("Change the rota")).to_be_focused()
    keyboard.enter("Add a stand-in")
    keyboard.choose("Instead", "Quinn")
    keyboard.enter("Save the rota")
    expect(duty.title("On call")).to_be_visible()
    assert on_disk(house)["rotations"][0]["overrides"][0]["person"] == "quinn"


def test_the_figures_and_a_devices_history_name_what_was(house: House, duty: Visitor, stopped: str) -> None:
    duty.go("device", stopped)
    history = duty.page.locator("#alarm-history")
    expect(history).to_contain_text("Emergency stop")
    duty.go("figures")
    expect(duty.page.get_by_role("row", name="A03 · Emergency stop")).to_be_visible()
    shown = duty.ask("alarms/figures")
    expect(duty.page.locator(".figures > div").first).to_contain_text(str(shown["total"]["alarms"]))
    with duty.page.expect_download() as download:
        duty.page.get_by_role("link", name="Download CSV").click()
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert lines[0].startswith('"code","alarms","high","medium"')
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == shown["total"]["alarms"]
