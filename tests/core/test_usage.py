"""Usage, counted from the journal: a week whose truth is known, and the same once more by hand for any journal."""

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.causes import Cause
from broker.contract.messages import EventKind
from fleet.core.tallies import By, Tally, add_up
from fleet.core.usage import Usage, fold
from tests.core.adversary import World
from tests.core.long_day import a_long_day
from tests.core.moves import moves, perform, restarts
from tests.core.practice import Practice
from tests.core.usage_by_hand import ByHand, nothing, rows_of


def counted(clinic: Any) -> Usage:
    usage = Usage()
    for event in clinic.journal:
        fold(usage, event)
    return usage


def figures(clinic: Any, by: By, first: date = date.min, last: date = date.max) -> dict[str, dict[str, Any]]:
    """What is not nothing, by key."""
    rows, total = add_up(counted(clinic), by, first, last)
    return {key: said(tally) for key, tally in {**rows, "total": total}.items()}


def said(tally: Tally) -> dict[str, Any]:
    return {name: value for name, value in tally.figures().items() if value}


def one(on_time_s: float) -> dict[str, Any]:
    """What a session of the practice comes to."""
    return {
        "authorised": 1,
        "started": 1,
        "completed": 1,
        "by_device": 1,
        "session_s": on_time_s * 3,
        "current_s": on_time_s,
        "charge_uc": 9e4,
        "causes": {"completed": 1},
    }


# --- known truths ---------------------------------------------------------------------------------------------------


def test_sessions_by_day_room_device_and_cause() -> None:
    clinic = Practice()  # Sunday, 22 November 2026
    clinic.treats(on_time_s=300.0)
    clinic.treats("c-4712", "stim-7", on_time_s=360.0)
    clinic.days_later(1)
    clinic.treats("c-4713", on_time_s=90.0)
    sunday = {
        "authorised": 2,
        "started": 2,
        "completed": 2,
        "by_device": 2,
        "session_s": 1980.0,
        "current_s": 660.0,
        "charge_uc": 18e4,
        "causes": {"completed": 2},
    }
    week = {
        "authorised": 3,
        "started": 3,
        "completed": 3,
        "by_device": 3,
        "session_s": 2250.0,
        "current_s": 750.0,
        "charge_uc": 27e4,
        "causes": {"completed": 3},
    }
    stim_12 = week | {
        "authorised": 2,
        "started": 2,
        "completed": 2,
        "by_device": 2,
        "session_s": 1170.0,
        "current_s": 390.0,
        "charge_uc": 18e4,
        "causes": {"completed": 2},
    }
    assert figures(clinic, By.DAY) == {"2026-11-22": sunday, "2026-11-23": one(90.0), "total": week}
    assert figures(clinic, By.ROOM) == {"room-1": one(360.0), "room-4": stim_12, "total": week}
    assert figures(clinic, By.DEVICE) == {"stim-12": stim_12, "stim-7": one(360.0), "total": week}
    assert figures(clinic, By.CAUSE) == {"completed": week, "total": week}
    monday = date(2026, 11, 23)
    assert figures(clinic, By.ROOM, first=monday) == {"room-4": one(90.0), "total": one(90.0)}
    assert figures(clinic, By.DAY, last=date(2026, 11, 22)) == {"2026-11-22": sunday, "total": sunday}
    assert figures(clinic, By.DAY, first=date(2026, 11, 24)) == {"total": {}}


def test_a_device_that_moves_keeps_its_history_where_that_was_made() -> None:
    clinic = Practice()
    clinic.treats(on_time_s=300.0)
    clinic.changes_device("stim-12", room="room-9")
    clinic.days_later(1)
    clinic.treats("c-4712", on_time_s=90.0)
    rows = figures(clinic, By.ROOM)
    assert (rows["room-4"], rows["room-9"]) == (one(300.0), one(90.0))


