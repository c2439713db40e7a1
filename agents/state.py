"""What the session at the device knows: one frozen value, replaced as a whole by every step.

Frozen because it is handed to other threads as it is (`Control.snapshot`), and because a test may go on from any
state it has seen. A whole step takes 0.2 ms of a 50 ms tick (measured on a busy machine, with 600 samples kept).
"""

import math
from dataclasses import dataclass, field

from agents.drivers.port import Drive, Identity
from agents.faults import Watch, number
from agents.interlock import Ramp
from agents.steps import Durable
from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.limits import (
    BATTERY_START_PCT,
    ENVELOPE,
    NO_READING_S,
    OVER_TEMPERATURE_C,
    Contact,
    Limits,
    contact,
)
from broker.contract.messages import Condition, Phase
from broker.contract.permission import Permission, SentSamples
from broker.contract.plan import Plan

IDLE_PERIOD_S = 5.0  # of telemetry, until settings say otherwise
LIVE_PERIOD_S = 0.5
BATTERY_RECOVERED_PCT = 2.0  # a reading that hovers at the bound is one occurrence
DISK_ANSWERS_S = 5.0  # a write that takes longer: nothing new is begun


@dataclass(frozen=True, slots=True)
class Numbers:
    """A session's numbers so far. `elapsed_s` excludes pauses; charge is of one phase of each pulse, summed."""

    elapsed_s: float = 0.0
    on_time_s: float = 0.0  # current flowed
    peak_ma: float = 0.0
    charge_uc: float = 0.0
    gaps: int = 0  # stretches without readings


@dataclass(frozen=True, slots=True)
class Session:
    """An accepted authorisation and what became of it."""

    session_id: str
    plan: Plan
    limits: Limits  # the device's, its settings' and the authorisation's: only ever tightened
    start_by_s: float
    pause_total_s: float
    permission: Permission
    margin_least_s: float | None = None  # the thinnest permission left when a lease arrived
    setting_ma: float = 0.0
    raise_from_s: float = -math.inf  # the next raise may come then
    baseline_ohm: float | None = None
    contact: Contact = Contact.OPEN  # as last judged while running
    degraded: bool = False  # since the last start or resume
    numbers: Numbers = Numbers()
    read_s: float | None = None  # when a reading last counted into the numbers
    paused_from_s: float = 0.0
    paused_s: float = 0.0  # of the pauses that are over
    ending: Cause | None = None
    ramp: Ramp | None = None


@dataclass(frozen=True, slots=True)
class Arming:
    """ARM was pressed; the live-session marker is on its way to the disk."""

    press_id: int
    write_n: int


@dataclass(frozen=True, slots=True)
class PendingStop:
    """A stop whose `done` waits for its write and for measured zero."""

    command_id: str
    write_n: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A command's stored outcome."""

    command_id: str
    status: messages.AckStatus
    reason: messages.CommandRefusal | None


@dataclass(frozen=True, slots=True)
class State:
    """Everything the session decides from. Times are boot time."""

    durable: Durable
    identity: Identity
    self_test: str | None  # the check that failed at this start
    phase: Phase
    now_s: float
    drive: Drive
    drive_s: float  # since when
    watch: Watch
    seq: int  # of the next sample
    session: Session | None = None
    marker: str | None = None  # the session whose marker is on disk
    arming: Arming | None = None
    ordered_n: int = 0  # writes ordered, and confirmed
    written_n: int = 0
    written_s: float = -math.inf
    unwritten_s: float = math.inf  # since when a write has been unconfirmed
    stops: tuple[PendingStop, ...] = ()
    decided: tuple[Decided, ...] = ()
    told_s: tuple[tuple[str, float], ...] = ()  # when a refusal was last reported, by channel and reason
    answered_s: tuple[tuple[str, float], ...] = ()  # when a command was last answered, by its id; of the last second
    active: frozenset[Cause] = frozenset()  # faults present at the last tick
    seen_s: tuple[tuple[Cause, float], ...] = ()  # when a fault that was acted on was last present
    ticked_s: float = -math.inf  # when the stimulator was last asked
    trouble_s: float = -math.inf  # when the latch's cause, or a current, was last there
    battery_low: bool = False
    battery_empty: bool = False
    leases_refused: int = 0
    wall_ahead_s: float | None = None  # wall clock less boot time
    sent: SentSamples = field(default_factory=SentSamples)
    sampled_s: float = -math.inf
    sampled_phase: Phase | None = None


