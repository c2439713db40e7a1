"""What a session counts as, when the device's numbers come late, with gaps, twice, or never: LOST, boots, people."""

from typing import NoReturn

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import Phase
from fleet.core import inputs
from fleet.core.decide import decide
from fleet.core.dose import KEPT_DAYS, ClientDoses
from fleet.core.events import SessionState
from fleet.core.fold_sessions import SESSIONS_KEPT
from tests.core.practice import CLIENT, Practice


def running_for(clinic: Practice, seconds: float) -> str:
    """A session that has run for so long, by the fleet's own time, and is heard."""
    session_id = clinic.begins()
    clinic.now_s = clinic.session_on().since_s + seconds
    clinic.wall_s += seconds
    clinic.says("stim-12", clinic.stims["stim-12"].sample(elapsed_s=seconds))
    return session_id


def lost_after(clinic: Practice, seconds: float) -> str:
    """The same, and then nothing is heard any more."""
    session_id = running_for(clinic, seconds)
    assert clinic.after(30.0)[-1] == "SessionLost"
    return session_id


# --- LOST -----------------------------------------------------------------------------------------------------------


def test_h05_a_lost_session_keeps_its_reservation_until_it_is_reported() -> None:
    clinic = Practice()
    session_id = lost_after(clinic, 10.0)
    clinic.days_later(3)
    assert clinic.standing() == ["reserved"]
    assert [refusal.rule.value for refusal in clinic.asked(name="stim-7")] == ["client_in_session"]
    clinic.days_later(-2)  # what the clock says is never before the journal
    assert "client_in_session" in clinic.why(name="stim-7")
    clinic.ran(session_id, 40.0, cause=Cause.LEASE_LOST)
    assert clinic.standing() == ["no"]
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED


@pytest.mark.parametrize(("ran_s", "standing"), [(10.0, "no"), (18.0, "no"), (20.0, "counts"), (900.0, "counts")])
def test_a_person_settles_a_lost_session_and_it_counts_by_the_fleet_s_own_time(ran_s: float, standing: str) -> None:
    """What it ran until it was lost, 30 s of silence included, and 11 s that the fleet cannot have seen."""
    clinic = Practice()
    lost_after(clinic, ran_s)
    assert clinic.is_off() == ["SessionEnded aborted None", "> ordered"]
    assert clinic.standing() == [standing]


@pytest.mark.parametrize(("on_time_s", "standing"), [(20.0, "no"), (61.0, "counts")])
def test_a_report_after_a_person_s_word_corrects_it_once(on_time_s: float, standing: str) -> None:
    clinic = Practice()
    session_id = lost_after(clinic, 900.0)
    clinic.is_off()
    assert clinic.standing() == ["counts"]
    assert clinic.ran(session_id, on_time_s) == [
        "DeviceReported session_ended",
        "SessionEnded aborted completed",
        "> receipt stim-12 1",
    ]
    assert clinic.standing() == [standing]
    # A second word changes the session no more; the dose is the longest that was told.
    assert clinic.ran(session_id, 500.0) == ["DeviceReported session_ended", "> receipt stim-12 2"]
    assert clinic.standing() == ["counts"]
    assert clinic.session_on().ended is not None
    assert clinic.session_on().ended.on_time_s == on_time_s  # type: ignore[union-attr] # asserted above


def test_h05_a_lost_session_that_comes_back_running_is_stopped_also_by_another_instance() -> None:
    clinic = Practice()
    session_id = lost_after(clinic, 100.0)
    clinic.restarts()
    clinic.shows("stim-12")
    clinic.now_s += 1.0
    assert clinic.says("stim-12", clinic.stims["stim-12"].sample()) == ["! count impossible_phase"]
    clinic.now_s += 1.0
    stopped = clinic.says("stim-12", clinic.stims["stim-12"].sample())
    assert stopped[:2] == ["OutputUnpermitted", "StopOrdered stim-12 rule_stop"]
    # How long it ran unseen nobody knows: a person's word does not make it short.
    assert clinic.standing() == ["reserved"]
    clinic.now_s += 60.0
    clinic.is_off()
    assert clinic.standing() == ["counts"]
    clinic.ran(session_id, 50.0)
    assert clinic.standing() == ["no"]


