"""Pads and sensor in ramps: what lifts, shorts, dries or freezes there ends at zero as soon as at full strength.

When zero is due is computed here, from the plan: a first pulse of 1 mA is ordered after the fault, and one measuring
window (100 ms, or one pulse period) and a tick later the pads have been judged.
"""

import itertools
import math
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache

import pytest

from agents.control import TICK_S
from agents.simulation.faults import FaultKind
from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Phase
from broker.contract.plan import Plan
from tests.agents.clinic import PLAN, Clinic

SETTING_MA = 14.0
PLANS = {
    "usual": PLAN,
    "usual of the command line": replace(PLAN, frequency_hz=35.0, on_s=6.0, off_s=12.0),
    "long ramps": replace(PLAN, on_s=0.1, off_s=1.0, ramp_up_s=60.0, ramp_down_s=60.0, duration_s=1800.0),
    "as steep as allowed": replace(PLAN, on_s=0.1, off_s=1.0, ramp_up_s=0.5, ramp_down_s=0.5),
    "dense": replace(PLAN, frequency_hz=120.0, ramp_up_s=2.0, ramp_down_s=3.0),
    "10 Hz, short": replace(PLAN, frequency_hz=10.0, on_s=0.1, off_s=0.9, ramp_up_s=0.5, ramp_down_s=0.5),
    "1 Hz": replace(PLAN, frequency_hz=1.0, on_s=4.0, off_s=4.0, ramp_up_s=8.0, ramp_down_s=8.0),
    "1 Hz, one strong pulse in two": replace(
        PLAN, frequency_hz=1.0, on_s=0.1, off_s=0.9, ramp_up_s=0.5, ramp_down_s=0.5
    ),
}
PADS = [
    (FaultKind.ELECTRODE_LIFTS, 0.0, Cause.ELECTRODE_OPEN),
    (FaultKind.ELECTRODE_LIFTS, 0.1, Cause.ELECTRODE_DEGRADED),
    (FaultKind.ELECTRODE_SHORTS, 40.0, Cause.ELECTRODE_SHORT),
    (FaultKind.PAD_DRIES, 2.5, Cause.ELECTRODE_DEGRADED),
]


@dataclass(frozen=True)
class Cycle:
    """Where a plan's cycle is: ramp up, on, ramp down, off, and again."""

    plan: Plan
    began_s: float

    @property
    def cycle_s(self) -> float:
        return self.plan.ramp_up_s + self.plan.on_s + self.plan.ramp_down_s + self.plan.off_s

    def share(self, at_s: float) -> float:
        plan, into_s = self.plan, (at_s - self.began_s) % self.cycle_s
        rising = into_s / plan.ramp_up_s
        falling = (plan.ramp_up_s + plan.on_s + plan.ramp_down_s - into_s) / plan.ramp_down_s
        return max(0.0, min(1.0, rising, falling))

    def next_s(self, after_s: float, share: float, *, rising: bool) -> float:
        """When the share is next passed on the way up, or down."""
        plan = self.plan
        into_s = plan.ramp_up_s * share
        if not rising:
            into_s = plan.ramp_up_s + plan.on_s + plan.ramp_down_s * (1.0 - share)
        cycles = math.ceil((after_s - self.began_s - into_s) / self.cycle_s)
        return self.began_s + cycles * self.cycle_s + into_s

    def strong_pulse_s(self, after_s: float) -> float:
        """When the first pulse of 1 mA or more is ordered after a time."""
        period_s = 1.0 / self.plan.frequency_hz
        first = math.ceil((after_s - self.began_s) / period_s)
        pulses = (self.began_s + n * period_s for n in itertools.count(first))
        return next(at_s for at_s in pulses if SETTING_MA * self.share(at_s) >= 1.0)


def in_a_ramp(plan: Plan, share: float, *, rising: bool) -> tuple[Clinic, Cycle]:
    """A healthy session, at that share of the setting: a copy of it, for the way there may be minutes long."""
    clinic, cycle = _ridden(plan, share, rising)
    return deepcopy(clinic), cycle


@cache
def _ridden(plan: Plan, share: float, rising: bool) -> tuple[Clinic, Cycle]:
    clinic = Clinic(plan=plan)
    clinic.until_running()
    cycle = Cycle(plan, clinic.now_s)
    clinic.raise_to(SETTING_MA)
    clinic.run(3.0)  # the output follows the setting at 5 mA/s
    clinic.run(cycle.next_s(clinic.now_s, share, rising=rising) - clinic.now_s)
    assert clinic.phase() is Phase.RUNNING
    clinic.forget()
    return clinic, cycle


