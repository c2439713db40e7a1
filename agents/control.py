"""The control loop: one thread that owns the session and the driver, 50 ms a tick on boot time.

Neither network nor disk can hold it up: what arrives goes through a bounded inbox that wakes it at once (a stop does
not wait for the tick, and overtakes everything else), what it decides goes through a bounded outbox to a disk thread.

Interface (the inside follows):

    control = Control(stimulator, LatchFile(folder / "latch"), deliver, boottime_s, wall_s)
    control.start()                      # identify, self-test, boot_n on disk, then the threads
    control.hear(message, retained)      # any thread; what is authentic, other than a stop
    control.hear_stop(scope, stop, hold_id, retained)
    control.press(press_id, Press.ARM)   # the answer comes as a Reply through `deliver`
    control.snapshot()                   # any thread; what a birth, the panel and metrics need
    control.stop()                       # zero, outbox written, threads joined

`deliver` is called in the disk thread, one output at a time and in order: what must follow a write follows it. It
gets Emit, Acknowledge, Sample, Announce and Reply; `Persist` is written here. It may block on its own disk writes
(the spool), never on the network. If it raises, or the record cannot be written, output goes to zero and the process
ends. While disk or `deliver` hang, samples wait behind them, leases run out, and output ends at zero within the
lease; a full outbox sheds samples (counted) and ends the process, at zero, rather than shed anything else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agents.drivers.port import Identity, Reading, Stimulator
from agents.steps import Durable, Output, Press
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy

TICK_S = 0.05


class DurableStore(Protocol):
    """Where the durable record lives: `agents.latch.LatchFile`, or memory in a simulation."""

    def load(self) -> Durable:
        """The record of the last run; a new one (boot_n 0) on a new device; a latched one where it is damaged."""

    def save(self, durable: Durable) -> None:
        """Returns once the record survives a power cut."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The session as of the last step, for birth, panel and metrics."""

    identity: Identity
    boot_n: int
    seq: int  # of the next sample
    fleet_n: int
    phase: messages.Phase
    session_id: str | None
    latched: Cause | None
    reset_by: ResetBy
    holds: messages.Holds
    conditions: tuple[messages.Condition, ...]
    settings: messages.Settings | None
    setting_ma: float
    elapsed_s: float
    lease_margin_s: float | None
    lease_margin_least_s: float | None  # the thinnest margin left when a lease arrived, in this session
    reading: Reading | None
    overruns: int  # ticks that came more than a period late
    shed: int  # samples and messages that a full outbox or inbox did not take


class Control:
    """One stimulator's control. All methods may be called from any thread."""

    def __init__(
        self,
        stimulator: Stimulator,
        store: DurableStore,
        deliver: Callable[[Output], None],
        boottime_s: Callable[[], float],
        wall_s: Callable[[], float],
        *,
        first_seq: int | None = None,
        die: Callable[[BaseException], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Raises DriverLost where the stimulator does not answer."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def hear(
        self,
        message: messages.Authorisation | messages.Lease | messages.Cancel | messages.Release | messages.Settings,
        retained: bool = False,
    ) -> bool:
        """False: the inbox was full, the message is dropped and counted."""
        raise NotImplementedError

    def hear_stop(
        self, scope: messages.Scope, stop: messages.Stop | None, hold_id: str, retained: bool = False
    ) -> None:
        """Never dropped."""
        raise NotImplementedError

    def press(
        self, press_id: int, press: Press, step_ma: float = 1.0, who: ResetBy = ResetBy.THERAPIST
    ) -> bool:
        """False: the inbox was full. A stop or the stop button is never dropped."""
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """The last step's state. Raises RuntimeError before start."""
        raise NotImplementedError
