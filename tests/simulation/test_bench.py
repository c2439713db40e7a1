"""The bench as a process: its socket, its real time, and what is left of it when somebody speaks nonsense to it."""

import asyncio
import dataclasses
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from agents.drivers import bench_lines
from agents.drivers.bench import TIMEOUT_S, BenchStimulator
from agents.drivers.port import ZERO, Drive, DriverLost, Identity
from agents.simulation.stimulator import HOST_WATCHDOG_S
from agents.simulation.trace import read_trace
from broker.contract.limits import GENERIC_PROFILE
from tests.agents_shell.clinic import boottime_s
from tests.agents_shell.processes import Process, bench, run
from tests.simulation.test_stimulator import output


@pytest.fixture
def stimulator(tmp_path: Path) -> Iterator[BenchStimulator]:
    """A host's connection to stim-01; it connects when it first speaks."""
    with closing(BenchStimulator(tmp_path / "bench" / "stim-01.sock")) as connection:
        yield connection


def feed(stimulator: BenchStimulator, drive: Drive, for_s: float) -> float:
    """Speak every 20 ms; returns the boot time of the last word."""
    until_s = boottime_s() + for_s
    while True:
        said_s = boottime_s()
        stimulator.exchange(drive)
        if said_s >= until_s:
            return said_s
        time.sleep(0.02)  # the pace of a host


async def test_the_driver_identifies_drives_and_reads(tmp_path: Path, stimulator: BenchStimulator) -> None:
    async with bench(tmp_path):
        identity = stimulator.identify()
        assert (identity.serial, identity.model, identity.profile) == ("stim-01", "bench-ems-2", GENERIC_PROFILE)
        assert stimulator.self_test() is None
        feed(stimulator, output(20.0), 0.4)
        reading = stimulator.exchange(output(20.0))
        assert reading.amplitude_ma == pytest.approx(20.0, abs=1.5)
        assert stimulator.tell(do="truth")["true_ma"] == 20.0
        stimulator.exchange(ZERO)
        assert stimulator.tell(do="truth")["true_ma"] == 0.0
    assert read_trace(tmp_path / "trace" / "stim-01.csv").peak(0.0, boottime_s()) == 20.0


async def test_a_host_that_dies_leaves_it_on_its_own_watchdog(tmp_path: Path, stimulator: BenchStimulator) -> None:
    async with bench(tmp_path):
        last_s = feed(stimulator, output(20.0), 0.3)
        stimulator.close()
        await asyncio.sleep(HOST_WATCHDOG_S + 0.3)  # the watchdog runs in real time
        zero_since_s = read_trace(tmp_path / "trace" / "stim-01.csv").zero_since()
        assert zero_since_s is not None
        assert HOST_WATCHDOG_S <= zero_since_s - last_s < HOST_WATCHDOG_S + 0.1
        assert stimulator.exchange(ZERO).watchdog_tripped


async def test_a_bench_that_was_held_up_decides_by_time(tmp_path: Path, stimulator: BenchStimulator) -> None:
    """Stopped for a second, it ends output when its watchdog would have, not when it woke up."""
    async with bench(tmp_path) as process:
        last_s = feed(stimulator, output(20.0), 0.3)
        process.send(signal.SIGSTOP)
        with pytest.raises(DriverLost, match="does not answer"):
            stimulator.exchange(output(20.0))
        await asyncio.sleep(0.8)  # held up past the watchdog
        process.send(signal.SIGCONT)
        await asyncio.sleep(0.2)  # time to catch up
        zero_since_s = read_trace(tmp_path / "trace" / "stim-01.csv").zero_since()
        assert zero_since_s is not None
        assert zero_since_s - last_s == pytest.approx(HOST_WATCHDOG_S, abs=0.05)


async def test_faults_come_and_go_at_a_word(tmp_path: Path, stimulator: BenchStimulator) -> None:
    async with bench(tmp_path):
        device = ("stimulators", "--dir", str(tmp_path / "bench"), "--device", "stim-01")
        assert await run(*device, "--tell", "electrode_lifts") == (0, "")
        feed(stimulator, output(20.0), 0.2)
        assert stimulator.exchange(output(20.0)).impedance_ohm is None
        assert await run(*device, "--heal", "electrode_lifts") == (0, "")
        stimulator.exchange(ZERO)  # meanwhile the watchdog has ended output
        feed(stimulator, output(20.0), 0.2)
        assert stimulator.exchange(output(20.0)).impedance_ohm is not None
        status, said = await run(*device, "--tell", "catches_fire")
        assert status == 1
        assert "unknown kind of fault" in said


