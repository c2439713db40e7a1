"""At a terminal: asking the fleet service, reading along in its journal, and saying what came of it in plain words."""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

DATA_DIR = Path("fleet-data")
DATA_DIR_VARIABLE = "STIMFLEET_DATA_DIR"
ASK_EVERY_S = 0.02
SHOW_EVERY_S = 0.2
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
        except BrokenPipeError:  # no file that cannot be used: whoever reads has gone, which `stimfleet.main` knows
            raise
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


@contextmanager
def reader(args: argparse.Namespace) -> Iterator[Any]:
    """The fleet's journal, to be read along.

    Raises:
        Failed: there is none in that folder.
    """
    from fleet.adapters.journal.reading import JournalReader

    path = args.data_dir / "journal.db"
    if not path.exists():
        raise Failed(f"There is no {path}; --data-dir or {DATA_DIR_VARIABLE} names the fleet's folder.")
    with closing(JournalReader(path)) as journal:
        yield journal


def follow(reader: Any, give_up_s: float, mentioning: str) -> Iterator[tuple[str, Any]]:
    while time.monotonic() < give_up_s:
        for told in reader.new(mentioning=mentioning):
            if told.unread is None:
                yield told.name, told.body
            else:
                fail(f"Journal {told.unread}.")
        time.sleep(ASK_EVERY_S)


def words(name: str, body: Any) -> str | None:
    from fleet.words.events import event_words

    return event_words(name, body)


def told_words(told: Any) -> str | None:
    """What a row of the journal says to people; None for the machinery's own business, never for what is not known."""
    from fleet.words.events import QUIET

    if told.unread is not None:
        where = "; `stimfleet journal export` has its bytes" if told.kept else ""
        return f"{told.at}  journal {told.unread}{where}".lstrip()
    if told.name in QUIET:
        return None
    said = words(told.name, told.body)
    return f"{told.at}  {said or f'row {told.position} is a {told.name}, for which there are no words'}"


@contextmanager
def progress(words: str) -> Iterator[Callable[..., None]]:
    """Shows how far long work is, at a terminal only: call with the numbers for `words`."""
    shown_s = time.monotonic()
    shown = False

    def show(*numbers: int) -> None:
        nonlocal shown_s, shown
        now_s = time.monotonic()
        if now_s - shown_s >= SHOW_EVERY_S and sys.stderr.isatty():
            shown_s, shown = now_s, True
            sys.stderr.write(f"\r\033[K{words.format(*numbers)} ...")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if shown:
            sys.stderr.write("\r\033[K")


def refused(answer: dict[str, Any]) -> int:
    from fleet.words.events import refusal_words

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
