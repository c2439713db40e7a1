"""What people were told, and what became of it since: it came back, it is a part of a group, others joined it."""

from broker.contract.causes import Cause
from broker.contract.messages import EventKind
from fleet.core import alarm_inputs as asks
from fleet.core.alarm_state import PastAlarm
from fleet.core.attention_state import Act
from fleet.core.events import PageDue
from fleet.core.fold_alarms import PAST_KEPT
from fleet.core.registry import RegisteredDevice
from fleet.paging.links import Link
from fleet.words.pages import Surroundings, link_line, page_message
from tests.core.clinic import HOUR_S, Stimulator
from tests.core.crowd import Crowd
from tests.core.on_call import OnCall
from tests.scenarios.test_alarm_people import latched, loses_its_lease, signal, with_devices
from tests.scenarios.test_alarm_rungs import of, on_call, over_limit

ROOM_4 = [f"stim-{n}" for n in range(1, 6)]


def two_rooms() -> OnCall:
    """Five devices in room 4, two in room 5."""
    clinic = OnCall()
    rooms = {**dict.fromkeys(ROOM_4, "room-4"), "stim-6": "room-5", "stim-7": "room-5"}
    clinic.stims = {name: Stimulator(name, name.upper()) for name in rooms}
    clinic.changes_registry(
        devices={
            name: RegisteredDevice(device=name, room=room, model="sim-1", serial=name.upper(), enrolment="first")
            for name, room in rooms.items()
        }
    )
    clinic.ready()
    return clinic


def room_4_is_lost(clinic: OnCall) -> PageDue:
    """One after the other, so that Anna has been told of the room while it goes on."""
    for name in ROOM_4:
        clinic.during(30.0)
        loses_its_lease(clinic, name)
    clinic.during(1.0)
    clinic.delivered("anna")
    return clinic.triggers("A04")[-1]


def pages_of(clinic: OnCall, act: Act, since: int = 0) -> list[PageDue]:
    return [event for event in clinic.journal[since:] if isinstance(event, PageDue) and event.act is act]


def link_of(page: PageDue) -> Link:
    return Link(page_id=page.page_id, alarm_id=page.alarm_id, person=page.person, ends_s=2**31)


def presses(clinic: OnCall, page: PageDue) -> list[str]:
    """Whoever was told presses the link of that message."""
    return clinic.hears(
        asks.AcceptAlarm(
            request_id="r", now_s=clinic.now_s, wall_s=clinic.wall_s, issued_by=page.person, alarm_id=page.alarm_id
        )
    )


# --- groups -----------------------------------------------------------------------------------------------------------


def test_h19_a_shelved_group_sounds_for_devices_that_are_lost_later() -> None:
    clinic = with_devices(*(f"stim-{n}" for n in range(1, 7)))
    for name in ("stim-1", "stim-2", "stim-3"):
        loses_its_lease(clinic, name)
    clinic.shelves("A04", 8 * HOUR_S)
    clinic.during(HOUR_S, 60.0)
    assert clinic.triggers("A04") == []
    for name in ("stim-4", "stim-5"):
        assert [line for line in loses_its_lease(clinic, name) if "sounds again" in line] == []
    assert "A04 sounds again: joined" in loses_its_lease(clinic, "stim-6")
    assert of(clinic.during(120.0), "tell anna/phone A04")
    assert clinic.triggers("A04")[-1].members_n == 6


def test_h19_of_a_group_that_becomes_the_sites_nobody_is_told_that_it_is_over() -> None:
    clinic = two_rooms()
    first = room_4_is_lost(clinic)
    assert (first.room, first.members_n) == ("room-4", 4)
    clinic.comments("A04", "the relay of room 4")
    since = len(clinic.journal)
    loses_its_lease(clinic, "stim-6")
    clinic.during(15.0)
    assert list(clinic.state.durable.alarms) == ["A04/all"]
    assert pages_of(clinic, Act.RESOLVE, since) == []
    # It is the same series: whoever has the first message sees it change.
    told = pages_of(clinic, Act.TRIGGER, since)
    assert [(page.series, page.room, page.members_n) for page in told] == [(first.series, None, 6)]
    assert [said.text for said in clinic.state.durable.attention["A04/all"].comments] == ["the relay of room 4"]
    # And its link takes what is there now.
    assert (link_line(link_of(first), clinic.state) or "").startswith("MEDIUM Site, 6 devices")
    assert presses(clinic, first)[0] == "anna accepts A04"
    assert signal(clinic, "A04/all") == "acknowledged"


