"""The history: rows a second into the embedded store, and what a reader in another process waits for meanwhile.

The writer is a process of its own, as the recorder is, and is given so many rows a second. The bench reads beside it.
"""

import asyncio
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.adapters.history.months import Months
from fleet.adapters.history.port import QUANTITIES, Resolution
from tests.adapters.history.shelf import Shelf, sample
from tests.bench.figures import Figure, spread
from tests.bench.machine import Spent

TRACED, SESSION = "traced-01", "ab" * 16
TRACE_S, TRACE_PERIOD_S = 1_800, 0.5
TRACE_MS_MAX, DAYS_MS_MAX = 50.0, 200.0
BATCH_S = 0.5
LOOK_S = 0.1
MONTHS_DAYS = 90


@dataclass(frozen=True, slots=True)
class History:
    """So many devices, together so many rows a second, for so long."""

    devices: int = 1_000
    rate: float = 20_000.0
    seconds: float = 20.0


def measure(folder: Path, asked: History, tell: Callable[[str], None]) -> dict[str, Any]:
    """Whether the store keeps up, and how long reading a trace of half an hour takes beside that."""
    shelf, now_s = Shelf(folder / "history"), time.time()
    tell("a trace of half an hour, and the summaries of a quarter of a year")
    asyncio.run(_prepare(shelf, now_s))
    tell(f"writing {asked.rate:g} rows/s for {asked.seconds:g} s")
    command = [sys.executable, "-m", "tests.bench.history", str(shelf.folder), json.dumps(_words(asked))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        spent = Spent({"writer": writer.pid})
        assert writer.stdout is not None
        writer.stdout.readline()  # it has begun
        traces_ms, days_ms = asyncio.run(_read(shelf, now_s, writer))
        said = json.loads(writer.stdout.readline())
        used = spent.so_far() if writer.poll() is None else {}
        writer.communicate()
    return {
        "figures": [
            Figure("rows_per_s", round(said["rows"] / said["lasted_s"], 1), at_least=0.99 * asked.rate).document(),
            Figure("rows_lost", asked.rate * asked.seconds - said["rows"], exactly=0.0).document(),
            Figure("trace_p99_ms", spread(traces_ms)["p99"], at_most=TRACE_MS_MAX).document(),
            Figure("quarter_by_day_p99_ms", spread(days_ms)["p99"], at_most=DAYS_MS_MAX).document(),
        ],
        "trace_rows": round(TRACE_S / TRACE_PERIOD_S),
        "trace_ms": spread(traces_ms),
        "quarter_by_day_ms": spread(days_ms),
        "writer": said,
        "processors": used,
        "ended_cleanly": writer.returncode == 0,
    }


def _words(asked: History) -> list[float]:
    return [asked.devices, asked.rate, asked.seconds]


async def _prepare(shelf: Shelf, now_s: float) -> None:
    begin_s = now_s - TRACE_S - 60.0
    rows = [
        sample(TRACED, n, round(begin_s + n * TRACE_PERIOD_S, 3), session_id=SESSION)
        for n in range(round(TRACE_S / TRACE_PERIOD_S))
    ]
    async with shelf.open() as store:
        await store.write(rows)
    months, minute = Months(shelf.folder), int(now_s) // 60
    readings = (12, 12 * 17_503, 17_000, 18_000) * len(QUANTITIES)
    for day in range(1, MONTHS_DAYS + 1):
        begin = minute - day * 1_440
        months.keep([(TRACED, begin + n, 1, n * 12, n * 12 + 11, 12, 0, *readings) for n in range(1_440)])
    months.close()


async def _read(shelf: Shelf, now_s: float, writer: "subprocess.Popen[str]") -> tuple[list[float], list[float]]:
    traces_ms: list[float] = []
    days_ms: list[float] = []
    async with shelf.reading() as reader:
        while writer.poll() is None and len(traces_ms) < 10_000 and not _has_said(writer):
            began_s = time.perf_counter()
            trace = await reader.trace(TRACED, SESSION)
            traces_ms.append(1000.0 * (time.perf_counter() - began_s))
            assert len(trace) == round(TRACE_S / TRACE_PERIOD_S), "the whole of it"
            began_s = time.perf_counter()
            days = await reader.rollups(TRACED, now_s - MONTHS_DAYS * 86_400.0, now_s, Resolution.DAY)
            days_ms.append(1000.0 * (time.perf_counter() - began_s))
            assert len(days) >= MONTHS_DAYS
            await asyncio.sleep(LOOK_S)  # a page that somebody looks at, not a second load
    return traces_ms, days_ms


def _has_said(writer: "subprocess.Popen[str]") -> bool:
    assert writer.stdout is not None
    return bool(select.select([writer.stdout], [], [], 0.0)[0])


async def _write(folder: Path, devices: int, rate: float, seconds: float) -> dict[str, float]:
    """In the writing process: as many rows a second as asked for, the store's own work among them."""
    shelf = Shelf(folder)
    each = round(rate * BATCH_S / devices)
    rows, late_s = 0, 0.0
    async with shelf.open() as store:
        began_s, began_wall_s, cpu_s = time.monotonic(), time.time(), time.process_time()
        for n in range(round(seconds / BATCH_S)):
            shelf.now_s = time.time()
            at_s = began_wall_s + n * BATCH_S
            await store.write(
                [
                    sample(f"stim-{device}", n * each + k, round(at_s + k * BATCH_S / each, 3))
                    for device in range(devices)
                    for k in range(each)
                ]
            )
            rows += devices * each
            ahead_s = (n + 1) * BATCH_S - (time.monotonic() - began_s)
            late_s = max(late_s, -ahead_s)
            await asyncio.sleep(max(0.0, ahead_s))  # the next batch is due then, as devices have their period
        lasted_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
        written = store.status().written
    return {"rows": written, "lasted_s": lasted_s, "share_of_a_core": cpu_s / lasted_s, "most_behind_s": late_s}


if __name__ == "__main__":
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    found = asyncio.run(_write(Path(sys.argv[1]), *json.loads(sys.argv[2])))
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in found.items()}) + "\n")
