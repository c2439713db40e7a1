"""What the recorder tells the fleet, at its control socket, of its store and of itself (A13).

At once when it changes, else once a minute. Only the newest word is ever told, one at a time, so nothing can pile up;
a fleet that is away or cannot write its journal hears it again a little later. The recorder's own work waits for none
of it. The fleet keeps only changes, so one word too many costs nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from fleet.adapters.control.asking import LATER, Document, FleetAway, ask
from fleet.core.store_events import StoreTrouble

log = logging.getLogger(__name__)
LOOK_S = 1.0
EVERY_S = 60.0  # the fleet misses a recorder after five minutes
APART_S = 5.0  # between two words, however fast a store blinks; and before one that was not heard is told again
GOODBYE_S = 2.0  # the fleet may be ending as well


class Word:
    """`trouble` says what is wrong now, None where nothing is."""

    def __init__(
        self,
        control_path: Path,
        trouble: Callable[[], StoreTrouble | None],
        boottime: Callable[[], float],
        *,
        apart_s: float = APART_S,
        look_s: float = LOOK_S,
    ) -> None:
        self._path = control_path
        self._trouble = trouble
        self._boottime = boottime
        self._apart_s = apart_s
        self._look_s = look_s
        self._heard: tuple[StoreTrouble | None, float] | None = None  # what the fleet has, and since when

    async def keep_told(self) -> None:
        """For ever."""
        while True:
            trouble, now_s = self._trouble(), self._boottime()
            if self._is_due(trouble, now_s):
                is_heard = await self._told({"op": "recorder_says", "trouble": trouble})
                self._heard = (trouble, self._boottime()) if is_heard else None
                await asyncio.sleep(self._apart_s)
            await asyncio.sleep(self._look_s)

    def _is_due(self, trouble: StoreTrouble | None, now_s: float) -> bool:
        return self._heard is None or self._heard[0] is not trouble or now_s - self._heard[1] >= EVERY_S

    async def goodbye(self) -> None:
        """That it ends because somebody wants it to. Where the fleet does not hear it, the recorder will be missed."""
        await self._told({"op": "recorder_ends"}, within_s=GOODBYE_S)

    async def _told(self, word: Document, **how: float) -> bool:
        try:
            answer = await ask(self._path, word, **how)
        except FleetAway:
            return False
        if answer.get("error") in LATER:
            return False
        if not answer.get("ok"):  # a fleet of another version: once a minute is often enough
            log.error("the fleet does not understand what the recorder says: %s", answer.get("text"))
        return True
