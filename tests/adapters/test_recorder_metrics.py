"""What Prometheus is shown of a recorder, over HTTP, as Prometheus reads it."""

import asyncio
import urllib.request
from dataclasses import asdict

from prometheus_client.parser import text_string_to_metric_families

from broker.ports import free_port
from fleet.adapters.history.port import Status
from fleet.recording.metrics import COUNTED, serve_metrics

NOW_S = 1_700_000_000.0
WELL = {"fleet": True, "heard": 12, "lost": 0, "missed": 0, "unreadable": 0, "waiting": 2, **asdict(Status(taken=10))}
DOWN = Status(taken=10, spilled=400, dead_lettered=3, oldest_waiting_s=NOW_S - 90.0, refusing="nobody answers")
ILL = WELL | asdict(DOWN)


async def shown(status: dict[str, object]) -> dict[tuple[str, str], float]:
    port = free_port()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve_metrics("127.0.0.1", port, lambda: status, lambda: NOW_S), name="metrics")
        text = ""

        def answers() -> bool:
            nonlocal text
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
                    text = answer.read().decode()
            except OSError:
                return False
            return True

        async with asyncio.timeout(10.0):
            while not await asyncio.to_thread(answers):
                pass
        serving.cancel()
    return {
        (sample.name.removeprefix("stimfleet_recorder_"), " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_one_that_is_well() -> None:
    now = await shown(WELL)
    assert {what for name, what in now if name == "samples_total"} == set(COUNTED)
    assert (now["samples_total", "heard"], now["samples_total", "taken"], now["samples_total", "lost"]) == (12, 10, 0)
    assert (now["waiting_samples", "memory"], now["waiting_samples", "disk"]) == (2, 0)
    assert (now["refusing", ""], now["reads_along", ""], now["oldest_waiting_seconds", ""]) == (0, 1, 0)


async def test_one_whose_store_is_down() -> None:
    now = await shown(ILL)
    assert now["waiting_samples", "disk"] == 400
    assert now["samples_total", "dead_lettered"] == 3
    assert (now["refusing", ""], now["oldest_waiting_seconds", ""]) == (1, 90)
