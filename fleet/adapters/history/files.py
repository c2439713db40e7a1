"""The embedded store's files: which there are, and how each is opened.

`raw-2026-11-25.db` has the rows of a day of UTC, `rollup-2026-11.db` the summaries of a month. Retention drops whole
files, by their number: the newest days that have samples are kept, whatever the host's clock says meanwhile.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleet.adapters.history.folders import make_folder, sync_folder
from fleet.adapters.history.port import HistoryRefuses

log = logging.getLogger(__name__)
DAY_MS = 86_400_000
BUSY_S = 5.0
VERSION = 1  # of what is in the files
PARTS = ("", "-wal", "-shm")
_NAME = re.compile(r"(raw-\d{4}-\d\d-\d\d|rollup-\d{4}-\d\d)\.db")


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of file: the beginning of its name, the time in it, what is in it."""

    prefix: str
    time_format: str
    schema: tuple[str, ...]

    def path(self, folder: Path, time_ms: int) -> Path:
        """The file that a moment's rows are in."""
        return folder / f"{self.prefix}-{datetime.fromtimestamp(time_ms // 1000, UTC):{self.time_format}}.db"

    def among(self, folder: Path, from_ms: int, to_ms: int) -> list[Path]:
        """The files that may hold what lies between two moments, the second left out; oldest first."""
        if to_ms <= from_ms:
            return []
        first, last = self.path(folder, max(from_ms, 0)), self.path(folder, max(to_ms - 1, 0))
        return [path for path in self.all(folder) if first <= path <= last]

    def all(self, folder: Path) -> list[Path]:
        """All of them, oldest first."""
        return sorted(path for path in folder.glob(f"{self.prefix}-*.db") if _NAME.fullmatch(path.name))


def open_to_write(path: Path, kind: Kind) -> sqlite3.Connection:
    """The file, made where there is none. Everything in it is on the disk when a transaction has ended.

    Raises:
        sqlite3.Error, OSError: it cannot be used.
        HistoryRefuses: a newer program made it.
    """
    make_folder(path.parent)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_folder(path.parent)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        with transaction(connection):
            if not _known(connection, path):
                for statement in kind.schema:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses inside, in words.

    Raises:
        HistoryRefuses
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        said = "it is damaged" if is_damaged(error) else "the disk refuses"
        raise HistoryRefuses(f"{said}: {error} ({path.name})") from error


def is_damaged(error: BaseException | None) -> bool:
    """Whether it says that what is in the file cannot be used, however often one asks."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # without what extends it
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def set_aside(path: Path) -> None:
    """Let a damaged file lie under another name, for people to look at: nothing reads it, nothing drops it, and a new
    one is begun in its place. It must be closed.

    Raises:
        OSError
    """
    beside = path.with_name(f"{path.name}.damaged")
    number = 1
    while beside.exists():
        number += 1
        beside = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in reversed(PARTS):
        part = path.with_name(f"{path.name}{suffix}")
        if part.exists():
            part.rename(beside.with_name(f"{beside.name}{suffix}"))
    sync_folder(path.parent)
    log.error("%s is damaged: it lies as %s, and what was in it is missing until it is mended", path.name, beside.name)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def opened(paths: Sequence[Path]) -> Iterator[sqlite3.Connection]:
    """Each file in turn, to be read; one that was dropped meanwhile, or has only just been made, is left out.

    Raises:
        HistoryRefuses: one cannot be read.
    """
    for path in paths:
        try:
            # Not read only: what a power cut left has to be mended by whoever comes first, and that may be a reader.
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_S, uri=True)) as file:
                file.execute("PRAGMA query_only = ON")
                if _known_to_reader(file, path):
                    yield file
        except sqlite3.Error as error:
            if path.exists():
                code = getattr(error, "sqlite_errorname", "no code")  # SQLite's own errors have one
                raise HistoryRefuses(f"{path.name} cannot be read: {error} ({code}).") from error


def _known_to_reader(connection: sqlite3.Connection, path: Path) -> bool:
    """As `_known`. Of two that open an empty file with a log beside it, as a power cut leaves it, both set out to
    remove the log, and SQLite tells the second that the disk fails. The log is only gone, as it was to be.
    """
    try:
        return _known(connection, path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_IOERR_DELETE_NOENT:
            raise
        return _known(connection, path)


def _known(connection: sqlite3.Connection, path: Path) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise HistoryRefuses(f"{path.name} was made by a newer program (version {version}): install that one.")
    return bool(version)


def drop(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it; the rows themselves first, so that no half of it is read."""
    for suffix in PARTS:
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
