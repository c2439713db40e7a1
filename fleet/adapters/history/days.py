"""The rows of a day, in a file of its own: written in batches, each on the disk as a whole or not at all.

Readings and times are whole thousandths of their unit (`_e3`): smaller than floats, and sums of them are exact. Rows
lie in the order in which they are read (device, time); that each is there once is the second index's business. What
changed a minute is noted in the same transaction (`stale`), and the minute is summed up later, from its rows.
"""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.adapters.history.files import DAY_MS, Kind, is_damaged, open_to_write, set_aside, transaction, writing
from fleet.adapters.history.folding import MINUTE_MS
from fleet.adapters.history.port import COLUMNS, LATE_S_MAX, QUANTITIES, HistoryRefuses, Sample

log = logging.getLogger(__name__)
NAMES_MAX = 50_000  # sessions remembered of one file: a device that invents sessions must not fill the memory
OPEN_MAX = 3
_SCALED = ("_s", "_ma", "_us", "_hz", "_ohm", "_pct", "_c")


def _stored(name: str) -> str:
    if name == "session_id":
        return "session_n"
    return f"{name}_e3" if name.endswith(_SCALED) else name


_COLUMNS = ("device_n", *map(_stored, COLUMNS))
RAW = Kind(
    "raw",
    "%Y-%m-%d",
    (
        "CREATE TABLE device (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE session (n INTEGER PRIMARY KEY, device_n, id, first_e3, last_e3, UNIQUE (device_n, id))",
        f"CREATE TABLE sample ({', '.join(_COLUMNS)}, PRIMARY KEY (device_n, time_s_e3, boot_n, seq)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX identity ON sample (device_n, boot_n, seq)",
        "CREATE TABLE stale (device_n INTEGER, minute INTEGER, PRIMARY KEY (device_n, minute)) WITHOUT ROWID",
    ),
)
SELECTED = ", ".join(f"{name} / 1000.0" if name.endswith("_e3") else name for name in _COLUMNS[1:])
SUMMED = "boot_n, min(seq), max(seq), count(*), sum(late), " + ", ".join(
    f"count({name}), sum({name}), min({name}), max({name})" for name in map(_stored, QUANTITIES)
)
_INSERT = f"INSERT INTO sample VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT DO NOTHING"
_LATE_CAME = "SELECT 1 FROM sample WHERE device_n = (SELECT n FROM device WHERE name = ?) AND boot_n = ? AND seq = ?"

Row = tuple[Any, ...]
Keep = Callable[[Sequence[Row]], None]
"""Takes summaries: device, minute, and what `SUMMED` names."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: how many rows are new, were there already, are of days that are not kept any more."""

    new: int = 0
    doubles: int = 0
    expired: int = 0


@dataclass(slots=True)
class _Day:
    """An open file, and the numbers of the names in it."""

    connection: sqlite3.Connection
    devices: dict[Any, int] = field(default_factory=dict)
    sessions: dict[Any, int] = field(default_factory=dict)

    def device_n(self, name: str) -> int:
        return self.devices.get(name) or self._numbered(
            self.devices, name, "SELECT n FROM device WHERE name = ?", "INSERT INTO device (name) VALUES (?)", (name,)
        )

    def session_n(self, device_n: int, session_id: str, time_ms: int) -> int:
        key = (device_n, session_id)
        return self.sessions.get(key) or self._numbered(
            self.sessions,
            key,
            "SELECT n FROM session WHERE device_n = ? AND id = ?",
            f"INSERT INTO session (device_n, id, first_e3, last_e3) VALUES (?, ?, {time_ms}, {time_ms})",
            key,
        )

    def _numbered(self, known: dict[Any, int], key: Any, select: str, insert: str, named: tuple[Any, ...]) -> int:
        row = self.connection.execute(select, named).fetchone()
        n = row[0] if row is not None else self.connection.execute(insert, named).lastrowid
        assert isinstance(n, int)
        if len(known) >= NAMES_MAX:
            known.clear()
        known[key] = n
        return n


