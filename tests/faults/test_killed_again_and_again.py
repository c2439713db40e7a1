"""A clinic at work in which the fleet, and then the broker, is killed again and again: nobody's session is lost by it,
and what was receipted is in the journal exactly once (H12, H21, H23)."""

import os
import random
import re
import signal
import sqlite3
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from broker.ports import free_port
from demo.clinic import Clinic
from demo.processes import Process, Running, await_that, begin
from fleet.adapters.journal.reading import JournalReader
from fleet.adapters.journal.restore import verify_journal
from tests.faults.conftest import LEASE_S, Ward, boottime_s

DEVICES = {f"stim-{n:02d}": f"room-{(n + 1) // 2}" for n in range(1, 7)}
KILLS = 20
SEED = 20261125


@pytest.fixture(scope="module", autouse=True)
def from_nothing() -> Iterator[None]:
    """What is started here is started as in a clinic, by an interpreter that has all to import.

    All but the broker: what is asked is what it costs that it was away for a moment, and not how long a moment is.
    """
    forking = Process.begin

    def begins(words: Sequence[str], log: Path, nice: int, within: Sequence[str]) -> Running:
        return (forking if words[0] == "broker" else begin)(words, log, nice, within)

    Process.begin = staticmethod(begins)
    yield
    Process.begin = staticmethod(forking)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Six stimulators in three rooms, a session running on each. Their agents are not killed: all but one share a
    process, that one is `stimfleet agent` with its control thread and its bench."""
    clinic = Clinic(tmp_path_factory.mktemp("busy"), DEVICES, port=free_port(), seed=SEED, alone=("stim-01",))
    clinic.provision()
    with clinic:
        clinic.open()
        yield Ward(clinic)
        assert clinic.close() == [], "every process ends cleanly"


def leased_after(ward: Ward, device: str, moment_s: float) -> Callable[[], bool]:
    """Whether the device holds a lease that answers a sample sent later than `moment_s`."""

    def leased() -> bool:
        until_s = ward.permission_until_s(device)
        return until_s is not None and until_s - LEASE_S > moment_s + 0.1  # the panel says tenths

    return leased


def receipted(spool: Path) -> tuple[str, set[int]]:
    """The spool's id, and the numbers of the events that the agent has deleted because they were receipted."""
    with closing(sqlite3.connect(spool)) as database:
        spool_id, next_n = database.execute("select spool_id, next_n from spool").fetchone()
        kept = {n for (n,) in database.execute("select n from event")}
    return str(spool_id), set(range(1, next_n)) - kept


def await_all_receipted(ward: Ward, device: str) -> None:
    def none_is_left() -> bool:
        with closing(sqlite3.connect(ward.clinic.data(device) / "spool.db")) as database:
            return bool(database.execute("select count(*) from event").fetchone() == (0,))

    await_that(f"all events of {device} are receipted", none_is_left, 15.0)


def await_moment(at_s: float) -> None:
    await_that("a moment by chance", lambda: boottime_s() >= at_s, 5.0)


def journaled(ward: Ward) -> Counter[tuple[str, str, int]]:
    """How often each event of each spool is in the journal as accepted."""
    reader = JournalReader(ward.clinic.fleet_dir / "journal.db")
    try:
        reported = [dict(told.body) for told in reader.new() if told.name == "DeviceReported"]
    finally:
        reader.close()
    return Counter((row["device"], row["event"]["spool_id"], row["event"]["n"]) for row in reported)


