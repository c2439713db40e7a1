"""A disk that hangs: chosen calls of a process on chosen files take a minute, and nothing raises."""

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import await_that
from fleet.adapters.journal.rows import PARTS

MINUTE_US = 60_000_000
SYNCS = "fsync,fdatasync"


@contextmanager
def hanging(pid: int, databases: Iterable[Path], calls: str, log: Path) -> Iterator[None]:
    """Hold up `calls`, by their names with commas between them, in every thread of `pid`; `log` has those held up."""
    files = [f"--trace-path={database}{part}" for database in databases for part in PARTS]
    command = ["strace", "-f", "-y", "-p", str(pid), "-o", str(log), *files]
    strace = subprocess.Popen(
        [*command, "-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter={MINUTE_US}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        tracer = f"TracerPid:\t{strace.pid}\n"
        threads = Path(f"/proc/{pid}/task")
        await_that(
            "strace holds every thread",
            lambda: all(tracer in (thread / "status").read_text() for thread in threads.iterdir()),
            10.0,
        )
        yield
    finally:
        strace.kill()  # the process goes on, and so do its calls
        strace.wait()
