"""Who is told of an alarm, in which order and when: one story a rung."""

from dataclasses import replace

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import ClockStepped, EventKind, Measured
from fleet.core import alarm_inputs as asks
from fleet.core.attention_state import TIMES, Responsibility
from tests.core.clinic import ONE
from tests.core.on_call import HIGH, MEDIUM, ROTA, RUNGS, OnCall, person, phone


def over_limit(clinic: OnCall, name: str = "stim-12") -> list[str]:
    """The device has measured more than it may, and stopped itself: A02."""
    fault = Measured("amplitude_ma", 60.0, 45.0)
    return clinic.says(name, clinic.stims[name].event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))


def pressed(clinic: OnCall, name: str = "stim-12") -> list[str]:
    """Somebody presses the stop at the device: A03."""
    return clinic.says(name, clinic.stims[name].event(EventKind.STOP_PRESSED, Cause.PATIENT_STOP))


def of(told: list[tuple[float, str]], code: str) -> list[tuple[float, str]]:
    return [(at_s, line) for at_s, line in told if code in line]


def on_call() -> OnCall:
    clinic = OnCall()
    clinic.ready()
    return clinic


# --- high -------------------------------------------------------------------------------------------------------------


def test_high_is_told_in_the_very_turn_in_which_it_is_raised() -> None:
    clinic = on_call()
    assert over_limit(clinic) == [
        "DeviceReported over_limit",
        "AlarmRaised A02 high room-4/stim-12 on",
        "rung 1 of A02",
        "tell anna/phone A02",
        "> receipt stim-12 1",
    ]
    (page,) = clinic.triggers()
    assert (page.device, page.room, page.priority, page.kind, page.rung) == ("stim-12", "room-4", "high", "ntfy", 1)
    assert page.alarm_id == page.series == clinic.alarm_id("A02")
    assert clinic.attention("A02").responsibility is Responsibility.NOTIFIED
    clinic.delivered("anna")
    assert clinic.attention("A02").responsibility is Responsibility.DELIVERED


def test_nobody_accepts_the_next_rung_is_told_at_30_s_at_60_s_and_then_every_60_s() -> None:
    clinic = on_call()
    over_limit(clinic)
    began_s, told = clinic.now_s, []
    for at_s in (0.0, 29.5, 30.0, 59.5, 60.0, 119.5, 120.0, 179.5, 180.0, 239.5, 240.0):
        for name in ("anna", "ben", "cleo"):
            clinic.delivered(name)  # each time, and nobody answers
        lines = clinic.after(began_s + at_s - clinic.now_s)
        told += [(at_s, line) for line in lines if line.startswith(("tell", "rung"))]
    assert told == [
        (30.0, "rung 2 of A02"),
        (30.0, "tell ben/phone A02"),
        (60.0, "rung 3 of A02"),
        (60.0, "tell cleo/phone A02"),
        (120.0, "rung 4 of A02"),
        (120.0, "tell cleo/phone A02"),
        (180.0, "rung 5 of A02"),
        (180.0, "tell cleo/phone A02"),
        (240.0, "rung 6 of A02"),
        (240.0, "tell cleo/phone A02"),
    ]


def test_the_first_rung_is_unreachable_the_second_slow_and_the_third_accepts() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.now_s += 0.5
    # Anna's telephone is off: Ben is told at once.
    assert clinic.failed("anna") == ["anna/phone failed: unreachable", "rung 2 of A02", "tell ben/phone A02"]
    # Nothing is heard of Ben's message: within its 15 s that is no failure, then it is one, and Cleo is told at once.
    slow = clinic.pages("ben")
    assert clinic.after(14.5) == ["AlarmRaised A10 high room-4/stim-12 on"]
    assert clinic.after(0.5) == ["ben/phone failed: silence", "rung 3 of A02", "tell cleo/phone A02"]
    assert clinic.delivered("cleo") == ["cleo/phone delivered"]
    assert clinic.accepts("A02", by="cleo") == [
        "cleo accepts A02",
        "taken, tell anna/phone A02",
        "taken, tell ben/phone A02",
        "taken, tell cleo/phone A02",
        "> ordered",
    ]
    assert clinic.attention("A02").responsibility is Responsibility.ACCEPTED
    assert clinic.attention("A02").by == "cleo"
    # Ben's message arrives after all: that is in the journal, and changes nothing.
    for page_id in slow:
        said = asks.PageDelivered(request_id="r", now_s=clinic.now_s, wall_s=clinic.wall_s, page_id=page_id)
        assert clinic.hears(said) == ["ben/phone late", "> ordered"]
    assert clinic.attention("A02").responsibility is Responsibility.ACCEPTED
    assert of(clinic.during(300.0), "tell") == []


def test_who_cannot_says_so_and_the_next_one_is_told_at_once() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.delivered("anna")
    assert clinic.rejects("A02") == ["anna rejects A02", "rung 2 of A02", "tell ben/phone A02", "> ordered"]
    assert clinic.attention("A02").responsibility is Responsibility.NOTIFIED
    clinic.delivered("ben")
    clinic.rejects("A02", by="ben")
    # Above Cleo there is nobody: she is told again when her time is over, not at once and again and again.
    assert clinic.rejects("A02", by="cleo") == ["cleo rejects A02", "> ordered"]
    assert clinic.attention("A02").responsibility is Responsibility.REJECTED
    assert of(clinic.during(59.0), "tell") == []
    assert of(clinic.during(1.0), "tell") == [(1.0, "tell cleo/phone A02")]


