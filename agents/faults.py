"""What the readings say: which cause a fault of the stimulator, the electrodes or the sensor gives.

Pure. A `Watch` remembers what judging needs of the readings so far; `findings` are the faults present now, the worst
first. Figures are domain.md's. Nothing here counts ticks: a control loop that was held up sees the same faults.
"""

import math
from dataclasses import dataclass

from agents.changed import changed
from agents.drivers.port import Drive, Reading
from broker.contract.causes import Cause
from broker.contract.limits import (
    BATTERY_END_PCT,
    FROZEN_READINGS,
    NO_READING_S,
    OVER_TEMPERATURE_C,
    ZERO_MA,
    Contact,
    contact,
    over_limit_threshold_ma,
)
from broker.contract.messages import EventKind, Measured

WINDOW_S_MIN = 0.1  # the peak is over max(this, one pulse period)
STUCK_GRACE_S = 0.2  # zero is due one pulse period and this after it was ordered
QUANTITY_MAX = 1e9
ORDER_LAG_S = 0.1  # two ticks: what was driven this long before the window may still show in it


# --- numbers of a reading: None where there is none; NaN and infinity are none ----------------------------------------


def number(value: float | None) -> float | None:
    """A measured value, or None where nothing was measured; no larger than a message may carry."""
    return max(-QUANTITY_MAX, min(value, QUANTITY_MAX)) if value is not None and math.isfinite(value) else None


def peak_ma(reading: Reading | None) -> float | None:
    """The measured peak. A negative one is as much current as a positive one."""
    value = number(reading.amplitude_ma) if reading is not None else None
    return None if value is None else abs(value)


# --- what is remembered -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watch:
    """What the readings so far have shown. Times are boot time; -inf is "never"."""

    zero_ordered_s: float  # since when the drive has been disabled, or was last
    pulse_period_s: float  # of the last pattern driven
    was_driven: bool  # whether something may flow that zero has not been measured of since
    reading: Reading | None = None  # the last tick's; None when the stimulator did not answer
    peak_read_s: float = -math.inf  # when a peak was last read
    zero_seen_s: float = -math.inf  # when a peak below ZERO_MA was last read
    zero_measured: bool = False  # since zero was ordered, over a whole window
    silent_s: float = -math.inf  # when the stimulator last did not answer: it may not have heard the order either
    driven: tuple[tuple[float, float], ...] = ()  # (until, setting_ma) of what was driven lately, newest last
    raw_amplitude: int | None = None
    raw_n: int = -1
    raw_repeats: int = 0
    flowing_s: float | None = None  # since when pulses of ZERO_MA or more have been due without a break, ramps included
    flowed_s: float = -math.inf  # when a reading last showed such pulses
    withheld_s: float | None = None  # since when the stimulator has said that its output is off, ordered otherwise
    unread_s: float = 0.0  # for how long of such pulses, breaks left out, the converter has measured no new one

    @property
    def window_s(self) -> float:
        return max(WINDOW_S_MIN, self.pulse_period_s)

    @property
    def ordered_peak_ma(self) -> float:
        """The strongest setting whose pulses the last window may still show."""
        return max((setting_ma for _, setting_ma in self.driven), default=0.0)


def watched(watch: Watch, now_s: float, reading: Reading | None, drive: Drive) -> Watch:
    """The watch after one more reading, taken while `drive` was in force."""
    oldest_s = now_s - watch.window_s - ORDER_LAG_S
    driven = tuple(entry for entry in watch.driven if entry[0] >= oldest_s)
    if drive.enabled:
        driven = (*driven, (now_s, drive.setting_ma))
    watch = changed(watch, reading=reading, driven=driven)
    if reading is None:
        return changed(watch, flowing_s=None, silent_s=now_s)
    watch = _order_watched(watch, now_s, reading, drive)
    return _pulses_watched(_peak_watched(watch, now_s, reading, drive), now_s, reading, drive)


def ordered(watch: Watch, now_s: float, before: Drive, drive: Drive) -> Watch:
    """The watch after the drive changed from `before` to `drive`. Until this moment `before` may have been in force:
    after a hold-up the pulses of its last window are older than any reading, and yet what was ordered.
    """
    if before.enabled and drive.setting_ma < before.setting_ma:
        watch = changed(watch, driven=(*watch.driven, (now_s, before.setting_ma)))
    if drive.enabled:
        period_s = drive.pattern.pulse_period_s if drive.pattern is not None else watch.pulse_period_s
        return changed(watch, pulse_period_s=period_s, was_driven=True, zero_measured=False)
    if before.enabled:
        return changed(watch, zero_ordered_s=now_s, zero_measured=False, flowing_s=None, withheld_s=None)
    return watch


