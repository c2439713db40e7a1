"""docker-compose.yml, held against the schema, the files, the settings and the commands that it names."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import stimfleet
from broker.pki.site import DEFAULT_PORT
from fleet.adapters.history.settings import load_recorder_settings
from fleet.adapters.notify.settings import load_pager_settings
from fleet.api.settings import load_web_settings
from fleet.settings import Settings, load_settings
from tests.deploy.composition import (
    COMPOSE,
    OURS,
    ROOT,
    composition,
    mounts,
    ours,
    provision_lines,
    services,
    variables,
)
from tests.test_tidy import SETTINGS

EVERYBODY = "0.0.0.0"  # noqa: S104 # within the container's own network
LOADED: dict[str, Callable[[Path, Path], object]] = {
    "STIMFLEET_FLEET_": load_settings,
    "STIMFLEET_WEB_": load_web_settings,
    "STIMFLEET_RECORDER_": load_recorder_settings,
    "STIMFLEET_PAGER_": load_pager_settings,
}
VERSION = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


def test_it_is_what_the_specification_says() -> None:
    schema = json.loads((ROOT / "tests/deploy/compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(composition())


def test_every_image_is_pinned_to_a_whole_version() -> None:
    for name, service in services().items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), f"{name}: {service['image']}"
    assert VERSION is not None
    assert {service["image"] for service in ours().values()} == {OURS + VERSION[1]}


def test_every_folder_and_volume_is_there() -> None:
    declared, used = set(composition()["volumes"]), set()
    for name, service in services().items():
        for source, target in mounts(service):
            assert target.startswith("/"), name
            if source.startswith("./"):
                assert (ROOT / source).exists(), f"{name} mounts {source}"
            else:
                used.add(source)
    assert used == declared


def test_who_waits_for_whom_is_there_and_can_be_waited_for() -> None:
    for name, service in services().items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services(), f"{name} depends on {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services()[other]
            if how["condition"] == "service_completed_successfully":
                assert services()[other]["restart"] == "no"


def test_nobody_is_root_and_nobody_writes_but_to_volumes() -> None:
    for name, service in services().items():
        user = service["user"].split(":")[0]
        assert user.isdigit(), f"{name} runs as {user}"
        assert int(user) > 0
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_whatever_goes_on_says_whether_it_is_well() -> None:
    for name, service in services().items():
        if service["restart"] == "always" and name != "agents":
            assert service["healthcheck"]["test"], name


def test_only_the_desk_and_provisioning_have_the_ca_beside_the_simulation() -> None:
    assert {name for name, service in services().items() if "ca" in dict(mounts(service))} == {
        "provision",
        "desk",
        "agents",
    }
    assert dict(mounts(services()["mosquitto"])).keys() == {"broker", "./deploy/containers/mosquitto.sh"}, (
        "the broker is not trusted: it does not see the site key"
    )


def test_simulated_devices_come_only_when_asked_for() -> None:
    assert [name for name, service in services().items() if "demo" in service.get("profiles", ())] == ["agents"]


# --- passwords --------------------------------------------------------------------------------------------------------


def environment() -> Iterator[tuple[str, str, str]]:
    for service, described in services().items():
        for name, value in described.get("environment", {}).items():
            yield service, name, value


def test_no_password_is_written_down_and_each_is_made_by_the_one_time_service() -> None:
    words = shlex.split(next(line for line in provision_lines() if "provision passwords" in line))
    made = set(words[words.index("/secrets") + 1 :])
    told = set()
    for service, name, value in environment():
        if re.search("PASSWORD|TOKEN|SECRET", name):
            assert value.startswith("/run/secrets/"), f"{service}: {name} is no file"
            assert ("secrets", "/run/secrets") in set(mounts(services()[service]))
            ours_or_let_in = [services()[service]["user"].split(":")[1], *services()[service].get("group_add", ())]
            assert "10001" in ours_or_let_in, f"{service} may not read it"
            told.add(value.removeprefix("/run/secrets/"))
    for path in ("deploy/containers/influxdb.sh", "dashboards/grafana/provisioning/datasources/stimfleet.yml"):
        told.update(re.findall(r"/run/secrets/([\w-]+)", (ROOT / path).read_text()))
    assert told == made


def test_the_example_names_every_variable_and_no_other() -> None:
    example = re.findall(r"^(\w+)=.", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(example) == variables(COMPOSE.read_text())
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text()):
        assert "PASSWORD" not in name, f"{name} has the default {default}"


# --- commands, settings, ports ----------------------------------------------------------------------------------------


def test_every_command_is_one_of_ours() -> None:
    parser = stimfleet.parser()
    commands = [service["command"] for name, service in ours().items() if name not in {"provision", "desk"}]
    commands += [shlex.split(line)[1:] for line in provision_lines()]
    assert len(commands) > 4
    for command in commands:
        assert parser.parse_args(command).run, command


def test_every_setting_is_one_and_may_have_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = dict(re.findall(r"^(\w+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for service, described in ours().items():
        named = {
            name: value for name, value in described.get("environment", {}).items() if name in _settings(described)
        }
        with monkeypatch.context() as only:
            for name, value in named.items():
                found = re.fullmatch(r"\$\{(\w+):\?.*\}", value)
                only.setenv(name, example[found[1]] if found else value)
            for prefix, load in LOADED.items():
                if any(name.startswith(prefix) for name in named):
                    load(tmp_path, tmp_path)
        for name in named:
            assert name.startswith(tuple(LOADED)) or service in {"prometheus", "provision"}, f"{service}: {name}"


def test_where_figures_and_samples_are_is_said_the_same_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for service in ("fleet", "recorder"):
        for name, value in services()[service]["environment"].items():
            monkeypatch.setenv(name, value)
    fleet = load_settings(tmp_path, tmp_path)
    assert (fleet.broker_host, fleet.http_host, fleet.http_port) == ("mosquitto", EVERYBODY, 9883)
    recorder = load_recorder_settings(tmp_path, tmp_path)
    assert (recorder.store, recorder.http_host, recorder.http_port) == ("influxdb", EVERYBODY, 9884)
    influx, grafana = services()["influxdb"]["environment"], services()["grafana"]["environment"]
    assert recorder.influx_org == influx["DOCKER_INFLUXDB_INIT_ORG"]
    assert recorder.influx_bucket == influx["DOCKER_INFLUXDB_INIT_BUCKET"] == grafana["INFLUXDB_DATABASE"]
    assert str(recorder.influx_token_file) == influx["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE"]
    assert recorder.influx_url == grafana["INFLUXDB_URL"]
    web = services()["web"]["environment"]
    assert {name: value for name, value in web.items() if name.startswith("STIMFLEET_RECORDER_")} == {
        name: value for name, value in services()["recorder"]["environment"].items() if "_HTTP_" not in name
    }, "who reads the samples looks where they are written"


def test_the_page_is_behind_a_proxy_with_tls_that_it_believes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = dict(re.findall(r"^(\w+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for name, value in services()["web"]["environment"].items():
        if name.startswith("STIMFLEET_WEB_"):
            (variable,) = re.findall(r"^\$\{(\w+):\?.*\}$", value)  # required: there is no default that is right
            monkeypatch.setenv(name, example[variable])
    settings = load_web_settings(tmp_path, tmp_path, host=EVERYBODY)
    assert settings.over_tls
    assert settings.trusted_proxies


def _settings(service: dict[str, Any]) -> set[str]:
    return {name for name in service.get("environment", {}) if name.startswith("STIMFLEET_")}


def test_ports_are_those_of_the_settings() -> None:
    http_port = Settings.model_fields["http_port"].default
    assert f"127.0.0.1:{http_port}/healthz" in services()["fleet"]["healthcheck"]["test"][-1]
    targets = yaml.safe_load((ROOT / "dashboards/prometheus/targets/stimfleet.yml").read_text())
    assert targets == [
        {"targets": [f"fleet:{http_port}"], "labels": {"process": "fleet"}},
        {"targets": ["recorder:9884"], "labels": {"process": "recorder"}},
    ]
    for target in targets:
        for address in target["targets"]:
            assert address.split(":")[0] in services()
    assert services()["mosquitto"]["ports"] == [f"{DEFAULT_PORT}:{DEFAULT_PORT}"]
    assert f":{DEFAULT_PORT:04X} " in services()["mosquitto"]["healthcheck"]["test"][-1]
    (alertmanager,) = yaml.safe_load((ROOT / "dashboards/prometheus/targets/alertmanager.yml").read_text())
    (address,) = alertmanager["targets"]
    assert services()["alertmanager"]["ports"] == [f"127.0.0.1:{address.split(':')[1]}:{address.split(':')[1]}"]


def test_only_the_broker_is_open_to_the_network() -> None:
    for name, service in services().items():
        for port in service.get("ports", ()):
            assert name == "mosquitto" or port.startswith("127.0.0.1:"), f"{name} publishes {port}"


def test_what_containers_ask_each_other_has_a_network_in_common() -> None:
    for asks, asked in (
        ("fleet", "mosquitto"),
        ("agents", "mosquitto"),
        ("prometheus", "fleet"),
        ("prometheus", "recorder"),
        ("prometheus", "alertmanager"),
        ("recorder", "influxdb"),
        ("pager", "fleet"),
        ("web", "influxdb"),
        ("grafana", "influxdb"),
        ("grafana", "prometheus"),
    ):
        assert set(services()[asks]["networks"]) & set(services()[asked]["networks"]), f"{asks} and {asked}"


def test_leases_go_as_thin_streams_where_they_go() -> None:
    (setting,) = re.findall(
        r"^(net\.\S+) = (\d)", (ROOT / "deploy/sysctl.d/60-stimfleet.conf").read_text(), re.MULTILINE
    )
    for name in ("fleet", "mosquitto", "agents"):
        assert services()[name]["sysctls"] == {setting[0]: int(setting[1])}


def test_enforcement_is_weighted_above_all_that_looks_on() -> None:
    weights = {name: service.get("cpu_shares", 1024) for name, service in services().items()}
    enforcement = {"fleet", "mosquitto"}
    assert min(weights[name] for name in enforcement) > max(
        weight for name, weight in weights.items() if name not in enforcement | {"provision", "desk"}
    )


def test_the_image_has_what_pyproject_ships() -> None:
    """Kept here beside the composition: what a container runs is what the wheel has."""
    shipped = set(SETTINGS["hatch"]["build"]["targets"]["wheel"]["only-include"])
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert shipped <= copied
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}\n" in (ROOT / ".dockerignore").read_text(), f"{source} does not reach the builder"
