"""What the state keeps of alarms: those that are open, those that were, and what the devices last said of themselves.

Times in `_s` are boot times of the fleet's host; they count anew when it boots (`fold_alarms.rebase`).
"""

from dataclasses import dataclass, field

from broker.contract.causes import AlarmCode, Cause
from broker.contract.shapes import Strict
from broker.contract.topics import ALL
from fleet.core.alarm_events import Priority, SignalState, Why

SITE = ALL  # the place of what concerns the whole site, or nobody who is known: no device has this name


def key(code: AlarmCode, place: str) -> str:
    """An alarm's place in the state: one is open for a code and a device, or the site.

    >>> key(AlarmCode.A05, "stim-12")
    'A05/stim-12'
    """
    return f"{code}/{place}"


def room_key(code: AlarmCode, room: str) -> str:
    """That of a grouped alarm of one room.

    >>> room_key(AlarmCode.A07, "room-4")
    'A07/room/room-4'
    """
    return f"{code}/room/{room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Strict):
    """What people are to notice, and since when it is so."""

    state: SignalState
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Strict):
    """One open alarm. `since_s` None: since before the host's present boot, so that no delay is counted from it."""

    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None
    priority: Priority
    why: Why
    session_id: str | None
    since_s: float | None
    since_wall_s: float
    changed_s: float  # its priority, or when it was raised
    signal: Signal
    members: dict[str, float | None] = field(default_factory=dict)  # by device: since when. Grouped alarms have some


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlarm(Strict):
    """One that is over, with what is left of its signal."""

    alarm: Alarm
    cleared_wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs(Strict):
    """What a device last said of itself, in its newest birth and the events after it, as far as alarms need it.

    `causes`: what it is latched for, and its active conditions that are causes. `as_of`: the device's own time of that
    birth. `unzeroed_s`: since when it has said that its output is at fault while no zero was measured after it;
    `stuck_s` the same, where it says that its output is stuck. `lost_s`: since when it is lost. `struck_off_s`: since
    when it may not speak any more, where a session was live or lost then and nobody has seen it at zero since.
    """

    causes: tuple[Cause, ...] = ()
    battery_low: bool = False
    as_of: str | None = None
    unzeroed_s: float | None = None
    stuck_s: float | None = None
    lost_s: float | None = None
    struck_off_s: float | None = None


NO_SIGNS = Signs()
