"""The open journal: appends from the event loop, commits from a thread of its own, several at a time.

What waits while one commit runs goes into the next, so the group is as large as the disk is slow; an append on an idle
disk waits for nobody. A row that the disk refuses stays in memory, in order, and is tried again: the state that the
service has already moved to stays the fold of what will be written. Nothing is confirmed before that. Where a row is
that is not ours, somebody else writes too: that is no disk that refuses, and nothing is tried again.

A snapshot that the disk refuses is dropped and logged, no more: the next start folds more rows, and the next one comes.
"""

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalContested, JournalError, JournalUnwritable
from fleet.adapters.journal.restore import Fold, Restored, restore
from fleet.adapters.journal.rows import EVENTS, SNAPSHOTS, Row, Tip, next_row, open_database

log = logging.getLogger(__name__)
State = TypeVar("State")
Stored = TypeVar("Stored")
RETRY_S = 0.5
HANGS_S = 3.0  # a commit that is under way for so long: a disk that hangs in fsync raises nothing
# Between the pieces of a snapshot. Long enough that whoever waits for the interpreter's lock has it: without a pause it
# is taken again before the other has woken up. Pieces of a few microseconds need none.
PAUSE_S = 0.000_2
SMALL_PIECE_BYTES = 256
SNAPSHOTS_KEPT = 2  # the older one for the case that the newer one was torn
_INSERT = sa.insert(EVENTS)
WAITING_ROWS_MAX = 100_000  # beyond this the process ends rather than grow: the spools still have what is not receipted


@dataclass(frozen=True, slots=True)
class _Batch:
    rows: tuple[Row, ...]
    durable: Future[None]
    appended_s: float  # the loop's time


@dataclass(frozen=True, slots=True)
class _Snapshot(Generic[Stored]):
    stored: Stored
    tip: Tip


