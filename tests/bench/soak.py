"""A clinic at work for an hour: does the fleet's memory stay where it is?

Devices begin sessions, run them, complete them or break a limit; then they are stopped, released and reset, and begin
again with another client. What a device does is written down as a generator that yields how long it waits.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from broker.contract.messages import Phase
from tests.bench import journal, sessions
from tests.bench.crowd import Crowd, at
from tests.bench.device import VIOLATING_MA, Device
from tests.bench.figures import Figure, slope, spread
from tests.bench.machine import Memory, Spent, memory
from tests.bench.site import Site

SAMPLE_EVERY_S = 10.0
IDLE_PERIOD_S = 5.0
LOOK_S = 0.2  # how often somebody looks whether something has happened
GIVE_UP_S = 30.0
# Of the time: until all that is bounded is full (256 sessions that are over, 64 events of each spool).
WARM_UP = 1 / 3
WARM_UP_SESSION_S = 40.0
GROWTH_MB_AN_HOUR_MAX = 3.0
QUIET_S = 3.0
_IN_SESSION = frozenset({Phase.ARMED, Phase.RUNNING})


@dataclass(frozen=True, slots=True)
class Soak:
    """`rate` in samples a second of a device in a session; sessions last `session` seconds, by chance half or more.

    In the warm-up they are short, so that what is kept of the newest is full early. Afterwards they come at the rate
    of a busy clinic, because the dose ledger keeps each for 14 days: 1 to 2 kB that are no leak.
    """

    devices: int = 100
    seconds: float = 3_600.0
    rate: float = 5.0
    session: float = 900.0
    violating: float = 0.2  # how many of the sessions end by a violation
    every: float = SAMPLE_EVERY_S  # seconds between two looks at the memory
    seed: int = 1


@dataclass(slots=True)
class Clinic:
    """What goes on, and what of it was counted."""

    crowd: Crowd
    soak: Soak
    chance: random.Random
    samples: int = 0
    deserved: int = 0  # samples that deserve a lease
    begun_warm: int = 0  # sessions that began after the warm-up
    completed: int = 0
    violated: int = 0
    refused: int = 0
    open: bool = True
    opened_s: float = 0.0
    over_limit: set[str] = field(default_factory=set)
    written_s: dict[str, float] = field(default_factory=dict)
    stops_ms: list[float] = field(default_factory=list)

    def opens(self) -> None:
        self.opened_s = time.monotonic()
        for device in self.crowd.devices.values():
            self._go_on(self._day(device))
            self._go_on(self._speaking(device))

    @property
    def warm(self) -> bool:
        return time.monotonic() - self.opened_s >= self.soak.seconds * WARM_UP

    @property
    def session_s(self) -> float:
        """How long a session that begins now may last."""
        return self.soak.session if self.warm else min(self.soak.session, WARM_UP_SESSION_S)

    def _go_on(self, story: Iterator[float]) -> None:
        waits_s = next(story, None)
        if waits_s is not None:
            self.crowd.after(waits_s, lambda: self._go_on(story))

    # --- what happens at a device -----------------------------------------------------------------------------------

    def _day(self, device: Device) -> Iterator[float]:
        yield self.chance.uniform(0.0, self.session_s / 2)
        while self.open:
            try:
                sessions.ask_for_one(self.crowd, device)
            except sessions.NotAuthorised:
                self.refused += 1
                yield IDLE_PERIOD_S
                continue
            yield from self._await(lambda: device.phase is Phase.AUTHORISED)
            self.begun_warm += self.warm
            yield 1.0
            device.arms(at())
            yield 1.0
            device.starts(at())
            yield self.chance.uniform(0.5, 1.0) * self.session_s
            if self.chance.random() < self.soak.violating:
                yield from self._breaks_a_limit(device)
            else:
                device.completes(at())
                self.completed += 1
            yield self.chance.uniform(0.1, 0.2) * self.session_s

    def _breaks_a_limit(self, device: Device) -> Iterator[float]:
        self.over_limit.add(device.name)
        yield from self._await(lambda: device.phase is Phase.LATCHED and device.session_id is None)
        self.over_limit.discard(device.name)
        self.stops_ms.append((self.crowd.stopped_s[device.name] - self.written_s.pop(device.name)) * 1e3)
        self.violated += 1
        yield 1.0
        self.crowd.site.ask(op="release", device=device.name, issued_by="anna")
        yield from self._await(lambda: not device.holds)
        yield 1.0
        device.is_reset(at())

    def _await(self, condition: Callable[[], bool]) -> Iterator[float]:
        give_up_s = time.monotonic() + GIVE_UP_S
        while not condition():
            assert time.monotonic() < give_up_s, "a device waits for something that does not come"
            yield LOOK_S

    def _speaking(self, device: Device) -> Iterator[float]:
        """At its rate in a session, every 5 s otherwise, and when the phase has changed."""
        period_s = 1.0 / self.soak.rate
        yield self.chance.uniform(0.0, period_s)
        said, silent_s = None, IDLE_PERIOD_S
        while self.open:
            if device.phase in _IN_SESSION or said is not device.phase or silent_s >= IDLE_PERIOD_S:
                self._speak(device, period_s)
                said, silent_s = device.phase, 0.0
            silent_s += period_s
            yield period_s

    def _speak(self, device: Device, period_s: float) -> None:
        self.samples += 1
        breaking = device.name in self.over_limit and device.phase is Phase.RUNNING
        if device.phase is Phase.RUNNING:
            device.elapsed_s += period_s
        self.deserved += device.phase in _IN_SESSION and not breaking
        if breaking:
            self.written_s.setdefault(device.name, time.monotonic())
        self.crowd.wire.send(device.sample(at(), VIOLATING_MA if breaking else None))


def measure(folder: Path, soak: Soak, tell: Callable[[str], None]) -> dict[str, Any]:
    """Work for so long, and look at the memory all the while."""
    with Site(folder, soak.devices) as site:
        found = _measured(site, soak, tell)
    return {**found, "ended_cleanly": site.ended is None}


def _measured(site: Site, soak: Soak, tell: Callable[[str], None]) -> dict[str, Any]:
    crowd = Crowd(site, with_own_connection=site.names)
    sessions.come_up(crowd)
    clinic = Clinic(crowd, soak, random.Random(soak.seed))
    judged, leased = sessions.judged(crowd), sum(device.leased for device in crowd.devices.values())
    pids = {"worker": site.worker, "supervisor": site.fleet.pid, "mosquitto": site.mosquitto.pid}
    spent, began_s = Spent(pids), time.monotonic()
    clinic.opens()
    looks: list[tuple[float, dict[str, Memory], float]] = []
    while (now_s := time.monotonic() - began_s) < soak.seconds:
        looks.append((now_s, {name: memory(pid) for name, pid in pids.items()}, _journal_mb(site)))
        if len(looks) % 6 == 1:
            tell(f"{now_s:6.0f} s: worker {looks[-1][1]['worker'].pss_mb} MB, {clinic.completed} sessions completed")
        crowd.pass_time(min(soak.every, soak.seconds - now_s))
    clinic.open = False
    used = spent.so_far()
    crowd.pass_time(QUIET_S)
    judged, leased = sessions.judged(crowd) - judged, sum(d.leased for d in crowd.devices.values()) - leased
    status = site.ask(op="status")
    crowd.close()
    return {
        "figures": [f.document() for f in _figures(clinic, looks, judged, leased, status)],
        "samples_per_s": round(clinic.samples / soak.seconds, 1),
        "sessions": {
            "completed": clinic.completed,
            "violated": clinic.violated,
            "refused": clinic.refused,
            "begun_after_the_warm_up": clinic.begun_warm,
        },
        "stop_ms": spread(clinic.stops_ms),
        "memory": {name: _course(looks, name) for name in pids},
        "journal_mb": {"first": looks[0][2], "last": looks[-1][2]},
        "processors": used,
        "fleet_status": status,
        "counts": dict(crowd.counts),
        "looks": [[round(now_s, 1), *(found[name].pss_mb for name in pids), size] for now_s, found, size in looks],
    }


def _figures(clinic: Clinic, looks: Any, judged: int, leased: int, status: dict[str, Any]) -> list[Figure]:
    course = _course(looks, "worker")
    return [
        Figure("pss_growth_mb_an_hour", course["slope_mb_an_hour"], at_most=GROWTH_MB_AN_HOUR_MAX),
        Figure("samples_judged", judged, exactly=clinic.samples),
        Figure("leases_heard", leased, exactly=clinic.deserved),
        Figure("refused_or_shed", sum(status["refused"].values()), exactly=0),
        Figure("undelivered", sum(status["undelivered"].values()), exactly=0),
        Figure("sessions_refused", clinic.refused, exactly=0),
    ]


def _course(looks: list[tuple[float, dict[str, Memory], float]], name: str) -> dict[str, float]:
    """How the PSS of a process went, after the warm-up."""
    points = [(now_s, found[name].pss_mb) for now_s, found, _ in looks]
    points = points[int(len(points) * WARM_UP) :]
    quarter = max(1, len(points) // 4)
    sizes = [size for _, size in points]
    return {
        "slope_mb_an_hour": round(slope([(now_s / 3_600.0, size) for now_s, size in points]), 3),
        "first_quarter_mb": round(median(sizes[:quarter]), 2),
        "last_quarter_mb": round(median(sizes[-quarter:]), 2),
        "least_mb": min(sizes),
        "most_mb": max(sizes),
    }


def _journal_mb(site: Site) -> float:
    return journal.size_mb(site.data_dir / "journal.db")
