"""What the fleet hears of a recorder: the newest word, once a minute and when it changes, and nothing that piles up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from fleet.core.store_events import StoreTrouble
from fleet.recording.word import EVERY_S, Word
from tests.adapters.history.shelf import until
from tests.paging.test_outcomes import Fleet

REFUSES, DROPS, WAITS = StoreTrouble


class Recorder:
    """A store that does as it is told, and a clock that a test turns."""

    def __init__(self, control_path: Path) -> None:
        self.trouble: StoreTrouble | None = None
        self.now_s = 1_000.0
        self.looks_n = 0
        self.word = Word(control_path, self._look, lambda: self.now_s, apart_s=0.01, look_s=0.02)

    def _look(self) -> StoreTrouble | None:
        self.looks_n += 1
        return self.trouble

    @asynccontextmanager
    async def speaking(self) -> AsyncIterator["Recorder"]:
        running = asyncio.create_task(self.word.keep_told())
        try:
            yield self
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def looks(self, times: int) -> None:
        wanted = self.looks_n + times
        await until(f"{times} looks", lambda: self.looks_n >= wanted)


def word(trouble: StoreTrouble | None) -> dict[str, object]:
    return {"op": "recorder_says", "trouble": trouble}


async def test_it_is_told_at_once_when_it_changes_and_else_once_a_minute(tmp_path: Path) -> None:
    async with Fleet(tmp_path / "control.sock").listening() as fleet, Recorder(fleet.path).speaking() as recorder:
        assert await fleet.hears(1) == [word(None)]
        recorder.trouble = REFUSES
        assert await fleet.hears(2) == [word(None), {"op": "recorder_says", "trouble": "store_refuses"}]
        await recorder.looks(2)
        assert len(fleet.heard) == 2, "that nothing has changed is no news"
        recorder.now_s += EVERY_S
        assert (await fleet.hears(3))[2:] == [word(REFUSES)]
        recorder.trouble = None
        assert (await fleet.hears(4))[3:] == [word(None)]


async def test_of_what_changed_while_the_fleet_was_away_it_hears_the_newest_only(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "control.sock")
    async with Recorder(fleet.path).speaking() as recorder:
        for trouble in (WAITS, REFUSES, WAITS, DROPS):
            recorder.trouble = trouble
            await recorder.looks(1)
        async with fleet.listening():
            assert await fleet.hears(1) == [word(DROPS)]
            await recorder.looks(2)
            assert fleet.heard == [word(DROPS)]


@pytest.mark.parametrize("error", ["busy", "no_answer"])
async def test_a_fleet_that_cannot_take_it_in_just_now_hears_it_again(
    tmp_path: Path, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(tmp_path / "control.sock", lambda asked: {"ok": False, "error": error, "text": "not now"})
    async with fleet.listening(), Recorder(fleet.path).speaking():
        assert await fleet.hears(2) == [word(None), word(None)]
        assert caplog.text == "", "that is no fault"


async def test_a_fleet_that_does_not_understand_it_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "The request's op must be one of: stop."
    fleet = Fleet(tmp_path / "control.sock", lambda asked: {"ok": False, "error": "bad_request", "text": text})
    async with fleet.listening(), Recorder(fleet.path).speaking() as recorder:
        said = f"the fleet does not understand what the recorder says: {text}"
        await until("it is said", lambda: said in caplog.text)
        await recorder.looks(5)
        assert len(fleet.heard) == 1, "and not again for a minute"


async def test_a_recorder_that_ends_says_so_and_waits_for_nobody(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "control.sock")
    recorder = Recorder(fleet.path)
    await recorder.word.goodbye()  # nobody is there
    async with fleet.listening():
        await recorder.word.goodbye()
        assert fleet.heard == [{"op": "recorder_ends"}]
