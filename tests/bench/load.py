"""All devices in a running session, so many samples a second, and some that break a limit at moments of chance.

What is published is built before the clock starts. A device that violates goes on speaking, latched at zero, as it
would; so the rate of samples stays, and that of leases falls a little.
"""

import gc
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.contract.messages import EventKind, SettingChanged
from fleet.adapters.journal.restore import verify_journal
from tests.bench import journal, sessions
from tests.bench.crowd import Crowd, at
from tests.bench.device import SETTING_MA, Device
from tests.bench.figures import Figure, quantile, spread
from tests.bench.machine import Spent
from tests.bench.schedule import SLICE_S, Schedule, build
from tests.bench.site import Site

SETTLED_WITHIN_S = 20.0
STOP_P50_MS, STOP_P99_MS = 3.0, 25.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much of what. `rate` in samples a second of each device, `events` in durable events a second of all."""

    devices: int = 1_000
    rate: float = 5.0
    seconds: float = 60.0
    violations: int = 320
    events: float = 50.0
    seed: int = 1


@dataclass(slots=True)
class Run:
    """What happened: when violating samples were written, how late slices were."""

    written_s: dict[str, float] = field(default_factory=dict)
    late_ms: list[float] = field(default_factory=list)
    lasted_s: float = 0.0
    backlog_bytes_most: int = 0


def measure(folder: Path, load: Load, tell: Callable[[str], None]) -> dict[str, Any]:
    """Bring everything up, run, wait until all is quiet; figures, and what they were made of."""
    with Site(folder, load.devices) as site:
        found = _measured(site, load, tell)
    return {**found, "ended_cleanly": site.ended is None}


def _measured(site: Site, load: Load, tell: Callable[[str], None]) -> dict[str, Any]:
    chance = random.Random(load.seed)
    violating = chance.sample(site.names, load.violations)
    crowd = Crowd(site, with_own_connection=violating)
    tell(f"{load.devices} devices come up")
    began_s = time.monotonic()
    sessions.come_up(crowd)
    up_s = time.monotonic() - began_s
    tell("sessions begin")
    sessions.begin(crowd, list(crowd.devices.values()))
    running_s = time.monotonic() - began_s - up_s
    schedule = build(list(crowd.devices.values()), load.rate, load.seconds, violating, chance)
    tell(f"{schedule.samples} samples built in {schedule.built_s:.1f} s; running for {load.seconds:g} s")
    before = Tally.of(crowd)
    crowd.answered_s.clear()
    spent = Spent(
        {"fleet": site.worker, "supervisor": site.fleet.pid, "mosquitto": site.mosquitto.pid, "bench": os.getpid()}
    )
    run = play(crowd, schedule, load)
    used = spent.so_far()
    tell("waiting until all is quiet")
    quiet = settle(crowd, before, schedule)
    after = Tally.of(crowd)
    rows = journal.rows_by_name(site.data_dir / "journal.db")
    verified = verify_journal(site.data_dir / "journal.db").rows
    crowd.close()
    stops_ms = [(crowd.stopped_s[n] - run.written_s[n]) * 1e3 for n in run.written_s if n in crowd.stopped_s]
    return {
        "figures": [
            *(f.document() for f in _figures(load, schedule, run, stops_ms, before, after)),
            *(f.document() for f in _journaled(load, after, rows, verified)),
            Figure("all_answered", int(quiet), exactly=1).document(),
        ],
        "stop_ms": spread(stops_ms),
        "lease_ms": spread([answered_s * 1e3 for answered_s in crowd.answered_s]),
        "written_late_ms": spread(run.late_ms),
        "samples_per_s": round(schedule.samples / run.lasted_s, 1),
        "leases_per_s": round((after.leased - before.leased) / run.lasted_s, 1),
        "processors": {**used, "fleet_us_a_sample": round(used["cpu_s"]["fleet"] / schedule.samples * 1e6, 1)},
        "set_up_s": {
            "provisioned": round(site.provisioned_s, 2),
            "devices_up": round(up_s, 2),
            "sessions_running": round(running_s, 2),
            "built": round(schedule.built_s, 2),
        },
        "fleet_status": after.status,
        "journal": {
            "rows": sum(rows.values()),
            "size_mb": journal.size_mb(site.data_dir / "journal.db"),
            "snapshot_mb": journal.snapshot_mb(site.data_dir / "journal.db"),
        },
        "counts": dict(crowd.counts),
        "bench_backlog_bytes_most": run.backlog_bytes_most,
        "slice_ms": SLICE_S * 1e3,
    }


# --- the run --------------------------------------------------------------------------------------------------------


def play(crowd: Crowd, schedule: Schedule, load: Load) -> Run:
    """Publish what was built, each slice in its time."""
    run = Run()
    gc.collect()
    gc.freeze()  # half a million frames: our own collector would look at them again and again
    reporters = list(crowd.devices.values())
    events_due = (n / load.events for n in range(int(load.seconds * load.events)))
    event_due_s = next(events_due, load.seconds)
    start_s = time.monotonic() + 0.1
    for part in schedule.slices:
        due_s = start_s + part.due_s
        crowd.turn(0.0)
        while time.monotonic() < due_s:
            crowd.turn(due_s)
        now_s = time.monotonic()
        for device, seq in part.speaks:
            device.spoke = seq, now_s
        crowd.wire.send(part.octets)
        run.late_ms.append((now_s - due_s) * 1e3)
        run.backlog_bytes_most = max(run.backlog_bytes_most, crowd.wire.backlog)
        for name in part.violating:
            run.written_s[name] = now_s
        if now_s - start_s >= event_due_s:
            event_due_s = next(events_due, load.seconds)
            _report(reporters)
    run.lasted_s = time.monotonic() - start_s
    return run


def _report(reporters: list[Device]) -> None:
    """A therapist somewhere has changed a setting: the next device in turn says so."""
    device = reporters.pop(0)
    reporters.append(device)
    device.reports(EventKind.SETTING_CHANGED, at(), detail=SettingChanged(SETTING_MA))


# --- after ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """What both sides had counted at one moment."""

    status: dict[str, Any]
    leased: int
    late_leases: int
    reported: int
    receipted: int

    @classmethod
    def of(cls, crowd: Crowd) -> "Tally":
        devices = crowd.devices.values()
        return cls(
            crowd.site.ask(op="status"),
            sum(device.leased for device in devices),
            sum(device.late_leases for device in devices),
            sum(device.reported for device in devices),
            sum(device.receipted for device in devices),
        )

    def heard(self) -> int:
        """Samples that the fleet has taken in and judged, by its own count."""
        return int(self.status["heard"]["telemetry"]) - int(self.status["inbox"])


def settle(crowd: Crowd, before: Tally, schedule: Schedule) -> bool:
    """Wait until everything is answered; False: it never was."""
    give_up_s = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < give_up_s:
        crowd.pass_time(0.2)
        now = Tally.of(crowd)
        if (
            not crowd.unacknowledged
            and now.receipted == now.reported
            and now.leased - before.leased >= schedule.leased
            and now.heard() - before.heard() >= schedule.samples
        ):
            crowd.pass_time(0.5)  # what is one too many would come now
            return True
    return False


def _figures(
    load: Load, schedule: Schedule, run: Run, stops_ms: list[float], before: Tally, after: Tally
) -> list[Figure]:
    refused = sum(after.status["refused"].values()) + sum(after.status["refused_by_core"].values())
    refused -= sum(before.status["refused"].values()) + sum(before.status["refused_by_core"].values())
    fleet_sent = after.status["sent"]["lease"] - before.status["sent"]["lease"]
    asked_per_s = load.devices * load.rate
    return [
        Figure("samples_per_s", round(schedule.samples / run.lasted_s, 1), at_least=asked_per_s * 0.99),
        Figure("samples_judged", after.heard() - before.heard(), exactly=schedule.samples),
        Figure("leases_sent_by_fleet", fleet_sent, exactly=schedule.leased),
        Figure("leases_heard_by_devices", after.leased - before.leased, exactly=schedule.leased),
        Figure("leases_out_of_order", after.late_leases - before.late_leases, exactly=0),
        Figure("refused_or_shed", refused, exactly=0),
        Figure("undelivered", sum(after.status["undelivered"].values()), exactly=0),
        Figure("events_receipted", after.receipted, exactly=after.reported),
        Figure("stops_delivered", len(stops_ms), exactly=load.violations),
        Figure("stop_p50_ms", round(quantile(stops_ms, 0.5), 3), at_most=STOP_P50_MS),
        Figure("stop_p99_ms", round(quantile(stops_ms, 0.99), 3), at_most=STOP_P99_MS),
    ]


def _journaled(load: Load, after: Tally, rows: dict[str, int], verified: int) -> list[Figure]:
    return [
        Figure("journal_rows_verified", verified, exactly=sum(rows.values())),
        Figure("events_journaled", rows.get("DeviceReported", 0), exactly=after.reported),
        Figure("violations_journaled", rows.get("LimitExceeded", 0), exactly=load.violations),
        Figure("stops_confirmed", rows.get("StopConfirmed", 0), exactly=load.violations),
        Figure("stops_unconfirmed", rows.get("StopUnconfirmed", 0), exactly=0),
    ]
