"""Files that are whole or not there, and secret from their first byte.

A file is written beside its place, flushed to the disk and renamed into it, so that neither a crash nor a full disk
leaves half of one. Modes are given when a file is made; nothing is narrowed afterwards.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
SHARED_MODE = 0o640
FOLDER_MODE = 0o700


def make_folder(folder: Path) -> None:
    """Make `folder` and what leads to it, open to nobody else. One that is there stays as it is."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def write_secret(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, readable by its owner only."""
    _replace(path, content, SECRET_MODE)


def write_public(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, readable by everybody."""
    _replace(path, content, PUBLIC_MODE)


def write_shared(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, readable by its owner and its group only."""
    _replace(path, content, SHARED_MODE)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Wait until no other process changes `folder`, and keep it so."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)  # left by a crash; made anew, so that its mode is ours
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
