"""From a violating sample on the wire to the message that a receiver has taken, with all devices in a session.

The whole way: broker, fleet, journal, replica, lane, HTTP. Each device breaks a limit once, at a moment of chance; what
counts is the first message about it. Nobody accepts anything, so every alarm is told again and again beside it.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.pki.durable import make_folder, write_secret
from demo.processes import Process, await_that
from tests.bench import journal, load, sessions
from tests.bench.crowd import Crowd
from tests.bench.figures import Figure, quantile, spread
from tests.bench.schedule import build
from tests.bench.site import UP_WITHIN_S, Site
from tests.paging.receivers import HttpReceiver

TAKEN_P99_MS = 1_000.0
AFTER_S = 5.0  # how long the last ones may take


@dataclass(frozen=True, slots=True)
class Pages:
    """How much of what. `rate` in samples a second of each device."""

    devices: int = 200
    rate: float = 2.0
    seconds: float = 60.0
    violations: int = 150
    seed: int = 1


def measure(folder: Path, pages: Pages, tell: Callable[[str], None]) -> dict[str, Any]:
    """Bring everything up, run, and look when each message was taken."""
    with HttpReceiver() as receiver:
        site = Site(folder, pages.devices)
        _rota(site, receiver.url)
        where = [f"--site-dir={site.site_dir}", f"--data-dir={site.data_dir}"]
        pager = Process("pager", ["pager", *where], folder / "pager.log", nice=10)
        with site:
            pager.start()
            await_that("the pager tells people", lambda: b"telling people" in pager.log.read_bytes(), UP_WITHIN_S)
            found = _measured(site, receiver, pages, tell)
            ended = pager.end()
    return {**found, "ended_cleanly": site.ended is None and ended is None}


def _rota(site: Site, url: str) -> None:
    make_folder(site.site_dir / "secrets")
    write_secret(site.site_dir / "secrets" / "phone", f"{url}/\na-key-of-the-bench-only\n".encode())
    method = {"id": "phone", "kind": "webhook", "secret": "phone"}
    rungs = {priority: [["anna"]] for priority in ("high", "medium")}
    rota = {"people": [{"id": "anna", "name": "Anna", "methods": [method]}], "rungs": rungs}
    (site.site_dir / "rota.json").write_text(json.dumps(rota))


def _measured(site: Site, receiver: HttpReceiver, pages: Pages, tell: Callable[[str], None]) -> dict[str, Any]:
    chance = random.Random(pages.seed)
    violating = chance.sample(site.names, pages.violations)
    crowd = Crowd(site, with_own_connection=violating)
    tell(f"{pages.devices} devices come up")
    sessions.come_up(crowd)
    sessions.begin(crowd, list(crowd.devices.values()))
    schedule = build(list(crowd.devices.values()), pages.rate, pages.seconds, violating, chance)
    tell(f"running for {pages.seconds:g} s")
    to_boottime_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    run = load.play(crowd, schedule, load.Load(pages.devices, pages.rate, pages.seconds, pages.violations, 1.0))
    crowd.pass_time(AFTER_S)
    taken_s = _first_taken(receiver)
    taken_ms = [
        (taken_s[name] - to_boottime_s - written_s) * 1e3
        for name, written_s in run.written_s.items()
        if name in taken_s
    ]
    rows = journal.rows_by_name(site.data_dir / "journal.db")
    crowd.close()
    figures = [
        Figure("alarms_taken", len(taken_ms), exactly=pages.violations),
        Figure("taken_p50_ms", round(quantile(taken_ms, 0.5), 1)),
        Figure("taken_p99_ms", round(quantile(taken_ms, 0.99), 1), at_most=TAKEN_P99_MS),
        Figure("messages_missed", rows.get("PageMissed", 0), exactly=0),
    ]
    return {
        "figures": [figure.document() for figure in figures],
        "taken_ms": spread(taken_ms, 1),
        "messages": len(receiver.posted),
        "journal": {name: rows.get(name, 0) for name in ("AlarmRaised", "PageDue", "PageArrived", "PageMissed")},
        "written_late_ms": spread(run.late_ms),
    }


def _first_taken(receiver: HttpReceiver) -> dict[str, float]:
    """By device: when the first message about its A02 had arrived (boot time)."""
    found: dict[str, float] = {}
    for posted in receiver.posted:
        said = posted.said
        if said["code"] == "A02" and said["act"] == "trigger":
            found.setdefault(said["device"], posted.at_s)
    return found
