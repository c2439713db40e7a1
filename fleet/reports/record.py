"""The record of one session: everything that the journal has of it, in order, with both clocks.

The rules of this file:
- Pure, over the journal's rows about the session (`adapters.journal.about`). Nothing is left out, smoothed or guessed.
- The journal's wall time is the fleet's; `device_at` and `boottime_s` are the device's own, where it said something.
  They are told side by side and never subtracted: two clocks of two machines.
- A gap in leases is what the journal knows of: the device was lost, the fleet withheld, another instance took over, or
  the device reports that its lease ran out. Leases themselves are not journaled: each lives for seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from broker.contract.causes import Cause
from broker.contract.limits import LIMIT_NAMES
from broker.contract.messages import EventKind
from broker.contract.plan import Plan
from fleet.core import events as e
from fleet.reports.sheets import Cell, sheet


class Row(Protocol):
    """A row of the journal, as `adapters.journal.about.Recorded` is one."""

    @property
    def position(self) -> int: ...
    @property
    def at(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def event(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. `who` ordered it, where a person did; `body` is the event itself, as the journal's text."""

    position: int
    hash: str
    at: str
    now_s: float
    name: str
    of_session: bool  # else: of its device, or of the whole house, in its time
    device_at: str | None
    boottime_s: float | None
    boot_n: int | None
    n: int | None
    kind: str | None
    cause: str | None
    who: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitInForce:
    """A limit of the session and the layer that set it. `since`: None from the authorisation on, else the time of the
    settings that tightened it.
    """

    name: str
    value: float
    layer: str
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Between these two times no lease went out, as far as the journal knows. `until` None: to the end."""

    since: str
    until: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimes:
    """A stop that concerned the session, and how long each step took, in seconds; None: never heard of."""

    command_id: str
    at: str
    cause: str
    reason: str
    issued_by: str
    confirmed_by: str | None
    amplitude_ma: float | None
    cause_to_sent_s: float | None
    sent_to_received_s: float | None
    sent_to_zero_s: float | None
    unconfirmed: bool  # A01 was raised


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """All of it. `ended`: the device's own numbers, None where it never gave any."""

    session_id: str
    device: str
    room: str
    client: str
    operator: str
    plan: Plan
    authorised_at: str
    ended_by: Cause | None
    ended: Any
    baseline_ohm: float | None
    limits: tuple[LimitInForce, ...]
    gaps: tuple[Gap, ...]
    stops: tuple[StopTimes, ...]
    entries: tuple[Entry, ...]

    @property
    def actions(self) -> tuple[Entry, ...]:
        """What people, or rules in their name, ordered: the session, stops, releases, what became of its alarms."""
        return tuple(entry for entry in self.entries if entry.who is not None)


class NoSuchSession(LookupError):
    """The rows hold no authorisation of this session."""


def session_record(session_id: str, rows: Iterable[Row], text: Any) -> SessionRecord:
    """The record, from the rows about a session. `text(event)`: an event as the journal has it.

    Raises:
        NoSuchSession
    """
    told = tuple(rows)
    found = [r for r in told if isinstance(r.event, e.SessionAuthorised)]
    begun = next((r for r in found if r.event.authorisation.session_id == session_id), None)
    if begun is None:
        raise NoSuchSession(session_id)
    authorisation = begun.event.authorisation
    ended = [r.event for r in told if isinstance(r.event, e.SessionEnded) and r.event.session_id == session_id]
    baseline = [r.event for r in told if isinstance(r.event, e.BaselineMeasured) and r.event.session_id == session_id]
    return SessionRecord(
        session_id=session_id,
        device=begun.event.device,
        room=authorisation.room,
        client=authorisation.client,
        operator=authorisation.operator,
        plan=authorisation.plan,
        authorised_at=begun.at,
        ended_by=ended[-1].cause if ended else None,
        ended=next((one.ended for one in reversed(ended) if one.ended is not None), None),
        baseline_ohm=baseline[0].impedance_ohm if baseline else None,
        limits=_limits(begun, told),
        gaps=_gaps(session_id, begun.event.device, told),
        stops=_stops(session_id, begun.event.device, told),
        entries=tuple(_entry(session_id, row, text(row.event)) for row in told),
    )


# --- entries --------------------------------------------------------------------------------------------------------


def _entry(session_id: str, row: Row, body: str) -> Entry:
    event = row.event
    said = event.event if isinstance(event, e.DeviceReported | e.EventConflicted) else None
    birth = event.birth if isinstance(event, e.DeviceBorn) else None
    cause = getattr(said if said is not None else event, "cause", None)
    return Entry(
        position=row.position,
        hash=row.hash,
        at=row.at,
        now_s=event.now_s,
        name=type(event).__name__,
        of_session=f'"{session_id}"' in body,
        device_at=said.at if said is not None else None if birth is None else birth.at,
        boottime_s=None if said is None else said.boottime_s,
        boot_n=said.boot_n if said is not None else None if birth is None else birth.boot_n,
        n=None if said is None else said.n,
        kind=None if said is None else said.kind.value,
        cause=None if cause is None else str(cause),
        who=_who(event),
        body=body,
    )


