"""The interlock: output only where every rule says yes, never above any limit, swept densely and by Hypothesis."""

import math
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.drivers.port import ZERO
from agents.interlock import Ramp, Reason, Request, judge, pulse_within
from broker.contract.limits import ENVELOPE, LIMIT_NAMES, Layer, Limit, Limits
from broker.contract.messages import Phase
from broker.contract.permission import Permission
from broker.contract.plan import Plan
from tests.agents.clinic import PLAN, SESSION

NOW_S = 500.0
FAR = Permission(SESSION, 5000, answered_seq=7, until_s=NOW_S + 3.0)
RUNNING = Request(
    now_s=NOW_S,
    phase=Phase.RUNNING,
    plan=PLAN,
    limits=ENVELOPE,
    permission=FAR,
    marker=SESSION,
    latched=False,
    held=False,
    relay_open=False,
    setting_ma=30.0,
    driven_ma=30.0,
    driven_s=NOW_S - 0.05,
    ramp=None,
    reading_s=NOW_S - 0.05,
    zero_measured=False,
)
RAMPING = replace(
    RUNNING,
    phase=Phase.STOPPING,
    latched=True,
    permission=replace(FAR, until_s=NOW_S - 0.5),
    setting_ma=0.0,
    ramp=Ramp(from_ma=30.0, began_s=NOW_S - 0.45),
)
PAUSED = replace(RUNNING, phase=Phase.PAUSED, setting_ma=0.0, driven_ma=0.0, zero_measured=True)


def test_a_running_session_gets_its_setting() -> None:
    verdict = judge(RUNNING)
    assert verdict.reason is Reason.OUTPUT
    assert verdict.drive.enabled
    assert verdict.drive.setting_ma == 30.0
    assert verdict.drive.feed_watchdog
    assert not verdict.drive.test_pulse
    pattern = verdict.drive.pattern
    assert pattern is not None
    assert (pattern.pulse_width_us, pattern.frequency_hz, pattern.on_s, pattern.off_s) == (300.0, 40.0, 7.0, 3.0)
    assert (pattern.ramp_up_s, pattern.ramp_down_s) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"plan": None}, Reason.NO_PLAN),
        ({"limits": None}, Reason.NO_PLAN),
        ({"permission": None}, Reason.NO_MARKER),
        ({"permission": replace(FAR, until_s=NOW_S)}, Reason.NO_PERMISSION),
        ({"permission": replace(FAR, until_s=-math.inf)}, Reason.NO_PERMISSION),
        ({"permission": replace(FAR, until_s=math.nan)}, Reason.NO_PERMISSION),
        ({"permission": replace(FAR, session_id="00" * 16)}, Reason.NO_MARKER),
        ({"marker": None}, Reason.NO_MARKER),
        ({"marker": "00" * 16}, Reason.NO_MARKER),
        ({"latched": True}, Reason.LATCHED),
        ({"latched": None}, Reason.LATCHED),
        ({"held": True}, Reason.HELD),
        ({"held": None}, Reason.HELD),
        ({"reading_s": None}, Reason.STALE_READING),
        ({"reading_s": NOW_S - 1.001}, Reason.STALE_READING),
        ({"reading_s": -math.inf}, Reason.STALE_READING),
        ({"reading_s": math.nan}, Reason.STALE_READING),
        ({"setting_ma": math.nan}, Reason.NOT_A_NUMBER),
        ({"setting_ma": math.inf}, Reason.NOT_A_NUMBER),
        ({"driven_ma": math.nan}, Reason.NOT_A_NUMBER),
        ({"now_s": math.nan}, Reason.NOT_A_NUMBER),
        ({"relay_open": True}, Reason.RELAY_OPEN),
        ({"phase": Phase.STOPPING}, Reason.RAMP_OVER),
    ],
)
def test_any_no_is_zero(changed: dict[str, object], reason: Reason) -> None:
    verdict = judge(replace(RUNNING, **changed))  # type: ignore[arg-type]
    assert verdict.reason is reason
    assert verdict.drive == replace(ZERO, relay_open=reason is Reason.RELAY_OPEN)


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.AUTHORISED, Phase.LATCHED, Phase.FAULT])
def test_no_other_phase_gets_anything(phase: Phase) -> None:
    verdict = judge(replace(RUNNING, phase=phase, ramp=RAMPING.ramp, zero_measured=True))
    assert verdict == type(verdict)(ZERO, Reason.NOT_A_PHASE_FOR_OUTPUT)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_no_number_of_plan_or_limits_may_be_none(value: float) -> None:
    for name in ("electrode_area_cm2", "frequency_hz", "pulse_width_us", "setting_ma_max", "on_s", "ramp_up_s"):
        verdict = judge(replace(RUNNING, plan=replace(PLAN, **{name: value})))  # type: ignore[arg-type]
        assert (verdict.reason, verdict.drive) == (Reason.NOT_A_NUMBER, ZERO), name
    for name in LIMIT_NAMES:
        limits = replace(ENVELOPE, **{name: Limit(value, Layer.SETTINGS)})
        verdict = judge(replace(RUNNING, limits=limits))
        assert (verdict.reason, verdict.drive) == (Reason.NOT_A_NUMBER, ZERO), name


