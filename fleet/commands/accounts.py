"""`stimfleet user ...` and `stimfleet token ...`: who may come in over HTTP, looked after at the fleet's own machine.

They write the same `users.db` that the web process has open; it notices within a second. A password is typed without
being shown, or comes as a line of standard input; or one is made and printed this once.
"""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fleet.api.access import TOKEN_ROLES, Role
from fleet.commands import terminal

SITE_DIR: Final = Path("site")
ADDRESS: Final = "command line"
DAY_S: Final = 86_400.0
DAYS_MAX: Final = 3_660

Command = Callable[[Any, str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_commands(commands: Any, command: Command) -> None:
    """Add `user` and `token`; `command` adds one of their parts."""
    users = commands.add_parser("user", help="who may sign in: add, list, role, password, disable, enable")
    parts = users.add_subparsers(required=True, metavar="WHAT")
    adding = command(parts, "add", "somebody who may sign in", _add)
    adding.add_argument("user", help="an id like anna.k")
    adding.add_argument("--name", help="as people read it (default: the id)")
    adding.add_argument("--role", required=True, choices=list(Role))
    _add_operator(adding)
    _add_generate(adding)
    command(parts, "list", "everybody who may sign in, or might", _list)
    role = command(parts, "role", "give another role; ends their sessions", _role)
    role.add_argument("user")
    role.add_argument("role", choices=list(Role))
    _add_operator(role)
    password = command(
        parts, "password", "set a password; ends their sessions, and the wait after bad sign-ins", _password
    )
    password.add_argument("user")
    _add_generate(password)
    command(parts, "disable", "let somebody in no more; ends their sessions", _disable).add_argument("user")
    command(parts, "enable", "let somebody in again", _enable).add_argument("user")

    tokens = commands.add_parser("token", help="which machines may come in: create, list, revoke")
    parts = tokens.add_subparsers(required=True, metavar="WHAT")
    creating = command(parts, "create", "let a machine in; its token is printed this once", _create)
    creating.add_argument("name", help="which machine, in a few words")
    creating.add_argument("--role", required=True, choices=list(TOKEN_ROLES))
    ends = creating.add_mutually_exclusive_group()
    ends.add_argument("--days", type=_days, default=365, help="how long it is good (default: %(default)s)")
    ends.add_argument("--no-end", action="store_const", const=None, dest="days", help="good until it is revoked")
    command(parts, "list", "the machines that may come in", _list_tokens)
    command(parts, "revoke", "end a token for good", _revoke).add_argument("token", help="its id")


def _add_operator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--operator", help="their id in the site's registry, if they treat")
    parser.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")


def _add_generate(parser: argparse.ArgumentParser) -> None:
    says = "make a password and print it this once; they choose their own when they sign in"
    parser.add_argument("--generate", action="store_true", help=says)


# --- users ---


def _add(args: argparse.Namespace) -> int:
    from fleet.api.people import User, display_name, user_id

    with _store(args) as store:
        user, name = user_id(args.user), display_name(args.name or args.user)
        _check_operator(args)
        password, hashed = _new_password(args, user, name)
        now_wall_s = time.time()
        added = User(user, name, Role(args.role), args.operator, hashed, now_wall_s, must_change=args.generate)
        store.add_user(added, _told("add user", f"{user} as {args.role}"))
    return _said(args, f"{user} may sign in as {args.role}", password)


def _list(args: argparse.Namespace) -> int:
    with _store(args) as store:
        users = sorted(store.kept().users.values(), key=lambda user: user.id)
    for user in users:
        notes = f", operator {user.operator}" if user.operator else ""
        notes += ", has to choose a password" if user.must_change else ""
        notes += ", disabled" if user.disabled else ""
        terminal.say(f"{user.id:<20} {user.role:<10} {user.name}{notes}")
    return 0 if users else terminal.say("No users. `stimfleet user add` adds one.")


def _role(args: argparse.Namespace) -> int:
    changes: dict[str, Any] = {"role": Role(args.role)}
    if args.operator is not None:
        _check_operator(args)
        changes["operator"] = args.operator
    return _change(args, f"role {args.role}", f"{args.user} is {args.role} now.", **changes)


def _password(args: argparse.Namespace) -> int:
    with _store(args) as store:
        user = store.kept().users.get(args.user)
        if user is None:
            raise terminal.Failed(f"There is no user {args.user}.")
        password, hashed = _new_password(args, user.id, user.name)
        changes = {"hash": hashed, "password_wall_s": time.time(), "must_change": args.generate}
        store.change_user(user.id, _told("change user", f"{user.id}: password"), **changes)
    return _said(args, f"{user.id} has another password, and their sessions are over", password)


def _disable(args: argparse.Namespace) -> int:
    return _change(
        args, "disabled", f"{args.user} may not sign in any more, and their sessions are over.", disabled=True
    )


def _enable(args: argparse.Namespace) -> int:
    return _change(args, "enabled", f"{args.user} may sign in again.", disabled=False)


def _change(args: argparse.Namespace, what: str, says: str, **changes: Any) -> int:
    with _store(args) as store:
        store.change_user(args.user, _told("change user", f"{args.user}: {what}"), **changes)
    return terminal.say(says)


# --- tokens ---


def _create(args: argparse.Namespace) -> int:
    from fleet.api.people import Token, display_name, fingerprint, new_token

    with _store(args) as store:
        token, value = new_token()
        now_wall_s = time.time()
        ends_wall_s = None if args.days is None else now_wall_s + args.days * DAY_S
        name, role = display_name(args.name), Role(args.role)
        made = Token(token, fingerprint(value), name, role, terminal.me(), now_wall_s, ends_wall_s)
        store.add_token(made, _told("add token", f"{token} {name} as {role}"))
    terminal.fail(f"Token {token} for {name}, {role}, {_until(ends_wall_s)}. It is shown this once:")
    return terminal.say(value)


def _list_tokens(args: argparse.Namespace) -> int:
    with _store(args) as store:
        tokens = sorted(store.kept().tokens.values(), key=lambda token: token.created_wall_s)
    for token in tokens:
        used = f"used {_day(token.used_wall_s)}" if token.used_wall_s is not None else "never used"
        terminal.say(f"{token.id}  {token.role:<10} {token.name}, {_until(token.ends_wall_s)}, {used}")
    return 0 if tokens else terminal.say("No tokens. `stimfleet token create` makes one.")


def _revoke(args: argparse.Namespace) -> int:
    with _store(args) as store:
        store.revoke_token(args.token, _told("revoke token", args.token))
    return terminal.say(f"Token {args.token} is good for nothing any more.")


def _until(wall_s: float | None) -> str:
    return "until it is revoked" if wall_s is None else f"until {_day(wall_s)}"


def _day(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).date().isoformat()


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= DAYS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to {DAYS_MAX}")
    return int(text)


# --- what they share ---


@contextmanager
def _store(args: argparse.Namespace) -> Iterator[Any]:
    """The fleet's `users.db`, with what it refuses as one sentence."""
    from fleet.api.people import NotKept, Unusable
    from fleet.api.store import FILE_NAME, Store

    if not args.data_dir.is_dir():
        raise terminal.Failed(
            f"There is no folder {args.data_dir}; --data-dir or {terminal.DATA_DIR_VARIABLE} names the fleet's."
        )
    owner = args.data_dir.stat().st_uid
    if owner != os.geteuid():  # files of another account would keep the web process out
        raise terminal.Failed(
            f"{args.data_dir} belongs to another account (uid {owner}): do this as that one, `sudo -u ...`."
        )
    try:
        store = Store(args.data_dir / FILE_NAME)
        try:
            yield store
        finally:
            store.close()
    except (NotKept, Unusable) as refused:
        raise terminal.Failed(str(refused)) from refused


def _told(what: str, subject: str) -> Any:
    from fleet.api.people import Told

    return Told(time.time(), terminal.me(), ADDRESS, what, subject)


def _check_operator(args: argparse.Namespace) -> None:
    """An operator that the site does not know could ask for nothing."""
    from broker.pki.registry import BadRegistry
    from broker.pki.registry_file import load_registry

    if args.operator is None:
        return
    try:
        operators = load_registry(args.site_dir).operators
    except BadRegistry as bad:
        raise terminal.Failed(f"{bad} (--site-dir names the site's folder.)") from bad
    if args.operator not in operators:
        raise terminal.Failed(f"The site has no operator {args.operator}: `stimfleet provision operator` adds one.")


def _new_password(args: argparse.Namespace, user: str, name: str) -> tuple[str, str]:
    """A password that is made, or read; and its hash."""
    from fleet.api.passwords import Passwords, one_time_password, weakness

    password = one_time_password() if args.generate else _read_password()
    if (why := weakness(password, user, name)) is not None:
        raise terminal.Failed(why)
    return password, Passwords().hash(password)


def _said(args: argparse.Namespace, done: str, password: str) -> int:
    """What was done; and the password that was made, alone on standard output."""
    if not args.generate:
        return terminal.say(f"{done}.")
    terminal.fail(f"{done}. The password, shown this once:")
    return terminal.say(password)


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise terminal.Failed("These were two different passwords: nothing is changed.")
    return password
