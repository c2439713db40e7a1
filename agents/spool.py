"""Events that must reach the fleet: numbered, on disk before they are told, deleted only on its receipt (H21).

Numbers rise by one from 1 under a `spool_id`; they are given once, also over restarts. A file that cannot be read is
set aside under a name of its own, and a new `spool_id` begins. Any thread may call; one lock keeps the calls apart.

    SpoolFailed            the disk refuses: full, read-only, gone. The agent ends; nothing is stimulated unrecorded.
"""

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from broker.contract.causes import Cause
from broker.contract.messages import Detail, Event, EventKind, Receipt, SelfTestFailed, SpoolDropped
from broker.contract.topics import Channel
from broker.wire.codec import MalformedMessage, decode, encode

EVENTS_MAX: Final = 20_000  # some 10 MB; months of a device's normal life, hours of the worst
QUARANTINED_MAX: Final = 1_000
_DROPPED_SHARE: Final = 0.1  # of a full spool at once, so that a long outage is told in few `spool_dropped`

_SCHEMA = """
create table if not exists spool (
  one integer primary key check (one = 1), spool_id text not null, next_n integer not null
);
create table if not exists event (n integer primary key, payload blob not null, payload_sha256 text not null);
create table if not exists quarantine (
  id integer primary key, spool_id text not null, n integer not null, payload blob not null, why text not null
);
"""


class SpoolFailed(OSError):
    """The disk does not take or give what it should."""


