"""The command line: the one file that knows all parts. Each room brings its own commands; here they get one name.

Exit status: 0 done, 1 it could not be done (a sentence on stderr says why and what to do), 2 the command was not
understood, 65 the fleet's journal cannot be read, 75 another fleet instance took over, 78 the site or a setting cannot
be used, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version


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
    whole.add_argument("--version", action="version", version=f"stimfleet {version('stimfleet')}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for room in (broker.commandline, agents.commandline, fleet.commandline, demo.commandline):
        room.add_commands(commands)
    return whole


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


if __name__ == "__main__":
    sys.exit(main())
