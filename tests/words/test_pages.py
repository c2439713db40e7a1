"""What a message says: one line for a lock screen, and nothing of a client."""

import re
from dataclasses import asdict, replace

import pytest

from fleet.core.attention_events import DigestDue, DigestLine, PageDue
from fleet.core.attention_state import Act
from fleet.paging.links import Link
from fleet.paging.pager import RUNBOOK
from fleet.words.pages import (
    LINE_CHARS_MAX,
    Surroundings,
    digest_message,
    link_line,
    page_message,
    plain_message,
    runbook_anchors,
)
from tests.core.clinic import Clinic
from tests.core.on_call import INFO, OnCall

AROUND = Surroundings(
    site="north",
    link_for=lambda page: f"https://fleet.example/l/{page.page_id}",
    runbook_url="https://wiki.example/runbook",
    anchors={"A02": "a02-output-beyond-a-limit"},
)


@pytest.fixture
def clinic() -> OnCall:
    clinic = OnCall()
    clinic.running()
    clinic.shows("stim-12", amplitude_ma=90.0)
    return clinic


def newest(clinic: Clinic, act: Act = Act.TRIGGER) -> PageDue:
    return next(event for event in reversed(clinic.journal) if isinstance(event, PageDue) and event.act is act)


def test_where_and_what_stand_in_one_line(clinic: OnCall) -> None:
    said = page_message(newest(clinic), clinic.state, AROUND)
    assert said.line == (
        "HIGH Room room-4, stim-12: output beyond a limit, or without permission (amplitude_ma 90 against 45). "
        "See to the patient; do not reset it before you know why."
    )
    assert said.details == ("A02, since 12:00 on 2026-11-22.",)
    assert said.link == f"https://fleet.example/l/{said.page_id}"
    assert said.runbook == "https://wiki.example/runbook#a02-output-beyond-a-limit"
    assert (said.site, said.room, said.device, said.rung, said.drill) == ("north", "room-4", "stim-12", 1, False)


def test_a_later_rung_says_which_call_it_is(clinic: OnCall) -> None:
    clinic.during(35.0)
    said = page_message(newest(clinic), clinic.state, AROUND)
    assert (said.rung, said.details[-1]) == (2, "Nobody has accepted it yet: this is call 2.")


def test_whoever_was_told_hears_who_has_it_and_when_it_is_over(clinic: OnCall) -> None:
    clinic.delivered("anna")
    clinic.accepts("A02", by="ben")
    said = page_message(newest(clinic, Act.ACKNOWLEDGE), clinic.state, AROUND)
    assert said.line.startswith("ben has it: HIGH Room room-4, stim-12: output beyond a limit")
    assert (said.link, said.by) == (None, "ben")
    over = replace(newest(clinic), act=Act.RESOLVE)
    assert page_message(over, clinic.state, AROUND).line == (
        "OVER Room room-4, stim-12: output beyond a limit, or without permission."
    )


def test_an_alarm_that_nobody_knows_any_more_is_told_by_its_order(clinic: OnCall) -> None:
    unknown = replace(newest(clinic), alarm_id="f" * 32)
    assert page_message(unknown, clinic.state, AROUND).line == (
        "HIGH Room room-4, stim-12: output beyond a limit, or without permission. "
        "See to the patient; do not reset it before you know why."
    )


def test_a_test_alarm_says_so_first(clinic: OnCall) -> None:
    clinic.drills("anna")
    said = page_message(newest(clinic), clinic.state, AROUND)
    assert said.line == "TEST, nothing is wrong. Answer it, so that the clinic knows that you are reached."
    code = said.page_id[:8]
    assert said.details == (
        f"In the page's phone view type {code}, or at the fleet's host: stimfleet rota answer {code}",
    )
    assert said.link is not None


def test_a_digest_names_three_and_counts_the_rest(clinic: OnCall) -> None:
    at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
    lines = tuple(
        DigestLine(alarm_id=f"{n:032x}", code=newest(clinic).code, device=f"stim-{n}", room="room-1") for n in range(4)
    )
    digest = DigestDue(
        **at,
        page_id="a1" * 16,
        person="anna",
        method="mail",
        kind="mail",
        until_s=clinic.now_s + 300.0,
        priority=INFO,
        alarms=lines,
        more=2,
    )
    said = digest_message(digest, clinic.state, AROUND)
    assert said.line == (
        "INFO 6 alarms: A02 Room room-1, stim-0; A02 Room room-1, stim-1; A02 Room room-1, stim-2; and 2 more."
    )
    assert said.details[-2:] == ("A02 Room room-1, stim-3", "and 2 more")
    one = digest_message(replace(digest, alarms=lines[:1], more=0), clinic.state, AROUND)
    assert one.line == "INFO 1 alarm: A02 Room room-1, stim-0."


def test_where_words_fail_an_order_still_says_where_and_what(clinic: OnCall) -> None:
    page = newest(clinic)
    plain = plain_message(page, AROUND)
    assert (plain.line, plain.link) == ("HIGH A02 room-4, stim-12.", f"https://fleet.example/l/{page.page_id}")
    over = plain_message(replace(page, act=Act.RESOLVE, device=None, room=None), AROUND)
    assert (over.line, over.link) == ("RESOLVE HIGH A02 north.", None)
    digest = DigestDue(
        now_s=0.0,
        wall_s=0.0,
        page_id="a1" * 16,
        person="anna",
        method="mail",
        kind="mail",
        until_s=0.0,
        priority=INFO,
        alarms=(),
        more=0,
    )
    assert plain_message(digest, AROUND).line == "INFO alarms north."


def test_no_message_of_a_long_night_has_a_client_in_it(clinic: OnCall) -> None:
    clinic.during(400.0)
    clinic.delivered("anna")
    orders = [event for event in clinic.journal if isinstance(event, PageDue)]
    assert len(orders) > 5
    for order in orders:
        said = repr(asdict(page_message(order, clinic.state, AROUND)))
        assert "c-47" not in said
        assert clinic.session_on().session_id not in said
        assert len(page_message(order, clinic.state, AROUND).line) <= LINE_CHARS_MAX


def test_a_line_that_is_too_long_is_cut() -> None:
    clinic = OnCall()
    clinic.running()
    clinic.shows("stim-12", amplitude_ma=90.0)
    long = replace(newest(clinic), device="s" * 300, alarm_id="f" * 32)
    line = page_message(long, clinic.state, AROUND).line
    assert (len(line), line[-3:]) == (LINE_CHARS_MAX, "...")


def test_every_code_leads_to_its_heading_in_the_runbook() -> None:
    anchors = runbook_anchors(RUNBOOK.read_text())
    assert set(anchors) == {f"A{n:02d}" for n in range(1, 14)}
    assert anchors["A01"] == "a01-stop-not-confirmed"
    assert all(re.fullmatch(r"[a-z0-9-]+", anchor) for anchor in anchors.values())
    assert Surroundings(site="north").runbook("A01") is None
    assert AROUND.runbook("A01") == "https://wiki.example/runbook", "one without a heading leads to the whole"


def test_a_link_shows_the_alarm_as_it_is_now(clinic: OnCall) -> None:
    page = newest(clinic)
    link = Link(page_id=page.page_id, alarm_id=page.alarm_id, person="anna", ends_s=0)
    assert (link_line(link, clinic.state) or "").startswith("HIGH Room room-4, stim-12: output beyond a limit")
    assert link_line(replace(link, alarm_id="f" * 32), clinic.state) is None
    clinic.accepts("A02", by="ben")
    assert (link_line(link, clinic.state) or "").endswith("before you know why. ben has it.")
