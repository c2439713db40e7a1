"""What a device has run, for checks that are due by hours of use or by sessions: an odometer with marks by day.

The rules of this file:
- Totals only rise, but where a device's own record takes the place of what the fleet had assumed for that session.
- A session counts once it has run, and belongs to the day on which it was first counted.
- What was used since a day is the total less the last mark before that day. Marks that are no longer kept make it
  more, never less: a check is due too early then, never too late.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from broker.contract.shapes import Strict

MARKS_KEPT = 31  # days with use: a check that is recorded a month late still counts exactly from its day
SESSIONS_KEPT = 8  # no session runs without the fleet: a device reports one before it has had many more


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Strict):
    """The totals at the end of a day, in seconds and sessions."""

    day: date
    used_s: float
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran(Strict):
    """One session, as it was counted. `by_device`: from its whole record, so that nothing else counts any more."""

    session_id: str
    day: date
    used_s: float
    by_device: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter(Strict):
    """One device's: marks, oldest first; the newest is the totals of now. And its newest sessions, newest last."""

    marks: tuple[Mark, ...] = ()
    newest: tuple[Ran, ...] = ()

    def counted(self, session_id: str) -> Ran | None:
        """A session that is in the totals and still remembered."""
        return next((ran for ran in self.newest if ran.session_id == session_id), None)

    def since(self, day: date | None) -> tuple[float, int]:
        """Seconds and sessions from the beginning of `day` on; None: from ever."""
        if not self.marks:
            return 0.0, 0
        totals = self.marks[-1]
        for mark in reversed(self.marks):
            if day is not None and mark.day < day:
                return totals.used_s - mark.used_s, totals.sessions - mark.sessions
        return totals.used_s, totals.sessions


UNUSED = Meter()


def with_session(meter: Meter, ran: Ran, checked_on: Iterable[date]) -> Meter:
    """With what is known of a session now. `checked_on`: the days from which somebody counts."""
    known = meter.counted(ran.session_id)
    if known is None:
        marks = _raised(meter.marks, ran.day, ran.used_s, 1)
    elif known.by_device and not ran.by_device:
        return meter
    else:
        replaces = ran.by_device and not known.by_device
        ran = replace(ran, day=known.day, used_s=ran.used_s if replaces else max(known.used_s, ran.used_s))
        marks = _raised(meter.marks, ran.day, ran.used_s - known.used_s, 0)
    others = tuple(other for other in meter.newest if other.session_id != ran.session_id)
    return Meter(marks=_kept(marks, checked_on), newest=(*others, ran)[-SESSIONS_KEPT:])


def _raised(marks: tuple[Mark, ...], day: date, more_s: float, sessions: int) -> tuple[Mark, ...]:
    """More on a day is more at the end of every later one."""
    if not marks:
        return (Mark(day=day, used_s=more_s, sessions=sessions),)
    if day > marks[-1].day:
        marks = (*marks, replace(marks[-1], day=day))
    return tuple(
        replace(mark, used_s=mark.used_s + more_s, sessions=mark.sessions + sessions) if mark.day >= day else mark
        for mark in marks
    )


def _kept(marks: tuple[Mark, ...], checked_on: Iterable[date]) -> tuple[Mark, ...]:
    """The newest, and those before them that a recorded check counts from."""
    older, newest = marks[:-MARKS_KEPT], marks[-MARKS_KEPT:]
    wanted = {max((mark.day for mark in marks if mark.day < day), default=None) for day in checked_on}
    return (*(mark for mark in older if mark.day in wanted), *newest)
