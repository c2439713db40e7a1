"""Everything that the core asks for. Each class says when it may be performed.

AT_ONCE: whatever forbids (stop, cancel), and the lease, which depends on no uncommitted event: a session is
authorised on the wire only after its commit, so a session that can be leased is in the journal. These are performed
before the journal is written, and whether or not it can be.

AFTER_COMMIT: whatever allows or confirms. Performed once every event of the same decision, and of all before it, is
committed; never, if it cannot be.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from broker.contract import messages
from broker.contract.topics import Channel
from fleet.core.refusals import Refusal


class When(StrEnum):
    """Before or after the journal."""

    AT_ONCE = "at_once"
    AFTER_COMMIT = "after_commit"


# --- at once --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendLease:
    """QoS 0, never retained, never queued: a lease that cannot go now is worth nothing later."""

    when: ClassVar[When] = When.AT_ONCE
    device: str
    message: messages.Lease


@dataclass(frozen=True, slots=True)
class SendStop:
    """`device` is `topics.ALL` for the site. Retained where `message.hold`. `all/stop` carries no MAC.

    The performer answers each with `inputs.StopSent`.
    """

    when: ClassVar[When] = When.AT_ONCE
    device: str
    message: messages.Stop


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Withdraws an authorisation."""

    when: ClassVar[When] = When.AT_ONCE
    device: str
    message: messages.Cancel


@dataclass(frozen=True, slots=True)
class Count:
    """Something was refused or left out: one up in the metric of this reason. `device` None: nobody known."""

    when: ClassVar[When] = When.AT_ONCE
    device: str | None
    channel: Channel | None
    reason: str


# --- after the commit -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendAuthorisation:
    when: ClassVar[When] = When.AFTER_COMMIT
    device: str
    message: messages.Authorisation


@dataclass(frozen=True, slots=True)
class SendRelease:
    when: ClassVar[When] = When.AFTER_COMMIT
    device: str
    message: messages.Release


@dataclass(frozen=True, slots=True)
class ClearRetained:
    """An empty retained message on the stop topic of `device` (`topics.ALL` for the site's).

    `command_id` is the release's. The performer answers each with `inputs.StopCleared`.
    """

    when: ClassVar[When] = When.AFTER_COMMIT
    device: str
    command_id: str


@dataclass(frozen=True, slots=True)
class SendSettings:
    """Retained."""

    when: ClassVar[When] = When.AFTER_COMMIT
    device: str
    message: messages.Settings


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """A later receipt of the same device and spool covers an earlier one: the outbox may keep the newest only."""

    when: ClassVar[When] = When.AFTER_COMMIT
    device: str
    message: messages.Receipt


@dataclass(frozen=True, slots=True)
class Granted:
    """The session is authorised; the device answers for itself."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """The command is on its way."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Every rule that refused, at once."""

    refusals: tuple[Refusal, ...]


Reply = Granted | Ordered | Refused


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person who made request `request_id` is told."""

    when: ClassVar[When] = When.AFTER_COMMIT
    request_id: str
    reply: Reply


AtOnce = SendLease | SendStop | SendCancel | Count
AfterCommit = SendAuthorisation | SendRelease | ClearRetained | SendSettings | SendReceipt | Answer
Effect = AtOnce | AfterCommit
