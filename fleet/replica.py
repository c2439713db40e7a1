"""The state of a fleet, read along in another process: the fold of its journal, and the newest samples off its feed.

The rules of this file:
- It only reads. The fleet does not know that it is there, and is never held up by it.
- Whoever follows it has its rows read in a thread (`fleet.aside`) and folded in its loop: a disk that hangs holds up
  nothing else of that process, and the state has one owner.
- It is the same fold as the fleet's own (`fleet.stored.FOLD`), so `fleet.views` shows a replica as it shows the state.
- It is behind by the journal's group commit and by its own look. `fleeting` holds the newest samples and nothing else:
  nothing may be decided on a replica.
- Another journal under the same name (one that was restored) cannot be followed: `JournalReplaced`, and whoever reads
  along begins anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from broker.contract.messages import Telemetry
from fleet.adapters.journal.errors import JournalError, JournalUnwritable
from fleet.adapters.journal.restore import restore
from fleet.adapters.journal.rows import Tip
from fleet.adapters.journal.tail import ROWS_A_LOOK, Tail
from fleet.aside import Aside
from fleet.core.events import Event
from fleet.core.presence import SEQ_JUMP_MAX
from fleet.core.state import Seen, State
from fleet.stored import FOLD

LOOK_PERIOD_S = 0.05
HANGS_S = 1.0  # a look that takes so long is told; SQLite itself waits as long for a file that somebody locks
HANGS = "the disk does not answer"

Heard = Callable[[int, Event, State], None]  # position, the event, the state after it
Read = list[tuple[Tip, Event]]  # rows as a thread hands them to the loop: the event, and the chain up to it


@dataclass(slots=True)
class Replica:
    """`state` and the journal's `tip` that it is of. `heard` is told each event, in order, after it was folded.

    `failing`: why the last look of `follow` read nothing, or the one that is on has not yet; None: it read all that was
    there for it.
    """

    state: State
    tip: Tip
    _tail: Tail
    heard: list[Heard] = field(default_factory=list)
    failing: str | None = None

    @classmethod
    def from_snapshot(cls, path: Path) -> "Replica":
        """From the newest snapshot and the rows after it: quick.

        Raises:
            FileNotFoundError: there is no journal yet.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read.
        """
        tail = Tail(path, "followed")
        try:
            restored = restore(tail.opened(), FOLD)
        except BaseException:
            tail.close()
            raise
        return cls(restored.state, restored.tip, tail)

    @classmethod
    def from_the_start(cls, path: Path, *heard: Heard) -> "Replica":
        """From the first row on, so that `heard` is told everything. `look` reads it."""
        return cls(State(), Tip(), Tail(path, "followed"), list(heard))

    def look(self) -> int:
        """Fold what was committed since the last look, 500 rows at most; how many they were. 0: up to date.

        Raises:
            JournalReplaced: begin anew.
            JournalCorrupt, JournalUnwritable, UnknownStored: it cannot be read, or is gone.
        """
        return self._fold(self._read(self.tip))

    async def follow(self, aside: Aside, looked: Callable[[int], None] = lambda rows: None) -> None:
        """Look for ever, twenty times a second, reading in `aside`. `looked` hears after each how many rows were
        folded, and each second of one that hangs.

        A disk that refuses or hangs for now, or a file that is gone, is tried again; `failing` says so meanwhile.

        Raises:
            JournalReplaced, JournalCorrupt, UnknownStored
        """
        while True:
            try:
                rows, self.failing = self._fold(await self._read_aside(aside, looked)), None
            except JournalUnwritable as error:
                rows, self.failing = 0, str(error)
            looked(rows)
            await asyncio.sleep(0.0 if rows == ROWS_A_LOOK else LOOK_PERIOD_S)

    async def _read_aside(self, aside: Aside, looked: Callable[[int], None]) -> Read:
        reading = asyncio.wrap_future(aside.begin(partial(self._read, self.tip)))
        try:
            while not (await asyncio.wait((reading,), timeout=HANGS_S))[0]:
                self.failing = HANGS
                looked(0)
            return reading.result()
        finally:
            reading.cancel()  # where nobody waits any more, what it reads is dropped

    def _read(self, tip: Tip) -> Read:
        """What follows `tip`. It touches nothing that is the loop's."""
        read: Read = []
        try:
            for row in self._tail.rows(tip):
                event = FOLD.forms.load(row.position, row.name, row.version, row.body)
                read.append((Tip(row.position, row.hash), event))
        except FileNotFoundError:  # there is no fleet yet
            return []
        except JournalError:
            if not read:
                raise
        return read  # before a bad row, where there is one: the next look meets it as its first

    def _fold(self, read: Read) -> int:
        for tip, event in read:
            FOLD.evolve(self.state, event)
            self.tip = tip
            for told in self.heard:
                told(tip.position, event, self.state)
        return len(read)

    def sample(self, device: str, sample: Telemetry, received_s: float) -> bool:
        """Take in a sample off the feed; whether it is the newest of its device's present boot, and live."""
        known = self.state.durable.devices.get(device)
        if known is None or sample.late or sample.boot_n < known.boot_n:
            return False
        seen = self.state.newest(device)
        missed = 0
        if seen is not None and seen.sample.boot_n == sample.boot_n:
            ahead = sample.seq - seen.sample.seq
            if not 0 < ahead <= SEQ_JUMP_MAX:
                return False
            missed = seen.missed + ahead - 1
        self.state.fleeting.seen[device] = Seen(sample, received_s, missed)
        return True

    def close(self) -> None:
        """Close the journal. Whoever follows has `aside` do it: after a read that hangs, which nobody waits for."""
        self._tail.close()
