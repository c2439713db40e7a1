"""The fleet's HTTP surface, with a real fleet, a real broker and devices whose every word is counted here as well."""

import asyncio
import http.client
import json
import os
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.contract.messages import Ack, AckStatus, EventKind, Lease, Phase, Telemetry
from broker.contract.topics import Channel
from broker.pki.devices import move, strike_off
from broker.ports import free_port
from fleet.surface import TURNS_S_MAX, Surface
from tests.adapters.clinic import Clinic, at, eventually, listens
from tests.adapters.running import fleet_running, fleet_started, live
from tests.adapters.turn_cost import Ward
from tests.core.clinic import SUNDAY_NOON_WALL_S


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int
    body: str


def get(clinic: Clinic, path: str) -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", clinic.http_port, timeout=5.0)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return Said(answer.status, answer.read().decode())


class Shown:
    """What `/metrics` says, as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[f"stimfleet_{name}", tuple(sorted(labels.items()))]

    @property
    def started_s(self) -> float:
        """When the process began, as the kernel has it."""
        return self.samples["process_start_time_seconds", ()]

    def each(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Every series of a family with its labels."""
        return [(dict(labels), value) for (of, labels), value in self.samples.items() if of == f"stimfleet_{name}"]

    def by(self, name: str, label: str) -> dict[str, float]:
        """Every series of a family, by one label."""
        return {labels[label]: value for labels, value in self.each(name)}


async def shown(clinic: Clinic) -> Shown:
    """Figures worked out from now on: they are a second old at most."""
    await asyncio.sleep(1.1)  # what was worked out before is out of date then
    said = await asyncio.to_thread(get, clinic, "/metrics")
    assert said.status == 200
    return Shown(said.body)


async def shows(clinic: Clinic, condition: Callable[[Shown], bool], within_s: float = 10.0) -> Shown:
    async with asyncio.timeout(within_s):
        while not condition(now := await shown(clinic)):
            pass
    return now


def one_stop_is_open(*, late: bool) -> Callable[[Shown], bool]:
    return lambda now: (now("stops_open"), now("stops_unconfirmed")) == (1, int(late))


def journaled(clinic: Clinic, name: str) -> list[dict[str, Any]]:
    """Every event of a kind, from the journal's own file."""
    with closing(sqlite3.connect(f"file:{clinic.data_dir / 'journal.db'}?mode=ro", uri=True)) as database:
        return [json.loads(body) for (body,) in database.execute("SELECT body FROM event WHERE name = ?", (name,))]


def kinds(clinic: Clinic) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{clinic.data_dir / 'journal.db'}?mode=ro", uri=True)) as database:
        return Counter(name for (name,) in database.execute("SELECT name FROM event"))


@pytest.fixture
def watched(clinic: Clinic) -> Clinic:
    """A clinic whose fleet is watched; its second device stands in another room."""
    clinic.http_port = free_port()
    move(clinic.site_dir, "stim-02", "room-2")
    return clinic


async def test_counts_of_rooms_agree_with_what_the_devices_counted(watched: Clinic) -> None:
    async with (
        fleet_running(watched) as fleet,
        live(watched, "stim-01") as first,
        live(watched, "stim-02") as second,
    ):
        await fleet.session(first)
        for _ in range(7):
            next(first.seq)  # samples that are lost on their way
        for _ in range(3):
            second.say(second.sample(late=True))
        before = first.said[Telemetry], second.said[Telemetry]
        await eventually(lambda: min(first.said[Telemetry] - before[0], second.said[Telemetry] - before[1]) > 10)
        margins = [margin_s for margin_s in (0.0, 0.3, 4.7, 9.9) for _ in range(2)]
        for margin_s in margins:
            first.say(first.sample(lease_margin_s=margin_s))
        first.talks = second.talks = False
        said = {"room-1": first.said[Telemetry], "room-2": second.said[Telemetry]}
        now = await shows(watched, lambda now: now.by("samples_total", "room") == said)

        assert now.by("samples_late_total", "room") == {"room-1": 0, "room-2": 3}
        assert now.by("samples_missed_total", "room") == {"room-1": 7, "room-2": 3}, "late ones did not come live"
        assert now.by("leases_total", "room") == {"room-1": len(first.messages(Lease)), "room-2": 0}
        assert now.by("lease_margin_seconds_count", "room")["room-2"] == 0
        counted = now("lease_margin_seconds_count", room="room-1")
        usual = counted - len(margins)  # a device of these tests has 4 s left, always
        assert usual > 10
        assert now("lease_margin_seconds_sum", room="room-1") == pytest.approx(usual * 4.0 + sum(margins))
        for bound, upto in (("0.0", 2), ("0.5", 4), ("3.5", 4), ("4.0", 4 + usual), ("4.5", 4 + usual)):
            assert now("lease_margin_seconds_bucket", room="room-1", le=bound) == upto
        for bound, upto in (("5.0", 6 + usual), ("7.5", 6 + usual), ("+Inf", counted)):
            assert now("lease_margin_seconds_bucket", room="room-1", le=bound) == upto


