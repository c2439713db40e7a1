"""The rows of the table of causes that a fault of pads, sensor, stimulator or agent brings about."""

from dataclasses import replace

import pytest

from agents.control import TICK_S
from agents.simulation.faults import FaultKind
from agents.simulation.stimulator import HOST_WATCHDOG_S
from agents.steps import Press
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import EventKind, Phase
from tests.agents.after import assert_latched, assert_nobody_can_go_on, assert_zero_at_once, reset, running_at
from tests.agents.clinic import SESSION, Clinic

# --- electrodes: zero at once, pause, resume from 0 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "size", "cause"),
    [
        (FaultKind.ELECTRODE_LIFTS, 0.0, Cause.ELECTRODE_OPEN),
        (FaultKind.ELECTRODE_SHORTS, 40.0, Cause.ELECTRODE_SHORT),
        (FaultKind.PAD_DRIES, 2.5, Cause.ELECTRODE_DEGRADED),
    ],
)
def test_electrode_fault(fault: FaultKind, size: float, cause: Cause) -> None:
    """A pad lifts, shorts or dries: zero at once, paused; mended, the therapist resumes, from 0."""
    clinic = running_at(30.0)
    clinic.suffer(fault, size)
    clinic.run(3 * TICK_S)
    assert clinic.phase() is Phase.PAUSED
    assert clinic.true_ma() == 0.0
    assert clinic.setting_ma == 0.0
    assert clinic.on_disk.latch is None
    assert [each.cause for each in clinic.events(EventKind.SESSION_PAUSED)] == [cause]
    assert cause.value in [each.kind.value for each in clinic.events() if each.cause is cause]
    clinic.run(1.0)
    assert not clinic.press(Press.RESUME).accepted, "the pads do not read as good"
    clinic.stimulator.heal(fault)
    clinic.run(1.0)
    assert clinic.press(Press.RESUME).accepted
    clinic.run(1.0)
    assert clinic.phase() is Phase.RUNNING
    assert clinic.true_ma() == 0.0, "from zero"
    clinic.raise_to(10.0)
    clinic.until_on_phase()
    assert clinic.true_ma() == pytest.approx(10.0)


# --- engineer's business ----------------------------------------------------------------------------------------------


def test_sensor_frozen() -> None:
    """The converter repeats itself: zero within ten readings, latched, engineer."""
    clinic = running_at(30.0)
    frozen_s = clinic.now_s
    clinic.suffer(FaultKind.SENSOR_FROZEN)
    clinic.run(1.0)
    zero_s = clinic.stimulator.trace.zero_since()
    assert zero_s is not None
    assert zero_s - frozen_s <= 11 * TICK_S
    clinic.stimulator.heal(FaultKind.SENSOR_FROZEN)
    clinic.run(1.0)
    assert clinic.state.durable.latch in {Cause.SENSOR_FROZEN, Cause.OUTPUT_STUCK}
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER
    reset(clinic, ResetBy.ENGINEER)
    clinic.until_running(5.0)
    clinic.run(10.0)
    assert clinic.phase() is Phase.RUNNING, "mended, the next session begins with a fresh eye"


def test_sensor_lost() -> None:
    """No reading for a second while on: zero, latched. Without a reading nobody can call it zero: the relay opens."""
    clinic = running_at(30.0)
    lost_s = clinic.now_s
    clinic.suffer(FaultKind.SENSOR_LOST)
    clinic.run(0.9)
    clinic.run(0.4)
    assert clinic.true_ma() == 0.0
    assert clinic.true_peak_ma(lost_s + 1.1) == 0.0
    assert clinic.state.durable.reset_by is ResetBy.ENGINEER
    clinic.run(5.0)
    assert clinic.phase() is Phase.STOPPING, "not ended: zero was never measured"
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.SENSOR_LOST)
    clinic.run(1.0)
    assert clinic.phase() is Phase.LATCHED
    assert clinic.ended()[1].gaps >= 1
    reset(clinic, ResetBy.ENGINEER)


