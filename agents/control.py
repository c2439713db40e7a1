"""The control loop: one thread that owns the session and the driver, 50 ms a tick on boot time.

Neither network nor disk can hold it up: what arrives goes through a bounded inbox that wakes it at once (a stop does
not wait for the tick, and overtakes everything else), what it decides goes through a bounded outbox to a disk thread.

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

import contextlib
import logging
import math
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

from agents.drivers.port import ZERO, DriverLost, Identity, Reading, Stimulator
from agents.faults import number
from agents.presses import ceiling_ma
from agents.queues import Inbox, Outbox
from agents.session import begin
from agents.state import Session, State, conditions
from agents.stepper import Stepper
from agents.steps import (
    Connected,
    Durable,
    Heard,
    HeardStop,
    Output,
    Persist,
    Press,
    Pressed,
    Written,
)
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import Limit

TICK_S = 0.05
LABEL_CHARS_MAX = 64
OVERTAKING = frozenset({Press.LOWER, Press.PAUSE, Press.STOP, Press.STOP_BUTTON})  # always (domain.md "Session")
EX_SOFTWARE = 70  # sysexits.h

log = logging.getLogger(__name__)


class DurableStore(Protocol):
    """Where the durable record lives: `agents.latch.LatchFile`, or memory in a simulation."""

    def load(self) -> tuple[Durable, str | None]:
        """The record of the last run (boot_n 0 on a new device), and what is wrong with it, in words."""

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
    leases_refused: int
    reading: Reading | None
    stepped_s: float  # boot time of the last step: a watchdog over this process looks at it
    overruns: int  # ticks that came more than a period late
    shed: int  # samples and messages that a full outbox or inbox did not take
    duration_s: float | None = None  # how long the session may last, of this plan and these limits
    ceiling: Limit | None = None  # the highest setting in this session, and the layer that says so


def _label(told: str) -> str:
    """What a driver calls something, as every message may carry it: never empty, one line, printable, bounded.

    A stimulator whose text cannot be sent must be reported all the same.
    """
    printable = "".join(char if char.isprintable() else "?" for char in told)
    return printable.strip()[:LABEL_CHARS_MAX] or "unnamed"


def end_process(error: BaseException) -> NoReturn:
    """Nothing limps on: the supervisor starts the agent again, and it comes up latched where a session was live."""
    log.critical("control failed, output is ordered to zero, the process ends", exc_info=error)
    os._exit(EX_SOFTWARE)


class Round(Protocol):
    """Whose thread a control runs in: one of its own, or `agents.rounds.Rounds` for many in one process."""

    def take_on(self, control: "Control") -> None:
        """Call `control.visit` when `control.due_s` has come, and soon after each `call`, until it has ended."""

    def call(self, control: "Control") -> None:
        """Something has arrived: visit it now. Any thread."""

    def wait_for_end(self, control: "Control") -> None:
        """Return when it is not visited any more."""


class OwnThread:
    """A thread that visits one control, and waits in its inbox in between."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def take_on(self, control: "Control") -> None:
        self._thread = threading.Thread(target=self._visit, args=(control,), name="control", daemon=True)
        self._thread.start()

    def call(self, control: "Control") -> None:
        """Its inbox has woken it."""

    def wait_for_end(self, control: "Control") -> None:
        if self._thread is not None:
            self._thread.join()

    @staticmethod
    def _visit(control: "Control") -> None:
        while control.visit(wait=True):
            pass


