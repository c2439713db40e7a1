"""`stimfleet provision check | model-check | firmware`: what is checked on devices, as it is typed and said back."""

import argparse
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from broker.pki.checks import Every
    from broker.pki.registry import Device, Registry

FOLLOWS = "The fleet reads this by itself: what is overdue lets no session start, and is told of 30 days ahead."
KINDS = ("calibration", "safety", "firmware")
_EVERY: tuple[tuple[str, type[float], str], ...] = (
    ("days", int, "the most days between two"),
    ("hours", float, "the most hours of use"),
    ("sessions", int, "the most sessions"),
)

Add = Callable[..., argparse.ArgumentParser]


def add_upkeep(add: Add, now: Callable[[], datetime]) -> None:
    """Add these commands; `add` makes one from its name, what it says and what it runs."""
    says = "note that a device was checked, or that it needs it more often than its model; without options shows it"
    check = add("check", says, partial(_check, now))
    check.add_argument("device")
    check.add_argument("kind", choices=KINDS)
    check.add_argument("--done", type=_day, metavar="YYYY-MM-DD", help="the day on which it was done last")
    _add_every(check)
    check.add_argument("--as-model", action="store_true", help="take the device's own intervals away again")

    model = add("model-check", "how often every device of a model is checked; without options shows it", _model_check)
    model.add_argument("model")
    model.add_argument("kind", choices=KINDS)
    _add_every(model)
    model.add_argument("--never", action="store_true", help="its devices do not need this check")

    firmware = add("firmware", "the oldest firmware that a model's devices may have", _firmware)
    firmware.add_argument("model")
    version = firmware.add_mutually_exclusive_group(required=True)
    version.add_argument("--minimum", metavar="VERSION", help="such as 2.1")
    version.add_argument("--any", action="store_true", help="whatever they have")
    firmware.add_argument("--by", type=_day, metavar="YYYY-MM-DD", help="the last day without it (default: at once)")


def _add_every(parser: argparse.ArgumentParser) -> None:
    for name, read, says in _EVERY:
        parser.add_argument(f"--every-{name}", type=read, metavar="N", help=says)


def _asked(args: argparse.Namespace) -> dict[str, float]:
    asked = {name: getattr(args, f"every_{name}") for name, _, _ in _EVERY}
    return {name: value for name, value in asked.items() if value is not None}


def _check(now: Callable[[], datetime], args: argparse.Namespace) -> int:
    from broker.pki.checks import CheckKind
    from broker.pki.folder import registry_of
    from broker.pki.upkeep import forget_intervals, record_check

    kind, every = CheckKind(args.kind), _asked(args)
    today = now().astimezone(ZoneInfo(registry_of(args.site_dir).time_zone)).date()
    if args.as_model:
        forget_intervals(args.site_dir, args.device, kind)
    registry = record_check(args.site_dir, args.device, kind, args.done, every, today=today)
    _say(_due_words(registry, registry.devices[args.device], kind))
    return _say(FOLLOWS) if every or args.done or args.as_model else 0


def _model_check(args: argparse.Namespace) -> int:
    from broker.pki.checks import CheckKind, Every
    from broker.pki.folder import ProvisioningRefused
    from broker.pki.upkeep import drop_interval, set_interval

    kind, every = CheckKind(args.kind), _asked(args)
    if args.never and every:
        raise ProvisioningRefused("A check cannot be needed every so often and never.")
    if args.never:
        registry = drop_interval(args.site_dir, args.model, kind)
    else:
        registry = set_interval(args.site_dir, args.model, kind, every)
    needed = registry.upkeep[args.model].every.get(kind.value, Every()) if args.model in registry.upkeep else Every()
    _say(f"Devices of model {args.model}: {kind} {_every_words(needed)}.")
    for device in registry.active_devices:
        if needed and device.model == args.model and _done_on(device, kind) is None:
            _say(_due_words(registry, device, kind))
    return _say(FOLLOWS) if every or args.never else 0


def _firmware(args: argparse.Namespace) -> int:
    from broker.pki.upkeep import require_firmware

    require_firmware(args.site_dir, args.model, args.minimum, None if args.any else args.by)
    if args.any:
        return _say(f"Devices of model {args.model} may have any firmware.", FOLLOWS)
    since = "from now on" if args.by is None else f"after {args.by}"
    return _say(f"Devices of model {args.model} need firmware {args.minimum} {since}.", FOLLOWS)


def _due_words(registry: "Registry", device: "Device", kind: str) -> str:
    from broker.pki.checks import CheckKind
    from broker.pki.upkeep import in_force

    every, done = in_force(registry, device, CheckKind(kind)), _done_on(device, kind)
    said = f"{device.id}: {kind} {_every_words(every)}"
    if done is None:
        return f"{said}, never recorded" + (": no session is started there until it is." if every else ".")
    until = "" if every.days is None else f": due on {done + timedelta(days=every.days)}"
    return f"{said}, last done on {done}{until}."


def _done_on(device: "Device", kind: str) -> date | None:
    check = device.checks.get(kind)
    return None if check is None else check.done


def _every_words(every: "Every") -> str:
    if not every:
        return "not needed"
    parts = [
        f"{value:.10g} {name if value != 1 else name[:-1]}"
        for name, _, _ in _EVERY
        if (value := getattr(every, name)) is not None
    ]
    return f"every {' or '.join(parts)}"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2027-01-31") from error


def _say(*sentences: str) -> int:
    sys.stdout.writelines(f"{sentence}\n" for sentence in sentences)
    return 0
