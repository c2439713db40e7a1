"""The fleet host's own wall clock steps ahead: nobody believes it, somebody is told, and nothing new is authorised."""

import pytest

from broker.contract.causes import AlarmCode
from fleet.core import inputs
from fleet.core.events import AlarmRaised, DrillOrdered, FleetClockAccepted, FleetClockStepped
from fleet.views import alarm_rows, clinic_s, clock_details
from tests.core.clinic import HOUR_S, SUNDAY_NOON_WALL_S, Clinic
from tests.core.on_call import OnCall
from tests.core.practice import CLIENT, DAY_S, Practice

IN_DOUBT = "> refused clock_in_doubt"
STEPPED = ["FleetClockStepped", "AlarmRaised A09 medium site on"]
AGREED = ["FleetClockAgreed", "AlarmCleared A09 medium site off"]


def accepts(clinic: Clinic) -> list[str]:
    return clinic.hears(
        inputs.AcceptClock(
            request_id="r-9", issued_by="ada", reason="as my phone says", now_s=clinic.now_s, wall_s=clinic.wall_s
        )
    )


def steps(clinic: Clinic) -> list[FleetClockStepped]:
    return [event for event in clinic.journal if isinstance(event, FleetClockStepped)]


def a_clinic() -> Clinic:
    clinic = Clinic(alarms=True)
    clinic.ready()
    return clinic


def test_what_is_shown_of_days_in_doubt_is_by_the_clinic_s_time() -> None:
    clinic = a_clinic()
    right_s = clinic.wall_s
    clinic.wall_s += 2 * DAY_S
    clinic.after(1.0)
    shown_s = clinic_s(clinic.state, clinic.now_s, clinic.wall_s)
    assert shown_s == pytest.approx(right_s + 1.0, abs=0.01)


# --- the story ------------------------------------------------------------------------------------------------------


def test_h06_an_hour_ahead_is_told_once_and_refuses_until_the_clock_is_right_again() -> None:
    clinic = a_clinic()
    clinic.running("stim-7", client="c-4712", request_id="request-2")
    right_s = clinic.wall_s
    clinic.wall_s += HOUR_S
    assert clinic.after(1.0) == STEPPED
    raised = next(event for event in clinic.journal if isinstance(event, AlarmRaised) and event.code is AlarmCode.A09)
    assert raised.why.quantity == "clock_step_s"
    assert raised.why.value == pytest.approx(HOUR_S, abs=0.01)
    assert clinic.after(1.0) == []
    # Nothing new; what runs, runs on.
    clinic.ready("stim-12")
    assert clinic.asks()[-1] == IN_DOUBT
    assert clinic.shows("stim-7") == [f"! lease stim-7 {clinic.stims['stim-7'].seq}"]
    assert clinic.pushes_stop("stim-7")[0] == "StopOrdered stim-7 emergency_stop"
    assert max(event.wall_s for event in clinic.journal) <= right_s + 10.0
    # It is put right: believed at once, and trusted with a new session after a minute.
    clinic.wall_s -= HOUR_S
    assert "FleetClockAgreed" not in clinic.after(1.0)
    clinic.ready("stim-12")
    assert clinic.asks(request_id="request-3")[-1] == IN_DOUBT
    for _ in range(59):
        assert "FleetClockAgreed" not in clinic.after(1.0)
    assert [line for line in clinic.after(1.0) if "Clock" in line or "A09" in line] == AGREED
    clinic.ready("stim-12")
    assert clinic.asks(request_id="request-4")[-1].startswith("> granted")
    assert len(steps(clinic)) == 1


def test_h06_a_request_right_after_the_step_is_refused_before_any_tick() -> None:
    clinic = a_clinic()
    clinic.wall_s += DAY_S
    assert clinic.asks()[:2] == ["FleetClockStepped", "SessionRefused"]


def test_the_alarm_stays_for_as_long_as_the_doubt_does() -> None:
    clinic = a_clinic()
    clinic.wall_s += HOUR_S
    clinic.after(1.0)
    for _ in range(60):
        clinic.after(60.0)
    assert "A09/all" in clinic.state.durable.alarms
    clinic.restarts()
    assert "A09/all" in clinic.state.durable.alarms
    clinic.after(1.0)
    assert clinic.asks()[-1].split(", ")[-1] == "clock_in_doubt"
    assert len(steps(clinic)) == 1


