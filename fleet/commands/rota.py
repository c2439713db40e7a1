"""`stimfleet rota ...`: show who is told, check a file, import one; order a test alarm, and answer one.

The fleet looks at the file twice a second.
"""

import argparse
import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fleet.commands import terminal

if TYPE_CHECKING:
    from fleet.core import rota as core

TEST_OVER = "That test is over: it was answered, or its 10 min have passed. `stimfleet rota drill` orders another one."


def show(args: argparse.Namespace) -> int:
    """Who is on call now, and who is told of what."""
    from fleet.core.rota import gap, on_call

    rota, zone = _core(args, args.site_dir)
    if rota is None:
        return terminal.fail("There is no rota: nobody is told of any alarm. `stimfleet rota import FILE` takes one.")
    now_s = time.time()
    for rotation in rota.rotations.values():
        person = on_call(rotation, now_s, zone)
        terminal.say(f"{rotation.rotation:<12}{'NOBODY' if person is None else rota.people[person].name} now")
    for what, of in (("", rota.rungs), ("engineers ", rota.engineer_rungs)):
        for priority, rungs in of.items():
            terminal.say(f"{what}{priority.value:<12}{', then '.join(' and '.join(names) for names in rungs)}")
    for person_of in rota.people.values():
        ways = ", ".join(
            f"{method.method} ({method.kind}: {' '.join(method.priorities)})" for method in person_of.methods
        )
        terminal.say(f"{person_of.person:<12}{person_of.name}: {ways or 'no method'}")
    found_s = gap(rota, now_s, zone)
    if found_s is not None:
        at = datetime.fromtimestamp(found_s, zone).isoformat(sep=" ", timespec="minutes")
        return terminal.fail(f"A gap in cover: from {at} on a first rung reaches nobody.")
    return 0


def check(args: argparse.Namespace) -> int:
    """Every error of a file, a line each; status 1 where there is any."""
    return _judged(args, args.file) or terminal.say("The rota can be used.")


def take(args: argparse.Namespace) -> int:
    """Put a file in the rota's place, whole or not at all."""
    from fleet.rota.file import load_rota, save_rota

    status = _judged(args, args.file)
    if status:
        return status
    rota = load_rota(args.file)
    assert rota is not None
    save_rota(args.site_dir, rota)
    return terminal.say("Imported. A running fleet takes it up within a second; see `stimfleet rota show`.")


def drill(args: argparse.Namespace) -> int:
    """A test alarm now, to everybody on the rota or to one."""
    person = {} if args.person is None else {"person": args.person}
    answer = terminal.ask(args, op="drill", issued_by=terminal.me(), **person)
    if not answer["ok"]:
        return terminal.refused(answer)
    return terminal.say(
        "Ordered. Whoever gets it has 10 min to answer: by its link, in the page, or `stimfleet rota answer CODE`."
    )


def answer(args: argparse.Namespace) -> int:
    """What a person does who has got a test alarm: its code proves the way by which it came."""
    if not re.fullmatch("[0-9a-f]{8,32}", args.code):
        raise terminal.Failed("A code is the 8 or more of 0-9 and a-f that stand in the test alarm.")
    with terminal.reader(args) as journal:
        rows = journal.new(mentioning=args.code)
        bodies = [told.body for told in rows if told.unread is None and told.name == "PageDue" and told.body["drill"]]
    found = [body for body in bodies if body["page_id"].startswith(args.code)]
    if not found:
        raise terminal.Failed(f"No test alarm has the code {args.code}.")
    page = found[-1]
    answer = terminal.ask(args, op="drill_answered", page_id=page["page_id"], issued_by=terminal.me())
    if not answer["ok"]:
        return terminal.fail(TEST_OVER if answer["error"] == "refused" else answer["text"])
    return terminal.say(f"Answered: {page['method']} reaches {page['person']}.")


def _judged(args: argparse.Namespace, path: Path) -> int:
    from fleet.rota.file import BadRota, destination, load_rota

    try:
        rota = load_rota(path)
    except BadRota as bad:
        for error in bad.errors:
            terminal.fail(error)
        return 1
    if rota is None:
        return terminal.fail(f"There is no rota in {path}.")
    for person in rota.people:
        for method in person.methods:
            try:
                destination(args.site_dir, method)
            except OSError as error:
                return terminal.fail(
                    f"The secret of {person.id}/{method.id} cannot be read: {error.filename}: {error.strerror}. "
                    "Put the URL there, readable by the fleet's account only."
                )
    _core(args, path)
    return 0


def _core(args: argparse.Namespace, path: Path) -> tuple["core.Rota | None", ZoneInfo]:
    from broker.pki.registry import BadRegistry
    from broker.pki.registry_file import load_registry
    from fleet.rota.file import BadRota, core_rota, load_rota

    try:
        zone = load_registry(args.site_dir).time_zone
        found = load_rota(path)
    except (BadRegistry, BadRota) as bad:
        raise terminal.Failed(str(bad)) from bad
    return (None if found is None else core_rota(found, zone)), ZoneInfo(zone)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", site_dir: Path) -> None:
    """`stimfleet rota show|check|import|drill|answer`."""
    rota = commands.add_parser("rota", help="who is told of alarms: show it, check a file, import one")
    parts = rota.add_subparsers(required=True, metavar="WHAT")
    for name, says, run in (
        ("show", "who is on call now, and who is told of what", show),
        ("check", "every error of a file, a line each", check),
        ("import", "put a file in the rota's place", take),
    ):
        parser = parts.add_parser(name, help=says, description=says)
        parser.add_argument("--site-dir", type=Path, default=site_dir, help="the site's folder (default: ./site)")
        parser.set_defaults(run=terminal.plainly(run))
        if name != "show":
            parser.add_argument("file", type=Path, metavar="FILE", help="a rota as JSON")
    folder = f"the fleet's folder (default: {terminal.DATA_DIR_VARIABLE} of the environment, or ./{terminal.DATA_DIR})"
    for name, says, run in (
        ("drill", "a test alarm now, to everybody on the rota or to one", drill),
        ("answer", "answer a test alarm by the code that stands in it", answer),
    ):
        parser = parts.add_parser(name, help=says, description=says)
        parser.add_argument("--data-dir", type=Path, default=terminal.default_data_dir(), help=folder)
        parser.set_defaults(run=terminal.plainly(run))
        if name == "drill":
            parser.add_argument("--person", help="the person's id on the rota (default: everybody)")
        else:
            parser.add_argument("code", metavar="CODE", help="from the message: 8 or more of 0-9 and a-f")
