"""Calls people directly while the fleet's journal cannot be written: the pager carries out what is written, so that by
then no new alarm reaches anybody by it.

The rules of this file:
- The fleet says so itself, at its control socket. One that does not answer, because it is started again or is gone,
  calls nobody; and ends nothing: what it said before goes on, and before anybody was called for ten seconds at most.
- Everybody on the rota is called, by every way that they have for high priority, as with A01. Nobody can accept it, for
  that would have to be written: so no rung can be waited for, and who is on call may be the one whose telephone is off.
- Once when it begins and again every ten minutes while it lasts (after one minute where nobody's channel took it).
  Refused for a moment only, nobody is called; written for a moment only, it is not over.
- That it is over is said once by each way that took a call, and by no other: again each minute where it is not taken,
  ten times at most. Whoever has not heard of it by the next refusal hears when that is over.
- None of it is in the journal, while it happens or later: it is in this process's log alone. A pager that is started
  again in the midst of it calls again; one that is killed before the end leaves unsaid that it is over.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
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
AWAY_S_MAX = 10.0  # an answer that comes late, or two, is no news
AGAIN_EVERY_S = 600.0
UNHEARD_AGAIN_S = 60.0
OVER_TRIES_MAX = 10
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
    answered_s: float = 0.0
    number: int = 0  # of the last call, of all that were ever made

    def heard(self, refusing: bool | None, now_s: float) -> Act | None:
        """What the fleet says now (None: nothing); what is to be said to people, if anything."""
        self.answered_s = now_s if refusing is not None else self.answered_s
        if not self.calls:
            if refusing is False or now_s - self.answered_s > AWAY_S_MAX:
                self.since_s = None
            if not refusing:
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
        self.number += 1
        self.called_s, self.taken = now_s, False
        return Act.TRIGGER

    def _end(self) -> Act:
        self.calls, self.since_s, self.written_s = 0, None, None
        return Act.RESOLVE


@dataclass(slots=True)
class _Heard:
    """Who has heard of one refusal."""

    ways: set[Way] = field(default_factory=set)
    over: bool = False


@dataclass(slots=True)
class _Owed:
    """That it is over, to one way. Boot time."""

    tries: int = 0
    next_s: float = 0.0


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
        self._heard = _Heard(over=True)
        self._owed: dict[Way, _Owed] = {}

    async def watch(self) -> None:
        """Ask the fleet once a second, for ever."""
        while True:
            self.hears(await self._is_refused())
            await asyncio.sleep(LOOK_PERIOD_S)

    def hears(self, refusing: bool | None) -> None:
        """What the fleet says now, if anything: people are told what follows from it."""
        said = self._spell.heard(refusing, self._boottime())
        if said is Act.TRIGGER:
            self._call()
        elif said is Act.RESOLVE:
            self._end()
        self._say_over()

    async def _is_refused(self) -> bool | None:
        try:
            status = await ask(self._path, {"op": "status"}, STATUS_S_MAX)
        except FleetAway:
            return None
        return bool(status.get("journal_refusing")) if status.get("ok") else None

    def _call(self) -> None:
        spell = self._spell
        log.error("the journal cannot be written: call %d to everybody, and it is in no journal", spell.calls)
        if self._heard.over:
            self._heard = _Heard(set(self._owed))
            self._owed.clear()
        try:
            ways = self._ways()
        except NotDelivered as failed:
            log.error("nobody can be called: %s", failed.why)
            return
        for way in ways:
            self._give(way, Act.TRIGGER, partial(self._call_came, way, spell.number, self._heard))

    def _call_came(self, way: Way, number: int, heard: _Heard, taken: bool) -> None:
        """A late outcome is one of its own call, not of the last."""
        if not taken:
            return
        heard.ways.add(way)
        if number == self._spell.number:
            self._spell.taken = True
        if heard.over:
            self._owed.setdefault(way, _Owed())

    def _end(self) -> None:
        self._heard.over = True
        self._owed = {way: _Owed() for way in self._heard.ways}
        log.warning("the journal is written again: whoever was called is told, and it is in no journal")

    def _say_over(self) -> None:
        now_s = self._boottime()
        for way, owed in list(self._owed.items()):
            if now_s < owed.next_s:
                continue
            if owed.tries >= OVER_TRIES_MAX:
                del self._owed[way]
                log.error("a channel of %s did not take that the journal is written again", way[0])
                continue
            owed.tries, owed.next_s = owed.tries + 1, now_s + UNHEARD_AGAIN_S
            self._give(way, Act.RESOLVE, partial(self._over_came, way, owed))

    def _over_came(self, way: Way, owed: _Owed, taken: bool) -> None:
        if taken and self._owed.get(way) is owed:
            del self._owed[way]

    def _give(self, way: Way, act: Act, came: Came) -> None:
        at, until_s = wall_time(self._walltime()), self._boottime() + DELIVERY_S
        self._tell(*way, unwritten_message(uuid4().hex, act, self._spell.calls, at, until_s, self._around), came)
