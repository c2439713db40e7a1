"""The state: what the fleet knows.

One owner, one thread. `State` is a set of mappings that their owner changes in place, of records that are frozen:
a sample replaces one record of one device, where an immutable whole would be copied for every sample. What a reader
took out of a mapping never changes under it.

The durable part is the fold of the events, and nothing else: `Durable`. It is also the snapshot. What is folded from
samples without an event (the newest sample, what was last sent when) is `Fleeting`: it starts empty, and everything
decided on it is decided for the safe side when it is empty.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import date

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import Breach, Limit, Limits
from broker.contract.messages import Scope
from broker.contract.plan import Plan
from broker.contract.shapes import Strict
from fleet.core.alarm_events import Priority
from fleet.core.alarm_state import Alarm, PastAlarm, Signs
from fleet.core.attention_state import Attention, Drill, Page, Proof
from fleet.core.budget_state import Budget
from fleet.core.clock_events import Steady
from fleet.core.dose import ClientDoses
from fleet.core.events import SessionState, StopTarget, WithheldFor
from fleet.core.meter import Meter
from fleet.core.registry import RegisteredDevice, Registry
from fleet.core.rota import Rota
from fleet.core.screening import Screened
from fleet.core.store_events import Recorder

NO_BOOT = 0  # no boot heard yet: boot numbers start at 1
NO_SEQ = -1
SENDINGS_KEPT = 4096

LIVE_STATES = frozenset({SessionState.ARMED, SessionState.RUNNING, SessionState.PAUSED, SessionState.STOPPING})
# Occupies its device and its client: nothing else may be authorised there.
OPEN_STATES = LIVE_STATES | {SessionState.AUTHORISED, SessionState.LOST}


# --- durable --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool(Strict):
    """How far the journal has one spool of a device. Bounded: `beyond`, `recent` and `unreadable` (receipts.py)."""

    spool_id: str
    upto: int = 0  # every n up to here is accounted for
    beyond: tuple[tuple[int, int], ...] = ()  # ranges accounted for ahead of a gap, first and last, rising
    recent: tuple[tuple[int, str], ...] = ()  # n and event id of the newest accepted, for conflicts
    unreadable: tuple[messages.Unreadable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRelease(Strict):
    """Holds that a device still has to lift. `boot_n` and `birth_seq`: its newest birth at the time of the release,
    which may be from before it obeyed the stop; only a later one shows that nothing is left to lift.
    """

    command_id: str
    scope: Scope
    holds: tuple[str, ...]
    issued_by: str
    boot_n: int
    birth_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Strict):
    """What is known of one device, durably."""

    device: str
    enrolment: str | None = None
    boot_n: int = NO_BOOT
    birth: messages.Birth | None = None
    seq_floor: int = NO_SEQ  # of this boot: what a restarted fleet knows to be old (samples are not journaled)
    lost: bool = True  # nothing heard yet
    settings: messages.Settings | None = None  # the newest issued
    settings_since_s: float = 0.0
    older_settings: tuple[messages.Settings, ...] = ()  # newest first: samples are judged by the version they name
    session_id: str | None = None  # the newest session authorised here; its own state says whether it is over
    releases: tuple[PendingRelease, ...] = ()
    spools: dict[str, Spool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(Strict):
    """One session. `ran_s` is the fleet's own timer up to `since_s`, pauses left out; it never counts backwards."""

    session_id: str
    request_id: str
    device: str
    state: SessionState
    authorisation: messages.Authorisation
    answered_s: float  # when the sample was received that the authorisation answered
    authorised_wall_s: float
    screened: Screened
    settings_version: int = 0  # of its device, when it was authorised: newer ones count for it (contract.md, rule 7)
    outgrown: Limits | None = None  # the strictest of those newer ones that the device's record has dropped since
    accepted: bool = False
    since_s: float  # in this state since
    ran_s: float = 0.0
    elapsed_s: float = 0.0  # by the device, at the last change of state
    paused_s: float = 0.0  # pauses that are over
    baseline_ohm: float | None = None
    cancel_id: str | None = None  # the command by which a person withdrew it
    withheld: WithheldFor | None = None
    ended: messages.SessionEnded | None = None
    cause: Cause | None = None

    @property
    def client(self) -> str:
        return self.authorisation.client

    @property
    def plan(self) -> Plan:
        return self.authorisation.plan

    @property
    def live(self) -> bool:
        return self.state in LIVE_STATES

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Pursuit(Strict):
    """A stop on one device, until zero is measured there. `urgent_s`: since when zero is waited for where a session
    or output was known of, so that A01 follows; None where there was neither.
    """

    target: StopTarget
    urgent_s: float | None
    pulse_period_s: float
    received: bool = False
    sent_to_received_s: float | None = None
    unconfirmed: bool = False  # A01 is open


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStop(Strict):
    """A stop with at least one device on which zero has not been measured yet."""

    device: str  # topics.ALL for the site
    stop: messages.Stop
    ordered_s: float
    sent_s: float | None
    pursuits: dict[str, Pursuit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Strict):
    """A retained stop. `hold_id` None until the performer has reported it."""

    stop: messages.Stop
    hold_id: str | None


