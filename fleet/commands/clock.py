"""`stimfleet clock`: the fleet host's own clock, and what to do when it has stepped ahead."""

import argparse
from typing import Any

from fleet.commands import terminal

ACCEPT = "accept"
REASON_CHARS_MAX = 280


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=(ACCEPT,), help="accept: the host's clock is right as it is now")
    parser.add_argument("--reason", help="with accept: why it is known to be right; no client data")


def clock(args: argparse.Namespace) -> int:
    """Show both times; with `accept`, go on from the host's clock."""
    if args.what == ACCEPT:
        return _accept(args)
    if args.reason is not None:
        raise terminal.Failed("--reason belongs to `stimfleet clock accept`.")
    return _show(args)


def _show(args: argparse.Namespace) -> int:
    from fleet.words.events import ahead_words

    told = terminal.asked(args, op="clock")
    terminal.say(f"host's clock    {told['host']}")
    terminal.say(f"clinic's time   {told['clinic']}")
    if not told["in_doubt"]:
        return terminal.say("The host's clock is believed.")
    if told["ahead_s"] > told["step_s_max"]:
        what = f"The host's clock is {ahead_words(told['ahead_s'])} ahead of where its boot time has it."
    else:
        what = "The host's clock had stepped ahead, and is believed again after a minute."
    terminal.say(f"{what} Nothing new is authorised until it is put right, or accepted:")
    return terminal.say('if it is right now: `stimfleet clock accept --reason "..."`.')


def _accept(args: argparse.Namespace) -> int:
    reason = (args.reason or "").strip()
    if not reason:
        raise terminal.Failed("Say how you know that the host's clock is right: --reason, the journal keeps it.")
    if len(reason) > REASON_CHARS_MAX:
        raise terminal.Failed(f"A reason has at most {REASON_CHARS_MAX} characters.")
    answer: dict[str, Any] = terminal.ask(args, op="clock_accept", issued_by=terminal.me(), reason=reason)
    if not answer["ok"]:
        return terminal.refused(answer)
    told = terminal.asked(args, op="clock")
    return terminal.say(f"Accepted: it is {told['clinic']}. Sessions are authorised again.")
