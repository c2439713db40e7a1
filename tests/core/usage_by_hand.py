"""Usage computed once more, another way: from the journal's rows as plain JSON, session by session, looking back and
forth as often as needed. It shares nothing with the code that it checks.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

Row = tuple[str, dict[str, Any]]  # name and body
Figures = dict[str, Any]

COUNTS = (
    *("authorised", "refused", "started", "completed", "stopped", "aborted", "not_started", "open"),
    *("by_device", "with_gaps", "by_fleet", "reconnects"),
)
SUMS = ("session_s", "current_s", "charge_uc", "fleet_session_s")
NOT_STARTED = {"expired", "cancelled", "refused"}
FAULT_KINDS = {
    "electrode_open",
    "electrode_short",
    "electrode_degraded",
    "over_limit",
    "over_temperature",
    "battery_empty",
    "sensor_frozen",
    "output_stuck",
    "watchdog_tripped",
    "lease_lost",
    "self_test_failed",
}
FOUND_BY_THE_FLEET = {
    "LimitExceeded": "limit_exceeded",
    "SensorFlatlined": "sensor_flatlined",
    "OutputUnpermitted": "output_unpermitted",
}


def rows_of(events: Iterable[Any]) -> list[Row]:
    """Events as the journal has them."""
    adapters: dict[type, TypeAdapter[Any]] = {}
    found = []
    for event in events:
        adapter = adapters.setdefault(type(event), TypeAdapter(type(event)))
        found.append((type(event).__name__, json.loads(adapter.dump_json(event))))
    return found


def nothing() -> Figures:
    return {**dict.fromkeys(COUNTS, 0), **dict.fromkeys(SUMS, 0.0), "faults": Counter(), "causes": Counter()}


class ByHand:
    """All that was done, per key: `figures(by)`."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.authorised = {
            body["authorisation"]["session_id"]: (n, body)
            for n, (name, body) in enumerate(rows)
            if name == "SessionAuthorised"
        }
        self.totals: dict[tuple[str, str, str], Figures] = defaultdict(nothing)
        self.by_cause: dict[str, Figures] = defaultdict(nothing)
        for session_id in self.authorised:
            self._session(session_id)
        self._incidents()

    def figures(self, by: str) -> tuple[dict[str, Figures], Figures]:
        """Figures by key, and of everything."""
        found: dict[str, Figures] = defaultdict(nothing)
        everything = nothing()
        for (day, room, device), figures in self.totals.items():
            added(everything, figures)
            added(found[{"day": day, "room": room, "device": device}.get(by, "")], figures)
        return dict(self.by_cause if by == "cause" else found), everything

    # --- where and when -----------------------------------------------------------------------------------------------

    def _registry(self, n: int) -> dict[str, Any]:
        """The registry in force at row n: the newest at or before it."""
        adopted = [body["registry"] for name, body in self.rows[: n + 1] if name == "RegistryAdopted"]
        return adopted[-1] if adopted else {"clinic": {"time_zone": "UTC"}, "devices": {}}

    def _day(self, n: int) -> str:
        zone = ZoneInfo(self._registry(n)["clinic"]["time_zone"])
        return str(datetime.fromtimestamp(self.rows[n][1]["wall_s"], zone).date())

    def _place(self, n: int, device: str) -> tuple[str, str, str]:
        registered = self._registry(n)["devices"].get(device)
        return self._day(n), registered["room"] if registered else "-", device

    def _session_place(self, session_id: str) -> tuple[str, str, str]:
        n, body = self.authorised[session_id]
        started = [m for m, state in self._states(session_id) if state in {"running", "paused"}]
        return self._day(started[0] if started else n), body["authorisation"]["room"], body["device"]

    # --- one session --------------------------------------------------------------------------------------------------

    def _states(self, session_id: str) -> list[tuple[int, str]]:
        """Each change of its state: the row and the state after it."""
        fixed = {
            "SessionLost": "lost",
            "SessionExpired": "expired",
            "SessionCancelled": "cancelled",
            "CancelOvertaken": "running",
            "SessionDeclined": "refused",
            "SessionCleared": "cleared",
        }
        found = [(self.authorised[session_id][0], "authorised")]
        for n, (name, body) in enumerate(self.rows):
            if body.get("session_id") == session_id and (name in fixed or "to" in body):
                found.append((n, fixed.get(name) or body["to"]))
        return found

    def _ran_s(self, session_id: str) -> float:
        states = self._states(session_id)
        ran_s = 0.0
        for (n, state), (m, _) in pairwise(states):
            if state == "running":
                ran_s += self.rows[m][1]["now_s"] - self._counted_from_s(n, m)
        plan, limits = (self.authorised[session_id][1]["authorisation"][name] for name in ("plan", "limits"))
        return float(min(ran_s, min(plan["duration_s"], limits["session_s_max"]["value"]) + 5.0))

    def _counted_from_s(self, n: int, m: int) -> float:
        """When the stretch from row n to row m began, on the host's boot that it ended in."""
        since_s, boots = self.rows[n][1]["now_s"], [b["host_boot"] for _, b in self.rows[:n] if "host_boot" in b]
        for _, body in self.rows[n:m]:
            if "host_boot" in body:
                if boots and body["host_boot"] != boots[-1]:
                    since_s = body["now_s"]
                boots.append(body["host_boot"])
        return float(since_s)

    def _numbers(self, session_id: str) -> dict[str, Any] | None:
        device = self.authorised[session_id][1]["device"]
        told = [
            body["event"]["detail"]
            for name, body in self.rows[self.authorised[session_id][0] :]
            if name == "DeviceReported"
            and body["device"] == device
            and body["event"]["session_id"] == session_id
            and body["event"]["kind"] == "session_ended"
            and body["event"]["detail"] is not None
        ]
        whole = [numbers for numbers in told if numbers["gaps"] == 0]
        longest = max(told, key=lambda numbers: numbers["on_time_s"], default=None)
        return whole[0] if whole else longest

    def _session(self, session_id: str) -> None:
        states = [state for _, state in self._states(session_id)]
        numbers = self._numbers(session_id)
        ended = [body for name, body in self.rows if name == "SessionEnded" and body["session_id"] == session_id]
        cause = ended[-1]["cause"] if ended else None
        started = bool({"running", "paused"} & set(states)) or (numbers is not None and numbers["elapsed_s"] > 0)
        last = states[-1]
        figures = nothing()
        figures["authorised"] = 1
        figures["started"] = int(started)
        became = (
            last
            if last in {"completed", "aborted"}
            else "stopped"
            if last in {"stopped_latched", "cleared"}
            else "not_started"
            if last in NOT_STARTED
            else "open"
        )
        figures[became] = 1
        ended_by = cause or ("unknown" if last == "aborted" else last)
        if became != "open":
            figures["causes"][ended_by] = 1
            if started and numbers is not None and (numbers["gaps"] == 0 or numbers["elapsed_s"] > 0):
                figures.update(
                    by_device=1,
                    session_s=numbers["elapsed_s"],
                    current_s=numbers["on_time_s"],
                    charge_uc=numbers["charge_uc"],
                    with_gaps=int(numbers["gaps"] > 0),
                )
            elif started:
                figures.update(by_fleet=1, fleet_session_s=self._ran_s(session_id))
        added(self.totals[self._session_place(session_id)], figures)
        added(self.by_cause[ended_by], figures)

    # --- everything else ----------------------------------------------------------------------------------------------

    def _incidents(self) -> None:
        lost: set[str] = set()
        for n, (name, body) in enumerate(self.rows):
            device = body.get("device") or ""
            if name == "SessionRefused":
                self.totals[self._place(n, device)]["refused"] += 1
            elif name == "DeviceLost":
                lost.add(device)
            elif name == "DeviceReturned" and device in lost:
                lost.remove(device)
                self.totals[self._place(n, device)]["reconnects"] += 1
            elif name in FOUND_BY_THE_FLEET:
                self._fault(n, device, body["session_id"], FOUND_BY_THE_FLEET[name])
            elif name == "DeviceReported" and body["event"]["kind"] in FAULT_KINDS:
                self._fault(n, device, body["event"]["session_id"], body["event"]["kind"])

    def _fault(self, n: int, device: str, session_id: str | None, kind: str) -> None:
        known = self.authorised.get(session_id or "")
        if known is not None and known[0] < n and known[1]["device"] == device:
            place = self._session_place_at(str(session_id), n)
        else:
            place = self._place(n, device)
        self.totals[place]["faults"][kind] += 1

    def _session_place_at(self, session_id: str, n: int) -> tuple[str, str, str]:
        """Where the session was counted when row n was written: it may not have started yet."""
        m, body = self.authorised[session_id]
        started = [k for k, state in self._states(session_id) if state in {"running", "paused"} and k < n]
        return self._day(started[0] if started else m), body["authorisation"]["room"], body["device"]


def added(to: Figures, figures: Figures) -> None:
    for name, value in figures.items():
        to[name] += value