async def test_a_silent_stimulator_is_lost_and_found_again(tmp_path: Path, stimulator: BenchStimulator) -> None:
    async with bench(tmp_path):
        stimulator.tell(do="fault", fault={"kind": "driver_silent", "for_s": 1.0})
        with pytest.raises(DriverLost, match="does not answer"):
            stimulator.exchange(ZERO)
        await asyncio.sleep(1.0)  # as long as the fault lasts
        assert stimulator.exchange(ZERO).amplitude_ma is not None


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"do": "explode"}\n',
        b'{"do": "exchange"}\n',
        b'{"do": "exchange", "drive": {"enabled": true}}\n',
        b'{"do": "fault", "fault": {"kind": 7}}\n',
        b'{"do": "heal"}\n',
        b"[" * 9000 + b"\n",
        b"\xff\xff\n",
    ],
)
async def test_nonsense_is_answered_and_changes_nothing(
    tmp_path: Path, stimulator: BenchStimulator, nonsense: bytes
) -> None:
    async with bench(tmp_path):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.settimeout(2.0)
            rude.connect(str(tmp_path / "bench" / "stim-01.sock"))
            rude.sendall(nonsense)
            assert b'"error"' in rude.recv(4096)
        assert stimulator.exchange(ZERO).amplitude_ma is not None


