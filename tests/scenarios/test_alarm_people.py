"""What people do with an alarm, and what comes of it: acknowledge, accept, shelve, comment. And what they may not."""

from typing import Any

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import EventKind
from fleet.core import alarm_inputs as asks
from fleet.core.attention_state import COMMENTS_KEPT, Responsibility
from fleet.core.effects import Answer, Refused
from fleet.core.registry import RegisteredDevice
from tests.core.clinic import HOUR_S, Clinic, Stimulator
from tests.core.on_call import OnCall
from tests.scenarios.test_alarm_rungs import of, on_call, over_limit, pressed


def latched(clinic: OnCall, cause: Cause = Cause.PATIENT_STOP, name: str = "stim-12") -> None:
    """The device lists its latch from now on."""
    clinic.latches(name, cause)
    clinic.says(name, clinic.stims[name].birth())


def well(clinic: OnCall, name: str = "stim-12") -> None:
    """A person has reset it, zero was measured, and its alarm is over."""
    clinic.stims[name].latched = None
    clinic.says(name, clinic.stims[name].birth())
    for _ in range(13):
        clinic.shows(name)
        clinic.after(1.0)


def signal(clinic: Clinic, where: str) -> str:
    return clinic.state.durable.alarms[where].signal.state.value


def refused(clinic: Clinic, heard: Any) -> list[tuple[str, float | None]]:
    """Every rule that refused, with its number."""
    (answer,) = clinic.decides(heard).after_commit
    assert isinstance(answer, Answer)
    assert isinstance(answer.reply, Refused)
    return [(refusal.rule.value, refusal.value) for refusal in answer.reply.refusals]


# --- acknowledging ----------------------------------------------------------------------------------------------------


def test_an_acknowledgement_silences_and_comes_back_after_ten_minutes_while_the_condition_lasts() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.delivered("anna")
    assert clinic.acknowledges("A02") == ["anna acknowledges A02", "taken, tell anna/phone A02", "> ordered"]
    assert signal(clinic, "A02/stim-12") == "acknowledged"
    # It says that somebody has seen it, not that somebody has it.
    assert clinic.attention("A02").responsibility is Responsibility.DELIVERED
    clinic.delivered("anna")
    assert of(clinic.during(599.0), "A02") == []
    assert of([(0.0, line) for line in clinic.after(0.5)], "A02") == []
    assert clinic.after(0.5) == [
        "A02 sounds again: acknowledgement_over",
        "rung 1 of A02",
        "tell anna/phone A02",
    ]
    assert signal(clinic, "A02/stim-12") == "on"
    assert clinic.attention("A02").responsibility is Responsibility.NOTIFIED


def test_acknowledging_clears_no_latch_neither_the_devices_nor_that_of_the_list() -> None:
    clinic = on_call()
    pressed(clinic)
    latched(clinic)
    clinic.acknowledges("A03")
    assert clinic.state.device("stim-12").birth is not None
    assert clinic.state.durable.alarms["A03/stim-12"].alarm_id == clinic.alarm_id("A03"), "it is as open as before"
    well(clinic)
    (past,) = clinic.state.durable.past_alarms
    assert past.alarm.signal.state == "acknowledged", "over, and still in the list: somebody has seen it"
    # Nobody had seen this one: it stays latched in the list until somebody takes note, and is in the list even then.
    pressed(clinic)
    latched(clinic)
    unseen = clinic.alarm_id("A03")
    well(clinic)
    assert clinic.state.durable.past_alarms[-1].alarm.signal.state == "latched"
    asked = asks.AcknowledgeAlarm(
        request_id="r", alarm_id=unseen, issued_by="ben", now_s=clinic.now_s, wall_s=clinic.wall_s
    )
    assert clinic.hears(asked) == ["ben acknowledges A03", "> ordered"]
    assert [past.alarm.signal.state for past in clinic.state.durable.past_alarms] == ["acknowledged", "acknowledged"]
    assert refused(clinic, asked) == [("alarm_over", None)], "there is nothing left to take note of"


def test_a_higher_priority_sounds_again() -> None:
    clinic = on_call()
    clinic.running()
    clinic.shows("stim-12", battery_pct=15.0)
    clinic.after(1.0)
    assert signal(clinic, "A08/stim-12") == "digest"
    clinic.acknowledges("A08")
    clinic.shows("stim-12", battery_pct=15.0)
    assert clinic.after(1.0) == []
    clinic.shows("stim-12", battery_pct=9.0)
    assert clinic.after(1.0) == ["AlarmChanged A08 medium room-4/stim-12 on"]
    # The same from the shelf.
    clinic = on_call()
    clinic.running()
    clinic.shows("stim-12", battery_pct=15.0)
    clinic.after(1.0)
    assert clinic.shelves("A08", HOUR_S) == ["anna shelves A08", "> ordered"]
    clinic.shows("stim-12", battery_pct=9.0)
    assert clinic.after(1.0) == ["AlarmChanged A08 medium room-4/stim-12 on"]
    assert clinic.attention("A08").until_s is None


