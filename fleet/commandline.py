"""The fleet's part of the command line: `stimfleet fleet`, `session ...`, `stop`, `release`, `drain`, `journal ...`.

Everything heavy is imported inside a command.
"""

import argparse
import getpass
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

DATA_DIR = Path("fleet-data")
DATA_DIR_VARIABLE = "STIMFLEET_DATA_DIR"
SITE_DIR = Path("site")
ASK_EVERY_S = 0.02
STOP_ANSWER_S = 2.0  # then a person should be on the way to the device, not waiting here
STOP_ZERO_S = 7.0  # an idle device speaks every 5 s
LABEL_CHARS_MAX = 64

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

    sessions = commands.add_parser("session", help="request, list, show or cancel sessions")
    parts = sessions.add_subparsers(required=True, metavar="WHAT")
    _add_request(_command(parts, "request", "ask for a session; refused with every reason at once", _request))
    listing = _command(parts, "list", "sessions, newest first", _list)
    listing.add_argument("--open", action="store_true", help="leave out those that are over")
    _command(parts, "show", "one session with its record", _show).add_argument("session", help="its id, or its start")
    cancel = _command(parts, "cancel", "withdraw a session that has not started", _cancel)
    cancel.add_argument("session", help="its id, or its start")

    _command(commands, "devices", "every device: where, how fresh, what it does", _devices)
    stop = _command(commands, "stop", "emergency stop, followed until zero current is measured", _stop)
    stop.add_argument("device", help="device id, or all")
    stop.add_argument("--reason", default="pushed", help="a few words, no client data")
    stop.add_argument(
        "--within-s", type=float, default=STOP_ZERO_S, help="how long to wait for measured zero (default: %(default)s)"
    )
    says = "at the device, you have seen that it is off: ends the stop of one whose agent is dead"
    _command(commands, "confirm-off", says, _confirm_off).add_argument("device", help="device id")
    release = _command(commands, "release", "lift the hold of a stop; starts nothing", _release)
    release.add_argument("device", help="device id, or all")
    _command(commands, "drain", "authorise nothing new until the next start; running sessions go on", _drain)

    journal = commands.add_parser("journal", help="verify the journal, or read along")
    parts = journal.add_subparsers(required=True, metavar="WHAT")
    _command(parts, "verify", "check the whole hash chain", _verify)
    tail = _command(parts, "tail", "what happened, in plain words", _tail)
    tail.add_argument("--follow", action="store_true", help="go on reading")


