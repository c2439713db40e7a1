"""A10 and A12: a page that nobody accepted, and a way to people of which nobody knows that it works."""

from dataclasses import replace

from broker.contract.causes import Cause
from fleet.core import alarm_inputs as asks
from fleet.core.alarm_events import SignalState
from fleet.core.attention_state import DRILL_ANSWER_S
from fleet.core.events import DigestDue, DrillOrdered, PageDue
from fleet.core.rota import Override, Quiet
from tests.core.clinic import HOUR_S
from tests.core.on_call import HIGH, MEDIUM, ROTA, RUNGS, OnCall
from tests.scenarios.test_alarm_people import latched, loses_its_lease, with_devices
from tests.scenarios.test_alarm_rungs import of, on_call, over_limit, pressed

DAY_S = 24 * HOUR_S


# --- A10 --------------------------------------------------------------------------------------------------------------


def test_a10_a_page_that_nobody_accepted_in_its_time_is_as_grave_as_what_it_is_about() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.delivered("anna")
    told = of(clinic.during(31.0), "A10") + of(clinic.during(1.0), "A10")
    assert told == [(31.0, "AlarmRaised A10 high room-4/stim-12 on")]
    alarm = clinic.state.durable.alarms["A10/stim-12"]
    assert (alarm.why.quantity, alarm.why.value) == ("A02_rung", 2.0)
    # Nobody is told of it besides: its page is the next rung of what it is about.
    assert [page.code for page in clinic.triggers()] == ["A02", "A02"]
    clinic.accepts("A02", by="ben")
    clinic.after(1.0)
    assert clinic.after(10.0)[0] == "AlarmCleared A10 high room-4/stim-12 off"


def test_a10_goes_down_with_what_it_is_about() -> None:
    clinic = on_call()
    over_limit(clinic)
    pressed(clinic)
    latched(clinic, Cause.OVER_LIMIT)
    clinic.rejects("A02")
    clinic.after(1.0)
    assert clinic.state.durable.alarms["A10/stim-12"].priority == "high"
    for _ in range(20):  # zero is measured, and A02 is medium from then on
        clinic.shows("stim-12")
        clinic.after(1.0)
    assert clinic.state.durable.alarms["A10/stim-12"].priority == "medium"


def test_a10_of_a_group_is_the_sites() -> None:
    clinic = with_devices("stim-1", "stim-2", "stim-3")
    for name in clinic.stims:
        loses_its_lease(clinic, name)
    clinic.during(301.0)
    assert clinic.state.durable.alarms["A10/all"].why.quantity == "A04_rung"


# --- A12: no rota -----------------------------------------------------------------------------------------------------


def test_a12_without_a_rota_alarms_are_raised_and_nobody_is_told() -> None:
    clinic = OnCall(rota=None)
    clinic.ready()
    assert over_limit(clinic) == [
        "DeviceReported over_limit",
        "AlarmRaised A02 high room-4/stim-12 on",
        "> receipt stim-12 1",
    ]
    # A clinic that is being set up is not told at once.
    until_s = 900.0 - (clinic.now_s - 10_000.0)
    assert of([(0.0, line) for line in clinic.after(until_s - 0.5)], "A12") == []
    clinic.after(0.5)
    assert of([(0.0, line) for line in clinic.after(0.5)], "A12") == [(0.0, "AlarmRaised A12 medium site on")]
    assert clinic.state.durable.alarms["A12/all"].why.quantity == "no_rota"
    assert clinic.triggers() == []
    # It cannot be ordered to be proven, either.
    assert clinic.drills() == ["> refused no_rota"]
    # With a rota, whatever still sounds is told, and A12 is over.
    assert clinic.hears(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s)) == ["RotaAdopted"]
    clinic.pager = True
    first = [(0.0, line) for line in clinic.after(1.0)]
    assert of(first, "tell") == [(0.0, "tell anna/phone A02")]
    assert of(first, "A12") == [(0.0, "AlarmCleared A12 medium site off")]
    # The same rota again is nothing new; none any more is.
    assert clinic.hears(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s)) == []
    assert clinic.hears(asks.RotaChanged(None, clinic.now_s, clinic.wall_s)) == ["RotaAdopted"]
    clinic.after(899.0)
    assert of([(0.0, line) for line in clinic.after(1.0)], "A12") == [(0.0, "AlarmRaised A12 medium site on")]


