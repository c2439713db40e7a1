"""Whatever comes, in whatever order: rollups are what the rows say, to the last digit, and names stay names."""

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.contract.messages import Phase
from fleet.adapters.history.lines import FIELDS, point, session_minute
from fleet.adapters.history.port import (
    QUANTITIES,
    Gap,
    NoSuchName,
    Resolution,
    Sample,
    device_name,
    gaps_between,
    session_name,
)
from fleet.adapters.history.seen import Seen
from tests.adapters.history.shelf import BERLIN, Shelf, late, sample

# The hours around the end of summer time, and of a month of UTC: 2026-10-31 is the next one; a day each.
BEGINNINGS = [datetime(2026, 10, 24, 21, 30, tzinfo=UTC), datetime(2026, 10, 31, 22, 50, tzinfo=UTC)]
READING = st.none() | st.integers(-2_000, 300_000).map(lambda thousandths: thousandths / 1000)


@st.composite
def clinics(draw: st.DrawFn) -> list[list[Sample]]:
    """Batches of one device: boots one after the other, gaps, late samples, doubles, all of it shuffled."""
    at_s = draw(st.sampled_from(BEGINNINGS)).timestamp()
    samples = []
    for boot_n in range(1, draw(st.integers(1, 3)) + 1):
        seq = draw(st.integers(0, 2**48))
        for _ in range(draw(st.integers(1, 25))):
            at_s = round(at_s + draw(st.sampled_from([0.05, 0.5, 5.0, 61.0, 1_900.0])), 3)
            seq += draw(st.sampled_from([1, 1, 1, 2, 7]))
            readings = {name: draw(READING) for name in QUANTITIES[1:]}
            one = sample("stim-1", seq, at_s, boot_n=boot_n, setting_ma=draw(st.integers(0, 40_000)) / 1000, **readings)
            samples.append(late(one, 3_000.0) if draw(st.integers(0, 5)) == 0 else one)
    doubled = [*samples, *draw(st.lists(st.sampled_from(samples), max_size=5))]
    shuffled = draw(st.permutations(doubled))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    return [shuffled[a:b] for a, b in pairwise([0, *cuts, len(shuffled)])]


