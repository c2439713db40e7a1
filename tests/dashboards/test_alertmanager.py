"""One cause is told once, by the real Alertmanager; and the whole way from a fleet service that is stopped."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from broker.ports import free_port
from demo.clinic import Clinic
from demo.processes import await_that
from fleet.adapters.notify.alertmanager import LASTS_S
from tests.dashboards.engines import ALERTMANAGER, Alertmanager, Prometheus, amtool
from tests.dashboards.receiver import Receiver
from tests.dashboards.test_rules import alerts

pytestmark = pytest.mark.needs("amtool", "prometheus", "prometheus-alertmanager")
PARTS = {alert["alert"]: alert["labels"] for alert in alerts()}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def alert(name: str, **labels: str) -> dict[str, dict[str, str]]:
    """As Prometheus would send it."""
    return {"labels": {"alertname": name, "site": "north", **PARTS[name], **labels}, "annotations": {"summary": name}}


def test_alertmanager_takes_its_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", str(ALERTMANAGER))


def test_what_the_pager_tells_again_alertmanager_does_not_repeat_by_itself() -> None:
    """The pager's alerts end before their route would repeat them; what a silence held back is told within seconds."""
    routes = yaml.safe_load(ALERTMANAGER.read_text())["route"]["routes"]
    (route,) = [route for route in routes if any("StimFleetAlarm" in matcher for matcher in route["matchers"])]
    hours, seconds = (re.fullmatch(r"(\d+)[hs]", route[name]) for name in ("repeat_interval", "group_interval"))
    assert hours is not None
    assert seconds is not None
    assert route["repeat_interval"].endswith("h")
    assert int(hours[1]) * 3600 > LASTS_S
    assert route["group_interval"].endswith("s")
    assert int(seconds[1]) <= 1


def test_what_is_silenced_by_its_part_exists() -> None:
    parts = {labels["part"] for labels in PARTS.values()}
    for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            name, _, value = re.fullmatch(r"(\w+) (=~?) \"?(.+?)\"?", matcher).groups()  # type: ignore[union-attr]
            if name == "alertname":
                assert value in PARTS
            if name == "part":
                assert any(re.fullmatch(value, part) for part in parts), matcher


@pytest.mark.parametrize(
    ("cause", "follows"),
    [
        ("StimfleetFleetDown", ("StimfleetBrokerDown", "StimfleetSamplesMissing", "StimfleetFeedDropping")),
        ("StimfleetBrokerDown", ("StimfleetEchoLost", "StimfleetOutboxDeep", "StimfleetLeaseMarginThin")),
        ("StimfleetJournalRefusing", ("StimfleetJournalSlow", "StimfleetDiskFull", "StimfleetDiskFilling")),
        ("StimfleetInboxDeep", ("StimfleetLeaseMarginThin", "StimfleetSamplesMissing")),
        ("StimfleetDiskFull", ("StimfleetDiskFilling",)),
    ],
)
def test_a_cause_and_what_follows_from_it_are_one_notification(
    tmp_path: Path, receiver: Receiver, cause: str, follows: tuple[str, ...]
) -> None:
    faster = {"group_wait": "15s>1s", "group_interval": "2m>1s"}
    with Alertmanager(tmp_path, free_port(), receiver=receiver.url, **faster) as engine:
        engine.post(alert(cause), *(alert(name) for name in follows), alert("Watchdog"))
        await_that("the cause is told", lambda: bool(receiver.told("engineers")), 30.0, engine.last_words)
        # Unrelated, and in a group of its own with the longest wait: when it is told, all others would have been.
        engine.post(alert("StimfleetCertificateEndsSoon", whose="ca"))
        last = ("firing", frozenset({"StimfleetCertificateEndsSoon"}))
        await_that("what came last is told", lambda: last in receiver.told("engineers"), 30.0, engine.last_words)
        assert receiver.told("engineers") == [("firing", frozenset({cause})), last]
        assert ("firing", frozenset({"Watchdog"})) in receiver.told("dead-mans-switch")


def test_two_sites_do_not_silence_each_other(tmp_path: Path, receiver: Receiver) -> None:
    with Alertmanager(tmp_path, free_port(), receiver=receiver.url, group_wait="15s>1s") as engine:
        engine.post(alert("StimfleetFleetDown"), alert("StimfleetSamplesMissing") | {"labels": _elsewhere()})
        both = {("firing", frozenset({name})) for name in ("StimfleetFleetDown", "StimfleetSamplesMissing")}
        await_that("both are told", lambda: set(receiver.told("engineers")) == both, 30.0, engine.last_words)


def _elsewhere() -> dict[str, str]:
    return alert("StimfleetSamplesMissing")["labels"] | {"site": "south"}


def test_a_stopped_fleet_service_is_one_notification_and_its_return_another(tmp_path: Path, receiver: Receiver) -> None:
    ports = {"fleet_port": free_port(), "alertmanager_port": free_port()}
    clinic = Clinic(tmp_path / "clinic", {"stim-01": "room-1"}, port=free_port(), http_port=ports["fleet_port"])
    clinic.provision()
    (tmp_path / "engines").mkdir()
    alertmanager = Alertmanager(
        tmp_path / "engines", ports["alertmanager_port"], receiver=receiver.url, group_interval="2m>1s"
    )
    # No recorder here: in its place somebody who answers.
    prometheus = Prometheus(tmp_path / "engines", free_port(), recorder_port=ports["alertmanager_port"], **ports)
    with clinic, alertmanager, prometheus:
        clinic.open()
        up = 'up{job="stimfleet", process="fleet"}'
        await_that("it is scraped", lambda: prometheus.value(up) == 1.0, 30.0, prometheus.last_words)
        await_that(
            "the watchdog is heard", lambda: bool(receiver.told("dead-mans-switch")), 60.0, prometheus.last_words
        )
        assert told(receiver) == []

        assert clinic.fleet.end() is None
        await_that("it is told", lambda: bool(told(receiver)), 60.0, prometheus.last_words)
        down = receiver.alerts("engineers")[-1]
        assert (
            down["labels"] | {"alertname": "StimfleetFleetDown", "site": "north", "severity": "critical"}
            == (down["labels"])
        )
        assert down["annotations"]["runbook_url"] == "dashboards/runbook.md#stimfleetfleetdown"

        clinic.fleet.start()
        await_that("it is over", lambda: len(told(receiver)) > 1, 60.0, prometheus.last_words)
        name = frozenset({"StimfleetFleetDown"})
        assert told(receiver) == [("firing", name), ("resolved", name)]
        clinic.await_devices(clinic.devices)
        assert clinic.close() == []


def told(receiver: Receiver) -> list[tuple[str, frozenset[str]]]:
    """What engineers were told, but for that which is so here from the beginning: no page, no recorder, no pager."""
    nobody = frozenset({"StimfleetNobodyReadsAlong"})
    return [(status, names) for status, names in receiver.told("engineers") if names != nobody]