def test_whoever_is_the_first_on_call_is_not_called_for_that_nobody_was() -> None:
    clinic = OnCall(rota=None)
    clinic.ready()
    clinic.pager = True
    clinic.after(3600.0)
    assert clinic.state.durable.alarms["A12/all"].signal.state is SignalState.ON
    clinic.hears(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s))
    assert of(clinic.during(600.0), "A12") == [(1.0, "AlarmCleared A12 medium site off")]
    assert clinic.triggers() == []


def test_what_is_silenced_without_a_rota_still_runs_out() -> None:
    clinic = OnCall(rota=None)
    clinic.ready()
    over_limit(clinic)
    assert clinic.acknowledges("A02") == ["anna acknowledges A02", "> ordered"]
    assert clinic.rejects("A02") == ["anna rejects A02", "> ordered"]
    clinic.acknowledges("A02")
    clinic.after(599.0)
    assert "A02 sounds again: acknowledgement_over" in clinic.after(1.0)


def test_whoever_is_off_the_rota_is_told_nothing_more() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.delivered("anna")
    rotations = {"on-call": replace(ROTA.rotations["on-call"], people=("ben",))}
    clinic.changes_rota(
        people={"ben": ROTA.people["ben"]}, rotations=rotations, rungs={HIGH: RUNGS[:2], MEDIUM: RUNGS[:2]}
    )
    assert clinic.accepts("A02", by="ben") == ["ben accepts A02", "> ordered"]
    assert clinic.attention("A02").told == ()


# --- A12: whoever delivers --------------------------------------------------------------------------------------------


def test_a12_a_pager_that_is_not_heard_for_three_minutes() -> None:
    clinic = on_call()
    clinic.pager = False
    clinic.alive()
    clinic.after(179.5)
    assert "A12/all" not in clinic.state.durable.alarms
    clinic.after(1.0)
    assert clinic.state.durable.alarms["A12/all"].why.quantity == "pager_silent"
    clinic.alive()
    assert of(clinic.during(11.0), "A12") == [(11.0, "AlarmCleared A12 medium site off")]


def test_a12_the_switch_outside_does_not_take_the_heartbeat() -> None:
    clinic = on_call()
    clinic.pager = False
    clinic.alive(heartbeat=True)
    assert of(clinic.during(2.0), "A12") == []
    clinic.alive(heartbeat=False)
    assert of(clinic.during(1.0), "A12") == [(1.0, "AlarmRaised A12 medium site on")]
    assert clinic.state.durable.alarms["A12/all"].why.quantity == "heartbeat_missing"


# --- A12: cover -------------------------------------------------------------------------------------------------------


def test_a12_a_gap_in_cover_is_said_a_day_ahead() -> None:
    clinic = on_call()
    gap_s = clinic.wall_s + 30 * HOUR_S
    nobody = Override(person=None, from_wall_s=gap_s, until_wall_s=gap_s + HOUR_S)
    clinic.changes_rota(rotations={"on-call": replace(ROTA.rotations["on-call"], overrides=(nobody,))})
    clinic.after(6 * HOUR_S - 60.0)
    clinic.after(1.0)
    assert "A12/all" not in clinic.state.durable.alarms
    clinic.after(60.0)
    clinic.after(1.0)
    why = clinic.state.durable.alarms["A12/all"].why
    assert why.quantity == "cover_gap_in_s"
    assert why.value is not None
    assert DAY_S - 61.0 <= why.value <= DAY_S
    # Somebody takes it over: the later entry counts.
    filled = Override(person="ben", from_wall_s=gap_s, until_wall_s=gap_s + HOUR_S)
    clinic.changes_rota(rotations={"on-call": replace(ROTA.rotations["on-call"], overrides=(nobody, filled))})
    assert of(clinic.during(12.0), "A12") == [(11.0, "AlarmCleared A12 medium site off")]


# --- A12: drills ------------------------------------------------------------------------------------------------------


def test_a_drill_goes_to_everybody_by_every_way_and_the_answer_proves_it() -> None:
    clinic = on_call()
    lines = clinic.drills()
    assert lines == [
        "DrillOrdered",
        "test anna/phone",
        "test anna/mail",
        "test ben/phone",
        "test cleo/phone",
        "> ordered",
    ]
    drills = [event for event in clinic.journal if isinstance(event, PageDue) and event.drill]
    assert [(drill.rung, drill.series) for drill in drills] == [(n, drills[0].series) for n in (1, 1, 2, 3)]
    page_id = clinic.pages("anna")[0]
    clinic.delivered("anna")
    assert clinic.answers(page_id) == ["anna/phone proven", "> ordered"]
    assert clinic.state.durable.proofs["anna/phone"].proven_wall_s == clinic.wall_s
    assert clinic.answers(page_id) == ["> refused page_unknown"]
    assert clinic.drills("nobody") == ["> refused person_unknown"]
    assert clinic.drills("ben") == ["DrillOrdered", "test ben/phone", "> ordered"]


