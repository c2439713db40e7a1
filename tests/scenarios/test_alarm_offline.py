"""A07, and losses that belong together: three of one room or site within a minute are one alarm."""

import doctest
from types import ModuleType

import pytest

from broker.contract.causes import AlarmCode, Cause
from broker.contract.messages import EventKind
from fleet.core import alarm_groups, alarm_state, inputs
from fleet.core.alarm_groups import together
from fleet.core.alarm_table import ROWS
from fleet.core.registry import RegisteredDevice
from tests.core.clinic import Clinic, Stimulator
from tests.scenarios.test_alarm_output import raised

ROOMS = {"stim-1": "room-1", "stim-2": "room-1", "stim-3": "room-1", "stim-4": "room-1", "stim-5": "room-2"}
ALL_OF_THEM = list(ROOMS)


def clinic_of_five() -> Clinic:
    """Four devices in room-1 and one in room-2, all idle and heard."""
    clinic = Clinic(alarms=True)
    clinic.stims = {name: Stimulator(name, name.upper()) for name in ROOMS}
    clinic.changes_registry(
        devices={
            name: RegisteredDevice(device=name, room=room, model="sim-1", serial=name.upper(), enrolment="first")
            for name, room in ROOMS.items()
        }
    )
    clinic.ready()
    hears_all(clinic, ALL_OF_THEM)
    return clinic


def hears_all(clinic: Clinic, names: list[str]) -> None:
    for name in names:
        clinic.says(name, clinic.stims[name].sample())


def passes(clinic: Clinic, seconds: int, speaking: list[str]) -> list[str]:
    """So many seconds, in which these devices go on speaking every 5 s; what was decided on the way."""
    said = []
    for second in range(1, seconds + 1):
        said += clinic.after(1.0)
        if second % 5 == 0:
            hears_all(clinic, speaking)
    return said


# --- one by one -----------------------------------------------------------------------------------------------------


def test_a07_after_five_minutes_without_a_word() -> None:
    clinic = clinic_of_five()
    others = ALL_OF_THEM[1:]
    assert passes(clinic, 299, others) == ["DeviceLost stim-1"]
    assert passes(clinic, 1, others) == ["AlarmRaised A07 low room-1/stim-1 digest"]
    alarm = raised(clinic, "A07")
    assert alarm.now_s - alarm.since_s == pytest.approx(300.0)
    assert passes(clinic, 60, others) == []
    # It is back, and stays.
    assert clinic.says("stim-1", clinic.stims["stim-1"].sample()) == ["DeviceReturned"]
    assert passes(clinic, 10, ALL_OF_THEM) == []
    assert passes(clinic, 1, ALL_OF_THEM) == ["AlarmCleared A07 low room-1/stim-1 digest"]


def test_a07_that_is_back_before_five_minutes_never_was() -> None:
    clinic = clinic_of_five()
    others = ALL_OF_THEM[1:]
    for _ in range(3):
        assert passes(clinic, 290, others) == ["DeviceLost stim-1"]
        assert clinic.says("stim-1", clinic.stims["stim-1"].sample()) == ["DeviceReturned"]


def test_a07_goes_on_counting_over_a_restart_of_the_fleet_and_anew_when_its_host_boots() -> None:
    clinic = clinic_of_five()
    others = ALL_OF_THEM[1:]
    passes(clinic, 200, others)
    clinic.restarts()
    hears_all(clinic, others)
    assert passes(clinic, 99, others) == []
    assert passes(clinic, 1, others) == ["AlarmRaised A07 low room-1/stim-1 digest"]
    other = clinic_of_five()
    passes(other, 200, others)
    other.restarts()
    other.now_s = 50.0
    other.hears(inputs.TookOver("host-boot-2", other.now_s, other.wall_s))
    hears_all(other, others)
    assert passes(other, 269, others) == []
    assert passes(other, 1, others) == ["AlarmRaised A07 low room-1/stim-1 digest"]


def test_a07_a_device_that_nobody_has_heard_yet_or_that_is_struck_off_is_not_missing() -> None:
    clinic = clinic_of_five()
    new = RegisteredDevice(device="stim-6", room="room-1", model="sim-1", serial="STIM-6", enrolment="first")
    clinic.changes_registry(devices={**clinic.registry.devices, "stim-6": new})
    assert passes(clinic, 400, ALL_OF_THEM) == []
    passes(clinic, 310, ALL_OF_THEM[1:])
    assert list(clinic.state.durable.alarms) == ["A07/stim-1"]
    clinic.changes_device("stim-1", struck_off=True)
    assert passes(clinic, 12, ALL_OF_THEM[1:]) == ["AlarmCleared A07 low room-1/stim-1 digest"]


def test_a07_of_a_device_that_got_another_disk_while_it_was_away() -> None:
    clinic = clinic_of_five()
    passes(clinic, 310, ALL_OF_THEM[1:])
    clinic.changes_device("stim-1", enrolment="second")
    assert passes(clinic, 30, ALL_OF_THEM[1:]) == []
    assert list(clinic.state.durable.alarms) == ["A07/stim-1"]