@cache
def span_by_hand(begin_s: float, by: Resolution) -> tuple[float, float]:
    """The clinic's hour or day of a minute: found by walking from minute to minute for as long as the calendar says the
    same.
    """

    def name(of_s: float) -> Any:
        local = datetime.fromtimestamp(of_s, UTC).astimezone(BERLIN)
        if by is Resolution.DAY:
            return local.date()
        # The second 2 o'clock of a day is another hour than the first one.
        return (local.date(), local.hour, local.utcoffset()) if by is Resolution.HOUR else (local.date(), of_s // 60)

    its, end_s = name(begin_s), begin_s + 60.0
    while by is not Resolution.MINUTE and name(begin_s - 60.0) == its:
        begin_s -= 60.0
    while by is not Resolution.MINUTE and name(end_s) == its:
        end_s += 60.0
    return begin_s, end_s


def by_hand(samples: Iterable[Sample], by: Resolution) -> list[tuple[Any, ...]]:
    """Rollups computed from the rows with exact fractions."""
    kept = sorted({(one.boot_n, one.seq): one for one in samples}.values(), key=lambda one: (one.boot_n, one.seq))
    missing: dict[tuple[float, float], int] = defaultdict(int)
    rows: dict[tuple[float, float], list[Sample]] = defaultdict(list)
    for before, one in pairwise([None, *kept]):
        assert one is not None
        assert one.at_s is not None
        span = span_by_hand(math.floor(one.at_s / 60) * 60.0, by)
        rows[span].append(one)
        if before is not None and before.boot_n == one.boot_n:
            missing[span] += one.seq - before.seq - 1
    found = []
    for span, ones in sorted(rows.items()):
        spreads = {}
        for name in QUANTITIES:
            read = [getattr(one, name) for one in ones if getattr(one, name) is not None]
            if read:
                exact = sum(Fraction(round(value * 1000), 1000) for value in read)
                spreads[name] = (min(read), float(exact / len(read)), max(read), len(read))
        found.append((*span, len(ones), sum(one.late for one in ones), missing[span], spreads))
    return found


async def rolled_up(shelf: Shelf, batches: list[list[Sample]], *, upkeep: bool) -> None:
    device = shelf.device()
    named = [[replace(one, device=device) for one in batch] for batch in batches]
    everything = [one for batch in batches for one in batch]
    times = [one.time_s for one in everything]
    shelf.now_s = max(times) + 7_200.0
    async with shelf.open() as store, shelf.reading() as reader:
        for batch in named:
            if batch:
                await store.write(batch)
            if upkeep and shelf.where is None:
                await store.upkeep()  # type: ignore[attr-defined] # the embedded store's: what is summed up is read so
        await store.flush()
        for by in Resolution:
            found = [
                (
                    *(one.begin_s, one.end_s, one.count, one.late, one.missing),
                    {
                        name: (spread.least, spread.mean, spread.most, spread.count)
                        for name, spread in one.spreads.items()
                    },
                )
                for one in await reader.rollups(device, min(times), max(times) + 0.001, by)
            ]
            assert found == by_hand(everything, by), by


@given(batches=clinics(), upkeep=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rollups_are_what_the_rows_say_to_the_last_digit(
    shelf: Shelf, batches: list[list[Sample]], upkeep: bool
) -> None:
    """Summed up at any time between, before late samples come or after: there is only one right answer."""
    place = replace(shelf, run_id=Shelf(shelf.folder).run_id)
    asyncio.run(rolled_up(place, batches, upkeep=upkeep))


@given(batches=clinics())
@settings(max_examples=100, deadline=None)
def test_gaps_are_what_is_not_there(batches: list[list[Sample]]) -> None:
    rows = list({(one.boot_n, one.seq): one for batch in batches for one in batch}.values())
    found = gaps_between([one.boot_n for one in rows], [one.seq for one in rows], [one.time_s for one in rows])
    there = {(one.boot_n, one.seq): one.time_s for one in rows}
    ranges = {
        boot_n: (min(seq for b, seq in there if b == boot_n), max(seq for b, seq in there if b == boot_n))
        for boot_n, _ in there
    }
    expected = sum(last - first + 1 for first, last in ranges.values()) - len(there)
    assert sum(gap.missing for gap in found) == expected
    for gap in found:
        before, after = (gap.boot_n, gap.first_seq - 1), (gap.boot_n, gap.first_seq + gap.missing)
        assert (there[before], there[after]) == (gap.from_s, gap.to_s)
        assert not any((gap.boot_n, seq) in there for seq in range(gap.first_seq, gap.first_seq + gap.missing))
    assert [gap.from_s for gap in found] == sorted(gap.from_s for gap in found)


def test_a_gap_of_a_clock_that_was_set_back_has_no_negative_length() -> None:
    assert gaps_between([1, 1], [5, 9], [100.0, 40.0]) == (Gap(1, 6, 3, 40.0, 100.0),)


@given(added=st.lists(st.integers(0, 60), max_size=60), asked=st.integers(0, 60))
def test_what_was_seen_is_known(added: list[int], asked: int) -> None:
    seen = Seen()
    for seq in added:
        seen.add("stim-1", 1, seq)
    assert seen.has("stim-1", 1, asked) == (asked in added)
    assert not seen.has("stim-1", 2, asked)
    assert not seen.has("stim-2", 1, asked)


# A line by the rules of its description, read by nothing of ours: measurement,tags fields time.
LINE = re.compile(r"(\w+),device=([a-z0-9-]+)(?:,boot_n=(\d+))? ([^ ]+) (\d+)")
ANY_TEXT = st.text(max_size=40) | st.from_regex(r"[a-z0-9,= \\\"'\n;-]{1,40}", fullmatch=True)


@given(name=ANY_TEXT, session=ANY_TEXT)
def test_no_text_becomes_line_protocol(name: str, session: str) -> None:
    """A line with hostile names is either not made at all, or it is one line that says what it should."""
    one = sample(name, 7, 1_795_608_000.5, session_id=session)
    try:
        lines = [point(one), session_minute(one)]
    except NoSuchName:
        assert not (re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name) and re.fullmatch(r"[0-9a-f]{32}", session))
        return
    for line in lines:
        assert line is not None
        found = LINE.fullmatch(line)
        assert found is not None
        assert found[2] == name
        assert f'session_id="{session}"' in found[4].split(",")


@given(text=ANY_TEXT)
def test_only_names_of_the_wire_pass(text: str) -> None:
    for check, pattern in ((device_name, r"[a-z0-9][a-z0-9-]{0,31}"), (session_name, r"[0-9a-f]{32}")):
        if re.fullmatch(pattern, text):
            assert check(text) == text
        else:
            with pytest.raises(NoSuchName):
                check(text)


def test_a_sample_is_this_line() -> None:
    """Its time in nanoseconds ends in the sequence number: the same sample is the same point, another one never is."""
    one = sample("stim-1", 12_345_678, 1_795_608_000.5, amplitude_ma=None, phase=Phase.PAUSED)
    assert point(one) == (
        'sample,device=stim-1,boot_n=3 seq=12345678i,phase="paused",late=0i,at_s=1795608000.5,wall_s=1795608000.58,'
        "received_s=100000.5,elapsed_s=12.5,setting_ma=20.0,pulse_width_us=300.0,frequency_hz=35.0,"
        'impedance_ohm=812.25,battery_pct=88.0,temperature_c=31.1,lease_margin_s=4.317,session_id="'
        + "ab" * 16
        + '" 1795608000500345678'
    )
    begins_ns = 1_795_608_000 * 10**9
    said = f'session_minute,device=stim-1 session_id="{"ab" * 16}" {begins_ns + 0xABABABAB}'
    assert session_minute(one) == said
    assert 0xFFFFFFFF < 60 * 10**9, "whatever the id, it stays in its minute"
    assert set(FIELDS) >= {"seq", "phase", "late", "session_id", *QUANTITIES}