@pytest.mark.parametrize("name", ["electrode_area_cm2", "frequency_hz", "pulse_width_us"])
def test_nothing_is_divided_by_zero(name: str) -> None:
    limits = replace(ENVELOPE, frequency_hz_min=Limit(0.0, Layer.PLAN), pulse_width_us_min=Limit(0.0, Layer.PLAN))
    request = replace(RUNNING, limits=limits, plan=replace(PLAN, **{name: 0.0}))  # type: ignore[arg-type]
    assert judge(request).reason is Reason.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("width_us", "frequency_hz", "within"),
    [
        (20.0, 40.0, True),
        (19.99, 40.0, False),
        (500.0, 40.0, True),
        (500.01, 40.0, False),
        (300.0, 1.0, True),
        (300.0, 0.99, False),
        (300.0, 120.0, True),
        (300.0, 120.01, False),
        (math.nan, 40.0, False),
        (300.0, math.nan, False),
    ],
)
def test_the_pulse_is_inside_the_limits_or_nothing_flows(width_us: float, frequency_hz: float, within: bool) -> None:
    plan = replace(PLAN, pulse_width_us=width_us, frequency_hz=frequency_hz)
    assert pulse_within(plan, ENVELOPE) is within
    assert judge(replace(RUNNING, plan=plan)).drive.enabled is within


# --- how much ---------------------------------------------------------------------------------------------------------


def bound_ma(plan: Plan, limits: Limits) -> float:
    """The strictest peak, by the formulas of domain.md, written here once more."""
    root = math.sqrt(2 * plan.pulse_width_us * 1e-6 * plan.frequency_hz)
    return min(
        limits.peak_ma_max.value,
        plan.setting_ma_max,
        limits.rms_ma_max.value / root,
        50.0 / root,  # IEC 60601-2-10, up to 400 Hz
        limits.density_ma_cm2_max.value * plan.electrode_area_cm2 / root,
        1000.0 * math.sqrt(limits.pulse_energy_mj_max.value / (500.0 * 2 * plan.pulse_width_us * 1e-6 * 1000.0)),
    )


def asked(plan: Plan, limits: Limits, setting_ma: float) -> Request:
    """As if the setting had been driven all along, so that only the limits bound it."""
    return replace(RUNNING, plan=plan, limits=limits, setting_ma=setting_ma, driven_ma=setting_ma)


