"""How often something may be asked: by one address or user, and altogether. Bounded, and without a clock of its own."""

from collections.abc import Callable

ADDRESSES_MAX = 5_000
ROUNDING_S = 1e-6


class Rate:
    """So many at once, and one more every so many seconds: of an address, and of all."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        burst: int = 20,
        each_s: float = 3.0,
        burst_of_all: int = 200,
        each_of_all_s: float = 0.1,
    ) -> None:
        self._now_s = now_s
        self._burst_s, self._each_s = burst * each_s, each_s
        self._all_burst_s, self._all_each_s = burst_of_all * each_of_all_s, each_of_all_s
        self._free_s: dict[str, float] = {}  # by address: when all of its burst is free again
        self._all_free_s = 0.0

    def allows(self, address: str) -> bool:
        """Whether one more is; what is refused counts for nothing."""
        now_s = self._now_s()
        free_s, all_free_s = self._free_then(address, now_s)
        if self._over_s(free_s, all_free_s, now_s) > 0.0:
            return False
        self._free_s.pop(address, None)
        self._free_s[address], self._all_free_s = free_s, all_free_s
        if len(self._free_s) > ADDRESSES_MAX:
            self._free_s = {one: at_s for one, at_s in self._free_s.items() if at_s > now_s}
            while len(self._free_s) > ADDRESSES_MAX:
                del self._free_s[next(iter(self._free_s))]
        return True

    def wait_s(self, address: str) -> float:
        """How long until one more is allowed; 0: now. Counts nothing."""
        now_s = self._now_s()
        return self._over_s(*self._free_then(address, now_s), now_s)

    def _free_then(self, address: str, now_s: float) -> tuple[float, float]:
        """After one more: when all of the address's burst is free again, and all of everybody's."""
        free_s = max(now_s, self._free_s.get(address, 0.0)) + self._each_s
        return free_s, max(now_s, self._all_free_s) + self._all_each_s

    def _over_s(self, free_s: float, all_free_s: float, now_s: float) -> float:
        over_s = max(free_s - self._burst_s, all_free_s - self._all_burst_s) - now_s
        return over_s if over_s > ROUNDING_S else 0.0