def test_h05_a_lost_session_outlives_a_restart_of_the_fleet() -> None:
    clinic = Practice()
    lost_after(clinic, 100.0)
    clinic.restarts()
    clinic.now_s += 100.0
    assert clinic.after(0.0) == []
    assert clinic.session_on().state is SessionState.LOST
    assert clinic.standing() == ["reserved"]


def test_a_device_that_was_struck_off_settles_its_lost_session() -> None:
    clinic = Practice()
    running_for(clinic, 100.0)
    clinic.changes_device("stim-12", struck_off=True)
    clinic.after(31.0)
    assert clinic.after(0.1) == ["SessionEnded aborted None"]
    assert clinic.standing() == ["counts"]


def test_an_end_that_an_idle_device_never_reports_is_settled_by_the_fleet_s_own_time() -> None:
    clinic = Practice()
    running_for(clinic, 30.0)
    clinic.is_idle()
    clinic.shows("stim-12")
    clinic.now_s += 31.0
    assert clinic.shows("stim-12")[-1] == "SessionEnded aborted None"
    assert clinic.standing() == ["no"]


# --- boots ----------------------------------------------------------------------------------------------------------


def test_a_device_that_booted_has_not_said_yet_what_it_knows() -> None:
    clinic = Practice()
    session_id = running_for(clinic, 10.0)
    clinic.boots()
    assert clinic.session_on().state is SessionState.STOPPED_LATCHED
    assert clinic.standing() == ["reserved"]
    # Its agent died in the session and has no record: zeros and a gap. Then the fleet's own time is what is known.
    clinic.ran(session_id, 0.0, gaps=1, cause=Cause.REBOOT)
    assert clinic.standing() == ["no"]


def test_an_agent_that_died_late_in_a_session_does_not_make_it_a_short_one() -> None:
    clinic = Practice()
    session_id = running_for(clinic, 600.0)
    clinic.boots()
    clinic.ran(session_id, 0.0, gaps=1, cause=Cause.REBOOT)
    assert clinic.standing() == ["counts"]


def test_a_device_with_another_disk_will_never_report_and_the_session_counts() -> None:
    clinic = Practice()
    running_for(clinic, 5.0)
    clinic.changes_device("stim-12", enrolment="second")
    assert clinic.standing() == ["reserved"]
    clinic.days_later(1)
    assert clinic.why(name="stim-7") == ["dose_rest"]
    # Until no rule can need it any more.
    clinic.days_later(KEPT_DAYS - 1)
    clinic.asked("c-4712", name="stim-7")
    assert clinic.standing() == []


@pytest.mark.parametrize(("on_time_s", "own_s", "standing"), [(45.0, 30.0, "no"), (45.0, 50.0, "counts")])
def test_a_record_with_gaps_says_no_less_than_it_says(on_time_s: float, own_s: float, standing: str) -> None:
    clinic = Practice()
    clinic.ran(running_for(clinic, own_s), on_time_s, gaps=2)
    assert clinic.standing() == [standing]


def test_the_longest_record_stands() -> None:
    clinic = Practice()
    session_id = running_for(clinic, 20.0)
    on_times_s = []
    for on_time_s, gaps in ((10.0, 1), (15.0, 3), (12.0, 1), (11.0, 0), (99.0, 0), (99.0, 1)):
        clinic.ran(session_id, on_time_s, gaps)
        on_times_s.append(clinic.held()[0].on_time_s)
    assert on_times_s == [10.0, 15.0, 15.0, 15.0, 99.0, 99.0]


# --- the fleet's own time -------------------------------------------------------------------------------------------


def test_after_a_boot_of_the_host_nobody_knows_for_how_long_it_ran() -> None:
    clinic = Practice()
    running_for(clinic, 10.0)
    clinic.now_s = 12.0
    clinic.restarts("host-boot-2")
    clinic.after(31.0)
    clinic.is_off()
    assert clinic.standing() == ["counts"]


def test_after_a_boot_of_the_host_what_was_only_authorised_is_given_back_as_ever() -> None:
    clinic = Practice()
    clinic.asked()
    clinic.now_s = 12.0
    clinic.restarts("host-boot-2")
    clinic.after(125.0)
    assert clinic.standing() == []


