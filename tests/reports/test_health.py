"""Health of the devices by day: what was counted of each, and that nothing is made up in between."""

import csv
import io
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.contract.messages import EventKind, Measured, SpoolDropped
from fleet.reports.health import HealthRow, Samples, health_sheet
from tests.core.practice import Practice
from tests.reports.test_usage_ledger import kept, ledger_of

SUNDAY, MONDAY = date(2026, 11, 22), date(2026, 11, 23)


def rows(clinic: Practice, **asked: Any) -> dict[tuple[str, str], HealthRow]:
    found = kept(ledger_of(clinic.journal)).health(date(2026, 1, 1), date(2027, 12, 31), **asked)
    return {(row.day.isoformat(), row.device): row for row in found}


def treats_at(clinic: Practice, client: str, ohm: float) -> None:
    """A session whose first good impedance is `ohm`."""
    session_id = clinic.begins(client)
    clinic.shows("stim-12", setting_ma=2.0, amplitude_ma=1.9, impedance_ohm=ohm)
    clinic.ran(session_id, 300.0)
    clinic.is_idle()
    clinic.shows("stim-12")


def test_impedance_drifts_against_the_device_s_own_first_fortnight() -> None:
    clinic = Practice()
    for n, (days, ohm) in enumerate(((0, 700.0), (13, 900.0), (14, 1000.0), (15, 1200.0))):
        clinic.days_later(days - (0, 0, 13, 14)[n])
        treats_at(clinic, f"client-{n:04}", ohm)
    found = rows(clinic)
    assert [(key[0], row.impedance_ohm, row.impedance_drift) for key, row in found.items()] == [
        ("2026-11-22", 700.0, -0.125),
        ("2026-12-05", 900.0, 0.125),
        ("2026-12-06", 1000.0, 0.25),
        ("2026-12-07", 1200.0, 0.5),
    ]


def test_a_day_of_many_sessions_has_the_mean_of_their_baselines() -> None:
    clinic = Practice()
    treats_at(clinic, "client-0001", 600.0)
    treats_at(clinic, "client-0002", 901.0)
    (row,) = rows(clinic).values()
    assert (row.sessions, row.session_s, row.impedance_ohm, row.impedance_drift) == (2, 1800.0, 750.5, 0.0)


def test_battery_losses_reconnects_boots_faults_and_what_is_missing() -> None:
    clinic = Practice()
    clinic.ready("stim-12")
    stim = clinic.stims["stim-12"]
    low = Measured("battery_pct", 18.0, 20.0)
    clinic.says("stim-12", stim.event(EventKind.BATTERY_LOW, None, low))
    clinic.says("stim-12", replace(stim.event(EventKind.SELF_TEST_FAILED), session_id=None))
    clinic.after(31.0)
    clinic.shows("stim-12")
    stim.event_n = 10
    clinic.says("stim-12", stim.event(EventKind.SPOOL_DROPPED, None, SpoolDropped(3, 12)))  # 10 is what says so
    clinic.days_later(1)
    stim.oldest_n = 20
    clinic.boots()
    found = rows(clinic)
    sunday, monday = found["2026-11-22", "stim-12"], found["2026-11-23", "stim-12"]
    assert (sunday.battery_lows, sunday.losses, sunday.reconnects, sunday.boots) == (1, 1, 1, 1)
    assert (sunday.faults, sunday.events_missing, sunday.impedance_ohm, sunday.room) == (
        {"self_test_failed": 1},
        7,
        None,
        "room-4",
    )
    assert (monday.boots, monday.events_missing, monday.sessions) == (1, 19 - 10, 0)


def test_what_the_rollups_say_stands_beside_and_a_day_without_them_has_none() -> None:
    clinic = Practice()
    treats_at(clinic, "client-0001", 600.0)
    clinic.days_later(1)
    treats_at(clinic, "client-0002", 600.0)
    seen = Samples(battery_pct_min=61.0, battery_pct_mean=80.5, lease_margin_s_min=3.9, samples=700, missed=3)
    found = rows(clinic, samples={(MONDAY, "stim-12"): seen, (MONDAY, "stim-7"): Samples(samples=9)})
    told = {
        key: (row.battery_pct_min, row.battery_pct_mean, row.lease_margin_s_min, row.samples, row.samples_missed)
        for key, row in found.items()
    }
    assert told == {
        ("2026-11-22", "stim-12"): (None, None, None, None, None),
        ("2026-11-23", "stim-12"): (61.0, 80.5, 3.9, 700, 3),
        ("2026-11-23", "stim-7"): (None, None, None, 9, 0),
    }


def test_only_the_days_that_were_asked_for() -> None:
    """And the first fortnight is that of the whole record, asked for or not."""
    clinic = Practice()
    treats_at(clinic, "client-0001", 600.0)
    clinic.days_later(20)
    treats_at(clinic, "client-0002", 660.0)
    (row,) = ledger_of(clinic.journal).health(date(2026, 12, 1), date(2026, 12, 31))
    assert (row.day, row.sessions) == (date(2026, 12, 12), 1)
    assert row.impedance_drift == pytest.approx(0.1)


def test_as_csv_each_kind_of_fault_is_a_column() -> None:
    clinic = Practice()
    clinic.ready("stim-12")
    clinic.says("stim-12", replace(clinic.stims["stim-12"].event(EventKind.SELF_TEST_FAILED), session_id=None))
    treats_at(clinic, "client-0001", 600.0)
    text = health_sheet(ledger_of(clinic.journal).health(SUNDAY, SUNDAY), SUNDAY)
    (line,) = csv.DictReader(io.StringIO(text))
    assert (
        line["day"],
        line["device"],
        line["self_test_failed"],
        line["battery_pct_min"],
        line["simulated_until"],
    ) == (
        "2026-11-22",
        "stim-12",
        "1",
        "",
        "2026-11-22",
    )
