"""What the stream says, twice a second: what changed of each row, encoded once and shared by every browser.

An id names the life of this process and a number that rises; a browser that comes back with one of the last minute
gets what it missed, any other a new snapshot.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from fastapi.sse import format_sse_event

from fleet.api.rows import alarm_counts, fleet_row, overview, rows_of_devices
from fleet.api.sight import Sight
from fleet.api.window import Point, wall_words

PERIOD_S = 0.5
KEPT = 120  # deltas: a minute
RETRY_MS = 2_000  # how long a browser waits before it comes back
# A row with nothing new but these is no news: they follow from the clock.
NO_NEWS = frozenset({"silent_s"})


@dataclass(slots=True)
class Pulse:
    """Compares the rows with those of half a second ago. `life` names this process."""

    sight: Sight
    life: str
    n: int = 0
    _rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _rest: dict[str, Any] = field(default_factory=dict)
    _deltas: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _snapshot: bytes | None = None  # of this beat: after a restart every browser comes at once

    def beat(self) -> bytes | None:
        """The next delta; None where nothing is new."""
        self._snapshot = None
        rows = {row["device"]: row for row in rows_of_devices(self.sight)}
        changed = [news for name, row in rows.items() if (news := _news(row, self._rows.get(name)))]
        gone = [name for name in self._rows if name not in rows]
        rest = {"fleet": fleet_row(self.sight), "alarms": alarm_counts(self.sight)}
        fresh = {name: value for name, value in rest.items() if value != self._rest.get(name)}
        self._rows, self._rest = rows, rest
        if not (changed or gone or fresh):
            return None
        self.n += 1
        said = {"as_of": wall_words(self.sight.walltime()), **fresh, "devices": changed, "gone": gone}
        frame = self._frame("delta", said)
        self._deltas.append((self.n, frame))
        return frame

    def since(self, last_event_id: str | None) -> list[bytes]:
        """What a browser gets first: what it missed since this id, or the snapshot."""
        seen = self._number(last_event_id)
        oldest = self._deltas[0][0] if self._deltas else self.n + 1
        if seen is not None and oldest - 1 <= seen <= self.n:
            return [frame for n, frame in self._deltas if n > seen]
        if self._snapshot is None:
            self._snapshot = self._frame("snapshot", overview(self.sight))
        return [self._snapshot]

    def _number(self, event_id: str | None) -> int | None:
        life, _, number = (event_id or "").partition("-")
        return int(number) if life == self.life and number.isascii() and number.isdigit() and len(number) < 16 else None

    def _frame(self, event: str, said: dict[str, Any]) -> bytes:
        return format_sse_event(data_str=encoded(said), event=event, id=f"{self.life}-{self.n}", retry=RETRY_MS)


def _news(row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is new of a row, with the device's name: all of it where there was none. None: nothing is."""
    if before is None:
        return row
    changed = {name: value for name, value in row.items() if name not in before or before[name] != value}
    return {"device": row["device"], **changed} if changed.keys() - NO_NEWS else None


def encoded(said: dict[str, Any]) -> str:
    return json.dumps(said, separators=(",", ":"), allow_nan=False)


def sample_frame(device: str, point: Point) -> bytes:
    """One sample for whoever draws this device. It has no id: who comes back asks for what it missed."""
    said = {
        "device": device,
        "at": wall_words(point.at_s),
        "phase": point.phase.value,
        "session_id": point.session_id,
        "elapsed_s": point.elapsed_s,
        "setting_ma": point.setting_ma,
        "amplitude_ma": point.amplitude_ma,
        "impedance_ohm": point.impedance_ohm,
        "lease_margin_s": point.lease_margin_s,
        "battery_pct": point.battery_pct,
        "temperature_c": point.temperature_c,
        "late": point.late,
        "boot_n": point.boot_n,
        "seq": point.seq,
    }
    return format_sse_event(data_str=encoded(said), event="sample")
