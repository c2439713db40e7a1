"""Times and days as they are asked for: what cannot be counted with is refused in words."""

from datetime import date, datetime

import pytest

from fleet.api.answers import Declined
from fleet.api.moments import day, moment_s


@pytest.mark.parametrize("said", ["0001-01-01", "1999-12-31", "3000-01-01", "9999-12-31", "2026-02-30"])
def test_a_day_that_cannot_be_meant_is_refused(said: str) -> None:
    with pytest.raises(Declined) as declined:
        day("from", said)
    assert declined.value.status == 422


@pytest.mark.parametrize(
    "said", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-25T18:00:00", "1999-01-01T00:00:00Z"]
)
def test_a_time_that_cannot_be_meant_or_has_no_offset_is_refused(said: str) -> None:
    with pytest.raises(Declined) as declined:
        moment_s("before", datetime.fromisoformat(said))
    assert declined.value.status == 422


def test_days_and_times_are_what_they_say() -> None:
    assert day("from", "2000-01-01") == date(2000, 1, 1)
    assert day("to", "2999-12-31") == date(2999, 12, 31)
    assert moment_s("to", datetime.fromisoformat("1970-01-01T01:00:00+01:00".replace("1970", "2001"))) == 978_307_200.0
