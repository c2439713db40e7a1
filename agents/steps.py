"""What the device's session hears and says: the inputs and outputs of `agents.session`, nothing else.

One thread owns the session: it feeds inputs in order and performs outputs in order. `Persist` comes before whatever
may only be told once it is on disk; the shell writes and tells in that order.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from agents.drivers.port import Drive, Reading
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy

HOLDS_KEPT = 16  # per scope; beyond that `more`


# --- durable --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OverLimit:
    """An over-limit: in which start of the agent, and when on CLOCK_BOOTTIME. None: an old record did not say."""

    boot_n: int
    boottime_s: float | None


@dataclass(frozen=True, slots=True)
class Durable:
    """All that must survive a power cut, written as one record. `latch` None: not latched.

    `live_session_id` is the live-session marker: on disk before the first output, so that an agent that comes up and
    finds it knows that it died in a live session, and latches `reboot`.
    """

    boot_n: int
    latch: Cause | None = None
    reset_by: ResetBy = ResetBy.NOBODY
    live_session_id: str | None = None
    holds: messages.Holds = field(default_factory=messages.Holds.of)
    fleet_n: int = 0
    settings: messages.Settings | None = None
    over_limits: tuple[OverLimit, ...] = ()  # for "engineer at the second in 24 h"


# --- inputs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """The control tick: what the stimulator reads, None when it did not answer. `wall_s` is Unix time."""

    now_s: float  # CLOCK_BOOTTIME, taken before the reading
    wall_s: float
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class Heard:
    """An authentic message of the fleet, other than a stop."""

    now_s: float
    message: messages.Authorisation | messages.Lease | messages.Cancel | messages.Release | messages.Settings
    retained: bool = False


@dataclass(frozen=True, slots=True)
class HeardStop:
    """Anything that was not empty on a stop topic. `stop` is None where nothing in it can be believed."""

    now_s: float
    scope: messages.Scope  # DEVICE or ALL
    stop: messages.Stop | None
    hold_id: str
    retained: bool = False


class Press(StrEnum):
    """What a person at the device does."""

    ARM = "arm"
    DISARM = "disarm"
    START = "start"
    RAISE = "raise"
    LOWER = "lower"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"  # the therapist's normal end
    STOP_BUTTON = "stop_button"  # the red button: zero at once, latches (patient_stop)
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press at the panel. `step_ma` is for raise and lower; `who` says with whose key a reset is made."""

    now_s: float
    press_id: int
    press: Press
    step_ma: float = 1.0
    who: ResetBy = ResetBy.THERAPIST


@dataclass(frozen=True, slots=True)
class Written:
    """A `Persist` is on disk."""

    now_s: float
    write_n: int


@dataclass(frozen=True, slots=True)
class Connected:
    """There is somebody to hear us: the next tick says how we are, whenever the next sample would be due."""

    now_s: float


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing but time: the loop was held up, and what time has ended is ended before anything is driven or heard."""

    now_s: float


Input = Tick | Heard | HeardStop | Pressed | Written | Connected | Passed


# --- outputs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persist:
    """Write the durable record, fsynced, then say `Written(write_n)`."""

    write_n: int
    durable: Durable


@dataclass(frozen=True, slots=True)
class Emit:
    """An event for the spool; the shell numbers it and adds wall time."""

    boottime_s: float
    kind: messages.EventKind
    session_id: str | None = None
    cause: Cause | None = None
    detail: messages.Detail | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An ack for a command."""

    command_id: str
    status: messages.AckStatus
    reason: messages.CommandRefusal | None = None
    amplitude_ma: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A telemetry sample that the session has noted as sent at `sent_s`; the shell fills in `at` (empty) and `late`."""

    sent_s: float
    telemetry: messages.Telemetry


@dataclass(frozen=True, slots=True)
class Announce:
    """Something that a birth says has changed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the panel answers to a press: plain words, also where it refuses."""

    press_id: int
    accepted: bool
    words: str


Output = Persist | Emit | Acknowledge | Sample | Announce | Reply


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step decided: the drive that holds from now on, and what to write and tell, in order."""

    drive: Drive
    outputs: tuple[Output, ...] = ()
