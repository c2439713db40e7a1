"""Test vectors of limits and holds: what a plan breaks, how far it may go, and what a hold is called."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from broker.contract.limits import (
    ENVELOPE,
    GENERIC_PROFILE,
    Layer,
    Limits,
    allowed_peak_ma,
    breaches,
    contact,
    over_limit_threshold_ma,
    setting_step_max_ma,
)
from broker.contract.plan import Plan
from broker.contract.topics import Channel
from broker.wire.codec import encode
from broker.wire.examples import EXAMPLES, LIMITS, PLAN
from broker.wire.sealed import hold_id_of

Vector = dict[str, Any]


def limits() -> Vector:
    return {
        "plans": list(_plans()),
        "tightened": list(_tightened()),
        "contacts": list(_contacts()),
        "steps": list(_steps()),
        "over_limit": [
            {"setting_ma": setting_ma, "above_ma": over_limit_threshold_ma(setting_ma)}
            for setting_ma in (0.0, 10.0, 31.0, 120.0)
        ],
    }


def holds() -> Iterator[Vector]:
    stop = encode(EXAMPLES[Channel.STOP]).decode()
    for name, payload in (
        ("the example of a stop", stop),
        ("the same fields in other bytes", stop.replace(":", ": ", 1)),
        ("no JSON", "stop"),
        ("one byte", "0"),
        ("an umlaut", "Ä"),
    ):
        yield {"name": name, "payload": payload, "hold_id": hold_id_of(payload.encode())}


# --- plans ------------------------------------------------------------------------------------------------------------


_STRONG = replace(PLAN, setting_ma_max=130.0, electrode_area_cm2=200.0)
_PEAK_LOOSE = replace(ENVELOPE, peak_ma_max=replace(ENVELOPE.peak_ma_max, value=1000.0))
_PLANS: tuple[tuple[str, Limits, Plan], ...] = (
    ("the example", LIMITS, PLAN),
    ("a peak at its limit", LIMITS, replace(PLAN, setting_ma_max=60.0)),
    ("a peak within rounding", LIMITS, replace(PLAN, setting_ma_max=60.0 * (1.0 + 5e-10))),
    ("a peak beyond rounding", LIMITS, replace(PLAN, setting_ma_max=60.0 * (1.0 + 2e-9))),
    ("the clinic's peak", GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=40.0), PLAN),
    ("a looser clinic changes nothing", GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=125.0), _STRONG),
    ("the model's width, at least", GENERIC_PROFILE, replace(PLAN, pulse_width_us=49.0)),
    ("a width at its floor", GENERIC_PROFILE, replace(PLAN, pulse_width_us=50.0)),
    ("a width above", ENVELOPE, replace(PLAN, pulse_width_us=501.0)),
    ("a frequency below", ENVELOPE, replace(PLAN, frequency_hz=0.5)),
    ("a frequency above", ENVELOPE, replace(PLAN, frequency_hz=121.0)),
    ("exactly 50 mA rms and 2.0 mA/cm2", _PEAK_LOOSE, _pulse := replace(
        PLAN, setting_ma_max=250.0, pulse_width_us=400.0, frequency_hz=50.0, electrode_area_cm2=25.0
    )),
    ("rms just above", _PEAK_LOOSE, replace(_pulse, setting_ma_max=250.001, electrode_area_cm2=100.0)),
    ("density just above", _PEAK_LOOSE, replace(_pulse, electrode_area_cm2=24.999)),
    ("density is what fails, not energy", ENVELOPE, replace(
        PLAN, setting_ma_max=120.0, pulse_width_us=500.0, frequency_hz=120.0, electrode_area_cm2=16.0
    )),
    ("energy of the clinic's", GENERIC_PROFILE.tightened_by(Layer.CLINIC, pulse_energy_mj_max=1.0), PLAN),
    ("rms of the settings'", GENERIC_PROFILE.tightened_by(Layer.SETTINGS, rms_ma_max=5.0), PLAN),
    ("a small pad", GENERIC_PROFILE, replace(PLAN, electrode_area_cm2=2.0)),
    ("too steep", ENVELOPE, replace(PLAN, ramp_up_s=0.4)),
    ("too long", ENVELOPE, replace(PLAN, duration_s=1801.0)),
    ("too short", ENVELOPE, replace(PLAN, duration_s=299.0)),
    ("everything at once", GENERIC_PROFILE, replace(
        PLAN,
        setting_ma_max=500.0,
        pulse_width_us=600.0,
        frequency_hz=200.0,
        electrode_area_cm2=1.0,
        ramp_up_s=0.0,
        duration_s=3600.0,
    )),
    ("no output allowed", GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=0.0), PLAN),
)  # fmt: skip


def _plans() -> Iterator[Vector]:
    for name, bounds, plan in _PLANS:
        allowed = allowed_peak_ma(bounds, plan)
        found = [
            {"quantity": breach.quantity, "value": breach.limit.value, "layer": breach.limit.layer.value}
            for breach in breaches(plan, bounds)
        ]
        yield {
            "name": name,
            "plan": asdict(plan),
            "limits": asdict(bounds),
            "breaches": sorted(found, key=lambda row: (row["quantity"], row["value"], row["layer"])),
            "allowed_peak_ma": {"value": allowed.value, "layer": allowed.layer.value},
        }


def _tightened() -> Iterator[Vector]:
    settings = GENERIC_PROFILE.tightened_by(Layer.SETTINGS, peak_ma_max=90.0, ramp_up_s_min=2.0)
    loose = replace(
        GENERIC_PROFILE,
        peak_ma_max=replace(GENERIC_PROFILE.peak_ma_max, value=500.0, layer=Layer.SETTINGS),
        ramp_up_s_min=replace(GENERIC_PROFILE.ramp_up_s_min, value=0.1, layer=Layer.SETTINGS),
    )
    tied = replace(GENERIC_PROFILE, peak_ma_max=replace(GENERIC_PROFILE.peak_ma_max, layer=Layer.SETTINGS))
    for name, outer, inner in (
        ("the inner is stricter in some", GENERIC_PROFILE, settings),
        ("a looser inner changes nothing", GENERIC_PROFILE, loose),
        ("on a tie the outer keeps the name", GENERIC_PROFILE, tied),
        ("each the strictest in its own", LIMITS, settings),
    ):
        yield {
            "name": name,
            "outer": asdict(outer),
            "inner": asdict(inner),
            "strictest": asdict(outer.tightened(inner)),
        }


def _contacts() -> Iterator[Vector]:
    for impedance_ohm, baseline_ohm in (
        (None, None),
        (0.0, None),
        (149.9, 800.0),
        (150.0, 800.0),
        (1200.0, 800.0),
        (1200.1, 800.0),
        (1600.0, 800.0),
        (1600.1, 800.0),
        (3000.0, None),
        (3000.1, None),
        (5000.0, 4000.0),
        (5000.1, 4000.0),
        (10_000.0, None),
        (10_000.1, None),
    ):
        judged = contact(impedance_ohm, baseline_ohm)
        yield {"impedance_ohm": impedance_ohm, "baseline_ohm": baseline_ohm, "contact": judged.value}


def _steps() -> Iterator[Vector]:
    for setting_ma, step_ma_max in ((0.0, 2.0), (19.9, 2.0), (20.0, 2.0), (0.0, 0.5), (60.0, 0.5), (60.0, 2.0)):
        bounds = GENERIC_PROFILE.tightened_by(Layer.CLINIC, setting_step_ma_max=step_ma_max)
        step_ma = setting_step_max_ma(setting_ma, bounds)
        yield {"setting_ma": setting_ma, "setting_step_ma_max": step_ma_max, "step_ma": step_ma}
