"""Which date a session counts on: midnight, summer time, other zones, clocks set back; and what is forgotten."""

from datetime import date

import pytest

from broker.contract.plan import Plan
from fleet.core.dose import KEPT_DAYS, NOVICE_AGAIN_DAYS
from fleet.core.fold_doses import local_day
from tests.core.clinic import PLAN
from tests.core.practice import CLIENT, WHOLE_BODY, Practice, lasting


def days_of(clinic: Practice, client: str = CLIENT) -> list[str]:
    return [dose.day.isoformat() for dose in clinic.held(client)]


# --- dates ----------------------------------------------------------------------------------------------------------


def test_the_date_is_that_of_the_clinic_s_zone() -> None:
    for zone, day in (("Europe/Vienna", "2026-11-23"), ("America/New_York", "2026-11-22"), ("UTC", "2026-11-22")):
        clinic = Practice(zone)
        clinic.now_s += 11.5 * 3600
        clinic.wall_s += 11.5 * 3600  # Sunday, 23:30 UTC
        clinic.treats()
        assert days_of(clinic) == [day]


def test_the_date_is_that_of_the_start_not_of_the_authorisation() -> None:
    clinic = Practice("Europe/Vienna")
    clinic.at("2026-11-23 23:59:30")
    clinic.asked()
    assert days_of(clinic) == ["2026-11-23"]
    session = clinic.session_on()
    clinic.at("2026-11-24 00:00:30")
    stim = clinic.stims["stim-12"]
    for phase, day in (("armed", "2026-11-23"), ("running", "2026-11-24"), ("paused", "2026-11-24")):
        stim.phase, stim.session_id = type(stim.phase)(phase), session.session_id
        clinic.shows("stim-12")
        assert days_of(clinic) == [day]
    # It goes on past another midnight, for a while: still the date of its start.
    clinic.at("2026-11-25 00:01")
    clinic.ran(session.session_id, 400.0)
    assert days_of(clinic) == ["2026-11-24"]


def test_five_minutes_around_midnight_are_two_dates() -> None:
    """Calendar dates, as the domain says: a late evening and the early morning after the next day."""
    clinic = Practice("Europe/Vienna")
    clinic.at("2026-11-23 23:50")
    clinic.treats()
    clinic.at("2026-11-24 23:59")
    assert clinic.why() == ["dose_rest"]
    clinic.at("2026-11-25 00:00")
    assert clinic.why() == []


@pytest.mark.parametrize(
    ("first", "too_soon", "again"),
    [
        # The night to 29 March has 23 hours, the one to 25 October has 25.
        ("2027-03-27 00:10", "2027-03-28 23:50", "2027-03-29 00:00"),
        ("2027-10-30 00:10", "2027-10-31 23:50", "2027-11-01 00:00"),
        ("2027-10-30 23:59", "2027-10-31 00:00", "2027-11-01 00:00"),
    ],
)
def test_h06_summer_time_begins_and_ends(first: str, too_soon: str, again: str) -> None:
    clinic = Practice("Europe/Vienna")
    clinic.registry.operators["ada"].instructed_until_wall_s["sim-1"] = 2e9
    clinic.at(first)
    clinic.treats()
    clinic.at(too_soon)
    (refusal,) = clinic.asked()
    assert refusal.again_on == date.fromisoformat(again[:10])
    clinic.at(again)
    assert clinic.why() == []


@pytest.mark.parametrize("clock", ["2026-11-22 12:30", "2025-01-01 00:00", "1970-01-02 00:00"])
def test_h06_a_clock_that_is_set_back_gives_no_session_sooner(clock: str) -> None:
    clinic = Practice()
    clinic.at("2026-11-24 09:00")
    clinic.treats()
    clinic.at(clock)
    refused = clinic.asked()
    assert [(r.rule.value, r.value, r.again_on) for r in refused if r.rule != "screening_age"] == [
        ("dose_rest", 0.0, date(2026, 11, 26))
    ]


def test_a_clock_that_is_set_back_over_midnight_counts_on_the_journal_s_date() -> None:
    clinic = Practice()
    clinic.at("2026-11-25 00:10")
    clinic.treats()
    clinic.at("2026-11-24 23:50")
    clinic.treats("c-4712")
    assert days_of(clinic, "c-4712") == ["2026-11-25"]


def test_another_time_zone_counts_from_now_on_and_dates_that_lie_ahead_still_count() -> None:
    clinic = Practice("Pacific/Auckland")
    clinic.at("2026-11-24 08:00")
    clinic.treats()
    clinic.changes_registry(clinic=Practice("America/New_York").registry.clinic)
    assert local_day(clinic.state.durable, clinic.wall_s) == date(2026, 11, 23)
    assert days_of(clinic) == ["2026-11-24"]
    (refusal,) = clinic.asked()
    assert (refusal.value, refusal.again_on) == (-1.0, date(2026, 11, 26))


# --- what is forgotten ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "kept"), [(PLAN, set()), (WHOLE_BODY, {CLIENT})])
def test_sessions_are_kept_for_as_long_as_a_rule_may_look_back(plan: Plan, kept: set[str]) -> None:
    """Whole-body ones stay as experience; of local ones no rule asks what somebody is used to."""
    clinic = Practice()
    clinic.treats(plan=plan)
    clinic.days_later(KEPT_DAYS - 1)
    clinic.treats("c-4712", "stim-7")
    assert days_of(clinic) == ["2026-11-22"]
    clinic.days_later(1)
    clinic.treats("c-4713", "stim-7")
    assert days_of(clinic) == []
    assert set(clinic.state.durable.doses) == kept | {"c-4712", "c-4713"}


def test_a_client_who_stays_away_is_forgotten_whole() -> None:
    clinic = Practice()
    clinic.treats(plan=WHOLE_BODY)
    for days in (NOVICE_AGAIN_DAYS - 1, 1):
        clinic.days_later(days)
        clinic.treats(f"c-{days:04}", "stim-7")
        assert (CLIENT in clinic.state.durable.doses) is (days != 1)


def test_a_lost_session_is_kept_however_old() -> None:
    clinic = Practice()
    clinic.begins()
    clinic.after(31.0)
    clinic.days_later(KEPT_DAYS + 100)
    clinic.treats("c-4712", "stim-7")
    assert clinic.standing() == ["reserved"]


def test_the_ledger_is_bounded_by_those_who_come() -> None:
    """Many who are asked for and never treated leave nothing; those treated whole-body leave a line, for 8 weeks."""
    clinic = Practice()
    for n in range(40):
        clinic.asked(f"x-{n:04}")
        clinic.declines()
    assert clinic.state.durable.doses == {}
    for n in range(8):
        clinic.treats(f"y-{n:04}", plan=WHOLE_BODY if n % 2 else lasting(900.0))
    clinic.days_later(KEPT_DAYS)
    clinic.treats("z-0001")
    kept = clinic.state.durable.doses
    assert [len(doses.sessions) for doses in kept.values()] == [0] * 4 + [1]
    clinic.days_later(NOVICE_AGAIN_DAYS)
    clinic.treats("z-0002")
    assert set(clinic.state.durable.doses) == {"z-0002"}
