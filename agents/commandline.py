"""`stimfleet agent`, `stimfleet stimulators` and `stimfleet device ...`."""

import argparse
import getpass
import json
import logging
import math
import os
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from broker.collecting import loading

# Whatever a command needs is imported when it runs: `stimfleet fleet` must start fast.

_PRESSES = {
    "arm": "begin: impedance is measured, nothing flows",
    "disarm": "go back to authorised",
    "start": "start the session, at 0 mA",
    "raise": "raise the strength",
    "lower": "lower the strength",
    "pause": "pause: zero, resume begins at 0 mA",
    "resume": "go on after a pause, at 0 mA",
    "stop": "end the session",
    "stop-button": "the red button: zero at once, and latched",
    "reset": "reset the latch, once its cause is gone; starts nothing",
}
_STEPS = frozenset({"raise", "lower"})
DATA_DIR_VARIABLE = "STIMFLEET_DEVICE_DATA_DIR"


class _CannotAsk(Exception):
    """What was typed is not enough; the text is one sentence for people."""


def add_commands(commands: Any) -> None:
    """Add this room's commands to argparse's sub-parsers; each sets `run`."""
    _add_agent(commands)
    _add_stimulators(commands)
    _add_device(commands)


def _add_agent(commands: Any) -> None:
    parser = commands.add_parser("agent", help="run the agent of one stimulator")
    parser.add_argument("--device-dir", type=Path, help="what `stimfleet provision device` wrote")
    parser.add_argument("--data-dir", type=Path, help="the device's own folder: latch, spool, panel socket")
    parser.add_argument("--stimulator", type=Path, help="the stimulator's socket, e.g. DIR/stim-01.sock")
    parser.add_argument("--counters", type=Path, help="count what is sent in this file, on a memory file system")
    parser.add_argument("--broker-host", help="instead of the papers' broker")
    parser.add_argument("--broker-port", type=int, help="instead of the papers' port")
    parser.set_defaults(run=_run_agent)


def _add_stimulators(commands: Any) -> None:
    parser = commands.add_parser("stimulators", help="run simulated stimulators, each on its own socket")
    parser.add_argument("--dir", type=Path, required=True, help="where the sockets are: DIR/DEVICE.sock")
    parser.add_argument(
        "--device", action="append", required=True, metavar="ID[=SERIAL[,MODEL]]", help="one for each stimulator"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=Path, help="JSON: device -> list of faults")
    parser.add_argument("--trace-dir", type=Path, help="writes the true output there, DEVICE.csv")
    parser.add_argument(
        "--broker", metavar="HOST:PORT", help="lay each a cable that link_cut cuts: DIR/DEVICE.port is its agent's port"
    )
    parser.add_argument("--tell", metavar="FAULT", help="do not run any: tell running ones to suffer this fault now")
    parser.add_argument("--heal", metavar="FAULT", help="do not run any: tell running ones that this fault is over")
    parser.add_argument("--for-s", type=float, help="how long the fault of --tell lasts")
    parser.add_argument("--size", type=float, help="how bad the fault of --tell is")
    parser.set_defaults(run=_run_stimulators)


def _add_device(commands: Any) -> None:
    parser = commands.add_parser("device", help="the therapist's hand at a device: its panel")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, text in {"status": "what the device does and why", **_PRESSES}.items():
        action = actions.add_parser(name, help=text)
        _add_data_dir(action)
        if name in _STEPS:
            action.add_argument("--by", type=float, default=1.0, metavar="MA", help="mA, 1 where nothing is said")
        if name == "reset":
            action.add_argument("--engineer", action="store_true", help="with the engineer's PIN")
            _add_pin_file(action)
        action.set_defaults(run=_run_press, do=name)
    pin = actions.add_parser("engineer-pin", help="set or change the engineer's PIN of this device")
    _add_data_dir(pin)
    _add_pin_file(pin)
    pin.add_argument("--old-pin-file", type=Path, help="the present PIN, where there is one, instead of asked for")
    pin.set_defaults(run=_run_engineer_pin)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    of_environment = os.environ.get(DATA_DIR_VARIABLE)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(of_environment) if of_environment else None,
        help=f"the data folder of the device's agent; where it is not given, {DATA_DIR_VARIABLE} of the environment",
    )


def _data_dir(arguments: argparse.Namespace) -> Path:
    """Raises: _CannotAsk: no device is named."""
    if arguments.data_dir is None:
        raise _CannotAsk(f"Which device? Give --data-dir PATH, or set {DATA_DIR_VARIABLE}.")
    data_dir: Path = arguments.data_dir
    return data_dir


def _add_pin_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pin-file", type=Path, help="the PIN is the first line of this file, instead of asked for")


def _boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def _fail(words: str) -> int:
    sys.stderr.write(words + "\n")
    return 1


def _run_agent(arguments: argparse.Namespace) -> int:
    with loading():
        import asyncio

        from agents.agent import AgentRefused, run_agent
        from agents.clocks import Clocks
        from agents.settings import SettingsRefused, load_settings
        from broker.scheduling import ask_for_turns

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = load_settings(
            device_dir=arguments.device_dir,
            data_dir=arguments.data_dir,
            stimulator=arguments.stimulator,
            broker_host=arguments.broker_host,
            broker_port=arguments.broker_port,
            counters=arguments.counters,
        )
        clocks = Clocks(_boottime_s, time.time)
        ask_for_turns()
        asyncio.run(run_agent(settings, clocks, on_ready=lambda: _say("agent ready")))
    except (AgentRefused, SettingsRefused) as refused:
        return _fail(str(refused))
    return 0