def test_a12_a_drill_that_was_not_delivered_or_not_answered() -> None:
    clinic = on_call()
    clinic.drills("anna")
    phone, mail = clinic.pages("anna")
    failed = asks.PageFailed(request_id="r", now_s=clinic.now_s, wall_s=clinic.wall_s, page_id=mail, why="no such host")
    assert clinic.hears(failed) == ["anna/mail failed: no such host", "> ordered"]
    clinic.delivered("anna")
    # Her telephone is not in doubt, and neither are the others': that is a line of the digest.
    assert of(clinic.during(1.0), "A12") == [(1.0, "AlarmRaised A12 low site digest")]
    assert clinic.state.durable.alarms["A12/all"].why.quantity == "drill_failed"
    clinic.after(DRILL_ANSWER_S - 2.0)
    assert clinic.state.durable.proofs["anna/phone"].failed is None
    assert "anna/phone unanswered" in clinic.after(1.0)
    assert clinic.state.durable.proofs["anna/phone"].failed == "unanswered"
    assert clinic.answers(phone) == ["> refused page_unknown"]
    # Both are proven by the next one.
    clinic.drills("anna")
    for page_id in clinic.pages("anna"):
        if page_id in clinic.state.durable.drills:
            clinic.answers(page_id)
    assert of(clinic.during(12.0), "A12") == [(11.0, "AlarmCleared A12 low site digest")]


def test_what_became_of_a_message_is_taken_once_and_late_failures_change_nothing() -> None:
    clinic = on_call()
    over_limit(clinic)
    (page_id,) = clinic.pages("anna")
    at = {"request_id": "r", "now_s": clinic.now_s, "wall_s": clinic.wall_s}
    for said in (
        asks.PageDelivered(**at, page_id="0" * 32),  # type: ignore[arg-type] # a table of common fields
        asks.PageFailed(**at, page_id="0" * 32, why="busy"),  # type: ignore[arg-type] # the same
    ):
        assert clinic.hears(said) == ["> refused page_unknown"]
    assert "anna/phone failed: silence" in clinic.after(15.0)
    late = asks.PageFailed(request_id="r", now_s=clinic.now_s, wall_s=clinic.wall_s, page_id=page_id, why="busy")
    assert clinic.hears(late) == ["> ordered"], "it has failed already, and the next rung was told"


def test_a_drill_of_somebody_who_left_the_rota_meanwhile_proves_nothing() -> None:
    clinic = on_call()
    clinic.drills("cleo")
    (page_id,) = clinic.pages("cleo")
    people = {name: ROTA.people[name] for name in ("anna", "ben")}
    rungs = {HIGH: RUNGS[:2], MEDIUM: RUNGS[:2]}
    clinic.changes_rota(people=people, rungs=rungs)
    assert clinic.answers(page_id) == ["cleo/phone proven", "> ordered"]
    assert sorted(clinic.state.durable.proofs) == ["anna/mail", "anna/phone", "ben/phone"]


def test_who_stands_on_no_rung_is_drilled_all_the_same_because_a01_goes_to_everyone() -> None:
    clinic = OnCall(replace(ROTA, rungs={HIGH: RUNGS[:2], MEDIUM: RUNGS[:2]}))
    clinic.drills("cleo")
    (drill,) = (event for event in clinic.journal if isinstance(event, PageDue))
    assert (drill.person, drill.rung) == ("cleo", 0)
    rota = replace(ROTA, rungs={HIGH: (("everyone",),), MEDIUM: RUNGS})
    clinic = OnCall(rota)
    clinic.drills("cleo")
    assert [event.rung for event in clinic.journal if isinstance(event, PageDue)] == [1]


def test_a_drill_that_a_boot_of_the_host_interrupts_has_failed() -> None:
    clinic = on_call()
    clinic.drills("ben")
    clinic.delivered("ben")
    clinic.now_s = 20.0
    clinic.restarts("host-boot-2")
    assert "ben/phone unanswered" in clinic.after(0.0)