class Control:
    """One stimulator's control. All methods may be called from any thread.

    `on_lease` is called in the control thread with the margin that was left when a lease arrived, None for the first
    of a session. `due_s` is the boot time of the next tick, `late_s` how late the last one was.
    """

    def __init__(
        self,
        stimulator: Stimulator,
        store: DurableStore,
        deliver: Callable[[Output], None],
        boottime_s: Callable[[], float],
        wall_s: Callable[[], float],
        *,
        first_seq: int | None = None,
        die: Callable[[BaseException], None] = end_process,
        on_lease: Callable[[float | None], None] = lambda margin_s: None,
        round_: Round | None = None,
    ) -> None:
        self._stimulator = stimulator
        self._store = store
        self._deliver = deliver
        self._boottime_s = boottime_s
        self._wall_s = wall_s
        self._first_seq = secrets.randbits(48) if first_seq is None else first_seq
        self._die = die
        self._on_lease = on_lease
        self._round: Round = OwnThread() if round_ is None else round_
        self._inbox = Inbox(call=lambda: self._round.call(self))
        self._outbox = Outbox()
        self._stepper: Stepper | None = None
        self._stopping = False
        self._disk_error: Exception | None = None
        self._has_failed = False
        self._overruns = 0
        self.due_s = 0.0
        self.late_s = 0.0
        self._disk_thread = threading.Thread(target=self._disk, name="disk", daemon=True)

    def start(self) -> None:
        """Identify, test, read the record, write the new boot number, and begin. Returns with the threads running.

        Raises:
            DriverLost: the stimulator does not answer.
            OSError: the record of this boot cannot be written.
        """
        self._stimulator.exchange(ZERO)
        told = self._stimulator.identify()
        identity = replace(told, serial=_label(told.serial), model=_label(told.model), firmware=_label(told.firmware))
        durable, damage = self._store.load()
        failed = damage if damage is not None else self._stimulator.self_test()
        check = None if failed is None else _label(failed)
        state, outcome = begin(durable, identity, check, self._boottime_s(), self._first_seq)
        for output in outcome.outputs:
            if isinstance(output, Persist):
                self._store.save(output.durable)
                self._inbox.put_first(Written(self._boottime_s(), output.write_n))
            else:
                self._outbox.put(output)
        self._stepper = Stepper(self._stimulator, state, self._outbox.put, self._boottime_s, self._wall_s)
        self.due_s = self._boottime_s()
        self._disk_thread.start()
        self._round.take_on(self)

    def stop(self) -> None:
        """Zero, write and tell what is left, end the threads. A session that was live comes up latched.

        Raises whatever kept the rest from being written and told.
        """
        self._stopping = True
        self._inbox.wake()
        self._round.wait_for_end(self)
        self._disk_thread.join()
        if self._disk_error is not None and not self._has_failed:
            raise self._disk_error

    def hear(
        self,
        message: messages.Authorisation | messages.Lease | messages.Cancel | messages.Release | messages.Settings,
        retained: bool = False,
    ) -> bool:
        """False: the inbox was full, the message is dropped and counted."""
        return self._inbox.put(Heard(self._boottime_s(), message, retained))

    def hear_stop(
        self, scope: messages.Scope, stop: messages.Stop | None, hold_id: str, retained: bool = False
    ) -> None:
        """Never dropped."""
        self._inbox.put_first(HeardStop(self._boottime_s(), scope, stop, hold_id, retained))

    def connected(self) -> None:
        """The link is up: the next tick sends a sample."""
        self._inbox.put(Connected(self._boottime_s()))

    def press(self, press_id: int, press: Press, step_ma: float = 1.0, who: ResetBy = ResetBy.THERAPIST) -> bool:
        """False: the inbox was full. What reduces is never dropped, and overtakes."""
        pressed = Pressed(self._boottime_s(), press_id, press, step_ma, who)
        if press not in OVERTAKING:
            return self._inbox.put(pressed)
        self._inbox.put_first(pressed)
        return True

    def snapshot(self) -> Snapshot:
        """The last step's state.

        Raises:
            RuntimeError: not started.
        """
        state = self._running().state
        session, durable = state.session, state.durable
        return Snapshot(
            identity=state.identity,
            boot_n=durable.boot_n,
            seq=state.seq,
            fleet_n=durable.fleet_n,
            phase=state.phase,
            session_id=session.session_id if session is not None else None,
            latched=durable.latch,
            reset_by=durable.reset_by,
            holds=durable.holds,
            conditions=conditions(state),
            settings=durable.settings,
            setting_ma=session.setting_ma if session is not None else 0.0,
            elapsed_s=session.numbers.elapsed_s if session is not None else 0.0,
            lease_margin_s=number(session.permission.margin_s(self._boottime_s())) if session is not None else None,
            lease_margin_least_s=session.margin_least_s if session is not None else None,
            leases_refused=state.leases_refused,
            reading=state.watch.reading,
            stepped_s=state.now_s,
            overruns=self._overruns,
            shed=self._inbox.shed + self._outbox.shed,
            duration_s=min(session.plan.duration_s, session.limits.session_s_max.value) if session else None,
            ceiling=ceiling_ma(session) if session is not None else None,
        )

    def _running(self) -> Stepper:
        if self._stepper is None:
            raise RuntimeError("control was not started")
        return self._stepper

    # --- the threads --------------------------------------------------------------------------------------------------

    def visit(self, *, wait: bool = False) -> bool:
        """Take in what has arrived and tick if a tick is due; with `wait`, wait for either. False: it has ended.

        In one thread, always. However it ends, zero is ordered; where anything failed, the process ends.
        """
        ended = True
        try:
            try:
                if not self._stopping:
                    self._turn(self._running(), self.due_s - self._boottime_s() if wait else 0.0)
                    ended = False
            finally:
                if ended:
                    self._order_zero()
        except Exception as error:  # noqa: BLE001  # whatever it was, the process ends
            self._has_failed = True
            self._die(error)
        return not ended

    def _order_zero(self) -> None:
        try:
            with contextlib.suppress(DriverLost):  # then the stimulator's own watchdog has ended output
                self._stimulator.exchange(ZERO)
        finally:
            self._outbox.close()

    def _turn(self, stepper: Stepper, wait_s: float) -> None:
        for given in self._inbox.take(wait_s):
            before = stepper.state.session
            stepper.feed(given)
            if isinstance(given, Heard) and isinstance(given.message, messages.Lease):
                self._count_lease(before, stepper.state)
        if self._disk_error is not None:
            raise self._disk_error
        late_s = self._boottime_s() - self.due_s
        if late_s >= 0.0:
            stepper.tick()
            self.due_s += TICK_S
            self.late_s = late_s
        if late_s > TICK_S:
            self._overruns += 1
            self.due_s += late_s  # missed ticks are not made up for

    def _count_lease(self, before: Session | None, state: State) -> None:
        session = state.session
        if before is None or session is None or session.permission == before.permission:
            return  # it allowed nothing
        margin_s = before.permission.margin_s(state.now_s)
        self._on_lease(margin_s if math.isfinite(margin_s) else None)

    def _disk(self) -> None:
        try:
            while (output := self._outbox.take()) is not None:
                if isinstance(output, Persist):
                    self._store.save(output.durable)
                    self._inbox.put_first(Written(self._boottime_s(), output.write_n))
                else:
                    self._deliver(output)
        except Exception as error:  # noqa: BLE001  # the control thread ends output, then the process
            self._disk_error = error
            self._inbox.wake()
