"""Times and days as they are asked for: with an offset, and of this millennium, so that they can be counted with."""

from datetime import date, datetime
from typing import Final

from fleet.api.answers import Declined

YEARS: Final = range(2000, 3000)


def moment_s(name: str, moment: datetime) -> float:
    """The time that the request's `name` says, as Unix time.

    Raises:
        Declined: 422, it has no offset, or is of no year that is meant.
    """
    if moment.tzinfo is None:
        raise Declined(422, "invalid", f"The request's {name}: a time has its offset, e.g. 2026-11-25T18:00:00Z.")
    if moment.year not in YEARS:
        raise _no_such(name, "time")
    return moment.timestamp()


def day(name: str, said: str) -> date:
    """The day that the request's `name` says.

    Raises:
        Declined: 422, there is none, or it is of no year that is meant.
    """
    try:
        found = date.fromisoformat(said)
    except ValueError:
        raise _no_such(name, "day") from None
    if found.year not in YEARS:
        raise _no_such(name, "day")
    return found


def _no_such(name: str, what: str) -> Declined:
    return Declined(
        422, "invalid", f"The request's {name}: there is no such {what}, of the years {YEARS[0]} to {YEARS[-1]}."
    )