class Receipted(StrEnum):
    """What a receipt did."""

    DELETED = "deleted"
    OTHER_SPOOL = "other_spool"  # of an earlier spool_id: nothing
    RENUMBERED = "renumbered"  # it knows numbers, or payloads, that this disk has not: the disk went back in time


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and in which boot: what the spool puts on events of its own."""

    boot_n: int
    at: str
    boottime_s: float


@dataclass(frozen=True, slots=True)
class Happened:
    """An event before it has a number."""

    stamp: Stamp
    event_id: str
    kind: EventKind
    session_id: str | None = None
    cause: Cause | None = None
    detail: Detail | None = None

    def numbered(self, spool_id: str, n: int) -> Event:
        return Event(
            boot_n=self.stamp.boot_n,
            spool_id=spool_id,
            n=n,
            event_id=self.event_id,
            at=self.stamp.at,
            boottime_s=self.stamp.boottime_s,
            session_id=self.session_id,
            kind=self.kind,
            cause=self.cause,
            detail=self.detail,
        )


class Spool:
    """The spool of one device. Make it with `open_spool`."""

    def __init__(
        self,
        database: sqlite3.Connection,
        new_id: Callable[[], str],
        stamp: Callable[[], Stamp],
        events_max: int = EVENTS_MAX,
    ) -> None:
        self._database = database
        self._new_id = new_id
        self._stamp = stamp
        self._events_max = events_max
        self._lock = threading.RLock()
        self.dropped_count = 0  # events lost since this start, quarantined ones included
        with self._transaction():
            row = database.execute("select spool_id, next_n from spool").fetchone()
            if row is None:
                row = (new_id(), 1)
                database.execute("insert into spool values (1, ?, ?)", row)
        self.spool_id: str = row[0]
        self.next_n: int = row[1]
        self._kept = self._count()

    @property
    def oldest_n(self) -> int:
        """The lowest number that may still come; `next_n` when nothing is kept."""
        with self._lock, _told_as_failure():
            (oldest,) = self._database.execute("select min(n) from event").fetchone()
        return self.next_n if oldest is None else int(oldest)

    def append(self, *events: Happened) -> tuple[Event, ...]:
        """Give the next numbers and commit, all or none; drops the oldest where the spool is full.

        Raises:
            SpoolFailed: the disk did not take them.
        """
        with self._transaction():
            numbered = tuple(self._insert(event) for event in events)
            while self._kept > self._events_max:
                self._drop_oldest()
        return numbered

    def pending(self, after_n: int, count_max: int) -> tuple[Event, ...]:
        """The next kept events above `after_n`, in order. A row that has rotted goes into quarantine and is reported.

        Raises:
            SpoolFailed: the disk did not give them.
        """
        with self._transaction():
            rows = self._database.execute(
                "select n, payload, payload_sha256 from event where n > ? order by n limit ?", (after_n, count_max)
            ).fetchall()
            readable = {n: event for n, payload, sha in rows if (event := _event_of(payload, sha)) is not None}
            self._quarantine([n for n, _, _ in rows if n not in readable], "rotten on disk")
        return tuple(readable.values())

    def take(self, receipt: Receipt) -> Receipted:
        """Delete what a receipt covers; put what the fleet could not read into quarantine.

        Raises:
            SpoolFailed: the disk did not obey.
        """
        with self._transaction():
            if receipt.spool_id != self.spool_id:
                return Receipted.OTHER_SPOOL
            if receipt.upto >= self.next_n:
                self._renumber()
                return Receipted.RENUMBERED
            unreadable = {entry.n: entry.payload_sha256 for entry in receipt.unreadable if entry.n <= receipt.upto}
            if self._knows_others(unreadable):
                self._renumber()
                return Receipted.RENUMBERED
            self._quarantine(sorted(unreadable), "unreadable to the fleet")
            self._database.execute("delete from event where n <= ?", (receipt.upto,))
            self._kept = self._count()
        return Receipted.DELETED

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # --- inside a transaction ---------------------------------------------------------------------------------------

    def _insert(self, event: Happened) -> Event:
        numbered = event.numbered(self.spool_id, self.next_n)
        payload = encode(numbered)
        self._database.execute("insert into event values (?, ?, ?)", (numbered.n, payload, _sha256(payload)))
        self._database.execute("update spool set next_n = ?", (self.next_n + 1,))
        self.next_n += 1
        self._kept += 1
        return numbered

    def _drop_oldest(self) -> None:
        count = max(2, round(self._events_max * _DROPPED_SHARE))  # one goes back in, for what tells of it
        rows = self._database.execute("select n from event order by n limit ?", (count,)).fetchall()
        self._database.execute("delete from event where n <= ?", (rows[-1][0],))
        self._kept -= len(rows)
        self._report_dropped([n for (n,) in rows])

    def _quarantine(self, numbers: list[int], why: str) -> None:
        moved = []
        for n in numbers:
            row = self._database.execute("select payload from event where n = ?", (n,)).fetchone()
            if row is None:
                continue  # an earlier receipt said the same
            self._database.execute(
                "insert into quarantine (spool_id, n, payload, why) values (?, ?, ?, ?)",
                (self.spool_id, n, row[0], why),
            )
            self._database.execute("delete from event where n = ?", (n,))
            self._kept -= 1
            moved.append(n)
        self._database.execute(
            "delete from quarantine where id <= (select max(id) from quarantine) - ?", (QUARANTINED_MAX,)
        )
        self._report_dropped(moved)

    def _report_dropped(self, numbers: list[int]) -> None:
        self.dropped_count += len(numbers)
        for from_n, to_n in _runs(numbers):
            detail = SpoolDropped(from_n, to_n)
            self._insert(Happened(self._stamp(), self._new_id(), EventKind.SPOOL_DROPPED, detail=detail))

    def _knows_others(self, unreadable: Mapping[int, str]) -> bool:
        """Whether the fleet got other payloads under numbers that are kept here: these were given twice."""
        kept = self._database.execute("select n, payload_sha256 from event where n <= ?", (max(unreadable, default=0),))
        return any(unreadable.get(n, sha) != sha for n, sha in kept)

    def _renumber(self) -> None:
        """A new spool_id for everything that is kept. What has rotted gets a number too, and is told by it."""
        rows = self._database.execute("select payload, payload_sha256 from event order by n").fetchall()
        self._database.execute("delete from event")
        self.spool_id, self.next_n = self._new_id(), 1
        self._database.execute("update spool set spool_id = ?", (self.spool_id,))
        rotten = []
        for row in rows:
            kept = row
            if (event := _event_of(*row)) is not None:
                payload = encode(replace(event, spool_id=self.spool_id, n=self.next_n))
                kept = payload, _sha256(payload)
            else:
                rotten.append(self.next_n)
            self._database.execute("insert into event values (?, ?, ?)", (self.next_n, *kept))
            self.next_n += 1
        self._database.execute("update spool set next_n = ?", (self.next_n,))
        self._kept = len(rows)
        self._quarantine(rotten, "rotten on disk")

    def _count(self) -> int:
        return int(self._database.execute("select count(*) from event").fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, in memory too: a failed commit leaves the numbers as they were on disk."""
        with self._lock:
            before = self.__dict__.copy()
            try:
                with _told_as_failure():
                    self._database.execute("begin immediate")
                    yield
                    self._database.execute("commit")
            except BaseException:
                self.__dict__.update(before)
                if self._database.in_transaction:
                    self._database.execute("rollback")
                raise


