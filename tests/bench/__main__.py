"""`python -m tests.bench KIND`: JSON on stdout, or into --report FILE; progress on stderr. --help lists the kinds.

It measures and says what it measured on. It is no test: nothing fails because a machine is slow or busy, but the exit
status is 1 where a figure misses its target.
"""

import argparse
import json
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from broker.scheduling import ORDINARY_NS, ask_for_turns
from tests.bench import browsers, history, idle, load, machine, pages, soak, stages

Measure = Callable[[Path, Any, Callable[[str], None]], dict[str, Any]]
KINDS: dict[str, tuple[str, type[Any], Measure]] = {
    "load": (
        "sessions on all devices, some break a limit: how fast stops are, and what is lost",
        load.Load,
        load.measure,
    ),
    "idle": ("devices that are there and do nothing: processor and memory", idle.Idle, idle.measure),
    "stages": ("what each step of a sample's way costs, without a network", stages.Stages, stages.measure),
    "history": (
        "samples into the history store, a trace read beside it",
        history.History,
        history.measure,
    ),
    "browsers": (
        "what open browsers cost a stop: rounds without and with them, in turn",
        browsers.Browsers,
        browsers.measure,
    ),
    "pages": (
        "sessions on all devices, some break a limit: when the message about it was taken",
        pages.Pages,
        pages.measure,
    ),
    "soak": ("a clinic at work for an hour: does the memory stay flat", soak.Soak, soak.measure),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one thing. 1: a figure misses its target."""
    parser = _parser()
    arguments = vars(parser.parse_args(argv))
    wrong = _wrong(arguments)
    if wrong is not None:
        parser.error(wrong)
    kind, report, folder = arguments.pop("kind"), arguments.pop("report"), arguments.pop("folder")
    _, options, measure = KINDS[kind]
    asked = options(**arguments)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # broker and fleet end with us, however asked
    ask_for_turns()  # it stands for devices, which are other machines
    try:
        found = _found(kind, asked, measure, folder)
    finally:
        ask_for_turns(ORDINARY_NS)
        signal.signal(signal.SIGTERM, before)
    text = json.dumps(found, indent=2) + "\n"
    if report is None:
        sys.stdout.write(text)
    else:
        report.write_text(text)
    return 0 if all(figure["holds"] for figure in found["figures"]) else 1


def _found(kind: str, asked: Any, measure: Measure, folder: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stimfleet-bench-", dir=folder) as own:
        found = {"kind": kind, "asked": asdict(asked), "machine": machine.facts(Path(own))}
        return found | measure(Path(own), asked, _teller())


def _wrong(arguments: dict[str, Any]) -> str | None:
    """What cannot be measured, as a sentence."""
    for name in ("devices", "seconds", "rate", "session", "every", "rounds"):
        if not 0 < arguments.get(name, 1) < math.inf:
            return f"--{name} must be a number above 0, not {arguments[name]:g}."
    if arguments.get("violations", 0) > arguments.get("devices", 0):
        return (
            f"--violations {arguments['violations']}: only {arguments['devices']} devices can break a limit, once each."
        )
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, (says, options, _) in KINDS.items():
        one = kinds.add_parser(name, help=says, description=options.__doc__)
        for field in fields(options):
            flag = f"--{field.name.replace('_', '-')}"
            one.add_argument(flag, type=type(field.default), default=field.default, help="default: %(default)s")
        one.add_argument("--report", type=Path, help="a file for the JSON (default: stdout)")
        one.add_argument("--folder", type=Path, help="where the site and its journal lie (default: a temporary folder)")
    return parser


def _teller() -> Callable[[str], None]:
    began_s = time.monotonic()

    def tell(what: str) -> None:
        sys.stderr.write(f"bench: {time.monotonic() - began_s:6.1f} s  {what}\n")

    return tell


if __name__ == "__main__":
    sys.exit(main())