async def test_events_refusals_and_sessions_agree_with_the_journal_and_the_status(watched: Clinic) -> None:
    async with (
        fleet_running(watched) as fleet,
        live(watched, "stim-01") as first,
        live(watched, "stim-02") as second,
    ):
        await fleet.session(first)
        good = second.say(second.sample())
        for _ in range(4):
            second.publish(replace(good, user_properties=()))
        second.publish(second.seal(Channel.EVENT, b'{"n":1}'))
        second.say(second.sample(seq=10**9))  # of another device, by its count
        refused = await fleet.ask(**fleet.request("stim-02", room="room-1"))
        assert not refused["ok"]
        now = await shows(
            watched, lambda now: now("refused_total", by="intake", channel="telemetry", reason="no_mac") == 4
        )
        assert now.by("events_total", "kind") == dict.fromkeys(now.by("events_total", "kind"), 0) | kinds(watched)
        assert now("events_total", kind="SessionRefused") == 1

        status = await fleet.ask(op="status")
        told = {
            (by, reason): count
            for by, name in (("intake", "refused"), ("core", "refused_by_core"))
            for reason, count in status[name].items()
        }
        counted = {
            (labels["by"], f"{labels['channel']}.{labels['reason']}"): value
            for labels, value in now.each("refused_total")
        }
        assert counted == told
        assert len(told) > 2
        assert (now("fleet_number"), now("connected"), now("draining")) == (1, 1, 0)
        assert now("journal_position") == status["journal_position"] == sum(kinds(watched).values())
        assert now.families["stimfleet_build_info"].samples[0].labels == {"site": "north", "version": "0.1.0"}

        running = {(labels["room"], labels["state"]): value for labels, value in now.each("sessions")}
        assert running.pop(("room-1", "running")) == 1
        assert set(running.values()) == {0}
        devices = {(labels["room"], labels["presence"]): value for labels, value in now.each("devices")}
        assert {where: n for where, n in devices.items() if n} == {("room-1", "fresh"): 1, ("room-2", "fresh"): 1}


async def test_latencies_of_stops_are_those_of_the_journal(watched: Clinic) -> None:
    async with (
        fleet_running(watched) as fleet,
        live(watched, "stim-01") as first,
        live(watched, "stim-02") as second,
    ):
        await fleet.session(first)
        second.talks = False  # its next sample would say that nothing flows there
        for device in (first, second):
            stopped = await fleet.ask(op="stop", device=device.name, issued_by="anna")
            await eventually(device.stops)
            await shows(watched, one_stop_is_open(late=device is first), 4.0)  # a second is late in a session
            device.phase, device.session_id = Phase.LATCHED, None
            for status, amplitude_ma in ((AckStatus.RECEIVED, None), (AckStatus.DONE, 0.3)):
                device.say(Ack(device.boot_n, stopped["command_id"], status, None, amplitude_ma, at()))
            await shows(watched, lambda now: now("stops_open") == 0)
        now = await shown(watched)
        received, confirmed = journaled(watched, "StopReceived"), journaled(watched, "StopConfirmed")
        assert (len(received), len(confirmed)) == (2, 2)
        for phase, events in (
            ("cause_to_sent", confirmed),
            ("sent_to_received", received),
            ("sent_to_zero", confirmed),
        ):
            told_s = [event[f"{phase}_s"] for event in events]
            assert now("stop_latency_seconds_count", phase=phase) == 2
            assert now("stop_latency_seconds_sum", phase=phase) == pytest.approx(sum(told_s))
            for bound in ("0.005", "0.05", "0.5", "2.5", "10.0", "+Inf"):
                upto = sum(each_s <= float(bound) for each_s in told_s)
                assert now("stop_latency_seconds_bucket", phase=phase, le=bound) == upto


async def test_neither_devices_nor_clients_are_named(watched: Clinic) -> None:
    async with fleet_running(watched) as fleet, live(watched, "stim-01") as device:
        await fleet.session(device)
        await fleet.ask(op="stop", device="stim-01", issued_by="anna", reason="a-reason-of-hers")
        said = await asyncio.to_thread(get, watched, "/metrics")
        for secret in ("stim-0", "client-", "serial-", "anna", "a-reason-of-hers"):
            assert secret not in said.body


async def test_a_device_that_moves_is_counted_where_it_stands_and_its_session_where_it_was_authorised(
    watched: Clinic,
) -> None:
    async with fleet_running(watched) as fleet, live(watched, "stim-01") as device:
        await fleet.session(device)
        move(watched.site_dir, "stim-01", "room-9")
        now = await shows(watched, lambda now: now.by("samples_total", "room").get("room-9", 0) > 5)
        before = now.by("samples_total", "room")["room-1"]
        assert before > 0
        assert now("devices", room="room-9", presence="fresh") == 1
        assert now("devices", room="room-1", presence="fresh") == 0
        assert now("sessions", room="room-1", state="running") == 1
        assert (await shown(watched)).by("samples_total", "room")["room-1"] == before
        strike_off(watched.site_dir, "stim-01")
        await shows(watched, lambda now: sum(value for _, value in now.each("devices")) == 1)


