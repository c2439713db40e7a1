"""What people are shown of alarms: one line with where, what and what to do; and a heading of the runbook for each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from broker.contract.causes import AlarmCode, Cause
from broker.contract.messages import Condition, EventKind, Measured, Phase
from fleet.core.alarm_table import ROWS
from fleet.core.events import AlarmRaised, OutputUnpermitted
from fleet.views import alarm_rows
from fleet.words.alarms import alarm_words
from fleet.words.events import event_words
from tests.core.clinic import HOUR_S, ONE, Clinic
from tests.core.crowd import Crowd

RUNBOOK = Path(__file__).parent.parent.parent / "dashboards" / "runbook.md"


def of(code: str, **changes: Any) -> dict[str, Any]:
    why = {"cause": None, "quantity": None, "value": None, "limit": None, **changes.pop("why", {})}
    alarm = {"code": code, "priority": "medium", "device": "stim-12", "room": "room-4", "members": [], "why": why}
    return {**alarm, **changes}


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ROWS)
def test_every_code_says_what_it_is_and_what_to_do(code: AlarmCode) -> None:
    words = alarm_words(of(code.value, priority=ROWS[code].priority))
    assert re.fullmatch(rf"{ROWS[code].priority.upper()} Room room-4, stim-12: [^.]+\. [A-Z].+\.", words)
    assert "_" not in words, "a person is not shown the names of the machinery"


@pytest.mark.parametrize("code", ROWS)
def test_every_code_has_one_heading_in_the_runbook_that_says_what_to_do_and_when_it_is_over(code: AlarmCode) -> None:
    sections = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)
    (section,) = (section for section in sections if section.startswith(f"{code} "))
    assert re.search(r"^1\. ", section, flags=re.MULTILINE)
    assert re.search(r"^Over: ", section, flags=re.MULTILINE)


def test_the_runbook_has_no_heading_for_what_cannot_be_raised() -> None:
    assert set(re.findall(r"^## (A\d\d)", RUNBOOK.read_text(), flags=re.MULTILINE)) == set(ROWS)


def test_the_words_of_a01_name_room_and_device_and_say_to_switch_it_off() -> None:
    why = {"cause": "emergency_stop", "quantity": "waited_s", "value": 1.026}
    assert alarm_words(of("A01", priority="high", why=why)) == (
        "HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall."
    )


@pytest.mark.parametrize(
    ("code", "why", "said"),
    [
        ("A02", {"quantity": "amplitude_ma", "value": 60.0, "limit": 45.0}, "(amplitude_ma 60 against 45)"),
        ("A02", {"quantity": "amplitude_ma", "value": 9.0}, "(amplitude_ma 9)"),
        ("A02", {"cause": "output_stuck", "quantity": "amplitude_ma", "value": 9.0}, "(stuck, amplitude_ma 9)"),
        ("A02", {"quantity": "amplitude_ma"}, "(no reading of its current)"),
        ("A03", {"cause": "patient_stop"}, "(pressed at the device)"),
        ("A03", {"cause": "emergency_stop"}, "(pushed)"),
        ("A04", {"quantity": "session_lost"}, "(its agent is gone)"),
        ("A04", {"quantity": "struck_off_unseen"}, "(struck off, and nobody has seen it off)"),
        ("A04", {"cause": "lease_lost"}, "(lease lost)"),
        ("A05", {"cause": "electrode_open", "quantity": "impedance_ohm"}, "(electrode open)"),
        ("A07", {"quantity": "offline"}, "offline. Check"),
        ("A09", {"quantity": "mac_invalid"}, "(mac invalid)"),
        (
            "A09",
            {"quantity": "session_overran"},
            ": by its device's record, a session lasted longer than it was authorised",
        ),
        ("A09", {"quantity": "too_many"}, ": it tells more than any device has to tell. Use another device"),
        ("A11", {"quantity": "due_in_s", "value": 12 * 86_400.0}, ": certificate due in 12 days."),
        ("A11", {"quantity": "due_in_s", "value": -1.0}, ": certificate 1 day overdue."),
        ("A11", {"quantity": "certificate_days_left", "value": 0.0}, ": certificate due today. Renew it"),
        ("A11", {"quantity": "calibration_days_left", "value": 1.0}, ": calibration due in 1 day. Have it calibrated"),
        ("A11", {"quantity": "safety_days_left", "value": -3.0}, ": safety check 3 days overdue."),
        ("A11", {"quantity": "safety_never_recorded"}, ": safety check never recorded."),
        ("A11", {"quantity": "calibration_hours_left", "value": 9.5, "limit": 500.0}, "due in 9.5 hours of use."),
        ("A11", {"quantity": "calibration_hours_left", "value": -0.5, "limit": 500.0}, "overdue by its hours of use."),
        ("A11", {"quantity": "firmware_sessions_left", "value": 1.0}, "firmware check due in 1 session of use."),
        ("A11", {"quantity": "firmware_version_1.9_below_2.1"}, ": firmware version 1.9 below 2.1. Update it"),
        ("A11", {"quantity": "firmware_version_days_left", "value": 30.0}, ": firmware due in 30 days. Update it"),
        (
            "A11",
            {"quantity": "instruction_days_left:ada:sim-1", "value": 7.0},
            ": instruction of ada on sim-1 due in 7 days. Renew it: overdue, this operator starts no session",
        ),
    ],
)
def test_the_words_say_why_with_its_numbers(code: str, why: dict[str, Any], said: str) -> None:
    assert said in alarm_words(of(code, why=why))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"device": None, "room": None}, "Site: "),
        ({"room": None}, "Room unknown, stim-12: "),
        ({"device": None, "members": ["stim-1", "stim-2"]}, "Room room-4, 2 devices (stim-1, stim-2): "),
        (
            {"device": None, "room": None, "members": [f"stim-{n}" for n in range(9)]},
            "Site, 9 devices (stim-0, stim-1, stim-2, stim-3, stim-4, stim-5 and 3 more): ",
        ),
    ],
)
def test_the_words_say_where(where: dict[str, Any], said: str) -> None:
    assert alarm_words(of("A04", **where)).startswith(f"MEDIUM {said}")


# --- what a real clinic shows ---------------------------------------------------------------------------------------


def told(clinic: Clinic) -> list[str]:
    """What the journal's tail says of alarms."""
    words = []
    for event in clinic.journal:
        name = type(event).__name__
        if name.startswith("Alarm") or name == "ZeroConfirmed":
            adapter: TypeAdapter[Any] = TypeAdapter(type(event))
            said = event_words(name, json.loads(adapter.dump_json(event)))
            assert said is not None
            words.append(said)
    return words


