"""The recorder beside a whole clinic: it has what was treated, and whatever it does, the fleet does not notice."""

import asyncio
import signal
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.contract.messages import Phase
from demo.processes import Process, await_that
from fleet.adapters.history.port import Trace
from fleet.adapters.history.settings import load_recorder_settings, open_history_reader
from fleet.adapters.history.telling import NoRecorder, ask_status
from tests.faults.conftest import Ward

DEVICE = "stim-01"


@pytest.fixture
def recorder(ward: Ward) -> Iterator[Process]:
    places = [f"--site-dir={ward.clinic.site_dir}", f"--data-dir={ward.clinic.fleet_dir}"]
    process = Process("recorder", ["recorder", *places], ward.clinic.folder / "recorder.log", nice=10)
    process.start()
    await_that("the recorder hears the fleet", lambda: hears(ward), 20.0, process.last_words)
    yield process
    assert process.end() is None


def hears(ward: Ward) -> bool:
    try:
        return bool(ask_status(ward.clinic.fleet_dir / "recorder.sock")["fleet"])
    except NoRecorder:
        return False


def traced(ward: Ward, session: str) -> Trace:
    settings = load_recorder_settings(ward.clinic.site_dir, ward.clinic.fleet_dir)
    return asyncio.run(open_history_reader(settings, ZoneInfo("UTC")).trace(DEVICE, session))


def test_a_session_is_in_the_history_from_its_first_sample_to_its_last(ward: Ward, recorder: Process) -> None:
    session = ward.treat(DEVICE, to_ma=6)
    one = await_that("a sample says so", lambda: said(ward, session, above_ma=5.0), 10.0)
    ward.end(DEVICE)
    ward.await_record(session, ("aborted", "therapist_stop"))
    await_that("its last phase is in the history", lambda: last_phase(ward, session) is Phase.STOPPING, 10.0)
    trace = traced(ward, session)
    assert trace.gaps == ()
    phases = [phase for phase, _ in groupby(trace.columns["phase"])]
    assert phases == [Phase.AUTHORISED, Phase.ARMED, Phase.RUNNING, Phase.STOPPING]
    assert max(trace.columns["setting_ma"]) == 6.0
    (kept,) = [each for each in trace.samples() if each.at_s == datetime.fromisoformat(one["at"]).timestamp()]
    readings = ("setting_ma", "amplitude_ma", "impedance_ohm", "battery_pct", "temperature_c")
    assert {name: getattr(kept, name) for name in readings} == {name: round(one[name], 3) for name in readings}


def said(ward: Ward, session: str, above_ma: float) -> dict[str, Any] | None:
    """The newest sample that the fleet has of a session; None while less flows."""
    sample: dict[str, Any] = ward.clinic.ask(op="session_show", session_id=session)["session"]["sample"]
    return sample if (sample["amplitude_ma"] or 0.0) > above_ma else None


def last_phase(ward: Ward, session: str) -> Phase | None:
    trace = traced(ward, session)
    return trace.columns["phase"][-1] if len(trace) else None


def test_a_recorder_that_stands_still_or_is_killed_ends_no_session(ward: Ward, recorder: Process) -> None:
    """For longer than a lease lasts."""
    session = ward.treat(DEVICE)
    until_s = ward.newest_sample_sent_s(session) + 7.0
    recorder.send(signal.SIGSTOP)
    await_that("a lease has gone by", lambda: ward.newest_sample_sent_s(session) > until_s, 30.0)
    assert ward.state_of(session) == ("running", None)
    recorder.send(signal.SIGCONT)
    recorder.kill()
    recorder.start()
    await_that("it hears the fleet again", lambda: hears(ward), 20.0, recorder.last_words)
    assert ward.state_of(session) == ("running", None)
    ward.end(DEVICE)
    ward.await_record(session, ("aborted", "therapist_stop"))
    await_that("what came since is there", lambda: last_phase(ward, session) is Phase.STOPPING, 10.0)
