"""Which messages may have gone out although nobody has told what came of them: a file that a SIGKILL leaves whole.

A line a message, written before it goes out. After a crash one that stands there once goes out once more, because it
may not have; one that stands there twice does not, and is told as not delivered, so that the next person is told. A
power cut may lose the file: then the fleet has given every message up, and tells anew.

A disk that refuses keeps nobody from being told: the message goes out, the log says so, and this process knows it until
it ends. Whoever comes after it may send it once or twice more.
"""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)
TIMES_MAX = 2
LINES_MAX = 5_000  # then what is over is left out


class Begun:
    """`times`: how often each message has begun to go out, since the file was begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._refuses = self._is_torn = False
        self.times = Counter(line for line in self._read().splitlines() if line)
        self._lines = self.times.total()
        self._write("")

    def note(self, page_id: str) -> None:
        """It goes out now."""
        self.times[page_id] += 1
        self._lines += 1
        self._write(f"{page_id}\n")

    def may_go(self, page_id: str) -> bool:
        return self.times[page_id] < TIMES_MAX

    def forget(self, is_waited_for: Callable[[str], bool]) -> None:
        """Leave out what nobody waits for any more, once there is a lot of it."""
        if self._lines < LINES_MAX:
            return
        kept = Counter({page_id: times for page_id, times in self.times.items() if is_waited_for(page_id)})
        beside = self._path.with_name(f".{self._path.name}")
        try:
            beside.write_text("".join(f"{page_id}\n" for page_id in kept.elements()), encoding="ascii")
            beside.replace(self._path)
        except OSError as error:
            self._lines = 0  # tried again after as many more; the file that is there stays
            self._refused(error)
            return
        self.close()
        self.times, self._lines, self._is_torn = kept, kept.total(), False

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # nothing of ours waits to be written: it is unbuffered
                self._file.close()
        self._file = None

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._refused(error)
            return ""

    def _write(self, line: str) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            rest = f"\n{line}".encode() if self._is_torn else line.encode()  # behind half a line: one of its own
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._is_torn = True
            self._refused(error)
            return
        self._refuses = self._is_torn = False

    def _refused(self, error: OSError) -> None:
        """Said once, until it is written again."""
        if not self._refuses:
            log.error("%s: %s: messages go out, and may go out once more", self._path.name, error.strerror)
        self._refuses = True
