"""Files that appear whole under their name, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.adapters.journal.errors import CopyRefused
from fleet.adapters.journal.rows import FILE_MODE, PARTS, sync_folder


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A new private file to be filled; when the block ends well it is on the disk and has the name `path`.

    Whatever goes wrong before, nothing has that name. A machine that dies meanwhile leaves `.unfinished` behind.

    Raises:
        CopyRefused: there is something of that name, or no such folder.
        OSError: the disk refuses.
    """
    if path.exists() or path.is_symlink():
        raise CopyRefused(f"{path} is there already and is not overwritten: choose another name.")
    if not path.parent.is_dir():
        raise CopyRefused(f"There is no folder {path.parent}: make it first.")
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}.unfinished")
    make_private(made)
    try:
        yield made
        sync(made)
        try:
            os.link(made, path)  # unlike a rename, it never replaces what another process put there meanwhile
        except FileExistsError:
            raise CopyRefused(f"{path} has just been made by somebody else and is not overwritten.") from None
    finally:
        remove(made)
    sync_folder(path.parent)


def make_private(path: Path) -> None:
    """A new empty file that nobody but its owner may read, from its first byte.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))


def sync(path: Path) -> None:
    """Have a file's content on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a database file of ours that nobody needs, with what SQLite keeps beside it."""
    for suffix in PARTS:
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
