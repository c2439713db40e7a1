"""What twenty open browsers cost a stop: rounds of the same load, without the web process, with it, and with it and its
browsers, in turn, in one run on one site.

A round: all devices in sessions, some break a limit; how long from writing that sample until their stop came. Between
rounds they are released, reset and treated again. The browsers are another process (`tests.bench.browser_crowd`): in a
clinic they are other machines, here they take of the same cores.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from broker.contract.messages import Phase
from demo.processes import Process
from fleet.api.access import Role
from fleet.api.people import Token, Told, fingerprint, new_token
from fleet.api.store import FILE_NAME, Store
from tests.bench import load, sessions
from tests.bench.crowd import Crowd, at
from tests.bench.device import Device
from tests.bench.figures import Figure, quantile, spread
from tests.bench.machine import Spent
from tests.bench.schedule import build
from tests.bench.site import Site
from tests.bench.watching import Watching

RATIO_MAX = 1.2
NICE = 10  # the web process's own, as its unit says
EVENTS_A_S = 10.0
ALONE, WEB, BROWSERS = KINDS = ("no web process", "no browsers", "browsers")


@dataclass(frozen=True, slots=True)
class Browsers:
    """So many rounds of each kind, each so many seconds, with `rate` samples a second of each device."""

    devices: int = 200
    rate: float = 5.0
    seconds: float = 10.0
    violations: int = 100
    browsers: int = 20
    rounds: int = 5
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Round:
    """One round: who was there, its stops in milliseconds, and whether everything was answered."""

    kind: str
    stops_ms: tuple[float, ...]
    late_ms: tuple[float, ...]
    answered: bool

    @property
    def p99_ms(self) -> float:
        return quantile(self.stops_ms, 0.99)


def measure(folder: Path, asked: Browsers, tell: Callable[[str], None]) -> dict[str, Any]:
    """Bring everything up, play the rounds; figures, and what they were made of."""
    with Site(folder, asked.devices) as site:
        found = _measured(site, asked, tell)
    return {**found, "ended_cleanly": site.ended is None}


def _measured(site: Site, asked: Browsers, tell: Callable[[str], None]) -> dict[str, Any]:
    chance = random.Random(asked.seed)
    breaking = chance.sample(site.names, asked.violations)
    crowd = Crowd(site, with_own_connection=breaking)
    devices = list(crowd.devices.values())
    tell(f"{asked.devices} devices come up, and sessions begin")
    sessions.come_up(crowd)
    sessions.begin(crowd, devices)
    tokens = _tokens(site.data_dir / FILE_NAME, asked.browsers)
    rounds: list[Round] = []
    watching: list[dict[str, Any]] = []
    for n in range(len(KINDS) * asked.rounds):
        kind = KINDS[n % len(KINDS)]
        with _beside(kind, site, crowd, tokens) as seen:
            rounds.append(_round(crowd, asked, breaking, chance, kind))
        watching += [seen] if kind == BROWSERS else []
        tell(f"round {n + 1}: {kind}, p99 {rounds[-1].p99_ms:.2f} ms")
        _treat_again(crowd, [crowd.devices[name] for name in breaking])
    crowd.close()
    return _found(asked, rounds, watching)


def _found(asked: Browsers, rounds: Sequence[Round], watching: Sequence[dict[str, Any]]) -> dict[str, Any]:
    of_kind = {kind: [one for one in rounds if one.kind == kind] for kind in KINDS}
    p99 = {kind: median(one.p99_ms for one in of_kind[kind]) for kind in KINDS}
    p50 = {kind: median(quantile(one.stops_ms, 0.5) for one in of_kind[kind]) for kind in KINDS}
    return {
        "figures": [
            Figure("stop_p99_ratio", round(p99[BROWSERS] / p99[WEB], 3), at_most=RATIO_MAX).document(),
            Figure(
                "stops_delivered", sum(len(one.stops_ms) for one in rounds), exactly=len(rounds) * asked.violations
            ).document(),
            Figure("all_answered", sum(one.answered for one in rounds), exactly=len(rounds)).document(),
            Figure("streams_open", min(seen["streams"] for seen in watching), exactly=asked.browsers).document(),
            Figure("failed_answers", sum(seen["failed"] for seen in watching), exactly=0).document(),
        ],
        "stop_p99_ms": p99,
        "stop_p50_ms": p50,
        "rounds": [
            {"beside": one.kind, "stop_ms": spread(one.stops_ms), "written_late_ms": spread(one.late_ms)}
            for one in rounds
        ],
        "watching": list(watching),
    }


# --- a round --------------------------------------------------------------------------------------------------------


def _round(crowd: Crowd, asked: Browsers, breaking: Sequence[str], chance: random.Random, kind: str) -> Round:
    played = load.Load(asked.devices, asked.rate, asked.seconds, asked.violations, EVENTS_A_S, asked.seed)
    devices = list(crowd.devices.values())
    sessions.show(crowd, devices)
    crowd.stopped_s.clear()
    schedule = build(devices, asked.rate, asked.seconds, breaking, chance)
    before = load.Tally.of(crowd)
    run = load.play(crowd, schedule, played)
    answered = load.settle(crowd, before, schedule)
    for device in devices:  # those that spoke in advance were copies
        if device.phase is Phase.RUNNING:
            device.elapsed_s += asked.seconds
    stopped = [name for name in run.written_s if name in crowd.stopped_s]
    stops_ms = [(crowd.stopped_s[name] - run.written_s[name]) * 1e3 for name in stopped]
    return Round(kind, tuple(stops_ms), tuple(run.late_ms), answered)


def _treat_again(crowd: Crowd, devices: Sequence[Device]) -> None:
    """Released, reset, and in new sessions."""
    crowd.until("their sessions are over", lambda: all(device.session_id is None for device in devices))
    crowd.until("the broker has it all", lambda: not crowd.unacknowledged)
    sessions.show(crowd, list(crowd.devices.values()))
    for device in devices:
        crowd.site.ask(op="release", device=device.name, issued_by="anna")
    for _ in range(sessions.TRIES):
        if not any(device.holds for device in devices):
            break
        sessions.show(crowd, devices)  # a release answers a sample
        crowd.pass_time(1.0)
    for device in devices:
        device.is_reset(at())
    crowd.until("the broker has it all", lambda: not crowd.unacknowledged)
    sessions.begin(crowd, devices)


# --- who watches ----------------------------------------------------------------------------------------------------


def _tokens(path: Path, browsers: int) -> list[str]:
    """One sign-in for each browser."""
    store, values = Store(path), []
    for n in range(browsers):
        token, value = new_token()
        kept = Token(token, fingerprint(value), f"browser {n}", Role.VIEWER, "bench", time.time(), None)
        store.add_token(kept, Told(time.time(), "bench", "", "add token", token))
        values.append(value)
    store.close()
    return values


@contextmanager
def _beside(kind: str, site: Site, crowd: Crowd, tokens: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Whoever is there while the context is open; then what browsers saw."""
    if kind == ALONE:
        yield {}
        return
    where = [f"--site-dir={site.site_dir}", f"--data-dir={site.data_dir}", "--port=0"]
    log = site.folder / f"web-{time.monotonic_ns()}.log"
    web = Process("web", ["web", *where], log, nice=NICE)
    web.start()
    seen: dict[str, Any] = {}
    try:
        crowd.until("the web process listens", lambda: "the live page is at" in log.read_text())
        url = log.read_text().rpartition("the live page is at ")[2].split()[0]
        if kind == WEB:
            yield seen
            return
        with Watching(url, tokens, site.names) as watching:
            crowd.until("every browser has its snapshot", lambda: watching.ready)
            spent = Spent({"web": web.pid, "browsers": watching.pid})
            yield seen
            used = spent.so_far()
            seen |= {**watching.seen(), "processors": used}
    finally:
        web.end()
