"""Output physics, the layers of limits, and what refuses (domain.md "Output physics", "Envelope").

The same code decides at the device and in the fleet; the strictest layer wins. Formulas hold for symmetric biphasic
pulses, the width counted per phase, during ON time. Figures come from domain.md, which marks their sources.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Annotated

from broker.contract.plan import Plan
from broker.contract.shapes import Between, Quantity, Strict

LOAD_OHM = 500.0  # IEC 60601-2-10 states its limits into this load
RELATIVE_TOLERANCE = 1e-9  # limits compare with it, so that an exact boundary passes

ZERO_MA = 1.0  # "measured zero" is a peak below this
BATTERY_START_PCT = 20.0
BATTERY_END_PCT = 5.0
OVER_TEMPERATURE_C = 60.0  # own design value: of the stimulator's output stage
SESSION_S_MIN = 300.0
PAUSE_TOTAL_S = 600.0
FROZEN_READINGS = 10  # identical raw readings of pulses in a row, ramps included
NO_READING_S = 1.0


class Layer(StrEnum):
    """Who set a limit, outermost first. A layer may only tighten what lies outside it."""

    ENVELOPE = "envelope"
    MODEL = "model"
    CLINIC = "clinic"
    PLAN = "plan"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Limit(Strict):
    """One number and the layer that set it."""

    value: Annotated[float, Between(0.0, 1e6)]
    layer: Layer


@dataclass(frozen=True, slots=True)
class Limits(Strict):
    """Everything that bounds output. A field that ends in `_min` is a floor, every other one a ceiling."""

    peak_ma_max: Limit
    pulse_width_us_min: Limit
    pulse_width_us_max: Limit
    frequency_hz_min: Limit
    frequency_hz_max: Limit
    rms_ma_max: Limit
    density_ma_cm2_max: Limit
    pulse_energy_mj_max: Limit
    setting_step_ma_max: Limit
    setting_rise_ma_per_s_max: Limit
    ramp_up_s_min: Limit
    session_s_max: Limit
    pause_s_max: Limit

    def tightened(self, other: "Limits") -> "Limits":
        """The strictest of both, field by field; on a tie the outer layer, `self`, keeps the name."""
        return replace(
            self,
            **{name: _stricter(name, getattr(self, name), getattr(other, name)) for name in LIMIT_NAMES},
        )

    def tightened_by(self, layer: Layer, **values: float) -> "Limits":
        """These limits with `values` of `layer`, each only where it is stricter."""
        return self.tightened(replace(self, **{name: Limit(value, layer) for name, value in values.items()}))


LIMIT_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Limits))


def _stricter(name: str, outer: Limit, inner: Limit) -> Limit:
    if name.endswith("_min"):
        return inner if inner.value > outer.value else outer
    return inner if inner.value < outer.value else outer


def limits_of(layer: Layer, **values: float) -> Limits:
    """Limits that one layer sets in full.

    Raises:
        TypeError: a limit is missing or unknown.
    """
    return Limits(**{name: Limit(value, layer) for name, value in values.items()})


ENVELOPE = limits_of(
    Layer.ENVELOPE,
    peak_ma_max=130.0,
    pulse_width_us_min=20.0,
    pulse_width_us_max=500.0,
    frequency_hz_min=1.0,
    frequency_hz_max=120.0,
    rms_ma_max=50.0,
    density_ma_cm2_max=2.0,
    pulse_energy_mj_max=300.0,
    setting_step_ma_max=2.0,
    setting_rise_ma_per_s_max=5.0,
    ramp_up_s_min=0.5,
    session_s_max=1800.0,
    pause_s_max=300.0,
)
GENERIC_PROFILE = ENVELOPE.tightened_by(Layer.MODEL, peak_ma_max=120.0, pulse_width_us_min=50.0)


# --- physics --------------------------------------------------------------------------------------------------------


def duty_root(pulse_width_us: float, frequency_hz: float) -> float:
    """The ratio of rms to peak current of a biphasic train: sqrt(2 w f)."""
    return math.sqrt(2.0 * pulse_width_us * 1e-6 * frequency_hz)


def rms_ma(peak_ma: float, pulse_width_us: float, frequency_hz: float) -> float:
    """Root mean square current in mA."""
    return peak_ma * duty_root(pulse_width_us, frequency_hz)


def density_ma_cm2(rms_current_ma: float, electrode_area_cm2: float) -> float:
    """Rms current density in mA/cm2 under the smallest pad."""
    return rms_current_ma / electrode_area_cm2


def pulse_energy_mj(peak_ma: float, pulse_width_us: float) -> float:
    """Energy of one biphasic pulse into 500 ohm, in mJ."""
    return (peak_ma / 1000.0) ** 2 * LOAD_OHM * 2.0 * pulse_width_us * 1e-6 * 1000.0


def charge_uc(peak_ma: float, pulse_width_us: float) -> float:
    """Charge of one phase in microcoulomb."""
    return peak_ma * pulse_width_us / 1000.0


def rms_envelope_ma(frequency_hz: float) -> float:
    """IEC 60601-2-10: 80 mA d.c., 50 mA up to 400 Hz, 80 mA up to 1500 Hz, 100 mA above."""
    for upto_hz, limit_ma in ((0.0, 80.0), (400.0, 50.0), (1500.0, 80.0)):
        if frequency_hz <= upto_hz:
            return limit_ma
    return 100.0


def exceeds(value: float, limit: float) -> bool:
    """Whether `value` is above `limit` beyond rounding. NaN exceeds everything."""
    return not value <= limit * (1.0 + RELATIVE_TOLERANCE)


def falls_short(value: float, limit: float) -> bool:
    """Whether `value` is below `limit` beyond rounding. NaN falls short of everything."""
    return not value >= limit * (1.0 - RELATIVE_TOLERANCE)


def allowed_peak_ma(limits: Limits, plan: Plan) -> Limit:
    """The highest peak that `limits` allow for the plan's pulse and pad, and the layer that says so.

    Inverts rms, density and energy for the peak, so that both sides clamp to one number.
    """
    per_ma = duty_root(plan.pulse_width_us, plan.frequency_hz)
    energy_per_ma2 = pulse_energy_mj(1.0, plan.pulse_width_us)
    return min(
        (
            limits.peak_ma_max,
            Limit(limits.rms_ma_max.value / per_ma, limits.rms_ma_max.layer),
            Limit(rms_envelope_ma(plan.frequency_hz) / per_ma, Layer.ENVELOPE),
            Limit(
                limits.density_ma_cm2_max.value * plan.electrode_area_cm2 / per_ma,
                limits.density_ma_cm2_max.layer,
            ),
            Limit(math.sqrt(limits.pulse_energy_mj_max.value / energy_per_ma2), limits.pulse_energy_mj_max.layer),
            Limit(plan.setting_ma_max, Layer.PLAN),
        ),
        key=lambda limit: limit.value,
    )


def over_limit_threshold_ma(limit_ma: float) -> float:
    """A measured peak above this is over the limit: 10 % and 1 mA are the read-back's noise."""
    return 1.1 * limit_ma + 1.0


