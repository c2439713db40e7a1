"""The broker's part of the command line: `stimfleet provision ...`, `broker`, `asyncapi`, `vectors`.

Everything heavy is imported inside a command, so that `stimfleet --help` and the fleet's start do not pay for it.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

SITE_DIR = Path("site")
CA_DIR = Path("ca")
REFUSED = 1

OBEYED = "The broker on this machine obeys the new list."
NOBODY_TOLD = "No broker of this site could be told on this machine; the new list is {acl}."

_Run = Callable[[argparse.Namespace], int]


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this part's commands. Each sets `run`, which takes the parsed arguments and returns the exit status."""
    _add_provision(subparsers.add_parser("provision", help="keys, certificates, devices and operators of a site"))
    _add_broker(subparsers.add_parser("broker", help="run the site's Mosquitto in the foreground"))
    for name, says, run in (
        ("asyncapi", "print the wire contract as an AsyncAPI 3 document", _asyncapi),
        ("vectors", "print the test vectors for agents of other vendors", _vectors),
    ):
        parser = subparsers.add_parser(name, help=says)
        parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
        parser.set_defaults(run=_plainly(run))


def _add_provision(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(required=True, metavar="WHAT")

    site = _part(parts, "site", "a new site: CA, site key, broker and service certificates", _site, ca=True)
    site.add_argument("site", help="id of the site: a-z, 0-9 and '-'")
    site.add_argument("--broker-host", default="127.0.0.1", help="where devices find the broker")
    site.add_argument("--broker-port", type=int, default=8883)
    site.add_argument("--host", action="append", default=[], help="a further name or address of the broker")
    site.add_argument("--unless-there", action="store_true", help="do nothing where the folder holds this site already")
    site.add_argument("--time-zone", default="UTC", help="what calendar rules go by, e.g. Europe/Vienna")

    says = "passwords and tokens that are not there yet, each a file: for InfluxDB, Grafana and their like"
    passwords = parts.add_parser("passwords", help=says)
    passwords.add_argument("name", nargs="+", metavar="NAME")
    passwords.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that holds them")
    passwords.set_defaults(run=_plainly(_passwords))

    device = _part(parts, "device", "a new device: the folder that is handed to it", _device, ca=True)
    device.add_argument("device", help="id of the device")
    device.add_argument("--room", required=True)
    device.add_argument("--serial", required=True, help="serial number on the stimulator")
    device.add_argument("--model", required=True)
    device.add_argument("--out", type=Path, required=True, help="folder to make; never one that holds papers")

    service = _part(parts, "service", "certificate of a fleet service that has none", _service, ca=True)
    service.add_argument("service", help="fleet-intake or fleet-safety")

    operator = _part(parts, "operator", "who may treat, and on which models until when", _operator)
    operator.add_argument("operator", help="id of the operator")
    operator.add_argument(
        "--instructed", action="append", default=[], type=_model_and_day, metavar="MODEL=YYYY-MM-DD", required=True
    )

    operator.add_argument("--clinician", action="store_true", help="may override a relative contraindication")

    renew = _part(parts, "renew", "a new certificate for a device, a service or the broker (`server`)", _renew, ca=True)
    renew.add_argument("identity", help="device id, fleet-intake, fleet-safety or server")
    renew.add_argument("--out", type=Path, help="folder of a device's new papers: a new one, or its own")
    renew.add_argument(
        "--new-key", action="store_true", help="a device's key too; the old one stays good until --finish"
    )
    says = "end the overlap: the old key is refused by fleet and device, its certificate not yet by the broker"
    renew.add_argument("--finish", action="store_true", help=says)

    rotate = _part(parts, "rotate", "a new site key; the old one stays good until --finish", _rotate)
    rotate.add_argument("--finish", action="store_true", help="end the overlap: the old site key is good no more")

    revoke = _part(parts, "revoke", "strike a device off, for good, and take its rights at the broker", _revoke)
    revoke.add_argument("device")

    says = "take a device as new, after its disk was replaced: the fleet forgets its boots and spools"
    _part(parts, "enrol", says, _enrol).add_argument("device")

    move = _part(parts, "move", "put a device into another room", _move)
    move.add_argument("device")
    move.add_argument("--room", required=True)

    from broker.settings_commands import add_settings
    from broker.upkeep_commands import add_upkeep

    add_settings(partial(_part, parts))
    add_upkeep(partial(_part, parts), _now)
    dose = _part(parts, "dose", "the clinic's own dose rules of a modality; says what holds", _dose)
    dose.add_argument("--modality", required=True, choices=("nmes", "wb_ems"))
    for flag, rule, kind, says in _DOSE_FLAGS:
        dose.add_argument(flag, dest=rule, type=kind, metavar="N", help=says)


# Every rule of `contract.dose.DoseRules`.
_DOSE_FLAGS: tuple[tuple[str, str, type[int] | type[float], str], ...] = (
    ("--sessions-per-7-days", "sessions_per_7_days_max", int, "the most sessions in any 7 days"),
    ("--rest-days", "rest_days_min", int, "the fewest whole days between two sessions"),
    ("--duration-s", "duration_s_max", float, "the longest session"),
    ("--first-duration-s", "first_duration_s_max", float, "the longest first session"),
    ("--conditioning-days", "conditioning_days", int, "how long a client is conditioned, from the first session"),
    ("--conditioning-duration-s", "conditioning_duration_s_max", float, "the longest session meanwhile"),
)


def _part(
    parts: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    says: str,
    run: _Run,
    *,
    ca: bool = False,
) -> argparse.ArgumentParser:
    parser = parts.add_parser(name, help=says)
    parser.add_argument("--site-dir", type=Path, default=SITE_DIR, help="the site's folder (default: ./site)")
    if ca:
        parser.add_argument("--ca-dir", type=Path, default=CA_DIR, help="the CA's own folder (default: ./ca)")
    parser.set_defaults(run=_plainly(run))
    return parser


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site-dir", type=Path, default=SITE_DIR)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on (default: the registry's)")
    parser.add_argument("--user", help="whom a broker started by root becomes (default: nobody else)")
    parser.add_argument("--configure-only", action="store_true", help="write mosquitto.conf and the ACL, run nothing")
    parser.set_defaults(run=_plainly(_broker))


