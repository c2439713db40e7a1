"""The table of causes: why output ends, and everything that follows from it (domain.md "Session").

One row a cause; no other place in the code decides ramp, latch, hold, alarm or who may reset.
"""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Why a session's output ended, or may not begin."""

    COMPLETED = "completed"
    THERAPIST_STOP = "therapist_stop"
    PAUSE_TIMEOUT = "pause_timeout"
    BATTERY_EMPTY = "battery_empty"
    CANCELLED = "cancelled"
    PATIENT_STOP = "patient_stop"
    EMERGENCY_STOP = "emergency_stop"
    RULE_STOP = "rule_stop"
    SESSION_CAP = "session_cap"
    LEASE_LOST = "lease_lost"
    OVER_LIMIT = "over_limit"
    OUTPUT_STUCK = "output_stuck"
    ELECTRODE_OPEN = "electrode_open"
    ELECTRODE_SHORT = "electrode_short"
    ELECTRODE_DEGRADED = "electrode_degraded"
    SENSOR_FROZEN = "sensor_frozen"
    OVER_TEMPERATURE = "over_temperature"
    SELF_TEST_FAILED = "self_test_failed"
    WATCHDOG_TRIPPED = "watchdog_tripped"
    REBOOT = "reboot"


class Ending(StrEnum):
    """What becomes of a session that a cause touches."""

    COMPLETES = "completed"
    ABORTS = "aborted"
    LATCHES = "stopped_latched"
    PAUSES = "paused"


class ResetBy(StrEnum):
    """Who, standing at the device, may reset the latch."""

    NOBODY = "nobody"  # nothing to reset
    THERAPIST = "therapist"
    ENGINEER = "engineer"


class AlarmCode(StrEnum):
    """Alarm conditions (domain.md "Alarms"). A13, samples are not kept, was added to them by
    docs/decisions/2026-11-26-store-alarm.md: no cause leads to it, and no message carries it.
    """

    A01 = "A01"
    A02 = "A02"
    A03 = "A03"
    A04 = "A04"
    A05 = "A05"
    A06 = "A06"
    A07 = "A07"
    A08 = "A08"
    A09 = "A09"
    A10 = "A10"
    A11 = "A11"
    A12 = "A12"
    A13 = "A13"


SOFT_RAMP_S = 1.0  # an abrupt stop hurts (H18): soft causes may take this long to reach zero


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a cause. `ramp_s` is the longest time from the decision to ordered zero."""

    ramp_s: float
    ending: Ending
    alarm: AlarmCode | None
    reset_by: ResetBy
    holds: bool = False  # the fleet also retains the stop; a release comes before the reset
    engineer_from_nth_in_24_h: int | None = None  # from the n-th within 24 h the reset takes an engineer

    @property
    def latches(self) -> bool:
        return self.ending is Ending.LATCHES


_soft_end = Consequence(SOFT_RAMP_S, Ending.ABORTS, None, ResetBy.NOBODY)
_electrode = Consequence(0.0, Ending.PAUSES, AlarmCode.A05, ResetBy.NOBODY)
_engineer = Consequence(0.0, Ending.LATCHES, AlarmCode.A02, ResetBy.ENGINEER)

CONSEQUENCES: dict[Cause, Consequence] = {
    Cause.COMPLETED: Consequence(SOFT_RAMP_S, Ending.COMPLETES, None, ResetBy.NOBODY),
    Cause.THERAPIST_STOP: _soft_end,
    Cause.PAUSE_TIMEOUT: _soft_end,
    Cause.CANCELLED: _soft_end,
    Cause.BATTERY_EMPTY: Consequence(SOFT_RAMP_S, Ending.ABORTS, AlarmCode.A08, ResetBy.NOBODY),
    Cause.PATIENT_STOP: Consequence(0.0, Ending.LATCHES, AlarmCode.A03, ResetBy.THERAPIST),
    Cause.EMERGENCY_STOP: Consequence(0.0, Ending.LATCHES, AlarmCode.A03, ResetBy.THERAPIST, holds=True),
    Cause.RULE_STOP: Consequence(0.0, Ending.LATCHES, AlarmCode.A02, ResetBy.THERAPIST, holds=True),
    Cause.SESSION_CAP: Consequence(SOFT_RAMP_S, Ending.LATCHES, AlarmCode.A02, ResetBy.THERAPIST),
    Cause.LEASE_LOST: Consequence(SOFT_RAMP_S, Ending.LATCHES, AlarmCode.A04, ResetBy.THERAPIST),
    Cause.OVER_LIMIT: Consequence(0.0, Ending.LATCHES, AlarmCode.A02, ResetBy.THERAPIST, engineer_from_nth_in_24_h=2),
    Cause.OUTPUT_STUCK: Consequence(0.0, Ending.LATCHES, AlarmCode.A01, ResetBy.ENGINEER),
    Cause.ELECTRODE_OPEN: _electrode,
    Cause.ELECTRODE_SHORT: _electrode,
    Cause.ELECTRODE_DEGRADED: _electrode,
    Cause.SENSOR_FROZEN: _engineer,
    Cause.OVER_TEMPERATURE: _engineer,
    Cause.SELF_TEST_FAILED: _engineer,
    # The stimulator's own watchdog ended output while the agent was held up: already zero, nothing is broken.
    Cause.WATCHDOG_TRIPPED: Consequence(0.0, Ending.LATCHES, AlarmCode.A04, ResetBy.THERAPIST),
    Cause.REBOOT: Consequence(0.0, Ending.LATCHES, AlarmCode.A04, ResetBy.THERAPIST),
}