def ended_s(clinic: Clinic, within_s: float) -> float:
    """When output ended, to a tick."""
    until_s = clinic.now_s + within_s
    while clinic.phase() is Phase.RUNNING and clinic.now_s < until_s:
        clinic.run(TICK_S)
    assert clinic.phase() is not Phase.RUNNING, f"still running after {within_s:.1f} s"
    assert clinic.true_ma() == 0.0
    return clinic.now_s


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
@pytest.mark.parametrize("rising", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.95])
@pytest.mark.parametrize(("kind", "size", "cause"), PADS)
def test_h10_pads_in_a_ramp_are_judged_within_a_window_of_the_first_pulse(
    kind: FaultKind, size: float, cause: Cause, share: float, rising: bool, plan: Plan
) -> None:
    """Output that has not ended in 0.15 s, or one pulse period and a tick, of 1 mA ordered has ended too late."""
    clinic, cycle = in_a_ramp(plan, share, rising=rising)
    due_s = cycle.strong_pulse_s(clinic.now_s) + max(0.1, 1.0 / plan.frequency_hz) + TICK_S
    clinic.suffer(kind, size)
    ended = ended_s(clinic, due_s + 1.0 - clinic.now_s)
    assert ended <= due_s + TICK_S, "readings come once a tick"
    assert [each.cause for each in clinic.events(EventKind.SESSION_PAUSED)] == [cause]
    assert clinic.setting_ma == 0.0, "and goes on from zero"


@pytest.mark.parametrize("plan", [PLANS["long ramps"], replace(PLANS["long ramps"], off_s=0.0)], ids=["ramps", "once"])
def test_h03_a_pad_that_lifts_and_touches_again_in_a_long_ramp_gets_no_jump(plan: Plan) -> None:
    """Lifted for 12 s of a ramp of 60: no current comes back by itself when the pad touches again."""
    clinic, _ = in_a_ramp(plan, 0.5, rising=True)
    clinic.suffer(FaultKind.ELECTRODE_LIFTS, 0.0)
    clinic.run(12.0)
    clinic.stimulator.heal(FaultKind.ELECTRODE_LIFTS)
    touched_s = clinic.now_s
    clinic.run(10.0)
    assert clinic.phase() is Phase.PAUSED
    assert clinic.true_peak_ma(touched_s) == 0.0
    assert [each.kind for each in clinic.events(EventKind.ELECTRODE_OPEN)] == [EventKind.ELECTRODE_OPEN]


@pytest.mark.parametrize(
    ("name", "share", "rising", "within_s"),
    [
        ("usual", 0.2, True, 0.55),
        ("usual", 0.95, False, 0.55),
        ("long ramps", 0.2, True, 0.55),
        ("long ramps", 0.5, False, 0.55),
        ("as steep as allowed", 0.1, True, 0.6),
        ("dense", 0.5, False, 0.55),
        ("10 Hz, short", 0.5, True, 2.0),  # one cycle has ten of them
        ("1 Hz", 0.2, True, 11.0),
        ("1 Hz", 0.95, False, 10.0 + 4.0 + 2.0 + 1.0),  # seven pulses, the OFF phase, a ramp's first, three more
        ("1 Hz, one strong pulse in two", 0.1, False, 20.0),  # ten, and the weak ones between
    ],
)
def test_h17_a_sensor_that_freezes_in_a_ramp_is_found_at_the_tenth_reading(
    name: str, share: float, rising: bool, within_s: float
) -> None:
    clinic, _ = in_a_ramp(PLANS[name], share, rising=rising)
    froze_s = clinic.now_s
    clinic.suffer(FaultKind.SENSOR_FROZEN)
    assert ended_s(clinic, within_s + 5.0) - froze_s <= within_s + 1e-6
    assert clinic.state.durable.latch is Cause.SENSOR_FROZEN


@pytest.mark.parametrize("setting_ma", [0.8, 0.9])
def test_a_setting_below_1_ma_is_not_judged_by_pads_that_it_cannot_measure(setting_ma: float) -> None:
    clinic = Clinic()
    clinic.until_running(setting_ma)
    clinic.suffer(FaultKind.ELECTRODE_LIFTS, 0.0)
    clinic.run(25.0)
    assert clinic.phase() is Phase.RUNNING


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_healthy_ramps_raise_nothing(plan: Plan) -> None:
    """Anybody's skin, soaking and drifting, at weak and strong settings: no fault, and no pad called degraded."""
    for seed in range(12):
        clinic = Clinic(plan=plan, seed=seed, skin=None)
        clinic.until_running((1.0, 1.1, 2.0, 14.0)[seed % 4])
        clinic.run(40.0)
        assert clinic.phase() is Phase.RUNNING
        told = {each.kind for each in clinic.events()}
        assert told <= {EventKind.SESSION_ARMED, EventKind.SESSION_STARTED, EventKind.SETTING_CHANGED}, seed
