"""Which links were used: a file in the fleet's folder, a line each (a digest, and when the link ends).

A press takes its link before the fleet is asked, so that two at once are one, and gives it back where nothing came of
it. It is written down before anybody is told that it worked. Lines of links that have ended are left out when the file
is opened.
"""

import os
from hashlib import sha256
from pathlib import Path

FILE_NAME = "links.used"
LINKS_MAX = 20_000  # then the one that ends first goes: it is long over, or somebody makes them up with our key


class UsedLinks:
    """By their digests: what is in the file is no link."""

    def __init__(self, data_dir: Path, now_s: float) -> None:
        self._path = data_dir / FILE_NAME
        self._ends_s: dict[str, int] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
                digest, _, ends = line.partition(" ")
                if len(digest) == 64 and ends.isdecimal() and int(ends) > now_s:  # a last line may be torn
                    self._ends_s[digest] = int(ends)
            beside = self._path.with_name(f".{FILE_NAME}")
            beside.write_text("".join(f"{digest} {ends}\n" for digest, ends in self._ends_s.items()), encoding="ascii")
            beside.replace(self._path)

    def take(self, token: str, ends_s: int) -> bool:
        """Whether it has not been used; from now on it is."""
        if self.used(token):
            return False
        self._ends_s[_digest(token)] = ends_s
        if len(self._ends_s) > LINKS_MAX:
            del self._ends_s[min(self._ends_s, key=lambda digest: self._ends_s[digest])]
        return True

    def give_back(self, token: str) -> None:
        self._ends_s.pop(_digest(token), None)

    def settle(self, token: str, ends_s: int) -> None:
        """Write it down. It waits for the disk, and may be called in another thread.

        Raises:
            OSError: the disk refuses.
        """
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{_digest(token)} {ends_s}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def used(self, token: str) -> bool:
        return _digest(token) in self._ends_s


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
