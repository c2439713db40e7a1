"""The command line: the one file that knows all parts. Each room brings its own commands; here they get one name.

Exit status: 0 done, 1 it could not be done (a sentence on stderr says why and what to do), 2 the command was not
understood, 65 the fleet's journal cannot be read, 75 another fleet instance took over, 78 the site or a setting cannot
be used, 130 interrupted, 141 whoever read what it says has gone, as a shell reports it of any command (128 + SIGPIPE).
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from broker.collecting import collecting_seldom

_NOT_UNDERSTOOD = 2  # argparse's status


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    # Imported here: `import stimfleet` is cheap, and the fleet's worker is forked from what is already loaded.
    import agents.commandline
    import broker.commandline
    import demo.commandline
    import fleet.commandline

    whole = argparse.ArgumentParser(
        prog="stimfleet",
        description="Manages the electro-muscle-stimulators of a clinic as one fleet, over MQTT.",
        epilog="A pushed stop does not replace the stop button on the stimulator.",
    )
    whole.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show the version, and end"
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for room in (broker.commandline, agents.commandline, fleet.commandline, demo.commandline):
        room.add_commands(commands)
    return whole


class _Version(argparse.Action):
    """What reads the version loads a tenth of a second's worth of modules: only for who asks."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"stimfleet {version('stimfleet')}\n")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    try:
        try:
            arguments = _understood(sys.argv[1:] if argv is None else argv)
            status: int = arguments.run(arguments)
        finally:
            _flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `stimfleet ... | head`: nobody reads on, which is no fault, and nothing to say
        return _unread()
    return status


def _understood(argv: Sequence[str]) -> argparse.Namespace:
    """Raises: SystemExit: it is not understood, or only help was asked for."""
    try:
        return parser().parse_args(argv)
    except SystemExit as ended:
        if ended.code == _NOT_UNDERSTOOD and "stop" in argv[:1]:
            from fleet.commands import stop

            stop.not_understood()
        raise


def _flush() -> None:
    """Say what is still to be said now, where a reader that has gone is known, and not when the interpreter ends."""
    if sys.stdout is not None:  # somebody has started us without
        sys.stdout.flush()


def _unread() -> int:
    """What is still to be said goes nowhere, or it would fail once more when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def command() -> int:
    """The process that somebody starts: `main`, from its first import to its end."""
    with collecting_seldom():
        return main()


if __name__ == "__main__":
    sys.exit(command())
