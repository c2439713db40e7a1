"""The rules by the engine that reads them, their unit tests, and the runbook's heading for each."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.contract.causes import AlarmCode
from tests.dashboards.engines import PROMETHEUS, ROOT, promtool

RUNBOOK = ROOT / "dashboards" / "runbook.md"
UNIT_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules" / "machinery.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def sections() -> dict[str, str]:
    """Every heading of the runbook by its anchor (lower case, '-' between words), with the text below it."""
    parts = re.split(r"^#{1,3} (.+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    headings, texts = parts[::2], parts[1::2]
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert len(set(anchors)) == len(anchors), "an anchor leads to one place"
    return dict(zip(anchors, texts, strict=True))


@pytest.mark.needs("promtool")
def test_prometheus_takes_configuration_and_rules() -> None:
    said = promtool("check", "config", "dashboards/prometheus/prometheus.yml")
    assert said.count("rules found") == 2
    assert "FAILED" not in said


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: str(file.stem))
def test_alerts_fire_when_they_should_and_not_before(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_every_alert_has_a_unit_test_in_which_it_fires() -> None:
    assert UNIT_TESTS
    proved = set()
    for file in UNIT_TESTS:
        for story in yaml.safe_load(file.read_text())["tests"]:
            for case in story.get("alert_rule_test", ()):
                if case["exp_alerts"]:
                    proved.add(case["alertname"])
            for case in story.get("promql_expr_test", ()):
                named = [case["expr"], *(sample["labels"] for sample in case["exp_samples"])]
                if case["exp_samples"]:
                    proved.update(name for text in named for name in re.findall(r'alertname="(\w+)"', text))
    assert proved == {alert["alert"] for alert in alerts()}


def test_every_alert_says_how_grave_it_is_what_about_and_where_to_read_on() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"critical", "warning", "none"}, alert["alert"]
        assert alert["labels"]["part"], alert["alert"]
        assert alert["annotations"]["summary"], alert["alert"]


def test_every_runbook_url_leads_to_a_heading_that_says_what_to_do_and_how_to_see_that_it_is_over() -> None:
    known = sections()
    for alert in alerts():
        file, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert ROOT / file == RUNBOOK
        assert anchor == alert["alert"].lower()
        assert anchor in known, f"the runbook has no heading for {alert['alert']}"
        assert "\nOver: " in known[anchor], f"{alert['alert']}: how is it seen to be over?"


def test_every_alarm_code_has_its_heading() -> None:
    known = sections()
    for code in AlarmCode:
        (anchor,) = (anchor for anchor in known if anchor.startswith(f"{code.lower()}-"))
        assert "\n1. " in known[anchor], f"{code}: what to do first?"
        assert "\nOver: " in known[anchor], f"{code}: how is it seen to be over?"


def test_the_runbook_has_no_alert_that_is_none() -> None:
    written = {anchor for anchor in sections() if anchor.startswith("stimfleet")}
    assert written == {alert["alert"].lower() for alert in alerts()} - {"watchdog"}


def test_the_command_of_the_operations_page_makes_every_runbook_url_an_address(tmp_path: Path) -> None:
    (command,) = re.findall(r"`(sed -i .*?machinery\.yml)`", (ROOT / "docs" / "operations.md").read_text())
    shutil.copy(ROOT / "dashboards" / "prometheus" / "rules" / "machinery.yml", tmp_path)
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
    urls = re.findall(r"runbook_url: (\S+)", (tmp_path / "machinery.yml").read_text())
    assert len(urls) > 20
    assert {url.partition("#")[0] for url in urls} == {"https://wiki.clinic.example/runbook"}
