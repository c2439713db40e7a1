"""How much whoever is not signed in may ask for, so that nobody who is has to wait behind them; and how much one user
may, so that no other user has to.

Each address has an allowance that refills, and all addresses together have one. A request of the API costs more than a
file of the page: the sign-in page is many files. Who is over it is held for a second before anything else is done with
the request: a crowd that waits for its answers costs next to nothing while it waits. Who is signed in has an allowance
of their own, and a far larger one; a stop of theirs is never counted.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

ADDRESSES_MAX: Final = 4_096  # the one that was not heard for longest is forgotten
API_COSTS: Final = 10.0
FILE_COSTS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """So much at once, and so much a second for ever."""

    at_once: float
    a_second: float


# 100 requests of the API and then 10 a second; or 1,000 files and then 100: twenty browsers behind one proxy may come
# at once.
ADDRESS: Final = Allowance(at_once=1_000.0, a_second=100.0)
# Ten such addresses. One where somebody has signed in before is not counted here: a flood from elsewhere spares it.
EVERYBODY: Final = Allowance(at_once=10_000.0, a_second=1_000.0)

# One user or token, wherever they are: 2,000 requests and then 200 a second. A page at work asks for a few a second.
SIGNED_IN: Final = Allowance(at_once=2_000.0, a_second=200.0)


class Strangers:
    """What has been asked for lately. Times are of one clock that only goes forward."""

    def __init__(self, address: Allowance = ADDRESS, everybody: Allowance = EVERYBODY) -> None:
        self._address = address
        self._everybody = everybody
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address: what is left, as of when
        self._left_of_all: tuple[float, float] = (everybody.at_once, 0.0)

    def may(self, address: str, costs: float, now_s: float, *, known: bool = False) -> bool:
        """Whether a request of a stranger at `address` is within the allowances; it counts if it is."""
        left = _refilled(self._left.pop(address, (self._address.at_once, now_s)), self._address, now_s)
        of_all = _refilled(self._left_of_all, self._everybody, now_s)
        within = left >= costs and (known or of_all >= costs)
        if within:
            left -= costs
            of_all -= 0.0 if known else costs
        self._left[address] = (left, now_s)
        self._left_of_all = (of_all, now_s)
        if len(self._left) > ADDRESSES_MAX:
            self._left.popitem(last=False)
        return within


def _refilled(left: tuple[float, float], allowance: Allowance, now_s: float) -> float:
    amount, then_s = left
    return min(allowance.at_once, amount + max(0.0, now_s - then_s) * allowance.a_second)
