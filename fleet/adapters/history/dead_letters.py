"""Batches that the store refused: kept in a file that people can read, counted, and never tried again by themselves."""

import os
from pathlib import Path

from fleet.adapters.history.lines import SAMPLE
from fleet.adapters.history.spill import Batch

BYTES_MAX = 256 * 1024 * 1024  # beyond that they are only counted
WORDS_MAX = 300


class DeadLetters:
    """The file of refused batches. `samples`: how many are in it, and how many it had no room for."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: it cannot be used.
        """
        self._path = path
        self.samples = 0
        if path.exists():
            with path.open("rb") as lines:
                self.samples = sum(line.startswith(f"{SAMPLE},".encode()) for line in lines)

    def put(self, batch: Batch, at: str, why: str) -> None:
        """Keep a batch, with when and why it was refused.

        Raises:
            OSError: the disk refuses.
        """
        said = " ".join(why.split())[:WORDS_MAX]
        if not self._path.exists() or self._path.stat().st_size < BYTES_MAX:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(f"# {at} refused: {said}\n".encode() + batch.lines + b"\n")
                file.flush()
                os.fsync(file.fileno())
        self.samples += batch.samples