# --- provision ------------------------------------------------------------------------------------------------------


def _site(args: argparse.Namespace) -> int:
    from broker.pki.folder import ProvisioningRefused
    from broker.pki.registry import FILE_NAME
    from broker.pki.registry_file import load_registry
    from broker.pki.site import provision_site

    if args.unless_there and (args.site_dir / FILE_NAME).exists():
        if (known := load_registry(args.site_dir).site) != args.site:
            raise ProvisioningRefused(f"The folder {args.site_dir} holds the site {known}, not {args.site}.")
        return _say(f"Site {args.site} is in {args.site_dir} already.")
    provision_site(
        args.site_dir,
        args.ca_dir,
        args.site,
        now=_now(),
        broker_host=args.broker_host,
        broker_port=args.broker_port,
        hosts=args.host,
        time_zone=args.time_zone,
    )
    return _say(
        f"Site {args.site} is provisioned in {args.site_dir}.",
        f"Its CA is in {args.ca_dir}: keep that folder off the fleet's host.",
    )


def _passwords(args: argparse.Namespace) -> int:
    from broker.pki.passwords import make_passwords

    made = make_passwords(args.out, args.name)
    return _say(f"Made in {args.out}: {', '.join(made)}." if made else f"All of them are in {args.out} already.")


def _device(args: argparse.Namespace) -> int:
    from broker.mosquitto.running import reload_broker
    from broker.pki.devices import provision_device

    provision_device(args.site_dir, args.ca_dir, args.device, args.room, args.serial, args.model, args.out, now=_now())
    return _say(
        f"Device {args.device} in {args.room} is provisioned; hand {args.out} to it and keep no copy.",
        OBEYED if reload_broker(args.site_dir, time.monotonic) else NOBODY_TOLD.format(acl=_acl(args.site_dir)),
    )