def test_the_journals_tail_tells_the_life_of_an_alarm() -> None:
    clinic = Clinic()
    clinic.ready()
    stim = clinic.stims["stim-12"]
    fault = stim.event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, Measured("amplitude_ma", 60.0, 45.0))
    clinic.says("stim-12", fault)
    clinic.latches(cause=Cause.OVER_LIMIT)
    for _ in range(12):
        clinic.after(1.0)
        clinic.shows("stim-12")
    clinic.says("stim-12", stim.birth(latched=None))
    for _ in range(12):
        clinic.after(1.0)
    assert told(clinic) == [
        (
            "alarm A02 HIGH Room room-4, stim-12: output beyond a limit, or without permission "
            "(over limit, amplitude_ma 60 against 45). See to the patient; do not reset it before you know why."
        ),
        "stim-12: zero current measured (0.10 mA)",
        "alarm A02 Room room-4, stim-12: now medium, on",
        "alarm A02 Room room-4, stim-12: output beyond a limit, or without permission: over",
    ]


def test_the_journals_tail_tells_of_groups_and_of_people() -> None:
    crowd = Crowd(9)
    crowd.ready()
    for name, stim in crowd.stims.items():
        crowd.says(name, stim.event(EventKind.LEASE_LOST, Cause.LEASE_LOST))
    for name, stim in crowd.stims.items():
        crowd.says(name, stim.birth())
    for _ in range(12):
        crowd.after(1.0)
    words = told(crowd)
    assert words[2].startswith("alarm A04 MEDIUM Room room-0, 3 devices (stim-0, stim-1, stim-2): session stopped")
    assert words[3] == (
        "alarm A04 Room room-0, stim-0: session stopped, its permission or its agent was lost: "
        "goes on as one alarm with others"
    )
    assert words[5] == "alarm A04 Room room-0: stim-3 joined"
    assert words[-1] == "alarm A04 Room room-0: session stopped, its permission or its agent was lost: over"
    body = {"device": "stim-12", "by": "person", "amplitude_ma": None}
    assert event_words("ZeroConfirmed", body) == (
        "stim-12: a person at the device has seen that it is off; nothing was measured"
    )
    left = of("A04", device=None, joined={}, left=[f"stim-{n}" for n in range(8)], signal="on")
    assert event_words("AlarmChanged", left) == (
        "alarm A04 Room room-4: stim-0 is well again, stim-1 is well again, stim-2 is well again, "
        "stim-3 is well again, stim-4 is well again, stim-5 is well again and 2 more"
    )


