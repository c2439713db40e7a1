"""Usage as people ask for it: every day, room and device that there was, with its share of the opening hours."""

import csv
import io
from datetime import date
from typing import Any

import pytest

from broker.pki.opening import OpeningHours
from fleet.core.tallies import By
from fleet.reports.usage import DAYS_MAX, UsageReport, usage_report, usage_sheet
from tests.core.practice import Practice
from tests.reports.test_usage_ledger import ledger_of

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)
EIGHT_HOURS = OpeningHours.of(dict.fromkeys(("mon", "tue", "wed"), "08:00-12:00 13:00-17:00"))


def a_week() -> Practice:
    """Monday: a session of 20 min on stim-12. Tuesday: one of 15 min on stim-7, and one of 10 that only the fleet has
    timed on stim-12, which has moved. Wednesday at ten: nothing yet.
    """
    clinic = Practice("Europe/Vienna")
    clinic.at("2026-11-23 09:00")
    clinic.treats("client-0001", on_time_s=400.0)
    clinic.at("2026-11-24 07:00")
    clinic.changes_device("stim-12", room="room-9")
    clinic.at("2026-11-24 09:00")
    clinic.treats("client-0002", "stim-7", on_time_s=300.0)
    session_id = clinic.begins("client-0003")
    clinic.now_s = clinic.session_on().since_s + 569.0
    clinic.says("stim-12", clinic.stims["stim-12"].sample(elapsed_s=569.0))
    clinic.after(31.0)
    clinic.is_off()
    assert clinic.state.durable.sessions[session_id].ran_s == 600.0
    clinic.at("2026-11-25 10:00")
    clinic.changes_device("stim-7", service_hold=True)
    return clinic


def report(by: By, first: date = MONDAY, last: date = WEDNESDAY) -> UsageReport:
    return usage_report(ledger_of(a_week().journal), by, first, last, EIGHT_HOURS)


def shares(found: UsageReport) -> dict[str, Any]:
    """Opening hours, and what was used of them, in hours."""
    return {
        row.key: (row.opening_s / 3600.0, round(row.utilisation * row.opening_s / 3600.0, 6))
        for row in (*found.rows, found.total)
        if row.opening_s is not None and row.utilisation is not None
    }


def test_utilisation_is_of_the_opening_hours_of_the_devices_that_there_were() -> None:
    third, quarter, sixth = round(1 / 3, 6), 0.25, round(1 / 6, 6)
    used = round(1 / 3 + 0.25 + 1 / 6, 6)
    assert shares(report(By.DAY)) == {
        "2026-11-23": (16.0, third),
        "2026-11-24": (16.0, round(0.25 + 1 / 6, 6)),
        "2026-11-25": (4.0, 0.0),  # until ten
        "total": (36.0, used),
    }
    assert shares(report(By.ROOM)) == {
        "room-1": (18.0, quarter),
        "room-4": (8.0, third),
        "room-9": (10.0, sixth),
        "total": (36.0, used),
    }
    assert shares(report(By.DEVICE)) == {
        "stim-12": (18.0, round(1 / 3 + 1 / 6, 6)),
        "stim-7": (18.0, quarter),
        "total": (36.0, used),
    }
    assert shares(report(By.ROOM, TUESDAY, TUESDAY)) == {
        "room-1": (8.0, quarter),
        "room-9": (8.0, sixth),
        "total": (16.0, round(0.25 + 1 / 6, 6)),
    }


def test_what_ended_sessions_has_no_opening_hours() -> None:
    found = report(By.CAUSE)
    assert [(row.key, row.started, row.opening_s, row.utilisation) for row in found.rows] == [
        ("completed", 2, None, None),
        ("unknown", 1, None, None),
    ]


def test_a_closed_day_has_no_utilisation_and_days_to_come_are_not_there() -> None:
    ledger = ledger_of(a_week().journal)
    found = usage_report(ledger, By.DAY, date(2026, 11, 22), date(2026, 12, 31), EIGHT_HOURS)
    assert [(row.key, row.opening_s, row.utilisation) for row in found.rows][:1] == [("2026-11-22", 0.0, None)]
    assert found.rows[-1].key == "2026-11-25"
    assert found.time_zone == "Europe/Vienna"


def test_before_there_was_anything_there_is_nothing() -> None:
    found = report(By.DEVICE, date(2026, 1, 1), date(2026, 1, 2))
    assert (found.rows, found.total.opening_s, found.total.utilisation) == ((), 0.0, None)


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (TUESDAY, MONDAY, "no day is from"),
        (date(2020, 1, 1), date(2026, 1, 1), f"more than {DAYS_MAX} days"),
    ],
)
def test_a_range_that_is_none_is_refused(first: date, last: date, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        report(By.DAY, first, last)


def test_as_csv_a_line_a_key() -> None:
    lines = list(csv.DictReader(io.StringIO(usage_sheet(report(By.DEVICE)))))
    assert [(line["device"], line["session_s"], line["fleet_session_s"], line["opening_s"]) for line in lines] == [
        ("stim-12", "1200.0", "600.0", "64800.0"),
        ("stim-7", "900.0", "0.0", "64800.0"),
    ]
    assert {line["faults"] for line in lines} == {"0"}
    assert "causes" not in lines[0]


@pytest.mark.parametrize("day", [None, MONDAY])
def test_a_past_that_was_made_up_is_marked_on_every_line(day: date | None) -> None:
    ledger = ledger_of(a_week().journal)
    ledger.simulated_until = day
    found = usage_report(ledger, By.DEVICE, MONDAY, TUESDAY, EIGHT_HOURS)
    assert found.simulated_until == day
    lines = list(csv.DictReader(io.StringIO(usage_sheet(found))))
    assert [line["simulated_until"] for line in lines] == ["" if day is None else day.isoformat()] * 2
