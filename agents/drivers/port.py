"""What a stimulator driver must offer. Everything behind it is hardware, or the simulation of hardware.

The stimulator runs the pulse train and its on/off cycle with ramps by itself, within the strength that the agent
sets; it ends output by itself when its host watchdog is not fed. The agent sets strength, pattern and permission to
output on every control tick, and reads back what really flows.
"""

from dataclasses import dataclass
from typing import Protocol

from broker.contract.limits import Limits


@dataclass(frozen=True, slots=True)
class Pattern:
    """The pulse train and its cycle. Width is per phase; a ramp is from 0 to the setting, or back."""

    pulse_width_us: float
    frequency_hz: float
    on_s: float
    off_s: float
    ramp_up_s: float
    ramp_down_s: float

    @property
    def pulse_period_s(self) -> float:
        return 1.0 / self.frequency_hz


@dataclass(frozen=True, slots=True)
class Drive:
    """What the agent wants for the next tick. `enabled` False is zero current, whatever the rest says.

    `test_pulse` asks for sub-sensory pulses (below 1 mA, so that they never hide a measured zero) that measure
    impedance while nothing else flows: the one thing that may flow with `enabled` False. Applying a drive feeds the
    stimulator's host watchdog only where `feed_watchdog` says so; the watchdog runs while output is enabled.
    """

    enabled: bool
    setting_ma: float
    pattern: Pattern | None
    test_pulse: bool
    feed_watchdog: bool
    relay_open: bool = False  # True: cut the output relay, the last resort against an output that sticks


ZERO = Drive(enabled=False, setting_ma=0.0, pattern=None, test_pulse=False, feed_watchdog=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the stimulator measures. None or NaN is "no reading", never zero.

    `amplitude_ma` is the peak over the last max(100 ms, one pulse period), also after output was disabled;
    `raw_amplitude` the converter's count for the last pulse, fine enough that noise shows (a frozen sensor repeats
    it), and `raw_n` rises with each pulse so measured: at 1 Hz many readings lie between two pulses. `setting_ma` is
    what the stimulator believes it was set to, in the OFF phase too; `in_on_phase` says that the cycle is in its ON
    phase at full strength (not ramping). `level_ma` is the strongest pulse that setting and cycle, ramps included,
    ordered in the window of the peak, 0 where none was due: an order, not a measurement, so an open lead changes
    nothing of it.
    """

    taken_s: float  # boot time
    amplitude_ma: float | None
    raw_amplitude: int | None
    raw_n: int
    impedance_ohm: float | None  # of that window, or from test pulses; None where neither flows, or nothing is read
    setting_ma: float
    level_ma: float
    in_on_phase: bool
    battery_pct: float | None
    temperature_c: float | None
    relay_closed: bool  # output may pass; True where there is no relay to read
    watchdog_tripped: bool  # it ended output since the last reading, or has kept it locked out since
    hand_switch_pressed: bool  # the patient's, or the stop button on the housing


@dataclass(frozen=True, slots=True)
class Identity:
    """What the stimulator is, and the limits of its model."""

    serial: str
    model: str
    firmware: str
    profile: Limits


class DriverLost(ConnectionError):
    """The stimulator does not answer. Its own watchdog ends output; the agent latches."""


class Stimulator(Protocol):
    """A driver. All calls return within a few milliseconds or raise.

    Duties beside the calls: once its host watchdog has tripped, the stimulator is locked out: nothing flows again,
    whatever is ordered, until a drive with `enabled` False was applied. The first drive after a host that was held up
    may still be an old one. It says so in every reading until then, and in the one of that drive: the host may have
    missed any other.

    Raises:
        DriverLost: the stimulator did not answer in time.
    """

    def identify(self) -> Identity: ...

    def self_test(self) -> str | None:
        """None when all checks pass, else the name of the one that failed."""

    def exchange(self, drive: Drive) -> Reading:
        """Apply a drive and read back, in one round trip."""

    def close(self) -> None: ...
