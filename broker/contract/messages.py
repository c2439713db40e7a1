"""Every message of the wire contract, version 1: one frozen dataclass each, units last in the names.

The classes say what fields there are and how large a field may be (`shapes`). Bytes, strictness and errors are the
codec's (`broker.wire.codec`). `None` is JSON null and always means "there is none" or "there is no reading": a
missing reading is never a zero.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from broker.contract.causes import Cause
from broker.contract.limits import Limits
from broker.contract.plan import Plan
from broker.contract.shapes import (
    AtMost,
    Between,
    BootTime,
    Capability,
    Celsius,
    ClientToken,
    Count,
    Hertz,
    HexId,
    HoldId,
    Label,
    MicroCoulombs,
    MicroSeconds,
    MilliAmps,
    Ohms,
    OperatorId,
    Ordinal,
    Percent,
    Quantity,
    RoomId,
    RuleSet,
    Seconds,
    Sha256Hex,
    SignedSeconds,
    Strict,
    WallTime,
)


class Phase(StrEnum):
    """Where the device is in a session. Live: armed, running, paused, stopping."""

    IDLE = "idle"
    AUTHORISED = "authorised"
    ARMED = "armed"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    LATCHED = "latched"
    FAULT = "fault"


LIVE_PHASES = frozenset({Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING})


class EventKind(StrEnum):
    """What an agent reports through its durable spool."""

    SESSION_ARMED = "session_armed"
    SESSION_DISARMED = "session_disarmed"
    SESSION_STARTED = "session_started"
    SETTING_CHANGED = "setting_changed"
    SESSION_PAUSED = "session_paused"
    SESSION_RESUMED = "session_resumed"
    SESSION_ENDED = "session_ended"
    STOP_PRESSED = "stop_pressed"
    ELECTRODE_OPEN = "electrode_open"
    ELECTRODE_SHORT = "electrode_short"
    ELECTRODE_DEGRADED = "electrode_degraded"
    OVER_LIMIT = "over_limit"
    OVER_TEMPERATURE = "over_temperature"
    BATTERY_LOW = "battery_low"
    BATTERY_EMPTY = "battery_empty"
    SENSOR_FROZEN = "sensor_frozen"
    OUTPUT_STUCK = "output_stuck"
    WATCHDOG_TRIPPED = "watchdog_tripped"
    LEASE_LOST = "lease_lost"
    LATCHED = "latched"
    LATCH_RESET = "latch_reset"
    HOLD_SET = "hold_set"
    HOLD_LIFTED = "hold_lifted"
    COMMAND_REFUSED = "command_refused"
    CLOCK_STEPPED = "clock_stepped"
    SELF_TEST_FAILED = "self_test_failed"
    SPOOL_DROPPED = "spool_dropped"


class Condition(StrEnum):
    """What a device may list as present in its birth."""

    ELECTRODE_OPEN = "electrode_open"
    ELECTRODE_SHORT = "electrode_short"
    ELECTRODE_DEGRADED = "electrode_degraded"
    OVER_LIMIT = "over_limit"
    OVER_TEMPERATURE = "over_temperature"
    BATTERY_LOW = "battery_low"
    BATTERY_EMPTY = "battery_empty"
    SENSOR_FROZEN = "sensor_frozen"
    OUTPUT_STUCK = "output_stuck"
    WATCHDOG_TRIPPED = "watchdog_tripped"
    SELF_TEST_FAILED = "self_test_failed"


class Scope(StrEnum):
    """What a hold or a release is about: one device, the whole site, or a device taken out of service."""

    DEVICE = "device"
    ALL = "all"
    SERVICE = "service"


class AckStatus(StrEnum):
    """How far an agent is with a command."""

    RECEIVED = "received"
    DONE = "done"
    REFUSED = "refused"


class CommandRefusal(StrEnum):
    """Why an agent refused a command."""

    STALE = "stale"  # answers no sample that is young enough
    UNKNOWN_SAMPLE = "unknown_sample"  # answers a sample that this agent never sent, or forgot
    OTHER_BOOT = "other_boot"
    OLD_FLEET = "old_fleet"  # a fleet instance that another one has replaced
    OTHER_SESSION = "other_session"
    NOT_IDLE = "not_idle"
    LATCHED = "latched"
    HELD = "held"
    BEYOND_LIMITS = "beyond_limits"  # the plan exceeds the device's own limits
    OTHER_ROOM = "other_room"
    ALREADY_RUNNING = "already_running"  # a cancel that came too late: only a stop ends a running session
    UNKNOWN_HOLD = "unknown_hold"
    NOT_READY = "not_ready"  # battery, self-test or an unanswered disk
    NOT_AUTHENTIC = "not_authentic"  # forged, foreign or without a MAC; a burst of them is one event
    UNREADABLE = "unreadable"  # authentic, but no message of its channel
    RETAINED = "retained"  # retained where nothing may be


# --- uplink ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holds(Strict):
    """The holds that a device obeys, per scope: ids of retained stops, newest last.

    `more` says that there were over 16 in a scope, so the list is not all of them; `service` is the hold that
    settings set and only a release with scope service lifts.
    """

    device: Annotated[tuple[HoldId, ...], AtMost(16)]
    all: Annotated[tuple[HoldId, ...], AtMost(16)]
    service: bool
    more: bool

    @classmethod
    def of(
        cls,
        device: tuple[str, ...] = (),
        all: tuple[str, ...] = (),  # noqa: A002 - the name of the scope
        *,
        service: bool = False,
        more: bool = False,
    ) -> Self:
        """Holds of these scopes and of no other: on the wire nothing may be left out, here it may."""
        return cls(device, all, service, more)

    def __bool__(self) -> bool:
        return bool(self.device or self.all or self.service or self.more)


@dataclass(frozen=True, slots=True)
class Birth(Strict):
    """What a device is, sent after subscribing and on any change of these. Retained."""

    boot_n: Ordinal
    seq: Count
    fleet_n: Count
    spool_id: HexId
    oldest_n: Ordinal
    serial: Label
    model: Label
    firmware: Label
    agent_version: Label
    profile: Limits
    capabilities: Annotated[tuple[Capability, ...], AtMost(32)]
    settings_version: Count
    latched: Cause | None
    holds: Holds
    conditions: Annotated[tuple[Condition, ...], AtMost(16)]
    session_id: HexId | None
    at: WallTime


@dataclass(frozen=True, slots=True)
class Presence(Strict):
    """A hint that a device is there; also its will. It decides nothing."""

    boot_n: Ordinal
    online: bool


@dataclass(frozen=True, slots=True)
class Telemetry(Strict):
    """One sample. Readings that the device could not take are None, never zero.

    `amplitude_ma` is the peak measured over the last max(100 ms, one pulse period); `setting_ma` what the therapist
    set; `elapsed_s` excludes pauses; `lease_margin_s` what is left of the permission.
    """

    boot_n: Ordinal
    seq: Count
    at: WallTime
    phase: Phase
    session_id: HexId | None
    elapsed_s: Seconds
    setting_ma: MilliAmps
    amplitude_ma: MilliAmps | None
    pulse_width_us: MicroSeconds
    frequency_hz: Hertz
    impedance_ohm: Ohms | None
    battery_pct: Percent | None
    temperature_c: Celsius | None
    lease_margin_s: SignedSeconds | None
    settings_version: Count
    late: bool


@dataclass(frozen=True, slots=True)
class SettingChanged(Strict):
    """The therapist raised or lowered the strength."""

    setting_ma: MilliAmps


@dataclass(frozen=True, slots=True)
class SessionEnded(Strict):
    """A session's numbers. `elapsed_s` excludes pauses, `on_time_s` counts ON phases; `gaps` of its own record."""

    elapsed_s: Seconds
    on_time_s: Seconds
    peak_ma: MilliAmps
    charge_uc: MicroCoulombs
    gaps: Count