def test_a_lower_priority_does_not_sound_again_and_has_its_own_times() -> None:
    clinic = on_call()
    over_limit(clinic)
    latched(clinic, Cause.OVER_LIMIT)
    clinic.delivered("anna")
    clinic.acknowledges("A02")
    for _ in range(12):
        clinic.shows("stim-12")
        clinic.after(1.0)
    alarm = clinic.state.durable.alarms["A02/stim-12"]
    assert (alarm.priority, alarm.signal.state) == ("medium", "acknowledged")
    # Not acknowledged, it goes on with the times of medium: three minutes until the next rung.
    clinic = on_call()
    over_limit(clinic)
    latched(clinic, Cause.OVER_LIMIT)
    clinic.delivered("anna")
    told = []
    for at_s in range(1, 250):
        clinic.shows("stim-12")
        clinic.now_s -= 0.5
        clinic.wall_s -= 0.5
        told += [(at_s, line) for line in clinic.after(1.0) if line.startswith(("rung", "AlarmChanged A02"))]
    assert told == [(10, "AlarmChanged A02 medium room-4/stim-12 on"), (190, "rung 2 of A02")]


def test_what_was_acknowledged_sounds_for_another_device_of_the_same_loss() -> None:
    clinic = OnCall()
    clinic.stims = dict.fromkeys((), clinic.stims["stim-12"])
    clinic = with_devices("stim-1", "stim-2", "stim-3", "stim-4")
    for name in ("stim-1", "stim-2", "stim-3"):
        loses_its_lease(clinic, name)
    clinic.acknowledges("A04")
    lines = loses_its_lease(clinic, "stim-4")
    assert "AlarmChanged A04 medium room-4 acknowledged: +stim-4" in lines
    assert "A04 sounds again: joined" in lines


def with_devices(*names: str) -> OnCall:
    """A room with so many devices, all of them heard."""
    clinic = OnCall()
    clinic.stims = {name: Stimulator(name, name.upper()) for name in names}
    clinic.changes_registry(
        devices={
            name: RegisteredDevice(device=name, room="room-4", model="sim-1", serial=name.upper(), enrolment="first")
            for name in names
        }
    )
    clinic.ready()
    return clinic


def loses_its_lease(clinic: OnCall, name: str) -> list[str]:
    clinic.stims[name].latched = Cause.LEASE_LOST
    return clinic.says(name, clinic.stims[name].event(EventKind.LEASE_LOST, Cause.LEASE_LOST))


# --- shelving ---------------------------------------------------------------------------------------------------------


def test_a_shelf_ends_by_itself_at_its_time() -> None:
    clinic = on_call()
    loses_its_lease(clinic, "stim-12")
    latched(clinic, Cause.LEASE_LOST)
    assert clinic.shelves("A04", HOUR_S) == ["anna shelves A04", "> ordered"]
    one = clinic.attention("A04")
    assert (one.by, one.reason, one.responsibility) == ("anna", "being repaired", Responsibility.NONE)
    clinic.after(HOUR_S - 0.5)
    assert signal(clinic, "A04/stim-12") == "shelved"
    assert "A04 sounds again: shelf_over" in clinic.after(0.5)
    assert signal(clinic, "A04/stim-12") == "on"
    # And the times of medium begin anew.
    assert of(clinic.during(119.0), "rung 1 of A04") == []
    assert of(clinic.during(1.0), "rung 1 of A04") == [(1.0, "rung 1 of A04")]


def test_a_person_takes_it_off_the_shelf() -> None:
    clinic = on_call()
    loses_its_lease(clinic, "stim-12")
    clinic.shelves("A04", HOUR_S)
    assert clinic.unshelves("A04", by="ben") == ["ben unshelves A04", "> ordered"]
    assert signal(clinic, "A04/stim-12") == "on"
    assert clinic.unshelves("A04") == ["> refused not_shelved"]


def test_a01_to_a03_are_never_shelved() -> None:
    clinic = on_call()
    over_limit(clinic)
    pressed(clinic)
    clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
    for code in ("A01", "A02", "A03"):
        assert clinic.shelves(code, HOUR_S) == ["> refused alarm_never_shelved"]
        assert signal(clinic, f"{code}/stim-12") == "on"


