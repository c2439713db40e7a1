"""Bad sign-ins, and how long whoever made them has to wait. Pure: the wall clock comes in, nothing is written.

A sign-in counts against three at once, each with a bound of its own: the user at that address, the address, the user
wherever. Each bound has some attempts that are free; from then on every one doubles the wait, up to its longest.

- What is tried while one has to wait is not looked at and does not count: nobody can be kept out for ever by somebody
  who goes on trying, and nothing is learned.
- Where a user has signed in before, neither the address's bound nor the user's own keeps them out: whoever tries from
  elsewhere, or somebody else at the same workstation, cannot. The narrow bound, of this user at this address, stays.
- A name that nobody has counts like any other.
- Who is signed in is never asked: lockout is about signing in.

Wall time, so that a restart, or a reboot, forgives nothing; a clock that was set back lets nobody wait longer than the
longest wait.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Final

HOUR_S: Final = 3_600.0
KNOWN_S: Final = 90 * 24 * HOUR_S  # how long a user is known at an address after the last sign-in there
COUNTS_MAX: Final = 20_000  # of all kinds; the oldest go


class Kind(StrEnum):
    PAIR = "pair"  # this user at this address
    ADDRESS = "address"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Bound:
    """So many are free, then every one doubles the wait; all is forgotten after so long without one."""

    free: int
    first_s: float
    longest_s: float
    forgotten_s: float


BOUNDS: Final[Mapping[Kind, Bound]] = MappingProxyType(
    {
        Kind.PAIR: Bound(free=5, first_s=2.0, longest_s=15 * 60.0, forgotten_s=24 * HOUR_S),
        Kind.ADDRESS: Bound(free=20, first_s=2.0, longest_s=5 * 60.0, forgotten_s=HOUR_S),
        # Short: it also keeps out the user, at a workstation where they never were.
        Kind.USER: Bound(free=20, first_s=2.0, longest_s=60.0, forgotten_s=24 * HOUR_S),
    }
)

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Count:
    """Bad ones in a row, and when the last was."""

    failures: int
    last_wall_s: float


class Attempts:
    """All counts. `changed` are the keys that a store has not got yet."""

    def __init__(
        self,
        counts: Mapping[Key, Count],
        known: Mapping[tuple[str, str], float],
        bounds: Mapping[Kind, Bound] = BOUNDS,
    ) -> None:
        self._counts = dict(counts)
        self._known = dict(known)  # user and address: when they last signed in there
        self._known_addresses = {address for _, address in known}
        self._bounds = bounds
        self.changed: set[Key] = set()

    def wait_s(self, user: str, address: str, now_wall_s: float, since_wall_s: float = 0.0) -> float:
        """How long until the next attempt is looked at; 0: now. What was before `since_wall_s` does not count for the
        user: their password was set then.
        """
        kinds = (Kind.PAIR,) if self.knows(user, address, now_wall_s) else tuple(Kind)
        keys = [key for key in _keys(user, address) if key[0] in kinds]
        return max(self._wait_s(key, now_wall_s, 0.0 if key[0] is Kind.ADDRESS else since_wall_s) for key in keys)

    def knows(self, user: str, address: str, now_wall_s: float) -> bool:
        """Whether this user has signed in there."""
        known_wall_s = self._known.get((user, address))
        return known_wall_s is not None and now_wall_s - known_wall_s < KNOWN_S

    def knows_address(self, address: str) -> bool:
        """Whether anybody has ever signed in there."""
        return address in self._known_addresses

    def _wait_s(self, key: Key, now_wall_s: float, since_wall_s: float) -> float:
        count = self._standing(key, now_wall_s)
        bound = self._bounds[key[0]]
        if count is None or count.last_wall_s < since_wall_s or count.failures < bound.free:
            return 0.0
        # The exponent is bounded: a float has no 2 ** 1024.
        wait_s = min(bound.longest_s, bound.first_s * 2.0 ** min(64, count.failures - bound.free))
        return min(wait_s, max(0.0, count.last_wall_s + wait_s - now_wall_s))

    def began(self, user: str, address: str, now_wall_s: float) -> None:
        """One is looked at: it counts as a bad one from now on, so that many at once do not all slip through."""
        for key in _keys(user, address):
            count = self._standing(key, now_wall_s)
            self._counts.pop(key, None)  # the newest are last
            self._counts[key] = Count((count.failures if count else 0) + 1, now_wall_s)
            self.changed.add(key)
        while len(self._counts) > COUNTS_MAX:
            oldest = next(iter(self._counts))
            del self._counts[oldest]
            self.changed.add(oldest)

    def succeeded(self, user: str, address: str, now_wall_s: float) -> None:
        """It was a good one: the user's counts are over; the address's is only one less, or one user of their own would
        let somebody try on for ever.
        """
        for key in _keys(user, address):
            count = self._counts.pop(key, None)
            if count is not None and key[0] is Kind.ADDRESS and count.failures > 1:
                self._counts[key] = Count(count.failures - 1, count.last_wall_s)
            self.changed.add(key)
        self._known[user, address] = now_wall_s
        self._known_addresses.add(address)

    def take_changed(self) -> Iterator[tuple[Key, Count | None]]:
        """What a store has not got yet; None: it is over."""
        changed, self.changed = self.changed, set()
        return ((key, self._counts.get(key)) for key in changed)

    def _standing(self, key: Key, now_wall_s: float) -> Count | None:
        count = self._counts.get(key)
        if count is None or now_wall_s - count.last_wall_s > self._bounds[key[0]].forgotten_s:
            return None
        return count


def place(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits that one household gets."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        if not (parsed.is_loopback or parsed.is_link_local):
            return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)


def _keys(user: str, address: str) -> tuple[Key, ...]:
    return ((Kind.PAIR, f"{user}\n{address}"), (Kind.ADDRESS, address), (Kind.USER, user))
