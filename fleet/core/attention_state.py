"""What the state keeps of people and alarms: who was told, who has it, what runs out when (domain.md "Alarms").

An alarm's `Attention` outlives it for a while: a condition that comes and goes is one series of messages, not many.
Times in `_s` are boot times of the fleet's host. When the host boots, whatever silenced an alarm is over, and whatever
was waited for has failed: each doubt ends with somebody being told again (`fold_attention.rebase`).
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract.causes import AlarmCode
from broker.contract.shapes import Strict
from fleet.core.alarm_events import Priority

ACKNOWLEDGED_S = 600.0  # an acknowledgement runs out while the condition lasts
SHELVED_S_MAX = 8 * 3600.0
SETTLED_S = 10.0  # a message is resolved once its alarm has been over this long
RELAPSE_S = 600.0  # what comes back within this time goes on where its messages were
AT_ONCE = frozenset({AlarmCode.A01, AlarmCode.A02, AlarmCode.A03})  # never shelved; each occurrence begins anew
NOT_PAGED = frozenset({AlarmCode.A10})  # its page is the next rung of its parent
COMMENTS_KEPT = 5
OCCURRENCES_KEPT = 8


class Responsibility(StrEnum):
    """Whether somebody has it."""

    NONE = "none"
    NOTIFIED = "notified"  # a message is on its way
    DELIVERED = "delivered"
    ACCEPTED = "accepted"  # somebody goes
    REJECTED = "rejected"  # somebody cannot: the next one is told


class Act(StrEnum):
    """What a message says to whoever gets it."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"  # somebody has it
    RESOLVE = "resolve"  # it is over


@dataclass(frozen=True, slots=True)
class Times(Strict):
    """When the rungs of a priority are due: the first after `first_s`, each next one after its gap, then for ever.

    `delivery_s`: a message whose outcome is not reported by then has failed.
    """

    first_s: float
    gaps_s: tuple[float, ...]
    then_s: float
    delivery_s: float

    def gap_s(self, rung: int) -> float:
        """From a rung, counted from 1, to the next.

        >>> [TIMES[Priority.HIGH].gap_s(rung) for rung in (1, 2, 3, 4)]
        [30.0, 30.0, 60.0, 60.0]
        """
        return self.gaps_s[rung - 1] if rung <= len(self.gaps_s) else self.then_s


# High at once, 30 s, 60 s, then every 60 s; medium after 2 min, 5 min, then every 10 min. The others: digests.
TIMES: dict[Priority, Times] = {
    Priority.HIGH: Times(0.0, (30.0, 30.0), 60.0, 15.0),
    Priority.MEDIUM: Times(120.0, (180.0,), 600.0, 60.0),
}
DIGEST_DELIVERY_S = 300.0
DRILL_ANSWER_S = 600.0  # a person has this long for a test alarm
SILENCE = "silence"  # why a message failed of which nothing was reported in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment(Strict):
    wall_s: float
    issued_by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention(Strict):
    """One alarm, as people have it. `series` names its messages; `soundings`: how often it began to sound.

    `rung_s`: when the next rung is due, None while nothing sounds; `until_s`: when an acknowledgement or a shelf ends;
    `reached`: the messages of the present rung that have not failed; `told`: `person/method`, where a message waits to
    be resolved. `next_s`: the first of all these times.
    """

    alarm_id: str
    code: AlarmCode
    device: str | None
    room: str | None
    series: str
    before: tuple[str, ...] = ()  # earlier occurrences of the same series, newest last
    priority: Priority
    responsibility: Responsibility = Responsibility.NONE
    by: str | None = None
    reason: str | None = None
    soundings: int = 0
    rung: int = 0
    rung_s: float | None = None
    until_s: float | None = None
    cleared_s: float | None = None
    reached: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    in_digest: bool = False
    next_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Strict):
    """A message whose outcome is waited for until `until_s`; `silent`: no longer. `where`: its alarm's key, None for a
    drill or a digest.
    """

    where: str | None
    person: str
    method: str
    act: Act
    rung: int
    soundings: int
    due_s: float
    until_s: float
    drill: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill(Strict):
    """A test alarm that a person has to answer."""

    person: str
    method: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(Strict):
    """Of one way to one person: on the rota since when, last proven when; `failed`: what is known against it."""

    since_wall_s: float
    proven_wall_s: float | None = None
    failed: str | None = None


def channel(person: str, method: str) -> str:
    """
    >>> channel("anna", "phone")
    'anna/phone'
    """
    return f"{person}/{method}"
