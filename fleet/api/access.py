"""Who may do what: one table from role to permissions. Pure.

A route asks for one permission (`fleet.api.guard.require`), never for a role. Whatever is not in the table is denied.
`docs/roles.md` is generated from this and from the routes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What somebody is at this clinic. One each; who is two things has two users, or the wider role."""

    VIEWER = "viewer"
    THERAPIST = "therapist"
    ON_CALL = "on-call"
    MANAGER = "manager"
    ADMIN = "admin"


class Permission(StrEnum):
    """A kind of act. A route has exactly one."""

    OWN_ACCOUNT = "own_account"  # who am I, and what may I
    OWN_SESSION = "own_session"  # sign out, change my password
    SEE = "see"  # rooms, devices, sessions without their client, stops, alarms
    SEE_USAGE = "see_usage"  # usage and health of devices and rooms
    STOP = "stop"
    SEE_CLIENTS = "see_clients"  # a client's dose ledger
    SEE_RECORDS = "see_records"  # one session's record: client, operator, plan, every event
    EXPLAIN = "explain"  # would a session be authorised
    REQUEST = "request"
    CANCEL = "cancel"
    RELEASE = "release"
    CONFIRM_OFF = "confirm_off"
    ALARM_RESPOND = "alarm_respond"  # acknowledge, accept, reject, shelve, unshelve, comment
    SEE_ROTA = "see_rota"  # who is on call, and how to reach them
    EDIT_ROTA = "edit_rota"
    DRILL = "drill"
    ANSWER_DRILL = "answer_drill"  # say that a test alarm has arrived
    DRAIN = "drain"
    SEE_STAFF_USAGE = "see_staff_usage"  # usage by operator
    USERS = "users"
    TOKENS = "tokens"
    AUDIT = "audit"


_P = Permission
_VIEWER: Final = frozenset({_P.OWN_ACCOUNT, _P.OWN_SESSION, _P.SEE, _P.SEE_USAGE, _P.STOP})
# What a therapist may with a client's sessions, but ask for one.
_SESSIONS: Final = frozenset({_P.SEE_CLIENTS, _P.SEE_RECORDS, _P.EXPLAIN, _P.CANCEL, _P.RELEASE, _P.CONFIRM_OFF})
_CALLED: Final = frozenset({_P.ALARM_RESPOND, _P.SEE_ROTA, _P.ANSWER_DRILL})
_MANAGES: Final = frozenset({_P.EDIT_ROTA, _P.DRILL, _P.DRAIN, _P.SEE_STAFF_USAGE})

# Anybody who is signed in may stop: whoever sees something wrong must be able to. An admin does not treat.
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.THERAPIST: _VIEWER | _SESSIONS | {_P.REQUEST},
        Role.ON_CALL: _VIEWER | _CALLED,
        Role.MANAGER: _VIEWER | _SESSIONS | _CALLED | _MANAGES,
        Role.ADMIN: _VIEWER | {_P.USERS, _P.TOKENS, _P.AUDIT},
    }
)

# What only a person does: they have seen something, or answer for it. A token of whatever role may not.
PEOPLE_ONLY: Final = frozenset(
    {_P.OWN_SESSION, _P.REQUEST, _P.RELEASE, _P.CONFIRM_OFF, _P.ANSWER_DRILL, _P.USERS, _P.TOKENS, _P.AUDIT}
)

# What a token may be: who looks after users and tokens is a person.
TOKEN_ROLES: Final = tuple(role for role in Role if role is not Role.ADMIN)

# What is left to somebody who has to choose a password first.
BEFORE_PASSWORD: Final = frozenset({_P.OWN_ACCOUNT, _P.OWN_SESSION, _P.STOP})


class How(StrEnum):
    """How somebody is known: a person at a browser, or a machine."""

    COOKIE = "cookie"
    TOKEN = "token"  # noqa: S105 # the word, no secret


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose request this is.

    `user` is the user's id, and `issued_by` of what they order; of a token `token:` and its id. `operator` is their id
    in the site's registry; None: they may not treat. `key` is the fingerprint of their session or token: for the
    reception only.
    """

    user: str
    name: str
    role: Role
    operator: str | None
    how: How
    must_change: bool = False
    key: bytes = field(default=b"", repr=False)

    @property
    def may(self) -> frozenset[Permission]:
        """Everything that they may do now."""
        allowed = PERMISSIONS[self.role]
        if self.how is How.TOKEN:
            allowed = allowed - PEOPLE_ONLY
        return allowed & BEFORE_PASSWORD if self.must_change else allowed