def test_the_alarm_says_so_also_where_a_forged_message_has_raised_it_before() -> None:
    clinic = a_clinic()
    clinic.hears(inputs.Rejected(None, None, "malformed", clinic.now_s, clinic.wall_s))
    clinic.wall_s += HOUR_S
    assert clinic.after(1.0) == ["FleetClockStepped"]
    (row,) = (row for row in alarm_rows(clinic.state, past=False, wall_s=clinic.wall_s) if row["code"] == "A09")
    assert row["why"]["quantity"] == "clock_step_s"


# --- a person says that it is right ---------------------------------------------------------------------------------


def test_a_person_accepts_the_new_time_and_the_journal_goes_on_from_there() -> None:
    clinic = a_clinic()
    clinic.wall_s += 2 * HOUR_S
    clinic.after(1.0)
    told = clock_details(clinic.state, clinic.now_s, clinic.wall_s)
    assert told == {
        "host": "2026-11-22T14:00:02.000Z",
        "clinic": "2026-11-22T12:00:02.000Z",
        "ahead_s": 2 * HOUR_S,
        "step_s_max": 120.0,
        "in_doubt": True,
    }
    assert accepts(clinic) == ["FleetClockAccepted", "AlarmCleared A09 medium site off", "> ordered"]
    (event,) = (event for event in clinic.journal if isinstance(event, FleetClockAccepted))
    assert (event.issued_by, event.reason) == ("ada", "as my phone says")
    assert (event.before_wall_s, event.after_wall_s) == (clinic.wall_s - 2 * HOUR_S, clinic.wall_s)
    assert clinic.state.durable.wall_s == clinic.wall_s
    clinic.ready("stim-12")
    assert clinic.asks()[-1].startswith("> granted")
    # The next step is one again.
    clinic.wall_s += HOUR_S
    assert "FleetClockStepped" in clinic.after(1.0)


def test_where_nothing_is_in_doubt_there_is_nothing_to_accept() -> None:
    clinic = a_clinic()
    assert accepts(clinic) == ["> refused clock_not_in_doubt"]
    clinic.wall_s -= HOUR_S
    assert accepts(clinic) == ["> refused clock_not_in_doubt"], "one that is behind makes no session sooner"


def test_a_step_that_no_tick_has_found_yet_is_found_and_accepted() -> None:
    clinic = a_clinic()
    clinic.wall_s += HOUR_S
    assert [line for line in accepts(clinic) if "A09" not in line] == [
        "FleetClockStepped",
        "FleetClockAccepted",
        "> ordered",
    ]


def test_one_that_is_behind_by_the_time_it_is_accepted_is_waited_for() -> None:
    clinic = a_clinic()
    clinic.wall_s += HOUR_S
    clinic.after(1.0)
    clinic.wall_s -= 2 * HOUR_S
    clinic.after(300.0)
    before_s = clinic.state.durable.wall_s
    assert accepts(clinic)[0] == "FleetClockAccepted"
    assert clinic.state.durable.wall_s == before_s


# --- what is no step, and what is -----------------------------------------------------------------------------------


def test_two_minutes_are_put_right_in_passing_but_not_twice() -> None:
    clinic = a_clinic()
    clinic.wall_s += 119.0
    clinic.ready("stim-12")
    assert clinic.after(1.0) == []
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    clinic.wall_s += 119.0
    assert clinic.after(1.0) == STEPPED


def test_a_slow_crystal_that_is_put_right_each_morning_is_never_in_doubt() -> None:
    """50 ppm: 4.32 s a day, half an hour a year."""
    clinic = a_clinic()
    for _ in range(365):
        clinic.now_s += DAY_S
        clinic.wall_s += DAY_S + 50e-6 * DAY_S
        clinic.says("stim-12", clinic.stims["stim-12"].birth())
        clinic.hears(inputs.Tick(clinic.now_s, clinic.wall_s))
    assert steps(clinic) == []


def test_a_weekend_without_any_event_is_no_step() -> None:
    clinic = a_clinic()
    clinic.now_s += 2.5 * DAY_S
    clinic.wall_s += 2.5 * DAY_S * (1 + 500e-6)  # the worst that an NTP can correct
    clinic.hears(inputs.Tick(clinic.now_s, clinic.wall_s))
    assert steps(clinic) == []


def test_a_clock_that_jumps_to_and_fro_fills_no_journal() -> None:
    clinic = a_clinic()
    for _ in range(600):
        clinic.wall_s += HOUR_S
        clinic.after(0.5)
        clinic.wall_s -= HOUR_S
        clinic.after(0.5)
    assert sum("Clock" in type(event).__name__ for event in clinic.journal) == 1