def test_h19_a_part_whose_own_message_ends_is_said_to_go_on_in_the_groups() -> None:
    clinic = two_rooms()
    for name in ("stim-1", "stim-6"):  # each is told at once, because somebody has rejected it
        loses_its_lease(clinic, name)
        alarm_id = clinic.state.durable.alarms[f"A04/{name}"].alarm_id
        rejection = asks.RejectAlarm(
            request_id="r",
            now_s=clinic.now_s,
            wall_s=clinic.wall_s,
            alarm_id=alarm_id,
            issued_by="ben",
            reason="not here",
        )
        clinic.hears(rejection)
    one, other = clinic.triggers("A04")
    assert one.series != other.series
    since = len(clinic.journal)
    loses_its_lease(clinic, "stim-2")
    clinic.during(15.0)
    assert "A04/all" in clinic.state.durable.alarms
    assert clinic.state.durable.attention["A04/all"].series == one.series
    (ended,) = pages_of(clinic, Act.RESOLVE, since)
    assert ended.series == other.series
    line = page_message(ended, clinic.state, Surroundings(site="north")).line
    assert line.startswith("GOES ON in another message: MEDIUM Site, 3 devices")
    for page in (one, other):
        assert (link_line(link_of(page), clinic.state) or "").startswith("MEDIUM Site, 3 devices")
    assert presses(clinic, other)[0] == "anna accepts A04"


def test_h19_the_link_of_an_alarm_that_came_back_shows_it_and_takes_it() -> None:
    clinic = on_call()
    over_limit(clinic)
    first = clinic.triggers("A02")[-1]
    latched(clinic, Cause.OVER_LIMIT)
    clinic.stims["stim-12"].latched = None
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    while "A02/stim-12" in clinic.state.durable.alarms:
        clinic.shows("stim-12")
        clinic.after(0.5)
    clinic.after(4.0)
    assert link_line(link_of(first), clinic.state) is None, "it is over"
    over_limit(clinic)
    assert clinic.alarm_id("A02") != first.alarm_id
    assert (link_line(link_of(first), clinic.state) or "").startswith("HIGH Room room-4, stim-12: output")
    assert presses(clinic, first)[0] == "anna accepts A02"


# --- what is over -----------------------------------------------------------------------------------------------------


def test_h19_an_a01_that_nobody_has_seen_outlives_any_number_of_later_alarms_in_the_list() -> None:
    clinic = Crowd(PAST_KEPT + 12)
    clinic.ready()
    first, *others = clinic.stims.values()
    clinic.says(first.name, first.event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
    (alarm_id,) = (alarm.alarm_id for alarm in clinic.state.durable.alarms.values() if alarm.code == "A01")
    for _ in range(6):
        clinic.shows(first.name)
        clinic.after(1.0)
    for stim in others:  # each is pressed and reset, and nobody takes note of that either
        clinic.says(stim.name, stim.birth(latched=Cause.PATIENT_STOP))
        clinic.says(stim.name, stim.birth())
    for _ in range(15):
        clinic.after(1.0)
    past = clinic.state.durable.past_alarms
    assert len(past) == PAST_KEPT
    assert (past[0].alarm.alarm_id, past[0].alarm.signal.state) == (alarm_id, "latched")
    # What somebody has seen goes before what nobody has, however old that is.
    seen: PastAlarm = past[-1]
    acknowledge = asks.AcknowledgeAlarm(
        request_id="r",
        alarm_id=seen.alarm.alarm_id,
        issued_by="anna",
        now_s=clinic.now_s,
        wall_s=clinic.wall_s,
    )
    clinic.hears(acknowledge)
    stim = others[0]
    clinic.says(stim.name, stim.birth(latched=Cause.PATIENT_STOP))
    clinic.says(stim.name, stim.birth())
    for _ in range(15):
        clinic.after(1.0)
    kept = [one.alarm.alarm_id for one in clinic.state.durable.past_alarms]
    assert (len(kept), alarm_id in kept, seen.alarm.alarm_id in kept) == (PAST_KEPT, True, False)
    assert kept[:-1] == [one.alarm.alarm_id for one in past[:-1]]