class Journal(Generic[State, Stored]):
    """One open journal. `append` and `snapshot` belong to one thread, the event loop's.

    `disk_changed` is called from the writing thread: with the error when the disk begins to refuse, with None when it
    takes again; with `JournalContested` when somebody else writes too, which ends the writing for good.
    """

    def __init__(
        self,
        path: Path,
        fold: Fold[State, Stored],
        disk_changed: Callable[[JournalUnwritable | None], None],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Open, or make, the journal; `restored` is what it says, and `alive` is called while it is read.

        Raises:
            JournalUnwritable, JournalCorrupt, UnknownStored
        """
        self._fold = fold
        self._disk_changed = disk_changed
        self._engine = open_database(path, create=True)
        try:
            with self._engine.connect() as connection:
                self.restored: Restored[State] = restore(connection, fold, alive)
        except JournalError:
            self._engine.dispose()
            raise
        self._tip = self.restored.tip
        self._waiting: list[_Batch] = []
        self._waiting_rows = 0
        self._snapshot: _Snapshot[Stored] | None = None
        self._closing = False
        self._refusing = False
        self._unsure = False
        self._died: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """Of the last row appended; it may not be durable yet."""
        return self._tip.position

    @property
    def waiting(self) -> tuple[int, str | None]:
        """How many rows are not durable yet, and `at` of the oldest of them."""
        with self._changed:
            return self._waiting_rows, next((row.at for batch in self._waiting for row in batch.rows), None)

    @property
    def refusing(self) -> bool:
        """Whether the disk refuses, or has the oldest row wait for its commit for more than three seconds: nothing that
        was appended since is durable. In the loop.
        """
        with self._changed:
            oldest = self._waiting[0] if self._waiting else None
        late = oldest is not None and asyncio.get_running_loop().time() - oldest.appended_s > HANGS_S
        return self._refusing or late

    def append(self, at: str, events: Sequence[object]) -> asyncio.Future[None]:
        """Append all of `events` in one transaction; the future is done when they are durable.

        Raises:
            Unstorable: an event is not what it should be; nothing was appended.
            JournalUnwritable: the disk has refused for so long that memory runs out.
            JournalContested: somebody else writes this journal.
        """
        if isinstance(self._died, JournalContested):
            raise self._died
        if self._died is not None:
            raise JournalUnwritable("the journal's thread has ended") from self._died
        tip, rows = self._tip, []
        for event in events:
            row = next_row(tip, at, *self._fold.forms.dump(event))
            rows.append(row)
            tip = Tip(row.position, row.hash)
        batch = _Batch(tuple(rows), Future(), asyncio.get_running_loop().time())
        batch.durable.set_running_or_notify_cancel()  # whoever stops waiting does not stop the writing
        with self._changed:
            if self._waiting_rows + len(rows) > WAITING_ROWS_MAX:
                raise JournalUnwritable(f"{self._waiting_rows} rows wait for a disk that refuses")
            self._waiting.append(batch)
            self._waiting_rows += len(rows)
            self._changed.notify()
        self._tip = tip
        return asyncio.wrap_future(batch.durable)

    def snapshot(self, stored: Stored) -> None:
        """Store the fold of everything appended so far, once all of that is durable. Nobody changes it any more."""
        with self._changed:
            self._snapshot = _Snapshot(stored, self._tip)
            self._changed.notify()

    def close(self, within_s: float = 5.0) -> None:
        """Commit what waits and end the thread.

        Raises:
            JournalUnwritable: something was not written; JournalContested: because somebody else writes.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(within_s)
        self._engine.dispose()
        if isinstance(self._died, JournalContested):
            raise self._died
        if self._thread.is_alive() or self._waiting or self._died:
            raise JournalUnwritable(f"{self._waiting_rows} rows were not written") from self._died

    # --- the writing thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._next():
                pass
        except JournalContested as contested:
            self._ended(contested, contested)
            self._disk_changed(contested)
        except BaseException as error:  # a bug in this thread must end the process, not leave it waiting for ever
            self._ended(error, JournalUnwritable(f"the journal's thread ended: {error!r}"))
            raise

    def _ended(self, why: BaseException, told: JournalUnwritable) -> None:
        self._died = why
        with self._changed:
            waiting, self._waiting = self._waiting, []
        for batch in waiting:
            batch.durable.set_exception(told)

    def _next(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._snapshot or self._closing)
            batches, snapshot = tuple(self._waiting), self._snapshot
        if not batches and snapshot is None:
            return False
        try:
            self._write_batches(batches)
            if snapshot is not None:
                self._write_snapshot(snapshot)
        except sa.exc.DBAPIError as error:
            return self._refused(error)
        return True

    def _write_batches(self, batches: Sequence[_Batch]) -> None:
        if batches:
            self._write_rows([row for batch in batches for row in batch.rows])
            self._takes_again()
            self._confirm(batches)

    def _confirm(self, batches: Sequence[_Batch]) -> None:
        with self._changed:
            del self._waiting[: len(batches)]
            self._waiting_rows -= sum(len(batch.rows) for batch in batches)
        for batch in batches:
            batch.durable.set_result(None)

    def _takes_again(self) -> None:
        self._unsure = False
        if self._refusing:
            self._refusing = False
            self._disk_changed(None)

    def _refused(self, error: sa.exc.DBAPIError) -> bool:
        self._unsure = True
        if not self._refusing:
            self._refusing = True
            self._disk_changed(JournalUnwritable(f"the journal cannot be written: {error.orig}"))
        with self._changed:
            return not self._changed.wait_for(lambda: self._closing, RETRY_S)

    def _write_rows(self, rows: Sequence[Row]) -> None:
        with self._engine.begin() as connection:
            # A commit that failed may be on the disk all the same: what is there is not written twice.
            there = _ours(connection, rows) if self._unsure else 0
            new = [row.columns() for row in rows if row.position > there]
            if not new:
                return
            try:
                connection.execute(_INSERT, new)
            except sa.exc.IntegrityError as error:
                raise JournalContested(rows[0].position) from error

    def _write_snapshot(self, snapshot: _Snapshot[Stored]) -> None:
        body = self._dumped(snapshot)
        kept = sa.select(SNAPSHOTS.c.position).order_by(SNAPSHOTS.c.position.desc()).limit(SNAPSHOTS_KEPT)
        position = snapshot.tip.position
        columns = {
            "position": position,
            "hash": snapshot.tip.hash,
            "shape": self._fold.shape,
            "body": body,
            "checksum": hashlib.sha256(body).digest(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(SNAPSHOTS).where(SNAPSHOTS.c.position == position))
                connection.execute(sa.insert(SNAPSHOTS).values(columns))
                connection.execute(sa.delete(SNAPSHOTS).where(SNAPSHOTS.c.position.not_in(kept)))
        except sa.exc.DBAPIError as error:  # rows that are durable are told to people, whatever becomes of this
            log.error("no snapshot at row %d, the next start takes longer: %s", position, error.orig)
        with self._changed:
            if self._snapshot is snapshot:
                self._snapshot = None

    def _dumped(self, snapshot: _Snapshot[Stored]) -> bytes:
        """The body of a snapshot, made beside everything else: after each piece others have the interpreter, and rows
        that wait are written.
        """
        body = bytearray()
        for piece in self._fold.pieces(snapshot.stored):
            body += piece
            if len(piece) >= SMALL_PIECE_BYTES:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting, PAUSE_S)
                    batches = tuple(self._waiting)
                self._write_batches(batches)
        return bytes(body)


def _ours(connection: sa.Connection, rows: Sequence[Row]) -> int:
    """The last position on the disk, when each row from the first of `rows` on is one of them.

    Raises:
        JournalContested: one is not.
    """
    known = {row.position: row.hash for row in rows}
    there = rows[0].position - 1
    stored = sa.select(EVENTS.c.position, EVENTS.c.hash).where(EVENTS.c.position > there).order_by(EVENTS.c.position)
    for position, found in connection.execute(stored):
        if known.get(position) != found:
            raise JournalContested(position)
        there = position
    return there
