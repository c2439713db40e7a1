"""The journal's tables and the chain that its rows form.

Each row's hash covers the hash before it, its position, name, version, wall time and body: a row that is altered,
exchanged, left out or put in breaks every hash after it. SQLite in WAL mode with synchronous FULL keeps a transaction
whole and on disk through kill -9 and power cuts.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt, JournalUnwritable

GENESIS = bytes(32)  # the hash before the first row
FILE_MODE = 0o600
BUSY_TIMEOUT_S = 1.0  # readers of a WAL never block the writer; this bounds a foreign tool that locks the file

_tables = sa.MetaData()
EVENTS = sa.Table(
    "event",
    _tables,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),  # wall clock, UTC, for people
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # canonical JSON
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
SNAPSHOTS = sa.Table(
    "snapshot",
    _tables,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),  # of the row at `position`
    sa.Column("shape", sa.Text, nullable=False),  # a state of another shape is not read
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("checksum", sa.LargeBinary, nullable=False),  # SHA-256 of the body
)


@dataclass(frozen=True, slots=True)
class Row:
    """One event as it is stored."""

    position: int
    at: str
    name: str
    version: int
    body: bytes
    hash: bytes

    def columns(self) -> dict[str, Any]:
        """As it is put into its table."""
        return {
            "position": self.position,
            "at": self.at,
            "name": self.name,
            "version": self.version,
            "body": self.body,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the chain ends."""

    position: int = 0
    hash: bytes = GENESIS


def next_row(tip: Tip, at: str, name: str, version: int, body: bytes) -> Row:
    """The row that follows `tip`."""
    position = tip.position + 1
    return Row(position, at, name, version, body, _hash(tip.hash, position, at, name, version, body))


def _hash(before: bytes, position: int, at: str, name: str, version: int, body: bytes) -> bytes:
    head = f"{position}\n{at}\n{name}\n{version}\n".encode()
    return hashlib.sha256(before + head + body).digest()


def checked(rows: Iterable[Row], tip: Tip) -> Iterator[Row]:
    """The rows, each compared with the chain that starts after `tip`.

    Raises:
        JournalCorrupt: at the first row that does not follow.
    """
    for row in rows:
        if row.position != tip.position + 1:
            raise JournalCorrupt(tip.position + 1, "is missing")
        if row != next_row(tip, row.at, row.name, row.version, row.body):
            raise JournalCorrupt(row.position, "is not what was written")
        tip = Tip(row.position, row.hash)
        yield row


def open_database(path: Path, *, create: bool) -> sa.Engine:
    """An engine on the journal's file, its tables made if `create`. Nobody but its owner may read what is made.

    Raises:
        JournalUnwritable: the file cannot be opened or made.
    """
    if create:
        try:
            _keep_private(path)
        except OSError as error:
            raise JournalUnwritable(f"the journal cannot be made: {error}") from error
    engine = sa.create_engine(
        # Reading a WAL needs its shared-memory file, so a reader opens for writing too; query_only holds it back.
        sa.URL.create("sqlite", database=f"file:{path}", query={"mode": "rwc" if create else "rw", "uri": "true"}),
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    sa.event.listen(engine, "connect", _durable if create else _read_only)
    if create:
        try:
            _tables.create_all(engine)
        except sa.exc.DBAPIError as error:
            engine.dispose()
            raise JournalUnwritable(f"the journal cannot be opened: {error.orig}") from error
    return engine


def _keep_private(path: Path) -> None:
    """SQLite gives its WAL and shared memory the mode of the database."""
    if not path.exists():
        path.touch(FILE_MODE)
    for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if part.exists():
            part.chmod(FILE_MODE)


def _durable(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _read_only(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def rows_after(connection: sa.Connection, position: int) -> Iterator[Row]:
    """Every row after `position`, in order, a few at a time."""
    chosen = sa.select(EVENTS).where(EVENTS.c.position > position).order_by(EVENTS.c.position)
    for row in connection.execution_options(yield_per=1000).execute(chosen):
        if [type(value) for value in row] != [int, str, str, int, bytes, bytes]:  # SQLite stores any type anywhere
            raise JournalCorrupt(row.position, "is not what was written")
        yield Row(*row)