def _order_watched(watch: Watch, now_s: float, reading: Reading, drive: Drive) -> Watch:
    # Half of it as slack: what is read back of 1 mA may be a little less. A setting that is no number may be any.
    is_set = drive.setting_ma < ZERO_MA or reading.setting_ma >= min(ZERO_MA, drive.setting_ma / 2.0)
    withheld = drive.enabled and not (reading.relay_closed and is_set)
    if withheld == (watch.withheld_s is not None):
        return watch
    return changed(watch, withheld_s=now_s if withheld else None)


def _peak_watched(watch: Watch, now_s: float, reading: Reading, drive: Drive) -> Watch:
    peak = peak_ma(reading)
    if peak is None:
        return watch
    if not peak < ZERO_MA:
        return changed(watch, peak_read_s=now_s, zero_measured=False)
    since_s = max(watch.zero_ordered_s, watch.silent_s)
    confirmed = not drive.enabled and reading.taken_s - watch.window_s >= since_s
    return changed(
        watch,
        peak_read_s=now_s,
        zero_seen_s=now_s,
        zero_measured=watch.zero_measured or confirmed,
        was_driven=watch.was_driven and not confirmed,
    )


def _pulses_watched(watch: Watch, now_s: float, reading: Reading, drive: Drive) -> Watch:
    # By what was ordered, in ramps too: a lifted pad lets nothing flow, and is to be seen by that. A level that is no
    # number may be any.
    if not drive.enabled or reading.level_ma < ZERO_MA:
        return changed(watch, flowing_s=None)
    since_s, for_s = (now_s, 0.0) if watch.flowing_s is None else (watch.flowing_s, now_s - watch.flowed_s)
    watch = changed(watch, flowing_s=since_s, flowed_s=now_s, unread_s=watch.unread_s + for_s)
    if reading.raw_amplitude is None or reading.raw_n == watch.raw_n:
        return watch
    repeats = watch.raw_repeats + 1 if reading.raw_amplitude == watch.raw_amplitude else 1
    return changed(watch, raw_amplitude=reading.raw_amplitude, raw_n=reading.raw_n, raw_repeats=repeats, unread_s=0.0)


# --- what is found ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that is present now."""

    cause: Cause
    kind: EventKind
    measured: Measured | None = None


def findings(watch: Watch, now_s: float, drive: Drive, baseline_ohm: float | None) -> tuple[Finding, ...]:
    """The faults that the last reading shows, worst first. `drive` is the one in force while it was taken."""
    found = (
        _stuck(watch, now_s, drive),
        _over_limit(watch, drive),
        _hand_switch(watch),
        _sensor(watch, now_s, drive),
        _temperature(watch),
        _watchdog(watch, now_s),
        _electrode(watch, now_s, baseline_ohm),
        _battery(watch),
    )
    return tuple(finding for finding in found if finding is not None)


def _stuck(watch: Watch, now_s: float, drive: Drive) -> Finding | None:
    """Zero was ordered, and one pulse period + 200 ms later something flows, or nobody can say that nothing does.

    Something that begins to flow when zero had been measured long before is stuck after the 200 ms.
    """
    due_s = max(watch.zero_ordered_s + watch.pulse_period_s, watch.zero_seen_s) + STUCK_GRACE_S
    if drive.enabled or not now_s > due_s:
        return None
    peak = peak_ma(watch.reading)
    is_fine = not watch.was_driven if peak is None else peak < ZERO_MA
    if is_fine:
        return None
    return Finding(Cause.OUTPUT_STUCK, EventKind.OUTPUT_STUCK, Measured("amplitude_ma", peak, ZERO_MA))


def _over_limit(watch: Watch, drive: Drive) -> Finding | None:
    """More flows than was ordered: such an output is out of control below any limit.

    Nothing above a limit is ever ordered (the interlock), so this is the stricter reading of "over the limit"; and
    a limit that has just been lowered does not condemn what flowed before.
    """
    peak = peak_ma(watch.reading)
    limit_ma = over_limit_threshold_ma(watch.ordered_peak_ma)
    if peak is None or not drive.enabled or not peak > limit_ma:
        return None
    return Finding(Cause.OVER_LIMIT, EventKind.OVER_LIMIT, Measured("amplitude_ma", peak, limit_ma))


