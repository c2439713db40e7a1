"""What is said against alarm fatigue, against a count that is made another way; and the ledger that it is made of."""

import statistics
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from broker.contract.causes import AlarmCode
from fleet.adapters.journal.writer import Journal
from fleet.core import events as e
from fleet.core.alarm_events import Priority, SignalState, Why
from fleet.core.registry import Clinic, RegisteredDevice, Registry
from fleet.reports import alarm_ledger
from fleet.reports.alarm_figures import alarm_report, alarm_sheet, history, waited
from fleet.reports.alarm_ledger import AlarmLedger, StoredAlarms, restored, stored
from fleet.reports.journal_ledger import open_alarms
from fleet.stored import FOLD

ZONE = ZoneInfo("Europe/Vienna")
STORED = TypeAdapter(StoredAlarms)
MONDAY = "2026-11-23"


def at(local: str) -> float:
    return datetime.fromisoformat(local).replace(tzinfo=ZONE).timestamp()


class Ward:
    """Two devices in one room, from Monday on; alarms as they happen."""

    def __init__(self) -> None:
        devices = {
            name: RegisteredDevice(device=name, enrolment="e", serial=name, model="m", room="room-1")
            for name in ("stim-1", "stim-2")
        }
        registry = Registry(devices=devices, clinic=Clinic(time_zone="Europe/Vienna"))
        self.now_wall_s = at(f"{MONDAY}T00:30")
        self.journal: list[Any] = [e.RegistryAdopted(**self.happened, registry=registry)]
        self.count = 0

    @property
    def happened(self) -> dict[str, Any]:
        return {"now_s": self.now_wall_s, "wall_s": self.now_wall_s}

    def comes(
        self,
        local: str,
        code: str = "A05",
        device: str | None = "stim-1",
        priority: str = "medium",
        members: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """An alarm; what is about it in every event."""
        self.now_wall_s = at(local)
        self.count += 1
        about: dict[str, Any] = {
            "alarm_id": f"{self.count:032x}",
            "code": AlarmCode(code),
            "device": device,
            "room": "room-1",
        }
        of_it: dict[str, Any] = {
            **about,
            "priority": Priority(priority),
            "signal": SignalState.ON,
            "why": Why(),
            "session_id": None,
        }
        self.journal.append(
            e.AlarmRaised(**self.happened, **of_it, since_s=self.now_wall_s, members=dict.fromkeys(members, 0.0))
        )
        return of_it

    def after(self, seconds: float) -> dict[str, Any]:
        self.now_wall_s += seconds
        return self.happened

    def is_over(self, of_it: dict[str, Any], seconds: float, into: str | None = None) -> None:
        self.journal.append(e.AlarmCleared(**self.after(seconds), **of_it, grouped_into=into))

    def somebody(self, act: type[Any], of_it: dict[str, Any], seconds: float, **said: Any) -> None:
        about = {name: of_it[name] for name in ("alarm_id", "code", "device", "room")}
        self.journal.append(act(**self.after(seconds), **about, issued_by="oskar", **said))

    def has_it(self, of_it: dict[str, Any], seconds: float) -> None:
        self.somebody(e.AlarmAccepted, of_it, seconds, until_s=0.0)

    @property
    def ledger(self) -> AlarmLedger:
        found = AlarmLedger()
        for event in self.journal:
            found.counts(event)
        return found


@pytest.fixture
def ward() -> Ward:
    """Five alarms on two days, and a sixth that a grouped one took up."""
    ward = Ward()
    first = ward.comes("2026-11-23T09:00")
    ward.has_it(first, 40.0)
    ward.is_over(first, 60.0)
    ward.is_over(ward.comes("2026-11-23T10:00"), 12.0)
    second = ward.comes("2026-11-23T11:00", "A03", "stim-2")
    ward.somebody(e.AlarmAcknowledged, second, 5.0, until_s=0.0)
    ward.has_it(second, 15.0)
    ward.is_over(second, 100.0)
    swallowed = ward.comes("2026-11-23T23:59", "A07", "stim-2", "low")
    ward.is_over(swallowed, 2.0, into="f" * 32)
    ward.is_over(ward.comes("2026-11-24T00:00", "A07", None, "low", ("stim-1", "stim-2")), 30.0)
    ward.comes("2026-11-24T12:00", "A12", None)
    return ward


def test_a_clinics_two_days_in_figures(ward: Ward) -> None:
    report = alarm_report(ward.ledger, date(2026, 11, 23), date(2026, 11, 24))
    total = report.total
    assert (total.alarms, total.high, total.medium, total.low, total.open) == (5, 0, 4, 1, 1)
    assert report.device_days == 4, "two devices on two days"
    assert report.per_device_day == 1.25
    assert total.needed_nothing == 2, "one electrode fault, and the room that was offline"
    assert (total.accepted.n, total.accepted.median_s, total.accepted.p90_s) == (2, 30.0, 40.0)
    assert (total.answered.n, total.answered.median_s) == (2, 22.5)
    assert {day: row.alarms for day, row in report.by_day.items()} == {"2026-11-23": 3, "2026-11-24": 2}
    assert {code: row.alarms for code, row in report.by_code.items()} == {"A03": 1, "A05": 2, "A07": 1, "A12": 1}
    noisiest = report.noisiest[0]
    assert (noisiest.code, noisiest.device, noisiest.alarms, noisiest.needed_nothing) == ("A05", "stim-1", 2, 1)
    assert noisiest.lasted_s == pytest.approx(112.0)


def test_a_range_takes_what_was_raised_in_it(ward: Ward) -> None:
    report = alarm_report(ward.ledger, date(2026, 11, 24), date(2026, 11, 30))
    assert report.total.alarms == 2
    assert report.device_days == 2, "days that have not been are none"
    later = alarm_report(ward.ledger, date(2027, 1, 1), date(2027, 1, 2))
    assert (later.total.alarms, later.device_days, later.per_device_day, later.noisiest) == (0, 0, None, ())
    with pytest.raises(ValueError, match="no day"):
        alarm_report(ward.ledger, date(2026, 11, 24), date(2026, 11, 23))
    with pytest.raises(ValueError, match="more than 400"):
        alarm_report(ward.ledger, date(2026, 1, 1), date(2027, 11, 23))


def test_a_devices_history_has_what_it_shared(ward: Ward) -> None:
    found = history(ward.ledger, "stim-2", date(2026, 11, 1), date(2026, 11, 30))
    assert [(one.code.value, one.device) for one in found] == [("A07", None), ("A03", "stim-2")]
    assert [one.accepted_by for one in found] == [None, "oskar"]


def test_the_gravest_that_it_came_to_be_is_its_priority() -> None:
    ward = Ward()
    battery = ward.comes("2026-11-23T09:00", "A08", priority="low")
    ward.journal.append(e.AlarmChanged(**ward.after(60.0), **{**battery, "priority": Priority.MEDIUM}))
    ward.journal.append(e.AlarmChanged(**ward.after(60.0), **battery, joined={"stim-2": 1.0}))
    (one,) = ward.ledger.alarms.values()
    assert (one.priority, one.members) == (Priority.MEDIUM, ("stim-2",))


def test_what_is_said_of_one_that_is_over_is_no_answer() -> None:
    ward = Ward()
    fault = ward.comes("2026-11-23T09:00")
    ward.is_over(fault, 5.0)
    ward.somebody(e.AlarmCommented, fault, 60.0, text="pads changed")
    ward.somebody(e.AlarmShelved, {**fault, "alarm_id": "e" * 32}, 1.0, reason="r", until_s=0.0, until_wall_s=0.0)
    (one,) = ward.ledger.alarms.values()
    assert (one.needed_nothing, one.acts) == (True, 1)


def test_for_a_spreadsheet(ward: Ward) -> None:
    report = alarm_report(ward.ledger, date(2026, 11, 23), date(2026, 11, 24))
    assert alarm_sheet(report, "day").splitlines()[1] == '"2026-11-23",3,0,3,0,0,0,1,2,22.5,40.0,2,30.0,40.0'
    assert alarm_sheet(report, "code").splitlines()[0].startswith('"code","alarms","high"')
    assert alarm_sheet(report, "condition").splitlines()[1].startswith('"A05","stim-1","",2,1,112.0')


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60))
def test_median_and_nine_in_ten_are_what_statistics_says(times_s: list[float]) -> None:
    said = waited(times_s)
    assert said.median_s == pytest.approx(statistics.median(times_s))
    assert said.p90_s is not None
    within = sum(time_s <= said.p90_s for time_s in times_s) / len(times_s)
    below = sum(time_s < said.p90_s for time_s in times_s) / len(times_s)
    assert within >= 0.9 > below


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["A05", "A07", "A08"]),
        st.sampled_from(["stim-1", "stim-2"]),
        st.integers(0, 9_000),
        st.sampled_from(["nothing", "ack", "accept", "open"]),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_any_week_agrees_with_a_plain_count(steps: list[tuple[str, str, int, str]]) -> None:
    ward = Ward()
    needed_nothing = accepted = 0
    counted: dict[tuple[str, str], int] = {}
    for code, device, wait_s, what in steps:
        local = datetime.fromtimestamp(ward.now_wall_s + wait_s, ZONE).replace(tzinfo=None).isoformat()
        alarm = ward.comes(local, code, device)
        if what == "ack":
            ward.somebody(e.AlarmAcknowledged, alarm, 1.0, until_s=0.0)
        if what == "accept":
            ward.has_it(alarm, float(wait_s))
        if what != "open":
            ward.is_over(alarm, 30.0)
        needed_nothing += what == "nothing"
        accepted += what == "accept"
        counted[code, device] = counted.get((code, device), 0) + 1
    report = alarm_report(ward.ledger, date(2026, 11, 1), date(2026, 12, 31))
    assert report.total.alarms == len(steps)
    assert report.total.needed_nothing == needed_nothing
    assert report.total.accepted.n == accepted
    assert report.total.open == sum(what == "open" for *_, what in steps)
    assert sum(row.alarms for row in report.by_day.values()) == sum(row.alarms for row in report.by_code.values())
    assert {(row.code, row.device): row.alarms for row in report.noisiest} == counted
    again = restored(STORED.validate_json(STORED.dump_json(stored(ward.ledger)), strict=True))
    assert alarm_report(again, date(2026, 11, 1), date(2026, 12, 31)) == report


def test_it_keeps_so_many_and_says_from_when_on(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_ledger, "KEPT_MAX", 2)
    ledger = ward.ledger
    assert [one.code.value for one in ledger.alarms.values()] == ["A07", "A12"]
    assert ledger.since_day == date(2026, 11, 23), "the newest that was forgotten was of this day"


async def test_it_is_read_from_a_journal_and_goes_on_where_it_was(ward: Ward, tmp_path: Path) -> None:
    half = len(ward.journal) // 2
    for part in (ward.journal[:half], ward.journal[half:]):
        journal = Journal(tmp_path / "journal.db", FOLD, lambda _error: None)
        try:
            await journal.append("2026-11-22T12:00:00.000Z", part)
        finally:
            journal.close()
        found = open_alarms(tmp_path / "journal.db", tmp_path / "alarms.json")
        before = found.tip.position
        while found.look():
            pass
        found.save()
        found.close()
        assert found.tip.position - before == len(part), "what was counted is not counted again"
    assert found.counted.alarms == ward.ledger.alarms
    assert found.counted.stock == ward.ledger.stock
