"""The commands as people give them, the agent's settings, and what systemd is told."""

import asyncio
import socket
from pathlib import Path

import pytest

from agents.settings import SettingsRefused, load_settings
from agents.socket_path import overlong
from agents.systemd import notify, watchdog_period_s
from tests.agents_shell.clinic import Clinic
from tests.agents_shell.processes import room, run, run_without_terminal

DEVICE = {"device_dir": Path("d"), "data_dir": Path("x"), "stimulator": Path("s")}


async def test_a_therapist_asks_and_presses_at_the_device(clinic: Clinic, tmp_path: Path) -> None:
    async with room(tmp_path, clinic) as one:
        await one.ready()
        data_dir = ("--data-dir", str(one.data_dir))
        status, said = await run("device", "status", *data_dir)
        assert status == 0
        assert "stim-01: bench-ems-2, serial stim-01" in said
        assert "room        room-1" in said
        assert "idle: no session" in said
        status, said = await run("device", "arm", *data_dir)
        assert (status, said != "") == (1, True), "refused, with a reason"
        status, said = await run("device", "raise", *data_dir, "--by", "nan")
        assert (status, said) == (1, "--by is a number of mA.\n")
        pin = tmp_path / "pin"
        pin.write_text("correct-horse\n")
        assert await run("device", "engineer-pin", *data_dir, "--pin-file", str(pin)) == (
            0,
            "The engineer's PIN is set.\n",
        )
        assert (await run("device", "stop-button", *data_dir))[0] == 0
        assert "latched at zero" in (await run("device", "status", *data_dir))[1]
        status, said = await run("device", "reset", *data_dir, "--engineer", "--pin-file", str(tmp_path / "none"))
        assert (status, "cannot be read" in said) == (1, True)
        await asyncio.sleep(3.1)  # the cause must be gone for 3 s
        assert (await run("device", "reset", *data_dir, "--engineer", "--pin-file", str(pin)))[0] == 0
        assert "idle: no session" in (await run("device", "status", *data_dir))[1]


async def test_without_an_agent_a_press_says_what_to_do(tmp_path: Path) -> None:
    status, said = await run("device", "stop", "--data-dir", str(tmp_path))
    assert status == 1
    assert "switch it off at the wall" in said


async def test_a_press_finds_its_device_in_the_environment_or_asks_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STIMFLEET_DEVICE_DATA_DIR", raising=False)
    for command in (("stop",), ("engineer-pin", "--pin-file", str(tmp_path / "pin"))):
        assert await run("device", *command) == (
            1,
            "Which device? Give --data-dir PATH, or set STIMFLEET_DEVICE_DATA_DIR.\n",
        )
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("STIMFLEET_DEVICE_DATA_DIR", str(tmp_path / "here"))
    assert f"The agent of {tmp_path / 'here'} does not answer" in (await run("device", "stop"))[1]
    other = await run("device", "stop", "--data-dir", str(tmp_path / "other"))
    assert f"The agent of {tmp_path / 'other'} does not answer" in other[1]
    helped = " ".join((await run("device", "stop", "--help"))[1].split())
    assert "STIMFLEET_DEVICE_DATA_DIR" in helped


async def test_without_a_terminal_a_pin_comes_from_a_file(tmp_path: Path) -> None:
    data_dir = ("--data-dir", str(tmp_path))
    for command in (("engineer-pin",), ("reset", "--engineer")):
        assert await run_without_terminal("device", *command, *data_dir) == (
            1,
            "There is no terminal to ask for the PIN at; give --pin-file FILE.\n",
        )
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("correct-horse\n")
    second.write_text("battery-staple\n")
    assert (await run_without_terminal("device", "engineer-pin", *data_dir, "--pin-file", str(first)))[0] == 0
    change = ("device", "engineer-pin", *data_dir, "--pin-file", str(second))
    assert await run_without_terminal(*change) == (
        1,
        "There is no terminal to ask for the PIN at; give --old-pin-file FILE.\n",
    )
    assert (await run_without_terminal(*change, "--old-pin-file", str(first)))[0] == 0
    first.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in (await run_without_terminal(*change, "--old-pin-file", str(first)))[1]


async def test_counters_that_cannot_be_kept_are_refused_in_one_sentence(clinic: Clinic, tmp_path: Path) -> None:
    papers = ("--device-dir", str(clinic.device_dir("stim-01")), "--data-dir", str(tmp_path / "data"))
    counters = tmp_path / "nowhere" / "counters"
    status, said = await run("agent", *papers, "--stimulator", "no.sock", "--counters", str(counters))
    assert status == 1
    assert said.splitlines()[-1] == f"The counters cannot be kept in {counters}: No such file or directory."


