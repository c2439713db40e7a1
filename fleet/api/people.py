"""What is kept about who may come in: users, their sessions, machines' tokens, and what is told of them. Types only."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from fleet.api.access import Role

USER_PATTERN: Final = r"[a-z0-9][a-z0-9.-]{0,63}"  # as an operator's: anna.k
NAME_PATTERN: Final = r"[^\x00-\x1f\x7f]{1,64}"
TOKEN_PREFIX: Final = "sf_"  # noqa: S105 # what secret scanners find it by
SECRET_BYTES: Final = 32


class NotKept(Exception):
    """Cannot be kept as it is asked for: nothing was changed. One word for programs, one sentence for people."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


class Unusable(Exception):
    """The store cannot be used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `operator`: their id in the site's registry, of those who treat.

    `password_wall_s`: when the password was set. `must_change`: it was set by somebody else.
    """

    id: str
    name: str
    role: Role
    operator: str | None
    hash: str = field(repr=False)
    password_wall_s: float
    disabled: bool = False
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Of one browser. Of the cookie's value only the fingerprint is kept."""

    key: bytes = field(repr=False)
    user: str
    address: str
    began_wall_s: float
    used_wall_s: float


@dataclass(frozen=True, slots=True)
class Token:
    """Of one machine. `ends_wall_s` None: until it is revoked. Of its value only the fingerprint is kept."""

    id: str
    key: bytes = field(repr=False)
    name: str
    role: Role
    created_by: str
    created_wall_s: float
    ends_wall_s: float | None
    used_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the audit: who, from where, what, of whom or what, and what came of it."""

    at_wall_s: float
    who: str
    address: str
    what: str
    subject: str = ""
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class Kept:
    """All that a request may need, as it is in the store: looked up in memory, never on the disk."""

    users: Mapping[str, User]
    sessions: Mapping[bytes, Session]
    tokens: Mapping[bytes, Token]


def new_secret() -> str:
    """256 random bits, as text."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_token() -> tuple[str, str]:
    """A token's id, which may be seen, and its value, which is shown once."""
    return secrets.token_hex(4), f"{TOKEN_PREFIX}{new_secret()}"


def fingerprint(secret: str) -> bytes:
    """What is kept of a random secret. It has 256 bits: one pass of SHA-256 is as good as a slow hash."""
    return sha256(secret.encode(errors="surrogatepass")).digest()


def user_id(text: str) -> str:
    """`text`, which is a user's id.

    Raises:
        NotKept: it is none.
    """
    if not re.fullmatch(USER_PATTERN, text):
        raise NotKept("user_id", "A user's id is 1 to 64 of a-z, 0-9, dot and hyphen, like anna.k.")
    return text


def display_name(text: str) -> str:
    """`text`, which is a name that people read.

    Raises:
        NotKept: it is none.
    """
    if not re.fullmatch(NAME_PATTERN, text) or not text.strip():
        raise NotKept("name", "A name is one line of 1 to 64 characters.")
    return text
