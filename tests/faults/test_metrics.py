"""What Prometheus is shown of real agents and real current, against the journal and the devices themselves."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from demo.processes import await_that
from fleet.adapters.journal.reading import JournalReader
from tests.faults.conftest import LEASE_S, Ward
from tests.faults.test_front_desk import desk

DEVICE, ROOM = "stim-01", "room-1"


def shown(ward: Ward) -> dict[tuple[str, str], float]:
    """Every series of ours, by its name and its labels' values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ward.clinic.http_port}/metrics", timeout=5.0) as answer:
        text = answer.read().decode()
    return {
        (
            sample.name.removeprefix("stimfleet_"),
            " ".join(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def grown(ward: Ward, before: dict[tuple[str, str], float], name: str, labels: str) -> float:
    return shown(ward)[name, labels] - before[name, labels]


def test_a_session_and_its_stop_are_in_the_figures_as_they_are_in_the_journal(ward: Ward) -> None:
    ward.clinic.await_devices({DEVICE})
    before = shown(ward)
    reader = JournalReader(ward.clinic.fleet_dir / "journal.db")
    reader.skip()
    ward.treat(DEVICE)
    await_that("it is shown running", lambda: shown(ward)["sessions", f"{ROOM} running"] == 1, 10.0)
    # At half a second a sample: ten of them.
    await_that("it is leased", lambda: grown(ward, before, "leases_total", ROOM) > 10, 20.0)
    assert desk(ward, "stop", DEVICE).status == 0
    stopped = ("stop_latency_seconds_count", "sent_to_zero")
    await_that("the stop is shown", lambda: grown(ward, before, *stopped) == 1, 10.0)

    told = [told.body for told in reader.new() if told.name == "StopConfirmed"]
    (confirmed,) = [body for body in told if body["device"] == DEVICE]
    reader.close()
    for phase in ("cause_to_sent", "sent_to_zero"):
        assert grown(ward, before, "stop_latency_seconds_sum", phase) == pytest.approx(confirmed[f"{phase}_s"])
    # Nothing was lost on this machine, and every lease left most of its time.
    assert grown(ward, before, "samples_missed_total", ROOM) == 0
    margins = grown(ward, before, "lease_margin_seconds_count", ROOM)
    assert margins > 10
    assert grown(ward, before, "lease_margin_seconds_bucket", f"3.5 {ROOM}") == 0
    assert 4.0 < grown(ward, before, "lease_margin_seconds_sum", ROOM) / margins < LEASE_S

    await_that("released", lambda: desk(ward, "release", DEVICE).status == 0, 15.0)
    ward.reset(DEVICE)
    await_that("nothing runs", lambda: shown(ward)["sessions", f"{ROOM} running"] == 0, 10.0)
