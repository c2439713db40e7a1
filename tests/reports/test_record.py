"""The record of one session: in order, both clocks, limits with their layers, who did what, how long stops took."""

import csv
import io
import json
from pathlib import Path

import pytest

from broker.contract.causes import Cause
from broker.contract.limits import ENVELOPE, Layer
from broker.contract.messages import Ack, AckStatus, EventKind, SettingChanged
from fleet.core.events import SessionRefused
from fleet.reports.journal_record import read_record
from fleet.reports.record import Entry, NoSuchSession, SessionRecord, record_sheet, session_record
from tests.adapters.test_usage_command import written
from tests.core.clinic import ONE, WALL, Clinic
from tests.core.practice import Practice


async def a_stopped_session(folder: Path) -> tuple[Clinic, SessionRecord]:
    """At 30 mA; the clinic tightens the device, a nurse pushes stop, the device obeys and reports. Around it another
    device treats, and before it there was another session on the same one.
    """
    clinic = Clinic()
    clinic.running("stim-7", client="client-0007", request_id="r-7")
    clinic.running("stim-12", client="client-0001", request_id="r-1")
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.COMPLETED))
    clinic.latches()
    stim = clinic.stims["stim-12"]
    stim.phase = stim.phase.IDLE
    clinic.shows("stim-12")
    session = clinic.running("stim-12", client="client-0012", request_id="r-2")
    clinic.says("stim-12", stim.event(EventKind.SETTING_CHANGED, None, SettingChanged(30.0)))
    clinic.changes_device("stim-12", limits=ENVELOPE.tightened_by(Layer.SETTINGS, peak_ma_max=60.0))
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    clinic.sent(command_id, ONE, after_s=0.01)
    clinic.now_s += 0.02
    clinic.says("stim-12", Ack(7, command_id, AckStatus.RECEIVED, None, None, WALL))
    clinic.now_s += 0.03
    clinic.says("stim-12", Ack(7, command_id, AckStatus.DONE, None, 0.1, WALL))
    clinic.latches(cause=Cause.EMERGENCY_STOP)
    clinic.says("stim-12", stim.ended(Cause.EMERGENCY_STOP, session.session_id))
    await written(folder, clinic.journal)
    return clinic, read_record(folder / "journal.db", session.session_id)


def one(record: SessionRecord, name: str) -> Entry:
    (entry,) = [entry for entry in record.entries if entry.name == name and entry.of_session]
    return entry


async def test_who_what_and_where(tmp_path: Path) -> None:
    clinic, record = await a_stopped_session(tmp_path)
    assert (record.device, record.room, record.client, record.operator) == ("stim-12", "room-4", "client-0012", "ada")
    assert record.plan == clinic.state.durable.sessions[record.session_id].plan
    assert (record.ended_by, record.ended.elapsed_s, record.baseline_ohm) == (
        Cause.EMERGENCY_STOP,
        600.0,
        clinic.state.durable.sessions[record.session_id].baseline_ohm,
    )


async def test_every_row_of_the_session_and_of_its_device_in_its_time_and_no_other(tmp_path: Path) -> None:
    clinic, record = await a_stopped_session(tmp_path)
    begun = next(
        n
        for n, event in enumerate(clinic.journal)
        if type(event).__name__ == "SessionAuthorised" and record.session_id in str(event)
    )
    expected = [
        n + 1
        for n, event in enumerate(clinic.journal)
        if n >= begun
        and (
            record.session_id in str(event)
            or getattr(event, "device", None) == "stim-12"
            or "device='stim-12'" in str(event)
        )
    ]
    assert [entry.position for entry in record.entries] == expected
    assert all("stim-7" not in entry.body for entry in record.entries if entry.name != "RegistryAdopted")


async def test_what_the_device_said_has_the_clocks_of_both(tmp_path: Path) -> None:
    clinic, record = await a_stopped_session(tmp_path)
    (said,) = [entry for entry in record.entries if entry.kind == "session_ended" and entry.of_session]
    assert (said.device_at, said.boottime_s, said.boot_n, said.at) == (WALL, 100.0, 7, "2026-11-22T12:00:00.000Z")
    assert said.n == clinic.stims["stim-12"].event_n - 1
    ordered = one(record, "StopOrdered")
    assert (ordered.device_at, ordered.boottime_s) == (None, None)
    assert json.loads(ordered.body)["stop"]["cause"] == "emergency_stop"


async def test_people_are_named_by_what_they_did(tmp_path: Path) -> None:
    _, record = await a_stopped_session(tmp_path)
    assert [(entry.name, entry.who) for entry in record.actions] == [
        ("SessionAuthorised", "ada"),
        ("StopOrdered", "ada"),
    ]