def test_a_clock_set_back_is_no_doubt_and_its_way_forward_again_is_one() -> None:
    """Sessions of that day carry the time that stood still: from there on a rest would be a day shorter."""
    clinic = a_clinic()
    clinic.wall_s -= DAY_S
    for _ in range(26):
        clinic.after(HOUR_S)
        clinic.says("stim-12", clinic.stims["stim-12"].birth())
    assert steps(clinic) == []
    clinic.wall_s += DAY_S
    assert "FleetClockStepped" in clinic.after(1.0)


# --- starts and boots -----------------------------------------------------------------------------------------------


def test_a_fleet_that_was_off_for_days_goes_on_by_boot_time() -> None:
    clinic = a_clinic()
    clinic.goes_to(clinic.wall_s + 9 * DAY_S)
    clinic.restarts()
    assert clinic.state.durable.wall_s == clinic.wall_s
    clinic.after(1.0)
    assert steps(clinic) == []


def test_h06_a_clock_that_stepped_while_the_fleet_was_off_is_not_believed_at_its_start() -> None:
    clinic = a_clinic()
    clinic.goes_to(clinic.wall_s + DAY_S)
    clinic.wall_s += 30 * DAY_S
    clinic.restarts()
    assert clinic.state.durable.wall_s == pytest.approx(SUNDAY_NOON_WALL_S + DAY_S, abs=2.0)
    assert "FleetClockStepped" in clinic.after(1.0)


def test_the_clock_of_a_host_that_boots_is_taken_as_it_is() -> None:
    """How long it was off nobody knows."""
    clinic = a_clinic()
    clinic.now_s, clinic.wall_s = 20.0, clinic.wall_s + 9 * DAY_S
    clinic.restarts("host-boot-2")
    assert clinic.state.durable.wall_s == clinic.wall_s
    clinic.after(1.0)
    assert steps(clinic) == []
    clinic.wall_s += HOUR_S
    assert "FleetClockStepped" in clinic.after(1.0)


def test_h06_to_boot_the_host_ends_no_doubt() -> None:
    clinic = a_clinic()
    clinic.wall_s += 30 * DAY_S
    clinic.after(1.0)
    before_s = clinic.state.durable.wall_s
    clinic.now_s, clinic.wall_s = 20.0, clinic.wall_s + 600.0
    clinic.restarts("host-boot-2")
    clinic.after(1.0)
    assert clinic.state.durable.wall_s == pytest.approx(before_s, abs=2.0)
    clinic.ready("stim-12")
    assert "clock_in_doubt" in clinic.asks()[-1]
    assert accepts(clinic)[0] == "FleetClockAccepted"
    assert clinic.state.durable.wall_s == clinic.wall_s


def test_a_host_that_boots_in_doubt_with_its_clock_put_right_is_believed_after_a_minute() -> None:
    clinic = a_clinic()
    clinic.wall_s += 30 * DAY_S
    clinic.after(1.0)
    clinic.now_s, clinic.wall_s = 20.0, clinic.wall_s - 30 * DAY_S + 90.0
    clinic.restarts("host-boot-2")
    clinic.after(1.0)
    assert "FleetClockAgreed" in clinic.after(60.0)


# --- the ledger, and whoever is on call -----------------------------------------------------------------------------


def test_h06_the_ledger_forgets_nothing_and_no_rest_is_free() -> None:
    clinic = Practice()
    clinic.treats()
    held = clinic.held()
    clinic.wall_s += 60 * DAY_S
    clinic.after(1.0)
    assert {"dose_rest", "clock_in_doubt"} <= set(clinic.why())
    clinic.wall_s -= 60 * DAY_S
    for _ in range(61):
        clinic.after(1.0)
    assert clinic.held(CLIENT) == held
    assert clinic.why() == ["dose_rest"]
    clinic.days_later(2.0)
    assert clinic.why() == []


def test_a_drill_of_that_hour_is_not_of_the_future_either() -> None:
    """What goes by the clock as it is goes by boot time then too: else one drill would take the journal ahead."""
    clinic = OnCall()
    clinic.ready()
    clinic.wall_s += 30 * DAY_S
    clinic.drills("anna")
    (drill,) = (event for event in clinic.journal if isinstance(event, DrillOrdered) and event.person == "anna")
    assert drill.wall_s == pytest.approx(clinic.wall_s - 30 * DAY_S, abs=0.01)
    assert clinic.state.durable.wall_s == drill.wall_s