# --- together -------------------------------------------------------------------------------------------------------


def test_three_of_a_room_within_a_minute_are_one_alarm() -> None:
    clinic = clinic_of_five()
    passes(clinic, 30, ALL_OF_THEM[1:])
    passes(clinic, 30, ALL_OF_THEM[2:])
    # stim-1, stim-2 and stim-3 fell silent 30 s after each other.
    said = passes(clinic, 239, ["stim-4", "stim-5"])
    assert said == ["DeviceLost stim-3"]
    assert passes(clinic, 1, ["stim-4", "stim-5"]) == ["AlarmRaised A07 low room-1 digest: stim-1 stim-2 stim-3"]
    assert passes(clinic, 120, ["stim-4", "stim-5"]) == []
    # They come back one by one; with the last of them it is over.
    hears_all(clinic, ["stim-1", "stim-2"])
    assert passes(clinic, 12, ["stim-1", "stim-2", "stim-4", "stim-5"]) == [
        "AlarmChanged A07 low room-1 digest: -stim-1 -stim-2"
    ]
    hears_all(clinic, ["stim-3"])
    assert passes(clinic, 12, ALL_OF_THEM) == ["AlarmCleared A07 low room-1 digest"]


def test_two_of_a_room_are_two_and_so_are_three_in_more_than_a_minute() -> None:
    clinic = clinic_of_five()
    passes(clinic, 31, ALL_OF_THEM[1:])
    passes(clinic, 30, ALL_OF_THEM[2:])
    said = passes(clinic, 400, ["stim-4", "stim-5"])
    assert [line for line in said if line.startswith("Alarm")] == [
        "AlarmRaised A07 low room-1/stim-1 digest",
        "AlarmRaised A07 low room-1/stim-2 digest",
        "AlarmRaised A07 low room-1/stim-3 digest",
    ]


def test_three_of_several_rooms_are_one_of_the_site() -> None:
    clinic = clinic_of_five()
    said = passes(clinic, 300, ["stim-3", "stim-4"])
    assert said[-1] == "AlarmRaised A07 low site digest: stim-1 stim-2 stim-5"


def test_what_belongs_together_is_a_window_of_a_minute_with_three_in_it() -> None:
    assert together({}) == []
    assert together({"a": 1.0, "b": 2.0}) == []
    assert together({"c": 60.0, "a": 0.0, "b": 30.0}) == [["a", "b", "c"]]
    assert together({"a": 0.0, "b": 30.0, "c": 60.1}) == []
    # Windows that overlap are one; what stands alone between two groups is in neither.
    assert together({"a": 0.0, "b": 50.0, "c": 55.0, "d": 100.0}) == [["a", "b", "c", "d"]]
    two = {"a": 0.0, "b": 1.0, "c": 2.0, "x": 70.0, "d": 140.0, "e": 150.0, "f": 160.0}
    assert together(two) == [["a", "b", "c"], ["d", "e", "f"]]
    assert together({"a": 0.0, "b": 1.0, "c": None}) == []


@pytest.mark.parametrize("module", [alarm_groups, alarm_state])
def test_the_examples_run(module: ModuleType) -> None:
    examples = doctest.testmod(module)
    assert (examples.attempted, examples.failed) == (2, 0)


# --- sessions that are lost together ----------------------------------------------------------------------------------


def loses_lease(clinic: Clinic, name: str) -> list[str]:
    return clinic.says(name, clinic.stims[name].event(EventKind.LEASE_LOST, Cause.LEASE_LOST))


def test_a04_of_three_within_a_minute_goes_on_as_one() -> None:
    """The fleet or the broker was away: every session lost its lease."""
    clinic = clinic_of_five()
    assert loses_lease(clinic, "stim-1")[1] == "AlarmRaised A04 medium room-1/stim-1 on"
    clinic.after(1.0)
    assert loses_lease(clinic, "stim-2")[1] == "AlarmRaised A04 medium room-1/stim-2 on"
    clinic.after(1.0)
    assert loses_lease(clinic, "stim-3") == [
        "DeviceReported lease_lost",
        "AlarmRaised A04 medium room-1 on: stim-1 stim-2 stim-3",
        "AlarmCleared A04 medium room-1/stim-1 latched grouped",
        "AlarmCleared A04 medium room-1/stim-2 latched grouped",
        "> receipt stim-3 1",
    ]
    assert loses_lease(clinic, "stim-4")[1] == "AlarmChanged A04 medium room-1 on: +stim-4"
    # It is wider than a room: from now on it is the site's.
    assert loses_lease(clinic, "stim-5") == [
        "DeviceReported lease_lost",
        "AlarmRaised A04 medium site on: stim-1 stim-2 stim-3 stim-4 stim-5",
        "AlarmCleared A04 medium room-1 latched grouped",
        "> receipt stim-5 1",
    ]
    assert list(clinic.state.durable.alarms) == ["A04/all"]
    # What was grouped goes on: it is not over, and is not shown as if it were.
    assert clinic.state.durable.past_alarms == ()


