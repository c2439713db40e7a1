"""The journal's tables and the chain that its rows form.

Each row's hash covers the hash before it, its position, name, version, wall time and body: a row that is altered,
exchanged, left out or put in breaks every hash after it; one put in before the first row is found by its position, for
positions begin at 1. SQLite in WAL mode with synchronous FULL keeps a transaction
whole and on disk through kill -9 and power cuts.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalCorrupt, JournalError, JournalUnwritable

GENESIS = bytes(32)  # the hash before the first row
FILE_MODE = 0o600
BUSY_TIMEOUT_S = 1.0  # readers of a WAL never block the writer; this bounds a foreign tool that locks the file
PAGE_ROWS = 1_000  # read in one transaction: a reader that stays in one keeps the WAL from being reset
PARTS = ("", "-wal", "-shm", "-journal")  # what SQLite may keep beside the file that has the name
BEFORE_THE_FIRST = "stands before the first row: nobody wrote it there"
# SQLITE_ERROR: a database, but without these tables and columns.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

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
    sa.CheckConstraint("position > 0"),  # files of earlier versions are without it
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


TYPES: list[type] = [int, str, str, int, bytes, bytes]  # of a row's columns
# Built once: to build it costs four times what SQLite needs to find nothing new, twenty times a second.
_PAGE = (
    sa.select(EVENTS)
    .where(EVENTS.c.position > sa.bindparam("after"))
    .order_by(EVENTS.c.position)
    .limit(sa.bindparam("rows"))
)


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


def open_database(path: Path, *, create: bool, salvage: bool = False) -> sa.Engine:
    """An engine on the journal's file, its tables made if `create`. Nobody but its owner may read what is made.

    `salvage`: only to read, and also a file whose end was cut, as far as it goes.

    Raises:
        JournalUnwritable: the file cannot be opened or made.
        JournalCorrupt: it is no database, or its write-ahead log is there without it.
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
    sa.event.listen(engine, "connect", _durable if create else _salvaging if salvage else _read_only)
    if create:
        try:
            with engine.connect() as connection:
                if being_made(connection):  # all tables at once: whoever reads along sees none, or every one
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                _tables.create_all(connection)
                connection.commit()
        except sa.exc.DBAPIError as error:
            engine.dispose()
            raise unreadable(error, 1) from error
    return engine


def being_made(connection: sa.Connection) -> bool:
    """The file is there, and nothing in it: the fleet service makes its journal at this moment."""
    return not connection.scalar(sa.text("SELECT count(*) FROM sqlite_schema"))


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to read by.

    Raises:
        JournalCorrupt: it is no database.
        JournalUnwritable: it cannot be opened, or the disk refuses.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise unreadable(error, 1) from error


def unreadable(error: sa.exc.DBAPIError, position: int) -> JournalError:
    """What it means that SQLite could not read the row at `position`: damage, or a disk that refuses for now."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    # Python's own refusal of a text that is not UTF-8 has no code.
    if code is None or code & 0xFF in _DAMAGED:
        return JournalCorrupt(position, f"cannot be read ({error.orig})")
    return JournalUnwritable(f"the journal cannot be read: {error.orig}")


def _keep_private(path: Path) -> None:
    """SQLite gives its WAL and shared memory the mode of the database."""
    if not path.exists():
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:  # SQLite would throw away what was committed there
            raise JournalCorrupt(1, f"{path.name} is missing, and {log.name} is there without it")
        path.touch(FILE_MODE)
        sync_folder(path.parent)
    for suffix in PARTS:
        part = path.with_name(f"{path.name}{suffix}")
        if part.exists():
            part.chmod(FILE_MODE)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: a file whose name is lost is lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _durable(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _read_only(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def _salvaging(connection: Any, record: object) -> None:
    """Without this SQLite refuses a file that is shorter than its head says, whole; with it, where it ends. Nothing is
    written: that stays forbidden.
    """
    _read_only(connection, record)
    connection.execute("PRAGMA writable_schema = ON")


def none_before_the_first(connection: sa.Connection) -> None:
    """Positions begin at 1; what stands before that is in no chain.

    Raises:
        JournalCorrupt: there is such a row.
        JournalUnwritable: the disk refuses.
    """
    try:
        least = connection.scalar(sa.select(sa.func.min(EVENTS.c.position)))
    except sa.exc.DatabaseError as error:
        raise unreadable(error, 1) from error
    if least is not None and least < 1:
        raise JournalCorrupt(least, BEFORE_THE_FIRST)


def rows_after(connection: sa.Connection, position: int) -> Iterator[Row]:
    """Every row after `position`, in order, a page at a time.

    Raises:
        JournalCorrupt: at the first row that cannot be read, or holds what no row holds.
        JournalUnwritable: the disk refuses.
    """
    while page := _page(connection, position):
        for row in page:
            if [type(value) for value in row] != TYPES:  # SQLite stores any type anywhere
                raise JournalCorrupt(row.position, "is not what was written")
            yield Row(*row)
        position = page[-1].position


def _page(connection: sa.Connection, position: int, rows: int = PAGE_ROWS) -> Sequence[Any]:
    try:
        return connection.execute(_PAGE, {"after": position, "rows": rows}).all()
    except sa.exc.DatabaseError as error:
        if rows > 1:  # one by one: the first bad row is named, not the page that it is in
            return _page(connection, position, 1)
        raise unreadable(error, position + 1) from error