READING = {
    "taken_s": 1.0,
    "amplitude_ma": 0.1,
    "raw_amplitude": 40,
    "raw_n": 7,
    "impedance_ohm": None,
    "setting_ma": 0,
    "level_ma": 0,
    "in_on_phase": False,
    "battery_pct": 90.0,
    "temperature_c": float("nan"),
    "relay_closed": True,
    "watchdog_tripped": False,
    "hand_switch_pressed": False,
}
IDENTITY = dataclasses.asdict(Identity("SN-1", "bench-ems-2", "2.4.1", GENERIC_PROFILE))


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Something that is no stimulator, where one should be."""
    with socket.socket(socket.AF_UNIX) as listener:
        (tmp_path / "bench").mkdir()
        listener.bind(str(tmp_path / "bench" / "stim-01.sock"))
        listener.listen()
        yield listener


def answer(listener: socket.socket, *pieces: bytes, every_s: float = 0.0) -> threading.Thread:
    """Take one question, and answer it in pieces."""

    def run() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            connection.recv(4096)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(every_s)  # the pace of the sender
            connection.recv(4096)

    answering = threading.Thread(target=run)
    answering.start()
    return answering


def test_a_whole_answer_is_taken_in_any_pieces(listener: socket.socket, stimulator: BenchStimulator) -> None:
    line = bench_lines.line(reading=READING)
    answering = answer(listener, line[:7], line[7:90], line[90:], every_s=0.01)
    reading = stimulator.exchange(ZERO)
    assert (reading.amplitude_ma, reading.raw_n, reading.impedance_ohm) == (0.1, 7, None)
    stimulator.close()
    answering.join()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"reading": None},
        {"reading": {"taken_s": 1}},
        {"reading": {**READING, "more": 1}},
        {"reading": {**READING, "taken_s": float("nan")}},
        {"reading": {**READING, "amplitude_ma": "0.1"}},
        {"reading": {**READING, "amplitude_ma": True}},
        {"reading": {**READING, "amplitude_ma": 10**400}},
        {"reading": {**READING, "raw_n": 1.5}},
        {"reading": {**READING, "raw_amplitude": 10**30}},
        {"reading": {**READING, "relay_closed": 1}},
        {"identity": {}},
        {"failed": None},
    ],
)
def test_half_a_reading_is_a_lost_driver(
    listener: socket.socket, stimulator: BenchStimulator, said: dict[str, object]
) -> None:
    answering = answer(listener, bench_lines.line(**said))
    with pytest.raises(DriverLost, match="does not answer"):
        stimulator.exchange(ZERO)
    answering.join()


def test_two_answers_to_one_question_are_a_lost_driver(listener: socket.socket, stimulator: BenchStimulator) -> None:
    answering = answer(listener, 2 * bench_lines.line(reading=READING))
    with pytest.raises(DriverLost, match="more than it was asked"):
        stimulator.exchange(ZERO)
    answering.join()


def test_an_answer_that_dribbles_in_is_too_late(listener: socket.socket, stimulator: BenchStimulator) -> None:
    """A byte in time, again and again, is no answer in time."""
    answering = answer(listener, *(10 * [b"x"]), every_s=0.1)
    before_s = boottime_s()
    with pytest.raises(DriverLost, match="timed out"):
        stimulator.exchange(ZERO)
    assert boottime_s() - before_s < TIMEOUT_S + 0.2
    answering.join()


@pytest.mark.parametrize(
    "change",
    [
        {"serial": ""},
        {"serial": "SN\x1b[2J"},
        {"model": "\ud800"},
        {"firmware": "2" * 65},
        {"firmware": None},
        {"profile": {}},
        {"profile": {**IDENTITY["profile"], "peak_ma_max": {"value": "80", "layer": "model"}}},
        {"profile": {**IDENTITY["profile"], "peak_ma_max": {"value": float("inf"), "layer": "model"}}},
    ],
)
def test_who_does_not_say_in_print_what_it_is_is_a_lost_driver(
    listener: socket.socket, stimulator: BenchStimulator, change: dict[str, object]
) -> None:
    assert bench_lines.identity_from({"identity": IDENTITY}).serial == "SN-1"
    answering = answer(listener, bench_lines.line(identity={**IDENTITY, **change}))
    with pytest.raises(DriverLost, match="does not answer"):
        stimulator.identify()
    answering.join()


@pytest.mark.parametrize("said", [{}, {"failed": 7}, {"failed": "x" * 65}])
def test_a_self_test_without_an_outcome_is_a_lost_driver(
    listener: socket.socket, stimulator: BenchStimulator, said: dict[str, object]
) -> None:
    answering = answer(listener, bench_lines.line(**said))
    with pytest.raises(DriverLost, match="does not answer"):
        stimulator.self_test()
    answering.join()


@pytest.mark.parametrize(
    "change",
    [
        {"setting_ma": float("nan")},
        {"setting_ma": -1.0},
        {"setting_ma": "20"},
        {"enabled": 1},
        {"pattern": {}},
        {
            "pattern": dict.fromkeys(
                ("pulse_width_us", "frequency_hz", "on_s", "off_s", "ramp_up_s", "ramp_down_s"), 0.0
            )
        },
    ],
)
def test_a_drive_that_no_hardware_could_be_told_is_none(change: dict[str, object]) -> None:
    described = bench_lines.parsed(bench_lines.drive_line(output(20.0)))["drive"]
    assert bench_lines.drive_from(described) == output(20.0)
    with pytest.raises(bench_lines.BadLine):
        bench_lines.drive_from({**described, **change})


async def test_a_bench_refuses_faults_for_strangers(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not on the bench: stim-99"):
        async with bench(tmp_path, {"stim-99": [{"kind": "overheats"}]}):
            pass


async def test_two_stimulators_share_a_bench_and_nothing_else(tmp_path: Path) -> None:
    process = await Process.started(
        tmp_path / "bench.log",
        *("stimulators", "--dir", str(tmp_path / "bench")),
        *("--device", "stim-01=SN-1", "--device", "stim-02=SN-2,other-model"),
    )
    one, two = (BenchStimulator(tmp_path / "bench" / f"stim-0{number}.sock") for number in (1, 2))
    assert (one.identify().serial, two.identify().serial, two.identify().model) == ("SN-1", "SN-2", "other-model")
    feed(one, output(30.0), 0.2)
    assert one.tell(do="truth")["true_ma"] == 30.0
    assert two.tell(do="truth")["zero_since_s"] is None
    for connection in (one, two):
        connection.close()
    assert await process.end() == 0


async def test_a_stimulator_has_one_host_at_a_time(tmp_path: Path, stimulator: BenchStimulator) -> None:
    async with bench(tmp_path):
        with closing(BenchStimulator(tmp_path / "bench" / "stim-01.sock")) as second:
            feed(stimulator, output(20.0), 0.3)
            for drives in (lambda: second.exchange(ZERO), second.self_test):
                with pytest.raises(DriverLost, match="in use by another host"):
                    drives()
            assert second.identify().serial == "stim-01", "to ask and to meddle is open to all"
            assert second.tell(do="truth")["true_ma"] == 20.0, "the second one's zero was not obeyed"
            stimulator.close()
            assert second.self_test() is None, "free again"
            assert second.exchange(ZERO).amplitude_ma is not None
