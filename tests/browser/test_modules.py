"""What the page works out by itself, held against figures worked out by hand; and that a language is one file."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.house import PASSWORD, House
from tests.browser.test_texts import LIVE, MODULES
from tests.browser.visitor import Visitor

AT = "2026-11-25T12:00:{:06.3f}Z"
POINTS = "/parts/trace-points.js"
NOON_S = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def page(house: House, browser: Browser) -> Any:
    page = browser.new_page()
    page.goto(house.url)
    yield page
    page.close()


def sample(at_s: float, phase: str = "running", *, late: bool = False, **more: object) -> dict[str, object]:
    return {"at": AT.format(at_s), "phase": phase, "late": late, "amplitude_ma": 10.0, **more}


def call(page: Page, module: str, name: str, *values: object) -> Any:
    return page.evaluate(
        "([module, name, values]) => import(module).then(module => module[name](...values))",
        [module, name, list(values)],
    )


def test_every_module_finds_what_it_imports(page: Page) -> None:
    """Views are fetched when they are opened: one that asks for a name that is gone would say so only then."""
    addresses = [f"/{path.relative_to(LIVE).as_posix()}" for path in MODULES]
    broken = page.evaluate(
        """async addresses => {
             const found = [];
             for (const address of addresses) await import(address).catch(error => found.push(`${address}: ${error}`));
             return found;
           }""",
        addresses,
    )
    assert broken == []


def test_three_samples_that_did_not_come_are_a_gap(page: Page) -> None:
    live = [sample(0.0), sample(0.5), sample(2.0), sample(4.0)]  # 1.5 s is a sample or two late; 2 s is a gap
    assert call(page, POINTS, "gapsIn", live) == [[NOON_S + 2.0, NOON_S + 4.0]]
    idle = [sample(0.0, "idle"), sample(5.0, "idle"), sample(25.0, "idle")]
    assert call(page, POINTS, "gapsIn", idle) == [[NOON_S + 5.0, NOON_S + 25.0]]


def test_what_came_late_fills_its_gap_and_what_is_missing_at_the_end_is_one(page: Page) -> None:
    gap = [NOON_S + 2.0, NOON_S + 4.0]
    assert call(page, POINTS, "merged", [gap, gap], [sample(2.0), sample(4.0)]) == [gap]
    assert call(page, POINTS, "merged", [gap], [sample(2.0), sample(3.0, late=True), sample(4.0)]) == []
    touching = [[NOON_S + 4.0, NOON_S + 6.0], gap]
    assert call(page, POINTS, "merged", touching, []) == [[NOON_S + 2.0, NOON_S + 6.0]]
    assert call(page, POINTS, "silenceSince", [sample(0.0)], NOON_S + 1.0) == []
    assert call(page, POINTS, "silenceSince", [sample(0.0)], NOON_S + 9.0) == [[NOON_S, NOON_S + 9.0]]


def test_nothing_is_joined_across_a_gap_and_late_samples_are_a_series_of_their_own(page: Page) -> None:
    samples = [sample(0.0), sample(2.0, late=True, amplitude_ma=7.0), sample(4.0, amplitude_ma=None)]
    columns = page.evaluate(
        """([module, samples, gaps]) => import(module).then(({ columnsOf, inTime, late }) =>
             columnsOf(samples, [inTime("amplitude_ma"), late("amplitude_ma")], gaps))""",
        [POINTS, samples, [[NOON_S + 2.0, NOON_S + 4.0]]],
    )
    assert columns == [
        [NOON_S, NOON_S + 2.0, NOON_S + 2.001, NOON_S + 4.0],
        [10.0, None, None, None],
        [None, 7.0, None, None],
    ]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("peak_ma", 12.345, "12.3\u202fmA"),
        ("setting_rise_ma_per_s_max", 5.0, "5.0\u202fmA/s"),
        ("density_ma_cm2_max", 2.0, "2.00\u202fmA/cm²"),
        ("session_s_max", 1800.0, "30\u202fmin"),
        ("ramp_up_s_min", 0.5, "0.5\u202fs"),
        ("battery_pct", None, "\u2013"),
    ],
)
def test_a_quantity_has_its_unit_by_its_name(page: Page, name: str, value: float | None, shown: str) -> None:
    assert call(page, "/core/formats.js", "quantity", name, value) == shown


def test_a_language_is_one_file_and_times_are_the_clinics(house: House, visitor: Visitor) -> None:
    page = visitor.page

    def me(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        if answer.ok:
            said |= {"language": "de", "time_zone": "Asia/Kathmandu"}
        route.fulfill(response=answer, body=json.dumps(said))

    english = (LIVE / "texts" / "en.js").read_text()
    german = english.replace("export const en =", "export const de =").replace('"Overview"', '"Übersicht"')
    page.route("**/api/v1/me", me)
    page.route("**/texts/de.js", lambda route: route.fulfill(body=german, content_type="text/javascript"))
    page.goto(house.url)
    visitor.fill_in("vera", PASSWORD)
    expect(visitor.title("Übersicht")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    there = datetime.now(UTC) + timedelta(hours=5, minutes=45)
    shown = page.locator(".clock").inner_text().replace("\n", " ")
    a_minute_before = there - timedelta(minutes=1)  # the clock may have gone on meanwhile
    assert shown in {f"{at:%H:%M} Asia/Kathmandu" for at in (there, a_minute_before)}
