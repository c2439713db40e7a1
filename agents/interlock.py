"""May there be output now, and how much: the gate between the session and the stimulator, which trusts neither.

Rules of this file:
- Output needs every rule of its table to say yes. What nobody said, what is not a number and what nobody configured
  is a no, and a no is zero current.
- Limits are `broker.contract.limits`, rules are the tables below, the engine is fixed.
- The session lowers and ends by itself; where it forgets, the same step ends here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from agents.drivers.port import ZERO, Drive, Pattern
from broker.contract.causes import SOFT_RAMP_S
from broker.contract.limits import LIMIT_NAMES, NO_READING_S, Limits, allowed_peak_ma, exceeds, falls_short
from broker.contract.messages import Phase
from broker.contract.permission import Permission
from broker.contract.plan import Plan

RAMP_S = SOFT_RAMP_S - 0.1  # two control ticks early, so that zero is ordered within SOFT_RAMP_S of the decision
RISE_STEP_S_MAX = 0.1  # a loop that was held up does not make up for the rise that it missed


class Reason(StrEnum):
    """Why the drive is what it is. The first three let current flow."""

    OUTPUT = "output"
    RAMP = "ramp"
    TEST_PULSES = "test_pulses"
    NOT_A_PHASE_FOR_OUTPUT = "not_a_phase_for_output"
    NO_PLAN = "no_plan"
    NOT_A_NUMBER = "not_a_number"
    BEYOND_LIMITS = "beyond_limits"  # the plan's pulse; a setting is clamped instead
    NO_MARKER = "no_marker"
    LATCHED = "latched"
    HELD = "held"
    NO_PERMISSION = "no_permission"
    STALE_READING = "stale_reading"
    RAMP_OVER = "ramp_over"
    NOT_YET_ZERO = "not_yet_zero"  # test pulses wait for measured zero
    RELAY_OPEN = "relay_open"


@dataclass(frozen=True, slots=True)
class Ramp:
    """A soft ending's way down to zero, linear over RAMP_S."""

    from_ma: float
    began_s: float

    def level_ma(self, now_s: float) -> float:
        """What is left at `now_s`; zero once it is over, and wherever the times make no sense."""
        done = (now_s - self.began_s) / RAMP_S
        return self.from_ma * (1.0 - done) if 0.0 <= done < 1.0 else 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that output depends on. Times are boot time; `driven_ma` is what the last drive let flow."""

    now_s: float
    phase: Phase
    plan: Plan | None
    limits: Limits | None
    permission: Permission | None
    marker: str | None  # the session whose marker is on disk
    latched: bool
    held: bool
    relay_open: bool
    setting_ma: float
    driven_ma: float
    driven_s: float
    ramp: Ramp | None
    reading_s: float | None  # when the peak was last read
    zero_measured: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The drive, and why."""

    drive: Drive
    reason: Reason


def judge(request: Request) -> Verdict:
    """The drive that may hold from now on."""
    if request.relay_open:
        return Verdict(replace(ZERO, relay_open=True), Reason.RELAY_OPEN)
    grant = _GRANTS.get(request.phase)
    if grant is None:
        return Verdict(ZERO, Reason.NOT_A_PHASE_FOR_OUTPUT)
    refused = next((reason for reason, keeps in grant.rules if not keeps(request)), None)
    return Verdict(grant.drive(request), grant.reason) if refused is None else Verdict(ZERO, refused)


# --- the rules: each says yes or the drive is zero, with its name as the reason ---------------------------------------


def pulse_within(plan: Plan, limits: Limits) -> bool:
    """Whether width and frequency are inside the limits: what no clamping of the setting can mend."""
    return not (
        exceeds(plan.pulse_width_us, limits.pulse_width_us_max.value)
        or exceeds(plan.frequency_hz, limits.frequency_hz_max.value)
        or falls_short(plan.pulse_width_us, limits.pulse_width_us_min.value)
        or falls_short(plan.frequency_hz, limits.frequency_hz_min.value)
    )


def _has_plan(request: Request) -> bool:
    return request.plan is not None and request.limits is not None


