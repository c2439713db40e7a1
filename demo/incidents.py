"""What happens in a demo, and where and when: who is treated, and one of everything that may go wrong. Pure.

The same devices, length and seed give the same demo. What does not fit into it is left out, in a sentence.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from demo.day import USUAL, Button, Step, Visit, a_client, raised

LEAD_S: Final = 9.0  # from the request until the current is up
CLOSES_S: Final = 2.0  # before closing time everything has come to rest
TARGET_MA: Final = 12.0
# An ON phase that lasts until the setting is up, and has come again before a demo is over.
DEMO_PLAN: Final = replace(USUAL, on_s=10.0, off_s=12.0)


class Kind(StrEnum):
    """What may happen. The first three are requests that are refused."""

    CONTRAINDICATION = "contraindication"
    EXCESS_DENSITY = "excess_density"
    TOO_EARLY = "too_early"
    STOP_PUSHED = "stop_pushed"
    ELECTRODE_LIFTS = "electrode_lifts"
    LINK_CUT = "link_cut"
    AGENT_KILLED = "agent_killed"
    OVER_LIMIT = "over_limit"
    OUTPUT_STUCK = "output_stuck"


# What each takes from its beginning until everything is at rest again, the most important first.
_AT_DEVICES: Final[dict[Kind, float]] = {
    Kind.STOP_PUSHED: 8.0,
    Kind.ELECTRODE_LIFTS: 8.0,
    Kind.LINK_CUT: 13.0,
    Kind.AGENT_KILLED: 9.0,
    Kind.OVER_LIMIT: 6.0,
    Kind.OUTPUT_STUCK: 4.0,
}
OWN_PROCESS: Final = frozenset({Kind.LINK_CUT, Kind.AGENT_KILLED})
_WORDS: Final[dict[Kind, str]] = {
    Kind.TOO_EARLY: "a client who comes again too early",
    Kind.STOP_PUSHED: "a pushed stop",
    Kind.ELECTRODE_LIFTS: "an electrode that lifts",
    Kind.LINK_CUT: "a link that is cut",
    Kind.AGENT_KILLED: "an agent that is killed",
    Kind.OVER_LIMIT: "an output above its limit",
    Kind.OUTPUT_STUCK: "an output that sticks",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """One of them. `client`: of a refused request."""

    kind: Kind
    at_s: float
    device: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class Demo:
    """All that will happen. `alone` are the devices whose agents are processes of their own."""

    visits: tuple[Visit, ...]
    incidents: tuple[Incident, ...]
    left_out: tuple[str, ...]
    alone: frozenset[str]

    def of(self, device: str) -> tuple[Visit, ...]:
        return tuple(visit for visit in self.visits if visit.device == device)


def a_demo(devices: Sequence[str], seconds: float, seed: int, afterwards_s: float = 0.0) -> Demo:
    """A demo of `seconds` on these devices, at least one; `afterwards_s` longer people are treated in peace."""
    chance = random.Random(f"{seed}/demo")
    cast, left_out = _cast(devices, seconds, chance)
    at_devices = tuple(_timed(cast, seconds, chance))
    first_s = {incident.device: incident.at_s for incident in reversed(at_devices)}
    visits = tuple(visit for device in devices for visit in _visits(device, first_s.get(device), seconds, chance))
    if afterwards_s:
        calm = random.Random(f"{seed}/afterwards")
        visits += tuple(
            visit for device in devices for visit in _afterwards(device, seconds, seconds + afterwards_s, calm)
        )
    refused, too_few = _refused(devices, visits, chance)
    incidents = sorted((*refused, *at_devices), key=lambda incident: incident.at_s)
    alone = frozenset(incident.device for incident in at_devices if incident.kind in OWN_PROCESS)
    return Demo(visits, tuple(incidents), (*left_out, *too_few), alone)


def _cast(devices: Sequence[str], seconds: float, chance: random.Random) -> tuple[dict[Kind, str], tuple[str, ...]]:
    """Which device each incident befalls: its own, but an electrode may lift where a stop is pushed later."""
    free = chance.sample(list(devices), len(devices))
    cast: dict[Kind, str] = {}
    left_out = []
    for kind, takes_s in _AT_DEVICES.items():
        needs_s = LEAD_S + takes_s + CLOSES_S
        shares = kind is Kind.ELECTRODE_LIFTS and len(devices) < len(_AT_DEVICES)
        if shares:
            needs_s += _AT_DEVICES[Kind.STOP_PUSHED]
        if seconds < needs_s:
            left_out.append(f"Not in this demo: {_WORDS[kind]}; that takes {needs_s:.0f} s (--for).")
        elif shares:
            cast[kind] = cast[Kind.STOP_PUSHED]
        elif free:
            cast[kind] = free.pop(0)
        else:
            left_out.append(f"Not in this demo: {_WORDS[kind]}; that takes one more device (--devices).")
    return cast, tuple(left_out)


def _timed(cast: dict[Kind, str], seconds: float, chance: random.Random) -> Iterator[Incident]:
    """Spread over the demo, in any order, each so early that it comes to rest; on one device the electrode first."""
    order = chance.sample(list(cast), len(cast))
    for place, kind in enumerate(order):
        latest_s = seconds - CLOSES_S - _AT_DEVICES[kind]
        if kind is Kind.ELECTRODE_LIFTS and cast[kind] == cast[Kind.STOP_PUSHED]:
            at_s = LEAD_S
        elif kind is Kind.STOP_PUSHED and cast.get(Kind.ELECTRODE_LIFTS) == cast[kind]:
            at_s = latest_s
        else:
            share = (place + chance.random()) / len(order)
            at_s = LEAD_S + share * (latest_s - LEAD_S)
        yield Incident(kind, round(at_s, 1), cast[kind])


def _visits(device: str, first_s: float | None, seconds: float, chance: random.Random) -> Iterator[Visit]:
    """One client after the other. Where something will happen, the current is just up when it does."""
    at_s = chance.uniform(0.5, 6.0) if first_s is None else max(0.0, first_s - LEAD_S)
    while at_s < max(1.0, seconds - LEAD_S):
        plan = replace(DEMO_PLAN, duration_s=60.0 * chance.choice((5, 10, 15, 20)))
        yield Visit(
            at_s=round(at_s, 1), device=device, client=a_client(chance), plan=plan, steps=tuple(practised(chance))
        )
        # The next one waits until the earlier one is over, whatever ended it.
        at_s += chance.uniform(12.0, 20.0)


def _afterwards(device: str, from_s: float, to_s: float, chance: random.Random) -> Iterator[Visit]:
    """One client after the other, with the time between them that people take."""
    at_s = from_s + chance.uniform(10.0, 120.0)
    while at_s < to_s:
        plan = replace(USUAL, duration_s=60.0 * chance.choice((10, 15, 20, 20)))
        yield Visit(
            at_s=round(at_s, 1), device=device, client=a_client(chance), plan=plan, steps=tuple(practised(chance))
        )
        at_s += plan.duration_s + chance.uniform(60.0, 900.0)


def practised(chance: random.Random) -> Iterator[Step]:
    """What is pressed, as a practised hand does it."""
    yield Step(after_s=round(chance.uniform(0.6, 1.2), 1), press=Button.ARM)
    yield Step(after_s=round(chance.uniform(0.6, 1.0), 1), press=Button.START)
    for step in raised(TARGET_MA, chance):
        yield replace(step, after_s=round(chance.uniform(0.45, 0.7), 2))


def _refused(
    devices: Sequence[str], visits: Sequence[Visit], chance: random.Random
) -> tuple[list[Incident], tuple[str, ...]]:
    """Three requests that the fleet has to refuse, at devices where nobody is yet, as far as there are any."""
    first_s = {visit.device: visit.at_s for visit in sorted(visits, key=lambda visit: visit.at_s, reverse=True)}
    by_first = sorted(devices, key=lambda device: first_s.get(device, math.inf), reverse=True)
    found = [
        Incident(Kind.CONTRAINDICATION, 1.0, by_first[0], a_client(chance)),
        Incident(Kind.EXCESS_DENSITY, 2.5, by_first[1 % len(by_first)], a_client(chance)),
    ]
    if len(devices) < 2:
        return found, (f"Not in this demo: {_WORDS[Kind.TOO_EARLY]}; that takes two devices (--devices).",)
    if not visits:
        return found, (f"Not in this demo: {_WORDS[Kind.TOO_EARLY]}; nobody is treated in so short a time (--for).",)
    first = min(visits, key=lambda visit: visit.at_s)
    found.append(Incident(Kind.TOO_EARLY, first.at_s + LEAD_S - 3.0, by_first[0], first.client))
    return found, ()
