"""The fleet's part of the command line: `stimfleet fleet`, `session ...`, `stop`, `release`, `drain`, `journal ...`.

Everything heavy is imported inside a command.
"""

import argparse
import logging
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from broker.collecting import loading
from fleet.commands import accounts, client, clock, journal, rota, stop, terminal, usage

SITE_DIR = Path("site")
_EXAMPLE = "2026-11-22T09:30+01:00"  # of a moment

# A usual local plan (domain.md "Dose rules"): where the command line says nothing.
_PLAN: tuple[tuple[str, float | str, str], ...] = (
    ("modality", "nmes", "nmes (local) or wb_ems (whole body)"),
    ("body_site", "thigh", "where the pads go"),
    ("electrode_area_cm2", 50.0, "area of the smallest pad"),
    ("frequency_hz", 35.0, "pulses a second"),
    ("pulse_width_us", 300.0, "width of one phase"),
    ("setting_ma_max", 40.0, "the strongest setting"),
    ("duration_s", 1200.0, "length, pauses left out"),
    ("on_s", 6.0, "ON phase"),
    ("off_s", 12.0, "OFF phase"),
    ("ramp_up_s", 1.0, "0 to the setting, in each ON phase"),
    ("ramp_down_s", 1.0, "and back"),
)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this part's commands. Each sets `run`, which takes the parsed arguments and returns the exit status."""
    fleet = _command(commands, "fleet", "run the fleet service under its supervisor", _fleet)
    fleet.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")
    fleet.add_argument("--broker-host", help="instead of the registry's broker")
    fleet.add_argument("--broker-port", type=int, help="instead of the registry's port")
    fleet.add_argument("--http-port", type=int, help="where /healthz and /metrics are served; 0: nowhere")

    pager = _command(commands, "pager", "deliver the fleet's messages to people, beside a fleet service", _pager)
    pager.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")
    pager.add_argument("--check", action="store_true", help="look at everybody's channels and secrets, tell nobody")

    web = _command(commands, "web", "serve the HTTP API and the live page, beside a fleet service", _web)
    web.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")
    web.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    web.add_argument("--port", type=int, help="the port (default: 8080); 0: any that is free")

    recorder = _command(commands, "recorder", "keep every sample that the fleet takes in, for months", _recorder)
    recorder.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")
    recorder.add_argument("--status", action="store_true", help="say how the one that runs does, and end")

    sessions = commands.add_parser("session", help="request, list, show or cancel sessions")
    parts = sessions.add_subparsers(required=True, metavar="WHAT")
    _add_request(_command(parts, "request", "ask for a session; refused with every reason at once", _request))
    listing = _command(parts, "list", "sessions, newest first", _list)
    listing.add_argument("--open", action="store_true", help="leave out those that are over")
    _command(parts, "show", "one session with its record", _show).add_argument("session", help="its id, or its start")
    cancel = _command(parts, "cancel", "withdraw a session that has not started", _cancel)
    cancel.add_argument("session", help="its id, or its start")

    _command(commands, "status", "the fleet service itself: what it does, and what it cannot do", _status)
    _command(commands, "devices", "every device: where, how fresh, what it does", _devices)
    alarms = _command(commands, "alarms", "what is wrong, gravest first, and what to do", _alarms)
    alarms.add_argument("--all", action="store_true", help="also those that are over, newest first")
    push = _command(commands, "stop", "emergency stop, followed until zero current is measured", stop.push)
    push.add_argument("device", help="device id, or all")
    push.add_argument("--reason", default="pushed", help="a few words, no client data")
    push.add_argument(
        "--within-s",
        help=f"how long to wait for measured zero (default: {stop.ZERO_S:g}); a wrong one keeps no stop back",
    )
    says = "at the device, you have seen that it is off: ends the stop of one whose agent is dead"
    _command(commands, "confirm-off", says, _confirm_off).add_argument("device", help="device id")
    release = _command(commands, "release", "lift the hold of a stop; starts nothing", _release)
    release.add_argument("device", help="device id, or all")
    says = "put a device back that `stimfleet provision service-hold` held, once that is off"
    release.add_argument("--service", action="store_const", const="service", help=says)
    _command(commands, "drain", "authorise nothing new; running sessions go on to their end", _drain)
    _command(commands, "undrain", "authorise again", _undrain)
    clock.add_arguments(
        _command(commands, "clock", "the host's clock and the clinic's time; accept a step", clock.clock)
    )

    dose = _command(commands, "client", "what a client has had, and when the next session is possible", client.show)
    dose.add_argument("client", help="the client's token")

    rota.add_commands(commands, SITE_DIR)

    usage.add_arguments(_command(commands, "usage", "what was done, counted from the journal", usage.count))

    accounts.add_commands(commands, _command)

    _add_journal(commands)


