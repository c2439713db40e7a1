"""`stimfleet provision clinic | hours | model | settings | service-hold`: what a clinic sets, as it is typed."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker.contract.limits import Limits
    from broker.pki.settings import Change

FOLLOWS = (
    "The fleet reads this by itself. What is tighter holds at once, also for sessions that run; what is looser, from "
    "the next session on."
)
_SETTINGS: tuple[tuple[str, type[float], str], ...] = (
    ("idle_period_s", float, "how often an idle device reports: 1 to 10 s (5)"),
    ("live_period_s", float, "how often a device reports in a session: 0.05 to 0.5 s (0.5)"),
    ("start_within_s", float, "how long an authorised session waits for its start: 10 to 3600 s (120)"),
    ("pause_total_s", float, "how long all pauses of a session may last: 0 to 600 s (600)"),
    ("lease_ttl_ms", int, "how long output is allowed after a good sample: 4000 to 10000 ms (5000)"),
)

Add = Callable[..., argparse.ArgumentParser]


def add_settings(add: Add) -> None:
    """Add these commands; `add` makes one from its name, what it says and what it runs."""
    clinic = add("clinic", "the clinic's own limits and settings; without options shows them", _clinic)
    for name, read, says in _SETTINGS:
        clinic.add_argument(f"--{name.replace('_', '-')}", type=read, metavar="NUMBER", help=says)
    _add_limits(clinic)

    hours = add("hours", "when the clinic is open, for utilisation; without words shows it", _hours)
    hours.add_argument(
        "said", nargs="*", type=_weekday, metavar="DAY=HOURS", help='e.g. mon=08:00-18:00 "sat=08:00-12:00 13:00-16:00"'
    )

    model = add("model", "limits of a model, tighter than its devices say of themselves", _model)
    model.add_argument("model")
    _add_limits(model)

    settings = add("settings", "limits of one device, tighter than the clinic's; without options shows them", _settings)
    settings.add_argument("device")
    _add_limits(settings)

    hold = add("service-hold", "take a device out of service, or allow it back", _service_hold)
    hold.add_argument("device")
    hold.add_argument("hold", choices=("on", "off"))


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        type=_named_number,
        metavar="NAME=NUMBER",
        help="set a limit, e.g. peak_ma_max=60; may be repeated",
    )
    parser.add_argument("--no-limit", action="append", default=[], metavar="NAME", help="take such a limit away again")


def _clinic(args: argparse.Namespace) -> int:
    from broker.contract.limits import ENVELOPE, Layer
    from broker.pki.settings import set_clinic

    asked = {name: value for name, _, _ in _SETTINGS if (value := getattr(args, name)) is not None}
    registry = set_clinic(args.site_dir, _change(args), asked)
    chosen = registry.clinic
    _say(
        f"The clinic's limits: {_limits(ENVELOPE.tightened_by(Layer.CLINIC, **registry.clinic_limits))}.",
        f"A device reports every {chosen.idle_period_s:g} s, in a session every {chosen.live_period_s:g} s.",
        f"A session starts within {chosen.start_within_s:g} s; its pauses last {chosen.pause_total_s:g} s in all.",
        f"A lease lasts {chosen.lease_ttl_ms} ms.",
    )
    if {"start_within_s", "pause_total_s"} & asked.keys():
        _say("How long a start may wait and pauses may last is said to each session when it is authorised.")
    return _follows(args, *asked)


def _hours(args: argparse.Namespace) -> int:
    from broker.pki.opening import WEEKDAYS
    from broker.pki.settings import set_hours

    said = set_hours(args.site_dir, dict(args.said))
    return _say(*(f"{day} {said.get(day) or 'closed'}" for day in WEEKDAYS))


def _model(args: argparse.Namespace) -> int:
    from broker.contract.limits import ENVELOPE, Layer
    from broker.pki.settings import set_model

    registry = set_model(args.site_dir, args.model, _change(args))
    limits = ENVELOPE.tightened_by(Layer.MODEL, **registry.models[args.model])
    _say(f"The limits of model {args.model}: {_limits(limits)}. What its devices say of themselves may be stricter.")
    return _follows(args)


def _settings(args: argparse.Namespace) -> int:
    from broker.pki.settings import in_force, set_device

    registry = set_device(args.site_dir, args.device, _change(args))
    device = registry.devices[args.device]
    _say(
        f"The limits of {device.id} ({device.model}, {device.room}): {_limits(in_force(registry, device))}. "
        "What it says of itself may be stricter."
    )
    return _follows(args)


def _service_hold(args: argparse.Namespace) -> int:
    from broker.pki.settings import hold_for_service

    device = args.device
    hold_for_service(args.site_dir, device, hold=args.hold == "on")
    if args.hold == "on":
        return _say(
            f"{device} is out of service; the fleet tells it by itself.",
            "A session that runs there is stopped at once, and nothing new is authorised.",
        )
    return _say(
        f"{device} may return to service. It stays held until somebody says: stimfleet release --service {device}",
        "Where it stopped a session, a person resets the device there after that.",
    )


def _change(args: argparse.Namespace) -> "Change":
    from broker.pki.folder import ProvisioningRefused
    from broker.pki.settings import Change

    limits = dict(args.limit)
    if len(limits) != len(args.limit):
        raise ProvisioningRefused("The same limit is named twice.")
    return Change(limits, tuple(args.no_limit))


def _limits(limits: "Limits") -> str:
    """Those that somebody has set, and by whom."""
    from broker.contract.limits import LIMIT_NAMES, Layer

    tighter = [(name, getattr(limits, name)) for name in LIMIT_NAMES]
    said = [f"{name} {limit.value:g} ({limit.layer})" for name, limit in tighter if limit.layer is not Layer.ENVELOPE]
    return ", ".join(said) or "the envelope's, nothing tighter"


def _follows(args: argparse.Namespace, *changed: Any) -> int:
    return _say(FOLLOWS) if changed or args.limit or args.no_limit else 0


def _weekday(text: str) -> tuple[str, str]:
    day, equals, hours = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like mon=08:00-18:00")
    return day, hours


def _named_number(text: str) -> tuple[str, float]:
    name, equals, number = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like peak_ma_max=60")
    try:
        return name, float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{number!r} is no number") from error


def _say(*sentences: str) -> int:
    sys.stdout.writelines(f"{sentence}\n" for sentence in sentences)
    return 0