def _run_stimulators(arguments: argparse.Namespace) -> int:
    import asyncio

    from agents.simulation.bench import Bench, run_bench
    from agents.simulation.faults import faults_from_file

    devices = tuple(_on_bench(described) for described in arguments.device)
    if arguments.tell or arguments.heal:
        return _tell_bench(arguments, tuple(device.device for device in devices))
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        faults = faults_from_file(arguments.faults) if arguments.faults else {}
        broker = _address(arguments.broker) if arguments.broker else None
        bench = Bench(arguments.dir, devices, arguments.seed, arguments.trace_dir, faults, broker)
        names = ", ".join(device.device for device in devices)
        asyncio.run(run_bench(bench, on_ready=lambda: _say(f"stimulators ready: {names}"), clock=_boottime_s))
    except (OSError, ValueError) as error:
        return _fail(f"The stimulators cannot run: {error}.")
    return 0


def _address(described: str) -> tuple[str, int]:
    """Raises: ValueError: not HOST:PORT."""
    host, _, port = described.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--broker is HOST:PORT, not {described!r}")
    return host, int(port)


def _on_bench(described: str) -> Any:
    from agents.simulation.bench import MODEL, OnBench

    device, _, papers = described.partition("=")
    serial, _, model = papers.partition(",")
    return OnBench(device, serial or device, model or MODEL)


def _tell_bench(arguments: argparse.Namespace, devices: tuple[str, ...]) -> int:
    from agents.drivers.bench import BenchStimulator
    from agents.drivers.port import DriverLost
    from agents.simulation.bench import socket_of

    fault = {"kind": arguments.tell, "for_s": arguments.for_s, "size": arguments.size}
    for device in devices:
        stimulator = BenchStimulator(socket_of(arguments.dir, device), timeout_s=2.0)
        try:
            if arguments.tell:
                stimulator.tell(do="fault", fault={name: value for name, value in fault.items() if value is not None})
            if arguments.heal:
                stimulator.tell(do="heal", kind=arguments.heal)
        except DriverLost as lost:
            return _fail(f"{lost}.")
        finally:
            stimulator.close()
    return 0


def _run_press(arguments: argparse.Namespace) -> int:
    request: dict[str, Any] = {"do": arguments.do.replace("-", "_")}
    if arguments.do in _STEPS:
        if not math.isfinite(arguments.by):
            return _fail("--by is a number of mA.")
        request["step_ma"] = arguments.by
    try:
        data_dir = _data_dir(arguments)
        if getattr(arguments, "engineer", False):
            request["engineer_pin"] = _pin(arguments.pin_file, "The engineer's PIN: ")
    except _CannotAsk as why:
        return _fail(str(why))
    try:
        answer = ask_panel(data_dir, request)
    except OSError as error:
        return _fail(
            f"The agent of {data_dir} does not answer ({error}). If current may flow, press the stop "
            "button on the stimulator or switch it off at the wall."
        )
    if not answer["accepted"]:
        return _fail(str(answer["words"]))
    _say(str(answer["words"]))
    return 0


def ask_panel(data_dir: Path, request: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """What the panel of the agent on this data folder answers: `accepted` and `words`.

    Raises:
        OSError: there is no agent, or it does not answer in time or in sense.
    """
    from agents.socket_path import PANEL_SOCKET

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as panel:
        panel.settimeout(timeout_s)
        panel.connect(str(data_dir / PANEL_SOCKET))
        panel.sendall(json.dumps(request).encode() + b"\n")
        with panel.makefile("rb") as answers:
            raw = answers.readline(64 * 1024)
    try:
        answer: dict[str, Any] = json.loads(raw)
    except ValueError as error:
        raise ConnectionError("it hung up") from error
    return answer


def _run_engineer_pin(arguments: argparse.Namespace) -> int:
    from agents.engineer import PinRefused, has_pin, set_pin

    try:
        data_dir = _data_dir(arguments)
        old = _pin(arguments.old_pin_file, "The present PIN: ", "--old-pin-file") if has_pin(data_dir) else None
        set_pin(data_dir, _pin(arguments.pin_file, "The new PIN: "), old)
    except (PinRefused, _CannotAsk) as refused:
        return _fail(str(refused))
    except OSError as error:
        return _fail(f"The PIN cannot be set: {error}.")
    _say("The engineer's PIN is set.")
    return 0


def _pin(pin_file: Path | None, prompt: str, option: str = "--pin-file") -> str:
    """Raises: _CannotAsk: the file cannot be read, or there is no terminal to ask at without showing what is typed."""
    if pin_file is not None:
        try:
            return pin_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except OSError as error:
            raise _CannotAsk(f"The PIN file {pin_file} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise _CannotAsk(f"The PIN file {pin_file} cannot be read: it is not UTF-8.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (EOFError, getpass.GetPassWarning) as error:
        raise _CannotAsk(f"There is no terminal to ask for the PIN at; give {option} FILE.") from error