def _service(args: argparse.Namespace) -> int:
    from broker.pki.site import provision_service

    return _say(
        f"Certificate of {args.service}: {provision_service(args.site_dir, args.ca_dir, args.service, now=_now())}"
    )


def _operator(args: argparse.Namespace) -> int:
    from broker.pki.devices import provision_operator

    operator = provision_operator(args.site_dir, args.operator, dict(args.instructed), clinician=args.clinician)
    until = ", ".join(f"{model} until {day}" for model, day in operator.instructed_until.items())
    role = "Clinician" if operator.clinician else "Operator"
    return _say(f"{role} {operator.id} is instructed on {until}.")


def _renew(args: argparse.Namespace) -> int:
    from broker.pki.devices import drop_old_keys, renew_device
    from broker.pki.folder import ProvisioningRefused
    from broker.pki.site import SERVER, SERVICES, renew_service

    if args.identity in (*SERVICES, SERVER):
        path = renew_service(args.site_dir, args.ca_dir, args.identity, now=_now())
        return _say(f"New certificate of {args.identity}: {path}. Restart what uses it.")
    if args.finish:
        drop_old_keys(args.site_dir, args.identity)
        return _say(
            f"Only the newest key of {args.identity} is good from now on, to the fleet and to the device; "
            "restart the fleet or have it reload.",
            "The broker still lets in whoever has the old key and certificate, until that runs out: "
            f"where it may be stolen, strike the device off with `stimfleet provision revoke {args.identity}`.",
        )
    if args.out is None:
        raise ProvisioningRefused("Name the folder for the device's new papers with --out.")
    device = renew_device(args.site_dir, args.ca_dir, args.identity, args.out, now=_now(), new_key=args.new_key)
    return _say(f"New papers of {device.id} until {device.certificate_until}: hand {args.out} to it.")


def _rotate(args: argparse.Namespace) -> int:
    from broker.pki.site import drop_old_site_key, rotate_site_key

    if args.finish:
        drop_old_site_key(args.site_dir)
        return _say("The old site key is good no more.")
    rotate_site_key(args.site_dir)
    return _say(
        f"There is a new site key. Give {args.site_dir / 'site.pub'} to every device, then run this with --finish.",
    )


def _revoke(args: argparse.Namespace) -> int:
    from broker.mosquitto.running import reload_broker
    from broker.pki.devices import strike_off

    strike_off(args.site_dir, args.device)
    struck_off = f"Device {args.device} is struck off, for good."
    if reload_broker(args.site_dir, time.monotonic):
        return _say(struck_off, OBEYED)
    _say(struck_off)
    sys.stderr.write(
        f"{NOBODY_TOLD.format(acl=_acl(args.site_dir))} "
        "The device's rights at the broker go on until the broker gets that list and reloads it.\n"
    )
    return REFUSED


def _enrol(args: argparse.Namespace) -> int:
    from broker.pki.devices import enrol_again

    device = enrol_again(args.site_dir, args.device)
    return _say(
        f"Device {device.id} is enrolled anew, for the {_nth(device.enrolled_n)} time.",
        "The fleet reads this by itself: it forgets its boots and spools, so that it may count from 1 again.",
        "A session that is live on it counts as lost, and gets no more leases.",
    )


def _move(args: argparse.Namespace) -> int:
    from broker.pki.devices import move

    device = move(args.site_dir, args.device, args.room)
    return _say(
        f"Device {device.id} belongs to {device.room} from now on; the fleet reads this by itself and tells it."
    )