def test_a_fleet_killed_twenty_times_leases_again_each_time_and_loses_nothing(busy: Ward) -> None:
    chance = random.Random(SEED)
    sessions = {device: busy.treat(device) for device in DEVICES}
    again_s = []
    for _ in range(KILLS):
        await_that("the worker answers", busy.clinic.answers, 10.0)
        worker = int(busy.clinic.ask(op="status")["pid"])
        hand = chance.choice(list(DEVICES))
        busy.insist(hand, chance.choice(["lower", "raise"]), 1.0)  # an event is on its way
        await_moment(boottime_s() + chance.uniform(0.0, 0.6))
        os.kill(worker, signal.SIGKILL)
        killed_s = boottime_s()
        for device in DEVICES:
            await_that(f"{device} is leased again", leased_after(busy, device, killed_s), 5.0)
        again_s.append(boottime_s() - killed_s)

    states = {device: busy.state_of(session)[0] for device, session in sessions.items()}
    assert states == dict.fromkeys(DEVICES, "running"), "no session is lost"
    assert max(again_s) < 3.5, again_s
    assert statistics.median(again_s) < 2.0, again_s

    for device in DEVICES:
        busy.end(device)
    for device in DEVICES:
        await_all_receipted(busy, device)
    counts = journaled(busy)
    for device in DEVICES:
        spool_id, numbers = receipted(busy.clinic.data(device) / "spool.db")
        assert len(numbers) >= 6, "armed, started, raised four times and ended"
        assert {n: counts[device, spool_id, n] for n in numbers} == dict.fromkeys(numbers, 1)
    assert max(counts.values()) == 1
    assert verify_journal(busy.clinic.fleet_dir / "journal.db").rows > 0


def connections(log: Path) -> int:
    """How many connections Mosquitto has accepted so far."""
    return len(re.findall(r"New connection from", log.read_text(encoding="utf-8")))


def test_a_broker_killed_for_a_moment_costs_no_session(busy: Ward) -> None:
    sessions = {device: busy.treat(device) for device in DEVICES}

    busy.clinic.broker.kill()
    killed_s = boottime_s()
    busy.clinic.broker.start()
    for device in DEVICES:
        await_that(f"{device} is leased again", leased_after(busy, device, killed_s), 10.0)

    assert {busy.state_of(session)[0] for session in sessions.values()} == {"running"}
    for device in DEVICES:
        busy.end(device)


def test_a_broker_away_for_longer_ends_every_session_by_its_lease_and_all_are_back_within_10_s(busy: Ward) -> None:
    sessions = {device: busy.treat(device) for device in DEVICES}
    log = busy.clinic.site_dir / "broker" / "mosquitto.log"

    busy.clinic.broker.kill()
    for device in DEVICES:
        busy.await_zero(device, within_s=LEASE_S + 3.0)
    before = connections(log)
    busy.clinic.broker.start()
    came_s = boottime_s()
    for device in DEVICES:
        busy.await_connected(device)
    assert boottime_s() - came_s < 10.0

    for device, session in sessions.items():
        busy.await_record(session, ("stopped_latched", "lease_lost"))
        busy.reset(device)
    # Eight clients (two of them the fleet's), and whoever looked whether the broker is up: nobody knocks in vain.
    assert connections(log) - before <= len(DEVICES) + 2 + 4


def test_of_two_fleets_on_one_clinic_one_works_and_one_waits(busy: Ward) -> None:
    session = busy.treat("stim-01")
    clinic = busy.clinic
    first = int(clinic.ask(op="status")["pid"])
    log = clinic.folder / "logs" / "second-fleet.log"
    command = ["fleet", f"--site-dir={clinic.site_dir}", f"--data-dir={clinic.fleet_dir}"]
    second = Process("second fleet", command, log)
    second.start()
    try:
        await_that("the second waits", lambda: "another fleet instance runs here: waiting" in log.read_text(), 20.0)
        assert int(clinic.ask(op="status")["pid"]) == first

        clinic.fleet.kill()  # the supervisor; its worker dies with it
        killed_s = boottime_s()
        await_that("stim-01 is leased again", leased_after(busy, "stim-01", killed_s), 5.0)
        await_that("the second answers", clinic.answers, 10.0)
        assert int(clinic.ask(op="status")["pid"]) != first
        assert busy.state_of(session)[0] == "running"
        busy.end("stim-01")
    finally:
        complaint = second.end()
        clinic.fleet.start()
    assert complaint is None
    busy.clinic.await_devices(DEVICES)
