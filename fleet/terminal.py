"""At a terminal: asking the fleet service, reading along in its journal, and saying what came of it in plain words."""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DATA_DIR = Path("fleet-data")
DATA_DIR_VARIABLE = "STIMFLEET_DATA_DIR"
ASK_EVERY_S = 0.02
LABEL_CHARS_MAX = 64


def default_data_dir() -> Path:
    """The fleet's folder where a command names none."""
    return Path(os.environ.get(DATA_DIR_VARIABLE, DATA_DIR))


class Failed(Exception):
    """The text is one sentence for people."""


def plainly(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """`run`, with what cannot be done as one sentence on stderr and status 1."""

    def plainly(args: argparse.Namespace) -> int:
        from fleet.adapters.journal.errors import JournalError

        try:
            return run(args)
        except (JournalError, Failed) as failed:
            return fail(str(failed))
        except OSError as error:
            return fail(f"{error.filename or error} cannot be used: {error.strerror or 'it is not there'}.")

    return plainly


def ask(args: argparse.Namespace, within_s: float = 10.0, **request: Any) -> dict[str, Any]:
    from fleet.adapters.control.client import FleetUnreachable, ask

    try:
        return ask(args.data_dir / "control.sock", request, within_s=within_s)
    except FleetUnreachable as unreachable:
        raise Failed(f"{unreachable} (--data-dir or {DATA_DIR_VARIABLE} names its folder.)") from unreachable


def asked(args: argparse.Namespace, **request: Any) -> dict[str, Any]:
    answer = ask(args, **request)
    if not answer["ok"]:
        raise Failed(answer["text"])
    return answer


def reader(args: argparse.Namespace) -> Any:
    from fleet.adapters.journal.reading import JournalReader

    path = args.data_dir / "journal.db"
    if not path.exists():
        raise Failed(f"There is no {path}; --data-dir or {DATA_DIR_VARIABLE} names the fleet's folder.")
    return JournalReader(path)


def follow(reader: Any, give_up_s: float, mentioning: str) -> Iterator[tuple[str, Any]]:
    while time.monotonic() < give_up_s:
        for told in reader.new(mentioning=mentioning):
            yield told.name, told.body
        time.sleep(ASK_EVERY_S)


def words(name: str, body: Any) -> str | None:
    from fleet.words import event_words

    return event_words(name, body)


def refused(answer: dict[str, Any]) -> int:
    from fleet.words import refusal_words

    refusals = answer.get("refusals", [])
    if not refusals:
        return fail(str(answer["text"]))
    fail(f"Refused, for {len(refusals)} reason{'s' if len(refusals) > 1 else ''}:")
    for refusal in refusals:
        fail(f"- {refusal_words(refusal)}")
    return 1


def me() -> str:
    """The account that gives the command, as a label of the wire."""
    return getpass.getuser()[:LABEL_CHARS_MAX]


def say(words: str) -> int:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
    return 0


def fail(words: str) -> int:
    sys.stderr.write(words + "\n")
    return 1
