"""Many alarms at once, and one that comes and goes: how many messages that may be, and which of them is first."""

from collections import Counter
from typing import Any

import pytest

from broker.contract.causes import AlarmCode, Cause
from broker.contract.messages import EventKind, Measured
from fleet.core import alarm_inputs as asks
from fleet.core import inputs
from fleet.core.alarm_events import AlarmRaised
from fleet.core.attention_state import RELAPSE_S, Act
from fleet.core.events import PageDue, PageMissed
from fleet.core.fold_attention import IDLE_KEPT, PAGES_KEPT
from tests.core.clinic import ONE
from tests.core.crowd import Crowd
from tests.core.on_call import ROTA, OnCall
from tests.scenarios.test_alarm_people import loses_its_lease, with_devices
from tests.scenarios.test_alarm_rungs import of, on_call, over_limit


def test_h19_in_a_storm_of_500_the_one_output_that_is_not_zero_is_told_first_and_in_the_same_turn() -> None:
    """The link is down: 500 devices are lost at once, and one of them was to stop and has not shown zero."""
    crowd = Crowd(500)
    crowd.decides(asks.RotaChanged(ROTA, crowd.now_s, crowd.wall_s))
    in_session = [f"stim-{n}" for n in range(0, 500, 2)]
    crowd.ready()
    crowd.treats(in_session)
    crowd.all_speak()
    heard_s = crowd.now_s
    crowd.now_s = heard_s + 28.98
    crowd.pushes_stop("stim-250")
    crowd.sent(crowd.open_stop(), ONE)
    decision = crowd.decides(inputs.Tick(heard_s + 30.01, crowd.wall_s + 30.01))
    told = [event for event in decision.events if isinstance(event, PageDue)]
    assert [(page.code, page.device, page.room, page.person) for page in told] == [
        ("A01", "stim-250", "room-25", name) for name in ("anna", "ben", "cleo")
    ]
    # The storm is one alarm, told two minutes later, once a rung.
    crowd.now_s = heard_s + 30.01
    before = len(crowd.journal)
    for at_s in range(1, 121):
        at: dict[str, Any] = {"request_id": "r", "now_s": crowd.now_s, "wall_s": crowd.wall_s}
        for page_id in list(crowd.state.durable.pages):
            crowd.decides(asks.PageDelivered(**at, page_id=page_id))
        crowd.after(1.0)
        assert len(crowd.state.durable.pages) <= 8, at_s
    (group,) = (event for event in crowd.journal[before:] if isinstance(event, PageDue) and event.code == "A04")
    assert (group.device, group.members_n, group.person, group.rung) == (None, 250, "anna", 1)
    raised = Counter(event.code for event in crowd.journal if isinstance(event, AlarmRaised))
    assert raised[AlarmCode.A04] == 1
    assert len(crowd.state.durable.attention) <= 2 * len(crowd.state.durable.alarms) + IDLE_KEPT


def test_what_is_high_is_told_before_what_is_medium_when_both_are_due() -> None:
    clinic = OnCall(rota=None)
    clinic.ready()
    loses_its_lease(clinic, "stim-7")
    clinic.after(60.0)
    over_limit(clinic)
    clinic.after(120.0)
    clinic.pager = True
    clinic.hears(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s))
    assert [line for line in clinic.after(0.0) if line.startswith("tell")] == [
        "tell anna/phone A02",
        "tell anna/phone A04",
    ]


def test_a_loss_that_becomes_one_alarm_makes_nobody_wait_longer() -> None:
    """Two minutes from the first of them, though the group is a minute younger; and members are not told one by one."""
    clinic = with_devices("stim-1", "stim-2", "stim-3")
    began_s = clinic.now_s
    for name, at_s in (("stim-1", 0.0), ("stim-2", 30.0), ("stim-3", 60.0)):
        clinic.after(began_s + at_s - clinic.now_s)
        loses_its_lease(clinic, name)
    assert list(clinic.state.durable.alarms) == ["A04/room/room-4"]
    assert of(clinic.during(59.5, 0.5), "tell") == []
    assert of(clinic.during(0.5, 0.5), "tell") == [(0.5, "tell anna/phone A04")]
    assert [(page.device, page.members_n) for page in clinic.triggers()] == [(None, 3)]


# --- flapping -------------------------------------------------------------------------------------------------------


def told_of(crowd: Crowd, code: str, act: Act) -> list[PageDue]:
    return [event for event in crowd.journal if isinstance(event, PageDue) and event.act is act and event.code == code]


@pytest.mark.parametrize(("there_s", "gone_s"), [(1, 1), (1, 11), (9, 12), (30, 60), (130, 15), (130, 400)])
def test_medium_that_comes_and_goes_climbs_one_ladder_however_often(there_s: int, gone_s: int) -> None:
    """Stated: as many messages as one alarm that stays: at 2 and 5 min, then one in 10 min."""
    crowd = Crowd(1)
    crowd.decides(asks.RotaChanged(ROTA, crowd.now_s, crowd.wall_s))
    crowd.ready()
    (stim,) = crowd.stims.values()
    began_s = crowd.now_s
    while crowd.now_s - began_s < 3_600.0:
        for cause, lasts_s in ((Cause.LEASE_LOST, there_s), (None, gone_s)):
            crowd.says(stim.name, stim.birth(latched=cause))
            for _ in range(lasts_s):
                crowd.after(1.0)
                for page_id in list(crowd.state.durable.pages):
                    at: dict[str, Any] = {"request_id": "r", "now_s": crowd.now_s, "wall_s": crowd.wall_s}
                    crowd.decides(asks.PageDelivered(**at, page_id=page_id))
    told, over = told_of(crowd, "A04", Act.TRIGGER), told_of(crowd, "A04", Act.RESOLVE)
    assert 1 <= len(told) <= 2 + (crowd.now_s - began_s) / 600.0, "and somebody is told of it"
    assert len(over) <= len(told), "nobody hears that it is over who was not told"
    assert len({page.page_id for page in told + over}) == len(told + over)


