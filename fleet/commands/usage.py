"""`stimfleet usage`: counts the journal, and says what came of it as a table, as CSV or as JSON.

Seconds and charge of the devices' own records are never added to the fleet's own time: they have columns of their own.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from fleet.commands import terminal
from fleet.reports.sheets import SIMULATED_UNTIL, sheet

Row = dict[str, Any]  # `tallies.Tally.figures`
PROGRESS_EVENTS = 5_000  # a second or less

# Heading of the table, and how a row says it.
_COLUMNS: tuple[tuple[str, str], ...] = (
    ("authorised", "{authorised}"),
    ("refused", "{refused}"),
    ("started", "{started}"),
    ("completed", "{completed}"),
    ("stopped", "{stopped}"),
    ("aborted", "{aborted}"),
    ("session min", "{session_min:.1f}"),
    ("current min", "{current_min:.1f}"),
    ("charge mC", "{charge_mc:.1f}"),
    ("by fleet only", "{by_fleet}"),
    ("min", "{fleet_session_min:.1f}"),
    ("faults", "{fault_count}"),
    ("reconnects", "{reconnects}"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=_day, metavar="DAY", help="first day, e.g. 2026-11-01")
    parser.add_argument("--to", dest="last", type=_day, metavar="DAY", help="last day, included")
    parser.add_argument("--by", choices=("day", "room", "device", "cause"), default="day", help="(default: day)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="for a spreadsheet; seconds and microcoulombs")
    shape.add_argument("--json", action="store_true", help="the same, with faults and causes by kind")


def count(args: argparse.Namespace) -> int:
    """Count the journal and print it."""
    from fleet.core.tallies import By, add_up

    first, last = args.first or date.min, args.last or date.max
    if first > last:
        raise terminal.Failed(f"No day is from {first} to {last}: --from is the first day, --to the last.")
    usage, simulated_until = _counted(args.data_dir / "journal.db")
    tallies, tally = add_up(usage, By(args.by), first, last)
    rows, total = {key: row.figures() for key, row in tallies.items()}, tally.figures()
    zone = usage.state.durable.registry.clinic.time_zone
    if args.json:
        said = {"by": args.by, "time_zone": zone, "simulated_until": simulated_until, "rows": rows, "total": total}
        return terminal.say(json.dumps(said, indent=2))
    if args.csv:
        return _print_csv(args.by, rows, total, simulated_until)
    if simulated_until is not None:
        terminal.say(f"Everything up to {simulated_until} is simulated: it never happened.")
    return _print_table(args.by, rows, total, zone)


def _counted(journal: Path) -> tuple[Any, str | None]:
    """The usage, and the last day that was made up (`demo.past.making`); None: none was."""
    from fleet.adapters.journal.whole import whole_journal
    from fleet.core.fold_doses import local_day
    from fleet.core.usage import Usage, fold
    from fleet.reports.usage_ledger import SIMULATED
    from fleet.stored import FORMS

    usage, is_watched, made_up_wall_s = Usage(), sys.stderr.isatty(), None
    for position, events, event in whole_journal(journal, FORMS):
        fold(usage, event)
        if (usage.state.durable.host_boot or "").startswith(SIMULATED):
            made_up_wall_s = event.wall_s
        if is_watched and position % PROGRESS_EVENTS == 0:
            sys.stderr.write(f"\r\033[K{position} of {events} events")
            sys.stderr.flush()
    if is_watched:
        sys.stderr.write("\r\033[K")
    return usage, None if made_up_wall_s is None else local_day(usage.state.durable, made_up_wall_s).isoformat()


# --- shapes ---------------------------------------------------------------------------------------------------------


def _print_csv(by: str, rows: dict[str, Row], total: Row, simulated_until: str | None) -> int:
    """Without a line for the total: a spreadsheet adds up by itself."""
    lines = ({by: key, **_without_kinds(row), SIMULATED_UNTIL: simulated_until} for key, row in rows.items())
    sys.stdout.write(sheet([by, *_without_kinds(total), SIMULATED_UNTIL], lines))
    return 0


def _without_kinds(row: Row) -> Row:
    """Faults as one number; the causes are rows of their own (`--by cause`)."""
    return {name: sum(row["faults"].values()) if name == "faults" else row[name] for name in row if name != "causes"}


def _print_table(by: str, rows: dict[str, Row], total: Row, zone: str) -> int:
    lines = [[by, *(heading for heading, _ in _COLUMNS)]]
    lines += [[key, *_said(row)] for key, row in (*rows.items(), ("total", total))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    for key, *cells in lines:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        terminal.say("  ".join([key.ljust(widths[0]), *figures]))
    if total["by_fleet"]:
        terminal.say(
            f"By fleet only: {total['by_fleet']}, without numbers of the device; their minutes are the fleet's own, in "
            "no other column."
        )
    if total["open"]:
        terminal.say(f"Not over yet: {total['open']}, in no column of minutes.")
    return terminal.say(f"Days are the clinic's ({zone}).")


def _said(row: Row) -> list[str]:
    figures = {
        **row,
        "session_min": row["session_s"] / 60,
        "current_min": row["current_s"] / 60,
        "charge_mc": row["charge_uc"] / 1000,
        "fleet_session_min": row["fleet_session_s"] / 60,
        "fault_count": sum(row["faults"].values()),
    }
    return [template.format(**figures) for _, template in _COLUMNS]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-25") from error
