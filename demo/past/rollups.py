"""The history of the past: summaries of minutes without the rows that they would be made of.

Between two moments at which a device of the past shows itself it would have sent its samples all the while, each about
like the last. They are summed up as that, at most a quarter of an hour at a time, under the minute in which it ends.
What a silent device did not send is missing here as it would be there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from broker.contract.messages import Phase, Telemetry
from broker.contract.plan import Plan
from fleet.adapters.history.port import QUANTITIES

PIECE_S: Final = 900.0
ROWS_AT_ONCE: Final = 20_000

Keep = Callable[[Sequence[tuple[Any, ...]]], None]  # `history.months.Months.keep`
Reading = tuple[int, int | None, int | None, int | None]  # how many; sum, least and most in thousandths
_NONE: Final[Reading] = (0, None, None, None)


@dataclass(slots=True)
class _Summary:
    first_seq: int
    last_seq: int
    count: int
    readings: list[Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the sample before to this one; `since_seq` is that of the sample before."""

    device: str
    since_wall_s: float
    wall_s: float
    since_seq: int
    before: Telemetry
    sample: Telemetry
    plan: Plan | None


@dataclass(slots=True)
class PastRollups:
    """Collects summaries and hands them on."""

    keep: Keep
    _waiting: dict[tuple[str, int, int], _Summary] = field(default_factory=dict)

    def first(self, device: str, wall_s: float, sample: Telemetry) -> None:
        """A sample after a start or a silence: it is one, and what lies before it is not there."""
        self._add(device, wall_s, sample, sample.seq, 1, _readings(sample, sample, None, 1))

    def between(self, span: Span) -> None:
        """All samples since the one before."""
        sent = span.sample.seq - span.since_seq
        pieces = min(sent, int((span.wall_s - span.since_wall_s) // PIECE_S) + 1)
        for n in range(1, pieces + 1):
            last = span.since_seq + sent * n // pieces
            first = span.since_seq + sent * (n - 1) // pieces + 1
            at_s = span.since_wall_s + (span.wall_s - span.since_wall_s) * n / pieces
            readings = _readings(span.before, span.sample, span.plan, last - first + 1)
            self._add(span.device, at_s, span.sample, first, last - first + 1, readings)

    def flush(self) -> None:
        """Hand on what waits."""
        self.keep(
            [
                (*key, one.first_seq, one.last_seq, one.count, 0, *chain.from_iterable(one.readings))
                for key, one in sorted(self._waiting.items())
            ]
        )
        self._waiting.clear()

    def _add(
        self, device: str, at_s: float, sample: Telemetry, first_seq: int, count: int, readings: list[Reading]
    ) -> None:
        minute, last_seq = int(at_s // 60.0), first_seq + count - 1
        known = self._waiting.get((device, minute, sample.boot_n))
        if known is None:
            if len(self._waiting) >= ROWS_AT_ONCE and minute > max(key[1] for key in self._waiting):
                self.flush()
            self._waiting[device, minute, sample.boot_n] = _Summary(first_seq, last_seq, count, readings)
            return
        known.last_seq, known.count = last_seq, known.count + count
        known.readings = [_together(one, other) for one, other in zip(known.readings, readings, strict=True)]


def _together(one: Reading, other: Reading) -> Reading:
    if not one[0] or not other[0]:
        return one if one[0] else other
    assert one[1] is not None
    assert one[2] is not None
    assert one[3] is not None
    assert other[1] is not None
    assert other[2] is not None
    assert other[3] is not None
    return one[0] + other[0], one[1] + other[1], min(one[2], other[2]), max(one[3], other[3])


def _readings(before: Telemetry, sample: Telemetry, plan: Plan | None, count: int) -> list[Reading]:
    """Each quantity from what it was to what it is; the amplitude comes and goes with the cycle."""
    found: list[Reading] = []
    for name in QUANTITIES:
        now: float | None = getattr(sample, name)
        if now is None:
            found.append(_NONE)
            continue
        then: float | None = getattr(before, name)
        least, most = (now, now) if then is None else (min(now, then), max(now, then))
        mean = (least + most) / 2.0
        if name == "amplitude_ma" and plan is not None and sample.phase is Phase.RUNNING:
            least, mean = 0.0, sample.setting_ma * _duty(plan)
        found.append((count, _e3(mean) * count, _e3(least), _e3(most)))
    return found


def _e3(value: float) -> int:
    return round(1000 * value)


def _duty(plan: Plan) -> float:
    """Mean strength over a cycle, as a share of the setting."""
    cycle_s = plan.ramp_up_s + plan.on_s + plan.ramp_down_s + plan.off_s
    return (plan.ramp_up_s / 2.0 + plan.on_s + plan.ramp_down_s / 2.0) / cycle_s
