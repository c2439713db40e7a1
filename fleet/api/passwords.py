"""Passwords: what is good enough, and the argon2id hashes that are kept of them.

What is good enough follows NIST SP 800-63B: length counts, nothing is said about kinds of characters; what everybody
tries first is refused. Hashing is deliberately slow: it never runs in the loop that answers (`fleet.api.reception`).
"""

import secrets
import unicodedata
from base64 import b64encode
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

CHARS_MIN: Final = 12
CHARS_MAX: Final = 256
DIFFERENT_MIN: Final = 5  # aaaaaaaaaaaa is as long as it is bad
HASH_BYTES: Final = 32
SALT_BYTES: Final = 16
ONE_TIME_BYTES: Final = 15  # 120 bits, 24 characters


class Passwords:
    """Makes and checks hashes. One verification takes some 0.1 s of one core, and 64 MiB.

    RFC 9106's second choice (64 MiB, three passes) with one lane: a lane is a thread, and a machine of two cores has
    something more important to do.
    """

    def __init__(self, *, passes: int = 3, memory_kib: int = 65_536) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1, hash_len=HASH_BYTES, salt_len=SALT_BYTES
        )
        # Whoever nobody knows is checked against this, for as long as anybody else. No password has it.
        costs = f"m={memory_kib},t={passes},p=1"
        self.nobodys: Final = f"$argon2id$v={ARGON2_VERSION}${costs}${_drawn(SALT_BYTES)}${_drawn(HASH_BYTES)}"

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        return self._hasher.hash(_same(password))

    def verify(self, hashed: str, password: str) -> bool:
        """Whether it is this password."""
        try:
            return self._hasher.verify(hashed, _same(password))
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with other costs than are usual now."""
        return self._hasher.check_needs_rehash(hashed)


def _drawn(n_bytes: int) -> str:
    """Random bytes as they stand in a hash."""
    return b64encode(secrets.token_bytes(n_bytes)).rstrip(b"=").decode()


def one_time_password() -> str:
    """One that nobody has to remember: it is changed at the first sign-in."""
    return secrets.token_urlsafe(ONE_TIME_BYTES)[:24]


def weakness(password: str, user: str, name: str = "") -> str | None:
    """Why a password is not good enough, as a sentence; None: it is."""
    said = _same(password)
    if len(said) < CHARS_MIN:
        return f"A password has {CHARS_MIN} characters or more; some words in a row are easy to keep in mind."
    if len(said) > CHARS_MAX:
        return f"A password has {CHARS_MAX} characters at most."
    plain = _letters(said)
    parts = [part for whole in (user, name) for part in _split(whole)]
    if any(part in plain for part in parts):
        return "A password does not have the user's name in it."
    if len(set(said)) < DIFFERENT_MIN or _is_run(said.casefold()):
        return "A password is no row of the same or of neighbouring characters."
    if _is_common(said.casefold()):
        return "This password is one of those that are tried first."
    return None


def _same(password: str) -> str:
    """One form for what looks the same, whichever keyboard it was typed on."""
    return unicodedata.normalize("NFKC", password)


# What people put in the place of letters.
_INSTEAD: Final = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)


def _letters(password: str) -> str:
    return password.casefold().translate(_INSTEAD)


def _split(name: str) -> list[str]:
    """The parts of a name that are long enough to be recognised, and the whole of it."""
    plain = _letters(_same(name))
    parts = "".join(char if char.isalnum() else " " for char in plain).split()
    return [part for part in [*parts, plain] if len(part) >= 4]


def _is_run(password: str) -> bool:
    """abcdefghijkl, 987654321098, and the like."""
    steps = {(ord(after) - ord(before)) % 10 for before, after in pairwise(password)}
    return len(steps) == 1


def _is_common(password: str) -> bool:
    """Whether it is a common one, one twice over, or one with digits and signs at its end or instead of letters."""
    common = _common()
    bare = password.rstrip("0123456789!?.,-_#*+&%")
    half = password[: len(password) // 2]
    return not common.isdisjoint({password, bare, _letters(password), _letters(bare)}) or (
        half * 2 == password and half in common
    )


@cache
def _common() -> frozenset[str]:
    text = files("fleet.api").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