def _add_journal(commands: Any) -> None:
    kept = commands.add_parser("journal", help="prove the record, read it, export it, back it up, put one back")
    parts = kept.add_subparsers(required=True, metavar="WHAT")
    verify = _command(parts, "verify", "check the whole hash chain", journal.verify)
    verify.add_argument("--tip", type=journal.tip_hash, help="the hash of a row, kept elsewhere: must be in the chain")
    tail = _command(parts, "tail", "what happened, in plain words", journal.tail)
    tail.add_argument("--follow", action="store_true", help="go on reading")
    export = _command(parts, "export", "every row as a line of JSON; what cannot be read as it is", journal.export)
    export.add_argument("--from", type=journal.row_number, default=1, dest="first", metavar="ROW", help="from this row")
    export.add_argument("--to", type=journal.row_number, dest="last", metavar="ROW", help="up to this row")
    export.add_argument("--since", type=journal.day, metavar="DAY", help="from this day on, in UTC: 2026-11-25")
    export.add_argument("--out", type=Path, metavar="FILE", help="into a new private file (default: standard output)")
    for part in (verify, tail, export):
        part.add_argument("--file", type=Path, help="a backup, or what was set aside, instead of the fleet's journal")
    backup = _command(parts, "backup", "a proved copy, also while the fleet runs", journal.backup)
    backup.add_argument("to", type=Path, metavar="TO", help="the new file")
    says = "put a backup in the journal's place, while no fleet runs; the present one is set aside"
    restore = _command(parts, "restore", says, journal.restore)
    restore.add_argument("source", type=Path, metavar="FROM", help="the backup")


def _command(commands: Any, name: str, says: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=says, description=says)
    says = f"the fleet's folder (default: {terminal.DATA_DIR_VARIABLE} of the environment, or ./{terminal.DATA_DIR})"
    parser.add_argument("--data-dir", type=Path, default=terminal.default_data_dir(), help=says)
    parser.set_defaults(run=terminal.plainly(run))
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", required=True, help="the client's random token: never a name")
    parser.add_argument("--device", required=True)
    parser.add_argument("--room", required=True, help="where the device stands, as the therapist sees it")
    parser.add_argument("--operator", required=True, help="who treats")
    parser.add_argument("--rule-set", default="ems-2026-1", help="the rules of the screening")
    parser.add_argument(
        "--screened-at", required=True, type=_moment, metavar="TIME", help=f"when: `now`, or {_EXAMPLE}"
    )
    findings = parser.add_mutually_exclusive_group(required=True)
    findings.add_argument("--no-findings", action="store_const", const=[], dest="finding", help="nothing was found")
    findings.add_argument("--finding", action="append", help="a contraindication that was found; may be repeated")
    parser.add_argument("--override-by", help="the clinician who overrides a relative contraindication")
    plan = parser.add_argument_group("plan")
    for name, default, says in _PLAN:
        flag = f"--{name.replace('_', '-')}"
        plan.add_argument(flag, type=type(default), default=default, help=f"{says} (default: {default})")


# --- the service ----------------------------------------------------------------------------------------------------


def _pager(args: argparse.Namespace) -> int:
    with loading():
        from fleet.adapters.notify.settings import load_pager_settings
        from fleet.paging.pager import run_pager
        from fleet.settings import SettingsRefused

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = load_pager_settings(args.site_dir, args.data_dir)
    except SettingsRefused as refused:
        terminal.fail(str(refused))
        return 78
    return _checked_channels(args.site_dir) if args.check else run_pager(settings)


