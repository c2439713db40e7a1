"""Which over-limits still count for "the second within 24 h takes an engineer".

Rules of this file:
- The wall clock has no say: a step of it must not waive the engineer. Ages go by boot time (CLOCK_BOOTTIME).
- A later start of the agent may be a later boot of its host, and nobody knows for how long that was off. What is known
  is the least: since the over-limit at least as much boot time has passed as lies between the two readings, or, where
  the clock has begun anew, as it shows now. Until that least is 24 h, in doubt it counts.
- An engineer who resets has seen what came before: what is in doubt ends there. What is not, of this start of the
  agent, counts for its 24 h.
"""

from agents.steps import OverLimit

DAY_S = 24 * 3600.0
KEPT = 8  # the second is what matters


def at_start(known: tuple[OverLimit, ...], now_s: float) -> tuple[OverLimit, ...]:
    """As the agent starts: boot times that this boot's clock can be compared with.

    One that lies ahead is of an earlier boot: it was before this clock's 0. One without (of a record of format 1)
    was at least before now.
    """
    return tuple(OverLimit(each.boot_n, _comparable_s(each.boottime_s, now_s)) for each in known)


def recent(known: tuple[OverLimit, ...], now_s: float) -> tuple[OverLimit, ...]:
    """Those that are not surely 24 h old."""
    return tuple(each for each in known if each.boottime_s is None or now_s - each.boottime_s < DAY_S)


def with_one_more(known: tuple[OverLimit, ...], boot_n: int, now_s: float) -> tuple[OverLimit, ...]:
    """Another one, now."""
    return (*known, OverLimit(boot_n, now_s))[-KEPT:]


def seen_by_engineer(known: tuple[OverLimit, ...], boot_n: int) -> tuple[OverLimit, ...]:
    """What is left when an engineer has reset."""
    return tuple(each for each in known if each.boot_n == boot_n)


def _comparable_s(boottime_s: float | None, now_s: float) -> float:
    if boottime_s is None:
        return now_s
    return boottime_s if boottime_s <= now_s else 0.0
