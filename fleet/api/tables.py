"""The tables of `users.db`, and opening it. Nobody but its owner may read it; its audit gives no row up."""

import sqlite3
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from fleet.api.people import Unusable

FILE_MODE: Final = 0o600
VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0  # the command line and the web process write small transactions

_tables = sa.MetaData()
USERS = sa.Table(
    "user",
    _tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("operator", sa.Text),
    sa.Column("hash", sa.Text, nullable=False),  # argon2id, with its costs and salt
    sa.Column("password_wall_s", sa.Float, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("must_change", sa.Boolean, nullable=False),
)
SESSIONS = sa.Table(
    "session",
    _tables,
    sa.Column("key", sa.LargeBinary, primary_key=True),  # SHA-256 of the cookie's value
    sa.Column("user", sa.Text, sa.ForeignKey("user.id"), nullable=False, index=True),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("began_wall_s", sa.Float, nullable=False),
    sa.Column("used_wall_s", sa.Float, nullable=False),
)
TOKENS = sa.Table(
    "token",
    _tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False, unique=True),  # SHA-256 of its value
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_wall_s", sa.Float, nullable=False),
    sa.Column("ends_wall_s", sa.Float),
    sa.Column("used_wall_s", sa.Float),
)
ATTEMPTS = sa.Table(
    "attempt",
    _tables,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("who", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_wall_s", sa.Float, nullable=False),
)
KNOWN = sa.Table(
    "known",  # where a user has signed in
    _tables,
    sa.Column("user", sa.Text, primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("at_wall_s", sa.Float, nullable=False),
)
AUDIT = sa.Table(
    "audit",
    _tables,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("at_wall_s", sa.Float, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # a position is never given twice
)
# No program of ours changes or deletes a row; this holds for one by mistake too.
_APPEND_ONLY = tuple(
    f"CREATE TRIGGER IF NOT EXISTS audit_{verb} BEFORE {verb} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append only'); END"
    for verb in ("UPDATE", "DELETE")
)


def open_users(path: Path) -> sa.Engine:
    """An engine on `path`, which is made if it is not there.

    Raises:
        Unusable: it cannot be opened, is no such database, or is of a newer program.
    """
    try:
        path.touch(FILE_MODE)
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(f"{path.name}{suffix}")
            if part.exists():
                part.chmod(FILE_MODE)  # SQLite gives the others the mode of the database
    except OSError as error:
        raise Unusable(f"{path} cannot be made: {error.strerror}. It belongs into the fleet's folder.") from error
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True
    )
    sa.event.listen(engine, "connect", _set_up)
    try:
        _make(engine, path)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise Unusable(f"{path} cannot be used: {error.orig}. Put it aside, and add the users again.") from error
    except Unusable:
        engine.dispose()
        raise
    return engine


def _make(engine: sa.Engine, path: Path) -> None:
    with engine.begin() as connection:
        version = connection.scalar(sa.text("PRAGMA user_version"))
        if version not in {0, VERSION}:
            raise Unusable(f"{path} is of a newer program (version {version}): use that one.")
        if version == VERSION:
            return
        # Two who come at once: IF NOT EXISTS is asked for each.
        _tables.create_all(connection)
        for trigger in _APPEND_ONLY:
            connection.execute(sa.text(trigger))
        connection.execute(sa.text(f"PRAGMA user_version = {VERSION}"))


def _set_up(connection: Any, _record: object) -> None:
    assert isinstance(connection, sqlite3.Connection)
    # A password that was changed is changed after a power cut too.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