@dataclass(slots=True, kw_only=True)
class Durable(Strict):
    """The fold of the events. Dump and load it with a strict pydantic TypeAdapter: `TypeAdapter(Durable)`."""

    fleet_n: int = 0
    host_boot: str | None = None
    events_n: int = 0  # events folded; ids are made from it
    now_s: float = 0.0  # of the newest event
    wall_s: float = 0.0
    took_over_s: float = 0.0
    steady: Steady | None = None  # None: nobody has taken over yet
    clock_step_s: float | None = None  # while the host's wall clock is in doubt: by how much it had stepped ahead
    draining: bool = False
    registry: Registry = field(default_factory=Registry)
    devices: dict[str, Device] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    forgotten_at: str = ""  # when the newest of those that are not among them any more was authorised; "": none is
    stops: dict[str, OpenStop] = field(default_factory=dict)  # by command id, oldest first
    pursued: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by device: the stops that follow it
    holds: dict[str, tuple[Hold, ...]] = field(default_factory=dict)  # by device or topics.ALL, newest last
    clearing: dict[str, str] = field(default_factory=dict)  # by the same: the release whose clearing is not reported
    alarms: dict[str, Alarm] = field(default_factory=dict)  # those that are open, by `alarm_state.key`
    past_alarms: tuple[PastAlarm, ...] = ()  # newest last
    signs: dict[str, Signs] = field(default_factory=dict)  # by device: what it last said of itself
    moments: dict[str, float] = field(default_factory=dict)  # by an alarm's key: what lasts for a while only, last when
    attention: dict[str, Attention] = field(default_factory=dict)  # by an alarm's key: how people have it
    pages: dict[str, Page] = field(default_factory=dict)  # by id: messages whose outcome is not known
    rota: Rota | None = None
    unpaged_s: float | None = None  # since when there has been no rota
    proofs: dict[str, Proof] = field(default_factory=dict)  # by `attention_state.channel`
    drills: dict[str, Drill] = field(default_factory=dict)  # by page id: test alarms that nobody has answered yet
    drilled_wall_s: float = 0.0  # when the path was last tested by the calendar, or the rota was adopted
    missed_n: int = 0  # calls and tests that failed in a row, to whomever
    digested_wall_s: dict[Priority, float] = field(default_factory=dict)  # when the last digest was due
    doses: dict[str, ClientDoses] = field(default_factory=dict)  # by client token
    dosed: dict[str, str] = field(default_factory=dict)  # by session id: the client in whose ledger it is
    doses_day: date | None = None  # the day on which they were last gone through
    meters: dict[str, Meter] = field(default_factory=dict)  # by device: what it has run
    recorder: Recorder | None = None  # None: none has spoken, or it has ended in order


# --- fleeting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest live sample of a device on its present boot."""

    sample: messages.Telemetry
    received_s: float
    missed: int  # samples of this boot that never came


@dataclass(frozen=True, slots=True)
class FlatLine:
    """How often in a row the very same reading came while current flowed."""

    session_id: str
    amplitude_ma: float
    impedance_ohm: float | None
    readings: int


