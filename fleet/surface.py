"""What is served over HTTP to who watches the fleet: `/healthz` and `/metrics`. No users, no pages, nothing to change.

`/healthz` says whether this instance does its work at this moment: 503 names what does not. It is no reason to start
the service again: its supervisor has done so where that helps, and a broker that is away comes back without it.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.adapters import http, metrics
from fleet.figures import Parts, figures

log = logging.getLogger(__name__)
TURNS_S_MAX = 1.0  # since the last sign of life: a tick is half a second at most
FIGURES_S = 1.0  # figures are worked out once in this time, however many ask

OFF = "off"


@dataclass(slots=True)
class Surface:
    """The two answers, and how serving them goes: `state`, for people. `port` 0: not served at all."""

    host: str
    port: int
    parts: Parts
    connected: Callable[[], bool]
    boottime: Callable[[], float]
    walltime: Callable[[], float]
    state: str = OFF
    _turned_s: float = float("-inf")
    _exposition: metrics.Exposition = field(default_factory=metrics.Exposition)
    _metrics: http.Answer | None = None
    _metrics_s: float = float("-inf")

    async def serve(self) -> None:
        """Serve until cancelled; where the port cannot be had, try again, and say so once."""
        if not self.port:
            return
        routes = {"/healthz": self.health, "/metrics": self.metrics}
        async with asyncio.TaskGroup() as group:
            group.create_task(self.parts.footing.watch(), name="footing")
            group.create_task(http.serve(self.host, self.port, routes, self._changed), name="watchers")

    def turned(self) -> None:
        """The owner's turns turn."""
        self._turned_s = self.boottime()

    def failing(self) -> list[str]:
        """What of the work is not done at present."""
        checks = {
            "turns": self.boottime() - self._turned_s <= TURNS_S_MAX,
            "connections": self.connected(),
            "journal": not self.parts.journal.refusing,
        }
        return [name for name, holds in checks.items() if not holds]

    def health(self) -> http.Answer:
        failing = self.failing()
        body = json.dumps({"ok": not failing, "failing": failing}).encode() + b"\n"
        return http.Answer(503 if failing else 200, "application/json", body)

    def metrics(self) -> http.Answer:
        now_s = self.boottime()
        if self._metrics is None or now_s - self._metrics_s >= FIGURES_S:
            now = figures(self.parts, connected=self.connected(), now_s=now_s, wall_s=self.walltime())
            self._metrics = http.Answer(200, http.METRICS_TYPE, self._exposition.text(now))
            self._metrics_s = now_s
        return self._metrics

    def _changed(self, why: str | None) -> None:
        where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        state = f"http://{where}" if why is None else f"{where} cannot be used: {why}"
        if state == self.state:
            return
        self.state = state
        if why is None:
            log.info("%s/healthz and /metrics are served", state)
        else:
            log.error(
                "HTTP: %s. Nothing else is concerned. End what holds the port, or set http_host and http_port (0: off) "
                "in fleet.toml; it is tried again every %.0f s",
                state,
                http.RETRY_S,
            )
