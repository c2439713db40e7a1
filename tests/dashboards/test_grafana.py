"""The dashboards are what the generator makes, and every query in them is understood and answered by the real engines:
Prometheus with what a running fleet service and recorder showed, InfluxDB with samples that the recorder wrote.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.processes import await_that
from tests.dashboards.conftest import DEVICES, SETTING_MA, Watched, healths, labels_of
from tests.dashboards.engines import PROMETHEUS, ROOT, get_json

FOLDER = ROOT / "dashboards" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
VARIABLES = {
    "$__interval": "1m",
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$timeFilter": "time > now() - 1h",
    "$room": ".+",
    "${device:regex}": ".+",
}
ENGINES = pytest.mark.needs("influxd", "nginx", "prometheus", "prometheus-alertmanager")
NOT_HERE = {
    "Refused messages per hour": "nobody sent anything that had to be refused",
}
"""Panels whose answer is empty in a clinic in which all went well: title to the reason."""


def board(path: Path) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return whole


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in FILES:
        for panel in board(path)["panels"]:
            if panel["type"] != "row":
                yield path.stem, panel


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, panel in panels():
        for target in panel["targets"]:
            yield f"{name}: {panel['title']} {target['refId']}", {"panel": panel, **target}


def filled_in(query: str) -> str:
    """As Grafana sends it."""
    for name in sorted(VARIABLES, key=len, reverse=True):
        query = query.replace(name, VARIABLES[name])
    assert "$" not in query.replace("$/", "/"), f"a variable that nobody fills in: {query}"
    return query


def test_the_dashboards_are_what_the_generator_makes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.grafana", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert len(FILES) == 3


def test_every_panel_says_what_it_shows_in_which_unit_and_what_it_is_when_there_is_nothing() -> None:
    for name, panel in panels():
        assert panel["description"].endswith("."), f"{name}: {panel['title']}"
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["noValue"], f"{name}: {panel['title']} would be empty without a word"
        if panel["type"] != "table":
            assert defaults["unit"], f"{name}: {panel['title']}"
        if panel["type"] == "timeseries":
            assert defaults["custom"]["spanNulls"] is False, f"{name}: {panel['title']} hides gaps"


def test_panels_are_numbered_apart_and_lie_beside_each_other() -> None:
    for path in FILES:
        ids = [panel["id"] for panel in board(path)["panels"]]
        assert len(set(ids)) == len(ids)
        taken: set[tuple[int, int]] = set()
        for panel in board(path)["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not taken & cells, f"{path.stem}: {panel['title']} lies on another"
            assert place["x"] + place["w"] <= 24
            taken |= cells


def test_every_source_is_provisioned() -> None:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/stimfleet.yml").read_text())["datasources"]
    known = {source["uid"]: source["type"] for source in sources}
    for name, panel in panels():
        assert known[panel["datasource"]["uid"]] == panel["datasource"]["type"], f"{name}: {panel['title']}"
    assert {panel["datasource"]["uid"] for _, panel in panels()} == set(known), "and each is used"


@ENGINES
def test_every_query_is_answered(watched: Watched) -> None:
    empty = set()
    for name, target in queries():
        if target["panel"]["datasource"]["type"] == "prometheus":
            found = bool(watched.prometheus.query(filled_in(target["expr"])))
        else:
            found = any(_has_values(series) for series in watched.samples(filled_in(target["query"])))
        if not found:
            empty.add(target["panel"]["title"])
            assert target["panel"]["title"] in NOT_HERE, f"{name} has no answer"
    assert empty == set(NOT_HERE)


def _has_values(series: dict[str, Any]) -> bool:
    return any(value is not None for row in series["values"] for value in row[1:])


@ENGINES
def test_every_choice_is_filled(watched: Watched) -> None:
    for path in FILES:
        for variable in board(path)["templating"]["list"]:
            query = variable["query"]
            if isinstance(query, str):
                (series,) = watched.samples(query)
                assert {value for _, value in series["values"]} == set(DEVICES)
            else:
                asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", query["query"])
                assert asked is not None, query
                metric, label = asked.groups()
                assert labels_of(watched, metric, label) == sorted(set(DEVICES.values()))


@ENGINES
def test_figures_are_those_of_the_clinic(watched: Watched) -> None:
    """Not only an answer: the right one."""
    ask = watched.prometheus.value
    assert ask("sum(stimfleet_devices)") == len(DEVICES)
    one_stop = 'sum(stimfleet_stop_latency_seconds_count{phase="sent_to_zero"})'
    assert ask(one_stop) == 1
    # As a panel asks. Prometheus draws the line on to both sides, of two scrapes to the double.
    over_the_hour = 'sum(increase(stimfleet_stop_latency_seconds_count{phase="sent_to_zero"}[1h]))'
    await_that("the hour has one stop", lambda: abs((ask(over_the_hour) or 0.0) - 1.0) < 0.25, 60.0)
    assert ask('min(stimfleet_connected or up{job="stimfleet", process="fleet"})') == 1
    (battery,) = watched.samples('SELECT last("battery_pct") FROM "sample" WHERE "device" = \'stim-01\'')
    assert 20.0 < battery["values"][0][1] <= 100.0
    peak = watched.samples('SELECT max("setting_ma") FROM "sample" WHERE "device" = \'stim-01\'')
    assert peak[0]["values"][0][1] == SETTING_MA, "as the therapist set it"


@ENGINES
def test_every_rule_works_and_every_name_in_rules_and_panels_is_shown_by_somebody(watched: Watched) -> None:
    known = healths(watched)
    assert set(known) == {"ok"}, known
    texts = [(PROMETHEUS / "rules" / name).read_text() for name in ("recording.yml", "machinery.yml")]
    texts += [target["expr"] for _, target in queries() if "expr" in target]
    wanted = {name for text in texts for name in re.findall(r"\bstimfleet_[a-z_]+\b", text) if ":" not in name}
    shown = set(get_json(f"{watched.prometheus.url}/api/v1/label/__name__/values")["data"])
    recorded = {part for name in shown if ":" in name for part in name.split(":")}
    assert wanted - shown - recorded == {"stimfleet_refused_total"}, (
        "which comes with the first message that is refused"
    )


@ENGINES
def test_nothing_but_the_watchdog_fires_in_a_clinic_that_is_well(watched: Watched) -> None:
    firing = watched.prometheus.query('ALERTS{alertstate="firing"}')
    names = {series["metric"]["alertname"] for series in firing}
    assert names - {"StimfleetPagerSilent"} == {"Watchdog"}, "there is no pager here, which is told after four minutes"