def test_pauses_are_no_time_of_running() -> None:
    clinic = Practice()
    running_for(clinic, 20.0)
    stim = clinic.stims["stim-12"]
    stim.phase, stim.shown = Phase.PAUSED, {"elapsed_s": 20.0}
    clinic.shows("stim-12")
    clinic.now_s += 200.0
    assert clinic.session_on().ran_s == 20.5
    clinic.says("stim-12", stim.sample())
    clinic.after(30.0)
    clinic.is_off()
    assert clinic.standing() == ["no"]


# --- later than that ------------------------------------------------------------------------------------------------


def forgets_its_sessions(clinic: Practice) -> None:
    """Two hundred and more sessions of other people, withdrawn."""
    clinic.ready("stim-7")
    for n in range(SESSIONS_KEPT + 1):
        at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
        decide(clinic.state, clinic.request(device="stim-7", room="room-1", client=f"x-{n:04}", request_id=f"x-{n}"))
        session_id = clinic.session_on("stim-7").session_id
        cancel = inputs.CancelSession(request_id="c", session_id=session_id, issued_by="ada", **at)
        decide(clinic.state, cancel)


@pytest.mark.parametrize(("on_time_s", "standing"), [(20.0, "no"), (70.0, "counts")])
def test_a_report_on_a_session_that_is_long_forgotten_corrects_the_ledger(on_time_s: float, standing: str) -> None:
    clinic = Practice()
    session_id = running_for(clinic, 600.0)
    clinic.boots()
    forgets_its_sessions(clinic)
    assert session_id not in clinic.state.durable.sessions
    assert clinic.standing() == ["reserved"]
    assert clinic.ran(session_id, on_time_s) == ["DeviceReported session_ended", "> receipt stim-12 1"]
    assert clinic.standing() == [standing]
    assert len(clinic.state.durable.doses) == 1  # nothing is left of those who were never treated


class Unsearched(dict[str, ClientDoses]):
    """A ledger that may be asked for a client, and not gone through."""

    def items(self) -> NoReturn:
        pytest.fail("the ledger was searched")


@pytest.mark.parametrize(("known", "standing"), [(True, "counts"), (False, "reserved")])
def test_whatever_session_a_device_reports_on_the_ledger_is_not_searched_for_it(known: bool, standing: str) -> None:
    """A device with 5,000 clients before it would hold the fleet up with every id that it makes up."""
    clinic = Practice()
    session_id = running_for(clinic, 600.0)
    clinic.boots()
    forgets_its_sessions(clinic)
    clinic.state.durable.doses = Unsearched(clinic.state.durable.doses)
    clinic.ran(session_id if known else "f" * 32, 400.0)
    assert clinic.standing() == [standing]


def test_a_session_that_was_given_back_and_had_current_after_all_counts() -> None:
    clinic = Practice()
    clinic.asked()
    session = clinic.session_on()
    clinic.after(125.0)
    assert clinic.standing() == []
    clinic.ran(session.session_id, 59.0)
    assert clinic.standing() == ["no"]
    clinic.ran(session.session_id, 400.0)  # of several records the longest
    assert clinic.standing() == ["counts"]
    clinic.ran(session.session_id, 5.0)
    assert clinic.standing() == ["counts"]
    other = Practice()
    other.asked()
    session = other.session_on()
    other.after(125.0)
    other.ran(session.session_id, 60.0)
    assert other.standing() == ["counts"]
    assert other.state.durable.sessions[session.session_id].state is SessionState.EXPIRED


def test_no_later_word_of_a_device_makes_less_of_a_dose() -> None:
    """One agent with a fault must not give a client another session the same day."""
    clinic = Practice()
    session_id = running_for(clinic, 600.0)
    clinic.ran(session_id, 200.0, gaps=1)
    assert clinic.standing() == ["counts"]
    clinic.ran(session_id, 5.0)
    assert clinic.standing() == ["counts"]


def test_a_record_with_charge_and_no_time_says_nothing_against_the_fleet_s_own_time() -> None:
    clinic = Practice()
    session_id = running_for(clinic, 600.0)
    clinic.ran(session_id, 0.0, charge_uc=9e4)
    assert clinic.standing() == ["counts"]
    honest = Practice()
    session_id = running_for(honest, 600.0)
    honest.ran(session_id, 0.0)  # nobody ever raised it
    assert honest.standing() == ["no"]


