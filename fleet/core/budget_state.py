"""What is remembered of how much a device has written into the journal: fleeting, so full again after a restart."""

from dataclasses import dataclass, field

from broker.contract import messages

BURST_ROWS = 1000.0


@dataclass(frozen=True, slots=True)
class WaitingBirth:
    """A birth above the budget, the newest of its device: it is taken in a moment later."""

    birth: messages.Birth
    retained: bool
    enrolment: str | None  # one of an earlier enrolment tells nothing of the device that has the name now


@dataclass(slots=True)
class Budget:
    """A token bucket. `rows` may be below zero: what is never held back is a debt that the rest waits for."""

    as_of_s: float
    rows: float = BURST_ROWS
    urgent_s: dict[str, float] = field(default_factory=dict)  # by kind: when it last went in above the budget
    birth: WaitingBirth | None = None