@dataclass(frozen=True, slots=True)
class Measured(Strict):
    """The reading that a fault was judged by: `quantity` names it with its unit, e.g. `impedance_ohm`."""

    quantity: Label
    value: Quantity | None
    limit: Quantity | None


@dataclass(frozen=True, slots=True)
class HoldChanged(Strict):
    """A hold was set or lifted at the device."""

    scope: Scope
    hold_id: HoldId | None


@dataclass(frozen=True, slots=True)
class CommandRefused(Strict):
    """A command that the agent did not obey."""

    channel: Label
    command_id: HexId | None
    reason: CommandRefusal


@dataclass(frozen=True, slots=True)
class ClockStepped(Strict):
    """The wall clock moved against boot time."""

    step_s: SignedSeconds


@dataclass(frozen=True, slots=True)
class SpoolDropped(Strict):
    """Events that the spool no longer has: full disk, or quarantined as unreadable."""

    from_n: Ordinal
    to_n: Ordinal


@dataclass(frozen=True, slots=True)
class SelfTestFailed(Strict):
    """Which check of the stimulator or agent failed."""

    check: Label


Detail = (
    SettingChanged
    | SessionEnded
    | Measured
    | HoldChanged
    | CommandRefused
    | ClockStepped
    | SpoolDropped
    | SelfTestFailed
)

