"""`stimfleet recorder`: run it, or say in plain words how the one that runs does."""

import argparse
import logging
from datetime import UTC, datetime
from typing import Any

from broker.collecting import loading
from fleet.commands import terminal


def run(args: argparse.Namespace) -> int:
    """Record until somebody ends it."""
    with loading():
        from fleet.adapters.history.settings import load_recorder_settings
        from fleet.recording.recorder import EXIT_REFUSED, run_recorder
        from fleet.settings import SettingsRefused

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = load_recorder_settings(args.site_dir, args.data_dir)
    except SettingsRefused as refused:
        terminal.fail(str(refused))
        return EXIT_REFUSED
    return run_recorder(settings)


def show(args: argparse.Namespace) -> int:
    """What it does, and what it cannot do: 1 where it cannot."""
    from fleet.adapters.history.settings import load_recorder_settings
    from fleet.adapters.history.telling import NoRecorder, ask_status
    from fleet.settings import SettingsRefused

    try:
        status = ask_status(load_recorder_settings(args.site_dir, args.data_dir).status_path)
    except (NoRecorder, SettingsRefused) as failed:
        return terminal.fail(str(failed))
    for line in status_words(status):
        terminal.say(line)
    return 0 if status["refusing"] is None and status["fleet"] else 1


def status_words(status: dict[str, Any]) -> list[str]:
    """A recorder's status as lines for people; what is not so is left out."""
    lines = [
        f"store        {status['store']}, {status['taken']} samples taken, {status['written']} written",
        f"fleet        {'hands on what it takes in' if status['fleet'] else 'is not there'}",
        f"refusing     {status['refusing']}" if status["refusing"] else "",
        f"in memory    {status['waiting']} samples" if status["waiting"] else "",
        _on_disk(status) if status["spilled"] else "",
    ]
    counted = {
        "lost": "there was no room for them while the store took nothing",
        "missed": "the fleet could not hand them on: this was too slow",
        "unreadable": "they are not of this version",
        "dead_lettered": "the store calls them unfit; they are in dead-letters.lp",
        "expired": "they are older than what is kept",
    }
    lines += [f"{name:<12} {status[name]} samples: {why}" for name, why in counted.items() if status[name]]
    return [line for line in lines if line]


def _on_disk(status: dict[str, Any]) -> str:
    oldest_s = status["oldest_waiting_s"]
    since = "" if oldest_s is None else f", the oldest of {datetime.fromtimestamp(oldest_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"on disk      {status['spilled']} samples wait for the store{since}"