@contextlib.contextmanager
def _told_as_failure() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SpoolFailed(f"the event spool failed: {error}") from error


def open_spool(
    path: Path, new_id: Callable[[], str], stamp: Callable[[], Stamp], events_max: int = EVENTS_MAX
) -> tuple[Spool, Path | None]:
    """The spool at `path`, and where a corrupt predecessor was put (see `corrupt_spool`), None if there was none.

    Raises:
        SpoolFailed: the file can neither be opened nor set aside.
    """
    aside = None
    try:
        database = _open_sound(path)
    except _Corrupt:
        try:
            aside = _set_aside(path)
            database = _open_sound(path)
        except (_Corrupt, OSError) as error:
            raise SpoolFailed(f"cannot set the corrupt event spool {path} aside: {error}") from error
    return Spool(database, new_id, stamp, events_max), aside


def corrupt_spool(aside: Path) -> SelfTestFailed:
    """What the fleet is told about a spool that was set aside: how many events it held, nobody can say."""
    return SelfTestFailed(f"event spool corrupt, kept as {aside.name}"[:64])


class _Corrupt(Exception):
    """Not a database, or not this one."""


def _open_sound(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    except (OSError, sqlite3.Error) as error:
        raise SpoolFailed(f"cannot open the event spool {path}: {error}") from error
    try:
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")  # a commit is on the disk, not in its cache
        (verdict,) = database.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            raise _Corrupt(verdict)
        database.executescript(_SCHEMA)
        row = database.execute("select next_n from spool").fetchone()
        (newest,) = database.execute("select max(n) from event").fetchone()
        if newest is not None and (row is None or newest >= row[0]):
            raise _Corrupt("events beyond the next number")
    except sqlite3.DatabaseError as error:
        database.close()
        # Locked, full, read-only or unreadable hardware is no corruption: setting the file aside would not help.
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise SpoolFailed(f"cannot open the event spool {path}: {error}") from error
        raise _Corrupt(str(error)) from error
    except _Corrupt:
        database.close()
        raise
    return database


def _set_aside(path: Path) -> Path:
    taken = (path.with_name(f"{path.name}.corrupt-{number}") for number in range(1, 1_000_000))
    aside = next(candidate for candidate in taken if not candidate.exists())
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _event_of(payload: object, payload_sha256: object) -> Event | None:
    """The event of a row; None where the row is not what was written."""
    if not isinstance(payload, bytes) or _sha256(payload) != payload_sha256:
        return None
    try:
        event = decode(Channel.EVENT, payload)
    except MalformedMessage:
        return None
    return event if isinstance(event, Event) else None


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The unbroken runs of rising numbers, as first and last.

    >>> list(_runs([3, 4, 5, 8]))
    [(3, 5), (8, 8)]
    """
    first = last = None
    for n in numbers:
        if first is not None and last is not None and n == last + 1:
            last = n
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = n
    if first is not None and last is not None:
        yield first, last
