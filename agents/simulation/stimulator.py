"""A stimulator with physics: pulses, battery, heat, the converter that reads back, the watchdog that cuts.

Time is boot time, given by the caller; state moves in steps of at most 10 ms, pulses and the watchdog at their exact
times in between, so however late the host calls, what happened in the meantime is what would have happened.
Deterministic: the same seed, drives and times give the same readings.
"""

import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, NamedTuple

from agents.drivers.port import ZERO, Drive, Identity, Pattern, Reading
from agents.simulation.faults import Fault, FaultKind, strongest
from agents.simulation.skin import Skin, skin_of
from agents.simulation.trace import Trace
from broker.contract.limits import GENERIC_PROFILE

STEP_S: Final = 0.01
# Ten ticks of the agent's 50 ms loop: a busy two-core machine was seen to hold a thread up for 0.1 to 0.3 s, and output
# that outlives its host by half a second stays well inside lease + tick + ramp.
HOST_WATCHDOG_S: Final = 0.5
TEST_PULSE_MA: Final = 0.5  # below what people feel, and below what counts as zero
TEST_PULSE_WIDTH_US: Final = 300.0
PEAK_WINDOW_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Hardware:
    """One model's constants."""

    compliance_v: float = 150.0  # the output stage's highest voltage
    count_ma: float = 0.05  # one count of the converter, in mA
    offset_counts: int = 40  # the converter's zero: noise stays visible around it
    noise_ma: float = 0.15  # one standard deviation of the read-back
    impedance_noise_share: float = 0.01
    impedance_range_ohm: float = 50_000.0  # beyond it the meter has no reading
    battery_wh: float = 20.0
    idle_w: float = 0.6
    efficiency: float = 0.5  # of the output stage; the rest is heat
    ambient_c: float = 24.0
    heating_c_per_w: float = 8.0
    heating_s: float = 600.0


class _Pulse(NamedTuple):
    at_s: float
    ordered_ma: float
    true_ma: float
    impedance_ohm: float
    raw: int | None  # the converter's count; None: it gave none


def envelope(pattern: Pattern, since_start_s: float) -> float:
    """The share of the setting, 0 to 1, that a cycle gives: ramp up, `on_s` at full strength, ramp down, off.

    Without an OFF phase the train ramps up once and stays.
    """
    cycle_s = pattern.ramp_up_s + pattern.on_s + pattern.ramp_down_s + pattern.off_s
    into_s = since_start_s if pattern.off_s == 0.0 else since_start_s % cycle_s
    if into_s < pattern.ramp_up_s:
        return into_s / pattern.ramp_up_s
    into_s -= pattern.ramp_up_s
    if into_s < pattern.on_s or pattern.off_s == 0.0:
        return 1.0
    into_s -= pattern.on_s
    return 1.0 - into_s / pattern.ramp_down_s if into_s < pattern.ramp_down_s else 0.0