def test_over_temperature() -> None:
    """Too warm: zero, latched, engineer, and not while it is still warm."""
    clinic = running_at(30.0)
    clinic.suffer(FaultKind.OVERHEATS, 60.0)
    clinic.run(TICK_S)
    assert_zero_at_once(clinic)
    clinic.run(4.0)
    assert_latched(clinic, Cause.OVER_TEMPERATURE, ResetBy.ENGINEER)
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.OVERHEATS)
    reset(clinic, ResetBy.ENGINEER)


def test_self_test_failed() -> None:
    """It comes up latched; no reset before a start at which the test passes."""
    clinic = Clinic()
    clinic.suffer(FaultKind.SELF_TEST_FAILS)
    clinic.run(0.5)
    clinic.forget()
    clinic.switch_on_agent(clinic.on_disk)
    assert_latched(clinic, Cause.SELF_TEST_FAILED, ResetBy.ENGINEER)
    assert EventKind.SELF_TEST_FAILED in clinic.kinds()
    clinic.run(4.0)
    assert not clinic.press(Press.RESET, who=ResetBy.ENGINEER).accepted
    clinic.stimulator.heal(FaultKind.SELF_TEST_FAILS)
    clinic.switch_on_agent(clinic.on_disk)
    assert_latched(clinic, Cause.SELF_TEST_FAILED, ResetBy.ENGINEER)
    reset(clinic, ResetBy.ENGINEER)


def test_watchdog_tripped() -> None:
    """The agent was held up for two seconds: the stimulator's own watchdog ended output; the agent latches."""
    clinic = running_at(30.0)
    held_up_s = clinic.now_s
    clinic.now_s += 2.0
    clinic.run(0.5)
    assert clinic.true_peak_ma(held_up_s + 1.0) == 0.0
    clinic.run(1.0)
    assert_latched(clinic, Cause.WATCHDOG_TRIPPED, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.WATCHDOG_TRIPPED)) == 1
    reset(clinic, ResetBy.THERAPIST)


@pytest.mark.parametrize("says_so", ["until it is told zero", "never"])
def test_watchdog_tripped_where_the_answer_that_says_so_is_lost(says_so: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold-up of less than a second: nothing flows any more, and no session goes on without current."""
    clinic = running_at(30.0)
    clinic.now_s += HOST_WATCHDOG_S + TICK_S
    assert clinic.stimulator.exchange(clinic.stepper.state.drive, clinic.now_s).watchdog_tripped  # to nobody
    if says_so == "never":  # a driver of another vendor
        exchange = clinic.stimulator.exchange
        silently = lambda drive, now_s: replace(exchange(drive, now_s), watchdog_tripped=False)  # noqa: E731
        monkeypatch.setattr(clinic.stimulator, "exchange", silently)
    clinic.run(1.5 if says_so == "never" else 0.3)
    assert_latched(clinic, Cause.WATCHDOG_TRIPPED, ResetBy.THERAPIST)
    assert len(clinic.events(EventKind.WATCHDOG_TRIPPED)) == 1
    clinic.run(3.0)
    reset(clinic, ResetBy.THERAPIST)


@pytest.mark.parametrize("live_in", [Phase.ARMED, Phase.RUNNING, Phase.PAUSED])
def test_reboot(live_in: Phase) -> None:
    """The agent dies in a live session and starts again: latched at zero, the session reported as ended."""
    clinic = Clinic()
    clinic.until_armed() if live_in is Phase.ARMED else clinic.until_running(30.0)
    if live_in is Phase.PAUSED:
        clinic.press(Press.PAUSE)
    assert clinic.phase() is live_in
    clinic.now_s += 8.0  # dead; the stimulator's watchdog has long ended output
    clinic.forget()
    boot_n = clinic.boot_n
    clinic.switch_on_agent(clinic.on_disk)
    assert clinic.boot_n == boot_n + 1
    assert_latched(clinic, Cause.REBOOT, ResetBy.THERAPIST)
    cause, _ = clinic.ended()
    assert cause is Cause.REBOOT
    assert clinic.events(EventKind.SESSION_ENDED)[0].session_id == SESSION
    assert_nobody_can_go_on(clinic)
    reset(clinic, ResetBy.THERAPIST)


def test_reboot_while_idle() -> None:
    """Nothing was live: idle again, with the next boot number."""
    clinic = Clinic()
    clinic.switch_on_agent(clinic.on_disk)
    assert clinic.phase() is Phase.IDLE
    assert clinic.boot_n == 8
