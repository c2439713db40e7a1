"""What has happened: the durable events, whose fold is the state.

Each is frozen, versioned, past tense and has one meaning. `now_s` is the fleet host's boot time at which it was
decided, `wall_s` Unix time, never before that of an earlier event. The journal stores the class's name, `version` and
the fields. A change of an event's fields is a new version; an old one is read by an upcaster, never forgotten.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import Limit
from broker.contract.messages import CommandRefusal, Phase, Scope
from broker.contract.shapes import Strict
from broker.contract.topics import Channel
from fleet.core.refusals import Refusal
from fleet.core.registry import Registry
from fleet.core.screening import Screened


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happened(Strict):
    version: ClassVar[int] = 1
    now_s: float
    wall_s: float


# --- the house ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTookOver(_Happened):
    """An instance began to lead. With another `host_boot` than before, boot times started anew."""

    fleet_n: int
    host_boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetNumberRaised(_Happened):
    """A device had seen a higher number than this fleet's (a journal restored from a backup)."""

    fleet_n: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOrdered(_Happened):
    """Nothing new is authorised until the next take-over."""

    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAdopted(_Happened):
    """The clinic's list, as a whole."""

    registry: Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityNoticed(_Happened):
    """Bad input, once per burst of one (device, channel, reason). `device` None: none that is known."""

    device: str | None
    channel: Channel | None
    reason: str


# --- devices --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnrolled(_Happened):
    """A device was put on the list, or enrolled anew: its boots and spools count from the start."""

    device: str
    enrolment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBooted(_Happened):
    """A higher boot number was heard in live telemetry or birth."""

    device: str
    boot_n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBorn(_Happened):
    """A device said what it is."""

    device: str
    birth: messages.Birth


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLost(_Happened):
    """Nothing heard for as long as CHANNELS allows."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReturned(_Happened):
    """A lost device was heard again."""

    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsIssued(_Happened):
    """A new version of what the clinic sets on a device."""

    device: str
    settings: messages.Settings


# --- the devices' own events ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReported(_Happened):
    """An event of a device's spool was accepted."""

    device: str
    event: messages.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventUnreadable(_Happened):
    """An event with a valid MAC had no valid content; receipts list it."""

    device: str
    spool_id: str
    n: int
    payload_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConflicted(_Happened):
    """The n of an accepted event came again with another event id. The second is kept here and nowhere else."""

    device: str
    event: messages.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolGapFound(_Happened):
    """Events that the device no longer has, by the `oldest_n` of its birth: lost, and named."""

    device: str
    spool_id: str
    from_n: int
    to_n: int


# --- sessions -------------------------------------------------------------------------------------------------------


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
class SessionRefused(_Happened):
    """The fleet refused a request. Screening appears by its outcome only."""

    request_id: str
    client: str
    device: str
    operator: str
    screened: Screened
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAuthorised(_Happened):
    """The fleet authorised a session. `answered_s`: when the answered sample was received, on this host."""

    request_id: str
    device: str
    authorisation: messages.Authorisation
    answered_s: float
    screened: Screened


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisationAccepted(_Happened):
    """The device accepted it: the therapist may arm."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeclined(_Happened):
    """The device refused it."""

    session_id: str
    reason: CommandRefusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpired(_Happened):
    """It was not started in its time, or the device booted meanwhile."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCancelled(_Happened):
    """Withdrawn before it ran."""

    session_id: str
    command_id: str
    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAdvanced(_Happened):
    """A live sample showed the session in another phase: authorised, armed, running, paused or stopping."""

    session_id: str
    to: SessionState
    elapsed_s: float
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMeasured(_Happened):
    """The first good impedance of a session: what drying pads are compared with."""

    session_id: str
    impedance_ohm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExceeded(_Happened):
    """A sample was over a limit. `quantity` carries its unit."""

    session_id: str
    device: str
    quantity: str
    value: float
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFlatlined(_Happened):
    """So many samples under current read exactly the same (H17)."""

    session_id: str
    device: str
    amplitude_ma: float
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWithheld(_Happened):
    """No lease for this session any more."""

    session_id: str
    reason: WithheldFor


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputUnpermitted(_Happened):
    """A device was live without a session that the fleet leads on that boot (A02)."""

    device: str
    session_id: str | None
    phase: Phase
    amplitude_ma: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(_Happened):
    """A session is over. `cause` None: never reported; `ended` None: the device has not given its numbers."""

    session_id: str
    to: SessionState
    cause: Cause | None
    ended: messages.SessionEnded | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLost(_Happened):
    """The device of a live session was lost."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCleared(_Happened):
    """A person at the device reset the latch that the session had left."""

    session_id: str


# --- stops and holds ------------------------------------------------------------------------------------------------


class ConfirmedBy(StrEnum):
    """What showed that current is zero."""

    ACK = "ack"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTarget(Strict):
    """A device that a stop is followed on until zero is measured.

    `urgent`: it had a live session or measured output, so A01 follows if zero is not. `pulse_period_s`: of its train.
    `after_seq`: its newest sample when the stop was ordered (-1: none); zero counts in later ones of `boot_n` or of a
    later boot.
    """

    device: str
    urgent: bool
    pulse_period_s: float
    boot_n: int
    after_seq: int
    session_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrdered(_Happened):
    """A stop was decided. `device` is `topics.ALL` for the site; `targets` are followed until zero is measured."""

    device: str
    stop: messages.Stop
    reason: str
    targets: tuple[StopTarget, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPublished(_Happened):
    """The broker took a stop for the first time, at `sent_s`."""

    command_id: str
    hold_id: str | None
    sent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReceived(_Happened):
    """A device acknowledged a stop, at once, before its outcome. Seconds from sending."""

    command_id: str
    device: str
    sent_to_received_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConfirmed(_Happened):
    """Zero was measured on a device after a stop. Latencies in seconds; None where a step was never heard of."""

    command_id: str
    device: str
    by: ConfirmedBy
    amplitude_ma: float
    cause_to_sent_s: float | None
    sent_to_received_s: float | None
    sent_to_zero_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnconfirmed(_Happened):
    """Zero was not confirmed in time on a device that was live (A01): it stays open until `StopConfirmed`."""

    command_id: str
    device: str
    room: str
    cause: Cause
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(_Happened):
    """A person lifted holds of a scope: each device in `devices` is told until it lists none of its ids any more."""

    command_id: str
    scope: Scope
    device: str | None
    holds: tuple[str, ...]
    devices: dict[str, tuple[str, ...]]
    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(_Happened):
    """A device does not list a released hold any more. Its own latch waits for a person there."""

    command_id: str
    device: str


Event = (
    FleetTookOver
    | FleetNumberRaised
    | DrainOrdered
    | RegistryAdopted
    | SecurityNoticed
    | DeviceEnrolled
    | DeviceBooted
    | DeviceBorn
    | DeviceLost
    | DeviceReturned
    | SettingsIssued
    | DeviceReported
    | EventUnreadable
    | EventConflicted
    | SpoolGapFound
    | SessionRefused
    | SessionAuthorised
    | AuthorisationAccepted
    | SessionDeclined
    | SessionExpired
    | SessionCancelled
    | SessionAdvanced
    | BaselineMeasured
    | LimitExceeded
    | SensorFlatlined
    | SessionWithheld
    | OutputUnpermitted
    | SessionEnded
    | SessionLost
    | SessionCleared
    | StopOrdered
    | StopPublished
    | StopReceived
    | StopConfirmed
    | StopUnconfirmed
    | HoldReleased
    | HoldLifted
)
