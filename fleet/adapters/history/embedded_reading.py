"""The embedded store, read: from any process of the host, beside the one that writes, without holding it up."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from broker.contract.messages import Phase
from fleet.adapters.history.days import RAW, SELECTED, SUMMED
from fleet.adapters.history.files import opened
from fleet.adapters.history.folding import GROUP_MS, LOOK_BACK_MS, MINUTE_MS, Span, Summary, rollups, whole_spans
from fleet.adapters.history.months import ROLLUP, SUMMARY
from fleet.adapters.history.port import (
    COLUMNS,
    QUANTITIES,
    ROWS_MAX,
    Resolution,
    Rollup,
    TooManySamples,
    Trace,
    device_name,
    gaps_between,
    session_name,
)

_DEVICE_N = "SELECT n FROM device WHERE name = ?"
_BETWEEN = f"SELECT {SELECTED} FROM sample WHERE device_n = ? AND time_s_e3 >= ? AND time_s_e3 < ?"
_IN_ORDER = " ORDER BY time_s_e3, boot_n, seq LIMIT ?"
_SESSION = "SELECT n, first_e3, last_e3 + 1 FROM session WHERE device_n = ? AND id = ?"
_SESSION_IDS = "SELECT n, id FROM session WHERE device_n = ?"
_MINUTES = f"SELECT minute, {SUMMARY} FROM minutes WHERE device_n = ? AND minute >= ? AND minute < ?"
_QUARTERS = f"SELECT quarter, {SUMMARY} FROM quarters WHERE device_n = ? AND quarter >= ? AND quarter < ?"
_PHASES = {phase.value: phase for phase in Phase}


class EmbeddedReader:
    """A `HistoryReader` of the files in a folder. `zone`: the clinic's."""

    def __init__(self, folder: Path, zone: ZoneInfo, rows_max: int = ROWS_MAX) -> None:
        self._folder = folder
        self._zone = zone
        self._rows_max = rows_max

    async def trace(self, device: str, session_id: str) -> Trace:
        device_name(device)
        session_name(session_id)
        return await asyncio.to_thread(self._trace, device, session_id)

    async def samples(self, device: str, from_s: float, to_s: float) -> Trace:
        device_name(device)
        return await asyncio.to_thread(self._samples, device, (round(from_s * 1000), round(to_s * 1000)))

    async def rollups(self, device: str, from_s: float, to_s: float, by: Resolution) -> tuple[Rollup, ...]:
        device_name(device)
        return await asyncio.to_thread(self._rollups, device, whole_spans(from_s, to_s, by, self._zone), by)

    async def close(self) -> None:
        """Nothing stays open."""

    # --- in a thread ------------------------------------------------------------------------------------------------

    def _trace(self, device: str, session_id: str) -> Trace:
        rows: list[tuple[Any, ...]] = []
        for connection in opened(RAW.all(self._folder)):
            device_n = _device_n(connection, device)
            for session_n, first, last in connection.execute(_SESSION, (device_n, session_id)):
                asked = f"{_BETWEEN} AND session_n = ?{_IN_ORDER}"
                found = connection.execute(asked, (device_n, first, last, session_n, self._limit(rows)))
                rows += _named(found, {session_n: session_id})
        return self._as_trace(device, rows)

    def _samples(self, device: str, span: Span) -> Trace:
        rows: list[tuple[Any, ...]] = []
        for connection in opened(RAW.among(self._folder, *span)):
            device_n = _device_n(connection, device)
            sessions = dict(connection.execute(_SESSION_IDS, (device_n,)))
            found = connection.execute(_BETWEEN + _IN_ORDER, (device_n, *span, self._limit(rows)))
            rows += _named(found, sessions)
        return self._as_trace(device, rows)

    def _limit(self, rows: Sequence[object]) -> int:
        return self._rows_max + 1 - len(rows)

    def _as_trace(self, device: str, rows: Sequence[tuple[Any, ...]]) -> Trace:
        if len(rows) > self._rows_max:
            raise TooManySamples(f"There are more than {self._rows_max} samples: ask for less, or for rollups.")
        columns = dict(zip(COLUMNS, zip(*rows, strict=True) if rows else ((),) * len(COLUMNS), strict=True))
        columns["phase"] = tuple(map(_PHASES.__getitem__, columns["phase"]))
        columns["late"] = tuple(map(bool, columns["late"]))
        return Trace(device, columns, gaps_between(columns["boot_n"], columns["seq"], columns["time_s"]))

    def _rollups(self, device: str, span: Span, by: Resolution) -> tuple[Rollup, ...]:
        wanted = (span[0] - LOOK_BACK_MS, span[1])
        minutes: dict[int, list[Summary]] = {}
        # Minutes that are not summed up yet first: one that is summed up meanwhile is read twice, not never.
        for connection in opened(RAW.among(self._folder, *wanted)):
            for one in _stale(connection, device, wanted):
                minutes.setdefault(one.begin_ms, []).append(one)
        group_ms = GROUP_MS[by]
        until = min(minutes, default=wanted[1])
        until -= until % group_ms
        together = list(self._summed(device, (wanted[0], until), group_ms))
        rest = self._summed(device, (until, wanted[1]), MINUTE_MS)
        together += [one for one in rest if one.begin_ms not in minutes]
        together += [one for ones in minutes.values() for one in ones]
        together.sort(key=lambda one: (one.begin_ms, one.boot_n))
        return tuple(rollups(together, span, by, self._zone))

    def _summed(self, device: str, span: Span, group_ms: int) -> Iterator[Summary]:
        asked = _MINUTES if group_ms == MINUTE_MS else _QUARTERS
        for connection in opened(ROLLUP.among(self._folder, *span)):
            device_n = _device_n(connection, device)
            between = (device_n, span[0] // group_ms, span[1] // group_ms)
            for group, *row in connection.execute(asked, between):
                yield _summary(group * group_ms, row)


def _device_n(connection: sqlite3.Connection, device: str) -> int | None:
    row = connection.execute(_DEVICE_N, (device,)).fetchone()
    return None if row is None else int(row[0])


def _named(rows: Iterator[tuple[Any, ...]] | sqlite3.Cursor, sessions: dict[int, str]) -> Iterator[tuple[Any, ...]]:
    place = COLUMNS.index("session_id")
    for row in rows:
        yield (*row[:place], None if row[place] is None else sessions[row[place]], *row[place + 1 :])


def _stale(connection: sqlite3.Connection, device: str, span: Span) -> Iterator[Summary]:
    device_n = _device_n(connection, device)
    asked = (
        f"SELECT time_s_e3 / {MINUTE_MS}, {SUMMED} FROM sample WHERE device_n = ? AND time_s_e3 >= ? AND time_s_e3 < ? "
        f"AND time_s_e3 / {MINUTE_MS} IN (SELECT minute FROM stale WHERE device_n = ?) GROUP BY 1, boot_n"
    )
    for minute, *row in connection.execute(asked, (device_n, *span, device_n)):
        yield _summary(minute * MINUTE_MS, row)


def _summary(begin_ms: int, row: Sequence[Any]) -> Summary:
    boot_n, first_seq, last_seq, count, late, *rest = row
    readings = tuple((rest[n], rest[n + 1], rest[n + 2], rest[n + 3]) for n in range(0, 4 * len(QUANTITIES), 4))
    return Summary(begin_ms, boot_n, first_seq, last_seq, count, late, readings)
