"""What is wrong with a store, out of the recorder's status, in the three words that the fleet knows. Pure.

store_refuses     a write has not come back for a while, and the store says that it refuses
samples_dropped   some were lost, missed, unreadable or called unfit within the last five minutes
store_waits       the store refuses, and writes come back all the same: they wait on disk
"""

from collections.abc import Mapping
from typing import Any

from fleet.core.store_events import StoreTrouble

# A write to the recorder's own disk takes milliseconds; one that is refused is tried again every second or so.
REFUSES_AFTER_S = 2.0
DROPPED_S = 300.0  # what is gone stays gone: it is the case for long enough to be told of
DROPPED = ("lost", "missed", "unreadable", "dead_lettered")


class Watch:
    """Looks at one status after the other; times in boot time. What was gone in the first one, `begun`, is no news: the
    file of refused batches is older than its recorder.
    """

    def __init__(self, begun: Mapping[str, Any]) -> None:
        self._found: StoreTrouble | None = None
        self._dropped = _dropped(begun)
        self._dropped_s: float | None = None

    def look(self, now_s: float, status: Mapping[str, Any], writing_since_s: float | None) -> StoreTrouble | None:
        """What is wrong now. `writing_since_s`: since when a write is on its way; None: none is."""
        dropped = _dropped(status)
        if dropped > self._dropped:
            self._dropped_s = now_s
        self._dropped = dropped
        self._found = self._judged(now_s, status["refusing"] is not None, writing_since_s)
        return self._found

    def _judged(self, now_s: float, refusing: bool, writing_since_s: float | None) -> StoreTrouble | None:
        if refusing and writing_since_s is not None:
            if now_s - writing_since_s < REFUSES_AFTER_S:
                return self._found  # it may come back in a moment, or not at all: the next look knows
            return StoreTrouble.REFUSES
        if self._dropped_s is not None and now_s - self._dropped_s < DROPPED_S:
            return StoreTrouble.DROPS
        return StoreTrouble.WAITS if refusing else None


def _dropped(status: Mapping[str, Any]) -> int:
    return sum(status[what] for what in DROPPED)
