"""The two clocks. Boot time decides, the wall clock is for people; both are injected."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clocks:
    """`boottime_s`: CLOCK_BOOTTIME in seconds, it counts through suspend. `wall_s`: Unix time in seconds."""

    boottime_s: Callable[[], float]
    wall_s: Callable[[], float]

    def wall_time_of(self, boottime_s: float) -> str:
        """When a boot time was, as people and the wire write it, by the wall clock as it stands now."""
        return wall_time(self.wall_s() - (self.boottime_s() - boottime_s))


def wall_time(wall_s: float) -> str:
    """Unix time as the contract writes it.

    >>> wall_time(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
