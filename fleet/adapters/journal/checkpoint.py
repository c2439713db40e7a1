"""What was counted of a journal up to a row, kept in a file of its own, so that nobody counts it twice.

It is worth what it says only for the very journal that it was made of: it names the row by its position and hash, and
is thrown away where that row is not there, or another one, or the program counts otherwise by now. It is no record of
anything: losing it costs a while.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from fleet.adapters.journal.forms import fingerprint
from fleet.adapters.journal.rows import FILE_MODE, Tip, rows_after

Counted = TypeVar("Counted")


@dataclass(frozen=True)
class Checkpoint(Generic[Counted]):
    """The file at `path`. `version` is raised when the counting comes to mean something else."""

    path: Path
    counted: type[Counted]
    version: int

    def load(self, connection: sa.Connection) -> tuple[Tip, Counted] | None:
        """What was counted, and up to where; None where there is nothing that holds for this journal.

        Raises:
            JournalCorrupt, JournalUnwritable: the journal cannot be read.
        """
        try:
            head, _, body = self.path.read_bytes().partition(b"\n")
            shape, digest, position, row_hash = head.decode("ascii").split(" ")
            tip = Tip(int(position), bytes.fromhex(row_hash))
        except (OSError, ValueError):
            return None
        if (shape, digest) != (self._shape, hashlib.sha256(body).hexdigest()):
            return None
        row = next(rows_after(connection, tip.position - 1), None)
        if row is None or (row.position, row.hash) != (tip.position, tip.hash):
            return None
        try:
            return tip, self._adapter.validate_json(body, strict=True)
        except ValidationError:  # the shape's name does not say everything
            return None

    def save(self, tip: Tip, counted: Counted) -> None:
        """Put it in the place of the last one, whole or not at all.

        Raises:
            OSError: the disk refuses; the last one stays.
        """
        body = self._adapter.dump_json(counted, warnings="error")
        head = f"{self._shape} {hashlib.sha256(body).hexdigest()} {tip.position} {tip.hash.hex()}\n"
        with _renamed(self.path) as new, os.fdopen(new, "wb") as file:
            file.write(head.encode("ascii") + body)

    @property
    def _adapter(self) -> TypeAdapter[Counted]:
        return TypeAdapter(self.counted)

    @property
    def _shape(self) -> str:
        return f"{self.version}-{fingerprint(self.counted)}"


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[int]:
    """A new file to write to, which takes the name when all went well."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    yield descriptor
    new.replace(path)