class Days:
    """All raw files of a folder, as the one writer has them; one thread's at a time. Everything raises HistoryRefuses
    where the disk refuses; then nothing of that call is in the file, or all of it, and it may be repeated. A damaged
    file is set aside by that call, and the next begins another.
    """

    def __init__(self, folder: Path, days_kept: int) -> None:
        self._folder = folder
        self._days_kept = days_kept
        self._open: OrderedDict[Path, _Day] = OrderedDict()
        self._unread: set[Path] = set()  # said once

    def parts(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        """The samples, by the file that they belong to."""
        by_day: dict[int, list[Sample]] = {}
        for sample in samples:
            by_day.setdefault(_time_ms(sample) // DAY_MS, []).append(sample)
        return list(by_day.values())

    def write(self, part: Sequence[Sample]) -> Written:
        """Write samples that belong to one file, each once."""
        path = RAW.path(self._folder, _time_ms(part[0]))
        kept = RAW.all(self._folder)[-self._days_kept :]
        if len(kept) == self._days_kept and path < kept[0]:
            return Written(expired=len(part))
        rows = [sample for sample in part if not (sample.late and self._elsewhere(path, sample))]
        try:
            with self._using(path):
                new = self._insert(path, rows) if rows else 0  # a file without rows would count as a day
        except BaseException:
            self.let_go(path)  # the numbers that it remembers may not be in the file
            raise
        return Written(new, doubles=len(part) - new)

    def _insert(self, path: Path, rows: Sequence[Sample]) -> int:
        day = self._day(path)
        with transaction(day.connection):
            return _insert(day, rows)

    def _elsewhere(self, path: Path, sample: Sample) -> bool:
        """Whether a late sample came already, and lies in another day because the device's clock was not believed.
        Where that day cannot be read, it is written: twice is better than never, and what comes after it does not wait.
        """
        wall_ms = round(sample.wall_s * 1000)
        others = RAW.among(self._folder, wall_ms - round(LATE_S_MAX * 1000), wall_ms + DAY_MS)
        named = (sample.device, sample.boot_n, sample.seq)
        return any(self._has(other, named) for other in others if other != path)

    def _has(self, path: Path, named: tuple[Any, ...]) -> bool:
        try:
            with self._using(path):
                return self._day(path).connection.execute(_LATE_CAME, named).fetchone() is not None
        except HistoryRefuses as refused:
            self.let_go(path)
            if path not in self._unread:
                log.warning("which late samples came already is not known of that day: %s", refused)
            self._unread.add(path)
            return False

    @contextmanager
    def _using(self, path: Path) -> Iterator[None]:
        """What is refused inside, in words; a file that turns out to be damaged is out of the way then.

        Raises:
            HistoryRefuses
        """
        with writing(path):
            try:
                yield
            except sqlite3.DatabaseError as error:
                if is_damaged(error):
                    self.let_go(path)
                    set_aside(path)
                raise

    def _day(self, path: Path) -> _Day:
        day = self._open.get(path)
        if day is None:
            while len(self._open) >= OPEN_MAX:
                self.let_go(next(iter(self._open)))
            day = self._open[path] = _Day(open_to_write(path, RAW))
        self._open.move_to_end(path)
        return day

    def sum_up(self, path: Path, before_ms: int, minutes_max: int, keep: Keep) -> int:
        """Hand the summaries of minutes that changed, and ended before a moment, to `keep`; how many minutes."""
        with self._using(path):
            return self._sum_up(self._day(path).connection, before_ms, minutes_max, keep)

    def _sum_up(self, connection: sqlite3.Connection, before_ms: int, minutes_max: int, keep: Keep) -> int:
        stale = connection.execute(
            "SELECT device_n, name, minute FROM stale JOIN device ON n = device_n WHERE minute < ? LIMIT ?",
            (before_ms // MINUTE_MS, minutes_max),
        ).fetchall()
        if stale:
            keep([row for device_n, name, minute in stale for row in _summed(connection, device_n, name, minute)])
            with transaction(connection):
                connection.executemany(
                    "DELETE FROM stale WHERE device_n = ? AND minute = ?", [(n, minute) for n, _, minute in stale]
                )
        return len(stale)

    def let_go(self, path: Path) -> None:
        """Close a file."""
        day = self._open.pop(path, None)
        if day is not None:
            day.connection.close()

    def close(self) -> None:
        """Close all files."""
        for path in tuple(self._open):
            self.let_go(path)


def _time_ms(sample: Sample) -> int:
    return round(sample.time_s * 1000)


def _summed(connection: sqlite3.Connection, device_n: int, name: str, minute: int) -> Iterator[Row]:
    asked = f"SELECT {SUMMED} FROM sample WHERE device_n = ? AND time_s_e3 >= ? AND time_s_e3 < ? GROUP BY boot_n"
    for row in connection.execute(asked, (device_n, minute * MINUTE_MS, (minute + 1) * MINUTE_MS)):
        yield name, minute, *row


def _insert(day: _Day, samples: Sequence[Sample]) -> int:
    """In an open transaction; how many rows are new."""
    rows: list[Row] = []
    stale: set[tuple[int, int]] = set()
    sessions: dict[int, list[int]] = {}
    for sample in samples:
        device_n, session_n, time_ms = day.device_n(sample.device), None, _time_ms(sample)
        stale.add((device_n, time_ms // MINUTE_MS))
        if sample.session_id is not None:
            session_n = day.session_n(device_n, sample.session_id, time_ms)
            seen = sessions.setdefault(session_n, [time_ms, time_ms])
            seen[0], seen[1] = min(seen[0], time_ms), max(seen[1], time_ms)
        rows.append(_row(device_n, time_ms, session_n, sample))
    connection = day.connection
    before = connection.total_changes
    connection.executemany(_INSERT, rows)
    new = connection.total_changes - before
    connection.executemany("INSERT INTO stale VALUES (?, ?) ON CONFLICT DO NOTHING", stale)
    connection.executemany(
        "UPDATE session SET first_e3 = min(first_e3, ?), last_e3 = max(last_e3, ?) WHERE n = ?",
        [(first, last, n) for n, (first, last) in sessions.items()],
    )
    return new


def _row(device_n: int, time_ms: int, session_n: int | None, s: Sample) -> Row:
    """In the order of the table. Written out: a loop over names takes three times as long."""
    return (
        device_n,
        time_ms,
        s.boot_n,
        s.seq,
        session_n,
        s.phase.value,
        None if s.at_s is None else round(s.at_s * 1000),
        round(s.wall_s * 1000),
        round(s.received_s * 1000),
        round(s.elapsed_s * 1000),
        round(s.setting_ma * 1000),
        None if s.amplitude_ma is None else round(s.amplitude_ma * 1000),
        round(s.pulse_width_us * 1000),
        round(s.frequency_hz * 1000),
        None if s.impedance_ohm is None else round(s.impedance_ohm * 1000),
        None if s.battery_pct is None else round(s.battery_pct * 1000),
        None if s.temperature_c is None else round(s.temperature_c * 1000),
        None if s.lease_margin_s is None else round(s.lease_margin_s * 1000),
        s.late,
    )
