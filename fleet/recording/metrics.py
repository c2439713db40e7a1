"""What Prometheus is shown of a recorder: `/metrics` in its own process, worked out when somebody asks.

Figures are those of its status (`Recorder.status`), numbers of samples since the process began, but for what waits.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from fleet.adapters import http

log = logging.getLogger(__name__)
COUNTED = ("heard", "taken", "written", "doubles", "expired", "lost", "missed", "unreadable", "dead_lettered")
WAITING = {"memory": "waiting", "disk": "spilled"}

Status = Callable[[], Mapping[str, Any]]


async def serve_metrics(host: str, port: int, status: Status, walltime: Callable[[], float]) -> None:
    """Serve until cancelled. Where the port is taken it is tried again."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_Shown(status, walltime))
    answer = {"/metrics": lambda: http.Answer(200, http.METRICS_TYPE, generate_latest(registry))}
    await http.serve(host, port, answer, lambda why: _changed(f"{host}:{port}", why))


def _changed(where: str, why: str | None) -> None:
    if why is None:
        log.info("http://%s/metrics is served", where)
    else:
        log.error("%s cannot be used: %s. Nothing else is concerned; it is tried again", where, why)


class _Shown:
    """A collector, asked by the registry."""

    def __init__(self, status: Status, walltime: Callable[[], float]) -> None:
        self._status = status
        self._walltime = walltime

    def collect(self) -> Iterator[Metric]:
        now = self._status()
        samples = CounterMetricFamily(
            "stimfleet_recorder_samples", "Samples, by what became of them.", labels=("what",)
        )
        for what in COUNTED:
            samples.add_metric((what,), now[what])
        yield samples
        waiting = GaugeMetricFamily("stimfleet_recorder_waiting_samples", "Not in the store yet.", labels=("where",))
        for where, name in WAITING.items():
            waiting.add_metric((where,), now[name])
        yield waiting
        oldest_s = now["oldest_waiting_s"]
        yield GaugeMetricFamily(
            "stimfleet_recorder_oldest_waiting_seconds",
            "Age of the oldest sample that waits on disk; 0 where none does.",
            value=0.0 if oldest_s is None else max(0.0, self._walltime() - oldest_s),
        )
        yield GaugeMetricFamily(
            "stimfleet_recorder_refusing", "Whether the store takes nothing.", value=float(now["refusing"] is not None)
        )
        yield GaugeMetricFamily(
            "stimfleet_recorder_reads_along", "Whether the fleet service hands samples on.", value=float(now["fleet"])
        )
