"""An example of every message, in one place: the published document shows them, tests and vectors are made of them.

They tell of one session: client and operator at stim-12 in room 4 of the site north, boot 7, fleet instance 3.
"""

from broker.contract.causes import Cause
from broker.contract.limits import GENERIC_PROFILE, Layer
from broker.contract.messages import (
    DETAIL_OF,
    Ack,
    AckStatus,
    Authorisation,
    Birth,
    Cancel,
    ClockStepped,
    CommandRefusal,
    CommandRefused,
    Detail,
    Event,
    EventKind,
    HoldChanged,
    Holds,
    Lease,
    Measured,
    Message,
    Phase,
    Presence,
    Receipt,
    Release,
    Scope,
    SelfTestFailed,
    SessionEnded,
    SettingChanged,
    Settings,
    SpoolDropped,
    Stop,
    Telemetry,
    Unreadable,
)
from broker.contract.plan import BodySite, Modality, Plan
from broker.contract.topics import Channel

SITE = "north"
DEVICE = "stim-12"
ROOM = "room-4"
BOOT_N = 7
FLEET_N = 3
SESSION_ID = "5e551047" * 4
COMMAND_ID = "c0ffee12" * 4
SPOOL_ID = "0b5e55ed" * 4
EVENT_ID = "e0e0a1b2" * 4
HOLD_ID = "9f86d081884c7d65"
AT = "2026-11-23T09:30:00.000Z"
SEQ = 187_649_984_473_770  # counts from a random 48-bit number

PLAN = Plan(
    modality=Modality.NMES,
    body_site=BodySite.THIGH,
    electrode_area_cm2=50.0,
    frequency_hz=50.0,
    pulse_width_us=300.0,
    setting_ma_max=60.0,
    duration_s=1200.0,
    on_s=6.0,
    off_s=12.0,
    ramp_up_s=1.0,
    ramp_down_s=1.0,
)
LIMITS = GENERIC_PROFILE.tightened_by(Layer.CLINIC, peak_ma_max=80.0).tightened_by(
    Layer.PLAN, peak_ma_max=60.0, session_s_max=1200.0
)

_DETAILS: dict[type[Detail], Detail] = {
    SettingChanged: SettingChanged(setting_ma=31.0),
    SessionEnded: SessionEnded(elapsed_s=1200.0, on_time_s=401.5, peak_ma=42.0, charge_uc=252_945.0, gaps=0),
    Measured: Measured(quantity="impedance_ohm", value=5200.0, limit=5000.0),
    HoldChanged: HoldChanged(scope=Scope.DEVICE, hold_id=HOLD_ID),
    CommandRefused: CommandRefused(channel="release", command_id=COMMAND_ID, reason=CommandRefusal.STALE),
    ClockStepped: ClockStepped(step_s=-3600.0),
    SpoolDropped: SpoolDropped(from_n=17, to_n=19),
    SelfTestFailed: SelfTestFailed(check="relay_opens"),
}
# Where a kind's own cause goes without saying, it is said here all the same.
_CAUSES = {
    EventKind.SESSION_ENDED: Cause.COMPLETED,
    EventKind.LATCHED: Cause.EMERGENCY_STOP,
    EventKind.STOP_PRESSED: Cause.PATIENT_STOP,
    EventKind.LEASE_LOST: Cause.LEASE_LOST,
}


def _event(n: int, kind: EventKind) -> Event:
    wanted = DETAIL_OF.get(kind)
    return Event(
        boot_n=BOOT_N,
        spool_id=SPOOL_ID,
        n=n,
        event_id=EVENT_ID,
        at=AT,
        boottime_s=86_412.25,
        session_id=SESSION_ID,
        kind=kind,
        cause=_CAUSES.get(kind),
        detail=None if wanted is None else _DETAILS[wanted],
    )


EVENTS: dict[EventKind, Event] = {kind: _event(n, kind) for n, kind in enumerate(EventKind, start=20)}

EXAMPLES: dict[Channel, Message] = {
    Channel.BIRTH: Birth(
        boot_n=BOOT_N,
        seq=SEQ,
        fleet_n=FLEET_N,
        spool_id=SPOOL_ID,
        oldest_n=20,
        serial="RS2-004711",
        model="generic",
        firmware="3.1.4",
        agent_version="0.1.0",
        profile=GENERIC_PROFILE,
        capabilities=("late_telemetry",),
        settings_version=4,
        latched=None,
        holds=Holds.of(device=(HOLD_ID,)),
        conditions=(),
        session_id=None,
        at=AT,
    ),
    Channel.PRESENCE: Presence(boot_n=BOOT_N, online=True),
    Channel.TELEMETRY: Telemetry(
        boot_n=BOOT_N,
        seq=SEQ + 1200,
        at=AT,
        phase=Phase.RUNNING,
        session_id=SESSION_ID,
        elapsed_s=311.5,
        setting_ma=31.0,
        amplitude_ma=30.8,
        pulse_width_us=300.0,
        frequency_hz=50.0,
        impedance_ohm=912.0,
        battery_pct=88.0,
        temperature_c=31.5,
        lease_margin_s=4.6,
        settings_version=4,
        late=False,
    ),
    Channel.EVENT: EVENTS[EventKind.SESSION_ENDED],
    Channel.ACK: Ack(boot_n=BOOT_N, command_id=COMMAND_ID, status=AckStatus.DONE, reason=None, amplitude_ma=0.1, at=AT),
    Channel.LEASE: Lease(fleet_n=FLEET_N, boot_n=BOOT_N, session_id=SESSION_ID, answers=SEQ + 1200, ttl_ms=5000),
    Channel.AUTHORISATION: Authorisation(
        fleet_n=FLEET_N,
        boot_n=BOOT_N,
        answers=SEQ + 40,
        command_id=COMMAND_ID,
        session_id=SESSION_ID,
        client="client-7f3a9c",
        operator="ana",
        room=ROOM,
        rule_set="nmes-1",
        plan=PLAN,
        limits=LIMITS,
        start_within_s=300.0,
        pause_total_s=600.0,
        lease_ttl_ms=5000,
        issued_at=AT,
    ),
    Channel.CANCEL: Cancel(boot_n=BOOT_N, command_id=COMMAND_ID, session_id=SESSION_ID),
    Channel.STOP: Stop(command_id=COMMAND_ID, cause=Cause.EMERGENCY_STOP, hold=True, issued_by="ana", issued_at=AT),
    Channel.RELEASE: Release(
        fleet_n=FLEET_N,
        boot_n=BOOT_N,
        answers=SEQ + 2400,
        command_id=COMMAND_ID,
        scope=Scope.DEVICE,
        holds=(HOLD_ID,),
        issued_by="ana",
    ),
    Channel.SETTINGS: Settings(
        version=5,
        capabilities=("late_telemetry",),
        room=ROOM,
        idle_period_s=5.0,
        live_period_s=0.5,
        limits=GENERIC_PROFILE.tightened_by(Layer.SETTINGS, peak_ma_max=80.0),
        service_hold=False,
    ),
    Channel.RECEIPT: Receipt(
        spool_id=SPOOL_ID,
        upto=46,
        unreadable=(Unreadable(n=44, payload_sha256="5e884898da280471" * 4),),
    ),
}
