"""Rollups out of summaries, without any store: pure, and exact, because sums are of whole thousandths.

A summary is what a store knows of one boot's samples in a minute or a quarter of an hour. Every time zone's hours and
days are made of quarters, so no store has to know the zone, and a clinic that moves to another one loses nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from fleet.adapters.history.port import QUANTITIES, ROLLUPS_MAX, Resolution, Rollup, Spread, TooManySamples

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS
LOOK_BACK_MS = 24 * HOUR_MS
"""How far before the time that was asked for a gap may have begun that is counted in it."""

GROUP_MS = {Resolution.MINUTE: MINUTE_MS, Resolution.HOUR: QUARTER_MS, Resolution.DAY: QUARTER_MS}
_USUAL_MS = {Resolution.MINUTE: MINUTE_MS, Resolution.HOUR: HOUR_MS, Resolution.DAY: 24 * HOUR_MS}
Readings = tuple[int, int | None, int | None, int | None]
"""Of one quantity: how many, their sum, the least and the most, in thousandths; None where there are none."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The samples of one boot in one group of time. `readings` in the order of `QUANTITIES`."""

    begin_ms: int
    boot_n: int
    first_seq: int
    last_seq: int
    count: int
    late: int
    readings: tuple[Readings, ...]


Span = tuple[int, int]
"""Begin and end, in milliseconds of Unix time; the end is left out."""


def span_of(time_ms: int, by: Resolution, zone: ZoneInfo) -> Span:
    """The minute, hour or day of the clinic that a moment lies in."""
    if by is Resolution.MINUTE:
        begin_ms = time_ms - time_ms % MINUTE_MS
        return begin_ms, begin_ms + MINUTE_MS
    day = datetime.fromtimestamp(time_ms / 1000, zone).date()
    begin_ms, end_ms = midnight_ms(day, zone), midnight_ms(day + timedelta(days=1), zone)
    if by is Resolution.DAY:
        return begin_ms, end_ms
    begin_ms += (time_ms - begin_ms) // HOUR_MS * HOUR_MS
    return begin_ms, min(begin_ms + HOUR_MS, end_ms)


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """When a day begins; where the clocks skip midnight, that is the moment in which they do."""
    return round(datetime.combine(day, time(), zone).astimezone(UTC).timestamp() * 1000)


def whole_spans(from_s: float, to_s: float, by: Resolution, zone: ZoneInfo) -> Span:
    """From the beginning of the first span that is touched to the end of the last one; empty where nothing is.

    Raises:
        TooManySamples: there would be more rollups than one answer may have.
    """
    from_ms, to_ms = round(from_s * 1000), round(to_s * 1000)
    if to_ms <= from_ms:
        return from_ms, from_ms
    if (to_ms - from_ms) // _USUAL_MS[by] > ROLLUPS_MAX:
        raise TooManySamples(f"That would be more than {ROLLUPS_MAX} rollups: ask for less, or for longer ones.")
    return span_of(from_ms, by, zone)[0], span_of(to_ms - 1, by, zone)[1]


@dataclass(slots=True)
class _Open:
    """A rollup that is being added up."""

    span: Span
    count: int = 0
    late: int = 0
    missing: int = 0
    sums: list[list[int]] = field(default_factory=lambda: [[] for _ in QUANTITIES])

    def add(self, one: Summary, missing: int) -> None:
        self.count += one.count
        self.late += one.late
        self.missing += missing
        for into, (count, total, least, most) in zip(self.sums, one.readings, strict=True):
            if not count:
                continue
            assert total is not None
            assert least is not None
            assert most is not None
            if into:
                into[:] = into[0] + count, into[1] + total, min(into[2], least), max(into[3], most)
            else:
                into[:] = count, total, least, most

    def closed(self) -> Rollup:
        spreads = {
            # Dividing whole numbers, Python rounds the exact quotient once.
            name: Spread(least / 1000, total / (1000 * count), most / 1000, count)
            for name, (count, total, least, most) in zip(
                (name for name, found in zip(QUANTITIES, self.sums, strict=True) if found),
                (found for found in self.sums if found),
                strict=True,
            )
        }
        begin_ms, end_ms = self.span
        return Rollup(begin_ms / 1000, end_ms / 1000, self.count, self.late, self.missing, spreads)


def rollups(summaries: Iterable[Summary], asked: Span, by: Resolution, zone: ZoneInfo) -> Iterator[Rollup]:
    """Rollups of the spans that begin in `asked`; summaries come in order of time and may begin before it."""
    last_seq: dict[int, int] = {}
    now: _Open | None = None
    for one in summaries:
        missing = one.last_seq - one.first_seq + 1 - one.count
        if one.boot_n in last_seq:
            missing += max(0, one.first_seq - last_seq[one.boot_n] - 1)
        last_seq[one.boot_n] = max(one.last_seq, last_seq.get(one.boot_n, 0))
        if not asked[0] <= one.begin_ms < asked[1]:
            continue
        if now is None or one.begin_ms >= now.span[1]:
            if now is not None:
                yield now.closed()
            now = _Open(span_of(one.begin_ms, by, zone))
        now.add(one, max(0, missing))
    if now is not None:
        yield now.closed()
