"""The command line: the one file that knows all parts. Each room brings its own commands; here they get one name.

Exit status: 0 done, 1 it could not be done (a sentence on stderr says why and what to do), 2 the command was not
understood, 65 the fleet's journal cannot be read, 75 another fleet instance took over, 78 the site or a setting cannot
be used, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from broker.collecting import collecting_seldom


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
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `stimfleet ... | head`: nobody reads on, which is no fault
        sys.stderr.close()
        return 0
    return status


def command() -> int:
    """The process that somebody starts: `main`, from its first import to its end."""
    with collecting_seldom():
        return main()


if __name__ == "__main__":
    sys.exit(command())
