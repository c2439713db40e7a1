"""Usage, counted from the journal: what was done with each device, in each room, on each day of the clinic.

The rules of this file:
- A pure fold over the journal's events, from the first one; no part of the fleet's state, but it uses that state's own
  fold: rooms, time zone and timers are those that the fleet had at the time. Of that fold only what is `NEEDED` is
  done: the whole takes three times as long, and an event that is not `COUNTED` need not even be read.
- A session belongs to the room that it was authorised in and to the day of its start; one that never started, to the
  day of its authorisation. A device that moves keeps its history where that was made.
- Its numbers are the device's own where they came. Where they did not, its length is the fleet's own time, counted
  beside and never among them: of current and charge the fleet has no record.
- Faults of a session are counted where the session is; all else where the device stood when it was journaled.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from broker.contract import messages
from broker.contract.causes import Cause
from fleet.core import events as e
from fleet.core.device_events import FAULTS
from fleet.core.events import SessionState
from fleet.core.evolve import FOLDS
from fleet.core.fold_doses import SHOWS_THE_START, local_day
from fleet.core.sessions import TIMER_SLACK_S
from fleet.core.state import Durable, Session, State

S = SessionState
NOWHERE = "-"  # a device that is on no list stands nowhere


NEEDED: Mapping[type[Any], Callable[[Durable, Any], None]] = {
    event: FOLDS[event]
    for event in (
        e.FleetTookOver,
        e.RegistryAdopted,
        e.SessionAuthorised,
        e.AuthorisationAccepted,
        e.SessionDeclined,
        e.SessionExpired,
        e.SessionCancelled,
        e.CancelOvertaken,
        e.SessionAdvanced,
        e.SessionLost,
        e.SessionEnded,
        e.SessionCleared,
    )
}
COUNTED: frozenset[type[Any]] = frozenset(NEEDED) | {
    e.SessionRefused,
    e.LimitExceeded,
    e.SensorFlatlined,
    e.OutputUnpermitted,
    e.DeviceReported,
    e.DeviceLost,
    e.DeviceReturned,
}


class Place(NamedTuple):
    """What everything is counted by."""

    day: date
    room: str
    device: str


class Ending(StrEnum):
    """What became of a session, for people who count."""

    OPEN = "open"  # not over when the journal ends
    COMPLETED = "completed"
    STOPPED = "stopped"  # and latched
    ABORTED = "aborted"
    NOT_STARTED = "not_started"  # expired, cancelled, or refused by the device


_ENDING: dict[SessionState, Ending] = {
    S.COMPLETED: Ending.COMPLETED,
    S.STOPPED_LATCHED: Ending.STOPPED,
    S.CLEARED: Ending.STOPPED,
    S.ABORTED: Ending.ABORTED,
    S.EXPIRED: Ending.NOT_STARTED,
    S.CANCELLED: Ending.NOT_STARTED,
    S.REFUSED: Ending.NOT_STARTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUse:
    """One session. `ran_s`: the fleet's own time, at most what its second timer lets a session last; `changed_wall_s`:
    when it last came to something else.
    """

    place: Place
    state: SessionState
    changed_wall_s: float
    seen_running: bool = False
    cause: Cause | None = None
    ran_s: float = 0.0
    numbers: messages.SessionEnded | None = None

    @property
    def started(self) -> bool:
        """Seen by the fleet, or by the device's own record."""
        return self.seen_running or (self.numbers is not None and self.numbers.elapsed_s > 0.0)

    @property
    def ending(self) -> Ending:
        return _ENDING.get(self.state, Ending.OPEN)

    @property
    def ended_by(self) -> str:
        """Its cause; where nobody gave one, what became of it."""
        if self.cause is not None:
            return self.cause.value
        return "unknown" if self.state is S.ABORTED else self.state.value

    @property
    def by_device(self) -> messages.SessionEnded | None:
        """The device's numbers; None where it has no record: its agent died in the session."""
        numbers = self.numbers
        return None if numbers is None or (numbers.gaps and not numbers.elapsed_s) else numbers


