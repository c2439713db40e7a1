"""What people are shown of people: who has an alarm, who is on call, and which way to them is proven."""

from dataclasses import replace
from typing import Any

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Measured
from fleet.core.rota import Override
from fleet.views import alarm_rows, on_call_rows, people_rows
from fleet.words.alarms import alarm_words
from fleet.words.events import event_words
from tests.core.clinic import HOUR_S
from tests.core.on_call import ROTA, OnCall


def over_limit(clinic: OnCall) -> None:
    fault = Measured("amplitude_ma", 60.0, 45.0)
    clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))


def test_an_alarm_shows_who_has_it_until_when_and_what_was_said() -> None:
    clinic = OnCall()
    clinic.ready()
    over_limit(clinic)
    clinic.rejects("A02", reason="with a client")
    clinic.comments("A02", "relay clicks")
    (row,) = alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)
    assert (row["responsibility"], row["rung"], row["silent_until"]) == ("notified", 2, None)
    assert [(said["by"], said["text"]) for said in row["comments"]] == [("anna", "relay clicks")]
    clinic.accepts("A02", by="ben")
    (row,) = alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)
    assert (row["responsibility"], row["by"], row["signal"]) == ("accepted", "ben", "acknowledged")
    # Sunday noon, a second after the devices were heard: ten minutes from then.
    assert row["silent_until"] == "2026-11-22T12:10:01.000Z"


def test_each_way_to_each_person_shows_when_it_was_last_proven() -> None:
    assert people_rows(OnCall(rota=None).state) == []
    clinic = OnCall()
    clinic.drills("anna")
    phone, mail = clinic.pages("anna")
    clinic.answers(phone)
    clinic.failed("anna", why="no such host")
    anna, ben, _ = people_rows(clinic.state)
    assert (anna["person"], anna["name"]) == ("anna", "Anna")
    assert [(way["method"], way["last_proven"], way["failed"]) for way in anna["methods"]] == [
        ("phone", "2026-11-22T12:00:00.000Z", None),  # who has answered was reached
        ("mail", None, "no such host"),
    ]
    assert anna["methods"][1]["priorities"] == ["low", "info"]
    assert [way["last_proven"] for way in ben["methods"]] == [None]
    assert mail not in clinic.state.durable.drills


def test_who_is_on_call_is_shown_for_each_rotation() -> None:
    assert on_call_rows(OnCall(rota=None).state, 0.0) == {}
    clinic = OnCall()
    nobody = Override(person=None, from_wall_s=clinic.wall_s, until_wall_s=clinic.wall_s + HOUR_S)
    assert on_call_rows(clinic.state, clinic.wall_s) == {"on-call": "anna"}
    clinic.changes_rota(rotations={"on-call": replace(ROTA.rotations["on-call"], overrides=(nobody,))})
    assert on_call_rows(clinic.state, clinic.wall_s) == {"on-call": None}


@pytest.mark.parametrize(
    ("quantity", "value", "said"),
    [
        ("no_rota", None, "Site: there is no rota, so nobody is told. Import one: `stimfleet rota import FILE`."),
        ("cover_gap_in_s", 7200.0, "Site: nobody is on call from then on (in 2 h). Fill the gap in the rota."),
        ("cover_gap_in_s", 0.0, "Site: nobody is on call from then on (now). Fill the gap in the rota."),
        ("pager_silent", None, "Site: whoever delivers messages is not heard. Start `stimfleet pager`"),
        ("heartbeat_missing", None, "Site: the dead-man's switch outside does not take the heartbeat."),
        ("delivery_failed", 3.0, "Site: the last messages were delivered to nobody."),
        ("drill_failed", None, "Site: a test alarm was not delivered, or not answered."),
        ("not_proven_for_days", 30.0, "Site: a way to a person is untested (for 30 days)."),
    ],
)
def test_a12_says_what_is_unproven_and_what_to_do(quantity: str, value: float | None, said: str) -> None:
    why = {"cause": None, "quantity": quantity, "value": value, "limit": None}
    alarm: dict[str, Any] = {
        "code": "A12",
        "priority": "medium",
        "device": None,
        "room": None,
        "members": [],
        "why": why,
    }
    assert alarm_words(alarm).startswith(f"MEDIUM {said}")


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("store_refuses", "Site: samples are not kept, their disk or store takes nothing. Make room for the history:"),
        ("samples_dropped", "Site: samples were dropped for good. See what `stimfleet recorder --status` says;"),
        ("store_waits", "Site: the store of the samples is away, they wait on the recorder's disk. See what"),
        (
            "recorder_silent",
            "Site: the recorder is gone, samples are not kept. Start `stimfleet recorder`; see",
        ),
    ],
)
def test_a13_says_what_is_not_kept_and_what_to_do(quantity: str, said: str) -> None:
    why = {"cause": None, "quantity": quantity, "value": None, "limit": None}
    alarm: dict[str, Any] = {
        "code": "A13",
        "priority": "medium",
        "device": None,
        "room": None,
        "members": [],
        "why": why,
    }
    assert alarm_words(alarm).startswith(f"MEDIUM {said}")


def test_a10_says_what_it_is_about_and_which_rung_was_told() -> None:
    clinic = OnCall()
    clinic.ready()
    over_limit(clinic)
    clinic.rejects("A02")
    clinic.after(1.0)
    rows = alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)
    assert alarm_words(rows[1]).startswith(
        "HIGH Room room-4, stim-12: nobody has accepted the page in its time (A02, rung 2). "
    )


def test_the_journal_tells_the_night_in_words() -> None:
    place = {"code": "A02", "device": "stim-12", "room": "room-4"}
    page = {**place, "person": "anna", "method": "phone", "rung": 1, "act": "trigger", "drill": False}
    told: list[tuple[str, dict[str, Any], str]] = [
        ("RungReached", {**place, "rung": 2, "nobody": True}, "alarm A02 Room room-4, stim-12: rung 2 reaches NOBODY"),
        ("PageDue", page, "alarm A02 Room room-4, stim-12: anna is to be told by phone, rung 1"),
        ("PageDue", {**page, "drill": True}, "test alarm: anna is to be told by phone, rung 1"),
        (
            "PageDue",
            {**page, "act": "resolve", "rung": 0},
            "alarm A02 Room room-4, stim-12: anna is to be told that it is over by phone",
        ),
        (
            "PageMissed",
            {**page, "after_s": 15.0, "why": "silence"},
            "message to anna by phone: NOT delivered after 15.0 s (silence)",
        ),
        (
            "DigestDue",
            {"person": "anna", "method": "mail", "alarms": [{**place, "code": "A08"}] * 8, "more": 2},
            "digest for anna by mail: " + ", ".join(["A08 Room room-4, stim-12"] * 6) + " and 4 more",
        ),
        ("AlarmSounded", {**place, "reason": "joined"}, "alarm A02 Room room-4, stim-12: sounds again, another device"),
        ("RotaAdopted", {"rota": None}, "there is NO rota: nobody is told"),
        ("StoreFailed", {"trouble": "samples_dropped"}, "recorder: samples were dropped for good"),
        ("ChannelProven", page, "test alarm to anna: answered, phone is proven"),
        ("ChannelProven", {**page, "issued_by": "ben"}, "test alarm to anna: answered by ben, phone is proven"),
        ("StoreTook", {}, "recorder: the store takes what it is given"),
        ("RecorderEnded", {}, "recorder: ended in order, nothing more is kept"),
    ]
    for name, body, said in told:
        assert str(event_words(name, body)).startswith(said)
