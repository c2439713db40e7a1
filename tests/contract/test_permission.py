"""Permission runs out by itself. Times are seconds of the agent's boot time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.permission import (
    Permission,
    Sent,
    SentSamples,
    Unanswerable,
    extended,
    first_permission,
    fresh,
    worth_s,
)

SESSION, OTHER = "5e551047" * 4, "0dd5e551" * 4
NONE_YET = first_permission(SESSION, 5000)


def granted(permission: Permission | Unanswerable) -> Permission:
    assert isinstance(permission, Permission)
    return permission


def test_before_the_first_lease_nothing_is_allowed() -> None:
    assert not NONE_YET.allows(0.0)
    assert NONE_YET.margin_s(0.0) == -math.inf


def test_a_lease_allows_until_its_time_after_the_sending_of_its_sample() -> None:
    permission = granted(extended(NONE_YET, Sent(7, 100.0, SESSION), SESSION, 5000, 101.0))
    assert permission.until_s == 105.0
    assert permission.allows(104.999)
    assert not permission.allows(105.0)
    assert permission.margin_s(103.0) == 2.0


def test_the_very_first_sample_of_a_boot_may_be_number_zero() -> None:
    assert granted(extended(NONE_YET, Sent(0, 100.0, SESSION), SESSION, 5000, 100.1)).answered_seq == 0


@pytest.mark.parametrize(
    ("ttl_ms", "lease_ttl_ms", "expected_s"),
    [(5000, 5000, 5.0), (250, 5000, 0.25), (9000, 4000, 4.0), (10_000, 10_000, 10.0), (60_000, 60_000, 10.0)],
)
def test_the_least_of_lease_authorisation_and_ten_seconds_counts(
    ttl_ms: int, lease_ttl_ms: int, expected_s: float
) -> None:
    assert worth_s(ttl_ms, lease_ttl_ms) == expected_s


@pytest.mark.parametrize(
    ("sample", "session", "now_s", "why"),
    [
        (None, SESSION, 100.0, Unanswerable.UNKNOWN_SAMPLE),
        (Sent(7, 100.0, SESSION), OTHER, 100.0, Unanswerable.OTHER_SESSION),
        (Sent(7, 100.0, OTHER), SESSION, 100.0, Unanswerable.OTHER_SESSION),
        (Sent(7, 100.0, None), SESSION, 100.0, Unanswerable.OTHER_SESSION),
        (Sent(7, 100.0, SESSION), SESSION, 105.0, Unanswerable.STALE),
        (Sent(7, 100.0, SESSION), SESSION, 3600.0, Unanswerable.STALE),
    ],
)
def test_a_lease_that_allows_nothing_says_why(
    sample: Sent | None, session: str, now_s: float, why: Unanswerable
) -> None:
    assert extended(NONE_YET, sample, session, 5000, now_s) is why


def test_a_repeated_or_overtaken_lease_extends_nothing() -> None:
    newer = granted(extended(NONE_YET, Sent(8, 100.5, SESSION), SESSION, 5000, 100.6))
    for seq, sent_s in ((8, 100.5), (7, 100.0)):
        assert extended(newer, Sent(seq, sent_s, SESSION), SESSION, 5000, 100.7) is Unanswerable.NOT_NEWER


def test_a_newer_lease_never_shortens_what_is_granted() -> None:
    long = granted(extended(first_permission(SESSION, 10_000), Sent(7, 100.0, SESSION), SESSION, 10_000, 100.1))
    after = granted(extended(long, Sent(8, 100.5, SESSION), SESSION, 4000, 100.6))
    assert (after.until_s, after.answered_seq) == (110.0, 8)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 100), st.floats(0, 30), st.integers(1, 10_000)), max_size=30)
)
def test_no_order_of_leases_allows_more_than_its_time_after_a_sample(
    leases: list[tuple[int, float, float, int]],
) -> None:
    """Lost, late, repeated, out of order: output is never allowed later than 5 s after the newest sample answered."""
    permission = NONE_YET
    newest_s = -math.inf
    for seq, sent_s, delay_s, ttl_ms in leases:
        newest_s = max(newest_s, sent_s)
        after = extended(permission, Sent(seq, sent_s, SESSION), SESSION, ttl_ms, sent_s + delay_s)
        permission = after if isinstance(after, Permission) else permission
        assert permission.until_s <= newest_s + 5.0


# --- samples --------------------------------------------------------------------------------------------------------


def test_a_sample_is_found_until_it_is_forgotten() -> None:
    samples = SentSamples().noted(Sent(1, 100.0, None)).noted(Sent(2, 115.0, SESSION))
    assert samples.find(1) == Sent(1, 100.0, None)
    assert samples.find(2) == Sent(2, 115.0, SESSION)
    assert samples.find(3) is None
    assert samples.find(0) is None
    kept = samples.noted(Sent(3, 130.0, None))
    assert kept.find(1) == Sent(1, 100.0, None)
    assert kept.noted(Sent(4, 130.1, None)).find(1) is None
    assert kept.noted(Sent(4, 130.1, None)).find(2) is not None


def test_however_fast_samples_come_their_number_is_bounded() -> None:
    samples = SentSamples(count_max=3)
    for seq in range(10):
        samples = samples.noted(Sent(seq, 100.0, None))
    assert [sample.seq for sample in samples.samples] == [7, 8, 9]
    assert SentSamples().count_max == 1024  # 30 s of a sample every 50 ms are 600


@pytest.mark.parametrize(
    ("sample", "now_s", "why"),
    [
        (Sent(1, 100.0, None), 100.0, None),
        (Sent(1, 100.0, None), 129.999, None),
        (Sent(1, 100.0, None), 130.0, Unanswerable.STALE),
        (None, 100.0, Unanswerable.UNKNOWN_SAMPLE),
    ],
)
def test_an_authorisation_or_release_is_worth_30_seconds_after_its_sample(
    sample: Sent | None, now_s: float, why: Unanswerable | None
) -> None:
    assert fresh(sample, now_s) is why
