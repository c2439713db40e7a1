"""What every store does: one suite, run on the embedded one, on InfluxDB 1.6, and on InfluxDB 2 where there is one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.contract.messages import Phase
from fleet.adapters.history.port import (
    COLUMNS,
    Gap,
    NoSuchName,
    Resolution,
    Sample,
    Spread,
    TooManySamples,
)
from tests.adapters.history.shelf import NOON_S, Shelf, late, sample


def unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


async def test_what_was_written_comes_back_reading_for_reading(shelf: Shelf) -> None:
    device = shelf.device()
    written = [
        sample(device, 2**53 - 2, NOON_S, phase=Phase.ARMED, setting_ma=0.0, amplitude_ma=0.0),
        sample(device, 2**53 - 1, NOON_S + 0.5),
        # What the device could not read is not there; it is not zero.
        sample(
            device,
            1,
            NOON_S + 60.0,
            boot_n=4,
            session_id=None,
            phase=Phase.FAULT,
            amplitude_ma=None,
            impedance_ohm=None,
            battery_pct=None,
            temperature_c=None,
            lease_margin_s=None,
        ),
        sample(device, 2, NOON_S + 65.0, boot_n=4, session_id=None, phase=Phase.IDLE, temperature_c=-12.5, late=True),
    ]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(written)
        await store.flush()
        trace = await reader.samples(device, NOON_S, NOON_S + 65.001)
    assert trace.device == device
    assert list(trace.columns) == list(COLUMNS)
    assert list(trace.samples()) == written
    assert trace.columns["time_s"] == (NOON_S, NOON_S + 0.5, NOON_S + 60.0, NOON_S + 65.0)
    assert trace.gaps == ()


async def test_readings_are_kept_to_the_thousandth(shelf: Shelf) -> None:
    device = shelf.device()
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, 1, NOON_S, amplitude_ma=17.123_456_789, lease_margin_s=-0.000_4)])
        await store.flush()
        (kept,) = (await reader.samples(device, NOON_S, NOON_S + 1.0)).samples()
    assert kept.amplitude_ma == 17.123
    assert kept.lease_margin_s == 0.0


async def test_the_time_asked_for_begins_with_its_first_moment_and_leaves_out_its_last(shelf: Shelf) -> None:
    device, other = shelf.device(1), shelf.device(2)
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, n, NOON_S + n) for n in range(10)])
        await store.write([sample(other, n, NOON_S + n) for n in range(10)])
        await store.flush()
        found = await reader.samples(device, NOON_S + 3.0, NOON_S + 6.0)
        nothing = await reader.samples(device, NOON_S + 6.0, NOON_S + 6.0)
        unheard = await reader.samples(shelf.device(3), NOON_S, NOON_S + 9.0)
    assert found.columns["seq"] == (3, 4, 5)
    assert len(nothing) == len(unheard) == 0
    assert list(unheard.columns) == list(COLUMNS)


async def test_a_sample_is_kept_once_however_often_it_comes(shelf: Shelf) -> None:
    device = shelf.device()
    samples = [sample(device, n, NOON_S + n / 2) for n in range(20)]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(samples)
        await store.write(samples[5:15])
        # Sent again when the link was back; the device's clock was set by 3 ms meanwhile.
        await store.write([late(replace(one, at_s=round(one.at_s + 0.003, 3)), 40.0) for one in samples if one.at_s])
        await store.flush()
        trace = await reader.samples(device, NOON_S - 60.0, NOON_S + 60.0)
        (rollup,) = await reader.rollups(device, NOON_S, NOON_S + 60.0, Resolution.MINUTE)
        status = store.status()
    assert list(trace.samples()) == samples
    assert (rollup.count, rollup.missing) == (20, 0)
    assert (status.taken, status.written, status.doubles) == (50, 20, 30)


async def test_what_is_missing_is_a_gap_until_it_comes_late(shelf: Shelf) -> None:
    device = shelf.device()
    samples = [sample(device, 100 + n, NOON_S + n / 2) for n in range(20)]
    came, lost = [*samples[:5], *samples[8:15], *samples[16:]], [*samples[5:8], samples[15]]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(came)
        await store.flush()
        before = await reader.samples(device, NOON_S, NOON_S + 60.0)
        (counted,) = await reader.rollups(device, NOON_S, NOON_S + 60.0, Resolution.DAY)
        await store.write([late(one, 30.0) for one in reversed(lost)])
        await store.flush()
        after = await reader.samples(device, NOON_S, NOON_S + 60.0)
        (filled,) = await reader.rollups(device, NOON_S, NOON_S + 60.0, Resolution.DAY)
    assert before.gaps == (Gap(3, 105, 3, NOON_S + 2.0, NOON_S + 4.0), Gap(3, 115, 1, NOON_S + 7.0, NOON_S + 8.0))
    assert before.columns["seq"] == tuple(one.seq for one in came), "nothing is made up"
    assert (counted.count, counted.late, counted.missing) == (16, 0, 4)
    assert after.gaps == ()
    assert after.columns["seq"] == tuple(one.seq for one in samples), "in its place"
    assert [one.late for one in after.samples()] == [one in lost for one in samples]
    assert (filled.count, filled.late, filled.missing) == (20, 4, 0)


async def test_a_boot_is_no_gap(shelf: Shelf) -> None:
    device = shelf.device()
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, 70_000, NOON_S), sample(device, 5, NOON_S + 1.0, boot_n=4)])
        await store.flush()
        trace = await reader.samples(device, NOON_S, NOON_S + 2.0)
        (rollup,) = await reader.rollups(device, NOON_S, NOON_S + 2.0, Resolution.MINUTE)
    assert trace.gaps == ()
    assert rollup.missing == 0


async def test_a_gap_is_counted_where_it_ends_also_after_midnight(shelf: Shelf) -> None:
    """Of UTC, where the embedded store begins another file, and of the clinic, where a day begins."""
    device = shelf.device()
    for midnight_s in (unix("2026-11-24T00:00:00"), unix("2026-11-24T23:00:00")):
        boot_n = int(midnight_s) // 3600
        around = [(1, -2.0), (2, -1.5), (7, 1.0), (8, 1.5)]
        async with shelf.open() as store, shelf.reading() as reader:
            await store.write([sample(device, seq, midnight_s + at_s, boot_n=boot_n) for seq, at_s in around])
            await store.flush()
            trace = await reader.samples(device, midnight_s - 60.0, midnight_s + 60.0)
            minutes = await reader.rollups(device, midnight_s - 60.0, midnight_s + 60.0, Resolution.MINUTE)
            only_after = await reader.rollups(device, midnight_s, midnight_s + 60.0, Resolution.MINUTE)
        assert trace.gaps == (Gap(boot_n, 3, 4, midnight_s - 1.5, midnight_s + 1.0),)
        assert [(one.begin_s, one.count, one.missing) for one in minutes] == [
            (midnight_s - 60.0, 2, 0),
            (midnight_s, 2, 4),
        ]
        assert only_after == minutes[1:]


async def test_a_session_is_traced_through_midnight_and_without_its_neighbours(shelf: Shelf) -> None:
    device, other = shelf.device(1), shelf.device(2)
    midnight_s = unix("2026-11-25T00:00:00")
    session = "0123456789abcdef" * 2
    own = [sample(device, n, midnight_s - 600.0 + 10.0 * n, session_id=session) for n in range(120)]
    before = [sample(device, n, midnight_s - 610.0, boot_n=2) for n in range(3)]
    after = [sample(device, 120 + n, midnight_s + 600.0 + n, session_id=None) for n in range(3)]
    elsewhere = [sample(other, n, midnight_s, session_id=session) for n in range(3)]  # a device that lies
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([*before, *own[:50], *after, *elsewhere])
        await store.write(own[50:])
        await store.flush()
        trace = await reader.trace(device, session)
        unknown = await reader.trace(device, "f" * 32)
    assert list(trace.samples()) == own
    assert trace.gaps == ()
    assert len(unknown) == 0


@pytest.mark.parametrize(
    ("day", "hours", "began", "ended"),
    [
        ("2026-03-29", 23, "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("2026-10-25", 25, "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ("2026-11-25", 24, "2026-11-24T23:00:00", "2026-11-25T23:00:00"),
    ],
)
async def test_days_are_the_clinics_and_have_the_hours_that_they_have(
    shelf: Shelf, day: str, hours: int, began: str, ended: str
) -> None:
    """In Berlin; a sample every ten minutes, from an hour before the day until an hour after it."""
    device, begin_s, end_s = shelf.device(), unix(began), unix(ended)
    shelf.now_s = end_s + 7_200.0
    assert end_s - begin_s == hours * 3_600.0
    times = [begin_s - 3_600.0 + 600.0 * n for n in range(6 * (hours + 2))]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write([sample(device, n, at_s, battery_pct=n / 8) for n, at_s in enumerate(times)])
        await store.flush()
        noon_s = unix(f"{day}T12:00:00")
        (whole,) = await reader.rollups(device, noon_s, noon_s + 1.0, Resolution.DAY)
        each = await reader.rollups(device, begin_s, end_s, Resolution.HOUR)
    assert (whole.begin_s, whole.end_s, whole.count) == (begin_s, end_s, 6 * hours)
    assert [one.begin_s for one in each] == [begin_s + 3_600.0 * n for n in range(hours)]
    assert {one.end_s - one.begin_s for one in each} == {3_600.0}
    assert {one.count for one in each} == {6}
    first, last = 6 / 8, (6 * hours + 5) / 8
    assert whole.spreads["battery_pct"] == Spread(first, (first + last) / 2, last, 6 * hours)


async def test_a_month_by_days_is_one_answer(shelf: Shelf) -> None:
    """Longer than a store may be asked for at once; a gap in it counts where it ends."""
    device, begin_s = shelf.device(), unix("2026-10-31T23:00:00")
    shelf.now_s = begin_s + 31 * 86_400.0
    written = [sample(device, 10 * n, begin_s + 43_200.0 * n, temperature_c=n / 2) for n in range(60)]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(written)
        await store.flush()
        days = await reader.rollups(device, begin_s, begin_s + 30 * 86_400.0, Resolution.DAY)
    assert [one.begin_s for one in days] == [begin_s + 86_400.0 * n for n in range(30)]
    assert [one.count for one in days] == [2] * 30
    assert [one.missing for one in days] == [9] + [18] * 29
    assert [one.spreads["temperature_c"].mean for one in days] == [n + 0.25 for n in range(30)]


async def test_a_clock_that_cannot_be_right_is_not_believed(shelf: Shelf) -> None:
    """The sample lies where it came. One that was late may have been taken hours before, but not tomorrow."""
    device = shelf.device()
    cases: list[tuple[dict[str, Any], float]] = [
        ({"at_s": NOON_S - 59.0}, NOON_S - 59.0),
        ({"at_s": NOON_S - 61.0}, NOON_S),
        ({"at_s": 0.0}, NOON_S),
        ({"at_s": None}, NOON_S),
        ({"at_s": NOON_S - 7_200.0, "late": True}, NOON_S - 7_200.0),
        ({"at_s": NOON_S + 7_200.0, "late": True}, NOON_S),
    ]
    written = [replace(sample(device, n, NOON_S, wall_s=NOON_S), **changed) for n, (changed, _) in enumerate(cases)]
    async with shelf.open() as store, shelf.reading() as reader:
        await store.write(written)
        await store.flush()
        trace = await reader.samples(device, NOON_S - 86_400.0, NOON_S + 86_400.0)
    places = dict(zip(trace.columns["seq"], trace.columns["time_s"], strict=True))
    assert places == {n: place for n, (_, place) in enumerate(cases)}
    assert {one.seq: one.at_s for one in trace.samples()} == {n: one.at_s for n, one in enumerate(written)}


async def test_an_answer_is_bounded(shelf: Shelf) -> None:
    device = shelf.device()
    async with shelf.open() as store, shelf.reading(rows_max=50) as reader:
        await store.write([sample(device, n, NOON_S + n) for n in range(51)])
        await store.flush()
        assert len(await reader.samples(device, NOON_S, NOON_S + 50.0)) == 50
        with pytest.raises(TooManySamples, match="more than 50 samples: ask for less, or for rollups"):
            await reader.samples(device, NOON_S, NOON_S + 51.0)
        with pytest.raises(TooManySamples):
            await reader.trace(device, "ab" * 16)
        with pytest.raises(TooManySamples, match="more than 50000 rollups: ask for less, or for longer ones"):
            await reader.rollups(device, NOON_S - 35 * 86_400.0, NOON_S, Resolution.MINUTE)


async def test_what_was_taken_is_there_for_the_next_process(shelf: Shelf) -> None:
    device = shelf.device()
    async with shelf.open() as store:
        await store.write([sample(device, n, NOON_S + n) for n in range(5)])
    shelf.now_s = NOON_S + 30.0
    async with shelf.open() as store, shelf.reading() as reader:
        # Two of them were there already; the device's clock was set by 3 ms before it sent them again.
        await store.write([late(sample(device, n, NOON_S + n + 0.003), 30.0) for n in range(3, 8)])
        await store.flush()
        trace = await reader.samples(device, NOON_S, NOON_S + 60.0)
        (rollup,) = await reader.rollups(device, NOON_S, NOON_S + 60.0, Resolution.MINUTE)
        status = store.status()
    assert trace.columns["seq"] == tuple(range(8))
    assert trace.gaps == ()
    assert (rollup.count, rollup.late, rollup.missing) == (8, 3, 0)
    assert (status.written, status.doubles) == (3, 2)


HOSTILE = [
    "",
    "Stim-1",
    "a" * 33,
    "stim 1",
    "stim,room=x",
    "stim=1",
    'stim" 1',
    "stim' OR 'a'='a",
    "stim'; DROP DATABASE clinic; --",
    "stim\\",
    "stim\nsample,device=other seq=1i",
    "stim-1\n",
    "../../etc",
    "stím",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_that_is_none_is_neither_written_nor_asked_for(shelf: Shelf, name: str) -> None:
    device = shelf.device()
    good = sample(device, 1, NOON_S)
    async with shelf.open() as store, shelf.reading() as reader:
        for bad in (replace(good, seq=2, device=name), replace(good, seq=2, session_id=name)):
            with pytest.raises(NoSuchName):
                await store.write([good, bad])
        for by in Resolution:
            with pytest.raises(NoSuchName):
                await reader.rollups(name, NOON_S, NOON_S + 1.0, by)
        with pytest.raises(NoSuchName):
            await reader.samples(name, NOON_S, NOON_S + 1.0)
        with pytest.raises(NoSuchName):
            await reader.trace(name, "a" * 32)
        with pytest.raises(NoSuchName):
            await reader.trace(device, name)
        await store.flush()
        assert len(await reader.samples(device, NOON_S, NOON_S + 1.0)) == 0, "not even its neighbour in the batch"
        await store.write([good])
        await store.flush()
        found = list((await reader.samples(device, NOON_S, NOON_S + 1.0)).samples())
    assert found == [good]
    assert isinstance(found[0], Sample)
