"""A sign of life to a dead-man's switch outside the house, and to the fleet.

It goes out only while the fleet answers, has its broker, and can write its journal, and while messages reach people: if
it stops, somebody outside notices that nobody here would be told. Whether it was taken the fleet hears twice a minute,
with the pager's own life.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fleet.adapters.control.asking import FleetAway, ask
from fleet.adapters.notify.message import NotDelivered
from fleet.adapters.notify.posting import post_json
from fleet.adapters.notify.threads import Threads

log = logging.getLogger(__name__)
ALIVE_PERIOD_S = 30.0  # the fleet misses a pager after three minutes
STATUS_S_MAX = 3.0
AGAIN_AFTER_S = 2.0  # what is not well may be well soon: whoever waits outside is not to wait for a whole period more


class Heartbeat:
    """`address` says where to; None: nowhere. `reaches`: whether messages reach people, as far as is known here."""

    def __init__(
        self,
        control_path: Path,
        site: str,
        address: Callable[[], str] | None,
        reaches: Callable[[], bool],
        *,
        send_s: float,
        period_s: float,
    ) -> None:
        self._path = control_path
        self._site = site
        self._address = address
        self._reaches = reaches
        self._send_s = send_s
        self._period_s = period_s
        self._threads = Threads("heartbeat")
        self.taken: bool | None = None  # None: none is set, or there was none to send

    async def beat(self) -> None:
        """Once a period, for ever; while all is not well it is looked every two seconds whether it is."""
        while True:
            await self._beat_once()
            await asyncio.sleep(self._period_s if self.taken is not None else min(self._period_s, AGAIN_AFTER_S))

    async def _beat_once(self) -> None:
        if self._address is None or not await self._is_well():
            self.taken = None
            return
        before = self.taken
        try:
            url = self._address()
            said = {"site": self._site, "watchdog": "stimfleet"}
            await self._threads.call(lambda: post_json(url, said, self._send_s), self._send_s)
        except NotDelivered as failed:
            self.taken = False
            if before is not False:
                log.warning("the dead-man's switch does not take the heartbeat: %s", failed.why)
        else:
            self.taken = True

    async def _is_well(self) -> bool:
        """Whether whoever needs help would be heard."""
        if not self._reaches():
            return False
        try:
            status = await ask(self._path, {"op": "status"}, STATUS_S_MAX)
        except FleetAway:
            return False
        return bool(status.get("ok") and status.get("connected") and not status.get("journal_refusing"))

    async def tell_the_fleet(self) -> None:
        """That the pager lives, for ever."""
        while True:
            with suppress(FleetAway):  # it will miss us, and hear us again
                await ask(self._path, {"op": "pager_alive", "heartbeat": self.taken})
            await asyncio.sleep(ALIVE_PERIOD_S)