def _checked_channels(site_dir: Path) -> int:
    """What stands against each way to each person, as far as it can be seen without telling anybody."""
    from fleet.adapters.notify.message import NotDelivered
    from fleet.paging.targets import Targets

    try:
        rows = Targets(site_dir).checked()
    except NotDelivered as failed:
        return terminal.fail(f"Nobody can be told: {failed.why}.")
    for name, kind, why in rows:
        terminal.say(f"{name:<24} {kind:<14} {why or 'can be used: a drill proves it'}")
    return 1 if any(why for _, _, why in rows) else 0


def _fleet(args: argparse.Namespace) -> int:
    with loading():
        from fleet.settings import SettingsRefused, load_settings
        from fleet.supervisor import supervise

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    given = {name: getattr(args, name) for name in ("broker_host", "broker_port", "http_port")}
    try:
        settings = load_settings(args.site_dir, args.data_dir, **{k: v for k, v in given.items() if v is not None})
    except SettingsRefused as refused:
        return terminal.fail(str(refused))
    return supervise(settings)


def _web(args: argparse.Namespace) -> int:
    with loading():
        from fleet.api.settings import load_web_settings
        from fleet.settings import SettingsRefused
        from fleet.web import run_web

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    given = {name: getattr(args, name) for name in ("host", "port")}
    try:
        settings = load_web_settings(
            args.site_dir, args.data_dir, **{name: value for name, value in given.items() if value is not None}
        )
    except SettingsRefused as refused:
        return terminal.fail(str(refused))
    return run_web(settings)


def _recorder(args: argparse.Namespace) -> int:
    from fleet.commands import recorder

    return recorder.show(args) if args.status else recorder.run(args)


# --- people's requests ----------------------------------------------------------------------------------------------


def _request(args: argparse.Namespace) -> int:
    answer = terminal.ask(
        args,
        op="session_request",
        client=args.client,
        device=args.device,
        room=args.room,
        operator=args.operator,
        plan={name: getattr(args, name) for name, _, _ in _PLAN},
        screening={
            "rule_set": args.rule_set,
            "at_wall_s": args.screened_at,
            "findings": args.finding,
            "override_by": args.override_by,
        },
    )
    if not answer["ok"]:
        return terminal.refused(answer)
    return terminal.say(f"Authorised: session {answer['session_id']}. Arm and start it at {args.device}.")


def _list(args: argparse.Namespace) -> int:
    rows = terminal.asked(args, op="session_list", open_only=args.open)["sessions"]
    for row in rows:
        cause = f" ({row['cause']})" if row["cause"] else ""
        terminal.say(f"{row['session_id'][:8]}  {row['room']:<10} {row['device']:<10} {row['state']}{cause}")
    return 0 if rows else terminal.say("No sessions.")


def _show(args: argparse.Namespace) -> int:
    session = terminal.asked(args, op="session_show", session_id=_whole_id(args))["session"]
    for name in ("session_id", "room", "device", "client", "operator", "state", "cause", "withheld"):
        if session[name] is not None:
            terminal.say(f"{name.removesuffix('_id'):<12}{session[name]}")
    terminal.say("plan        " + ", ".join(f"{name} {value}" for name, value in session["plan"].items()))
    with terminal.reader(args) as journal:
        for told in journal.new(mentioning=session["session_id"]):
            if words := terminal.told_words(told):
                terminal.say(words)
    return 0


def _cancel(args: argparse.Namespace) -> int:
    answer = terminal.ask(args, op="session_cancel", session_id=_whole_id(args), issued_by=terminal.me())
    return terminal.say("Cancelled.") if answer["ok"] else terminal.refused(answer)


def _status(args: argparse.Namespace) -> int:
    from fleet.words.events import status_words

    for line in status_words(terminal.asked(args, op="status")):
        terminal.say(line)
    return 0