# The detail that goes with a kind; kinds that are not listed carry none. The codec holds every event to it.
DETAIL_OF: dict[EventKind, type[Detail]] = {
    EventKind.SETTING_CHANGED: SettingChanged,
    EventKind.SESSION_ENDED: SessionEnded,
    EventKind.ELECTRODE_OPEN: Measured,
    EventKind.ELECTRODE_SHORT: Measured,
    EventKind.ELECTRODE_DEGRADED: Measured,
    EventKind.OVER_LIMIT: Measured,
    EventKind.OVER_TEMPERATURE: Measured,
    EventKind.BATTERY_LOW: Measured,
    EventKind.BATTERY_EMPTY: Measured,
    EventKind.SENSOR_FROZEN: Measured,
    EventKind.OUTPUT_STUCK: Measured,
    EventKind.HOLD_SET: HoldChanged,
    EventKind.HOLD_LIFTED: HoldChanged,
    EventKind.COMMAND_REFUSED: CommandRefused,
    EventKind.CLOCK_STEPPED: ClockStepped,
    EventKind.SPOOL_DROPPED: SpoolDropped,
    EventKind.SELF_TEST_FAILED: SelfTestFailed,
}


@dataclass(frozen=True, slots=True)
class Event(Strict):
    """Something that happened, kept by the agent until the fleet's receipt covers `n` of `spool_id`."""

    boot_n: Ordinal
    spool_id: HexId
    n: Ordinal
    event_id: HexId
    at: WallTime
    boottime_s: BootTime
    session_id: HexId | None
    kind: EventKind
    cause: Cause | None
    detail: Detail | None


@dataclass(frozen=True, slots=True)
class Ack(Strict):
    """What became of a command. For a stop, `done` carries the measured peak below 1 mA."""

    boot_n: Ordinal
    command_id: HexId
    status: AckStatus
    reason: CommandRefusal | None
    amplitude_ma: MilliAmps | None
    at: WallTime


# --- downlink -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease(Strict):
    """Your sample `answers` was inside every limit: output is allowed until `ttl_ms` after you sent it."""

    fleet_n: Ordinal
    boot_n: Ordinal
    session_id: HexId
    answers: Count
    ttl_ms: Annotated[int, Between(1, 10_000)]


@dataclass(frozen=True, slots=True)
class Authorisation(Strict):
    """A session may be armed and started at the device, within `start_within_s` of the answered sample."""

    fleet_n: Ordinal
    boot_n: Ordinal
    answers: Count
    command_id: HexId
    session_id: HexId
    client: ClientToken
    operator: OperatorId
    room: RoomId
    rule_set: RuleSet
    plan: Plan
    limits: Limits
    start_within_s: Annotated[float, Between(10.0, 3600.0)]
    pause_total_s: Annotated[float, Between(0.0, 600.0)]
    lease_ttl_ms: Annotated[int, Between(4_000, 10_000)]
    issued_at: WallTime


@dataclass(frozen=True, slots=True)
class Cancel(Strict):
    """Withdraws an authorisation before RUNNING; latches nothing."""

    boot_n: Ordinal
    command_id: HexId
    session_id: HexId


@dataclass(frozen=True, slots=True)
class Stop(Strict):
    """Zero now. The channel obeys any bytes; these fields are believed only under a valid MAC."""

    command_id: HexId
    cause: Cause
    hold: bool
    issued_by: Label
    issued_at: WallTime


@dataclass(frozen=True, slots=True)
class Release(Strict):
    """Lifts the named holds of a scope. Starts nothing: the latch stays until a person resets it."""

    fleet_n: Ordinal
    boot_n: Ordinal
    answers: Count
    command_id: HexId
    scope: Scope
    holds: Annotated[tuple[HoldId, ...], AtMost(32)]
    issued_by: Label


@dataclass(frozen=True, slots=True)
class Settings(Strict):
    """What a clinic sets on a device. Tighter limits apply at once, looser ones at the next authorisation."""

    version: Ordinal
    capabilities: Annotated[tuple[Capability, ...], AtMost(32)]
    room: RoomId
    idle_period_s: Annotated[float, Between(1.0, 10.0)]
    live_period_s: Annotated[float, Between(0.05, 0.5)]
    limits: Limits
    service_hold: bool


@dataclass(frozen=True, slots=True)
class Unreadable(Strict):
    """An event with a valid MAC that the fleet could not read; the agent quarantines it."""

    n: Ordinal
    payload_sha256: Sha256Hex


@dataclass(frozen=True, slots=True)
class Receipt(Strict):
    """Every event of `spool_id` up to `upto` is in the journal, or listed as unreadable: it may be deleted."""

    spool_id: HexId
    upto: Count
    unreadable: Annotated[tuple[Unreadable, ...], AtMost(32)]


Uplink = Birth | Presence | Telemetry | Event | Ack
Downlink = Lease | Authorisation | Cancel | Stop | Release | Settings | Receipt
Message = Uplink | Downlink