async def test_a_user_who_asked_is_named_beside_the_operator_whether_it_was_authorised_or_refused(
    tmp_path: Path,
) -> None:
    clinic = Practice()
    clinic.ready("stim-12")
    clinic.asks(issued_by="ada.l")
    clinic.asks(issued_by="ada.l", request_id="request-2")
    refused = clinic.journal[-1]
    assert isinstance(refused, SessionRefused)
    assert (refused.issued_by, refused.operator) == ("ada.l", "ada")
    await written(tmp_path, clinic.journal)
    record = read_record(tmp_path / "journal.db", clinic.session_on().session_id)
    assert next((entry.name, entry.who) for entry in record.actions) == ("SessionAuthorised", "ada.l")
    assert json.loads(one(record, "SessionAuthorised").body)["authorisation"]["operator"] == "ada"


async def test_a_latch_that_is_reset_weeks_later_is_in_the_record_and_the_weeks_are_not(tmp_path: Path) -> None:
    clinic = Practice()
    session_id = clinic.begins("client-0001")
    clinic.ran(session_id, 200.0, cause=Cause.PATIENT_STOP)
    clinic.latches(cause=Cause.PATIENT_STOP)
    clinic.says("stim-12", clinic.stims["stim-12"].birth())
    clinic.shows("stim-12")
    clinic.after(60.0)
    for _ in range(3):
        clinic.days_later(7)
        clinic.shows("stim-12")
        clinic.after(31.0)
    clinic.is_idle()
    clinic.shows("stim-12")
    await written(tmp_path, clinic.journal)
    names = [entry.name for entry in read_record(tmp_path / "journal.db", session_id).entries]
    assert names[-1] == "SessionCleared"
    assert names.count("DeviceLost") < [type(event).__name__ for event in clinic.journal].count("DeviceLost")


async def test_limits_have_their_layers_and_those_that_came_in_the_session_their_time(tmp_path: Path) -> None:
    _, record = await a_stopped_session(tmp_path)
    peaks = [(limit.value, limit.layer, limit.since) for limit in record.limits if limit.name == "peak_ma_max"]
    assert peaks == [(100.0, "clinic", None), (60.0, "settings", "2026-11-22T12:00:00.000Z")]
    assert {limit.name for limit in record.limits} >= {"rms_ma_max", "density_ma_cm2_max", "session_s_max"}


async def test_a_stop_has_its_latencies(tmp_path: Path) -> None:
    _, record = await a_stopped_session(tmp_path)
    (stop,) = record.stops
    assert (stop.cause, stop.issued_by, stop.reason, stop.confirmed_by, stop.amplitude_ma, stop.unconfirmed) == (
        "emergency_stop",
        "ada",
        "patient in pain",
        "ack",
        0.1,
        False,
    )
    assert [round(s, 6) for s in (stop.cause_to_sent_s, stop.sent_to_received_s, stop.sent_to_zero_s) if s] == [
        0.01,
        0.02,
        0.05,
    ]


async def gaps_of(folder: Path, clinic: Clinic) -> list[tuple[str, bool]]:
    session_id = clinic.session_on().session_id
    clinic.says("stim-12", clinic.stims["stim-12"].ended(Cause.RULE_STOP, session_id))
    await written(folder, clinic.journal)
    return [(gap.why, gap.until is None) for gap in read_record(folder / "journal.db", session_id).gaps]


async def test_a_gap_in_leases_is_another_instance_and_what_the_fleet_withheld(tmp_path: Path) -> None:
    clinic = Clinic()
    clinic.running("stim-12", client="client-0012")
    clinic.restarts()
    clinic.shows("stim-12", amplitude_ma=90.0)
    assert await gaps_of(tmp_path, clinic) == [("fleet_took_over", False), ("withheld_limit", False)]


async def test_a_gap_in_leases_is_a_device_that_was_lost_and_one_whose_lease_ran_out(tmp_path: Path) -> None:
    clinic = Clinic()
    clinic.running("stim-12", client="client-0012")
    clinic.after(31.0)
    clinic.shows("stim-12")
    clinic.says("stim-12", clinic.stims["stim-12"].event(EventKind.LEASE_LOST, Cause.LEASE_LOST))
    assert await gaps_of(tmp_path, clinic) == [("device_lost", False), ("lease_lost", False)]


async def test_as_csv_a_line_an_event_and_nothing_is_lost(tmp_path: Path) -> None:
    _, record = await a_stopped_session(tmp_path)
    lines = list(csv.DictReader(io.StringIO(record_sheet(record), newline="")))
    assert [int(line["position"]) for line in lines] == [entry.position for entry in record.entries]
    assert [json.loads(line["body"]) for line in lines] == [json.loads(entry.body) for entry in record.entries]


async def test_a_session_that_the_journal_has_not_is_told(tmp_path: Path) -> None:
    await written(tmp_path, Clinic().journal)
    with pytest.raises(NoSuchSession):
        read_record(tmp_path / "journal.db", "f" * 32)
    with pytest.raises(NoSuchSession):
        session_record("f" * 32, [], str)
    with pytest.raises(FileNotFoundError, match="no such journal"):
        read_record(tmp_path / "none.db", "f" * 32)