def _devices(args: argparse.Namespace) -> int:
    from fleet.words.events import SWITCH_OFF

    rows = terminal.asked(args, op="devices")["devices"]
    for row in rows:
        doing = "struck off" if row["struck_off"] else _doing(row)
        latch = f", latched: {row['latched']}" if row["latched"] else ""
        held = f", held {len(row['holds'])} times" if row["holds"] else ""
        alarm = f", STOP {SWITCH_OFF}" if row["stop_unconfirmed"] else ""
        settings = _settings_of(row) + _due_of(row)
        terminal.say(
            f"{row['room']:<10} {row['device']:<10} {row['presence']:<6} {doing}{latch}{held}{settings}{alarm}"
        )
    return 0 if rows else terminal.say("No devices.")


def _doing(row: dict[str, Any]) -> str:
    """What a device does, or did when it was last heard."""
    if row["phase"] is None:
        return "not heard yet"
    return str(row["phase"]) if not row["silent"] else f"silent for {row['silent_s']:.0f} s, was {row['phase']}"


def _settings_of(row: dict[str, Any]) -> str:
    """Whether a device is in service, and has the settings that it should have."""
    service = ", out of service" if row["service_hold"] else ""
    if row["held_for_service"] and not row["service_hold"]:
        service = f", out of service until `stimfleet release --service {row['device']}`"
    wanted, has = row["settings_version"], row["names_version"]
    if wanted is None or has is None or row["struck_off"]:
        return service
    return f"{service}, settings {has}" + ("" if has == wanted else f" and not yet {wanted}")


def _due_of(row: dict[str, Any]) -> str:
    """What is overdue, or will be within 30 days."""
    from fleet.words.due import row_words

    return "".join(f", {row_words(due)}" for due in row["due"] if due["soon"] and not row["struck_off"])


def _alarms(args: argparse.Namespace) -> int:
    from fleet.words.alarms import alarm_words

    rows = terminal.asked(args, op="alarms", past=args.all)["alarms"]
    for row in rows:
        over = f" Over since {row['cleared']}." if row["cleared"] else ""
        terminal.say(f"{row['code']}  {row['since']}  {alarm_words(row)}{over}")
    return 0 if rows else terminal.say("No alarms.")


def _confirm_off(args: argparse.Namespace) -> int:
    answer = terminal.ask(args, op="confirm_off", device=args.device, issued_by=terminal.me())
    return (
        terminal.say(f"Noted: {terminal.me()} has seen that {args.device} is off.")
        if answer["ok"]
        else terminal.refused(answer)
    )


def _release(args: argparse.Namespace) -> int:
    if args.service and args.device == "all":
        raise terminal.Failed("A device is put back into service by itself: name it.")
    answer = terminal.ask(args, op="release", device=args.device, scope=args.service, issued_by=terminal.me())
    if not answer["ok"]:
        return terminal.refused(answer)
    return terminal.say(f"Released. {args.device}: a latch that is left is reset at the device, by a person.")


def _drain(args: argparse.Namespace) -> int:
    terminal.asked(args, op="drain", issued_by=terminal.me())
    return terminal.say("Nothing new is authorised from now on. `stimfleet session list --open` shows what still runs.")


def _undrain(args: argparse.Namespace) -> int:
    terminal.asked(args, op="undrain", issued_by=terminal.me())
    return terminal.say("Sessions are authorised again.")


# --- words into values ------------------------------------------------------------------------------------------------


def _whole_id(args: argparse.Namespace) -> str:
    """A session's id from its first characters."""
    if not re.fullmatch("[0-9a-f]{4,32}", args.session):
        raise terminal.Failed("A session's id is 4 to 32 of 0-9 and a-f.")
    ids = [row["session_id"] for row in terminal.asked(args, op="session_list")["sessions"]]
    found = [known for known in ids if known.startswith(args.session)]
    if len(found) != 1:
        raise terminal.Failed(f"{'No' if not found else 'More than one'} session begins with {args.session}.")
    return str(found[0])


def _moment(text: str) -> float:
    """Unix seconds of `now` or of an ISO 8601 time with its offset."""
    if text == "now":
        return time.time()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither `now` nor a time like {_EXAMPLE}") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} does not say in which time zone, as does {_EXAMPLE}")
    return moment.timestamp()