def test_every_setting_over_the_whole_cube_is_clamped_to_the_strictest_limit() -> None:
    cube = product(
        (20.0, 50.0, 120.0, 250.0, 300.0, 450.0, 500.0),
        (1.0, 5.0, 25.0, 50.0, 80.0, 120.0),
        (1.0, 5.0, 10.0, 16.0, 25.0, 100.0),
        (0.0, 0.1, 1.0, 19.99, 20.0, 33.3, 60.0, 61.0, 119.9, 130.0, 131.0, 500.0, 1000.0, 1e9),
        (10.0, 60.0, 130.0, 1000.0),
    )
    for width_us, frequency_hz, area_cm2, setting_ma, plan_ma in cube:
        plan = replace(
            PLAN,
            pulse_width_us=width_us,
            frequency_hz=frequency_hz,
            electrode_area_cm2=area_cm2,
            setting_ma_max=plan_ma,
        )
        drive = judge(asked(plan, ENVELOPE, setting_ma)).drive
        assert drive.setting_ma == pytest.approx(min(setting_ma, bound_ma(plan, ENVELOPE)), rel=1e-9)


@pytest.mark.parametrize(
    ("width_us", "frequency_hz", "area_cm2", "clamped_ma"),
    [
        (500.0, 120.0, 16.0, 92.376),  # 2 mA/cm2 on 16 cm2: 32 mA rms over sqrt(0.12)
        (450.0, 25.0, 10.0, 130.0),  # 19.5 mA rms, 1.95 mA/cm2: the highest peak binds
        (450.0, 25.0, 5.0, 66.667),  # 10 mA rms over 0.15
        (500.0, 120.0, 100.0, 130.0),  # 45 mA rms
    ],
)
def test_figures_of_the_envelope(width_us: float, frequency_hz: float, area_cm2: float, clamped_ma: float) -> None:
    plan = replace(
        PLAN,
        pulse_width_us=width_us,
        frequency_hz=frequency_hz,
        electrode_area_cm2=area_cm2,
        setting_ma_max=1000.0,
    )
    assert judge(asked(plan, ENVELOPE, 1000.0)).drive.setting_ma == pytest.approx(clamped_ma, abs=0.001)


@pytest.mark.parametrize(
    ("name", "value", "setting_ma"),
    [
        ("peak_ma_max", 12.0, 12.0),
        ("rms_ma_max", 3.09838668, 20.0),  # 20 mA, 300 us, 40 Hz
        ("density_ma_cm2_max", 0.1239354670, 20.0),  # on 25 cm2
        ("pulse_energy_mj_max", 0.12, 20.0),  # 20 mA into 500 ohm for 600 us
    ],
)
def test_each_limit_alone_clamps(name: str, value: float, setting_ma: float) -> None:
    limits = ENVELOPE.tightened_by(Layer.CLINIC, **{name: value})
    assert judge(asked(PLAN, limits, 60.0)).drive.setting_ma == pytest.approx(setting_ma, rel=1e-6)


def test_the_on_ramp_has_a_floor() -> None:
    pattern = judge(replace(RUNNING, plan=replace(PLAN, ramp_up_s=0.0))).drive.pattern
    assert pattern is not None
    assert pattern.ramp_up_s == 0.5


