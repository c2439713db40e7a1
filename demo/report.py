"""The report of a demo: what was counted by whom, how late stops were, and what an observer saw. Pure arithmetic.

Published is what the agents counted and spooled themselves (also those that were killed), received and journaled what
the fleet has: neither is derived from the other. What does not add up is among the violations.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agents.counters import MARGIN_STEP_S, Counted
from demo.bookkeeping import journaled, miscounted, stops_confirmed, stops_followed
from demo.observer import Violation
from fleet.adapters.journal.reading import Told


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a device's spool says: it has given the numbers 1 to `newest_n`, and keeps those in `kept`."""

    device: str
    spool_id: str
    newest_n: int
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a fleet instance counted."""

    telemetry: int
    leases: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that a report is made of."""

    seconds: float
    devices: int
    journal: Sequence[Told]
    counted: Mapping[str, Counted]
    spooled: Sequence[Spooled]
    heard: Iterable[Heard]
    violations: Sequence[Violation]


def report(sources: Sources) -> dict[str, Any]:
    """The report as JSON has it. A figure that nothing was measured for is null."""
    heard = tuple(sources.heard)
    published = sum(counted.telemetry_published for counted in sources.counted.values())
    received = sum(each.telemetry for each in heard)
    newest_n = {(spool.device, spool.spool_id): spool.newest_n for spool in sources.spooled}
    wrong = miscounted(journaled(sources.journal), newest_n, published - received)
    return {
        "seconds": round(sources.seconds, 1),
        "devices": sources.devices,
        "telemetry": {"published": published, "received": received, "lost": published - received},
        "events": _events(sources),
        "sessions": _sessions(sources.journal),
        "stops": _stops(sources.journal),
        "leases": {
            "granted": sum(each.leases for each in heard),
            "lost": sum(1 for _ in _reported(sources.journal, "lease_lost")),
            "margin_s": margins(sources.counted.values()),
        },
        "violations": [_rounded(violation) for violation in (*sources.violations, *wrong)],
    }


def percentile(values: Iterable[float], percent: float) -> float | None:
    """By nearest rank: the smallest value that at least `percent` of all do not exceed; None of nothing.

    >>> percentile([15.0, 20.0, 35.0, 40.0, 50.0], 40.0)
    20.0
    """
    ranked = sorted(values)
    return ranked[max(1, math.ceil(len(ranked) * percent / 100.0)) - 1] if ranked else None


def margins(counted: Iterable[Counted]) -> dict[str, float | None]:
    """How much permission was left when a lease arrived, in seconds, rounded down to the counters' steps."""
    by_step = [sum(steps) for steps in zip(*(each.margins for each in counted), strict=True)]

    def at(percent: float) -> float | None:
        left = max(1, math.ceil(sum(by_step) * percent / 100.0))
        for step, leases in enumerate(by_step):
            left -= leases
            if left <= 0:
                return round(step * MARGIN_STEP_S, 2)
        return None

    return {"p5": at(5.0), "p50": at(50.0)}


def missing(sources: Sources) -> list[tuple[str, int]]:
    """Events that an agent has spooled and the journal does not have: device and number."""
    rows = journaled(sources.journal)
    return [
        (spool.device, n)
        for spool in sources.spooled
        for n in range(1, spool.newest_n + 1)
        if (spool.device, spool.spool_id, n) not in rows
    ]


# --- the parts ------------------------------------------------------------------------------------------------------


def _events(sources: Sources) -> dict[str, int]:
    """Three counts: numbers that spools have given, events in the journal, numbers that are not in it."""
    return {
        "published": sum(spool.newest_n for spool in sources.spooled),
        "journaled": len(journaled(sources.journal)),
        "missing": len(missing(sources)),
    }


def _sessions(journal: Sequence[Told]) -> dict[str, int]:
    started = {told.body["event"]["session_id"] for told in _reported(journal, "session_started")}
    ended = {
        told.body["session_id"]: told.body["to"]
        for told in journal
        if told.name == "SessionEnded" and told.body["session_id"] in started
    }
    completed = sum(1 for to in ended.values() if to == "completed")
    return {
        "authorised": _count(journal, "SessionAuthorised"),
        "refused": _count(journal, "SessionRefused"),
        "started": len(started),
        "completed": completed,
        "stopped": len(ended) - completed,
    }


def _stops(journal: Sequence[Told]) -> dict[str, Any]:
    """Each stop once for every device on which it was followed."""
    pushed, all_confirmed = stops_followed(journal), stops_confirmed(journal)
    confirmed = [all_confirmed[stop].body for stop in pushed if stop in all_confirmed]
    to_sent = [body["cause_to_sent_s"] for body in confirmed]
    to_zero = [body["sent_to_zero_s"] for body in confirmed]
    whole = [sent_s + zero_s for sent_s, zero_s in zip(to_sent, to_zero, strict=True) if None not in {sent_s, zero_s}]
    return {
        "pushed": len(pushed),
        "confirmed_zero": len(confirmed),
        "unconfirmed": len(pushed) - len(confirmed),
        "latency_ms": {
            "cause_to_sent": _latency(to_sent),
            "sent_to_zero": _latency(to_zero),
            "cause_to_zero": _latency(whole),
        },
    }


def _latency(seconds: Iterable[float | None]) -> dict[str, float | None]:
    measured = [1000.0 * each for each in seconds if each is not None]
    shown = {"p50": percentile(measured, 50.0), "p99": percentile(measured, 99.0), "max": max(measured, default=None)}
    return {name: None if value is None else round(value, 1) for name, value in shown.items()}


def _reported(journal: Iterable[Told], kind: str) -> Iterable[Told]:
    return (told for told in journal if told.name == "DeviceReported" and told.body["event"]["kind"] == kind)


def _count(journal: Iterable[Told], name: str) -> int:
    return sum(1 for told in journal if told.name == name)


def _rounded(violation: Violation) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(violation).items()}