@pytest.mark.parametrize(
    ("ahead_s", "may"), [(-1.0, False), (0.0, False), (1.0, True), (28_800.0, True), (28_801.0, False)]
)
def test_a_shelf_has_an_end_at_most_eight_hours_ahead(ahead_s: float, may: bool) -> None:
    clinic = on_call()
    loses_its_lease(clinic, "stim-12")
    expected = ["anna shelves A04", "> ordered"] if may else ["> refused shelf_end"]
    assert clinic.shelves("A04", ahead_s) == expected


# --- comments and refusals --------------------------------------------------------------------------------------------


def test_comments_are_kept_with_the_alarm_newest_last_and_never_too_many() -> None:
    clinic = on_call()
    over_limit(clinic)
    for n in range(COMMENTS_KEPT + 2):
        assert clinic.comments("A02", f"word {n}") == [f"anna on A02: word {n}", "> ordered"]
    assert [said.text for said in clinic.attention("A02").comments] == [f"word {n}" for n in range(2, 7)]
    alarm_id = clinic.alarm_id("A02")
    latched(clinic, Cause.OVER_LIMIT)
    well(clinic)
    # Of one that is over the journal has it.
    after = asks.CommentAlarm(
        request_id="r", alarm_id=alarm_id, issued_by="ben", text="relay", now_s=clinic.now_s, wall_s=clinic.wall_s
    )
    assert clinic.hears(after) == ["ben on A02: relay", "> ordered"]
    over_limit(clinic)
    again = asks.CommentAlarm(
        request_id="r", alarm_id=alarm_id, issued_by="ben", text="again", now_s=clinic.now_s, wall_s=clinic.wall_s
    )
    assert clinic.hears(again) == ["ben on A02: again", "> ordered"]
    said = [said.text for said in clinic.attention("A02").comments]
    assert said == ["word 3", "word 4", "word 5", "word 6", "relay"], "what came back has what was said of it before"


@pytest.mark.parametrize("asked", [asks.AcknowledgeAlarm, asks.AcceptAlarm, asks.UnshelveAlarm])
def test_what_nobody_knows_and_what_is_over_is_refused(asked: Any) -> None:
    clinic = on_call()
    over_limit(clinic)
    alarm_id = clinic.alarm_id("A02")
    clinic.acknowledges("A02")
    latched(clinic, Cause.OVER_LIMIT)
    well(clinic)
    at = {"request_id": "r", "issued_by": "anna", "now_s": clinic.now_s, "wall_s": clinic.wall_s}
    assert refused(clinic, asked(**at, alarm_id=alarm_id)) == [("alarm_over", None)]
    assert refused(clinic, asked(**at, alarm_id="0" * 32)) == [("alarm_unknown", None)]


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_resumes_every_timer_where_it_was() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.delivered("anna")
    clinic.after(20.0)
    clinic.restarts()
    assert of(clinic.during(9.0), "rung") == []
    assert of(clinic.during(1.0), "rung") == [(1.0, "rung 2 of A02")]
    # A message whose outcome nobody has told yet is waited for, no longer than before.
    clinic.after(10.0)
    clinic.restarts()
    assert of(clinic.during(4.5, 0.5), "silence") == []
    assert of(clinic.during(0.5, 0.5), "silence") == [(0.5, "ben/phone failed: silence")]
    clinic.acknowledges("A02")
    clinic.after(300.0)
    clinic.restarts()
    assert of(clinic.during(299.0), "sounds again") == []
    assert of(clinic.during(1.0), "sounds again") == [(1.0, "A02 sounds again: acknowledgement_over")]


def test_after_a_boot_of_the_host_what_was_silenced_sounds_and_what_was_waited_for_has_failed() -> None:
    """Boot times count anew: how long the host was down, nobody can say. So somebody is told again."""
    clinic = on_call()
    over_limit(clinic)
    clinic.acknowledges("A02")
    loses_its_lease(clinic, "stim-12")
    clinic.shelves("A04", HOUR_S)
    over_limit(clinic, "stim-7")
    assert clinic.pages("anna")
    clinic.now_s = 20.0
    clinic.restarts("host-boot-2")
    lines = clinic.after(0.0)
    assert [line for line in lines if "sounds again" in line] == [
        "A02 sounds again: acknowledgement_over",
        "A04 sounds again: shelf_over",
    ]
    assert "anna/phone failed: silence" in lines
    assert lines.count("tell ben/phone A02") == 1, "of stim-7: the rung after the one that was waited for"
    assert lines.count("tell anna/phone A02") == 1, "of stim-12: from the first rung on"
