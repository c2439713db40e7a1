"""Calls people directly while the fleet's journal cannot be written: the pager carries out what is written, so that by
then no new alarm reaches anybody by it.

The rules of this file:
- The fleet says so itself, at its control socket. One that does not answer, because it is started again or is gone,
  calls nobody; and ends nothing: what it said before goes on.
- Everybody on the rota is called, by every way that they have for high priority, as with A01. Nobody can accept it, for
  that would have to be written: so no rung can be waited for, and who is on call may be the one whose telephone is off.
- Once when it begins and again every ten minutes while it lasts (after one minute where nobody's channel took it), and
  once when it is over. Refused for a moment only, nobody is called; written for a moment only, it is not over.
- None of it is in the journal, while it happens or later: it is in this process's log alone. A pager that is started
  again in the midst of it calls again; one that is killed before the end leaves unsaid that it is over.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from fleet.adapters.control.asking import FleetAway, ask
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.core.attention_state import Act
from fleet.core.turn import wall_time
from fleet.words.pages import Surroundings
from fleet.words.unwritten import unwritten_message

log = logging.getLogger(__name__)
LOOK_PERIOD_S = 1.0
STATUS_S_MAX = 3.0
CALL_AFTER_S = 5.0  # a foreign tool may lock the file for a moment
OVER_AFTER_S = 20.0  # with the five seconds it bounds what a disk that comes and goes can say
AGAIN_EVERY_S = 600.0
UNHEARD_AGAIN_S = 60.0
DELIVERY_S = 15.0  # as long as the fleet would wait for a message of high priority

Way = tuple[str, str]  # person, method
Came = Callable[[bool], None]  # whether the other side took it


@dataclass(slots=True)
class Spell:
    """What is known of a refusal, and when something is said of it. Boot times."""

    since_s: float | None = None  # refused without a break, and nobody was called yet
    calls: int = 0
    called_s: float = 0.0
    taken: bool = False  # by somebody's channel, of the last call
    written_s: float | None = None  # written again without a break

    def heard(self, refusing: bool | None, now_s: float) -> Act | None:
        """What the fleet says now (None: nothing); what is to be said to people, if anything."""
        if not self.calls:
            if not refusing:
                self.since_s = None
                return None
            self.since_s = now_s if self.since_s is None else self.since_s
            return self._call(now_s) if now_s - self.since_s >= CALL_AFTER_S else None
        if refusing is False:
            self.written_s = now_s if self.written_s is None else self.written_s
            return self._end() if now_s - self.written_s >= OVER_AFTER_S else None
        self.written_s = None
        again_s = AGAIN_EVERY_S if self.taken else UNHEARD_AGAIN_S
        return self._call(now_s) if now_s - self.called_s >= again_s else None

    def _call(self, now_s: float) -> Act:
        self.calls += 1
        self.called_s, self.taken = now_s, False
        return Act.TRIGGER

    def _end(self) -> Act:
        self.calls, self.since_s, self.written_s = 0, None, None
        return Act.RESOLVE


class Unwritten:
    """`ways`: everybody's, for high priority; raises NotDelivered where there is no rota. `tell` takes a message to one
    of them, and says later whether it was taken.
    """

    def __init__(
        self,
        control_path: Path,
        around: Surroundings,
        ways: Callable[[], list[Way]],
        tell: Callable[[str, str, Message, Came], None],
        *,
        boottime: Callable[[], float],
        walltime: Callable[[], float],
    ) -> None:
        self._path = control_path
        self._around = around
        self._ways = ways
        self._tell = tell
        self._boottime = boottime
        self._walltime = walltime
        self._spell = Spell()

    async def watch(self) -> None:
        """Ask the fleet once a second, for ever."""
        while True:
            said = self._spell.heard(await self._is_refused(), self._boottime())
            if said is not None:
                self._say(said)
            await asyncio.sleep(LOOK_PERIOD_S)

    async def _is_refused(self) -> bool | None:
        try:
            status = await ask(self._path, {"op": "status"}, STATUS_S_MAX)
        except FleetAway:
            return None
        return bool(status.get("journal_refusing")) if status.get("ok") else None

    def _say(self, act: Act) -> None:
        spell, now_s = self._spell, self._boottime()
        if act is Act.RESOLVE:
            log.warning("the journal is written again: everybody who was called is told, and it is in no journal")
        else:
            log.error("the journal cannot be written: call %d to everybody, and it is in no journal", spell.calls)
        try:
            ways = self._ways()
        except NotDelivered as failed:
            log.error("nobody can be called: %s", failed.why)
            return

        def came(taken: bool) -> None:
            spell.taken = spell.taken or taken

        at = wall_time(self._walltime())
        for person, method in ways:
            message = unwritten_message(uuid4().hex, act, spell.calls, at, now_s + DELIVERY_S, self._around)
            self._tell(person, method, message, came)
