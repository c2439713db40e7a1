"""Durable events of people and alarms: who was told what, what came of it, and who has it.

`PageDue` is an order to whoever delivers: it is carried out once its row is committed, and its id makes it possible to
carry it out once. No free text of an alarm is in it: what to say follows from the alarm's own values.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract.causes import AlarmCode
from broker.contract.shapes import Strict
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act
from fleet.core.happened import Happened
from fleet.core.rota import Rota

# --- people ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAlarm(Happened):
    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmAcknowledged(_OfAlarm):
    """Somebody has seen it: silent until `until_s` (boot time), and no latch is cleared by it."""

    issued_by: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmAccepted(_OfAlarm):
    """Somebody sees to it: acknowledged, and with a name."""

    issued_by: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRejected(_OfAlarm):
    """Somebody who was told cannot: it sounds, and the next one is told."""

    issued_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmShelved(_OfAlarm):
    """Put aside with a reason and an end."""

    issued_by: str
    reason: str
    until_s: float
    until_wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmUnshelved(_OfAlarm):
    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCommented(_OfAlarm):
    issued_by: str
    text: str


class SoundsFor(StrEnum):
    """Why an alarm that was silent sounds again."""

    ACKNOWLEDGEMENT_OVER = "acknowledgement_over"
    SHELF_OVER = "shelf_over"
    JOINED = "joined"  # another device of the same loss


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmSounded(_OfAlarm):
    """It sounds again: its condition lasts."""

    reason: SoundsFor


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReached(_OfAlarm):
    """The next rung is told; `nobody`: it reaches none. `again_s`: when the one after it is due, if nobody accepts."""

    priority: Priority
    rung: int
    again_s: float
    nobody: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDue(Happened):
    """Tell `person` by `method`. `series` is the same for everything about one alarm: the dedup key.

    `page_id` is this attempt: whoever delivers says with it what came of it, by `until_s`. `rung` from 1; 0 for what
    answers or ends what was told. `members_n`: how many devices of a group. `by`: who has acknowledged it.
    """

    page_id: str
    series: str
    act: Act
    person: str
    method: str
    kind: str
    rung: int
    until_s: float
    drill: bool
    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None
    priority: Priority
    members_n: int
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLine(Strict):
    """One alarm of a digest."""

    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestDue(Happened):
    """Tell `person` of these together. `more`: how many there are beside them."""

    page_id: str
    person: str
    method: str
    kind: str
    until_s: float
    priority: Priority
    alarms: tuple[DigestLine, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfPage(Happened):
    page_id: str
    person: str
    method: str
    act: Act
    after_s: float  # since it was due


@dataclass(frozen=True, slots=True, kw_only=True)
class PageArrived(_OfPage):
    """Whoever delivers says that the other side took it. `late`: after it had been given up."""

    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMissed(_OfPage):
    """It was not delivered: `why` in a word or two, `silence` where nothing was reported in time."""

    why: str


# --- the rota, and the proof of the path ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaAdopted(Happened):
    """Who is told, as a whole; None: nobody."""

    rota: Rota | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOrdered(Happened):
    """A test alarm goes to everybody on the rota, or to one; `issued_by` None: by the rota's own calendar."""

    drill_id: str
    issued_by: str | None
    person: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProven(Happened):
    """A person has answered a test alarm that came this way; `issued_by` says who."""

    version = 2
    page_id: str
    person: str
    method: str
    issued_by: str | None = None  # None: written before that was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillUnanswered(Happened):
    """Nobody has, in its time."""

    page_id: str
    person: str
    method: str
