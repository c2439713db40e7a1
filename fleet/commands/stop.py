"""`stimfleet stop`: push a stop, follow it until zero current is measured, and never end without what counts."""

import argparse
import math
import time

from fleet.commands import terminal

ANSWER_S = 2.0  # then a person should be on the way to the device, not waiting here
ZERO_S = 7.0  # an idle device speaks every 5 s
BY_HAND = "press the stop button on the stimulator or switch it off at the wall."


def push(args: argparse.Namespace) -> int:
    """Push a stop and tell the truth about it until zero is measured on every device that it is for."""
    waiting: set[str] = {args.device}
    try:
        answer = terminal.ask(
            args,
            within_s=ANSWER_S,
            op="stop",
            device=args.device,
            issued_by=terminal.me(),
            reason=args.reason[: terminal.LABEL_CHARS_MAX] or "pushed",
        )
        if answer["ok"]:
            terminal.say("Ordered.")
            _follow_stop(args, answer["command_id"], waiting, _wait_s(args.within_s))
        else:
            terminal.fail(str(answer["text"]))
    except BrokenPipeError:  # `stimfleet stop all | head -1`
        terminal.fail("Nobody reads along any more, so nobody waits for measured zero.")
    except (terminal.Failed, OSError) as failed:
        terminal.fail(str(failed))
    except KeyboardInterrupt:
        terminal.fail("Nobody waits for measured zero any more.")
    finally:
        # Whatever came up: a person who pushed a stop is never left without the sentence that counts.
        if waiting:
            _not_confirmed(waiting)
    return 1 if waiting else 0


def not_understood() -> None:
    """What was typed is no stop: whoever typed it must not believe that it is one."""
    terminal.fail(f"NOTHING WAS STOPPED: {BY_HAND}")


def _wait_s(text: str | None) -> float:
    """How long to wait, judged once the stop is pushed: a wrong number is no reason not to stop."""
    if text is None:
        return ZERO_S
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = math.nan
    if math.isfinite(wait_s) and wait_s > 0.0:
        return wait_s
    terminal.fail(
        f"--within-s must be a positive number of seconds, like 10; {text!r} is none. "
        f"The stop was pushed all the same, and zero is waited for {ZERO_S:g} s."
    )
    return ZERO_S


def _follow_stop(args: argparse.Namespace, command_id: str, waiting: set[str], wait_s: float) -> None:
    """Say what becomes of a stop; takes out of `waiting` whatever has been measured at zero."""
    devices = {row["device"]: row for row in terminal.asked(args, op="devices")["devices"]}
    if args.device not in devices and args.device != "all":
        known = ", ".join(devices) or "none"
        raise terminal.Failed(
            f"There is no device {args.device}: it was sent all the same, nobody is stopped. Devices: {known}."
        )
    ordered: set[str] | None = None
    with terminal.reader(args) as journal:
        journal.skip(keep=1000)
        for name, body in terminal.follow(journal, time.monotonic() + wait_s, command_id):
            if name == "StopOrdered":
                ordered = {target["device"] for target in body["targets"]}
                waiting.clear()
                waiting.update(ordered)
            elif name == "StopPublished":
                terminal.say("Sent.")
            elif name == "StopConfirmed":
                terminal.say(str(terminal.words(name, body)))
                waiting.discard(body["device"])
            if ordered is not None and not waiting:
                break
    if ordered is not None and not ordered:
        terminal.say("No device is there to be stopped.")


def _not_confirmed(waiting: set[str]) -> None:
    for device in sorted(waiting):
        terminal.fail(f"NOT confirmed: {device}: {BY_HAND}")
