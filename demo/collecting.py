"""What is read from a demo's folder once the devices have ended: spools, counters, true output, the journal."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from agents.counters import FILE_NAME, Counted, read_counters
from agents.simulation.trace import Trace, read_trace
from demo.clinic import Clinic
from demo.report import Heard, Spooled
from fleet.adapters.journal.reading import JournalReader, Told


def journal(clinic: Clinic) -> tuple[Told, ...]:
    """Everything that was journaled since the clinic opened: its simulated past is no evidence of anything."""
    reader = JournalReader(clinic.fleet_dir / "journal.db", after=clinic.past_rows)
    try:
        return tuple(reader.new())
    finally:
        reader.close()


def spooled(clinic: Clinic) -> tuple[Spooled, ...]:
    """What each spool says of itself; none of a device whose agent never came up."""
    paths = {device: clinic.data(device) / "spool.db" for device in clinic.devices}
    return tuple(spool(device, path) for device, path in paths.items() if path.exists())


def spool(device: str, path: Path) -> Spooled:
    """One of them; also while its agent lives."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as database:
        (spool_id, next_n) = database.execute("select spool_id, next_n from spool").fetchone()
        kept = tuple(n for (n,) in database.execute("select n from event order by n"))
    return Spooled(device, spool_id, next_n - 1, kept)


def counted(clinic: Clinic) -> dict[str, Counted]:
    return {device: read_counters(clinic.data(device) / FILE_NAME) for device in clinic.devices}


def traces(clinic: Clinic) -> dict[str, Trace]:
    paths = {device: clinic.trace_dir / f"{device}.csv" for device in clinic.devices}
    return {device: read_trace(path) for device, path in paths.items() if path.exists()}


class FleetCounts:
    """What the fleet's instances counted, one after the other: each forgets its numbers when it ends."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._by_pid: dict[int, Heard] = {}

    def look(self) -> Heard:
        """The present instance's, kept.

        Raises:
            FleetUnreachable: there is none just now.
        """
        status = self._clinic.ask(op="status")
        seen = Heard(status["heard"].get("telemetry", 0), status["sent"].get("lease", 0))
        self._by_pid[status["pid"]] = seen
        return seen

    @property
    def all(self) -> Iterable[Heard]:
        return self._by_pid.values()