def test_alarms_are_shown_gravest_first_with_everything_that_a_screen_needs() -> None:
    clinic = Clinic()
    session = clinic.running()
    clinic.changes_device("stim-7", due_wall_s=clinic.wall_s + HOUR_S)
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    clinic.after(2.0)
    rows = alarm_rows(clinic.state, past=True, wall_s=clinic.wall_s)
    assert [(row["code"], row["priority"], row["signal"]) for row in rows] == [
        ("A01", "high", "on"),
        ("A03", "medium", "on"),
        ("A11", "info", "off"),
    ]
    raised = next(event for event in clinic.journal if isinstance(event, AlarmRaised) and event.code == "A01")
    assert json.loads(json.dumps(rows[0])) == {
        "alarm_id": raised.alarm_id,
        "code": "A01",
        "priority": "high",
        "device": "stim-12",
        "room": "room-4",
        "members": [],
        "since": "2026-11-22T12:00:04.510Z",
        "cleared": None,
        "signal": "on",
        "responsible": "everyone",
        "session_id": session.session_id,
        "why": {"cause": "emergency_stop", "quantity": "waited_s", "value": raised.why.value, "limit": None},
        "responsibility": "none",
        "by": None,
        "reason": None,
        "silent_until": None,
        "rung": 0,
        "comments": [],
    }


def test_what_is_over_is_shown_after_what_is_not_newest_first() -> None:
    clinic = Clinic()
    clinic.ready()
    for name in ("stim-12", "stim-7"):
        clinic.says(name, clinic.stims[name].birth(conditions=(Condition.WATCHDOG_TRIPPED,)))
    assert [row["device"] for row in alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)] == [
        "stim-12",
        "stim-7",
    ]
    for name in ("stim-12", "stim-7"):
        clinic.says(name, clinic.stims[name].birth())
        for _ in range(12):
            clinic.after(1.0)
    clinic.pushes_stop()
    rows = alarm_rows(clinic.state, past=True, wall_s=clinic.wall_s)
    assert [(row["code"], row["device"], row["signal"]) for row in rows] == [
        ("A03", "stim-12", "on"),
        ("A04", "stim-7", "latched"),
        ("A04", "stim-12", "latched"),
    ]
    assert rows[0]["cleared"] is None
    assert rows[1]["cleared"] > rows[2]["cleared"] > rows[2]["since"]
    assert [row["code"] for row in alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)] == ["A03"]


def test_where_a_device_stands_is_what_the_clinic_says_now() -> None:
    clinic = Clinic()
    clinic.ready()
    clinic.pushes_stop()
    assert alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)[0]["room"] == "room-4"
    clinic.changes_device("stim-12", room="room-9")
    assert alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)[0]["room"] == "room-9"
    # Of one that is off the list, the last that was known.
    clinic.changes_registry(devices={})
    assert alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s)[0]["room"] == "room-4"


def test_a11_says_how_long_is_left_now_and_not_when_it_was_raised() -> None:
    clinic = Clinic()
    clinic.ready()
    day_s = 24 * HOUR_S
    clinic.changes_device("stim-7", due_wall_s=clinic.wall_s + 30 * day_s)

    def words(days: float) -> str:
        (row,) = alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s + days * day_s)
        return alarm_words(row)

    assert words(0) == (
        "INFO Room room-1, stim-7: certificate due in 30 days. Renew it: overdue, no session is started there."
    )
    assert "certificate due in 12 days." in words(18)
    assert "certificate 10 days overdue." in words(40)


def test_output_without_permission_is_told_with_its_phase_and_with_a_reading_where_there_is_one() -> None:
    told = []
    for amplitude_ma in (9.0, None):
        clinic = Clinic()
        clinic.ready()
        clinic.stims["stim-12"].phase = Phase.RUNNING
        clinic.shows("stim-12", amplitude_ma=amplitude_ma)
        clinic.now_s += 2.0
        clinic.shows("stim-12", amplitude_ma=amplitude_ma)
        event = next(event for event in clinic.journal if isinstance(event, OutputUnpermitted))
        told.append(event_words("OutputUnpermitted", TypeAdapter(OutputUnpermitted).dump_python(event, mode="json")))
    assert told == [
        "stim-12: output without permission (running, 9 mA)",
        "stim-12: output without permission (running, no reading)",
    ]


def test_a_session_that_overran_is_told_as_that_to_its_end() -> None:
    alarm = of("A09", why={"quantity": "session_overran"}, grouped_into=None)
    said = "a session lasted longer than it was authorised for"
    assert said in alarm_words(alarm)
    assert "messages" not in alarm_words(alarm)
    assert said in str(event_words("AlarmCleared", alarm))