def _has_numbers(request: Request) -> bool:
    plan, limits = _configured(request)
    divisors = (plan.frequency_hz, plan.pulse_width_us, plan.electrode_area_cm2)
    others = (
        *(getattr(limits, name).value for name in LIMIT_NAMES),
        *(plan.setting_ma_max, plan.on_s, plan.off_s, plan.ramp_up_s, plan.ramp_down_s),
    )
    return (
        all(math.isfinite(value) and value > 0.0 for value in divisors)
        and all(math.isfinite(value) and value >= 0.0 for value in others)
        and all(math.isfinite(value) for value in (request.now_s, request.setting_ma, request.driven_ma))
    )


def _keeps_limits(request: Request) -> bool:
    return pulse_within(*_configured(request))


def _has_marker(request: Request) -> bool:
    return request.permission is not None and request.marker == request.permission.session_id


def _has_permission(request: Request) -> bool:
    return request.permission is not None and request.permission.allows(request.now_s)


def _reads(request: Request) -> bool:
    return request.reading_s is not None and request.now_s - request.reading_s <= NO_READING_S


def _ramps(request: Request) -> bool:
    return request.ramp is not None and request.ramp.level_ma(request.now_s) > 0.0


_Rule = tuple[Reason, Callable[[Request], bool]]
_pulse: tuple[_Rule, ...] = (
    (Reason.NO_PLAN, _has_plan),
    (Reason.NOT_A_NUMBER, _has_numbers),
    (Reason.BEYOND_LIMITS, _keeps_limits),
    (Reason.NO_MARKER, _has_marker),
    (Reason.HELD, lambda request: request.held is False),
    (Reason.STALE_READING, _reads),
)
OUTPUT_RULES: tuple[_Rule, ...] = (
    *_pulse,
    (Reason.LATCHED, lambda request: request.latched is False),
    (Reason.NO_PERMISSION, _has_permission),
)
# A soft cause may have latched, and permission may be what ran out: the ramp is bounded by itself.
RAMP_RULES: tuple[_Rule, ...] = (*_pulse, (Reason.RAMP_OVER, _ramps))
TEST_PULSE_RULES: tuple[_Rule, ...] = (
    (Reason.LATCHED, lambda request: request.latched is False),
    (Reason.HELD, lambda request: request.held is False),
    (Reason.NOT_YET_ZERO, lambda request: request.zero_measured is True),
)


# --- what is granted --------------------------------------------------------------------------------------------------


def _output(request: Request) -> Drive:
    _, limits = _configured(request)
    step_s = min(max(request.now_s - request.driven_s, 0.0), RISE_STEP_S_MAX)
    risen_ma = request.driven_ma + limits.setting_rise_ma_per_s_max.value * step_s
    return _driven(request, min(request.setting_ma, risen_ma))


def _ramp(request: Request) -> Drive:
    assert request.ramp is not None, "RAMP_OVER has said yes"
    return _driven(request, min(request.driven_ma, request.ramp.level_ma(request.now_s)))


def _driven(request: Request, wanted_ma: float) -> Drive:
    plan, limits = _configured(request)
    setting_ma = max(0.0, min(wanted_ma, allowed_peak_ma(limits, plan).value))
    return Drive(True, setting_ma, pattern_of(plan, limits), test_pulse=False, feed_watchdog=True)


def _test_pulses(_: Request) -> Drive:
    return replace(ZERO, test_pulse=True)


def pattern_of(plan: Plan, limits: Limits) -> Pattern:
    """The plan's pulse train, its ON ramp no steeper than the limits allow."""
    return Pattern(
        plan.pulse_width_us,
        plan.frequency_hz,
        plan.on_s,
        plan.off_s,
        max(plan.ramp_up_s, limits.ramp_up_s_min.value),
        plan.ramp_down_s,
    )


def _configured(request: Request) -> tuple[Plan, Limits]:
    """Only asked after NO_PLAN has said yes."""
    assert request.plan is not None
    assert request.limits is not None
    return request.plan, request.limits


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a phase may get, and the rules that must all say yes first."""

    reason: Reason
    drive: Callable[[Request], Drive]
    rules: tuple[_Rule, ...]


# A phase that is not listed gets nothing.
_GRANTS: dict[Phase, _Grant] = {
    Phase.RUNNING: _Grant(Reason.OUTPUT, _output, OUTPUT_RULES),
    Phase.STOPPING: _Grant(Reason.RAMP, _ramp, RAMP_RULES),
    Phase.ARMED: _Grant(Reason.TEST_PULSES, _test_pulses, TEST_PULSE_RULES),
    Phase.PAUSED: _Grant(Reason.TEST_PULSES, _test_pulses, TEST_PULSE_RULES),
}
