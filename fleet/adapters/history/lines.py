"""Samples as InfluxDB's line protocol, and back from what `/query` answers.

A point is `sample,device=...,boot_n=...`; its fields have the names of `Sample`. The digits of its time below a
millisecond are the end of `seq`: so the same sample is always the same point, and two never are.

Which minutes of a device belong to a session is said once a minute by a point `session_minute`: the id is not a tag
(each would be a series of its own for ever), and a search for a field alone would read years.
"""

from collections.abc import Sequence
from typing import Any

from broker.contract.messages import Phase
from fleet.adapters.history.folding import MINUTE_MS
from fleet.adapters.history.port import COLUMNS, Sample, device_name, session_name

SAMPLE = "sample"
SESSION_MINUTE = "session_minute"
NS_OF_MS = 1_000_000
FIELDS = tuple(name for name in COLUMNS if name not in {"time_s", "boot_n"})
_READINGS = tuple(name for name in FIELDS if name not in {"seq", "session_id", "phase", "late"})
_PHASES = {phase.value: phase for phase in Phase}


def point(sample: Sample) -> str:
    """The line of a sample.

    Raises:
        NoSuchName: device or session have no name of the wire; nothing else of a sample is text.
    """
    said = [f"{name}={round(value * 1000) / 1000!r}" for name, value in _readings(sample) if value is not None]
    if sample.session_id is not None:
        said.append(f'session_id="{session_name(sample.session_id)}"')
    time_ns = time_ms(sample) * NS_OF_MS + sample.seq % NS_OF_MS
    return (
        f"{SAMPLE},device={device_name(sample.device)},boot_n={sample.boot_n:d} seq={sample.seq:d}i,"
        f'phase="{Phase(sample.phase).value}",late={sample.late:d}i,{",".join(said)} {time_ns:d}'
    )


def session_minute(sample: Sample) -> str | None:
    """The line that says when its session was; None where it belongs to none."""
    if sample.session_id is None:
        return None
    # Sessions that share a minute are points of their own: the first digits of the id are below 4.3 s.
    time_ns = minute_of(sample) * MINUTE_MS * NS_OF_MS + int(session_name(sample.session_id)[:8], 16)
    return f'{SESSION_MINUTE},device={device_name(sample.device)} session_id="{sample.session_id}" {time_ns:d}'


def time_ms(sample: Sample) -> int:
    """When it was taken, in milliseconds of Unix time."""
    return round(sample.time_s * 1000)


def minute_of(sample: Sample) -> int:
    """The minute in which it was taken, counted from 1970."""
    return time_ms(sample) // MINUTE_MS


def _readings(sample: Sample) -> list[tuple[str, float | None]]:
    return [(name, getattr(sample, name)) for name in _READINGS]


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """Rows of an answer (`time` in nanoseconds, `boot_n`, and `FIELDS`) as columns of a trace, each sample once."""
    place = {name: n for n, name in enumerate(names)}
    once: dict[tuple[int, int], tuple[Any, ...]] = {}
    for row in rows:
        boot_n, seq = int(row[place["boot_n"]]), int(row[place["seq"]])
        fields = [row[place[name]] for name in COLUMNS[2:]]
        once.setdefault((boot_n, seq), (row[place["time"]] // NS_OF_MS / 1000, boot_n, *fields))
    ordered = sorted(once.values(), key=lambda row: row[:3])
    columns = dict(zip(COLUMNS, zip(*ordered, strict=True) if ordered else ((),) * len(COLUMNS), strict=True))
    columns["phase"] = tuple(_PHASES[value] for value in columns["phase"])
    columns["late"] = tuple(bool(value) for value in columns["late"])
    for name in _READINGS:
        # A number without digits after its point comes back as a whole one.
        columns[name] = tuple(None if value is None else float(value) for value in columns[name])
    return columns