async def test_counters_never_overwrite_a_file_of_something_else(clinic: Clinic, tmp_path: Path) -> None:
    papers = ("--device-dir", str(clinic.device_dir("stim-01")), "--data-dir", str(tmp_path / "data"))
    latch = tmp_path / "latch"
    latch.write_bytes(b"over_limit")
    status, said = await run("agent", *papers, "--stimulator", "no.sock", "--counters", str(latch))
    says = f"The counters cannot be kept in {latch}: it is a file of something else; name another one."
    assert (status, said.splitlines()[-1]) == (1, says)
    assert latch.read_bytes() == b"over_limit"


async def test_a_folder_too_deep_for_a_socket_is_refused_in_one_sentence(clinic: Clinic, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    given = ("--device-dir", str(clinic.device_dir("stim-01")), "--stimulator", str(tmp_path / "stim-01.sock"))
    for status, said in (
        await run("agent", *given, "--data-dir", str(deep)),
        await run("stimulators", "--dir", str(deep), "--device", "stim-01"),
    ):
        assert (status, said.count("\n")) == (1, 1)
        assert f"the path {deep}/" in said
        assert "107 are possible" in said


@pytest.mark.parametrize(("name_bytes", "fits"), [(107, True), (108, False)])
def test_the_longest_path_of_a_socket_is_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name_bytes: int, fits: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("ü" + "p" * (name_bytes - 2))  # two bytes
    assert (overlong(path) is None) == fits
    with socket.socket(socket.AF_UNIX) as listener:
        if fits:
            listener.bind(str(path))
        else:
            with pytest.raises(OSError, match="too long"):
                listener.bind(str(path))


async def test_a_second_agent_does_not_drive_the_stimulator_of_a_first(clinic: Clinic, tmp_path: Path) -> None:
    async with room(tmp_path, clinic) as one:
        status, said = await run(
            "agent",
            *("--device-dir", str(clinic.device_dir("stim-01"))),
            *("--data-dir", str(tmp_path / "another")),
            *("--stimulator", str(tmp_path / "bench" / "stim-01.sock")),
        )
        assert status == 1
        assert "in use by another host" in said.splitlines()[-1]
        await one.ready()  # the first one goes on


@pytest.mark.parametrize("broker", ["nonsense", ":1883", "host:", "host:x"])
async def test_a_broker_that_is_none_is_refused(tmp_path: Path, broker: str) -> None:
    status, said = await run("stimulators", "--dir", str(tmp_path), "--device", "stim-01", "--broker", broker)
    assert status == 1
    assert "HOST:PORT" in said


# --- settings -------------------------------------------------------------------------------------------------------


def test_settings_come_from_the_command_line_and_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIMFLEET_AGENT_BROKER_PORT", "1234")
    assert load_settings(**DEVICE).broker_port == 1234
    assert load_settings(**DEVICE, broker_port=4321).broker_port == 4321
    assert load_settings(**DEVICE, broker_host=None).broker_host is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**DEVICE, "broker_port": 0}, "broker_port cannot be 0"),
        ({**DEVICE, "broker_port": 70_000}, "broker_port cannot be 70000"),
        ({**DEVICE, "spool_events_max": 1}, "spool_events_max cannot be 1"),
        ({**DEVICE, "speed": 11}, "speed is no setting"),
        ({}, "device_dir is missing"),
    ],
)
def test_unknown_and_impossible_settings_are_refused_by_name(given: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsRefused, match=words):
        load_settings(**given)


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIMFLEET_AGENT_BROKER_PROT", "1234")
    with pytest.raises(SettingsRefused, match="STIMFLEET_AGENT_BROKER_PROT"):
        load_settings(**DEVICE)


# --- systemd --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["{tmp_path}/notify", "@stimfleet-test-{tmp_path}"])
def test_systemd_is_told(tmp_path: Path, name: str) -> None:
    address = name.format(tmp_path=tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(2.0)
        supervisor.bind(address.replace("@", "\0"))
        notify("READY=1", {"NOTIFY_SOCKET": address})
        assert supervisor.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told() -> None:
    notify("READY=1", {})
    assert watchdog_period_s({}) is None
    assert watchdog_period_s({"WATCHDOG_USEC": "3000000"}) == 1.5
