"""The table of alarms: one row a code (domain.md "Alarms"). No other place decides priority, delay or group.

Rows stand in order of gravity: what one turn raises, it raises in this order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from broker.contract.causes import AlarmCode
from fleet.core import conditions
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_state import SITE, Alarm
from fleet.core.conditions import Look, Present
from fleet.core.due import AHEAD_DAYS, DAY_S
from fleet.core.fold_doses import local_day

OFF_DELAY_S = 10.0
HELD_BACK_S = 60.0  # an electrode fault that is handled at the device by then goes to the digest
OFFLINE_S = 300.0
DUES_A_LOOK = 100  # devices: at midnight nobody waits until all of them have been looked through


class Responsible(StrEnum):
    """Who is to act."""

    EVERYONE = "everyone"
    THERAPISTS = "therapists"
    ENGINEERS = "engineers"


def nobody(look: Look) -> Iterable[str]:
    """No event is missing: whatever raises this alarm is one."""
    return ()


def _lost(look: Look) -> Iterable[str]:
    return [name for name, signs in look.durable.signs.items() if signs.lost_s is not None]


def _in_session(look: Look) -> Iterable[str]:
    return [session.device for session in look.state.open_sessions() if session.live]


def _turned_due(look: Look) -> Iterable[str]:
    """Certificates by the second; days turn at midnight; all else has events."""
    until_s = look.wall_s + AHEAD_DAYS * DAY_S
    devices, fleeting = look.durable.registry.devices, look.state.fleeting
    today = local_day(look.durable, look.wall_s)
    if fleeting.dues_day != today:
        fleeting.dues_day = today
        fleeting.dues_left = (*devices, SITE)
    turned, fleeting.dues_left = fleeting.dues_left[:DUES_A_LOOK], fleeting.dues_left[DUES_A_LOOK:]
    ends = (name for name, device in devices.items() if device.due_wall_s is not None and device.due_wall_s <= until_s)
    return (*turned, *ends)


def _climbed(look: Look) -> Iterable[str]:
    return {one.device or SITE for one in look.durable.attention.values() if conditions.climbed(one)}


def _site(look: Look) -> Iterable[str]:
    return (SITE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is to be known of one code.

    `present` says whether, why, and, where it may change while the alarm is open, with which priority; `priority` is
    the ordinary one, and a lower one comes only where `lowers`; where it `restates`, with the reason for that one.
    `looked_at` are the places that time or a sample may
    have changed without an event. `latching`: once a signal was on, it stays until somebody has taken note.
    """

    code: AlarmCode
    priority: Priority
    present: Callable[[Look, str, Alarm | None], Present | None]
    responsible: Responsible
    looked_at: Callable[[Look], Iterable[str]] = nobody
    on_delay_s: float = 0.0
    off_delay_s: float = OFF_DELAY_S
    held_back_s: float = 0.0
    latching: bool = False
    lowers: bool = False
    restates: bool = False
    grouped: bool = False

    def first_signal(self, priority: Priority) -> SignalState:
        """What people are to notice when the alarm is raised, or rises to this priority."""
        return SignalState.HELD_BACK if self.held_back_s > 0.0 else FIRST_SIGNAL[priority]


# High and medium at once, low with the digest, info not at all.
FIRST_SIGNAL: dict[Priority, SignalState] = {
    Priority.HIGH: SignalState.ON,
    Priority.MEDIUM: SignalState.ON,
    Priority.LOW: SignalState.DIGEST,
    Priority.INFO: SignalState.OFF,
}
_A, _R = AlarmCode, Responsible

ROWS: dict[AlarmCode, Row] = {
    row.code: row
    for row in (
        Row(
            code=_A.A01,
            priority=Priority.HIGH,
            present=conditions.zero_unconfirmed,
            responsible=_R.EVERYONE,
            off_delay_s=0.0,  # nobody is sent to the wall for an output that is known to be zero
            latching=True,
        ),
        Row(
            code=_A.A02,
            priority=Priority.HIGH,
            present=conditions.output_wrong,
            responsible=_R.THERAPISTS,
            latching=True,
            lowers=True,
        ),
        Row(
            code=_A.A03,
            priority=Priority.MEDIUM,
            present=conditions.emergency_stop,
            responsible=_R.THERAPISTS,
            latching=True,
        ),
        Row(
            code=_A.A04,
            priority=Priority.MEDIUM,
            present=conditions.permission_lost,
            responsible=_R.THERAPISTS,
            latching=True,
            grouped=True,
        ),
        Row(
            code=_A.A05,
            priority=Priority.MEDIUM,
            present=conditions.electrode_fault,
            responsible=_R.THERAPISTS,
            held_back_s=HELD_BACK_S,
        ),
        Row(
            code=_A.A06,
            priority=Priority.LOW,
            present=conditions.attempt_refused,
            responsible=_R.THERAPISTS,
            off_delay_s=0.0,  # it has stayed for a quarter of an hour
        ),
        Row(
            code=_A.A07,
            priority=Priority.LOW,
            present=conditions.offline,
            responsible=_R.ENGINEERS,
            looked_at=_lost,
            on_delay_s=OFFLINE_S,
            grouped=True,
        ),
        Row(
            code=_A.A08,
            priority=Priority.LOW,
            present=conditions.battery,
            responsible=_R.THERAPISTS,
            looked_at=_in_session,
        ),
        Row(
            code=_A.A09,
            priority=Priority.MEDIUM,
            present=conditions.not_ours,
            responsible=_R.ENGINEERS,
            off_delay_s=0.0,  # the same
        ),
        Row(
            code=_A.A10,
            priority=Priority.MEDIUM,  # ordinarily its parent's
            present=conditions.unaccepted,
            responsible=_R.EVERYONE,
            looked_at=_climbed,
            lowers=True,
        ),
        Row(
            code=_A.A12,
            priority=Priority.MEDIUM,
            present=conditions.path_unproven,
            responsible=_R.ENGINEERS,
            looked_at=_site,
            lowers=True,  # to a line of the digest, where only one way of several is in doubt
            restates=True,
        ),
        Row(
            code=_A.A13,
            # A disk that takes nothing: in minutes samples are lost, and mostly it is the journal's disk as well.
            priority=Priority.MEDIUM,
            present=conditions.samples_not_kept,
            responsible=_R.ENGINEERS,
            looked_at=_site,
            on_delay_s=conditions.STORE_FAILS_S,
            off_delay_s=conditions.STORE_TAKES_S,
            lowers=True,  # to a line of the digest: a gap in charts gets nobody out of bed
            restates=True,
        ),
        Row(
            code=_A.A11,
            priority=Priority.INFO,
            present=conditions.due,
            responsible=_R.ENGINEERS,
            looked_at=_turned_due,
            off_delay_s=0.0,  # a date does not flap
        ),
    )
}