def test_a04_a_session_that_is_lost_later_is_another_alarm_and_the_sites_group_takes_in_more() -> None:
    clinic = clinic_of_five()
    for name in ("stim-1", "stim-2", "stim-5"):
        loses_lease(clinic, name)
    assert list(clinic.state.durable.alarms) == ["A04/all"]
    clinic.after(29.0)
    hears_all(clinic, ALL_OF_THEM)
    clinic.after(29.0)
    hears_all(clinic, ALL_OF_THEM)
    # Just within the minute: with two of them it makes three.
    assert loses_lease(clinic, "stim-3")[1] == "AlarmChanged A04 medium site on: +stim-3"
    clinic.after(3.0)
    assert loses_lease(clinic, "stim-4")[1] == "AlarmRaised A04 medium room-1/stim-4 on"


def test_a_group_of_the_site_stays_the_sites_when_only_one_room_is_left() -> None:
    clinic = clinic_of_five()
    for name in ("stim-1", "stim-2", "stim-5"):
        loses_lease(clinic, name)
    clinic.says("stim-5", clinic.stims["stim-5"].birth())
    assert passes(clinic, 12, ALL_OF_THEM) == ["AlarmChanged A04 medium site on: -stim-5"]
    assert loses_lease(clinic, "stim-3")[1] == "AlarmChanged A04 medium site on: +stim-3"


def test_a01_to_a03_are_never_one_alarm_however_many_at_once() -> None:
    clinic = clinic_of_five()
    for name in ALL_OF_THEM:
        clinic.says(name, clinic.stims[name].event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
        clinic.says(name, clinic.stims[name].event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP))
    assert len(clinic.state.durable.alarms) == 3 * 5
    for code in ("A01", "A02", "A03"):
        row = ROWS[AlarmCode(code)]
        assert (row.grouped, row.on_delay_s, row.held_back_s) == (False, 0.0, 0.0)


def test_a_second_loss_in_a_room_whose_alarm_is_open_joins_it() -> None:
    clinic = clinic_of_five()
    for name in ("stim-1", "stim-2", "stim-3"):
        loses_lease(clinic, name)
    # Two of them were reset long ago; much later they and another one lose theirs again.
    for name in ("stim-1", "stim-2"):
        clinic.says(name, clinic.stims[name].birth())
    passes(clinic, 120, ALL_OF_THEM)
    assert list(clinic.state.durable.alarms["A04/room/room-1"].members) == ["stim-3"]
    loses_lease(clinic, "stim-1")
    loses_lease(clinic, "stim-2")
    assert loses_lease(clinic, "stim-4") == [
        "DeviceReported lease_lost",
        "AlarmChanged A04 medium room-1 on: +stim-1 +stim-2 +stim-4",
        "AlarmCleared A04 medium room-1/stim-1 latched grouped",
        "AlarmCleared A04 medium room-1/stim-2 latched grouped",
        "> receipt stim-4 1",
    ]


def test_after_a_boot_of_the_host_alarms_of_before_are_not_taken_for_one_loss() -> None:
    clinic = clinic_of_five()
    loses_lease(clinic, "stim-1")
    passes(clinic, 200, ALL_OF_THEM)
    loses_lease(clinic, "stim-2")
    clinic.restarts()
    clinic.now_s = 50.0
    clinic.hears(inputs.TookOver("host-boot-2", clinic.now_s, clinic.wall_s))
    assert loses_lease(clinic, "stim-3")[1] == "AlarmRaised A04 medium room-1/stim-3 on"
    assert len(clinic.state.durable.alarms) == 3


def test_a_group_is_the_same_after_a_boot_of_the_host_and_its_members_leave_it() -> None:
    clinic = clinic_of_five()
    for name in ("stim-1", "stim-2", "stim-3"):
        loses_lease(clinic, name)
    lost_s = clinic.now_s
    clinic.restarts()
    clinic.now_s = lost_s  # as the clock of the new boot may happen to show: it is another clock
    clinic.hears(inputs.TookOver("host-boot-2", clinic.now_s, clinic.wall_s))
    hears_all(clinic, ALL_OF_THEM)
    assert passes(clinic, 20, ALL_OF_THEM) == []
    clinic.says("stim-2", clinic.stims["stim-2"].birth())
    assert passes(clinic, 12, ALL_OF_THEM) == ["AlarmChanged A04 medium room-1 on: -stim-2"]
    # What was lost before is not of the same minute as what is lost now.
    assert loses_lease(clinic, "stim-4")[1] == "AlarmRaised A04 medium room-1/stim-4 on"


def test_h19_three_sessions_whose_access_point_dies_are_one_alarm_in_one_turn() -> None:
    clinic = clinic_of_five()
    for n in (1, 2, 3):
        clinic.running(f"stim-{n}", client=f"c-471{n}", request_id=f"r{n}")
    hears_all(clinic, ALL_OF_THEM)
    said = passes(clinic, 30, ["stim-4", "stim-5"])
    assert said == [
        *[line for n in (1, 2, 3) for line in (f"DeviceLost stim-{n}", "SessionLost")],
        "AlarmRaised A04 medium room-1 on: stim-1 stim-2 stim-3",
    ]
    assert raised(clinic, "A04").session_id is None
