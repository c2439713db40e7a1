"""When a clinic is open: hours of each weekday, by the clock on its wall. For utilisation; nothing is allowed by it.

    {"mon": "08:00-12:00 13:00-18:00", "sat": "08:00-12:00"}

A weekday that is not named is closed. Where nothing is said at all it is Monday to Friday, 08:00-18:00.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
USUAL: Mapping[str, str] = dict.fromkeys(WEEKDAYS[:5], "08:00-18:00")
STRETCHES_MAX = 6  # of one day
_STRETCH = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")


class NoHours(ValueError):
    """These are no opening hours; the text says why, in half a sentence."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Open from one minute of the day to another. 24 h is the end of the day."""

    from_min: int
    to_min: int


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """The stretches of each weekday, Monday first."""

    week: tuple[tuple[Stretch, ...], ...]

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Self:
        """What a clinic says; nothing said is the usual.

        Raises:
            NoHours
        """
        if unknown := sorted(said.keys() - set(WEEKDAYS)):
            raise NoHours(f"{unknown[0]!r} is no weekday of {', '.join(WEEKDAYS)}")
        said = said or USUAL
        return cls(tuple(_stretches(day, said.get(day, "")) for day in WEEKDAYS))

    def open_s(self, day: date, zone: ZoneInfo, until_wall_s: float = float("inf")) -> float:
        """For how long the clinic was open on a day, in seconds that passed: a clock that is put forward or back in
        these hours takes an hour, or gives one. Only what lies before `until_wall_s` (Unix time) counts.
        """
        spans = ((_moment(day, s.from_min, zone), _moment(day, s.to_min, zone)) for s in self.week[day.weekday()])
        return sum(max(0.0, min(end_s, until_wall_s) - start_s) for start_s, end_s in spans)


def hours_said(value: object) -> dict[str, str]:
    """What a file holds, where `OpeningHours.of` takes it.

    Raises:
        NoHours
    """
    if not isinstance(value, dict) or not all(isinstance(said, str) for said in value.values()):
        raise NoHours("that is no object of words")
    OpeningHours.of(value)
    return value


def _stretches(day: str, text: str) -> tuple[Stretch, ...]:
    words = text.split()
    if len(words) > STRETCHES_MAX:
        raise NoHours(f"{day} has more than {STRETCHES_MAX} stretches")
    found: list[Stretch] = []
    for word in words:
        match = _STRETCH.fullmatch(word)
        if match is None:
            raise NoHours(f"{day} says {word!r}, which is nothing like 08:00-18:00")
        from_h, from_m, *to = (int(number) for number in match.groups() if number is not None)
        stretch = Stretch(60 * from_h + from_m, 60 * to[0] + to[1])
        if stretch.to_min <= stretch.from_min:
            raise NoHours(f"{day} says {word!r}, which ends before it begins")
        if found and stretch.from_min < found[-1].to_min:
            raise NoHours(f"{day} says {word!r}, which begins before the stretch before it ends")
        found.append(stretch)
    return tuple(found)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> float:
    """Unix time at which the clock on the wall shows so many minutes of a day."""
    at = datetime.combine(day, time.min) + timedelta(minutes=minutes)
    return at.replace(tzinfo=zone).timestamp()
