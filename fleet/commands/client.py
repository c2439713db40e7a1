"""`stimfleet client`: what the dose ledger holds of a client, in plain words."""

import argparse
from typing import Any

from fleet.commands import terminal

_BY = {"device": "by the device", "fleet": "at most, by the fleet's own time"}


def show(args: argparse.Namespace) -> int:
    """Say what a client has had, and from which day what is possible again."""
    client = terminal.asked(args, op="client_show", client=args.client)["client"]
    terminal.say(f"{client['client']}: {client['today']} by the clinic's clock ({client['time_zone']})")
    for one in client["sessions"]:
        standing = one["standing"].replace("_", " ")
        terminal.say(f"{one['day']}  {one['modality']:<7} {one['device']:<10} {standing}, {_current(one)}")
    if not client["sessions"]:
        terminal.say("No sessions in the ledger.")
    for name, modality in client["modalities"].items():
        terminal.say(f"{name:<7} {modality['in_7_days']} of {modality['in_7_days_max']} in 7 days, {_next(modality)}")
    return 0


def _current(one: dict[str, Any]) -> str:
    """How long current flowed, or is taken to have."""
    if one["standing"] == "reserved":
        return f"{one['reserved_s'] / 60:.0f} min"
    if one["current_s"] is None:
        return "nobody knows how long current flowed"
    return f"current for {one['current_s'] / 60:.1f} min {_BY[one['by']]}"


def _next(modality: dict[str, Any]) -> str:
    words = f"possible from {modality['possible_from']}"
    if modality["first_duration_s_max"] is not None:
        words += f"; the first, at most {modality['first_duration_s_max'] / 60:.0f} min"
    if modality["conditioning_until"] is not None:
        words += f"; conditioning until {modality['conditioning_until']}"
    return words