anything = st.floats(allow_nan=True, allow_infinity=True)
limits_drawn = st.builds(
    lambda values: replace(
        ENVELOPE, **{name: Limit(value, Layer.SETTINGS) for name, value in zip(LIMIT_NAMES, values, strict=True)}
    ),
    st.lists(st.one_of(st.floats(0.0, 1000.0), anything), min_size=len(LIMIT_NAMES), max_size=len(LIMIT_NAMES)),
).map(ENVELOPE.tightened)
plans_drawn = st.builds(
    replace,
    st.just(PLAN),
    pulse_width_us=st.one_of(st.floats(10.0, 600.0), anything),
    frequency_hz=st.one_of(st.floats(0.5, 150.0), anything),
    electrode_area_cm2=st.one_of(st.floats(0.1, 200.0), anything),
    setting_ma_max=st.one_of(st.floats(0.1, 1000.0), anything),
)
requests_drawn = st.builds(
    Request,
    now_s=st.one_of(st.floats(NOW_S - 2.0, NOW_S + 5.0), anything),
    phase=st.sampled_from(Phase),
    plan=st.one_of(st.none(), plans_drawn),
    limits=st.one_of(st.none(), st.just(ENVELOPE), limits_drawn),
    permission=st.one_of(st.none(), st.builds(replace, st.just(FAR), until_s=anything), st.just(FAR)),
    marker=st.sampled_from([None, SESSION, "00" * 16]),
    latched=st.booleans(),
    held=st.booleans(),
    relay_open=st.booleans(),
    setting_ma=st.one_of(st.floats(-10.0, 200.0), anything),
    driven_ma=st.one_of(st.floats(0.0, 200.0), anything),
    driven_s=st.one_of(st.floats(NOW_S - 5.0, NOW_S + 5.0), anything),
    ramp=st.one_of(
        st.none(), st.builds(Ramp, from_ma=st.floats(-10.0, 1000.0), began_s=st.floats(NOW_S - 2.0, NOW_S + 1.0))
    ),
    reading_s=st.one_of(st.none(), st.floats(NOW_S - 2.0, NOW_S + 5.0), anything),
    zero_measured=st.booleans(),
)
good_requests = st.builds(
    replace,
    st.just(RUNNING),
    plan=st.builds(
        replace,
        st.just(PLAN),
        pulse_width_us=st.floats(20.0, 500.0),
        frequency_hz=st.floats(1.0, 120.0),
        electrode_area_cm2=st.floats(0.1, 200.0),
        setting_ma_max=st.floats(0.1, 1000.0),
        ramp_up_s=st.floats(0.0, 5.0),
    ),
    limits=st.builds(
        lambda peak, rms, density, energy: ENVELOPE.tightened_by(
            Layer.CLINIC, peak_ma_max=peak, rms_ma_max=rms, density_ma_cm2_max=density, pulse_energy_mj_max=energy
        ),
        st.floats(0.0, 200.0),
        st.floats(0.0, 60.0),
        st.floats(0.0, 3.0),
        st.floats(0.0, 400.0),
    ),
    setting_ma=st.floats(-5.0, 500.0),
    driven_ma=st.floats(0.0, 130.0),
    driven_s=st.floats(NOW_S - 5.0, NOW_S + 5.0),
    phase=st.sampled_from([Phase.RUNNING, Phase.RUNNING, Phase.STOPPING]),
    ramp=st.one_of(st.none(), st.builds(Ramp, st.floats(0.0, 130.0), st.floats(NOW_S - 1.2, NOW_S))),
)


@settings(max_examples=500, deadline=None)
@given(request=st.one_of(requests_drawn, good_requests))
def test_whatever_is_asked_nothing_flows_beyond_a_limit_or_without_every_yes(request: Request) -> None:
    drive = judge(request).drive
    assert drive.feed_watchdog is drive.enabled
    assert not (drive.enabled and drive.test_pulse)
    if drive.test_pulse:
        assert request.phase in {Phase.ARMED, Phase.PAUSED}
        assert not any((request.latched, request.held, request.relay_open))
    if not drive.enabled:
        assert drive.setting_ma == 0.0
        return
    plan, limits, permission = request.plan, request.limits, request.permission
    assert plan is not None
    assert limits is not None
    assert permission is not None
    assert request.marker == permission.session_id
    assert not any((request.held, request.relay_open))
    assert request.reading_s is not None
    assert request.now_s - request.reading_s <= 1.0
    assert 0.0 <= drive.setting_ma <= bound_ma(plan, limits) * (1 + 1e-9) + 1e-9
    assert drive.pattern is not None
    assert 20.0 <= drive.pattern.pulse_width_us <= 500.0 * (1 + 1e-9)
    assert drive.pattern.frequency_hz <= 120.0 * (1 + 1e-9)
    assert drive.pattern.ramp_up_s >= 0.5
    if request.phase is Phase.RUNNING:
        assert not request.latched
        assert request.now_s < permission.until_s
        assert drive.setting_ma <= max(0.0, request.setting_ma)
        assert drive.setting_ma <= request.driven_ma + 5.0 * 0.1 + 1e-9
    else:
        assert request.phase is Phase.STOPPING
        assert request.ramp is not None
        assert 0.0 <= request.now_s - request.ramp.began_s <= 1.0
        assert drive.setting_ma <= min(max(request.driven_ma, 0.0), request.ramp.from_ma)