@dataclass(slots=True, kw_only=True)
class Usage:
    """All that was read so far. `state` is the fleet's own as it was then, as far as it is `NEEDED`.

    `sessions` are those that are looked at one by one: all of them, where nobody settles any (`reports.usage_ledger`).
    `late`: how much was told of sessions that were not among them any more.
    """

    state: State = field(default_factory=State)
    sessions: dict[str, SessionUse] = field(default_factory=dict)
    refused: Counter[Place] = field(default_factory=Counter)
    reconnects: Counter[Place] = field(default_factory=Counter)
    faults: dict[Place, Counter[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    late: int = 0


def fold(usage: Usage, event: e.Event) -> Usage:
    """Count one more event, the next of the journal. The same object comes back."""
    needed = NEEDED.get(type(event))
    if needed is not None:
        needed(usage.state.durable, event)
    match event:
        case e.SessionAuthorised():
            session = usage.state.durable.sessions[event.authorisation.session_id]
            place = Place(today(usage, event), session.authorisation.room, session.device)
            usage.sessions[session.session_id] = SessionUse(
                place=place, state=session.state, changed_wall_s=event.wall_s
            )
        case e.SessionRefused():
            usage.refused[where(usage, event, event.device)] += 1
        case e.SessionAdvanced() | e.CancelOvertaken():
            starts = isinstance(event, e.CancelOvertaken) or event.to in SHOWS_THE_START
            _followed(usage, event, event.session_id, starts=starts)
        case e.SessionDeclined() | e.SessionExpired() | e.SessionCancelled():
            _followed(usage, event, event.session_id)
        case e.SessionLost() | e.SessionEnded() | e.SessionCleared():
            _followed(usage, event, event.session_id)
        case e.LimitExceeded() | e.SensorFlatlined():
            kind = "limit_exceeded" if isinstance(event, e.LimitExceeded) else "sensor_flatlined"
            _fault(usage, event, event.device, kind, event.session_id)
        case e.OutputUnpermitted():
            _fault(usage, event, event.device, "output_unpermitted", event.session_id)
        case e.DeviceReported():
            _reported(usage, event)
        case e.DeviceLost():
            usage.lost.add(event.device)
        case e.DeviceReturned() if event.device in usage.lost:  # the first time is no return
            usage.lost.remove(event.device)
            usage.reconnects[where(usage, event, event.device)] += 1
        case _:
            pass
    return usage


def today(usage: Usage, event: e.Event) -> date:
    """The clinic's day of an event."""
    return local_day(usage.state.durable, event.wall_s)


def where(usage: Usage, event: e.Event, device: str) -> Place:
    """The day of an event, and where the device stood."""
    registered = usage.state.registered(device)
    return Place(today(usage, event), NOWHERE if registered is None else registered.room, device)


def _followed(usage: Usage, event: e.Event, session_id: str, *, starts: bool = False) -> None:
    """The session is where the fleet's own fold has it."""
    use, session = usage.sessions.get(session_id), usage.state.durable.sessions[session_id]
    if use is None:
        usage.late += 1
        return
    place = use.place
    if starts and not use.seen_running:
        place = place._replace(day=today(usage, event))
    usage.sessions[session_id] = replace(
        use,
        place=place,
        seen_running=use.seen_running or starts,
        state=session.state,
        changed_wall_s=event.wall_s,
        cause=session.cause,
        ran_s=min(session.ran_s, _longest_s(session)),
    )


def _longest_s(session: Session) -> float:
    return min(session.plan.duration_s, session.authorisation.limits.session_s_max.value) + TIMER_SLACK_S


def _reported(usage: Usage, event: e.DeviceReported) -> None:
    said = event.event
    use = None if said.session_id is None else usage.sessions.get(said.session_id)
    if said.kind in FAULTS:
        _fault(usage, event, event.device, said.kind.value, said.session_id)
    elif isinstance(said.detail, messages.SessionEnded) and use is not None and use.place.device == event.device:
        assert said.session_id is not None
        usage.sessions[said.session_id] = replace(
            use, numbers=_better(use.numbers, said.detail), changed_wall_s=event.wall_s
        )


def _better(known: messages.SessionEnded | None, said: messages.SessionEnded) -> messages.SessionEnded:
    """The first record without gaps stands; until then the longest. As in the dose ledger: `dose.Dose.told`."""
    if known is None:
        return said
    return known if not known.gaps or (said.gaps and said.on_time_s <= known.on_time_s) else said


def _fault(usage: Usage, event: e.Event, device: str, kind: str, session_id: str | None) -> None:
    use = None if session_id is None else usage.sessions.get(session_id)
    of_session = use is not None and use.place.device == device
    place = use.place if use is not None and of_session else where(usage, event, device)
    usage.faults.setdefault(place, Counter())[kind] += 1
