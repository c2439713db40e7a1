"""A clinic that was open for a moment, with a session and a stop, watched by the real engines: for every query."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from broker.ports import free_port
from demo.clinic import Clinic
from demo.processes import await_that
from fleet.adapters.history.influx_reading import Where
from tests.adapters.history.engines import Engine, engine
from tests.dashboards.engines import Alertmanager, Prometheus, get_json
from tests.dashboards.receiver import Receiver
from tests.faults.conftest import Ward
from tests.faults.test_front_desk import desk

SETTING_MA = 8
DEVICES = {"stim-01": "room-1", "stim-02": "room-2"}


@dataclass(frozen=True)
class Watched:
    """The clinic, and who watches it."""

    clinic: Clinic
    prometheus: Prometheus
    influx: Engine
    database: str

    def samples(self, query: str) -> list[dict[str, Any]]:
        """The series of an InfluxQL query, asked as Grafana does.

        Raises:
            AssertionError: the engine does not understand it; with what it says.
        """

        (result,) = json.loads(self.influx.ask(query, self.database))["results"]
        assert "error" not in result, f"{query}\n{result['error']}"
        series: list[dict[str, Any]] = result.get("series", [])
        return series


@pytest.fixture(scope="package")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "influx").mkdir()
    ports = {"fleet_port": free_port(), "recorder_port": free_port(), "alertmanager_port": free_port()}
    clinic = Clinic(folder / "clinic", DEVICES, port=free_port(), http_port=ports["fleet_port"], seed=1)
    clinic.provision()
    prometheus = Prometheus(folder, free_port(), **ports)
    with Receiver() as receiver, engine(folder / "influx") as influx, pytest.MonkeyPatch.context() as environment:
        where = influx.database("stimfleet")
        for name, value in _recorder(where, ports["recorder_port"]).items():
            environment.setenv(name, value)
        alertmanager = Alertmanager(folder, ports["alertmanager_port"], receiver=receiver.url)
        with clinic, alertmanager, prometheus:
            clinic.open()
            clinic.recorder.start()
            up = 'count(up{job="stimfleet"} == 1)'
            await_that("both are scraped", lambda: prometheus.value(up) == 2.0, 60.0, prometheus.last_words)
            whole = Watched(clinic, prometheus, influx, where.bucket)
            _a_session_and_a_stop(whole)
            _await_figures(whole)
            yield whole
            assert clinic.recorder.end() is None
            assert clinic.close() == []


def _recorder(where: Where, port: int) -> dict[str, str]:
    settings = {
        "STORE": "influxdb",
        "INFLUX_URL": where.url,
        "INFLUX_ORG": where.org,
        "INFLUX_BUCKET": where.bucket,
        "HTTP_PORT": str(port),
    }
    return {f"STIMFLEET_RECORDER_{name}": value for name, value in settings.items()}


def _a_session_and_a_stop(whole: Watched) -> None:
    ward = Ward(whole.clinic)
    ward.treat("stim-01", to_ma=SETTING_MA)
    # Samples are sent twice a second: the one with the last raise has to be among them.
    set_to = f'SELECT "setting_ma" FROM "sample" WHERE "setting_ma" = {SETTING_MA}'  # noqa: S608 # a number of our own
    await_that("the setting is kept", lambda: bool(whole.samples(set_to)), 30.0)
    assert desk(ward, "stop", "stim-01").status == 0
    await_that("released", lambda: desk(ward, "release", "stim-01").status == 0, 20.0)
    ward.reset("stim-01")


def _await_figures(whole: Watched) -> None:
    """Until the engines have what happened, and every rule was worked out once: some are each minute."""
    prometheus = whole.prometheus
    recorded = (
        "room:stimfleet_samples_missed:ratio_rate5m",
        "room:stimfleet_lease_margin_seconds:p01_5m",
        'phase:stimfleet_stop_latency_seconds:count_1d{phase="sent_to_zero"} > 0',
    )
    for what in recorded:
        await_that(f"{what} is there", partial(prometheus.shows, what), 90.0, prometheus.last_words)
    await_that("each rule was worked out", lambda: "unknown" not in healths(whole), 90.0, prometheus.last_words)
    impedance = 'SELECT count("impedance_ohm") FROM "sample" WHERE "phase" = \'running\''
    await_that("the session is kept", lambda: bool(whole.samples(impedance)), 60.0)


def healths(whole: Watched) -> dict[str, list[str]]:
    """Of every rule of Prometheus: how it does, and which ones do so."""
    groups = get_json(f"{whole.prometheus.url}/api/v1/rules")["data"]["groups"]
    found: dict[str, list[str]] = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        found.setdefault(rule["health"], []).append(rule["name"])
    return found


def labels_of(whole: Watched, metric: str, label: str) -> list[str]:
    """What `label_values(metric, label)` of a Grafana variable asks for."""
    answer = get_json(f"{whole.prometheus.url}/api/v1/label/{label}/values?match[]={metric}")
    values: list[str] = answer["data"]
    return values
