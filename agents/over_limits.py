"""Which over-limits still count for "the second within 24 h takes an engineer".

Rules of this file:
- The wall clock has no say: a step of it must not waive the engineer. Ages go by boot time (CLOCK_BOOTTIME).
- A later start of the agent may be a later boot of its host, and nobody knows for how long that was off. What is known
  is the least: since the over-limit at least as much boot time has passed as lies between the two readings, or, where
  the clock has begun anew, as it shows now. Until that least is 24 h, in doubt it counts.
- An engineer who resets has seen what came before: what is in doubt ends there. What is not counts for its 24 h, be it
  of this start of the agent, or of an earlier one whose boot time compares with this clock's: that counts as of this.
"""

from agents.steps import OverLimit

DAY_S = 24 * 3600.0
KEPT = 8  # the second is what matters


def at_start(known: tuple[OverLimit, ...], boot_n: int, now_s: float) -> tuple[OverLimit, ...]:
    """As the agent starts: boot times that this boot's clock can be compared with.

    One that lies ahead is of an earlier boot: it was before this clock's 0. One without (of a record of format 1)
    was at least before now. Both are in doubt, and stay of their start; the others are of this one, `boot_n`.
    """
    return tuple(_comparable(each, boot_n, now_s) for each in known)


def recent(known: tuple[OverLimit, ...], now_s: float) -> tuple[OverLimit, ...]:
    """Those that are not surely 24 h old."""
    return tuple(each for each in known if each.boottime_s is None or now_s - each.boottime_s < DAY_S)


def with_one_more(known: tuple[OverLimit, ...], boot_n: int, now_s: float) -> tuple[OverLimit, ...]:
    """Another one, now."""
    return (*known, OverLimit(boot_n, now_s))[-KEPT:]


def seen_by_engineer(known: tuple[OverLimit, ...], boot_n: int) -> tuple[OverLimit, ...]:
    """What is left when an engineer has reset."""
    return tuple(each for each in known if each.boot_n == boot_n)


def _comparable(each: OverLimit, boot_n: int, now_s: float) -> OverLimit:
    if each.boottime_s is None:
        return OverLimit(each.boot_n, now_s)
    return OverLimit(each.boot_n, 0.0) if each.boottime_s > now_s else OverLimit(boot_n, each.boottime_s)
