"""What may be asked about alarms, and reported about messages and the history's store, at the control socket.

{"op": "alarm_shelve", "alarm_id": "...", "issued_by": "anna", "reason": "no client", "until": "2026-11-25T16:00:00Z"}
{"op": "page_failed", "page_id": "...", "why": "refused"}
{"op": "recorder_says", "trouble": "store_refuses"}

Reasons and comments are free text, kept in the journal for good. No rule can find a client's name in them: whoever
writes them is told so, and they are short.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime

from broker.contract.shapes import HexId, Label, Strict, Text
from fleet.core.store_events import StoreTrouble

Comment = Annotated[str, Text(280)]
Why = Annotated[str, Text(200)]  # what a channel said, without anything secret: whoever reports sees to that


@dataclass(frozen=True, slots=True, kw_only=True)
class AskOfAlarm(Strict):
    alarm_id: HexId
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAcknowledge(AskOfAlarm):
    """Silent for ten minutes at most; clears nothing. Also for one that is over and latched in the list."""

    op: Literal["alarm_acknowledge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAccept(AskOfAlarm):
    """Acknowledge it, and see to it."""

    op: Literal["alarm_accept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReject(AskOfAlarm):
    """Have the next one told, at once."""

    op: Literal["alarm_reject"]
    reason: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskShelve(AskOfAlarm):
    """Put aside until then, at most 8 h ahead; never A01 to A03. `until` says its offset: `...Z`, or `...+01:00`."""

    op: Literal["alarm_shelve"]
    reason: Label
    until: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AskUnshelve(AskOfAlarm):
    op: Literal["alarm_unshelve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskComment(AskOfAlarm):
    """At most 280 characters: no client data."""

    op: Literal["alarm_comment"]
    text: Comment


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPageDelivered(Strict):
    """The other side took the message of this attempt (`PageDue.page_id`, `DigestDue.page_id`)."""

    op: Literal["page_delivered"]
    page_id: HexId


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPageFailed(Strict):
    """It did not: `why` in a word or two, with nothing secret in it."""

    op: Literal["page_failed"]
    page_id: HexId
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPagerAlive(Strict):
    """Once a minute. `heartbeat`: whether the dead-man's switch outside took its heartbeat; None: none is set."""

    op: Literal["pager_alive"]
    heartbeat: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDrill(Strict):
    """A test alarm now, to everybody on the rota or to one."""

    op: Literal["drill"]
    issued_by: Label
    person: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDrillAnswered(Strict):
    """Whoever got the test alarm of this attempt has answered."""

    op: Literal["drill_answered"]
    page_id: HexId
    issued_by: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRecorderSays(Strict):
    """At once when it changes, and once a minute. `trouble` None: the store takes what it is given. Its own words are
    not taken: they may hold anything, and the journal would keep them.
    """

    op: Literal["recorder_says"]
    trouble: StoreTrouble | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRecorderEnds(Strict):
    """Somebody has asked the recorder to end: it is not missed."""

    op: Literal["recorder_ends"]


OfAlarm = AskAcknowledge | AskAccept | AskReject | AskShelve | AskUnshelve | AskComment
OfPager = AskPageDelivered | AskPageFailed | AskPagerAlive | AskDrill | AskDrillAnswered
OfRecorder = AskRecorderSays | AskRecorderEnds
