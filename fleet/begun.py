"""Which messages may have gone out although nobody has told what came of them: a file that a SIGKILL leaves whole.

A line a message, written before it goes out. After a crash one that stands there once goes out once more, because it
may not have; one that stands there twice does not, and is told as not delivered, so that the next person is told. A
power cut may lose the file: then the fleet has given every message up, and tells anew.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

TIMES_MAX = 2
LINES_MAX = 5_000  # then what is over is left out


class Begun:
    """`times`: how often each message has begun to go out, since the file was begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text(encoding="ascii", errors="replace") if path.exists() else ""
        self.times = Counter(line for line in text.splitlines() if line)
        self._file = path.open("a", encoding="ascii")
        self._lines = self.times.total()

    def note(self, page_id: str) -> None:
        """It goes out now."""
        self.times[page_id] += 1
        self._file.write(f"{page_id}\n")
        self._file.flush()
        self._lines += 1

    def may_go(self, page_id: str) -> bool:
        return self.times[page_id] < TIMES_MAX

    def forget(self, is_waited_for: Callable[[str], bool]) -> None:
        """Leave out what nobody waits for any more, once there is a lot of it."""
        if self._lines < LINES_MAX:
            return
        kept = Counter({page_id: times for page_id, times in self.times.items() if is_waited_for(page_id)})
        beside = self._path.with_name(f".{self._path.name}")
        beside.write_text("".join(f"{page_id}\n" for page_id in kept.elements()), encoding="ascii")
        beside.replace(self._path)
        self._file.close()
        self._file = self._path.open("a", encoding="ascii")
        self.times, self._lines = kept, kept.total()

    def close(self) -> None:
        self._file.close()
