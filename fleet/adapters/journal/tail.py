"""What comes after a row of a journal on disk, for whoever reads it along beside the fleet.

It belongs to whoever calls it, in whatever thread, one call at a time. Between two calls it holds the file open and no
transaction, so that the fleet's write-ahead log can be reset.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from fleet.adapters.journal.errors import JournalError, JournalReplaced, JournalUnwritable
from fleet.adapters.journal.rows import Row, Tip, being_made, checked, open_database, rows_after, unreadable

ROWS_A_LOOK = 500  # some 10 ms: a look that finds more leaves the rest to the next one


@dataclass(slots=True)
class Tail:
    """Of the journal at `path`, `read` (in the past tense: followed, counted) by somebody."""

    path: Path
    read: str
    _connection: sa.Connection | None = None
    _file: tuple[int, int] | None = None

    def opened(self) -> sa.Connection:
        """A connection to the journal that is there, the same as before.

        Raises:
            FileNotFoundError: there is no journal, and never was; or it is being made.
            JournalReplaced: there is another one than before.
            JournalUnwritable: it cannot be opened, is gone, or the disk refuses.
            JournalCorrupt: it is no database.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self._file is None:
                raise
            raise JournalUnwritable(f"{self.path.name} is not there any more") from None
        except OSError as error:
            raise JournalUnwritable(f"{self.path.name} cannot be read: {error.strerror}") from error
        file = found.st_dev, found.st_ino
        if self._file not in (None, file):
            raise JournalReplaced(f"{self.path.name} is another journal than the one that was {self.read}")
        if self._connection is None:
            self._connection = self._connected()
            self._file = file
        return self._connection

    def _connected(self) -> sa.Connection:
        engine = open_database(self.path, create=False)
        with ExitStack() as refused:
            refused.callback(engine.dispose)
            try:
                connection = refused.enter_context(engine.connect()).execution_options(isolation_level="AUTOCOMMIT")
                if self._file is None and being_made(connection):
                    raise FileNotFoundError(self.path)
            except sa.exc.DBAPIError as error:
                raise unreadable(error, 1) from error
            refused.pop_all()
        return connection

    def rows(self, tip: Tip) -> Iterator[Row]:
        """The rows after `tip`, each compared with the chain: 500 at most.

        Raises:
            As `opened`; JournalCorrupt, JournalUnwritable: a row cannot be read. The next call opens the file anew.
        """
        connection = self.opened()
        try:
            yield from islice(checked(rows_after(connection, tip.position), tip), ROWS_A_LOOK)
        except JournalError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file. Whoever goes on opens it again, if it is the same."""
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()
            self._connection = None