def _command(commands: Any, name: str, says: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=says, description=says)
    default = Path(os.environ.get(DATA_DIR_VARIABLE, DATA_DIR))
    says = f"the fleet's folder (default: {DATA_DIR_VARIABLE} of the environment, or ./{DATA_DIR})"
    parser.add_argument("--data-dir", type=Path, default=default, help=says)
    parser.set_defaults(run=_plainly(run))
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", required=True, help="the client's random token: never a name")
    parser.add_argument("--device", required=True)
    parser.add_argument("--room", required=True, help="where the device stands, as the therapist sees it")
    parser.add_argument("--operator", required=True, help="who treats")
    parser.add_argument("--rule-set", default="ems-2026-1", help="the rules of the screening")
    parser.add_argument(
        "--screened-at", required=True, type=_moment, metavar="TIME", help="when: `now`, or 2026-11-22T09:30+01:00"
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


def _fleet(args: argparse.Namespace) -> int:
    from fleet.settings import SettingsRefused, load_settings
    from fleet.supervisor import supervise

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    given = {name: getattr(args, name) for name in ("broker_host", "broker_port")}
    try:
        settings = load_settings(args.site_dir, args.data_dir, **{k: v for k, v in given.items() if v is not None})
    except SettingsRefused as refused:
        return _fail(str(refused))
    return supervise(settings)


# --- people's requests ----------------------------------------------------------------------------------------------


def _request(args: argparse.Namespace) -> int:
    answer = _ask(
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
        return _refused(answer)
    return _say(f"Authorised: session {answer['session_id']}. Arm and start it at {args.device}.")


def _list(args: argparse.Namespace) -> int:
    rows = _asked(args, op="session_list", open_only=args.open)["sessions"]
    for row in rows:
        cause = f" ({row['cause']})" if row["cause"] else ""
        _say(f"{row['session_id'][:8]}  {row['room']:<10} {row['device']:<10} {row['state']}{cause}")
    return 0 if rows else _say("No sessions.")


def _show(args: argparse.Namespace) -> int:
    session = _asked(args, op="session_show", session_id=_whole_id(args))["session"]
    for name in ("session_id", "room", "device", "client", "operator", "state", "cause", "withheld"):
        if session[name] is not None:
            _say(f"{name.removesuffix('_id'):<12}{session[name]}")
    _say("plan        " + ", ".join(f"{name} {value}" for name, value in session["plan"].items()))
    for told in _reader(args).new(mentioning=session["session_id"]):
        if words := _words(told.name, told.body):
            _say(f"{told.at}  {words}")
    return 0


def _cancel(args: argparse.Namespace) -> int:
    answer = _ask(args, op="session_cancel", session_id=_whole_id(args), issued_by=_me())
    return _say("Cancelled.") if answer["ok"] else _refused(answer)


def _devices(args: argparse.Namespace) -> int:
    from fleet.words import SWITCH_OFF

    rows = _asked(args, op="devices")["devices"]
    for row in rows:
        doing = "struck off" if row["struck_off"] else _doing(row)
        latch = f", latched: {row['latched']}" if row["latched"] else ""
        held = f", held {len(row['holds'])} times" if row["holds"] else ""
        alarm = f", STOP {SWITCH_OFF}" if row["stop_unconfirmed"] else ""
        _say(f"{row['room']:<10} {row['device']:<10} {row['presence']:<6} {doing}{latch}{held}{alarm}")
    return 0 if rows else _say("No devices.")


def _doing(row: dict[str, Any]) -> str:
    """What a device does, or did when it was last heard."""
    if row["phase"] is None:
        return "not heard yet"
    return str(row["phase"]) if not row["silent"] else f"silent for {row['silent_s']:.0f} s, was {row['phase']}"


def _stop(args: argparse.Namespace) -> int:
    """Push a stop and tell the truth about it until zero is measured on every device that it is for."""
    waiting: set[str] = {args.device}
    try:
        answer = _ask(
            args,
            within_s=STOP_ANSWER_S,
            op="stop",
            device=args.device,
            issued_by=_me(),
            reason=args.reason[:LABEL_CHARS_MAX] or "pushed",
        )
        if answer["ok"]:
            _say("Ordered.")
            _follow_stop(args, answer["command_id"], waiting)
        else:
            _fail(str(answer["text"]))
    except (_Failed, OSError) as failed:
        _fail(str(failed))
    except KeyboardInterrupt:
        _fail("Nobody waits for measured zero any more.")
    finally:
        # Whatever came up: a person who pushed a stop is never left without the sentence that counts.
        if waiting:
            _not_confirmed(waiting)
    return 1 if waiting else 0


def _follow_stop(args: argparse.Namespace, command_id: str, waiting: set[str]) -> None:
    """Say what becomes of a stop; takes out of `waiting` whatever has been measured at zero."""
    devices = {row["device"]: row for row in _asked(args, op="devices")["devices"]}
    if args.device not in devices and args.device != "all":
        known = ", ".join(devices) or "none"
        raise _Failed(
            f"There is no device {args.device}: it was sent all the same, nobody is stopped. Devices: {known}."
        )
    reader = _reader(args)
    reader.skip(keep=1000)
    ordered: set[str] | None = None
    for name, body in _follow(reader, time.monotonic() + args.within_s, command_id):
        if name == "StopOrdered":
            ordered = {target["device"] for target in body["targets"]}
            waiting.clear()
            waiting.update(ordered)
        elif name == "StopPublished":
            _say("Sent.")
        elif name == "StopConfirmed":
            _say(str(_words(name, body)))
            waiting.discard(body["device"])
        if ordered is not None and not waiting:
            break
    if ordered is not None and not ordered:
        _say("No device is there to be stopped.")


def _not_confirmed(waiting: set[str]) -> None:
    for device in sorted(waiting):
        _fail(f"NOT confirmed: {device}: press the stop button on the stimulator or switch it off at the wall.")


def _confirm_off(args: argparse.Namespace) -> int:
    answer = _ask(args, op="confirm_off", device=args.device, issued_by=_me())
    return _say(f"Noted: {_me()} has seen that {args.device} is off.") if answer["ok"] else _refused(answer)


def _release(args: argparse.Namespace) -> int:
    answer = _ask(args, op="release", device=args.device, issued_by=_me())
    if not answer["ok"]:
        return _refused(answer)
    return _say(f"Released. {args.device}: a latch that is left is reset at the device, by a person.")


def _drain(args: argparse.Namespace) -> int:
    _asked(args, op="drain", issued_by=_me())
    return _say("Nothing new is authorised from now on. `stimfleet session list --open` shows what still runs.")


# --- the journal ----------------------------------------------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
    from fleet.adapters.journal.restore import verify_journal

    verified = verify_journal(args.data_dir / "journal.db")
    return _say(f"The chain holds: {verified.rows} events, tip {verified.tip_hash}.")


def _tail(args: argparse.Namespace) -> int:
    reader = _reader(args)
    while True:
        for told in reader.new():
            if words := _words(told.name, told.body):
                _say(f"{told.at}  {words}")
        if not args.follow:
            return 0
        time.sleep(ASK_EVERY_S * 10)


# --- asking and saying ----------------------------------------------------------------------------------------------


class _Failed(Exception):
    """The text is one sentence for people."""


def _plainly(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """`run`, with what cannot be done as one sentence on stderr and status 1."""

    def plainly(args: argparse.Namespace) -> int:
        from fleet.adapters.journal.errors import JournalError

        try:
            return run(args)
        except (JournalError, _Failed) as failed:
            return _fail(str(failed))
        except OSError as error:
            return _fail(f"{error.filename or error} cannot be used: {error.strerror or 'it is not there'}.")

    return plainly


def _ask(args: argparse.Namespace, within_s: float = 10.0, **request: Any) -> dict[str, Any]:
    from fleet.adapters.control.client import FleetUnreachable, ask

    try:
        return ask(args.data_dir / "control.sock", request, within_s=within_s)
    except FleetUnreachable as unreachable:
        raise _Failed(f"{unreachable} (--data-dir or {DATA_DIR_VARIABLE} names its folder.)") from unreachable


def _asked(args: argparse.Namespace, **request: Any) -> dict[str, Any]:
    answer = _ask(args, **request)
    if not answer["ok"]:
        raise _Failed(answer["text"])
    return answer


def _whole_id(args: argparse.Namespace) -> str:
    """A session's id from its first characters."""
    if not re.fullmatch("[0-9a-f]{4,32}", args.session):
        raise _Failed("A session's id is 4 to 32 of 0-9 and a-f.")
    ids = [row["session_id"] for row in _asked(args, op="session_list")["sessions"]]
    found = [known for known in ids if known.startswith(args.session)]
    if len(found) != 1:
        raise _Failed(f"{'No' if not found else 'More than one'} session begins with {args.session}.")
    return str(found[0])


def _reader(args: argparse.Namespace) -> Any:
    from fleet.adapters.journal.reading import JournalReader

    path = args.data_dir / "journal.db"
    if not path.exists():
        raise _Failed(f"There is no {path}; --data-dir or {DATA_DIR_VARIABLE} names the fleet's folder.")
    return JournalReader(path)


def _follow(reader: Any, give_up_s: float, mentioning: str) -> Iterator[tuple[str, Any]]:
    while time.monotonic() < give_up_s:
        for told in reader.new(mentioning=mentioning):
            yield told.name, told.body
        time.sleep(ASK_EVERY_S)


def _words(name: str, body: Any) -> str | None:
    from fleet.words import event_words

    return event_words(name, body)


def _refused(answer: dict[str, Any]) -> int:
    from fleet.words import refusal_words

    refusals = answer.get("refusals", [])
    if not refusals:
        return _fail(str(answer["text"]))
    _fail(f"Refused, for {len(refusals)} reason{'s' if len(refusals) > 1 else ''}:")
    for refusal in refusals:
        _fail(f"- {refusal_words(refusal)}")
    return 1


def _me() -> str:
    """The account that gives the command, as a label of the wire."""
    return getpass.getuser()[:LABEL_CHARS_MAX]


def _moment(text: str) -> float:
    """Unix seconds of `now` or of an ISO 8601 time with its offset."""
    if text == "now":
        return time.time()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither `now` nor a time like 2026-11-22T09:30+01:00") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} does not say in which time zone, e.g. {text}+01:00")
    return moment.timestamp()


def _say(words: str) -> int:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
    return 0


def _fail(words: str) -> int:
    sys.stderr.write(words + "\n")
    return 1
