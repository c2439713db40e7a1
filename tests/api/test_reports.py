"""The ledger that is counted along: of a journal that is not counted up nothing is told."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from broker.pki.opening import OpeningHours
from fleet.adapters.history.port import HistoryReader
from fleet.api.answers import Declined
from fleet.api.reports import Reports
from fleet.reports.journal_ledger import JournalLedger, open_usage
from fleet.reports.usage_ledger import UsageLedger
from tests.adapters.test_usage_command import written
from tests.api.desk import until
from tests.reports.test_usage_ledger import three_months


async def test_a_journal_that_was_replaced_is_told_of_when_all_of_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.api.reports.LOOK_PERIOD_S", 0.01)
    events = three_months().journal
    other = tmp_path / "other"
    other.mkdir()
    await written(tmp_path, events[: len(events) // 4])
    await written(other, events)
    whole = open_usage(other / "journal.db", other / "usage.json")
    while whole.look():
        pass
    whole.close()

    halfway, go_on = threading.Event(), threading.Event()
    look = JournalLedger.look

    def slow_look(ledger: JournalLedger[UsageLedger]) -> int:
        """Once the journal is another one: its first 500 rows, and then a disk that takes its time."""
        rows = look(ledger)
        if counted and ledger is not counted[0] and not halfway.is_set():
            halfway.set()
            assert go_on.wait(10.0)
        return rows

    counted: list[JournalLedger[UsageLedger] | None] = []  # of the journal that is replaced
    monkeypatch.setattr(JournalLedger, "look", slow_look)
    none = cast(HistoryReader, None)
    reports = Reports(
        tmp_path / "journal.db", tmp_path / "usage.json", none, cast(OpeningHours, None), ZoneInfo("UTC"), lambda: 0.0
    )
    task = asyncio.create_task(reports.run())
    try:
        await until(lambda: reports.counted_up)
        before = await reports.of_ledger(lambda ledger: ledger.today)
        assert before < whole.counted.today
        for part in ("-wal", "-shm"):
            (tmp_path / f"journal.db{part}").unlink(missing_ok=True)
        counted.append(reports._ledger)
        (other / "journal.db").replace(tmp_path / "journal.db")
        await until(halfway.is_set)
        with pytest.raises(Declined, match="being counted"):
            async with asyncio.timeout(2.0):
                await reports.of_ledger(lambda ledger: ledger.today)
        go_on.set()
        await until(lambda: reports.counted_up)
        assert await reports.of_ledger(lambda ledger: ledger.today) == whole.counted.today
    finally:
        go_on.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