def test_reports_that_are_about_nothing_change_nothing() -> None:
    clinic = Practice()
    session_id = clinic.begins()
    clinic.ready("stim-7")
    clinic.ran(session_id, 500.0, name="stim-7")  # another device's session
    clinic.ran("e" * 32, 500.0)  # nobody's
    clinic.asked("c-4712", name="stim-7")
    other = clinic.session_on("stim-7").session_id
    clinic.after(125.0)
    clinic.ran(other, 0.0, name="stim-7")  # nothing flowed
    assert (clinic.standing(), clinic.standing("c-4712")) == (["reserved"], [])


def test_h05_output_without_permission_counts_until_its_numbers_are_known() -> None:
    """Expired by the fleet, and running all the same: a device's fault, not the client's rest."""
    clinic = Practice()
    clinic.asked()
    session_id = clinic.session_on().session_id
    clinic.after(125.0)
    stim = clinic.stims["stim-12"]
    stim.phase, stim.session_id, stim.shown = Phase.RUNNING, session_id, {"setting_ma": 5.0, "amplitude_ma": 5.0}
    clinic.shows("stim-12")
    clinic.now_s += 2.0
    assert clinic.shows("stim-12")[0] == "OutputUnpermitted"
    assert clinic.standing() == ["counts"]
    clinic.ran(session_id, 3.0)
    assert clinic.standing() == ["no"]
    # It obeys the stop, and goes on after all: its last word is worth nothing.
    clinic.sent(clinic.open_stop())
    stim.phase, stim.session_id, stim.shown = Phase.LATCHED, None, {}
    assert "StopConfirmed stim-12 telemetry" in clinic.shows("stim-12")
    stim.phase, stim.session_id = Phase.RUNNING, session_id
    clinic.shows("stim-12")
    clinic.now_s += 2.0
    assert clinic.shows("stim-12")[0] == "OutputUnpermitted"
    assert clinic.standing() == ["counts"]


def names(clinic: Practice) -> list[str]:
    return [type(event).__name__ for event in clinic.journal]


def test_output_of_no_known_session_is_nobody_s_dose() -> None:
    clinic = Practice()
    clinic.treats()
    stim = clinic.stims["stim-12"]
    for session_id in (None, "e" * 32):
        stim.phase, stim.session_id = Phase.RUNNING, session_id
        clinic.shows("stim-12", amplitude_ma=5.0)
        clinic.now_s += 2.0
        clinic.shows("stim-12", amplitude_ma=5.0)
    assert "OutputUnpermitted" in names(clinic)
    assert clinic.standing(CLIENT) == ["counts"]


def test_h05_a_report_of_more_seconds_than_the_plan_has_is_noticed() -> None:
    clinic = Practice()
    session_id = lost_after(clinic, 100.0)
    assert clinic.ran(session_id, 400.0, elapsed_s=1204.9)[-1] == "> receipt stim-12 1"
    assert "SecurityNoticed" not in names(clinic)
    other = Practice()
    session_id = lost_after(other, 100.0)
    assert other.ran(session_id, 400.0, elapsed_s=1205.0) == [
        "DeviceReported session_ended",
        "SecurityNoticed session_overran",
        "SessionEnded completed completed",
        "! count session_overran",
        "> receipt stim-12 1",
    ]
    assert other.standing() == ["counts"]


def test_elapsed_time_that_goes_back_within_a_phase_gets_no_lease() -> None:
    """The device's count is the second timer's, too: one that goes back is no count."""
    clinic = Practice()
    clinic.begins()
    stim = clinic.stims["stim-12"]
    assert clinic.shows("stim-12", elapsed_s=500.0) == [f"! lease stim-12 {stim.seq}"]
    assert clinic.shows("stim-12", elapsed_s=499.9) == [
        "SecurityNoticed elapsed_decreased",
        "! count elapsed_decreased",
    ]
    assert clinic.shows("stim-12", elapsed_s=500.0) == [f"! lease stim-12 {stim.seq}"]
    # Another session begins at nothing.
    clinic.ran(clinic.session_on().session_id, 100.0)
    clinic.is_idle()
    clinic.begins("c-4712")
    assert clinic.shows("stim-12", elapsed_s=0.5) == [f"! lease stim-12 {stim.seq}"]
