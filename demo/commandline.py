"""`stimfleet demo` and `stimfleet simulate`."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from broker.collecting import loading


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the demo. Each command sets `run`, which takes the parsed arguments and returns the exit status."""
    _add_demo(commands)
    _add_simulate(commands)


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    says = "a clinic of real processes on this machine: sessions run, things go wrong, stops end at measured zero"
    parser = commands.add_parser("demo", help=says, description=says)
    parser.add_argument("--rooms", type=_whole(1, 99), default=4, help="how many rooms (default: 4)")
    parser.add_argument("--devices", type=_whole(1, 99), default=12, help="how many stimulators (default: 12)")
    parser.add_argument(
        "--for",
        type=_seconds(10.0),
        dest="seconds",
        metavar="SECONDS",
        help="how long it is open (default: at a terminal until Ctrl-C, otherwise 75)",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what was counted and measured there, as JSON"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep keys, journal, logs and true output there")
    parser.add_argument("--seed", type=int, default=0, help="who is treated where, what goes wrong and when")
    parser.add_argument(
        "--past",
        type=_whole(0, 104),
        default=0,
        metavar="WEEKS",
        help="give the clinic a simulated past of so many weeks first (default: none; make demo: 8)",
    )
    parser.add_argument(
        "--page",
        type=_whole(0, 65_535),
        default=8080,
        metavar="PORT",
        help="the live page's port; another where it is taken (default: 8080; 0: no page)",
    )
    parser.set_defaults(run=_demo)


def _add_simulate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    says = "many agents in one process, their stimulators simulated, with a seeded or scripted clinic day"
    parser = commands.add_parser("simulate", help=says, description=says)
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--agents", type=_whole(1, 1000), metavar="N", help="stim-01, stim-02, ... so many")
    who.add_argument("--device", action="append", metavar="ID", help="these instead; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the day and of the stimulators")
    parser.add_argument(
        "--for",
        type=_seconds(1.0),
        dest="seconds",
        metavar="SECONDS",
        help="close after so long (default: until ended)",
    )
    day = parser.add_mutually_exclusive_group()
    day.add_argument("--script", type=Path, metavar="FILE", help="the day from a JSON file instead of a seeded one")
    day.add_argument("--no-day", action="store_true", help="the devices only: people come from elsewhere")
    parser.add_argument("--print-day", action="store_true", help="print the day as a script, run nothing")
    parser.add_argument("--tell", action="store_true", help="say what people meet with")
    parser.add_argument(
        "--processes", type=_whole(1, 64), metavar="P", help="share them out (default: one for each hundred agents)"
    )
    parser.add_argument("--rooms", type=_whole(1, 1000), default=4, help="for devices that are new (default: 4)")
    for name, default, what in (
        ("site", "site", "the site's folder"),
        ("ca", "ca", "the CA's folder: with it, devices that are not on the list yet are put there"),
        ("papers", "devices", "what was handed to each device: DIR/DEVICE"),
        ("data", "agents", "each device's own folder: DIR/DEVICE"),
        ("bench", "bench", "the stimulators' sockets, for faults and the truth"),
        ("fleet", "fleet-data", "the fleet's folder, with its control socket"),
    ):
        parser.add_argument(
            f"--{name}-dir", type=Path, default=Path(default), metavar="DIR", help=f"{what} (default: ./{default})"
        )
    parser.add_argument("--trace-dir", type=Path, metavar="DIR", help="write the true output there: DEVICE.csv")
    parser.add_argument("--broker-host", help="instead of the papers' broker")
    parser.add_argument("--broker-port", type=_whole(1, 65_535), help="instead of the papers' port")
    parser.set_defaults(run=_simulate)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return number

    return whole


def _seconds(least: float) -> Callable[[str], float]:
    def seconds(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= 86_400.0:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from {least:g} to 86400")
        return number

    return seconds


def _demo(arguments: argparse.Namespace) -> int:
    from demo.story import run

    return run(arguments)


def _simulate(arguments: argparse.Namespace) -> int:
    with loading():
        from demo.simulate import run

    return run(arguments)
