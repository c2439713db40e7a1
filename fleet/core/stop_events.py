"""Durable events of stops and holds."""

from dataclasses import dataclass
from enum import StrEnum

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import Phase, Scope
from broker.contract.shapes import Strict
from fleet.core.happened import Happened


class ConfirmedBy(StrEnum):
    """What showed that current is zero."""

    ACK = "ack"
    TELEMETRY = "telemetry"
    PERSON = "person"  # standing at a device that does not speak any more


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTarget(Strict):
    """A device that a stop is followed on until zero is measured, as it was when the stop was ordered.

    `urgent`: it had a live session or measured output, so A01 follows if zero is not. `pulse_period_s`: of its train.
    `boot_n` and `after_seq`: its newest sample when the stop was ordered (-1: none); only later ones can show zero.
    """

    device: str
    urgent: bool
    pulse_period_s: float
    boot_n: int
    after_seq: int
    session_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrdered(Happened):
    """A stop was decided. `device` is `topics.ALL` for the site; `targets` are followed until zero is measured."""

    device: str
    stop: messages.Stop
    reason: str
    targets: tuple[StopTarget, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPushedAgain(Happened):
    """Somebody pushed for emergency stop where one is open and follows every device concerned: it was sent again."""

    command_id: str
    device: str
    issued_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPublished(Happened):
    """The broker took a stop for the first time, at `sent_s`."""

    command_id: str
    hold_id: str | None
    sent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReceived(Happened):
    """A device acknowledged a stop, at once, before its outcome. Seconds from sending."""

    command_id: str
    device: str
    sent_to_received_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFoundLive(Happened):
    """A sample after a stop shows a live phase or output where none was known of: from now on A01 follows.

    `boot_n` and `seq` are that sample's; `pulse_period_s` of the train that may be running.
    """

    command_id: str
    device: str
    boot_n: int
    seq: int
    phase: Phase
    amplitude_ma: float | None
    pulse_period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConfirmed(Happened):
    """Zero was measured on a device after a stop, or a person there says that it is off (`amplitude_ma` None).

    Latencies in seconds; None where a step was never heard of.
    """

    command_id: str
    device: str
    by: ConfirmedBy
    amplitude_ma: float | None
    cause_to_sent_s: float | None
    sent_to_received_s: float | None
    sent_to_zero_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnconfirmed(Happened):
    """Zero was not confirmed in time on a device that was live (A01): it stays open until `StopConfirmed`."""

    command_id: str
    device: str
    room: str
    cause: Cause
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Happened):
    """A person lifted every hold of a scope. What is retained is cleared, and each device in `devices` is told until
    a later birth lists none of its ids.
    """

    command_id: str
    scope: Scope
    device: str | None
    holds: tuple[str, ...]
    devices: dict[str, tuple[str, ...]]
    issued_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted(Happened):
    """A device does not list a released hold any more. Its own latch waits for a person there."""

    command_id: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCleared(Happened):
    """The broker took the empty message: it retains nothing of a released hold any more."""

    command_id: str
    device: str