# --- health ---------------------------------------------------------------------------------------------------------


async def health(clinic: Clinic, status: int, *failing: str) -> None:
    """Wait until `/healthz` says so."""
    async with asyncio.timeout(10):
        while True:
            said = await asyncio.to_thread(get, clinic, "/healthz")
            if said == Said(status, json.dumps({"ok": status == 200, "failing": list(failing)}) + "\n"):
                return
            await asyncio.sleep(0.05)  # polls another process


async def test_healthy_is_connected_and_writing(watched: Clinic) -> None:
    async with fleet_running(watched) as fleet, live(watched, "stim-01") as device:
        await health(watched, 200)
        await asyncio.sleep(1.5)  # the first snapshot is behind us
        disk = sqlite3.connect(watched.data_dir / "journal.db", isolation_level=None)
        disk.execute("BEGIN EXCLUSIVE")
        device.say(device.event(EventKind.STOP_PRESSED))
        device.say(device.event(EventKind.STOP_PRESSED))
        await health(watched, 503, "journal")
        now = await shows(watched, lambda now: now("journal_lag_seconds") > 2.0)
        durable = sum(kinds(watched).values())
        assert now("journal_lag_rows") == now("journal_position") - durable >= 2
        assert now("journal_refusing") == 1
        disk.execute("ROLLBACK")
        disk.close()
        await health(watched, 200)
        now = await shown(watched)
        assert (now("journal_lag_rows"), now("journal_lag_seconds"), now("journal_refusing")) == (0, 0, 0)

        watched.mosquitto.kill()
        await health(watched, 503, "connections")
        assert (await shown(watched))("connected") == 0
        watched.mosquitto.start()
        await health(watched, 200)
        assert (await fleet.ask(op="status"))["connected"]


async def test_a_fleet_without_a_broker_says_so_from_the_start(watched: Clinic) -> None:
    watched.mosquitto.kill()
    async with fleet_started(watched) as fleet:
        await eventually(lambda: listens(watched.data_dir / "control.sock"))
        await eventually(lambda: "/healthz and /metrics are served" in fleet.log())
        await health(watched, 503, "connections")


async def test_turns_that_stand_still_are_not_healthy_and_figures_are_worked_out_once_a_second(tmp_path: Path) -> None:
    ward = Ward(tmp_path, 2)
    surface = Surface("127.0.0.1", 0, ward.parts, lambda: True, ward.now, lambda: SUNDAY_NOON_WALL_S)
    assert surface.failing() == ["turns"], "none was ever taken"
    surface.turned()
    assert surface.health().status == 200
    figures = surface.metrics()
    ward.now_s += TURNS_S_MAX
    assert surface.failing() == []
    ward.now_s += 0.1
    assert surface.failing() == ["turns"]
    assert surface.health().body == b'{"ok": false, "failing": ["turns"]}\n'
    assert surface.metrics() is not figures
    assert surface.metrics() is surface.metrics()
    await surface.serve()  # off: over at once
    ward.parts.journal.close()


# --- the port -------------------------------------------------------------------------------------------------------


async def test_with_its_port_taken_the_fleet_does_its_work_and_says_what_to_do(watched: Clinic) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", watched.http_port))
        other.listen()
        async with fleet_running(watched) as fleet, live(watched, "stim-01") as device:
            await fleet.session(device)
            where = f"127.0.0.1:{watched.http_port}"
            assert (await fleet.ask(op="status"))["http"] == f"{where} cannot be used: Address already in use"
            worker = fleet.worker
            other.close()
            await health_or_refused(watched)
            assert (await fleet.ask(op="status"))["http"] == f"http://{where}"
            assert fleet.worker == worker
            assert fleet.log().count("cannot be used: Address already in use. Nothing else is concerned.") == 1
            assert "set http_host and http_port (0: off) in fleet.toml" in fleet.log()


async def health_or_refused(clinic: Clinic) -> None:
    """Wait until somebody listens, and all is well."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await health(clinic, 200)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)  # polls another process


async def test_a_killed_worker_s_successor_has_the_port_again_and_counts_from_zero(watched: Clinic) -> None:
    async with fleet_running(watched) as fleet, live(watched, "stim-01"):
        before = await shows(watched, lambda now: now("samples_total", room="room-1") > 20)
        os.kill(fleet.worker, signal.SIGKILL)
        await fleet.answers()
        await health_or_refused(watched)
        after = await shown(watched)
        assert after("fleet_number") == before("fleet_number") + 1 == 2
        assert 0 < after("samples_total", room="room-1") < before("samples_total", room="room-1") + 11
        assert after.started_s > before.started_s
        assert "cannot be used" not in fleet.log()


async def test_switched_off_nobody_listens(clinic: Clinic) -> None:
    async with fleet_running(clinic) as fleet:
        assert (await fleet.ask(op="status"))["http"] == "off"
        assert listening(fleet.worker) == set()


def listening(pid: int) -> set[str]:
    """The inodes of a process's listening TCP sockets."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    open_files = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return {row[9] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in open_files}