def test_a_session_belongs_to_the_day_of_its_start_in_the_clinic_s_zone() -> None:
    clinic = Practice("Europe/Vienna")
    clinic.at("2026-11-23 23:59:59")
    clinic.treats(on_time_s=300.0)  # authorised before midnight, started after
    clinic.at("2026-11-24 23:30")
    clinic.asked("c-4712")
    clinic.at("2026-11-25 00:10")
    clinic.after(0.0)  # expired by now
    assert figures(clinic, By.DAY) == {
        "2026-11-24": {
            **one(300.0),
            "authorised": 2,
            "not_started": 1,
            "causes": {"completed": 1, "expired": 1},
        },
        "total": {**one(300.0), "authorised": 2, "not_started": 1, "causes": {"completed": 1, "expired": 1}},
    }


def test_what_did_not_start_is_counted_by_what_became_of_it() -> None:
    clinic = Practice()
    clinic.asked()
    clinic.declines()
    clinic.asked()
    clinic.cancels()
    clinic.asked()
    clinic.after(125.0)
    clinic.asked(name="stim-7", ready=False)  # refused: nothing was ever heard from it
    assert figures(clinic, By.CAUSE) == {
        **{
            name: {"authorised": 1, "not_started": 1, "causes": {name: 1}}
            for name in ("cancelled", "expired", "refused")
        },
        "total": {
            "authorised": 3,
            "refused": 1,
            "not_started": 3,
            "causes": {"cancelled": 1, "expired": 1, "refused": 1},
        },
    }


# --- numbers --------------------------------------------------------------------------------------------------------


def run_for(clinic: Practice, seconds: float) -> str:
    session_id = clinic.begins()
    clinic.now_s = clinic.session_on().since_s + seconds
    clinic.says("stim-12", clinic.stims["stim-12"].sample(elapsed_s=seconds))
    return session_id


def test_where_the_device_has_no_numbers_the_fleet_s_own_time_stands_beside_and_is_marked() -> None:
    clinic = Practice()
    clinic.treats("c-4712", "stim-7", on_time_s=300.0)
    run_for(clinic, 600.0)
    clinic.after(30.0)
    clinic.is_off()
    total = figures(clinic, By.DAY)["total"]
    assert total == one(300.0) | {
        "authorised": 2,
        "started": 2,
        "aborted": 1,
        "by_fleet": 1,
        "fleet_session_s": 630.0,
        "causes": {"completed": 1, "unknown": 1},
    }


def test_late_numbers_take_the_place_of_the_fleet_s_own_once() -> None:
    clinic = Practice()
    session_id = run_for(clinic, 600.0)
    clinic.after(30.0)
    clinic.is_off()
    for on_time_s in (200.0, 390.0):  # the second is no news
        clinic.ran(session_id, on_time_s)
    total = figures(clinic, By.DAY)["total"]
    assert (total["by_device"], total["session_s"], total["current_s"]) == (1, 600.0, 200.0)
    assert "by_fleet" not in total
    assert "fleet_session_s" not in total


def test_an_agent_that_died_in_the_session_has_no_record_of_it() -> None:
    clinic = Practice()
    session_id = run_for(clinic, 600.0)
    clinic.boots()
    clinic.ran(session_id, 0.0, gaps=1, cause=Cause.REBOOT)
    total = figures(clinic, By.CAUSE)["reboot"]
    assert (total["stopped"], total["by_fleet"], total["fleet_session_s"]) == (1, 1, 600.0)
    assert "by_device" not in total


def test_a_record_with_gaps_is_the_device_s_own_and_is_marked() -> None:
    clinic = Practice()
    clinic.ran(run_for(clinic, 600.0), 150.0, gaps=2)
    total = figures(clinic, By.DAY)["total"]
    assert (total["by_device"], total["with_gaps"], total["current_s"]) == (1, 1, 150.0)


def test_the_fleet_s_own_time_is_at_most_what_its_second_timer_allows() -> None:
    """A fleet that was away for an hour cannot say that a session lasted one."""
    clinic = Practice()
    run_for(clinic, 60.0)
    clinic.now_s += 3600.0
    clinic.restarts()
    clinic.after(31.0)
    clinic.is_off()
    assert figures(clinic, By.DAY)["total"]["fleet_session_s"] == 1205.0


