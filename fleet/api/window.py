"""The newest samples of every device, as they came over the feed, bounded in time and in number.

Packed: a device in a session brings 2 a second, and 40 minutes of 200 devices must fit into a small process. What a
point's time is, what identifies it and what a gap is are the history's (`fleet.adapters.history.port`), so that what is
in memory and what is in the store fit together.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, isnan, nan

from broker.contract.messages import LIVE_PHASES, Phase, Telemetry
from fleet.adapters.history.port import Trace, gaps_between, sample_of
from fleet.core.presence import STALE_AFTER_S

SAMPLES_A_MINUTE_MAX = 150  # a live device sends 120; what comes faster shortens what is kept
_PHASES = tuple(Phase)
_ROW = struct.Struct("<ddQQB16s?7d")
_NO_SESSION = bytes(16)


@dataclass(frozen=True, slots=True)
class Point:
    """One sample as it is shown. `at_s` is when it was taken, Unix time."""

    at_s: float
    boot_n: int
    seq: int
    phase: Phase
    session_id: str | None
    late: bool
    setting_ma: float
    amplitude_ma: float | None
    impedance_ohm: float | None
    lease_margin_s: float | None
    battery_pct: float | None
    temperature_c: float | None
    elapsed_s: float


def point_of(sample: Telemetry, received_s: float, wall_s: float) -> Point:
    """What is shown of a sample that was received at `wall_s`."""
    return Point(
        sample_of("", sample, received_s, wall_s).time_s,
        sample.boot_n,
        sample.seq,
        sample.phase,
        sample.session_id,
        sample.late,
        sample.setting_ma,
        sample.amplitude_ma,
        sample.impedance_ohm,
        sample.lease_margin_s,
        sample.battery_pct,
        sample.temperature_c,
        sample.elapsed_s,
    )


def points_of(trace: Trace) -> Iterator[Point]:
    """What the history has."""
    for sample in trace.samples():
        yield Point(
            sample.time_s,
            sample.boot_n,
            sample.seq,
            sample.phase,
            sample.session_id,
            sample.late,
            sample.setting_ma,
            sample.amplitude_ma,
            sample.impedance_ohm,
            sample.lease_margin_s,
            sample.battery_pct,
            sample.temperature_c,
            sample.elapsed_s,
        )


@dataclass(slots=True)
class Window:
    """`minutes` of samples for each device. `lost` counts what the feed could not bring."""

    minutes: int
    lost: int = 0
    _rows: dict[str, deque[bytes]] = field(default_factory=dict)

    def take(self, device: str, sample: Telemetry, received_s: float, wall_s: float) -> Point:
        """Keep a sample; what it is shown as."""
        rows = self._rows.get(device)
        if rows is None:
            rows = self._rows[device] = deque(maxlen=self.minutes * SAMPLES_A_MINUTE_MAX)
        point = point_of(sample, received_s, wall_s)
        rows.append(_packed(point, wall_s))
        oldest_s = wall_s - self.minutes * 60.0
        while _received_s(rows[0]) < oldest_s:
            rows.popleft()
        return point

    def since_s(self, device: str) -> float | None:
        """When the oldest kept sample of a device was received: all that came since is here. One that came late was
        taken long before. None without one.
        """
        rows = self._rows.get(device)
        return _received_s(rows[0]) if rows else None

    def rows(self, device: str) -> tuple[bytes, ...]:
        """What is kept of a device, to be read by `unpacked`, in another thread if need be."""
        return tuple(self._rows.get(device, ()))


def unpacked(rows: Iterable[bytes], from_s: float = -inf, to_s: float = inf) -> Iterator[Point]:
    """The samples that were taken from `from_s` to `to_s` (Unix time), as they came."""
    return (_unpacked(row) for row in rows if from_s <= _at_s(row) <= to_s)


def in_order(*points: Iterable[Point]) -> list[Point]:
    """By when they were taken, each once: memory and store have some in common."""
    once = {(point.boot_n, point.seq): point for some in points for point in some}
    return sorted(once.values(), key=lambda point: (point.at_s, point.boot_n, point.seq))


def gaps_of(points: Sequence[Point]) -> list[tuple[float, float]]:
    """From when to when nothing is known of a device, of points in order: samples that never came, and the time
    between two boots.
    """
    missing = gaps_between(
        [point.boot_n for point in points], [point.seq for point in points], [point.at_s for point in points]
    )
    gaps = [(gap.from_s, gap.to_s) for gap in missing]
    for before, after in pairwise(points):
        usual_s = 1.0 if before.phase in LIVE_PHASES else STALE_AFTER_S
        if after.boot_n != before.boot_n and after.at_s - before.at_s > usual_s:
            gaps.append((before.at_s, after.at_s))
    return sorted(gaps)


def wall_words(wall_s: float) -> str:
    """Unix time as the contract writes it: UTC, to the millisecond."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _received_s(row: bytes) -> float:
    received_s: float = _ROW.unpack(row)[0]
    return received_s


def _at_s(row: bytes) -> float:
    at_s: float = _ROW.unpack(row)[1]
    return at_s


def _packed(point: Point, received_s: float) -> bytes:
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
    phase = _PHASES.index(point.phase)
    return _ROW.pack(received_s, point.at_s, point.boot_n, point.seq, phase, session, point.late, *floats)


def _unpacked(row: bytes) -> Point:
    _, at_s, boot_n, seq, phase, session, late, setting, *readings, elapsed = _ROW.unpack(row)
    amplitude, impedance, margin, battery, temperature = (None if isnan(number) else number for number in readings)
    return Point(
        at_s,
        boot_n,
        seq,
        _PHASES[phase],
        None if session == _NO_SESSION else session.hex(),
        late,
        setting,
        amplitude,
        impedance,
        margin,
        battery,
        temperature,
        elapsed,
    )
