"""What whoever delivers tells the fleet, over its control socket, until the fleet has it.

The fleet may be away for a second or two: what it has not heard is kept and told again, in no order. What it refuses it
knows already. Bounded: of more than can be kept the oldest goes, and the fleet counts that message as silence.
"""

import asyncio
import logging
from pathlib import Path

from fleet.adapters.control.asking import LATER, Document, FleetAway, ask

log = logging.getLogger(__name__)
KEPT_MAX = 2_000
LINES = 4  # connections: each waits for a commit of the journal with every report
AGAIN_AFTER_S = 0.25


class Reports:
    """Keeps what is to be told. `run` tells it."""

    def __init__(self, control_path: Path) -> None:
        self._path = control_path
        self._kept: dict[str, Document] = {}  # by page id, oldest first
        self._telling: set[str] = set()
        self._news = asyncio.Event()
        self.idle = asyncio.Event()  # the fleet knows everything
        self.idle.set()

    def delivered(self, page_id: str) -> None:
        self._keep(page_id, {"op": "page_delivered", "page_id": page_id})

    def failed(self, page_id: str, why: str) -> None:
        self._keep(page_id, {"op": "page_failed", "page_id": page_id, "why": why})

    def knows(self, page_id: str) -> bool:
        """Whether its outcome is known here, and the fleet has it not."""
        return page_id in self._kept

    def _keep(self, page_id: str, report: Document) -> None:
        self._kept[page_id] = report
        if len(self._kept) > KEPT_MAX:
            dropped = next(iter(self._kept))
            del self._kept[dropped]
            log.error("message %s: the fleet could not be told what came of it", dropped)
        self.idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Tell the fleet, for ever."""
        async with asyncio.TaskGroup() as group:
            for line in range(LINES):
                group.create_task(self._tell(), name=f"reports {line}")

    async def _tell(self) -> None:
        while True:
            page_id = next((page_id for page_id in self._kept if page_id not in self._telling), None)
            if page_id is None:
                self._news.clear()
                await self._news.wait()
                continue
            self._telling.add(page_id)
            try:
                is_told = await self._told(self._kept[page_id])
            finally:
                self._telling.discard(page_id)
            if is_told:
                self._kept.pop(page_id, None)
                if not self._kept:
                    self.idle.set()
            else:
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _told(self, report: Document) -> bool:
        try:
            answer = await ask(self._path, report)
        except FleetAway:
            return False
        if answer.get("error") in LATER:
            return False
        if not answer.get("ok") and answer.get("error") != "refused":
            log.error("message %s: the fleet does not understand: %s", report["page_id"], answer.get("text"))
        return True