def test_what_came_back_within_ten_minutes_goes_on_where_it_was_and_later_begins_anew() -> None:
    clinic = with_devices("stim-1")
    stim = clinic.stims["stim-1"]

    def comes() -> None:
        clinic.says("stim-1", stim.birth(latched=Cause.LEASE_LOST))

    def goes(for_s: float) -> None:
        clinic.says("stim-1", stim.birth(latched=None))
        for _ in range(11):
            clinic.shows("stim-1")
            clinic.after(0.5)
        clinic.after(for_s)

    comes()
    clinic.during(100.0)
    first = clinic.alarm_id("A04")
    goes(RELAPSE_S - 60.0)
    comes()
    # It has sounded for two minutes by now, in two pieces: it is told at once, under the name that it had.
    (page,) = clinic.triggers("A04")
    assert page.series == first != page.alarm_id
    goes(RELAPSE_S + 1.0)
    comes()
    assert of(clinic.during(119.0), "tell") == []
    assert of(clinic.during(1.0), "tell anna") == [(1.0, "tell anna/phone A04")]
    assert clinic.triggers("A04")[-1].series == clinic.alarm_id("A04")


def test_a01_to_a03_begin_anew_once_what_was_told_is_resolved_and_never_wait() -> None:
    """Stated: one message a way in ten seconds at most, beside the ladder's own."""
    clinic = on_call()
    stim = clinic.stims["stim-12"]

    def well_again() -> None:
        stim.latched = None
        clinic.says("stim-12", stim.birth())
        clinic.says("stim-12", stim.sample())
        for _ in range(13):
            clinic.shows("stim-12")
            clinic.after(0.5)

    over_limit(clinic)
    well_again()
    assert "A02/stim-12" not in clinic.state.durable.alarms
    clinic.after(4.0)
    # Back before anybody was told that it is over: those who were told still believe the right thing.
    over_limit(clinic)
    assert len(clinic.triggers("A02")) == 1
    well_again()
    # Nobody comes back: ten seconds after the end whoever was told hears that it is over, and what comes then is new.
    assert clinic.during(11.0, 0.5) == [(9.0, "over, tell anna/phone A02")]
    assert over_limit(clinic)[1:4] == [
        "AlarmRaised A02 high room-4/stim-12 on",
        "rung 1 of A02",
        "tell anna/phone A02",
    ]


def test_who_was_told_of_what_has_come_and_gone_meanwhile_means_what_is_there_now() -> None:
    """Anna has the message of the first occurrence in her hand, and takes it."""
    clinic = with_devices("stim-1")
    stim = clinic.stims["stim-1"]
    told = []
    for cause in (Cause.LEASE_LOST, None, Cause.LEASE_LOST):
        clinic.says("stim-1", stim.birth(latched=cause))
        clinic.during(130.0, 5.0)
        told.append(clinic.triggers("A04")[-1].alarm_id)
    first, _, now = told
    assert first != now == clinic.alarm_id("A04")
    at: dict[str, Any] = {"request_id": "r", "now_s": clinic.now_s, "wall_s": clinic.wall_s, "issued_by": "anna"}
    assert clinic.hears(asks.AcceptAlarm(**at, alarm_id=first))[0] == "anna accepts A04"
    assert clinic.state.durable.alarms["A04/stim-1"].signal.state == "acknowledged"
    # The latched one in the list is still its own, and so is what is said of it.
    assert clinic.hears(asks.AcknowledgeAlarm(**at, alarm_id=first)) == ["anna acknowledges A04", "> ordered"]
    assert [past.alarm.signal.state for past in clinic.state.durable.past_alarms] == ["acknowledged"]
    clinic.hears(asks.CommentAlarm(**at, alarm_id=first, text="switch was off"))
    assert clinic.attention("A04").comments == ()
    # Once it is over, there is nothing left to take.
    clinic.says("stim-1", stim.birth(latched=None))
    clinic.during(20.0, 5.0)
    assert clinic.hears(asks.AcceptAlarm(**at, alarm_id=first)) == ["> refused alarm_over"]


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_messages_that_were_given_up_are_forgotten_in_the_end() -> None:
    """Nobody delivers, and 200 devices have an alarm of their own."""
    names = [f"stim-{n}" for n in range(200)]
    clinic = Crowd(200)
    clinic.decides(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s))
    clinic.ready()
    fault = Measured("amplitude_ma", 60.0, 45.0)
    for name in names:
        clinic.says(name, clinic.stims[name].event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))
    for _ in range(10):
        clinic.after(60.0)
        pages = clinic.state.durable.pages.values()
        assert sum(page.silent for page in pages) <= PAGES_KEPT + len(names)
    given_up = [event for event in clinic.journal if isinstance(event, PageMissed)]
    assert len(given_up) > 3 * PAGES_KEPT


def test_alarms_that_are_over_are_forgotten_in_the_end() -> None:
    """More names than are kept have each had an alarm; their relapse is not waited for any longer."""
    clinic = Crowd(IDLE_KEPT + 10)
    names = list(clinic.stims)
    clinic.ready()
    for turn in range(3):
        for name in names:
            clinic.says(name, clinic.stims[name].birth(latched=Cause.PATIENT_STOP))
            clinic.says(name, clinic.stims[name].birth())
        for _ in range(12):
            clinic.after(1.0)
        clinic.after(RELAPSE_S)
        assert len(clinic.state.durable.attention) <= 2 * len(names) + IDLE_KEPT, turn
