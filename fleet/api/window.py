"""The newest samples of every device, as they came over the feed, bounded in time and in number.

Packed: a device in a session brings 2 a second, and 40 minutes of 200 devices must fit into a small process.
"""

import struct
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isnan, nan

from broker.contract.messages import LIVE_PHASES, Phase, Telemetry
from fleet.core.presence import STALE_AFTER_S

SAMPLES_A_MINUTE_MAX = 150  # a live device sends 120; what comes faster shortens what is kept
GAP_LIVE_S = 1.6  # three samples of a live device that did not come
_PHASES = tuple(Phase)
_ROW = struct.Struct("<dB16s??7d")
_NO_SESSION = bytes(16)


@dataclass(frozen=True, slots=True)
class Point:
    """One sample as it is shown. `at_s` is Unix time: the device's own for a late one, else when it was received."""

    at_s: float
    phase: Phase
    session_id: str | None
    late: bool
    after_gap: bool  # the feed lost samples before it
    setting_ma: float
    amplitude_ma: float | None
    impedance_ohm: float | None
    lease_margin_s: float | None
    battery_pct: float | None
    temperature_c: float | None
    elapsed_s: float


def point_of(sample: Telemetry, wall_s: float, *, after_gap: bool = False) -> Point:
    """What is shown of a sample that was received at `wall_s`."""
    return Point(
        _taken_at_s(sample, wall_s) if sample.late else wall_s,
        sample.phase,
        sample.session_id,
        sample.late,
        after_gap,
        sample.setting_ma,
        sample.amplitude_ma,
        sample.impedance_ohm,
        sample.lease_margin_s,
        sample.battery_pct,
        sample.temperature_c,
        sample.elapsed_s,
    )


def _taken_at_s(sample: Telemetry, wall_s: float) -> float:
    try:
        return datetime.fromisoformat(sample.at).timestamp()
    except ValueError:  # the wire's pattern lets the 31st of February pass
        return wall_s


@dataclass(slots=True)
class Window:
    """`minutes` of samples for each device. `lost` counts what the feed could not bring."""

    minutes: int
    lost: int = 0
    _rows: dict[str, deque[bytes]] = field(default_factory=dict)
    _gap_before: set[str] = field(default_factory=set)

    def take(self, device: str, sample: Telemetry, wall_s: float) -> Point:
        """Keep a sample; what it is shown as."""
        rows = self._rows.get(device)
        if rows is None:
            rows = self._rows[device] = deque(maxlen=self.minutes * SAMPLES_A_MINUTE_MAX)
        point = point_of(sample, wall_s, after_gap=device in self._gap_before)
        self._gap_before.discard(device)
        rows.append(_packed(point))
        oldest_s = wall_s - self.minutes * 60.0
        while rows and _unpacked(rows[0]).at_s < oldest_s:
            rows.popleft()
        return point

    def interrupted(self, samples: int = 0) -> None:
        """Nothing is known of what came until now: the feed was away, or lost so many samples of nobody knows whom."""
        self.lost += samples
        self._gap_before.update(self._rows)

    def since_s(self, device: str) -> float | None:
        """When the oldest kept sample of a device was taken; None without one."""
        rows = self._rows.get(device)
        return _unpacked(rows[0]).at_s if rows else None

    def between(self, device: str, from_s: float, to_s: float) -> list[Point]:
        """The samples of a device from `from_s` up to `to_s` (Unix time), oldest first, late ones where they belong."""
        points = sorted((_unpacked(row) for row in self._rows.get(device, ())), key=lambda point: point.at_s)
        first = bisect_left(points, from_s, key=lambda point: point.at_s)
        return [point for point in points[first:] if point.at_s <= to_s]


def gaps_of(points: Iterable[Point]) -> Iterator[tuple[float, float]]:
    """From when to when nothing is known of a device, between samples that are in order. Unix time."""
    before: Point | None = None
    for point in points:
        if before is not None:
            usual_s = GAP_LIVE_S if before.phase in LIVE_PHASES else STALE_AFTER_S
            if point.after_gap or point.at_s - before.at_s > usual_s:
                yield before.at_s, point.at_s
        before = point


def wall_words(wall_s: float) -> str:
    """Unix time as the contract writes it: UTC, to the millisecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _packed(point: Point) -> bytes:
    numbers = (
        point.setting_ma,
        point.amplitude_ma,
        point.impedance_ohm,
        point.lease_margin_s,
        point.battery_pct,
        point.temperature_c,
        point.elapsed_s,
    )
    session = _NO_SESSION if point.session_id is None else bytes.fromhex(point.session_id)
    floats = (nan if number is None else number for number in numbers)
    return _ROW.pack(point.at_s, _PHASES.index(point.phase), session, point.late, point.after_gap, *floats)


def _unpacked(row: bytes) -> Point:
    at_s, phase, session, late, after_gap, setting, *readings, elapsed = _ROW.unpack(row)
    amplitude, impedance, margin, battery, temperature = (None if isnan(number) else number for number in readings)
    return Point(
        at_s,
        _PHASES[phase],
        None if session == _NO_SESSION else session.hex(),
        late,
        after_gap,
        setting,
        amplitude,
        impedance,
        margin,
        battery,
        temperature,
        elapsed,
    )
