"""How much one device may write into the journal (contract.md, rule 10): a token bucket each, by boot time.

Every row that follows from a device's authentic message is paid for, alarms and pages too. Above the budget what is
told again, or comes again by itself, waits: an event is not receipted and its agent repeats it; the newest birth is
kept and taken later; a sample gets no lease. Nothing is lost, and A09 says that the device tells too much.

Never held back: what ends a session that is open. Held back for a moment at most: the first of each urgent kind (a
fault, a stop, a latch, a boot, a birth) in `URGENT_AGAIN_S`, and a change of phase in `PHASE_AGAIN_S`. One after that
adds little: its alarm is open by then. There are so few kinds that all of them together stay below the budget's rate.
Acknowledgements are not budgeted: each is journaled once for a command, and this fleet's commands are few.
"""

from collections.abc import Iterator

from broker.contract.messages import Birth, Event, EventKind
from broker.contract.topics import Channel
from fleet.core.budget_state import BURST_ROWS, Budget, WaitingBirth
from fleet.core.device_events import FAULTS
from fleet.core.state import Device, Session
from fleet.core.turn import Turn

# An honest device has hundreds of events a day, most of them turns of its knob: a day's spool passes at once, and
# 20,000 of them, all that a spool can hold, in half an hour. A mad one has 0.4 to 1.5 GB a day, and A09 all the while.
ROWS_PER_S = 10.0
URGENT_AGAIN_S = 2.0
PHASE_AGAIN_S = 1.0  # below sessions.UNPERMITTED_AFTER_S: a person who starts there is not stopped for it
TOO_MANY = "too_many"
BIRTH, BOOT, PHASE = "birth", "boot", "phase"

# What says that output ended, or ought to have. Whatever only repeats, permits or lifts waits: a reset, a setting, a
# resumption, a refused command.
URGENT_KINDS = FAULTS | {EventKind.SESSION_ENDED, EventKind.STOP_PRESSED, EventKind.LATCHED, EventKind.HOLD_SET}


def admits(turn: Turn, name: str, channel: Channel, urgent: str | None = None, again_s: float = URGENT_AGAIN_S) -> bool:
    """Whether a device may write now. False: counted, and A09 once a burst. `urgent` names what may go in above the
    budget, the first in `again_s`.
    """
    budget = _budget(turn, name)
    if budget.rows >= 1.0:
        return True
    if urgent is not None and _urgent_due(turn, budget, urgent, again_s):
        budget.urgent_s[urgent] = turn.now_s
        return True
    turn.refused(name, channel, TOO_MANY)
    return False


def admits_event(turn: Turn, name: str, event: Event) -> bool:
    """The same of a device's own event: an end of its open session always."""
    session = None if event.session_id is None else turn.state.durable.sessions.get(event.session_id)
    if event.kind is EventKind.SESSION_ENDED and session is not None and session.open and session.device == name:
        return True
    return admits(turn, name, Channel.EVENT, event.kind.value if event.kind in URGENT_KINDS else None)


def admits_boot(turn: Turn, device: Device, channel: Channel) -> bool:
    """The same of a higher boot number: always where it ends a session, so that no lease outlives a boot that waits."""
    session: Session | None = turn.state.session_on(device)
    return (session is not None and session.open) or admits(turn, device.device, channel, BOOT)


def spend(turn: Turn, name: str, rows: int) -> None:
    """Pay for what was written. Names that nobody registered have no budget: theirs is written once a burst."""
    if name in turn.state.durable.devices:
        budget = _budget(turn, name)
        budget.rows = max(-BURST_ROWS, budget.rows - rows)


def keep_birth(turn: Turn, device: Device, birth: Birth, *, retained: bool) -> None:
    """A birth that is not taken now: of several the newest. Retained, it would not be told again for a day."""
    budget = _budget(turn, device.device)
    kept = budget.birth
    if kept is None or (birth.boot_n, birth.seq) >= (kept.birth.boot_n, kept.birth.seq):
        budget.birth = WaitingBirth(birth, retained, device.enrolment)


def births_due(turn: Turn) -> Iterator[tuple[Device, WaitingBirth]]:
    """The births that waited and may be taken now. One that was overtaken meanwhile is dropped."""
    for name, budget in turn.state.fleeting.budgets.items():
        waiting = budget.birth
        if waiting is None or not _birth_due(turn, _budget(turn, name)):
            continue
        budget.birth = None
        device = turn.state.device(name)
        if waiting.enrolment == device.enrolment and waiting.birth.boot_n >= device.boot_n:
            yield device, waiting


def _birth_due(turn: Turn, budget: Budget) -> bool:
    rows_n = 2.0  # it may tell of a boot, too
    return budget.rows >= rows_n or all(_urgent_due(turn, budget, what, URGENT_AGAIN_S) for what in (BOOT, BIRTH))


def _urgent_due(turn: Turn, budget: Budget, urgent: str, again_s: float) -> bool:
    last_s = budget.urgent_s.get(urgent)
    return last_s is None or turn.now_s - last_s >= again_s


def _budget(turn: Turn, name: str) -> Budget:
    """A device's, filled up to now. Only devices with a record get one: their number is bounded."""
    budget = turn.state.fleeting.budgets.setdefault(name, Budget(as_of_s=turn.now_s))
    if turn.now_s > budget.as_of_s:
        budget.rows = min(BURST_ROWS, budget.rows + (turn.now_s - budget.as_of_s) * ROWS_PER_S)
        budget.as_of_s = turn.now_s
    return budget
