"""Folders whose names a power cut does not take away."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make it where it is not there, and the ones above it.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