# --- what refuses ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Breach:
    """One limit that a plan does not keep: `quantity` carries its unit, `limit` the number and its layer."""

    quantity: str
    value: Quantity
    limit: Limit


def breaches(plan: Plan, limits: Limits) -> tuple[Breach, ...]:
    """Every limit that the plan breaks, at its strongest setting; empty when it keeps them all."""
    rms = rms_ma(plan.setting_ma_max, plan.pulse_width_us, plan.frequency_hz)
    ceilings: Iterable[tuple[str, float, Limit]] = (
        ("peak_ma", plan.setting_ma_max, limits.peak_ma_max),
        ("pulse_width_us", plan.pulse_width_us, limits.pulse_width_us_max),
        ("frequency_hz", plan.frequency_hz, limits.frequency_hz_max),
        ("rms_ma", rms, limits.rms_ma_max),
        ("rms_ma", rms, Limit(rms_envelope_ma(plan.frequency_hz), Layer.ENVELOPE)),
        ("density_ma_cm2", density_ma_cm2(rms, plan.electrode_area_cm2), limits.density_ma_cm2_max),
        (
            "pulse_energy_mj",
            pulse_energy_mj(plan.setting_ma_max, plan.pulse_width_us),
            limits.pulse_energy_mj_max,
        ),
        ("session_s", plan.duration_s, limits.session_s_max),
    )
    floors: Iterable[tuple[str, float, Limit]] = (
        ("pulse_width_us", plan.pulse_width_us, limits.pulse_width_us_min),
        ("frequency_hz", plan.frequency_hz, limits.frequency_hz_min),
        ("ramp_up_s", plan.ramp_up_s, limits.ramp_up_s_min),
        ("session_s", plan.duration_s, Limit(SESSION_S_MIN, Layer.ENVELOPE)),
    )
    found = [Breach(*row) for row in ceilings if exceeds(row[1], row[2].value)]
    found += [Breach(*row) for row in floors if falls_short(row[1], row[2].value)]
    return tuple(dict.fromkeys(found))


def setting_step_max_ma(setting_ma: float, limits: Limits) -> float:
    """The largest single raise from `setting_ma`: 2 mA below 20 mA, 1 mA from there, or less where limits say."""
    return min(2.0 if setting_ma < 20.0 else 1.0, limits.setting_step_ma_max.value)


# --- impedance ------------------------------------------------------------------------------------------------------


class Contact(StrEnum):
    """What an impedance says about the electrode, judged on pulses, ramps included, and on test pulses when armed."""

    GOOD = "good"
    DEGRADED = "degraded"
    BEYOND_DEGRADED = "beyond_degraded"  # zero, pause
    SHORT = "short"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ContactBounds:
    """What impedances are judged by, in ohm: below `short` a short, above `open` or without a reading open, above
    `beyond` zero and pause, above `degraded` told.
    """

    short: float
    degraded: float
    beyond: float
    open: float


def contact_bounds(baseline_ohm: float | None) -> ContactBounds:
    """The fixed bounds, and the session's baseline (None while there is none), whichever is reached first."""
    if baseline_ohm is None:
        return ContactBounds(150.0, 3000.0, 5000.0, 10_000.0)
    return ContactBounds(150.0, min(3000.0, 1.5 * baseline_ohm), min(5000.0, 2.0 * baseline_ohm), 10_000.0)


def contact(impedance_ohm: float | None, baseline_ohm: float | None) -> Contact:
    """Judge an impedance against the fixed bounds and the session's baseline (None while there is none)."""
    bounds = contact_bounds(baseline_ohm)
    if impedance_ohm is None or not impedance_ohm <= bounds.open:
        return Contact.OPEN
    if impedance_ohm < bounds.short:
        return Contact.SHORT
    if impedance_ohm > bounds.beyond:
        return Contact.BEYOND_DEGRADED
    if impedance_ohm > bounds.degraded:
        return Contact.DEGRADED
    return Contact.GOOD