# --- how fast ---------------------------------------------------------------------------------------------------------


def test_the_setting_rises_no_faster_than_5_ma_a_second() -> None:
    driven_ma, now_s = 0.0, NOW_S
    for tick in range(1, 61):
        now_s += 0.05
        request = replace(
            RUNNING,
            now_s=now_s,
            setting_ma=10.0,
            driven_ma=driven_ma,
            driven_s=now_s - 0.05,
            reading_s=now_s,
            permission=replace(FAR, until_s=now_s + 1.0),
        )
        driven_ma = judge(request).drive.setting_ma
        assert driven_ma == pytest.approx(min(10.0, 5.0 * 0.05 * tick))


def test_a_loop_that_was_held_up_does_not_jump() -> None:
    request = replace(RUNNING, setting_ma=60.0, driven_ma=10.0, driven_s=NOW_S - 60.0)
    assert judge(request).drive.setting_ma == pytest.approx(10.5)
    assert judge(replace(request, driven_s=NOW_S + 60.0)).drive.setting_ma == 10.0


def test_lowering_is_at_once() -> None:
    assert judge(replace(RUNNING, setting_ma=3.0, driven_ma=60.0)).drive.setting_ma == 3.0


def test_the_ramp_falls_in_a_straight_line_and_is_over_within_a_second() -> None:
    assert judge(RAMPING).drive.setting_ma == pytest.approx(15.0)  # half of 0.9 s is over
    assert judge(replace(RAMPING, driven_ma=2.0)).drive.setting_ma == 2.0, "a ramp only falls"
    levels = []
    for tick in range(20):
        now_s = NOW_S + 0.05 * tick
        ramp = Ramp(from_ma=40.0, began_s=NOW_S)
        levels.append(judge(replace(RAMPING, now_s=now_s, ramp=ramp, driven_ma=40.0)).drive.setting_ma)
    assert levels[0] == 40.0
    assert all(later < earlier for earlier, later in pairwise(levels[:18]))
    assert levels[18] == pytest.approx(0.0, abs=1e-9)
    assert levels[19] == 0.0, "zero is ordered at 0.95 s at the latest"


@pytest.mark.parametrize("changed", [{"held": True}, {"reading_s": NOW_S - 2.0}, {"marker": None}, {"ramp": None}])
def test_what_cuts_a_ramp_short(changed: dict[str, object]) -> None:
    assert judge(RAMPING).drive.enabled
    assert judge(replace(RAMPING, **changed)).drive == ZERO  # type: ignore[arg-type]


@pytest.mark.parametrize("ramp", [Ramp(30.0, NOW_S + 1.0), Ramp(0.0, NOW_S), Ramp(30.0, math.nan)])
def test_a_ramp_from_the_future_or_from_nothing_is_zero(ramp: Ramp) -> None:
    assert judge(replace(RAMPING, ramp=ramp)).drive == ZERO


# --- test pulses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.ARMED, Phase.PAUSED])
def test_test_pulses_flow_when_armed_or_paused(phase: Phase) -> None:
    verdict = judge(replace(PAUSED, phase=phase))
    assert verdict.reason is Reason.TEST_PULSES
    assert verdict.drive == replace(ZERO, test_pulse=True)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"latched": True}, Reason.LATCHED),
        ({"held": True}, Reason.HELD),
        ({"zero_measured": False}, Reason.NOT_YET_ZERO),
        ({"relay_open": True}, Reason.RELAY_OPEN),
    ],
)
def test_what_withholds_test_pulses(changed: dict[str, object], reason: Reason) -> None:
    verdict = judge(replace(PAUSED, **changed))  # type: ignore[arg-type]
    assert verdict.reason is reason
    assert not verdict.drive.test_pulse
