"""What comes late, out of a device's spool or by a slow way: what is over calls nobody, and what it stops does."""

from dataclasses import replace

import pytest

from broker.contract.causes import Cause
from broker.contract.messages import ClockStepped, EventKind, Measured
from tests.core.clinic import WALL
from tests.core.on_call import OnCall
from tests.scenarios.test_alarm_rungs import of, on_call

LATER, EARLIER = "2026-11-22T23:00:00.000Z", "2026-11-22T00:00:00.000Z"


def test_events_of_before_the_birth_and_late_samples_without_a_session_never_page() -> None:
    clinic = on_call()
    stim = clinic.stims["stim-12"]
    stim.boot_n = 8
    clinic.says("stim-12", stim.birth(at=LATER))
    fault = Measured("amplitude_ma", 60.0, 45.0)
    for boot_n in (7, 8):
        stim.boot_n = boot_n
        clinic.says("stim-12", stim.event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))
        clinic.says("stim-12", stim.event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK, fault))
    clinic.says("stim-12", stim.sample(late=True, amplitude_ma=90.0))
    lines = [line for _, line in clinic.during(400.0) if line.startswith(("tell", "rung"))]
    assert lines == []
    assert clinic.triggers() == []


def test_a_late_sample_over_a_limit_stops_the_session_that_runs_and_of_that_stop_people_are_told() -> None:
    clinic = OnCall()
    clinic.running()
    clinic.shows("stim-12")
    lines = clinic.says("stim-12", clinic.stims["stim-12"].sample(late=True, amplitude_ma=90.0))
    assert "AlarmRaised A02 high room-4/stim-12 on" in lines
    assert "tell anna/phone A02" in lines


# --- a clock that stepped ---------------------------------------------------------------------------------------------


def stepped(clinic: OnCall, born: str, at: str, step: ClockStepped) -> list[str]:
    """A device is born at one time of its clock, and then tells of a step at another."""
    stim = clinic.stims["stim-12"]
    clinic.says("stim-12", stim.birth(at=born))
    return clinic.says("stim-12", replace(stim.event(EventKind.CLOCK_STEPPED, None, step), at=at))


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_stepped_hours_before_the_birth_calls_nobody(step_s: float) -> None:
    clinic = on_call()
    assert of([(0.0, line) for line in stepped(clinic, LATER, WALL, ClockStepped(step_s))], "A09") == []
    assert [line for _, line in clinic.during(150.0) if line.startswith("tell")] == []
    # And it makes nothing else void: what is older than the birth stays old.
    stim = clinic.stims["stim-12"]
    lines = clinic.says("stim-12", stim.event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
    assert [line for line in lines if line.startswith("Alarm")] == []


@pytest.mark.parametrize(
    ("at", "step"),
    [
        (WALL, ClockStepped(3600.0)),
        (EARLIER, ClockStepped(-12 * 3600.0)),  # set back by half a day, right after the birth
        ("2026-02-31T00:00:00.000Z", ClockStepped(-1.0)),  # no such day
    ],
)
def test_a_clock_that_stepped_since_the_birth_is_told_to_engineers(at: str, step: ClockStepped) -> None:
    clinic = on_call()
    assert "AlarmRaised A09 medium room-4/stim-12 on" in stepped(clinic, WALL, at, step)
