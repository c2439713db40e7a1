"""`stimfleet journal ...`: prove the record, read it, take it elsewhere, keep a copy of it, put one back."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain, count
from pathlib import Path
from typing import TextIO

from fleet.commands import terminal

JOURNAL = "journal.db"
LOCK = "fleet.lock"
QUARANTINE = "quarantine"


def verify(args: argparse.Namespace) -> int:
    """Check the whole chain, and that what was kept of it elsewhere is in it."""
    from fleet.adapters.journal.restore import verify_journal

    with terminal.progress("Checked {0:,} rows") as shown:
        verified = verify_journal(_file(args), args.tip, looked=shown)
    return terminal.say(f"The chain holds: {verified.rows} events, tip {verified.tip_hash}.")


def tail(args: argparse.Namespace) -> int:
    """What happened, in plain words; status 1 where something could not be read."""
    from fleet.adapters.journal.reading import JournalReader
    from fleet.stored import FOLD

    reader = JournalReader(_file(args), FOLD.forms, made=not args.follow)
    unread = 0
    try:
        while True:
            for told in reader.new():
                unread += told.unread is not None
                if words := terminal.told_words(told):
                    terminal.say(words)
            if not args.follow:
                return 1 if unread else 0
            time.sleep(terminal.ASK_EVERY_S * 10)
    finally:
        reader.close()


def export(args: argparse.Namespace) -> int:
    """JSON lines; what cannot be read as it is, and named, with status 1."""
    from fleet.adapters.journal.export import exported
    from fleet.adapters.journal.salvage import Damaged
    from fleet.stored import FOLD

    if args.last is not None and args.last < args.first:
        terminal.fail(f"--from {args.first} --to {args.last} is no range: the first row comes before the last.")
        return 2
    rows = damaged = 0
    since = None if args.since is None else args.since.isoformat()
    with _written(args.out) as out, terminal.progress("Exported {0:,} rows") as shown:
        for found, line in exported(_file(args), FOLD.forms, first=args.first, last=args.last, since=since):
            out.write(line + "\n")
            rows += 1
            shown(rows)
            if isinstance(found, Damaged):
                damaged += 1
                as_it_is = "" if found.cells is None else ": exported as it is, bytes as hex"
                terminal.fail(f"Journal {found}{as_it_is}.")
    if damaged:
        return terminal.fail("Not everything in the journal could be read: each place is named above and in the lines.")
    return 0


def backup(args: argparse.Namespace) -> int:
    """A proved copy, while the fleet writes on."""
    from fleet.adapters.journal.backup import back_up
    from fleet.adapters.journal.errors import JournalCorrupt

    try:
        with (
            terminal.progress("Copied {0:,} of {1:,} pages") as copied,
            terminal.progress("Checked {0:,} rows") as seen,
        ):
            verified = back_up(_journal(args), args.to, copied, seen)
    except JournalCorrupt as damage:
        raise terminal.Failed(
            f"Nothing was backed up, the journal itself is damaged: {damage}. `stimfleet journal export` takes out "
            "what can be read."
        ) from damage
    terminal.say(f"{args.to} holds {verified.rows} events and is proved, tip {verified.tip_hash}.")
    return terminal.say(
        "Keep that tip elsewhere: `stimfleet journal verify --file ... --tip ...` then shows a cut end."
    )


def restore(args: argparse.Namespace) -> int:
    """Put a backup in the place of the journal, which is set aside."""
    from fleet.adapters.journal.errors import UnknownStored
    from fleet.adapters.journal.exchange import put_back
    from fleet.adapters.lock import Held, not_running
    from fleet.stored import FOLD

    args.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_another_account(args.data_dir)
    quarantine = _new_name(args.data_dir / QUARANTINE / f"journal-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        with (
            not_running(args.data_dir / LOCK, "stimfleet journal restore"),
            terminal.progress("Checked {0:,} rows") as shown,
        ):
            done = put_back(args.source, args.data_dir / JOURNAL, quarantine, FOLD.forms, shown)
    except Held as held:
        raise terminal.Failed(
            f"{held} uses {args.data_dir}: end it first (Ctrl-C where it runs, or systemctl stop stimfleet-fleet), "
            "then restore again. Nothing was changed."
        ) from held
    except UnknownStored as newer:
        raise terminal.Failed(
            f"{args.source} was written by a newer program, nothing was changed: {newer}. Restore it with that one."
        ) from newer
    terminal.say(
        f"The journal is now what {args.source} holds: {done.verified.rows} events, tip {done.verified.tip_hash}."
    )
    if done.aside is not None:
        _say_what_is_aside(done.aside, done.verified.rows, done.common, done.before)
    return 0


def _new_name(folder: Path) -> Path:
    """The folder's name, or the next one that is free."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(name for name in chain([folder], numbered) if not name.exists())


def _say_what_is_aside(aside: Path, rows: int, common: int | None, before: int | None) -> None:
    terminal.say(f"The one before is in {aside.parent}; nothing was deleted.")
    if common is None or before is None:
        terminal.say("It cannot be read whole, so nobody can say how many events are newer in it.")
    elif before == common:
        terminal.say(f"It has no event that the restored one has not{'' if rows == common else ', and fewer of them'}.")
    else:
        terminal.say(f"It has {before - common} events that the restored one has not, from row {common + 1} on:")
        terminal.say(f"  stimfleet journal export --file {aside} --from {common + 1}")
    if common is None or before != common:
        terminal.say(
            "Devices have deleted what they were receipted for, so what is not in the restored journal is a gap. The "
            "fleet finds each when the device is next born, names it (SpoolGapFound), and takes a number above every "
            "one that a device has seen."
        )


def _refuse_another_account(data_dir: Path) -> None:
    """Files of another account would keep the fleet from its own journal."""
    owner = data_dir.stat().st_uid
    if owner != os.geteuid():
        raise terminal.Failed(
            f"{data_dir} belongs to another account (uid {owner}): restore as that one, `sudo -u ...`."
        )


def _file(args: argparse.Namespace) -> Path:
    """The file that is meant: the one named, or the fleet's journal."""
    if args.file is None:
        return _journal(args)
    if not args.file.is_file():
        raise terminal.Failed(f"There is no file {args.file}.")
    named: Path = args.file
    return named


def _journal(args: argparse.Namespace) -> Path:
    path: Path = args.data_dir / JOURNAL
    if not path.exists():
        raise terminal.Failed(
            f"There is no {path}; --data-dir or {terminal.DATA_DIR_VARIABLE} names the fleet's folder."
        )
    return path


@contextmanager
def _written(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a new private file that is there when all is in it."""
    from fleet.adapters.journal.files import appearing

    if out is None:
        yield sys.stdout
        return
    with appearing(out) as made, made.open("w", encoding="utf-8") as lines:
        yield lines


def day(text: str) -> date:
    """A day as 2026-11-25."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-25") from error


def row_number(text: str) -> int:
    """A position: 1 or higher."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no row: they are counted from 1")
    return int(text)


def tip_hash(text: str) -> str:
    """The hash of a row, as `verify` and `backup` print it."""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("a tip is 64 of 0-9 and a-f, as `journal backup` printed it")
    return text
