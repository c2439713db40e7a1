"""The demo with one seed after the other, a line each: `make seeds`, or `python -m tools.seeds --for 60 --seeds 10`.

Exit status 1 where any of them found a violation (a stop without a measured zero, a session lost by lease and telemetry
that was never sent are some, `demo.bookkeeping`), missed an event, left an incident out or did not end cleanly.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main() -> int:
    """Run them; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", type=float, default=60.0, dest="seconds", help="seconds for each")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--devices", type=int, default=12)
    asked = parser.parse_args()
    bad = [seed for seed in range(asked.first, asked.first + asked.seeds) if not _is_fine(seed, asked)]
    print("All of them are fine." if not bad else f"Not fine: {', '.join(map(str, bad))}.")
    return 1 if bad else 0


def _is_fine(seed: int, asked: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="stimfleet-seed-") as folder:
        path = Path(folder) / "report.json"
        options = ["--for", f"{asked.seconds:g}", "--devices", str(asked.devices), "--seed", str(seed)]
        command = [sys.executable, "-m", "stimfleet", "demo", *options, "--report", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = json.loads(path.read_text(encoding="utf-8") or "null") if path.exists() else None
    left_out = [line.split("Left out: ", 1)[1] for line in done.stdout.splitlines() if "Left out: " in line]
    is_fine = none_is_wrong(done.returncode, report, left_out)
    print(f"seed {seed}: {'fine' if is_fine else 'NOT FINE'}: {_words(report)}", flush=True)
    for line in (*left_out, *(map(json.dumps, report["violations"]) if report else ())):
        print(f"    {line}", flush=True)
    if done.returncode and (report is None or not report["violations"]):
        print(f"    exit status {done.returncode}; it said last: {(done.stdout + done.stderr)[-600:]}", flush=True)
    return is_fine


def none_is_wrong(status: int, report: dict[str, Any] | None, left_out: Sequence[str]) -> bool:
    """By the demo's exit status, and by its figures once more: they need not believe each other."""
    return (
        status == 0
        and not left_out
        and report is not None
        and not report["violations"]
        and report["events"]["missing"] == 0
        and report["events"]["published"] == report["events"]["journaled"]
        and report["telemetry"]["lost"] >= 0
    )


def _words(report: dict[str, Any] | None) -> str:
    if report is None:
        return "no report"
    telemetry, events, sessions, stops = (report[name] for name in ("telemetry", "events", "sessions", "stops"))
    return (
        f"{sessions['started']} sessions, {sessions['refused']} refused; {events['published']} events, "
        f"{events['missing']} missing; {telemetry['published']} samples, {telemetry['lost']} lost; "
        f"{stops['confirmed_zero']} of {stops['pushed']} stops at zero, at most "
        f"{stops['latency_ms']['cause_to_zero']['max']} ms; {report['leases']['granted']} leases, "
        f"{report['leases']['lost']} ran out; {len(report['violations'])} violations"
    )


if __name__ == "__main__":
    sys.exit(main())
