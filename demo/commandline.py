"""`stimfleet demo`."""

import argparse
from pathlib import Path


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the demo. Sets `run`, which takes the parsed arguments and returns the exit status."""
    says = "a small clinic on this machine: a session runs, a stop is pushed, zero current is measured"
    parser = commands.add_parser("demo", help=says, description=says)
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep keys, journal, logs and true output there")
    parser.add_argument("--seed", type=int, default=0, help="of the simulated stimulators")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from demo.story import run

    return run(arguments)