def _who(event: Any) -> str | None:
    """The person, or the rule, that ordered it, by the name that the event has for it."""
    if isinstance(event, e.SessionAuthorised):
        return event.issued_by or event.authorisation.operator
    if isinstance(event, e.StopOrdered):
        return event.stop.issued_by
    who: str | None = getattr(event, "issued_by", None) or getattr(event, "operator", None)
    return who


# --- limits ---------------------------------------------------------------------------------------------------------


def _limits(begun: Row, told: Sequence[Row]) -> tuple[LimitInForce, ...]:
    """Those of the authorisation, and each that settings tightened while the session was on."""
    limits = begun.event.authorisation.limits
    found = [_in_force(limits, name, None) for name in LIMIT_NAMES]
    for row in told:
        event = row.event
        if not isinstance(event, e.SettingsIssued) or event.device != begun.event.device:
            continue
        tighter = limits.tightened(event.settings.limits)
        changed = [name for name in LIMIT_NAMES if getattr(tighter, name).value != getattr(limits, name).value]
        found += [_in_force(tighter, name, row.at) for name in changed]
        limits = tighter
    return tuple(found)


def _in_force(limits: Any, name: str, since: str | None) -> LimitInForce:
    limit = getattr(limits, name)
    return LimitInForce(name=name, value=limit.value, layer=limit.layer.value, since=since)


# --- gaps -----------------------------------------------------------------------------------------------------------


def _gaps(session_id: str, device: str, told: Sequence[Row]) -> tuple[Gap, ...]:
    found: list[Gap] = []
    for row in told:
        event = row.event
        match event:
            case e.DeviceLost() if event.device == device:
                found.append(Gap(since=row.at, until=None, why="device_lost"))
            case e.DeviceReturned() if event.device == device:
                found = _closed(found, "device_lost", row.at)
            case e.SessionWithheld() if event.session_id == session_id:
                found.append(Gap(since=row.at, until=None, why=f"withheld_{event.reason}"))
            case e.FleetTookOver():
                found.append(Gap(since=row.at, until=row.at, why="fleet_took_over"))
            case e.DeviceReported() if event.event.session_id == session_id:
                if event.event.kind is EventKind.LEASE_LOST:
                    found.append(Gap(since=event.event.at, until=event.event.at, why="lease_lost"))
            case e.SessionEnded() if event.session_id == session_id:
                found = [gap if gap.until is not None else replace(gap, until=row.at) for gap in found]
            case _:
                pass
    return tuple(found)


def _closed(found: list[Gap], why: str, at: str) -> list[Gap]:
    return [replace(gap, until=at) if gap.why == why and gap.until is None else gap for gap in found]


# --- stops ----------------------------------------------------------------------------------------------------------


def _stops(session_id: str, device: str, told: Sequence[Row]) -> tuple[StopTimes, ...]:
    ordered = [
        row
        for row in told
        if isinstance(row.event, e.StopOrdered) and any(_concerns(t, session_id, device) for t in row.event.targets)
    ]
    return tuple(_times(row, device, told) for row in ordered)


def _concerns(target: e.StopTarget, session_id: str, device: str) -> bool:
    return target.session_id == session_id or (target.session_id is None and target.device == device)


def _times(row: Row, device: str, told: Sequence[Row]) -> StopTimes:
    stop = row.event.stop

    def of(kind: type[Any]) -> Any:
        events = (r.event for r in told if isinstance(r.event, kind))
        return next((one for one in events if one.command_id == stop.command_id and one.device == device), None)

    confirmed, received = of(e.StopConfirmed), of(e.StopReceived)
    return StopTimes(
        command_id=stop.command_id,
        at=row.at,
        cause=stop.cause.value,
        reason=row.event.reason,
        issued_by=stop.issued_by,
        confirmed_by=None if confirmed is None else confirmed.by.value,
        amplitude_ma=None if confirmed is None else confirmed.amplitude_ma,
        cause_to_sent_s=None if confirmed is None else confirmed.cause_to_sent_s,
        sent_to_received_s=received.sent_to_received_s if confirmed is None and received else _received(confirmed),
        sent_to_zero_s=None if confirmed is None else confirmed.sent_to_zero_s,
        unconfirmed=of(e.StopUnconfirmed) is not None,
    )


def _received(confirmed: e.StopConfirmed | None) -> float | None:
    return None if confirmed is None else confirmed.sent_to_received_s


# --- CSV ------------------------------------------------------------------------------------------------------------

_COLUMNS = ("position", "at", "device_at", "boottime_s", "boot_n", "n", "name", "kind", "cause", "who", "body", "hash")


def record_sheet(record: SessionRecord) -> str:
    """Every entry a line; the event as it stands in the journal is a column, so that nothing is lost."""
    return sheet(_COLUMNS, ({name: _cell(entry, name) for name in _COLUMNS} for entry in record.entries))


def _cell(entry: Entry, name: str) -> Cell:
    value: Cell = getattr(entry, name)
    return value