def _hand_switch(watch: Watch) -> Finding | None:
    pressed = watch.reading is not None and watch.reading.hand_switch_pressed
    return Finding(Cause.PATIENT_STOP, EventKind.STOP_PRESSED) if pressed else None


def _sensor(watch: Watch, now_s: float, drive: Drive) -> Finding | None:
    """Ten identical raw readings of pulses, or no new pulse measured where one must have come."""
    if not drive.enabled:
        return None
    if watch.raw_repeats >= FROZEN_READINGS:
        return _frozen("identical_readings", float(watch.raw_repeats), float(FROZEN_READINGS))
    # Between two pulses at 1 Hz lies the whole second: the period comes on top, half of one as slack.
    silent_s = watch.unread_s - 1.5 * watch.pulse_period_s
    if watch.flowing_s is None or silent_s < NO_READING_S:
        return None
    return _frozen("s_without_pulse", silent_s, NO_READING_S)


def silence(watch: Watch, now_s: float) -> Finding | None:
    """No peak has been read for 1 s. Judged in every step while on, not only when a reading comes."""
    silent_s = now_s - watch.peak_read_s
    return _frozen("s_without_reading", number(silent_s), NO_READING_S) if silent_s > NO_READING_S else None


def _frozen(quantity: str, value: float | None, limit: float) -> Finding:
    return Finding(Cause.SENSOR_FROZEN, EventKind.SENSOR_FROZEN, Measured(quantity, value, limit))


def _temperature(watch: Watch) -> Finding | None:
    celsius = number(watch.reading.temperature_c) if watch.reading is not None else None
    if celsius is None or not celsius > OVER_TEMPERATURE_C:
        return None
    measured = Measured("temperature_c", celsius, OVER_TEMPERATURE_C)
    return Finding(Cause.OVER_TEMPERATURE, EventKind.OVER_TEMPERATURE, measured)


def _watchdog(watch: Watch, now_s: float) -> Finding | None:
    """It says that it has ended output, or what nothing else explains: that for 1 s its setting has been zero or its
    relay open, ordered otherwise. The one reading in which a stimulator says so may be lost, and its session would go
    on without current.
    """
    tripped = watch.reading is not None and watch.reading.watchdog_tripped
    withheld = watch.withheld_s is not None and now_s - watch.withheld_s >= NO_READING_S
    return Finding(Cause.WATCHDOG_TRIPPED, EventKind.WATCHDOG_TRIPPED) if tripped or withheld else None


_ELECTRODE: dict[Contact, tuple[Cause, EventKind]] = {
    Contact.OPEN: (Cause.ELECTRODE_OPEN, EventKind.ELECTRODE_OPEN),
    Contact.SHORT: (Cause.ELECTRODE_SHORT, EventKind.ELECTRODE_SHORT),
    Contact.BEYOND_DEGRADED: (Cause.ELECTRODE_DEGRADED, EventKind.ELECTRODE_DEGRADED),
}


def _electrode(watch: Watch, now_s: float, baseline_ohm: float | None) -> Finding | None:
    """What the pulses say about the pads, in ramps too; nothing while none of ZERO_MA are due.

    A single reading without impedance at their beginning is none yet: level and meter may be a pulse apart. It is not
    given a whole window: where one pulse a cycle is strong enough (1 Hz), it shows in no more than one.
    """
    if watch.reading is None or watch.flowing_s is None:
        return None
    impedance_ohm = number(watch.reading.impedance_ohm)
    if impedance_ohm is None and not now_s > watch.flowing_s:
        return None
    judged = _ELECTRODE.get(contact(impedance_ohm, baseline_ohm))
    if judged is None:
        return None
    cause, kind = judged
    return Finding(cause, kind, Measured("impedance_ohm", impedance_ohm, baseline_ohm))


def _battery(watch: Watch) -> Finding | None:
    percent = number(watch.reading.battery_pct) if watch.reading is not None else None
    if percent is None or not percent < BATTERY_END_PCT:
        return None
    measured = Measured("battery_pct", percent, BATTERY_END_PCT)
    return Finding(Cause.BATTERY_EMPTY, EventKind.BATTERY_EMPTY, measured)