@dataclass(frozen=True, slots=True)
class Risen:
    """How high a sample showed the setting, and by which limits it was judged (`rises`)."""

    session_id: str
    seq: int
    setting_ma: float  # 0 where the phase allows none
    elapsed_s: float
    limits: Limits


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a sample of one session is compared with, worked out once for a settings version and a pulse."""

    session_id: str
    settings_version: int
    limits: Limits  # the session's: its authorisation's and the strictest of all settings that its samples named
    pulse_width_us: float
    frequency_hz: float
    setting: Limit  # the highest setting
    setting_over_ma: float  # set above this is over the limit
    peak: Limit  # the highest peak for the pulse that the sample names
    peak_over_ma: float  # measured above this is over the limit
    settled_s: float  # from when on; until then it is `settling_over_ma`
    settling_over_ma: float
    too_high: Breach | None  # of the pulse itself, in any phase
    too_low: Breach | None  # of the pulse itself, while current flows


@dataclass(frozen=True, slots=True)
class DueSoon:
    """Whether anything is due soon on a device, and what that was reckoned from (`due.is_soon`)."""

    today: date
    registered: RegisteredDevice
    meter: Meter | None
    birth: messages.Birth | None
    soon: bool


@dataclass(slots=True)
class Fleeting:
    """Folded from inputs, not from events: never journaled, never in a snapshot."""

    seen: dict[str, Seen] = field(default_factory=dict)
    flat_lines: dict[str, FlatLine] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    risen: dict[tuple[str, bool], Risen] = field(default_factory=dict)  # by device: the newest one, and the last late
    sent_s: dict[str, float] = field(default_factory=dict)  # when something repeated was last sent, by a name for it
    noticed_s: dict[str, float] = field(default_factory=dict)  # security events: when the burst was last recorded
    elapsed_s: dict[str, tuple[str, float]] = field(default_factory=dict)  # by device: session, newest elapsed
    unpermitted_s: dict[str, float] = field(default_factory=dict)  # live without a session: first seen when
    clock_agrees_s: float | None = None  # since when a clock in doubt has gone along with boot time
    looked_s: float = float("-inf")  # when presence was last looked at
    alarms_looked_s: float = float("-inf")  # when alarms were
    pager_s: float = float("-inf")  # when whoever delivers was last heard
    heartbeat: bool | None = None  # whether the switch outside takes its heartbeat
    recorder_s: float = float("-inf")  # when the recorder was last heard
    calendar_s: float = float("-inf")  # when cover, drills and digests were last looked at
    gap_wall_s: float | None = None  # from when on nobody is on call, as of then
    gone_s: dict[str, float] = field(default_factory=dict)  # by an open alarm's key: since when its condition is gone
    dues_day: date | None = None  # the day on which checks were last looked through, and what is left of that
    dues_left: tuple[str, ...] = ()
    due_soon: dict[str, DueSoon] = field(default_factory=dict)  # by device
    budgets: dict[str, Budget] = field(default_factory=dict)  # by device: what it may still write

    def note_sent(self, what: str, now_s: float) -> None:
        """Remember a sending. Bounded: what was forgotten is sent again a little early."""
        self.sent_s.pop(what, None)
        self.sent_s[what] = now_s
        if len(self.sent_s) > SENDINGS_KEPT:
            del self.sent_s[next(iter(self.sent_s))]


@dataclass(slots=True)
class State:
    """Everything. Read it freely in the owner's thread; only `evolve` and `decide` change it."""

    durable: Durable = field(default_factory=Durable)
    fleeting: Fleeting = field(default_factory=Fleeting)

    @property
    def fleet_n(self) -> int:
        return self.durable.fleet_n

    def device(self, device: str) -> Device:
        """What is known of it; an empty record for one never heard of."""
        return self.durable.devices.get(device) or Device(device=device)

    def registered(self, device: str) -> RegisteredDevice | None:
        return self.durable.registry.devices.get(device)

    def session_on(self, device: Device) -> Session | None:
        """The newest session authorised on a device, over or not."""
        return None if device.session_id is None else self.durable.sessions.get(device.session_id)

    def open_sessions(self) -> Iterator[Session]:
        return (session for session in self.durable.sessions.values() if session.open)

    def newest(self, device: str) -> Seen | None:
        return self.fleeting.seen.get(device)


def snapshot(state: State) -> Durable:
    """The durable part, as it is now: later events do not change what was returned. Cheap: records are shared."""
    taken = copy(state.durable)
    for f in fields(Durable):
        value = getattr(taken, f.name)
        if isinstance(value, dict):
            setattr(taken, f.name, dict(value))
    return taken


def restored(taken: Durable) -> State:
    """The state at the time of a snapshot; fold the events after it, then feed `TookOver`."""
    return State(durable=snapshot(State(durable=taken)))