# --- what follows from a state ----------------------------------------------------------------------------------------


def is_latched(state: State) -> bool:
    return state.durable.latch is not None


def is_held(state: State) -> bool:
    return bool(state.durable.holds)


def own_limits(state: State) -> Limits:
    """What this device allows by itself: envelope, model, settings."""
    limits = ENVELOPE.tightened(state.identity.profile)
    settings = state.durable.settings
    return limits if settings is None else limits.tightened(settings.limits)


def settings_version(state: State) -> int:
    return 0 if state.durable.settings is None else state.durable.settings.version


def sample_period_s(state: State) -> float:
    settings = state.durable.settings
    if state.phase in messages.LIVE_PHASES:
        return LIVE_PERIOD_S if settings is None else settings.live_period_s
    return IDLE_PERIOD_S if settings is None else settings.idle_period_s


def battery_pct(state: State) -> float | None:
    return number(state.watch.reading.battery_pct) if state.watch.reading is not None else None


def is_answering(state: State) -> bool:
    """Whether the stimulator has read its output within the last second."""
    return state.now_s - state.watch.peak_read_s <= NO_READING_S


def not_ready(state: State) -> str | None:
    """Why nothing new may be begun with this stimulator, in words; None when it may."""
    battery = battery_pct(state)
    reading = state.watch.reading
    temperature = number(reading.temperature_c) if reading is not None else None
    rows = (
        (state.self_test is not None, f"the self-test failed: {state.self_test}: start the agent again to repeat it"),
        (not is_answering(state) or reading is None, "the stimulator does not answer: check its power and its cable"),
        (battery is None or battery < BATTERY_START_PCT, f"the battery is below {BATTERY_START_PCT:.0f} %: charge it"),
        (
            temperature is None or temperature > OVER_TEMPERATURE_C,
            "the stimulator is too warm, or cannot say: let it cool down",
        ),
        (not state.watch.zero_measured, "zero current has not been measured yet: wait a moment"),
        (state.now_s - state.unwritten_s > DISK_ANSWERS_S, "the disk does not answer: call an engineer"),
    )
    return next((words for is_so, words in rows if is_so), None)


def pads(state: State) -> Contact:
    """What the last reading says about the pads while test pulses flow."""
    reading = state.watch.reading
    baseline_ohm = state.session.baseline_ohm if state.session is not None else None
    return contact(number(reading.impedance_ohm) if reading is not None else None, baseline_ohm)


_CONDITIONS = tuple(Condition)
_CONDITION_OF: dict[Cause, Condition] = {
    Cause.OVER_LIMIT: Condition.OVER_LIMIT,
    Cause.OUTPUT_STUCK: Condition.OUTPUT_STUCK,
    Cause.SENSOR_FROZEN: Condition.SENSOR_FROZEN,
    Cause.OVER_TEMPERATURE: Condition.OVER_TEMPERATURE,
    Cause.WATCHDOG_TRIPPED: Condition.WATCHDOG_TRIPPED,
    Cause.SELF_TEST_FAILED: Condition.SELF_TEST_FAILED,
}
_CONTACT_CONDITION: dict[Contact, Condition] = {
    Contact.OPEN: Condition.ELECTRODE_OPEN,
    Contact.SHORT: Condition.ELECTRODE_SHORT,
    Contact.BEYOND_DEGRADED: Condition.ELECTRODE_DEGRADED,
}


def conditions(state: State) -> tuple[Condition, ...]:
    """What a birth lists as present: a fault until its latch is reset, the pads' until the session goes on."""
    latch, session = state.durable.latch, state.session
    is_on = session is not None and state.phase in {Phase.RUNNING, Phase.PAUSED}
    present = {
        _CONDITION_OF.get(latch) if latch is not None else None,
        Condition.SELF_TEST_FAILED if state.self_test is not None else None,
        Condition.BATTERY_LOW if state.battery_low else None,
        Condition.BATTERY_EMPTY if state.battery_empty else None,
        _CONTACT_CONDITION.get(session.contact) if session is not None and is_on else None,
        Condition.ELECTRODE_DEGRADED if session is not None and is_on and session.degraded else None,
    }
    return tuple(condition for condition in _CONDITIONS if condition in present)
