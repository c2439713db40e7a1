"""The usage ledger says what `stimfleet usage` says, to the digit, and stays small."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from broker.contract.causes import Cause
from fleet.core.evolve import evolve
from fleet.core.state import State
from fleet.core.tallies import By, add_up
from fleet.core.usage import Usage, fold
from fleet.reports.stored_ledger import StoredLedger, restored, stored
from fleet.reports.usage_ledger import COUNTED, UsageLedger
from tests.core.adversary import World
from tests.core.long_day import a_long_day
from tests.core.moves import moves, perform, restarts
from tests.core.practice import Practice

STORED = TypeAdapter(StoredLedger)


def everything(journal: list[Any]) -> Usage:
    """As `stimfleet usage` counts: every event, nothing settled."""
    usage = Usage()
    for event in journal:
        fold(usage, event)
    return usage


def ledger_of(journal: list[Any], ledger: UsageLedger | None = None) -> UsageLedger:
    ledger = ledger or UsageLedger()
    for event in journal:
        if type(event) in COUNTED:
            ledger.counts(event)
    return ledger


def kept(ledger: UsageLedger) -> UsageLedger:
    """The ledger, written to a file and read again."""
    return restored(STORED.validate_json(STORED.dump_json(stored(ledger), warnings="error"), strict=True))


def figures(found: tuple[dict[str, Any], Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    rows, total = found
    return {key: row.figures() for key, row in rows.items()}, total.figures()


def agree(ledger: UsageLedger, usage: Usage, first: date = date.min, last: date = date.max) -> None:
    for by in By:
        assert figures(ledger.add_up(by, first, last)) == figures(add_up(usage, by, first, last)), by


def three_months() -> Practice:
    """Two devices treat every other day; some sessions are stopped, some only the fleet knows the length of."""
    clinic = Practice("Europe/Vienna")
    clinic.at("2026-12-01 09:00")
    for n in range(45):
        clinic.treats(f"client-{n:04}", on_time_s=300.1 + n / 7)
        if n % 9 == 8:
            clinic.begins(f"other-{n:04}", "stim-7")
            clinic.after(31.0)
            clinic.is_off("stim-7")
            clinic.is_idle("stim-7")
        else:
            clinic.treats(f"other-{n:04}", "stim-7", on_time_s=200.3 + n / 3)
        clinic.days_later(2)
    return clinic


def test_over_months_it_says_the_same_to_the_digit_and_keeps_the_last_two_weeks_one_by_one() -> None:
    clinic = three_months()
    ledger, usage = ledger_of(clinic.journal), everything(clinic.journal)
    agree(ledger, usage)
    agree(ledger, usage, first=date(2026, 12, 15), last=date(2027, 1, 15))
    assert len(usage.sessions) == 90
    # The last fortnight's, and the day before it: what is over for more than 14 days is settled as a day begins.
    assert 2 * 7 <= len(ledger.usage.sessions) <= 2 * 8
    assert ledger.usage.late == 0


def test_a_file_in_between_changes_nothing() -> None:
    clinic = three_months()
    half = len(clinic.journal) // 2
    ledger = ledger_of(clinic.journal[half:], kept(ledger_of(clinic.journal[:half])))
    agree(kept(ledger), everything(clinic.journal))
    assert kept(ledger) == ledger


def late_by(days: float) -> tuple[Practice, UsageLedger]:
    """A device is given up in a session, another one treats, and days later the first reports what it did."""
    clinic = Practice()
    session_id = clinic.begins("client-0001")
    clinic.after(31.0)
    clinic.is_off()
    clinic.is_idle()
    clinic.days_later(days)
    clinic.treats("client-0002", "stim-7")
    clinic.ran(session_id, 200.0)
    return clinic, ledger_of(clinic.journal)


def test_what_a_device_reports_within_two_weeks_takes_the_place_of_the_fleet_s_own_time() -> None:
    clinic, ledger = late_by(13.0)
    agree(ledger, everything(clinic.journal))
    assert ledger.add_up(By.DAY)[1].figures()["by_fleet"] == 0


def test_what_comes_later_still_changes_nothing_and_is_counted_as_late() -> None:
    clinic, ledger = late_by(15.0)
    assert ledger.add_up(By.DAY)[1].figures()["by_fleet"] == 1
    assert add_up(everything(clinic.journal), By.DAY)[1].figures()["by_fleet"] == 0
    assert ledger.usage.late >= 1


def test_a_latch_that_is_reset_after_weeks_is_no_other_ending() -> None:
    clinic = Practice()
    session_id = clinic.begins("client-0001")
    clinic.ran(session_id, 200.0, cause=Cause.PATIENT_STOP)
    clinic.days_later(20)
    clinic.treats("client-0002", "stim-7")
    clinic.is_idle()
    clinic.shows("stim-12")
    agree(ledger_of(clinic.journal), everything(clinic.journal))


def test_the_list_of_each_day_says_which_devices_there_were() -> None:
    clinic = Practice()  # Sunday, 22 November 2026
    clinic.days_later(1)
    clinic.changes_device("stim-12", room="room-9")
    clinic.changes_device("stim-12", room="room-8")
    clinic.days_later(1)
    clinic.changes_device("stim-7", struck_off=True)
    clinic.days_later(1)
    clinic.changes_device("stim-7", service_hold=True)
    stock = kept(ledger_of(clinic.journal)).stock
    sunday = date(2026, 11, 22)
    assert [stock.on(sunday + timedelta(days=n)) for n in range(-1, 4)] == [
        {},
        {"stim-12": "room-4", "stim-7": "room-1"},
        {"stim-12": "room-8", "stim-7": "room-1"},
        {"stim-12": "room-8"},
        {"stim-12": "room-8"},
    ]
    assert {device: len(rooms) for device, rooms in stock.stood.items()} == {"stim-12": 2, "stim-7": 2}


# --- any journal ----------------------------------------------------------------------------------------------------


def same_as_the_fleet(journal: list[Any]) -> None:
    """What is folded for counting is what the fleet's own fold has, at every event."""
    usage, state = Usage(), State()
    for event in journal:
        fold(usage, event)
        evolve(state, event)
        ours, theirs = usage.state.durable, state.durable
        assert ours.registry == theirs.registry
        assert [(s.session_id, s.state, s.cause, s.ran_s) for s in ours.sessions.values()] == [
            (s.session_id, s.state, s.cause, s.ran_s) for s in theirs.sessions.values()
        ]


def test_a_long_day_is_folded_and_counted_the_same() -> None:
    journal = a_long_day().journal
    same_as_the_fleet(journal)
    agree(kept(ledger_of(journal)), everything(journal))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(moves, moves, restarts), min_size=10, max_size=60), st.floats(0.0, 1.0))
def test_whatever_happened_and_wherever_it_was_kept_the_ledger_agrees(
    sequence: list[tuple[Any, ...]], cut: float
) -> None:
    world = World()
    for move in sequence:
        perform(world, move)
    journal = world.clinic.journal
    same_as_the_fleet(journal)
    n = int(cut * len(journal))
    agree(ledger_of(journal[n:], kept(ledger_of(journal[:n]))), everything(journal))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_sums_are_made_does_not_show(seed: int) -> None:
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 for a machine; here it is."""
    clinic = Practice()
    for n, on_time_s in enumerate((300.1, 300.2, 300.3)[seed:] + (300.1, 300.2, 300.3)[:seed]):
        clinic.treats(f"client-{n:04}", on_time_s=on_time_s)
        clinic.days_later(1)
    assert ledger_of(clinic.journal).add_up(By.DEVICE)[1].figures()["current_s"] == 900.6
