"""Users, sessions, tokens, bad sign-ins and the audit, on the disk. Opened by the web process and by the command line.

Every change is one transaction with its row in the audit. Whatever takes rights away ends the sessions in the same
transaction: at a change of the password, of the role, and when a user is disabled.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from fleet.api.access import Role
from fleet.api.attempts import Count, Key, Kind
from fleet.api.people import Kept, NotKept, Session, Token, Told, Unusable, User
from fleet.api.tables import ATTEMPTS, AUDIT, KNOWN, SESSIONS, TOKENS, USERS, open_users

FILE_NAME: Final = "users.db"
SESSIONS_MAX: Final = 20  # of one user: one more ends the one that was used longest ago


class Store:
    """`users.db`. Every call is on the disk: never in the loop that answers.

    Every call raises Unusable where the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._engine = open_users(path)
        # SQLite tells a connection when another one has written.
        self._watching = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._seen: object = None

    def close(self) -> None:
        self._watching.close()
        self._engine.dispose()

    # --- reading ---

    def changed(self) -> bool:
        """Whether anybody has written since this was asked before. Asked the first time: yes."""
        with _refusing():
            before, self._seen = self._seen, self._watching.scalar(sa.text("PRAGMA data_version"))
        return bool(before != self._seen)

    def kept(self) -> Kept:
        """All that a request may need."""
        with _refusing(), self._engine.connect() as connection:
            users = {user.id: user for user in map(_user, connection.execute(sa.select(USERS)))}
            sessions = {row.key: Session(**row._mapping) for row in connection.execute(sa.select(SESSIONS))}
            tokens = {token.key: token for token in map(_token, connection.execute(sa.select(TOKENS)))}
        return Kept(MappingProxyType(users), MappingProxyType(sessions), MappingProxyType(tokens))

    def attempts(self) -> tuple[dict[Key, Count], dict[tuple[str, str], float]]:
        """The counts of bad sign-ins, oldest first, and where users are known."""
        with _refusing(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(ATTEMPTS).order_by(ATTEMPTS.c.last_wall_s))
            counts = {(Kind(row.kind), row.who): Count(row.failures, row.last_wall_s) for row in rows}
            known = {(row.user, row.address): row.at_wall_s for row in connection.execute(sa.select(KNOWN))}
        return counts, known

    def audit(self, limit: int, before: int | None = None) -> list[tuple[int, Told]]:
        """The newest rows, newest first, with their positions; those before position `before`."""
        newest = sa.select(AUDIT).order_by(AUDIT.c.position.desc()).limit(limit)
        if before is not None:
            newest = newest.where(AUDIT.c.position < before)
        with _refusing(), self._engine.connect() as connection:
            return [
                (row.position, Told(row.at_wall_s, row.who, row.address, row.what, row.subject, row.outcome))
                for row in connection.execute(newest)
            ]

    # --- users ---

    def add_user(self, user: User, told: Told) -> None:
        """A new one.

        Raises:
            NotKept: there is one of this id.
        """
        with self._writing(told) as connection:
            if _one_user(connection, user.id) is not None:
                raise NotKept("user_exists", f"There is a user {user.id} already; their audit stays theirs.")
            connection.execute(USERS.insert().values(**asdict(user)))

    def change_user(self, user: str, told: Told, **changes: Any) -> User:
        """Change fields of a user: `hash` goes with `password_wall_s` and `must_change`. The user as they are now.

        Raises:
            NotKept: there is none, or nobody would be left who may look after users.
        """
        with self._writing(told) as connection:
            before = _one_user(connection, user)
            if before is None:
                raise NotKept("unknown_user", f"There is no user {user}.")
            after = replace(before, **changes)
            if after == before:
                return after
            if _is_admin(before) and not _is_admin(after):
                others = [other for other in map(_user, connection.execute(sa.select(USERS))) if other.id != user]
                if not any(map(_is_admin, others)):
                    raise NotKept("last_admin", f"{user} is the last admin: make another user admin first.")
            connection.execute(USERS.update().where(USERS.c.id == user).values(**asdict(after)))
            if (after.hash, after.role, after.disabled, after.operator) != (
                before.hash,
                before.role,
                before.disabled,
                before.operator,
            ):
                connection.execute(SESSIONS.delete().where(SESSIONS.c.user == user))
            return after

    def rehash(self, user: str, before: str, after: str) -> None:
        """The same password, hashed with other costs: nothing changes for anybody."""
        with self._writing() as connection:
            same = sa.and_(USERS.c.id == user, USERS.c.hash == before)
            connection.execute(USERS.update().where(same).values(hash=after))

    # --- sessions ---

    def begin_session(self, session: Session, verified: str, told: Told, instead_of: bytes | None = None) -> None:
        """A new one. `verified` is the hash that the password was checked against; `instead_of` ends: the one that the
        same browser had before.

        Raises:
            NotKept: the user was disabled, or their password changed, in the meantime.
        """
        with self._writing(told) as connection:
            user = _one_user(connection, session.user)
            if user is None or user.disabled or user.hash != verified:
                raise NotKept("changed", "Something changed about this user: try again.")
            connection.execute(SESSIONS.delete().where(SESSIONS.c.key == instead_of))
            connection.execute(SESSIONS.insert().values(**asdict(session)))
            newest = sa.select(SESSIONS.c.key).where(SESSIONS.c.user == session.user)
            newest = newest.order_by(SESSIONS.c.used_wall_s.desc(), SESSIONS.c.began_wall_s.desc()).limit(SESSIONS_MAX)
            others = sa.and_(SESSIONS.c.user == session.user, SESSIONS.c.key.not_in(newest))
            connection.execute(SESSIONS.delete().where(others))

    def end_sessions(self, keys: Iterable[bytes], told: Told | None = None) -> None:
        with self._writing(told) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.key.in_(list(keys))))

    # --- tokens ---

    def add_token(self, token: Token, told: Told) -> None:
        """A new one.

        Raises:
            NotKept: there is one of this name.
        """
        with self._writing(told) as connection:
            if connection.scalar(sa.select(TOKENS.c.id).where(TOKENS.c.name == token.name)) is not None:
                raise NotKept("token_exists", f"There is a token named {token.name}: revoke it, or name this one else.")
            connection.execute(TOKENS.insert().values(**asdict(token)))

    def revoke_token(self, token: str, told: Told) -> None:
        """End it for good.

        Raises:
            NotKept: there is none.
        """
        with self._writing(told) as connection:
            if not connection.execute(TOKENS.delete().where(TOKENS.c.id == token)).rowcount:
                raise NotKept("unknown_token", f"There is no token {token}.")

    # --- what comes by itself ---

    def note(
        self,
        told: Iterable[Told] = (),
        counts: Iterable[tuple[Key, Count | None]] = (),
        known: Iterable[tuple[str, str, float]] = (),
        used: Iterable[tuple[bytes, float]] = (),
    ) -> None:
        """Rows of the audit, counts of bad sign-ins, where users are known, and when sessions and tokens were used."""
        with self._writing(*told) as connection:
            for (kind, who), count in counts:
                if count is None:
                    gone = sa.and_(ATTEMPTS.c.kind == kind, ATTEMPTS.c.who == who)
                    connection.execute(ATTEMPTS.delete().where(gone))
                else:
                    connection.execute(_put(ATTEMPTS, kind=kind, who=who, **asdict(count)))
            for user, address, at_wall_s in known:
                connection.execute(_put(KNOWN, user=user, address=address, at_wall_s=at_wall_s))
            for key, at_wall_s in used:  # a fingerprint is of a session or of a token
                for table in (SESSIONS, TOKENS):
                    connection.execute(table.update().where(table.c.key == key).values(used_wall_s=at_wall_s))

    @contextmanager
    def _writing(self, *told: Told | None) -> Iterator[sa.Connection]:
        """A transaction, with its rows in the audit; IMMEDIATE, so that what it reads first holds until it is over."""
        with _refusing(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            rows = [asdict(row) for row in told if row is not None]
            if rows:
                connection.execute(AUDIT.insert(), rows)
            connection.commit()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise Unusable(f"{FILE_NAME} cannot be used: {error.orig}.") from error


def _put(table: sa.Table, **values: object) -> sa.Insert:
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    return insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest)


def _one_user(connection: sa.Connection, user: str) -> User | None:
    row = connection.execute(sa.select(USERS).where(USERS.c.id == user)).one_or_none()
    return None if row is None else _user(row)


def _user(row: sa.Row[Any]) -> User:
    return User(**{**row._mapping, "role": Role(row.role)})


def _token(row: sa.Row[Any]) -> Token:
    return Token(**{**row._mapping, "role": Role(row.role)})


def _is_admin(user: User) -> bool:
    return user.role is Role.ADMIN and not user.disabled
