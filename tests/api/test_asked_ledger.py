"""A long journal is counted in pieces: whoever asks waits some seconds at most, and the next goes on from there."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.pki.opening import OpeningHours
from fleet.adapters.journal.tail import ROWS_A_LOOK
from fleet.adapters.journal.writer import Journal
from fleet.api.answers import Declined
from fleet.api.asked_ledger import ALARMS as CHECKPOINT
from fleet.api.asked_ledger import COUNTING_S_MAX, alarm_ledger
from fleet.api.reports import Reports
from fleet.reports.alarm_figures import alarm_report
from fleet.reports.alarm_ledger import AlarmLedger
from fleet.stored import FOLD
from tests.reports.test_alarm_figures import Ward

ALARMS = 2 * ROWS_A_LOOK  # each raised and cleared: four pieces and a bit


def clock(step_s: float) -> Iterator[float]:
    now_s = 0.0
    while True:
        yield now_s
        now_s += step_s


def reports_of(folder: Path, step_s: float) -> Reports:
    """A clock that is so much later each time that somebody looks at it."""
    ticks = clock(step_s)
    hours = OpeningHours.of({})
    nobody: Any = None  # the history store is not asked
    return Reports(folder / "journal.db", folder / "usage.json", nobody, hours, ZoneInfo("UTC"), lambda: next(ticks))


def how_many(ledger: AlarmLedger) -> int:
    return alarm_report(ledger, date(2026, 11, 1), date(2026, 12, 31)).total.alarms


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    ward = Ward()
    for _ in range(ALARMS):
        ward.is_over(ward.comes("2026-11-23T09:00"), 1.0)
    journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
    try:
        await journal.append("2026-11-22T12:00:00.000Z", ward.journal)
    finally:
        journal.close()
    return tmp_path


async def test_who_asks_too_early_is_told_so_and_asks_again(folder: Path) -> None:
    alarms = alarm_ledger(reports_of(folder, COUNTING_S_MAX / 2))
    with pytest.raises(Declined) as declined:
        await alarms.of_ledger(how_many)
    assert (declined.value.status, declined.value.error) == (503, "counting")
    assert await alarms.of_ledger(how_many) == ALARMS
    alarms.close()
    assert (folder / CHECKPOINT).exists()
    again = alarm_ledger(reports_of(folder, COUNTING_S_MAX))
    assert await again.of_ledger(how_many) == ALARMS, "what was counted is kept: nobody waits for it again"
    again.close()


async def test_a_disk_that_takes_no_checkpoint_keeps_nobody_from_being_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.api.asked_ledger.SAVED_EVERY", 1)
    (folder / f"{CHECKPOINT}.new").mkdir()  # where it would be written
    alarms = alarm_ledger(reports_of(folder, 0.0))
    assert await alarms.of_ledger(how_many) == ALARMS
    alarms.close()
    assert not (folder / CHECKPOINT).exists()


async def test_without_a_journal_or_with_another_one_it_says_so_and_begins_anew(folder: Path, tmp_path: Path) -> None:
    nowhere = alarm_ledger(reports_of(tmp_path / "empty", 0.0))
    with pytest.raises(Declined, match="There is no journal yet"):
        await nowhere.of_ledger(how_many)
    nowhere.close()
    alarms = alarm_ledger(reports_of(folder, 0.0))
    assert await alarms.of_ledger(how_many) == ALARMS
    (folder / "journal.db").rename(folder / "kept.db")
    journal = Journal(folder / "journal.db", FOLD, lambda _error: None)
    try:
        await journal.append("2026-11-22T12:00:00.000Z", Ward().journal)
    finally:
        journal.close()
    with pytest.raises(Declined) as declined:
        await alarms.of_ledger(how_many)
    assert declined.value.status == 503
    assert await alarms.of_ledger(how_many) == 0
    alarms.close()
