"""A fleet with nothing to do: devices that are there, say so every 5 s, and have no session."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench import sessions
from tests.bench.crowd import Crowd
from tests.bench.device import Device
from tests.bench.figures import Figure
from tests.bench.machine import Memory, Spent, memory
from tests.bench.site import Site

PERIOD_S = 5.0  # of an idle device
SHARE_MAX, MEMORY_MB_MAX = 0.02, 120.0


@dataclass(frozen=True, slots=True)
class Idle:
    """So many devices for so long, after a while in which the service settles."""

    devices: int = 100
    seconds: float = 60.0
    settle: float = 15.0
    seed: int = 1


def measure(folder: Path, idle: Idle, tell: Callable[[str], None]) -> dict[str, Any]:
    """What supervisor and worker together use of a core, and of the memory."""
    with Site(folder, idle.devices) as site:
        found = _measured(site, idle, tell)
    return {**found, "ended_cleanly": site.ended is None}


def _measured(site: Site, idle: Idle, tell: Callable[[str], None]) -> dict[str, Any]:
    crowd = Crowd(site)
    sessions.come_up(crowd)
    chance = random.Random(idle.seed)
    for device in crowd.devices.values():
        _speaks(crowd, device, chance.random() * PERIOD_S)
    tell(f"settling for {idle.settle:g} s")
    crowd.pass_time(idle.settle)
    tell(f"measuring for {idle.seconds:g} s")
    heard = sessions.judged(crowd)
    spent = Spent(
        {"worker": site.worker, "supervisor": site.fleet.pid, "mosquitto": site.mosquitto.pid, "bench": os.getpid()}
    )
    began_s = time.monotonic()
    crowd.pass_time(idle.seconds)
    used = spent.so_far()
    lasted_s = time.monotonic() - began_s
    heard = sessions.judged(crowd) - heard
    worker, supervisor, broker = (memory(pid) for pid in (site.worker, site.fleet.pid, site.mosquitto.pid))
    crowd.close()
    share = used["share_of_a_core"]["worker"] + used["share_of_a_core"]["supervisor"]
    together = Memory(*(round(a + b, 2) for a, b in zip(_sizes(worker), _sizes(supervisor), strict=True)))
    return {
        "figures": [
            Figure("share_of_a_core", round(share, 4), at_most=SHARE_MAX).document(),
            Figure("pss_mb", together.pss_mb, at_most=MEMORY_MB_MAX).document(),
        ],
        "samples_per_s": round(heard / lasted_s, 2),
        "processors": used,
        "memory": {
            "worker": asdict(worker),
            "supervisor": asdict(supervisor),
            "together": asdict(together),
            "mosquitto": asdict(broker),
        },
    }


def _sizes(of: Memory) -> tuple[float, ...]:
    return of.rss_mb, of.pss_mb, of.private_mb


def _speaks(crowd: Crowd, device: Device, after_s: float) -> None:
    def speak() -> None:
        crowd.speak([device])
        _speaks(crowd, device, PERIOD_S)

    crowd.after(after_s, speak)
