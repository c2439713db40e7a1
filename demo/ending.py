"""The last lines of a demo, in plain words: what the report says, and how to look further."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.acts import Record

Numbers = Mapping[str, Any]


def summary(report: Numbers, record: Record, path: Path | None, data: Path | None) -> Iterator[str]:
    """Sentences, in order. `path`: of the report; `data`: the folder that is kept."""
    yield f"\n{_sessions(report['sessions'])}"
    yield _stops(report["stops"])
    yield _figures(report)
    yield from (f"Left out: {sentence}." for sentence in record.left_out)
    yield from _violations(report["violations"], report["devices"])
    if path is not None:
        yield f"Report: {path}"
    if data is None:
        yield "Nothing is kept; --data DIR keeps keys, journal, logs and true output, --report FILE writes the figures."
        return
    yield f"Everything is in {data}: journal, logs, and what truly flowed."
    yield f"Look further: stimfleet journal tail --data-dir {data / 'fleet'}"
    yield f"              stimfleet journal verify --data-dir {data / 'fleet'}"
    yield f"              {data / 'true-output'} (seconds, mA), {data / 'logs'}"


def status(report: Numbers, complaints: Sequence[str]) -> int:
    """The exit status: 0 where everything ended cleanly, nothing is missing, and nothing was found."""
    return 1 if complaints or report["violations"] or report["events"]["missing"] else 0


def _sessions(counts: Numbers) -> str:
    return (
        f"Sessions: {counts['authorised']} authorised, {counts['started']} started, {counts['completed']} completed, "
        f"{counts['stopped']} stopped; {counts['refused']} requests refused."
    )


def _stops(stops: Numbers) -> str:
    if not stops["pushed"]:
        return "Stops: none pushed."
    latency = stops["latency_ms"]["cause_to_zero"]
    took = "" if latency["max"] is None else f", at most {latency['max']:.0f} ms after their cause"
    unconfirmed = f"; {stops['unconfirmed']} NOT confirmed" if stops["unconfirmed"] else ""
    return f"Stops: {stops['pushed']} pushed, {stops['confirmed_zero']} confirmed at measured zero{took}{unconfirmed}."


def _figures(report: Numbers) -> str:
    telemetry, events, leases = report["telemetry"], report["events"], report["leases"]
    margin_s = leases["margin_s"]["p5"]
    margin = "" if margin_s is None else f"; 95 of 100 came with {margin_s:.1f} s or more to spare"
    return (
        f"{telemetry['published']} samples published, {telemetry['lost']} lost; {events['published']} events, "
        f"{events['missing']} missing in the journal; {leases['granted']} leases{margin}, {leases['lost']} ran out."
    )


def _violations(violations: list[Numbers], devices: int) -> Iterator[str]:
    if not violations:
        yield f"The observer read the true output of all {devices} stimulators: no violation."
        return
    yield f"The observer found {len(violations)} VIOLATIONS, in the true output or in the books:"
    for each in violations:
        yield f"    {each['device']}: {each['what']} ({each['rule']}), {each['ma']:.1f} mA for {each['for_s']:.2f} s"
