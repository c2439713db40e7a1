"""Sockets in a data folder: nobody but the account that runs the service, or the agent, may connect to one."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_MODE = 0o600


@contextmanager
def place_for(path: Path) -> Iterator[None]:
    """While the context is open, a socket may be bound at `path`: what a killed process left there is gone, and from
    its first moment nobody else may connect. Anything there but a socket stays, and binding fails.
    """
    take_away(path)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        yield
    finally:
        os.umask(before)


def take_away(path: Path) -> None:
    """Remove a socket that is there; anything else stays."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