class SimulatedStimulator:
    """The thing on the bench. Call `exchange` as its host does, `advance` to let time pass, `trace` for the truth."""

    def __init__(
        self,
        serial: str,
        model: str = "bench-ems-2",
        *,
        start_s: float,
        seed: int = 0,
        faults: Iterable[Fault] = (),
        hardware: Hardware | None = None,
        skin: Skin | None = None,
        trace: Trace | None = None,
        battery_pct: float = 96.0,
    ) -> None:
        self._chance = random.Random(f"{seed}/{serial}")
        self._hardware = hardware or Hardware()
        self._skin = skin or skin_of(self._chance)
        self._faults: tuple[Fault, ...] = tuple(faults)
        self.trace = trace or Trace()
        self.serial = serial
        self._model = model
        self._start_s = start_s
        self._now_s = start_s
        self._ordered: Drive = ZERO  # what the host wants
        self._output: Drive = ZERO  # what the output stage does: differs where it sticks
        self._cycle_start_s = start_s
        self._next_pulse_s = math.inf
        self._pulses: deque[_Pulse] = deque(maxlen=256)
        self._fed_s = start_s
        self._tripped = False  # told to the host with the next reading
        self._locked_out = False  # after a trip, until the host has ordered zero
        self._relay_cut = False  # after a trip, until the host then wants output or test pulses
        self._pattern_last: Pattern | None = None
        self._energy_wh = self._hardware.battery_wh * battery_pct / 100.0
        self._heat_c = self._hardware.idle_w * self._hardware.heating_c_per_w
        self._pulse_j = 0.0  # given to the skin in the present step
        self._raw_last: int | None = None
        self._raw_n = 0
        self._impedance_last_ohm: float | None = None
        self.charge_uc = 0.0  # of one phase polarity, all told
        self.trace.note(start_s, 0.0)

    # --- what the host sees -----------------------------------------------------------------------------------------

    def identify(self) -> Identity:
        return Identity(self.serial, self._model, "2.4.1", GENERIC_PROFILE)

    def self_test(self, now_s: float) -> str | None:
        """None when all checks pass, else the one that failed."""
        self.advance(now_s)
        if self._fault(FaultKind.SELF_TEST_FAILS):
            return "output_stage"
        return "battery" if self._battery_pct() <= 0.0 else None

    def answers(self, now_s: float) -> bool:
        """Whether it talks to its host at all."""
        self.advance(now_s)
        return self._fault(FaultKind.DRIVER_SILENT) is None

    def exchange(self, drive: Drive, now_s: float) -> Reading:
        """Apply a drive, then read."""
        self.advance(now_s)
        self._apply(drive)
        return self._read()

    # --- what people do to it ---------------------------------------------------------------------------------------

    def suffer(self, fault: Fault) -> None:
        """Add a fault, its `at_s` counted from now."""
        age_s = self._now_s - self._start_s
        self._faults = (*self._faults, replace(fault, at_s=fault.at_s + age_s))

    def suffers(self, kind: FaultKind, now_s: float) -> bool:
        """Whether a fault is present: also of those that are acted out around the stimulator."""
        return strongest(self._faults, kind, now_s - self._start_s) is not None

    def heal(self, kind: FaultKind) -> None:
        self._faults = tuple(fault for fault in self._faults if fault.kind is not kind)

    # --- time -------------------------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let time pass up to `now_s`; times that lie in the past change nothing."""
        while self._now_s < now_s:
            until_s = min(now_s, self._now_s + STEP_S)
            if self._watched() and self._fed_s + HOST_WATCHDOG_S <= until_s:
                until_s = max(self._now_s, self._fed_s + HOST_WATCHDOG_S)
                self._fire_pulses(until_s)
                self._trip(until_s)
            else:
                self._fire_pulses(until_s)
            self._heat_and_drain(until_s - self._now_s)
            self._now_s = until_s

    def _watched(self) -> bool:
        """The watchdog runs while output is allowed or, ordered or not, flows."""
        return self._relay_closed() and (self._ordered.enabled or self._output.enabled)

    def _trip(self, at_s: float) -> None:
        """Hardware: opens the output relay, which cuts a stuck output stage too."""
        self._tripped = self._locked_out = self._relay_cut = True
        self._ordered = self._output = ZERO
        self._dark(at_s)

    def _dark(self, at_s: float) -> None:
        self._next_pulse_s = math.inf
        self.trace.note(at_s, 0.0)

    def _heat_and_drain(self, span_s: float) -> None:
        if span_s <= 0.0:
            return
        drawn_w = self._hardware.idle_w + self._pulse_j / self._hardware.efficiency / span_s
        lost_w = drawn_w - self._pulse_j / span_s
        self._pulse_j = 0.0
        self._energy_wh = max(0.0, self._energy_wh - drawn_w * span_s / 3600.0)
        settled_c = lost_w * self._hardware.heating_c_per_w
        self._heat_c = settled_c + (self._heat_c - settled_c) * math.exp(-span_s / self._hardware.heating_s)

    # --- output -----------------------------------------------------------------------------------------------------

    def _apply(self, drive: Drive) -> None:
        if drive.feed_watchdog:
            self._fed_s = self._now_s
        if self._locked_out:
            # After a trip nothing flows until the host has ordered zero, so that a host that was merely
            # stopped for a while cannot go on where it was.
            self._locked_out = drive.enabled
            drive = ZERO
        if drive.enabled and not self._ordered.enabled:
            self._fed_s = self._now_s  # the time runs from the moment when output was allowed
        if drive.enabled or drive.test_pulse:
            self._relay_cut = False
        self._ordered = drive
        if self._fault(FaultKind.OUTPUT_STUCK) is None or self._weaker(self._output, drive):
            self._put_out(drive)
        elif drive.relay_open:
            self._output = ZERO
            self._dark(self._now_s)

    @staticmethod
    def _weaker(present: Drive, wanted: Drive) -> bool:
        """A stuck stage still takes what is stronger: it is the way down that it does not find."""
        return not wanted.relay_open and wanted.enabled and wanted.setting_ma >= present.setting_ma

    def _put_out(self, drive: Drive) -> None:
        flows = drive.enabled and drive.pattern is not None and not drive.relay_open
        was_on = self._output.enabled
        self._output = drive if flows else ZERO
        self._pattern_last = drive.pattern or self._pattern_last
        if flows and not was_on:
            self._cycle_start_s = self._next_pulse_s = self._now_s
        elif was_on and not flows:
            self._dark(self._now_s)

    def _relay_closed(self) -> bool:
        return not self._ordered.relay_open and not self._relay_cut

    def _fire_pulses(self, until_s: float) -> None:
        stuck = self._fault(FaultKind.OUTPUT_STUCK)
        if stuck and stuck.size > 0.0 and not self._output.enabled and self._relay_closed():
            self._output = Drive(True, stuck.size, _STUCK_PATTERN, test_pulse=False, feed_watchdog=False)
            self._cycle_start_s = self._next_pulse_s = self._fed_s = self._now_s
        elif stuck is None and self._output.enabled and not self._ordered.enabled:
            self._put_out(self._ordered)  # the stage came loose: what was ordered holds
        while self._output.enabled and self._next_pulse_s <= until_s:
            self._fire(self._next_pulse_s)

    def _fire(self, at_s: float) -> None:
        pattern = self._output.pattern
        assert pattern is not None
        wanted_ma = ordered_ma = self._output.setting_ma * envelope(pattern, at_s - self._cycle_start_s)
        if above := self._fault(FaultKind.OUTPUT_ABOVE):
            wanted_ma *= above.size
        if (stuck := self._fault(FaultKind.OUTPUT_STUCK)) and stuck.size > 0.0:
            wanted_ma = stuck.size
        impedance_ohm = self._impedance_ohm(at_s, pattern.pulse_width_us)
        powered = self._relay_closed() and self._battery_pct() > 0.0
        true_ma = min(wanted_ma, self._hardware.compliance_v / impedance_ohm * 1000.0) if powered else 0.0
        volt = true_ma / 1000.0 * impedance_ohm
        self._pulse_j += volt * true_ma / 1000.0 * 2.0 * pattern.pulse_width_us * 1e-6
        self.charge_uc += true_ma * pattern.pulse_width_us / 1000.0
        raw = self._convert(true_ma)
        self._raw_last, self._raw_n = raw, self._raw_n + 1
        self._pulses.append(_Pulse(at_s, ordered_ma, true_ma, impedance_ohm, raw))
        self.trace.note(at_s, true_ma)
        self._next_pulse_s = at_s + pattern.pulse_period_s

    def _impedance_ohm(self, at_s: float, pulse_width_us: float) -> float:
        age_s = at_s - self._start_s
        if short := self._fault(FaultKind.ELECTRODE_SHORTS):
            return max(1.0, short.size)
        lifted = self._fault(FaultKind.ELECTRODE_LIFTS)
        dryness = math.prod(fault.factor(age_s) for fault in self._faults if fault.kind is FaultKind.PAD_DRIES)
        return self._skin.impedance_ohm(
            age_s, pulse_width_us, contact_share=1.0 if lifted is None else lifted.size, dryness=dryness
        )

    # --- readings ---------------------------------------------------------------------------------------------------

    def _read(self) -> Reading:
        recent = self._recent()
        is_blind = self._fault(FaultKind.SENSOR_LOST) is not None
        tripped, self._tripped = self._tripped, self._locked_out
        return Reading(
            taken_s=self._now_s,
            amplitude_ma=None if is_blind else self._measured_peak_ma(recent),
            raw_amplitude=None if is_blind else self._raw_last,
            raw_n=self._raw_n,
            impedance_ohm=None if is_blind else self._measured_impedance(recent),
            setting_ma=self._ordered.setting_ma if self._ordered.enabled else 0.0,
            level_ma=round(max((pulse.ordered_ma for pulse in recent), default=0.0), 3),
            in_on_phase=self._in_on_phase(),
            battery_pct=round(self._battery_pct(), 1),
            temperature_c=round(self._temperature_c() + self._chance.gauss(0.0, 0.05), 1),
            relay_closed=self._relay_closed(),
            watchdog_tripped=tripped,
            hand_switch_pressed=self._fault(FaultKind.HAND_SWITCH) is not None,
        )

    def _recent(self) -> list[_Pulse]:
        """The pulses of the last max(100 ms, one pulse period), what a peak hold would have seen."""
        pattern = self._output.pattern or self._pattern_last
        window_s = max(PEAK_WINDOW_S, pattern.pulse_period_s if pattern else 0.0)
        since_s = self._now_s - window_s
        # They are in the order of time: of the many that are kept, only the newest are looked at.
        newest_first = list(takewhile(lambda pulse: pulse.at_s >= since_s, reversed(self._pulses)))
        return newest_first[::-1]

    def _measured_peak_ma(self, recent: list[_Pulse]) -> float:
        counts = [pulse.raw for pulse in recent if pulse.raw is not None]
        raw = max(counts) if counts else self._convert(0.0)
        return round(max(0, raw - self._hardware.offset_counts) * self._hardware.count_ma, 3)

    def _convert(self, true_ma: float) -> int:
        if self._raw_last is not None and self._fault(FaultKind.SENSOR_FROZEN):
            return self._raw_last
        noisy_ma = true_ma + self._chance.gauss(0.0, self._hardware.noise_ma)
        return max(0, min(4095, round(noisy_ma / self._hardware.count_ma) + self._hardware.offset_counts))

    def _measured_impedance(self, recent: list[_Pulse]) -> float | None:
        """From the pulses that flow; else from test pulses, where they are asked for and can get out."""
        if self._fault(FaultKind.SENSOR_FROZEN):
            return self._impedance_last_ohm
        strongest_pulse = max(recent, key=lambda pulse: pulse.true_ma, default=None)
        self._impedance_last_ohm = self._impedance_reading(strongest_pulse)
        return self._impedance_last_ohm

    def _impedance_reading(self, pulse: _Pulse | None) -> float | None:
        if pulse is not None and pulse.true_ma >= TEST_PULSE_MA:
            true_ohm = pulse.impedance_ohm
        elif self._ordered.test_pulse and self._relay_closed() and self._battery_pct() > 0.0:
            pattern = self._ordered.pattern or self._pattern_last
            true_ohm = self._impedance_ohm(self._now_s, pattern.pulse_width_us if pattern else TEST_PULSE_WIDTH_US)
        else:
            return None
        measured_ohm = true_ohm * (1.0 + self._chance.gauss(0.0, self._hardware.impedance_noise_share))
        return round(measured_ohm, 1) if measured_ohm <= self._hardware.impedance_range_ohm else None

    def _in_on_phase(self) -> bool:
        pattern = self._output.pattern
        return (
            self._output.enabled and pattern is not None and envelope(pattern, self._now_s - self._cycle_start_s) == 1.0
        )

    def _battery_pct(self) -> float:
        physical_pct = 100.0 * self._energy_wh / self._hardware.battery_wh
        dying = self._fault(FaultKind.BATTERY_DIES)
        return physical_pct if dying is None else min(physical_pct, dying.size)

    def _temperature_c(self) -> float:
        hotter = self._fault(FaultKind.OVERHEATS)
        return self._hardware.ambient_c + self._heat_c + (hotter.size if hotter else 0.0)

    def _fault(self, kind: FaultKind) -> Fault | None:
        if not self._faults:
            return None
        return strongest(self._faults, kind, self._now_s - self._start_s)


_STUCK_PATTERN = Pattern(300.0, 35.0, on_s=3600.0, off_s=0.0, ramp_up_s=0.0, ramp_down_s=0.0)
