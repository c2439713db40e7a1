"""The summaries of a month's minutes, in a file of its own: what is left when the rows of a day have been dropped.

Those of its quarters of an hour are kept beside them, always the sum of their minutes: hours and days are read from 15
times fewer.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.adapters.history.files import Kind, open_to_write, transaction, writing
from fleet.adapters.history.folding import MINUTE_MS, QUARTER_MS
from fleet.adapters.history.port import QUANTITIES

_PARTS = [f"{name}_{part}" for name in QUANTITIES for part in ("count", "sum_e3", "least_e3", "most_e3")]
_SUMMARY = ("boot_n", "first_seq", "last_seq", "count", "late", *_PARTS)
_COLUMNS = ("device_n", "minute", *_SUMMARY)
SUMMARY = ", ".join(_SUMMARY)
QUARTER_MIN = QUARTER_MS // MINUTE_MS

ROLLUP = Kind(
    "rollup",
    "%Y-%m",
    (
        "CREATE TABLE device (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        f"CREATE TABLE minutes (device_n, minute, {SUMMARY}, PRIMARY KEY (device_n, minute, boot_n)) WITHOUT ROWID",
        f"CREATE TABLE quarters (device_n, quarter, {SUMMARY}, PRIMARY KEY (device_n, quarter, boot_n)) WITHOUT ROWID",
    ),
)
_SUMMED = "boot_n, min(first_seq), max(last_seq), sum(count), sum(late), " + ", ".join(
    f"sum({name}_count), sum({name}_sum_e3), min({name}_least_e3), max({name}_most_e3)" for name in QUANTITIES
)


class Months:
    """All rollup files of a folder, as the one writer has them; one thread's at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: sqlite3.Connection | None = None
        self._path: Path | None = None

    def keep(self, summaries: Sequence[tuple[Any, ...]]) -> None:
        """Write the summaries of minutes, in the place of any that they had: (device, minute, boot ...).

        Raises:
            HistoryRefuses: the disk refuses.
        """
        by_path: dict[Path, list[tuple[Any, ...]]] = {}
        for row in summaries:
            by_path.setdefault(ROLLUP.path(self._folder, row[1] * MINUTE_MS), []).append(row)
        for path, rows in by_path.items():
            with writing(path):
                connection = self._opened(path)
                with transaction(connection):
                    _replace(connection, rows)

    def _opened(self, path: Path) -> sqlite3.Connection:
        if self._connection is None or self._path != path:
            self.close()
            self._connection, self._path = open_to_write(path, ROLLUP), path
        return self._connection

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._path = None


def _replace(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    numbers: dict[str, int] = {}
    replaced: dict[tuple[int, int], None] = {}
    written = []
    for device, minute, *rest in rows:
        if device not in numbers:
            connection.execute("INSERT INTO device (name) VALUES (?) ON CONFLICT DO NOTHING", (device,))
            (numbers[device],) = connection.execute("SELECT n FROM device WHERE name = ?", (device,)).fetchone()
        replaced[numbers[device], minute] = None
        written.append((numbers[device], minute, *rest))
    connection.executemany("DELETE FROM minutes WHERE device_n = ? AND minute = ?", replaced)
    connection.executemany(f"INSERT INTO minutes VALUES ({', '.join('?' * len(_COLUMNS))})", written)
    quarters = dict.fromkeys((device_n, minute // QUARTER_MIN) for device_n, minute in replaced)
    connection.executemany("DELETE FROM quarters WHERE device_n = ? AND quarter = ?", quarters)
    connection.executemany(
        f"INSERT INTO quarters SELECT device_n, minute / {QUARTER_MIN}, {_SUMMED} FROM minutes "
        "WHERE device_n = ? AND minute >= ? AND minute < ? GROUP BY boot_n",
        ((device_n, quarter * QUARTER_MIN, (quarter + 1) * QUARTER_MIN) for device_n, quarter in quarters),
    )


def month_before(path: Path, months: int) -> str:
    """The name of the file of so many months earlier.

    >>> month_before(Path("rollup-2026-03.db"), 25)
    'rollup-2024-02.db'
    """
    month = datetime.strptime(path.stem.removeprefix("rollup-"), "%Y-%m").replace(tzinfo=UTC)
    count = month.year * 12 + month.month - 1 - months
    return f"rollup-{count // 12:04d}-{count % 12 + 1:02d}.db"