def test_what_is_not_over_is_in_no_minutes() -> None:
    clinic = Practice()
    run_for(clinic, 600.0)
    assert figures(clinic, By.DEVICE) == {
        key: {"authorised": 1, "started": 1, "open": 1} for key in ("stim-12", "total")
    }
    assert set(figures(clinic, By.CAUSE)) == {"running", "total"}


# --- faults and returns ---------------------------------------------------------------------------------------------


def test_faults_by_kind_where_the_session_is_or_the_device_stands() -> None:
    clinic = Practice()
    stim = clinic.stims["stim-12"]
    session_id = clinic.begins()
    clinic.changes_device("stim-12", room="room-9")
    clinic.says("stim-12", stim.event(EventKind.ELECTRODE_OPEN, session_id=session_id))
    clinic.says("stim-12", replace(stim.event(EventKind.SELF_TEST_FAILED), session_id=None))
    clinic.says("stim-12", stim.event(EventKind.LEASE_LOST, session_id="e" * 32))
    clinic.says("stim-12", stim.event(EventKind.SETTING_CHANGED, session_id=session_id))  # no fault
    rows = figures(clinic, By.ROOM)
    assert rows["room-4"]["faults"] == {"electrode_open": 1}
    assert rows["room-9"]["faults"] == {"lease_lost": 1, "self_test_failed": 1}


def test_faults_that_the_fleet_finds() -> None:
    clinic = Practice()
    clinic.begins()
    clinic.shows("stim-12", amplitude_ma=60.0)
    clinic.begins("c-4712", "stim-7")
    for _ in range(10):
        clinic.shows("stim-7", amplitude_ma=20.0, impedance_ohm=700.0)
    rows = figures(clinic, By.DEVICE)
    assert rows["stim-12"]["faults"] == {"limit_exceeded": 1}
    assert rows["stim-7"]["faults"] == {"sensor_flatlined": 1}


def test_a_device_that_was_lost_and_came_back_has_reconnected_and_the_first_time_it_has_not() -> None:
    clinic = Practice()
    clinic.ready()
    for _ in range(2):
        clinic.after(31.0)
        clinic.shows("stim-12")
    assert figures(clinic, By.DEVICE) == {"stim-12": {"reconnects": 2}, "total": {"reconnects": 2}}


def test_a_refusal_for_a_device_that_is_on_no_list_is_nowhere() -> None:
    clinic = Practice()
    clinic.decides(clinic.request(device="stim-99"))
    assert figures(clinic, By.ROOM)["-"] == {"refused": 1}


# --- the same by hand -----------------------------------------------------------------------------------------------


def agrees_with_the_journal(journal: list[Any]) -> None:
    usage = Usage()
    for event in journal:
        fold(usage, event)
    by_hand = ByHand(rows_of(journal))
    for by in By:
        rows, total = add_up(usage, by)
        expected, everything = by_hand.figures(by.value)
        same(total, everything)
        assert {key for key, row in rows.items() if said(row)} == {
            key for key, row in expected.items() if row != nothing()
        }
        for key, row in rows.items():
            same(row, expected[key])


def same(tally: Tally, expected: dict[str, Any]) -> None:
    for name, value in tally.figures().items():
        if name.endswith(("_s", "_uc")):
            assert value == pytest.approx(expected[name], abs=1e-3), name
        else:
            assert Counter(value) == expected[name] if isinstance(value, dict) else value == expected[name], name


def test_a_long_day_agrees_with_its_journal() -> None:
    agrees_with_the_journal(a_long_day().journal)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(moves, moves, restarts), min_size=10, max_size=60))
def test_whatever_happened_the_usage_agrees_with_the_journal_to_the_second(sequence: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in sequence:
        perform(world, move)
    agrees_with_the_journal(world.clinic.journal)
