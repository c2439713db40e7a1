"""What people ask of an alarm, and what pager and recorder report. Part of `inputs.Input`."""

from dataclasses import dataclass

from fleet.core.rota import Rota
from fleet.core.store_events import StoreTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAlarm:
    """A person's word on one alarm, by its id."""

    request_id: str
    alarm_id: str
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeAlarm(OfAlarm):
    """I have seen it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptAlarm(OfAlarm):
    """I see to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectAlarm(OfAlarm):
    """I cannot."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelveAlarm(OfAlarm):
    """Not now, for a reason, until a Unix time."""

    reason: str
    until_wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshelveAlarm(OfAlarm):
    """Now again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentAlarm(OfAlarm):
    """A few words for whoever reads the record. Nothing keeps client data out of them but whoever writes them."""

    text: str


# --- whoever delivers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPager:
    request_id: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDelivered(OfPager):
    """The other side took the message of this attempt."""

    page_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFailed(OfPager):
    """It did not, and no retry is left."""

    page_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerAlive(OfPager):
    """Twice a minute; `heartbeat`: whether the dead-man's switch outside took its heartbeat, None where none is set."""

    heartbeat: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDrill(OfPager):
    """A person wants the path proved now: to one person, or to everybody."""

    issued_by: str
    person: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDrill(OfPager):
    """The person who got a test alarm says so."""

    page_id: str
    issued_by: str


# --- whoever records --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OfRecorder:
    request_id: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSays(OfRecorder):
    """At once when it changes, and once a minute: what is wrong with the store, None where it takes what comes."""

    trouble: StoreTrouble | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderEnds(OfRecorder):
    """In order, because somebody wants it to."""


# --- the house --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RotaChanged:
    """The whole rota, at start and whenever it changes; None: there is none. The same one again changes nothing."""

    rota: Rota | None
    now_s: float
    wall_s: float


Asked = AcknowledgeAlarm | AcceptAlarm | RejectAlarm | ShelveAlarm | UnshelveAlarm | CommentAlarm
Reported = PageDelivered | PageFailed | PagerAlive | OrderDrill | AnswerDrill
Recorded = RecorderSays | RecorderEnds