def _dose(args: argparse.Namespace) -> int:
    from broker.contract.plan import Modality
    from broker.pki.dosing import tighten_dose

    asked = {rule: getattr(args, rule) for _, rule, _, _ in _DOSE_FLAGS}
    given = {rule: value for rule, value in asked.items() if value is not None}
    known = tighten_dose(args.site_dir, Modality(args.modality), given)
    changed = "The fleet reads this by itself." if given else "Nothing is changed."
    longest_s = known.duration_s_max
    first_s, meanwhile_s = (min(longest_s, s) for s in (known.first_duration_s_max, known.conditioning_duration_s_max))
    return _say(
        f"{args.modality}: at most {known.sessions_per_7_days_max} in any 7 days, at least {known.rest_days_min} whole "
        f"days between two sessions,",
        f"at most {longest_s:g} s, the first {first_s:g} s; for {known.conditioning_days} days from the first "
        f"{meanwhile_s:g} s. {changed}",
    )


def _acl(site_dir: Path) -> Path:
    return site_dir / "broker" / "acl"


def _nth(n: int) -> str:
    ending = "th" if n % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _model_and_day(text: str) -> tuple[str, date]:
    model, equals, day = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like MODEL=2027-01-31")
    try:
        return model, date.fromisoformat(day)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{day!r} is no day like 2027-01-31") from error


# --- broker and documents -------------------------------------------------------------------------------------------


def _broker(args: argparse.Namespace) -> int:
    """Become Mosquitto: whoever started this command supervises it."""
    from broker.mosquitto.configuration import write_configuration
    from broker.mosquitto.local import mosquitto_path
    from broker.mosquitto.running import lone_broker, refuse_taken_port
    from broker.pki.registry_file import load_registry

    registry = load_registry(args.site_dir)
    with lone_broker(args.site_dir) as lock:
        if not args.configure_only:
            command = mosquitto_path()
            refuse_taken_port(args.bind, args.port or registry.broker_port)
        configuration = write_configuration(args.site_dir, registry, bind=args.bind, port=args.port, user=args.user)
        if not args.configure_only:
            _become([command, "-c", str(configuration)], lock)
    return _say(f"Configuration of the broker: {configuration}")


def _become(command: list[str], lock: int) -> NoReturn:
    from broker.mosquitto.running import note_pid
    from broker.scheduling import ask_for_turns

    sys.stdout.flush()
    ask_for_turns()
    os.set_inheritable(lock, True)  # the lock is Mosquitto's from here on, and ends with it
    note_pid(lock, os.getpid())
    os.execv(command[0], command)  # noqa: S606 - an argument list of our own


def _asyncapi(args: argparse.Namespace) -> int:
    from broker.wire.asyncapi import document_text

    return _publish(document_text(), args.out)


def _vectors(args: argparse.Namespace) -> int:
    from broker.wire.vectors import vectors_text

    return _publish(vectors_text(), args.out)


def _publish(text: str, out: Path | None) -> int:
    if out is None:
        sys.stdout.write(text)
        return 0
    out.write_text(text, encoding="utf-8")
    return _say(f"Written to {out}.")


# --- plain words ----------------------------------------------------------------------------------------------------


def _plainly(run: _Run) -> _Run:
    """`run`, with its refusals as one sentence on stderr and a status other than 0."""

    def plainly(args: argparse.Namespace) -> int:
        from broker.mosquitto.running import BrokerFailed
        from broker.pki.folder import ProvisioningRefused
        from broker.pki.registry import BadRegistry

        try:
            return run(args)
        except (ProvisioningRefused, BadRegistry, BrokerFailed) as refused:
            sys.stderr.write(f"{refused}\n")
        except BrokenPipeError:  # no file that cannot be used: whoever reads has gone, which `stimfleet.main` knows
            raise
        except OSError as error:
            sys.stderr.write(f"{error.filename or 'A file'} cannot be used: {error.strerror}.\n")
        return REFUSED

    return plainly


def _say(*sentences: str) -> int:
    sys.stdout.writelines(f"{sentence}\n" for sentence in sentences)
    return 0


def _now() -> datetime:
    return datetime.now(UTC)
