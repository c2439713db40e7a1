"""Durable events of sessions."""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import Limit
from broker.contract.messages import CommandRefusal, Phase
from fleet.core.happened import Happened
from fleet.core.refusals import Refusal
from fleet.core.screening import Screened


class SessionState(StrEnum):
    """Where a session is, in the fleet's eyes (domain.md "Session")."""

    DRAFT = "draft"
    REFUSED = "refused"
    AUTHORISED = "authorised"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    ARMED = "armed"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    ABORTED = "aborted"
    STOPPED_LATCHED = "stopped_latched"
    CLEARED = "cleared"
    LOST = "lost"


class WithheldFor(StrEnum):
    """Why a session gets no lease any more."""

    STOP = "stop"
    LIMIT = "limit"
    FLAT_LINE = "flat_line"
    STRUCK_OFF = "struck_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused(Happened):
    """The fleet refused a request. Screening appears by its outcome only. `issued_by`: as `SessionAuthorised`."""

    version = 3
    request_id: str
    client: str
    device: str
    operator: str
    screened: Screened
    refusals: tuple[Refusal, ...]
    issued_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAuthorised(Happened):
    """The fleet authorised a session. `answered_s`: when the answered sample was received, on this host.

    `issued_by`: the user who asked, where they were signed in; None: whoever asked said who treats, and no more.
    """

    version = 2
    request_id: str
    device: str
    authorisation: messages.Authorisation
    answered_s: float
    screened: Screened
    issued_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisationAccepted(Happened):
    """The device accepted it: the therapist may arm."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeclined(Happened):
    """The device refused it."""

    session_id: str
    reason: CommandRefusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpired(Happened):
    """It was not started in its time, or the device booted meanwhile."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCancelled(Happened):
    """Withdrawn before it ran."""

    session_id: str
    command_id: str
    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOvertaken(Happened):
    """The device had started the session before the cancel reached it: it runs."""

    session_id: str
    command_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAdvanced(Happened):
    """A live sample showed the session in another phase: authorised, armed, running, paused or stopping."""

    session_id: str
    to: SessionState
    elapsed_s: float
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMeasured(Happened):
    """The first good impedance of a session: what drying pads are compared with."""

    session_id: str
    impedance_ohm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExceeded(Happened):
    """A sample was over a limit. `quantity` carries its unit."""

    session_id: str
    device: str
    quantity: str
    value: float
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFlatlined(Happened):
    """So many samples under current read exactly the same (H17)."""

    session_id: str
    device: str
    amplitude_ma: float
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWithheld(Happened):
    """No lease for this session any more."""

    session_id: str
    reason: WithheldFor


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputUnpermitted(Happened):
    """A device was live without a session that the fleet leads on that boot (A02)."""

    device: str
    session_id: str | None
    phase: Phase
    amplitude_ma: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Happened):
    """A session is over. `cause` None: never reported; `ended` None: the device has not given its numbers."""

    session_id: str
    to: SessionState
    cause: Cause | None
    ended: messages.SessionEnded | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLost(Happened):
    """The device of a live session was lost."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCleared(Happened):
    """A person at the device reset the latch that the session had left."""

    session_id: str
