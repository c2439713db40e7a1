"""A clinic's simulated past: the script by hand, and that the journal that comes of it says just that."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.latch import LatchFile
from agents.simulation.bench import MODEL
from broker.contract.causes import AlarmCode
from broker.contract.plan import Plan
from demo.day import USUAL
from demo.past.clinic import PastClinic
from demo.past.device import flowed
from demo.past.making import Folders, Past, make_past
from demo.past.weeks import BUSY_BY_WEEKDAY, Fate, PastVisit, past_days, the_past
from fleet.adapters.history.embedded_reading import EmbeddedReader
from fleet.adapters.journal.restore import verify_journal
from fleet.core import inputs
from fleet.core.alarm_events import AlarmCleared
from fleet.core.attention_events import PageDue, RotaAdopted
from fleet.core.decide import decide
from fleet.core.events import DeviceBooted, FleetTookOver, SecurityNoticed
from fleet.core.registry import Clinic, Operator, RegisteredDevice, Registry
from fleet.core.rota import Rota
from fleet.core.tallies import By, add_up
from fleet.core.usage import Usage, fold
from fleet.replica import Replica
from fleet.reports.day_samples import day_samples
from fleet.reports.health import HealthRow
from fleet.reports.journal_ledger import open_usage
from fleet.stored import FORMS
from tests.adapters.test_usage_command import run
from tests.core.on_call import ROTA

VIENNA = "Europe/Vienna"
DEVICES = ("stim-01", "stim-02", "stim-03", "stim-04", "stim-05")
TUESDAY_NOON_S = 1_793_098_800.0  # 2026-10-27; the clock was put back on Sunday
REGISTRY = Registry(
    clinic=Clinic(time_zone=VIENNA),
    devices={
        name: RegisteredDevice(
            device=name, room=f"room-{1 + n % 2}", model=MODEL, serial=f"SN-{name}", enrolment="first"
        )
        for n, name in enumerate(DEVICES)
    },
    operators={"anna.k": Operator(operator="anna.k", instructed_until_wall_s={MODEL: TUESDAY_NOON_S + 1e8})},
)
NEVER_RAN = {"cancelled", "nobody_starts", "unfit", "too_strong", "battery_flat"}
REFUSED = {"unfit", "too_strong", "battery_flat"}
CAUSE = {
    "completed": "completed",
    "pads": "completed",
    "stopped_early": "therapist_stop",
    "hand_switch": "patient_stop",
    "pushed_stop": "emergency_stop",
    "link_lost": "lease_lost",
    "cancelled": "cancelled",
    "nobody_starts": "expired",
}


def made(folder: Path, seed: int = 3, weeks: int = 4, rota: Rota | None = None) -> Past:
    folder.mkdir()
    return make_past(
        REGISTRY,
        Folders(journal=folder / "journal.db", history=folder / "history", agents=folder / "agents"),
        operator="anna.k",
        weeks=weeks,
        seed=seed,
        now_wall_s=TUESDAY_NOON_S,
        rota=rota,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("past") / "made"


@pytest.fixture(scope="module")
def past(folder: Path) -> Past:
    return made(folder)


@cache  # read once: it is looked at from many sides and never changed
def events_of(folder: Path) -> list[Any]:
    found: list[Any] = []
    replica = Replica.from_the_start(folder / "journal.db", lambda _position, event, _state: found.append(event))
    while replica.look():
        pass
    replica.close()
    return found


# --- the script -----------------------------------------------------------------------------------------------------


def weeks(seed: int = 0, n: int = 8) -> tuple[PastVisit, ...]:
    names = tuple(f"stim-{n:02}" for n in range(1, 13))
    return the_past(names, past_days(date(2026, 11, 25), n), seed)


def test_the_past_begins_on_a_monday_and_ends_yesterday() -> None:
    days = past_days(date(2026, 11, 25), 8)
    assert (days[0], days[-1]) == (date(2026, 9, 28), date(2026, 11, 24))
    assert [(later - earlier).days for earlier, later in pairwise(days)] == [1] * 57


def test_nobody_comes_more_often_than_a_client_may() -> None:
    by_client: dict[str, list[date]] = defaultdict(list)
    for visit in weeks():
        by_client[visit.client].append(visit.day)
    assert len(by_client) > 100
    for days in by_client.values():
        assert all((later - earlier).days >= 2 for earlier, later in pairwise(sorted(days)))
        assert all(sum(0 <= (other - day).days < 7 for other in days) <= 3 for day in days)


def test_fridays_are_quiet_weekends_are_closed_and_one_device_is_hardly_used() -> None:
    by_weekday = Counter(visit.day.weekday() for visit in weeks())
    assert set(by_weekday) == {day for day, busy in enumerate(BUSY_BY_WEEKDAY) if busy}
    assert by_weekday[4] < 0.75 * by_weekday[3]
    by_device = Counter(visit.device for visit in weeks())
    assert by_device["stim-05"] < 0.3 * by_device["stim-06"]


def test_everything_that_can_become_of_a_visit_does_within_eight_weeks() -> None:
    assert {visit.fate for visit in weeks()} == set(Fate)
    flat = [visit for visit in weeks() if visit.fate is Fate.BATTERY_FLAT]
    assert {visit.device for visit in flat} == {"stim-03"}
    assert all(visit.battery_pct < 20.0 for visit in flat)
    assert all(visit.battery_pct >= 20.0 for visit in weeks() if visit.fate is not Fate.BATTERY_FLAT)


def test_the_same_seed_is_the_same_past_and_another_one_is_another() -> None:
    assert weeks(1) == weeks(1) != weeks(2)


def test_no_two_visits_of_a_device_touch() -> None:
    """The longest session, its pause, a stop that is released, and the person who resets."""
    for device in {visit.device for visit in weeks()}:
        visits = [visit for visit in weeks() if visit.device == device]
        for earlier, later in pairwise(visits):
            if earlier.day == later.day:
                assert later.minute - earlier.minute >= 30.0


@pytest.mark.parametrize(("elapsed_s", "cycles", "rest_s"), [(1200.0, 60, 0.0), (610.0, 30, 8.0)])
def test_what_flowed_is_ramps_and_plateaus(elapsed_s: float, cycles: int, rest_s: float) -> None:
    """USUAL: 1 s up, 6 s on, 1 s down, 12 s off, 35 Hz, 300 us. 20 mA is 6 uC a pulse."""
    plan: Plan = USUAL
    assert (plan.on_s, plan.off_s, plan.ramp_up_s, plan.ramp_down_s, plan.frequency_hz) == (6.0, 12.0, 1.0, 1.0, 35.0)
    on_s, charge_uc = flowed(plan, elapsed_s, 20.0)
    assert on_s == cycles * 8.0 + rest_s
    assert charge_uc == pytest.approx((cycles + bool(rest_s)) * 7.0 * 35.0 * 6.0, rel=1e-9)


# --- what came of it ------------------------------------------------------------------------------------------------


def by_hand(past: Past, key: Any) -> dict[str, dict[str, Any]]:
    """The script, counted without any journal."""
    found: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for visit in past.visits:
        row, fate = found[key(visit)], visit.fate.value
        row["refused"] += fate in REFUSED
        row["authorised"] += fate not in REFUSED
        row["started"] += fate not in NEVER_RAN
        row["session_s"] += visit.ran_s
        row["stopped"] += fate in {"hand_switch", "pushed_stop", "link_lost"}
        row["completed"] += fate in {"completed", "pads"}
        row["aborted"] += fate == "stopped_early"
        row["not_started"] += fate in {"cancelled", "nobody_starts"}
    return found


@pytest.mark.parametrize(
    ("by", "key"),
    [
        (By.DAY, lambda visit: visit.day.isoformat()),
        (By.DEVICE, lambda visit: visit.device),
        (By.ROOM, lambda visit: REGISTRY.devices[visit.device].room),
    ],
)
def test_usage_of_the_journal_is_what_the_script_did(past: Past, folder: Path, by: By, key: Any) -> None:
    usage = Usage()
    for event in events_of(folder):
        fold(usage, event)
    rows, total = add_up(usage, by)
    expected = by_hand(past, key)
    assert set(rows) == set(expected)
    for name, row in rows.items():
        figures = row.figures()
        assert figures["session_s"] == pytest.approx(expected[name].pop("session_s"), abs=1e-6)
        assert {what: figures[what] for what in expected[name]} == dict(expected[name]), name
        assert (figures["open"], figures["by_fleet"], figures["with_gaps"]) == (0, 0, 0)
    causes = Counter(CAUSE[visit.fate.value] for visit in past.visits if visit.fate.value not in REFUSED)
    assert total.figures()["causes"] == dict(sorted(causes.items()))
    faults = Counter(visit.fate.value for visit in past.visits)
    assert total.figures()["faults"] == {"electrode_open": faults["pads"], "lease_lost": faults["link_lost"]}
    assert total.figures()["reconnects"] == faults["link_lost"] > 0


def test_the_journal_verifies_and_nothing_in_it_is_a_surprise(past: Past, folder: Path) -> None:
    assert verify_journal(folder / "journal.db", forms=FORMS).rows == past.rows
    noticed = [event for event in events_of(folder) if isinstance(event, SecurityNoticed)]
    assert noticed == []


def test_it_leaves_a_house_at_rest_and_a_snapshot(folder: Path, past: Past) -> None:
    replica = Replica.from_snapshot(folder / "journal.db")
    durable = replica.state.durable
    replica.close()
    assert durable.events_n == past.rows
    assert not any(session.open for session in durable.sessions.values())
    assert (durable.stops, durable.holds, durable.pursued) == ({}, {}, {})
    assert {alarm.code for alarm in durable.alarms.values()} <= {AlarmCode.A12}, "nobody is on call in the past"
    assert all(not device.lost for device in durable.devices.values())


def test_whoever_is_on_call_from_the_last_evening_on_is_called_for_nothing_that_was(tmp_path: Path) -> None:
    past = made(tmp_path / "made", weeks=1, rota=replace(ROTA, rungs=dict.fromkeys(ROTA.rungs, (("anna",),))))
    assert past.rows > 0
    found = events_of(tmp_path / "made")
    assert not any(isinstance(event, PageDue) for event in found)
    adopted = next(n for n, event in enumerate(found) if isinstance(event, RotaAdopted))
    over = [event.code for event in found[adopted:] if isinstance(event, AlarmCleared)]
    assert AlarmCode.A12 in over, "that nobody was is over"


async def health(past: Past, folder: Path) -> dict[str, list[HealthRow]]:
    """By device, the days on which it treated."""
    zone = ZoneInfo(VIENNA)
    reader = EmbeddedReader(folder / "history", zone)
    samples = await day_samples(reader, DEVICES, past.first, past.last, zone)
    ledger = open_usage(folder / "journal.db", folder / "health.json")
    while ledger.look():
        pass
    ledger.close()
    rows = ledger.counted.health(past.first, past.last, samples)
    return {device: [row for row in rows if row.device == device and row.sessions] for device in DEVICES}


async def test_the_rollups_show_what_the_devices_went_through(past: Past, folder: Path) -> None:
    found = await health(past, folder)
    weak, poor, drifts = found["stim-03"], found["stim-04"], found["stim-02"]
    lowest: dict[tuple[date, str], float] = {}
    for visit in past.visits:
        where = visit.day, visit.device
        lowest[where] = min(visit.battery_pct, lowest.get(where, 100.0))
    for rows in found.values():
        for row in rows:
            assert row.battery_pct_min is not None
            assert row.battery_pct_mean is not None
            assert row.battery_pct_min <= lowest[row.day, row.device] + 1e-9
            assert row.battery_pct_min < row.battery_pct_mean < 100.0
            assert row.lease_margin_s_min is not None
            assert row.samples is not None
            # Every 5 s at rest, twice a second in a session: the morning's first day begins late.
            assert row.samples >= 2 * row.session_s
    assert min(row.battery_pct_min or 0.0 for row in weak) < 20.0
    assert all((row.lease_margin_s_mean or 9.0) < 3.6 for row in poor)
    assert all((row.lease_margin_s_mean or 0.0) > 4.0 for row in drifts)
    cut = Counter(visit.day for visit in past.visits if visit.fate is Fate.LINK_LOST)
    for row in poor:  # 75 s and 75 s and the 5 s of the lease, twice a second
        assert row.samples_missed == cut[row.day] * 310
    early = [row.impedance_drift for row in drifts[:5] if row.impedance_drift is not None]
    late = [row.impedance_drift for row in drifts[-5:] if row.impedance_drift is not None]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.2


def test_it_is_marked_in_the_chain_itself(folder: Path, past: Past) -> None:
    boots = [event.host_boot for event in events_of(folder) if isinstance(event, FleetTookOver)]
    assert boots
    assert all(boot.startswith("simulated") for boot in boots)
    ledger = open_usage(folder / "journal.db", folder / "usage.json")
    while ledger.look():
        pass
    ledger.close()
    assert (ledger.counted.first_day, ledger.counted.simulated_until) == (past.first, past.last)


def test_who_counts_it_at_a_terminal_is_told(folder: Path, past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--by=room") == 0
    assert capsys.readouterr().out.startswith(f"Everything up to {past.last} is simulated: it never happened.\n")


def test_what_is_true_is_not_marked(folder: Path, past: Past) -> None:
    """The fleet goes on from it: the mark stays at the last day that was made up."""
    ledger = open_usage(folder / "journal.db", folder / "none.json")
    while ledger.look():
        pass
    ledger.close()
    today = {"now_s": 5.0, "wall_s": TUESDAY_NOON_S}
    ledger.counted.counts(FleetTookOver(**today, fleet_n=9, host_boot="7c1c4f0e-4a5e-4a0f-b7e4-0d1b0e2a8c11"))
    assert (ledger.counted.today, ledger.counted.simulated_until) == (date(2026, 10, 27), past.last)


def test_everybody_comes_by_the_clock_on_the_wall_also_when_it_was_put_back(folder: Path, past: Past) -> None:
    """The last Sunday of October lies within: before it UTC+2, after it UTC+1."""
    zone = ZoneInfo(VIENNA)
    asked = [
        datetime.fromtimestamp(event.wall_s, zone)
        for event in events_of(folder)
        if type(event).__name__ in {"SessionAuthorised", "SessionRefused"}
    ]
    assert [(at.date(), 60 * at.hour + at.minute) for at in asked] == [
        (visit.day, visit.minute) for visit in past.visits
    ]
    assert {at.utcoffset() for at in asked} == {asked[0].utcoffset(), asked[-1].utcoffset()}
    assert asked[0].utcoffset() != asked[-1].utcoffset()


def test_the_same_seed_writes_the_same_journal_to_the_hash(folder: Path, past: Past, tmp_path: Path) -> None:
    again = made(tmp_path / "again")
    assert again.visits == past.visits
    assert verify_journal(tmp_path / "again" / "journal.db") == verify_journal(folder / "journal.db")


def test_agents_go_on_from_the_numbers_that_were_used(folder: Path, past: Past) -> None:
    """A boot number below the journal's is refused (A09): the next start of each agent is one above."""
    replica = Replica.from_snapshot(folder / "journal.db")
    state = replica.state
    replica.close()
    for name, device in state.durable.devices.items():
        record, wrong = LatchFile(folder / "agents" / name / "latch").load()
        assert wrong is None
        assert (record.boot_n, record.latch, record.live_session_id) == (device.boot_n, None, None)
        assert record.settings == device.settings
        assert 0 < record.fleet_n <= state.fleet_n
    decide(state, inputs.TookOver("7c1c4f0e-4a5e-4a0f-b7e4-0d1b0e2a8c11", 50.0, TUESDAY_NOON_S))
    device = state.durable.devices["stim-01"]
    assert device.birth is not None
    record, _ = LatchFile(folder / "agents" / "stim-01" / "latch").load()
    birth = replace(device.birth, boot_n=record.boot_n + 1, seq=1, spool_id="c" * 32, oldest_n=1)
    events = decide(state, inputs.Received("stim-01", birth, 51.0, TUESDAY_NOON_S + 1.0)).events
    assert [type(event) for event in events][:1] == [DeviceBooted]
    assert not any(isinstance(event, SecurityNoticed) for event in events)


def test_a_core_that_decides_otherwise_than_the_script_is_told(tmp_path: Path) -> None:
    """Nobody is instructed any more: the first visit fails, by name."""
    nobody = replace(REGISTRY, operators={})
    with pytest.raises(RuntimeError, match="stim-0"):
        make_past(
            nobody,
            Folders(journal=tmp_path / "journal.db", history=tmp_path / "history", agents=tmp_path / "agents"),
            operator="anna.k",
            weeks=1,
            seed=0,
            now_wall_s=TUESDAY_NOON_S,
        )


def test_time_goes_on_in_order_whoever_is_put_into_it_when() -> None:
    seen: list[float] = []
    clinic = PastClinic(REGISTRY, 1000.0, 0, lambda _wall_s, _events: None)

    def course(*pauses: float) -> Any:
        for pause_s in pauses:
            seen.append(clinic.wall_s)
            yield pause_s

    clinic.at(1010.0, course(5.0, 5.0))
    clinic.at(1012.0, course(1.0))
    while clinic.step():
        pass
    assert seen == [1010.0, 1012.0, 1015.0]
