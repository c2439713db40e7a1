"""The samples in memory: bounded, packed and unpacked without loss, gaps as gaps, late data where it belongs."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import Phase, Telemetry
from fleet.api.window import Point, Window, gaps_of, in_order, unpacked, wall_words

NOON_S = 1_795_608_000.0
SESSION = "0123456789abcdef" * 2
FOREVER = (0.0, 1e11)


def sample(seq: int, at_s: float, **changed: Any) -> Telemetry:
    """One of a device in a session, taken at `at_s`."""
    plain = Telemetry(
        boot_n=3,
        seq=seq,
        at=wall_words(at_s),
        phase=Phase.RUNNING,
        session_id=SESSION,
        elapsed_s=12.5,
        setting_ma=20.0,
        amplitude_ma=18.25,
        pulse_width_us=300.0,
        frequency_hz=35.0,
        impedance_ohm=812.375,
        battery_pct=88.0,
        temperature_c=None,
        lease_margin_s=4.5,
        settings_version=1,
        late=False,
    )
    return replace(plain, **changed)


def kept(window: Window) -> list[Point]:
    return in_order(unpacked(window.rows("stim-01"), *FOREVER))


optional = st.none() | st.floats(0.0, 1e6)


@given(
    phase=st.sampled_from(Phase),
    session=st.none() | st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex),
    late=st.booleans(),
    readings=st.tuples(optional, optional, optional, optional, optional),
    seq=st.integers(0, 2**53 - 1),
)
def test_a_sample_is_shown_as_it_came(
    phase: Phase, session: str | None, late: bool, readings: tuple[float | None, ...], seq: int
) -> None:
    amplitude, impedance, margin, battery, temperature = readings
    said = sample(
        seq,
        NOON_S,
        phase=phase,
        session_id=session,
        late=late,
        amplitude_ma=amplitude,
        impedance_ohm=impedance,
        lease_margin_s=margin,
        battery_pct=battery,
        temperature_c=temperature,
    )
    window = Window(40)
    window.take("stim-01", said, 100.0, NOON_S + 0.2)
    (point,) = kept(window)
    assert point == Point(
        NOON_S, 3, seq, phase, session, late, 20.0, amplitude, impedance, margin, battery, temperature, 12.5
    )


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = Window(minutes=1)
    for n in range(200):
        window.take("stim-01", sample(n, NOON_S + n), 100.0 + n, NOON_S + n)
    assert [point.seq for point in kept(window)] == list(range(139, 200)), "the last 60 s"
    assert window.since_s("stim-01") == NOON_S + 139
    assert window.since_s("stim-02") is None


def test_a_device_that_floods_shortens_what_is_kept_and_takes_no_more_memory() -> None:
    window = Window(minutes=1)
    for n in range(1_000):
        window.take("stim-01", sample(n, NOON_S + n / 1000), 100.0, NOON_S + n / 1000)
    assert len(kept(window)) == 150


def test_samples_that_never_came_are_a_gap_and_late_ones_fill_it() -> None:
    window = Window(40)
    for n in (1, 2, 6, 7):
        window.take("stim-01", sample(n, NOON_S + n / 2), 100.0, NOON_S + n / 2)
    assert gaps_of(kept(window)) == [(NOON_S + 1.0, NOON_S + 3.0)]
    for n in (3, 5):  # the link is back: what its agent had kept comes, marked, with the time at which it was taken
        window.take("stim-01", sample(n, NOON_S + n / 2, late=True), 110.0, NOON_S + 10.0)
    points = kept(window)
    assert [point.seq for point in points] == [1, 2, 3, 5, 6, 7]
    assert [point.late for point in points] == [False, False, True, True, False, False]
    assert gaps_of(points) == [(NOON_S + 1.5, NOON_S + 2.5)], "one never came"


def test_the_time_between_two_boots_is_a_gap() -> None:
    window = Window(40)
    window.take("stim-01", sample(1, NOON_S, phase=Phase.IDLE), 100.0, NOON_S)
    window.take("stim-01", sample(900, NOON_S + 300.0, boot_n=4), 400.0, NOON_S + 300.0)
    assert gaps_of(kept(window)) == [(NOON_S, NOON_S + 300.0)]


@pytest.mark.parametrize(("off_s", "believed"), [(59.0, True), (-59.0, True), (3_600.0, False), (-86_000.0, False)])
def test_a_device_whose_clock_cannot_be_right_is_shown_when_it_was_heard(off_s: float, believed: bool) -> None:
    window = Window(40)
    point = window.take("stim-01", sample(1, NOON_S + off_s), 100.0, NOON_S)
    assert point.at_s == (NOON_S + off_s if believed else NOON_S)


def test_what_memory_and_store_both_have_is_shown_once() -> None:
    window = Window(40)
    for n in range(4):
        window.take("stim-01", sample(n, NOON_S + n), 100.0, NOON_S + n)
    assert [point.seq for point in in_order(kept(window)[:3], kept(window)[1:])] == [0, 1, 2, 3]
