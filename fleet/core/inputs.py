"""Everything that the core hears. Time arrives inside: `now_s` and `received_s` are the fleet host's boot time
(CLOCK_BOOTTIME) and decide; `wall_s` is Unix time, for people and for calendar rules.

The shell feeds inputs one at a time, in the order of its inbox. What people type has been parsed at the edge: ids,
client tokens, rule sets and plans are as `broker.contract.shapes` allows, because they go into messages as they are.
"""

from dataclasses import dataclass

from broker.contract.messages import Scope, Uplink
from broker.contract.plan import Plan
from broker.contract.topics import Channel
from fleet.core.alarm_inputs import Asked, Recorded, Reported, RotaChanged
from fleet.core.registry import Registry
from fleet.core.screening import Screening

# --- the wire -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """An authentic, well-formed uplink message. `received_s` is taken when it left the socket.

    `retained` is the MQTT flag: retained telemetry, events and acks are refused, a retained birth is believed.
    """

    device: str
    message: Uplink
    received_s: float
    wall_s: float
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """Input that the edge dropped: no valid MAC, malformed, unknown topic. Never its payload.

    `reason` is a short fixed word of the edge's (`mac_invalid`, `malformed`, `oversize` ...), for metric and event.
    `device` and `channel` are what the topic claimed; None where it claimed nothing.
    """

    device: str | None
    channel: Channel | None
    reason: str
    received_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message on the event channel with a valid MAC and content that could not be read.

    `spool_id` and `n` where they could still be made out: then the receipt lists it, and the agent quarantines it.
    """

    device: str
    spool_id: str | None
    n: int | None
    payload_sha256: str
    received_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class StopSent:
    """The performer's report on every `effects.SendStop`: the broker took it at `sent_s`.

    `hold_id` is the first 8 bytes of SHA-256 of the payload that was sent, as hex, None where the stop is no hold.
    The core cannot encode a payload, and a report is also the proof that it went out; the same `Stop` always encodes
    to the same bytes, so a repeat reports the same id.
    """

    command_id: str
    hold_id: str | None
    sent_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class StopCleared:
    """The performer's report on every `effects.ClearRetained`: the broker took the empty message at `sent_s`.

    `device` and `command_id` are those of the effect. Until it is reported the core asks again.
    """

    device: str
    command_id: str
    sent_s: float
    wall_s: float


# --- people ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSession:
    """A therapist asks for a session. The same `request_id` again is the same request: it gets the same answer.

    `issued_by`: the user who asks for it, where they are signed in.
    """

    request_id: str
    client: str
    device: str
    room: str  # where the therapist says the device stands: confirmed against the registry (H14)
    plan: Plan
    screening: Screening
    operator: str
    issued_by: str | None = None
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSession:
    """Withdraw a session that has not started."""

    request_id: str
    session_id: str
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PushStop:
    """Emergency stop from a person at a screen. `device` None: every device of the site. Never refused."""

    request_id: str
    device: str | None
    issued_by: str
    reason: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOff:
    """A person standing at the device has seen to it that it is off: at the wall, where its agent is dead (H22).

    Ends what cannot be measured any more: the open stops of this device (A01) and its lost session.
    """

    request_id: str
    device: str
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHold:
    """Lift the holds of a scope. `device` says which for scopes `device` and `service`; `all` has none."""

    request_id: str
    scope: Scope
    device: str | None
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Authorise nothing new from now on, until `Undrain`, also after a restart; running sessions are leased on."""

    request_id: str
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrain:
    """Authorise sessions again."""

    request_id: str
    issued_by: str
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptClock:
    """The host's wall clock has stepped ahead, and is right now: go on from `wall_s`."""

    request_id: str
    issued_by: str
    reason: str
    now_s: float
    wall_s: float


# --- the house ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegistryChanged:
    """The whole registry, at start and whenever it changes. The same one again changes nothing."""

    registry: Registry
    now_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class TookOver:
    """This instance holds the lock and has folded the journal: the first input after a start.

    `host_boot` names the host's boot (/proc/sys/kernel/random/boot_id): boot times of another boot are not compared.
    The fleet's number becomes one above the journal's, every birth's and `fleet_n_min`.
    """

    host_boot: str
    now_s: float
    wall_s: float
    fleet_n_min: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes: every 50 to 100 ms. Timers, repeats and losses are found here."""

    now_s: float
    wall_s: float


Input = (
    Asked
    | Reported
    | Recorded
    | RotaChanged
    | Received
    | Rejected
    | Unreadable
    | StopSent
    | StopCleared
    | RequestSession
    | CancelSession
    | PushStop
    | ConfirmOff
    | ReleaseHold
    | Drain
    | Undrain
    | AcceptClock
    | RegistryChanged
    | TookOver
    | Tick
)