def test_a_drill_is_due_by_the_calendar_and_only_then() -> None:
    """Every seven days at 10:00: the rota was adopted on a Sunday at noon."""
    clinic = on_call()
    to_ten_s = 7 * DAY_S - 2 * HOUR_S
    for _ in range(6):
        clinic.after(DAY_S)
    clinic.after(DAY_S - 2 * HOUR_S - 60.0)
    clinic.after(61.0)
    told = [event for event in clinic.journal if isinstance(event, DrillOrdered)]
    assert len(told) == 1
    assert told[0].wall_s - (1_795_348_800.0 + to_ten_s) < 120.0
    assert told[0].wall_s >= 1_795_348_800.0 + to_ten_s
    clinic.after(HOUR_S)
    assert sum(isinstance(event, DrillOrdered) for event in clinic.journal) == 1


def test_a12_what_was_not_proven_for_as_long_as_the_clinic_has_set() -> None:
    clinic = on_call()
    clinic.changes_rota(drill_every_days=30)
    clinic.after(30 * DAY_S - clinic.wall_s + 1_795_348_800.0 - 10.0)
    clinic.after(1.0)
    assert "A12/all" not in clinic.state.durable.alarms
    clinic.after(10.0)
    why = clinic.state.durable.alarms["A12/all"].why
    assert (why.quantity, why.value) == ("not_proven_for_days", 30.0)


# --- digests ----------------------------------------------------------------------------------------------------------


def refuses_beyond_a_limit(clinic: OnCall, name: str = "stim-12") -> None:
    plan = replace(clinic.request().plan, setting_ma_max=119.0)
    room = clinic.registry.devices[name].room
    clinic.asks(request_id="request-5", client="c-9999", device=name, room=room, plan=plan)


def test_low_is_told_together_at_most_once_an_hour() -> None:
    clinic = on_call()
    clinic.running()
    clinic.after(0.0)  # from here on the calendar is looked at once a minute
    refuses_beyond_a_limit(clinic, "stim-7")
    clinic.shows("stim-12", battery_pct=15.0)
    assert [line for _, line in of(clinic.during(61.0), "low digest")] == ["low digest anna/mail: A06 A08"]
    clinic.delivered("anna")
    # What is told is told; what is new waits for its hour.
    refuses_beyond_a_limit(clinic)
    assert of(clinic.during(3480.0, 60.0), "low digest") == []
    refuses_beyond_a_limit(clinic)
    assert [line for _, line in of(clinic.during(120.0, 30.0), "low digest")] == ["low digest anna/mail: A07 A06 A06"]


def test_nothing_low_is_told_in_quiet_hours() -> None:
    """Noon it is; quiet from eleven to two, or from eight over midnight to seven."""
    clinic = on_call()
    clinic.changes_rota(quiet=Quiet(from_local_min=11 * 60, until_local_min=14 * 60))
    refuses_beyond_a_limit(clinic)
    assert of(clinic.during(780.0, 60.0), "low digest") == []
    clinic.changes_rota(quiet=Quiet(from_local_min=20 * 60, until_local_min=7 * 60))
    assert of(clinic.during(60.0, 60.0), "low digest") == [(60.0, "low digest anna/mail: A06 A07 A07")]
    over_limit(clinic)
    clinic.changes_rota(quiet=Quiet(from_local_min=11 * 60, until_local_min=14 * 60))
    over_limit(clinic, "stim-7")
    assert clinic.triggers("A02")[-1].device == "stim-7", "high and medium know no quiet hours"


def test_a_digest_names_twenty_and_counts_the_rest_and_those_come_with_the_next() -> None:
    clinic = with_devices(*(f"stim-{n}" for n in range(23)))
    for name in clinic.stims:
        refuses_beyond_a_limit(clinic, name)
    clinic.after(61.0)
    digest = next(event for event in clinic.journal if isinstance(event, DigestDue))
    assert (len(digest.alarms), digest.more) == (20, 3)
    clinic.changes_rota(rungs={HIGH: RUNGS, MEDIUM: RUNGS})
    assert of(clinic.during(3600.0, 400.0), "low digest") == [], "a rota that has no rungs for low tells nobody of it"


def test_info_is_told_once_a_day_while_it_is_open() -> None:
    clinic = on_call()
    clinic.changes_device("stim-7", due_wall_s=clinic.wall_s + 10 * DAY_S)
    told = []
    for day in range(3):
        for _ in range(24):
            told += [(day, line) for line in clinic.after(HOUR_S) if line.startswith("info")]
    assert told == [(day, "info digest anna/mail: A11") for day in range(3)]
