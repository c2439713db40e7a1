"""However a day is cut into appends, kills and snapshots: the same fold, and each device event journaled once."""

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.contract.messages import Event as DeviceEvent
from broker.contract.messages import EventKind
from fleet.adapters.journal.restore import verify_journal
from fleet.adapters.journal.writer import Journal
from fleet.core.decide import decide
from fleet.core.effects import SendReceipt
from fleet.core.events import Event
from fleet.core.inputs import Input, Received, RegistryChanged, TookOver
from fleet.core.state import Durable, State, snapshot
from fleet.stored import FOLD, FleetJournal
from tests.adapters.test_journal import Disk
from tests.core.clinic import SUNDAY_NOON_WALL_S, WALL, Clinic
from tests.core.long_day import a_long_day
from tests.journal.cuts import quick_folder
from tests.journal.tally import stored_rows

AT = "2026-11-25T09:00:00.000Z"
DAY: tuple[Event, ...] = tuple(a_long_day().journal)
NOW_S = 10_000.0


class Life:
    """A fleet's state and its journal, which may be killed: what a kill leaves is what lies in the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "0" / "journal.db"
        self.path.parent.mkdir()
        self.confirmed = 0
        self._past: list[FleetJournal] = []
        self._open()

    def _open(self) -> None:
        self.journal: FleetJournal = Journal(self.path, FOLD, Disk())
        self._past.append(self.journal)
        self.state: State = self.journal.restored.state

    @property
    def rows(self) -> int:
        return self.journal.position

    def append(self, events: Sequence[Event]) -> "asyncio.Future[None]":
        """Append what was decided; the caller has folded it."""
        journal, until = self.journal, self.rows + len(events)

        def confirm(_done: "asyncio.Future[None]") -> None:
            if journal is self.journal:  # not what a killed one would still have done
                self.confirmed = max(self.confirmed, until)

        durable = journal.append(AT, events)
        durable.add_done_callback(confirm)
        return durable

    def snapshot(self) -> None:
        self.journal.snapshot(snapshot(self.state))

    def killed(self) -> None:
        """Go on from what is in the files at this moment; what was not committed is lost."""
        before = self.confirmed
        after = self.folder / str(len(self._past)) / self.path.name
        after.parent.mkdir()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as still:
            still.execute("BEGIN IMMEDIATE")  # no commit is half way through
            for part in (self.path, self.path.with_name(f"{self.path.name}-wal")):
                shutil.copy(part, after.parent)
        self.path = after
        self._open()
        assert self.rows >= before, "what was confirmed is there"
        self.confirmed = self.rows

    def closed(self) -> None:
        self.journal.close()
        self._open()

    def end(self) -> None:
        for journal in self._past:
            if journal._thread.is_alive():
                journal.close()


def folded(events: Sequence[Event]) -> Durable:
    state = State()
    for event in events:
        FOLD.evolve(state, event)
    return state.durable


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 15), st.booleans()),
        st.sampled_from([("snapshot",), ("kill",), ("close",)]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_any_split_into_appends_kills_and_snapshots_gives_the_same_fold(moves: list[tuple[Any, ...]]) -> None:
    with quick_folder() as folder:
        asyncio.run(live_through(folder, [*moves, ("append", len(DAY), True), ("close",)]))


async def live_through(folder: Path, moves: list[tuple[Any, ...]]) -> None:
    life = Life(folder)
    try:
        for move in moves:
            match move:
                case ("append", count, waits):
                    events = DAY[life.rows : life.rows + count]
                    for event in events:
                        FOLD.evolve(life.state, event)
                    durable = life.append(events)
                    if waits:
                        await durable
                case ("snapshot",):
                    life.snapshot()
                case ("kill",):
                    life.killed()
                case ("close",):
                    life.closed()
            assert life.state.durable == folded(DAY[: life.rows])
        assert life.rows == len(DAY)
        assert verify_journal(life.path).rows == len(DAY)
        assert [name for _, name, _ in stored_rows(life.path)] == [type(event).__name__ for event in DAY]
    finally:
        life.end()


# --- duplicates -------------------------------------------------------------------------------------------------------

DEVICES, SPOOLS, NUMBERS = ("stim-12", "stim-7"), ("a" * 32, "b" * 32), range(1, 5)
SENDINGS = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.sampled_from(DEVICES),
            st.sampled_from(SPOOLS),
            st.sampled_from(NUMBERS),
            st.sampled_from(("0", "0", "0", "f")),  # now and then another event under the same number
        ),
        st.sampled_from([("kill",), ("snapshot",)]),
    ),
    max_size=60,
)


def said(spool_id: str, n: int, first: str) -> DeviceEvent:
    return DeviceEvent(7, spool_id, n, f"{first}{n:031x}", WALL, 100.0, None, EventKind.STOP_PRESSED, None, None)


@settings(max_examples=40, deadline=None)
@given(SENDINGS)
def test_each_event_of_a_device_is_journaled_once(sendings: list[tuple[Any, ...]]) -> None:
    """By (device, spool_id, n): repeated, overtaken, under two ids, over kills; and a receipt covers what is there."""
    everything = [("send", device, spool, n, "0") for device in DEVICES for spool in SPOOLS for n in NUMBERS]
    with quick_folder() as folder:
        asyncio.run(hear_all(folder, [*sendings, *everything, ("close",)]))


async def hear_all(folder: Path, sendings: list[tuple[Any, ...]]) -> None:
    life = Life(folder)
    try:
        await turn(life, TookOver("host-boot-1", NOW_S, SUNDAY_NOON_WALL_S))
        await turn(life, RegistryChanged(Clinic().registry, NOW_S, SUNDAY_NOON_WALL_S))
        for sending in sendings:
            match sending:
                case ("send", device, spool_id, n, first):
                    message = said(spool_id, n, first)
                    await turn(life, Received(device, message, NOW_S, SUNDAY_NOON_WALL_S, False))
                case ("snapshot",):
                    life.snapshot()
                case ("kill",):
                    life.killed()
                case ("close",):
                    life.closed()
        journaled = Counter(reported(life.path))
        assert set(journaled.values()) == {1}
        assert set(journaled) == {(device, spool, n) for device in DEVICES for spool in SPOOLS for n in NUMBERS}
    finally:
        life.end()


async def turn(life: Life, heard: Input) -> None:
    """One turn of the owner: what is receipted is in the journal by then."""
    decision = decide(life.state, heard)
    if decision.events:
        await life.append(decision.events)
    for effect in decision.after_commit:
        if isinstance(effect, SendReceipt):
            there = set(reported(life.path))
            covered = {(effect.device, effect.message.spool_id, n) for n in range(1, effect.message.upto + 1)}
            assert covered <= there


def reported(path: Path) -> list[tuple[str, str, int]]:
    bodies = [json.loads(body) for _, name, body in stored_rows(path) if name == "DeviceReported"]
    return [(body["device"], body["event"]["spool_id"], body["event"]["n"]) for body in bodies]
