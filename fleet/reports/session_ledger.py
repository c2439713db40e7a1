"""The sessions that there were, one by one, as a list shows them: more of them than the fleet's state keeps.

The rules of this file:
- Pure. `journal_ledger` reads the journal for it.
- A row says what the fleet's own fold says of the session (`core.fold_sessions`), field by field.
- At most `KEPT_MAX` rows, a clinic's year or two: the oldest are forgotten. The journal has them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

from broker.contract.causes import Cause
from broker.contract.shapes import Strict
from fleet.core import events as e
from fleet.core.session_events import SessionState, WithheldFor

KEPT_MAX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession(Strict):
    """One session, with the names of `views.session_row`. `authorised_at` in UTC to the millisecond.

    `has_numbers`: the device has reported what it did. The row changes with everything that a session shows.
    """

    session_id: str
    device: str
    room: str
    client: str
    operator: str
    state: SessionState
    accepted: bool = False
    withheld: WithheldFor | None = None
    cause: Cause | None = None
    authorised_at: str
    elapsed_s: float = 0.0
    has_numbers: bool = False

    def row(self) -> dict[str, Any]:
        """As `views.session_row`."""
        said = asdict(self)
        del said["has_numbers"]
        return said


_Changes = Callable[[ListedSession, Any], dict[str, Any]]


def _into(state: SessionState) -> _Changes:
    return lambda _row, _event: {"state": state}


_CHANGES: Mapping[type[Any], _Changes] = {
    e.AuthorisationAccepted: lambda _, __: {"accepted": True},
    e.SessionDeclined: _into(SessionState.REFUSED),
    e.SessionExpired: _into(SessionState.EXPIRED),
    e.SessionCancelled: _into(SessionState.CANCELLED),
    e.CancelOvertaken: _into(SessionState.RUNNING),
    e.SessionAdvanced: lambda row, event: {
        "state": event.to,
        "elapsed_s": max(row.elapsed_s, event.elapsed_s),
    },
    e.SessionWithheld: lambda _, event: {"withheld": event.reason},
    e.SessionEnded: lambda row, event: {
        "state": event.to,
        "cause": event.cause,
        "has_numbers": event.ended is not None,
        "elapsed_s": row.elapsed_s if event.ended is None else event.ended.elapsed_s,
    },
    e.SessionLost: _into(SessionState.LOST),
    e.SessionCleared: _into(SessionState.CLEARED),
}
COUNTED: frozenset[type[Any]] = frozenset({e.SessionAuthorised, *_CHANGES})
assert set(get_args(e.Event)) >= COUNTED


@dataclass(slots=True)
class SessionLedger:
    """`sessions` by id, in the order in which they were authorised."""

    sessions: dict[str, ListedSession] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether it may have forgotten some."""
        return len(self.sessions) >= KEPT_MAX

    def counts(self, event: Any) -> None:
        """Count one more event, the next of those in `COUNTED`."""
        if isinstance(event, e.SessionAuthorised):
            self._authorised(event)
            return
        row = self.sessions.get(event.session_id)
        if row is not None:
            self.sessions[row.session_id] = replace(row, **_CHANGES[type(event)](row, event))

    def _authorised(self, event: e.SessionAuthorised) -> None:
        said = event.authorisation
        self.sessions[said.session_id] = ListedSession(
            session_id=said.session_id,
            device=event.device,
            room=said.room,
            client=said.client,
            operator=said.operator,
            state=SessionState.AUTHORISED,
            authorised_at=said.issued_at,
        )
        if len(self.sessions) > KEPT_MAX:
            del self.sessions[next(iter(self.sessions))]

    def before(self, at: str, device: str | None, client: str | None) -> list[ListedSession]:
        """Those that were authorised before `at`, newest first; of a device or a client, where one is named."""
        found = (
            row
            for row in self.sessions.values()
            if row.authorised_at < at
            and (device is None or row.device == device)
            and (client is None or row.client == client)
        )
        return sorted(found, key=lambda row: row.authorised_at, reverse=True)


# --- as a file holds it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSessions(Strict):
    """All of a `SessionLedger`."""

    sessions: tuple[ListedSession, ...]


def stored(ledger: SessionLedger) -> StoredSessions:
    """What a file holds of a ledger."""
    return StoredSessions(sessions=tuple(ledger.sessions.values()))


def restored(taken: StoredSessions) -> SessionLedger:
    """The ledger again."""
    return SessionLedger({row.session_id: row for row in taken.sessions})