def test_who_has_accepted_and_then_cannot_has_the_next_one_told_at_once() -> None:
    clinic = on_call()
    over_limit(clinic)
    clinic.accepts("A02")
    assert of(clinic.during(60.0), "tell anna") == []
    lines = clinic.rejects("A02", reason="called away")
    assert lines == ["anna rejects A02", "rung 2 of A02", "tell ben/phone A02", "> ordered"]
    assert clinic.state.durable.alarms["A02/stim-12"].signal.state == "on"


def test_a_message_that_fails_beside_one_that_arrived_moves_nobody() -> None:
    rota = replace(ROTA, rungs={**ROTA.rungs, HIGH: (("on-call", "ben"), ("cleo",))})
    clinic = OnCall(rota)
    clinic.ready()
    over_limit(clinic)
    clinic.delivered("ben")
    assert clinic.failed("anna") == ["anna/phone failed: unreachable"]
    assert clinic.after(29.5) == ["DeviceLost stim-12"]
    assert clinic.after(0.5)[-2:] == ["rung 2 of A02", "tell cleo/phone A02"]


def test_a_failure_of_the_rung_before_moves_nobody() -> None:
    clinic = on_call()
    over_limit(clinic)
    page_id = clinic.pages("anna")[0]
    clinic.rejects("A02")
    said = asks.PageFailed(request_id="r", now_s=clinic.now_s, wall_s=clinic.wall_s, page_id=page_id, why="busy")
    assert clinic.hears(said) == ["anna/phone failed: busy", "> ordered"]


def test_a_rung_on_which_nobody_stands_is_followed_by_the_next_at_once() -> None:
    rotation = replace(ROTA.rotations["on-call"], last_day=ROTA.rotations["on-call"].first_day)
    clinic = OnCall(replace(ROTA, rotations={"on-call": rotation}))
    clinic.ready()
    assert over_limit(clinic)[2:5] == ["rung 1 of A02: nobody", "rung 2 of A02", "tell ben/phone A02"]
    empty = OnCall(replace(ROTA, rotations={"on-call": rotation}, rungs={HIGH: (("on-call",),), MEDIUM: RUNGS}))
    empty.ready()
    assert over_limit(empty)[2:4] == ["rung 1 of A02: nobody", "> receipt stim-12 1"]
    assert of(empty.during(30.0), "rung") == [(30.0, "rung 2 of A02: nobody")]


def test_everyone_is_told_of_a01_on_every_rung() -> None:
    clinic = on_call()
    clinic.running()
    clinic.pushes_stop()
    clinic.sent(clinic.open_stop(), ONE)
    lines = [line for line in clinic.after(2.0) if line[0] not in "!>"]
    everyone = ["rung 1 of A01", "tell anna/phone A01", "tell ben/phone A01", "tell cleo/phone A01"]
    assert lines[-4:] == everyone
    for name in ("anna", "ben", "cleo"):
        clinic.delivered(name)
    told = [line for _, line in of(clinic.during(30.0), "A01") if not line.startswith("Alarm")]
    assert told == ["rung 2 of A01", *everyone[1:]]
    # All three fail at once: they are told again in 60 s less what has passed, and not in a loop.
    assert [line for name in ("anna", "ben", "cleo") for line in clinic.failed(name) if "rung" in line] == []


# --- medium, low and info ---------------------------------------------------------------------------------------------


def test_medium_is_told_after_two_minutes_after_five_and_then_every_ten() -> None:
    clinic = on_call()
    pressed(clinic)
    clinic.says("stim-12", clinic.stims["stim-12"].birth(latched=Cause.PATIENT_STOP))
    told = []
    for at_s in range(1, 1600):
        clinic.shows("stim-12")
        clinic.shows("stim-7")
        clinic.now_s -= 1.0
        clinic.wall_s -= 1.0
        told += [(at_s, line) for line in clinic.after(1.0) if line.startswith("tell")]
        for name in ("anna", "ben", "cleo"):
            clinic.delivered(name)
    assert told == [
        (120, "tell anna/phone A03"),
        (300, "tell ben/phone A03"),
        (900, "tell cleo/phone A03"),
        (1500, "tell cleo/phone A03"),
    ]


@pytest.mark.parametrize("priority", [HIGH, MEDIUM])
def test_no_rung_is_later_than_the_model_says_whatever_fails(priority: object) -> None:
    """By arithmetic: the sums of the gaps are the times of domain.md."""
    times = TIMES[HIGH if priority is HIGH else MEDIUM]
    at_s = [times.first_s]
    for rung in range(1, 5):
        at_s.append(at_s[-1] + times.gap_s(rung))
    assert at_s == ([0.0, 30.0, 60.0, 120.0, 180.0] if priority is HIGH else [120.0, 300.0, 900.0, 1500.0, 2100.0])


def test_engineers_are_told_of_what_is_theirs() -> None:
    rota = replace(ROTA, people={**ROTA.people, "dora": person("dora", phone())}, engineer_rungs={MEDIUM: (("dora",),)})
    clinic = OnCall(rota)
    clinic.ready()
    clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.CLOCK_STEPPED, None, ClockStepped(3600.0)))
    pressed(clinic)
    assert [line for _, line in clinic.during(120.0) if line.startswith("tell")] == [
        "tell dora/phone A09",
        "tell anna/phone A03",
    ]
