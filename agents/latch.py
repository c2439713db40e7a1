"""The durable record on disk: latch, live-session marker, holds, boot number, settings. What it says survives.

Not SQLite: the proof needs every write, sync and rename by itself, so that a test can cut the power between any two of
them and lose any of what was not synced (tests/agents/test_latch.py). The record is one small file, written whole:
a new file, synced, renamed over the old one, the folder synced. So a power cut leaves the old record or the new one,
never a torn one, and a file that does not match its own digest was damaged otherwise: the agent comes up latched.
A record that is missing where there was one counts as damaged; a second, empty file tells that there was one.
"""

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from agents.steps import Durable, OverLimit
from broker.contract import messages
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import LIMIT_NAMES, Layer, Limit, Limits

FORMAT = 2  # 1 had wall times of the over-limits, which decide nothing any more
MISSING = "the latch record is missing"
DAMAGED = "the latch record is damaged"
UNREADABLE = "the latch record cannot be read"


class Disk(Protocol):
    """The system calls that the record is made of, one each. All raise OSError."""

    def read(self, path: Path) -> bytes | None:
        """The content; None when there is no such file."""

    def write(self, path: Path, content: bytes) -> None:
        """Create or empty the file and write it. Nothing of this need survive a power cut."""

    def sync(self, path: Path) -> None:
        """The file's content survives from now on; whether its name does is the folder's sync."""

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target`, in one piece."""

    def sync_folder(self, folder: Path) -> None:
        """The names in the folder survive from now on."""


class PosixDisk:
    """The real one."""

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: Path, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            if file.write(content) != len(content):
                raise OSError(f"short write to {path}")

    def sync(self, path: Path) -> None:
        _fsync(path, os.O_RDONLY)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LatchFile:
    """The record at `path`, in a folder that exists. One process at a time."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._path = path
        self._new = path.with_name(f"{path.name}.new")
        self._born = path.with_name(f"{path.name}.born")
        self._disk = PosixDisk() if disk is None else disk

    def load(self) -> tuple[Durable, str | None]:
        """The record of the last run, and what is wrong with it, in words, or None.

        A new device gets a new record, boot_n 0. A record that is damaged, missing or cannot be read gives a latched
        one that only an engineer resets. Its boot_n is lost with it: the fleet refuses the device, with an alarm,
        until it is enrolled again. What cannot be read may be whole: it is set aside, not written over.

        Raises:
            OSError: it cannot be set aside either.
        """
        try:
            content = self._disk.read(self._path)
            was_there = content is not None or self._disk.read(self._born) is not None
        except OSError as error:
            self._set_aside()
            return _LATCHED, f"{UNREADABLE}: {error.strerror}"
        if content is None:
            return (_LATCHED, MISSING) if was_there else (Durable(boot_n=0), None)
        try:
            return decoded(content), None
        except (ValueError, KeyError, TypeError, AttributeError):
            return _LATCHED, DAMAGED

    def save(self, durable: Durable) -> None:
        """Returns once the record survives a power cut.

        Raises:
            OSError: it may not survive. Nothing that depends on it may be told.
        """
        self._put(self._new, encoded(durable))
        self._disk.rename(self._new, self._path)
        self._disk.sync_folder(self._path.parent)
        if self._disk.read(self._born) is None:
            self._put(self._born, b"")
            self._disk.sync_folder(self._path.parent)
            self._disk.sync_folder(self._path.absolute().parent.parent)  # the folder may be as new as the record

    def _set_aside(self) -> None:
        """Out of the way of the next save, under another name. Until then the device is not taken for a new one."""
        self._put(self._born, b"")
        self._disk.sync_folder(self._path.parent)
        with contextlib.suppress(FileNotFoundError):  # then only the word that there was a record cannot be read
            self._disk.rename(self._path, self._path.with_name(f"{self._path.name}.unreadable"))
        self._disk.sync_folder(self._path.parent)

    def _put(self, path: Path, content: bytes) -> None:
        self._disk.write(path, content)
        self._disk.sync(path)


_LATCHED = Durable(boot_n=0, latch=Cause.SELF_TEST_FAILED, reset_by=ResetBy.ENGINEER)


# --- bytes ------------------------------------------------------------------------------------------------------------


def encoded(durable: Durable) -> bytes:
    """The record as bytes: the digest of the rest on the first line, then JSON."""
    body = json.dumps({"format": FORMAT, **asdict(durable)}, sort_keys=True, allow_nan=False).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def decoded(content: bytes) -> Durable:
    """The inverse of `encoded`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: anything that `encoded` would not have written.
    """
    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("the digest does not match")
    fields: dict[str, Any] = json.loads(body)
    match fields.pop("format"):
        case 1:
            known = tuple(OverLimit(boot_n=0, boottime_s=None) for _ in fields.pop("over_limit_wall_s"))
        case 2:
            known = tuple(OverLimit(**each) for each in fields.pop("over_limits"))
        case _:
            raise ValueError("another format of the record")
    holds, latch, settings = fields.pop("holds"), fields.pop("latch"), fields.pop("settings")
    return Durable(
        latch=None if latch is None else Cause(latch),
        reset_by=ResetBy(fields.pop("reset_by")),
        holds=messages.Holds(
            tuple(holds.pop("device")), tuple(holds.pop("all")), holds.pop("service"), holds.pop("more")
        ),
        settings=None if settings is None else _settings(settings),
        over_limits=known,
        **fields,
    )


def _settings(fields: dict[str, Any]) -> messages.Settings:
    limits = {name: fields["limits"][name] for name in LIMIT_NAMES}
    return messages.Settings(
        **{
            **fields,
            "capabilities": tuple(fields["capabilities"]),
            "limits": Limits(**{name: Limit(limit["value"], Layer(limit["layer"])) for name, limit in limits.items()}),
        }
    )
