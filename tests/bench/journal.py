"""What the fleet's journal holds after a run: looked at in the file itself, not through the fleet."""

import sqlite3
from contextlib import closing
from pathlib import Path


def rows_by_name(path: Path) -> dict[str, int]:
    """How many events of each name."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT name, count(*) FROM event GROUP BY name").fetchall())


def size_mb(path: Path) -> float:
    """Of the database and what SQLite keeps beside it, in MB."""
    parts = (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
    return round(sum(part.stat().st_size for part in parts if part.exists()) / 1e6, 2)


def snapshot_mb(path: Path) -> float:
    """The newest snapshot's body, in MB."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT length(body) FROM snapshot ORDER BY position DESC LIMIT 1").fetchone()
    return round(found[0] / 1e6, 2) if found else 0.0
