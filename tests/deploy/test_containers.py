"""What runs in the containers, run here: the one-time provisioning, the broker's script with the real Mosquitto, the
one that puts addresses into Alertmanager's configuration, and the steps that build the image.
"""

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.mosquitto.configuration import write_configuration
from broker.mosquitto.local import mosquitto_path
from broker.pki.devices import provision_device
from broker.pki.registry_file import load_registry
from broker.pki.site import DEFAULT_PORT, provision_site
from broker.ports import free_port
from demo.processes import await_that
from stimfleet import main
from tests.contract.raw_mqtt import Papers, RawClient
from tests.dashboards.engines import program, run
from tests.deploy.composition import ROOT, provision_lines

SCRIPTS = ROOT / "deploy" / "containers"
PLACES = ("/site", "/ca", "/secrets")


def provisioned(folder: Path, broker_port: int = DEFAULT_PORT) -> str:
    """Run the one-time service's script as it stands, in folders below `folder`; what it says."""
    script = "\n".join(provision_lines())
    script = script.replace("--unless-there", f"--unless-there --broker-port {broker_port}")
    for place in PLACES:
        script = script.replace(f" {place}", f" {folder}{place}")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SITE": "north",
        "BROKER_HOST": "fleet.clinic.example",
        "TIME_ZONE": "Europe/Vienna",
    }
    done = subprocess.run(
        ["sh", "-euc", script], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_provisioning_makes_all_that_is_needed_and_again_it_changes_nothing(tmp_path: Path) -> None:
    said = provisioned(tmp_path)
    assert "Site north is provisioned" in said
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in files if path.parent.parent.name == "secrets"} == {
        "grafana-admin-password",
        "influxdb-admin-password",
        "influxdb-admin-token",
        "influxdb-grafana-password",
    }
    assert "already" in provisioned(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    registry = load_registry(tmp_path / "site")
    assert (registry.site, registry.broker_host, registry.time_zone) == (
        "north",
        "fleet.clinic.example",
        "Europe/Vienna",
    )


def test_the_broker_s_configuration_is_that_of_the_demo(tmp_path: Path) -> None:
    """But for where it listens: the demo on loopback, the container for everybody."""
    provisioned(tmp_path)
    written = (tmp_path / "site/broker/mosquitto.conf").read_text().splitlines()
    demo = write_configuration(tmp_path / "site", load_registry(tmp_path / "site"), port=8883).read_text().splitlines()
    assert [line for line in written if line not in demo] == ["listener 8883 0.0.0.0"]
    assert [line for line in demo if line not in written] == ["listener 8883 127.0.0.1"]


def test_the_broker_needs_nothing_but_its_own_folder(tmp_path: Path) -> None:
    provisioned(tmp_path)
    conf = (tmp_path / "site/broker/mosquitto.conf").read_text()
    named = [Path(path) for path in re.findall(rf"({re.escape(str(tmp_path))}\S+)", conf)]
    assert len(named) > 5
    assert {path.is_relative_to(tmp_path / "site" / "broker") for path in named} == {True}


# --- the broker's script ----------------------------------------------------------------------------------------------


@contextmanager
def broker_running(site_dir: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mosquitto under the container's script."""
    path = f"{Path(mosquitto_path()).parent}:{os.environ['PATH']}"
    with log.open("wb") as output:
        script = subprocess.Popen(
            ["sh", str(SCRIPTS / "mosquitto.sh"), str(site_dir / "broker")],
            env=os.environ | {"PATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield script
    finally:
        if script.poll() is None:
            os.killpg(script.pid, signal.SIGKILL)
        script.wait()


def test_a_device_that_is_struck_off_in_another_container_loses_its_rights_within_seconds(tmp_path: Path) -> None:
    port, now = free_port(), datetime.now(UTC)
    site_dir, ca_dir = tmp_path / "site", tmp_path / "ca"
    provision_site(site_dir, ca_dir, "north", now=now, broker_port=port)
    for name in ("stim-01", "stim-02"):
        provision_device(site_dir, ca_dir, name, "room-1", name, "bench", tmp_path / name, now=now)
    write_configuration(site_dir, load_registry(site_dir))
    log = tmp_path / "script.log"
    with broker_running(site_dir, log) as script:
        await_that("it listens", lambda: " running" in _said(site_dir), 10.0, log.read_text)
        with RawClient(port, Papers.of_device(tmp_path / "stim-01")) as device:
            assert device.publish("stim/v1/north/stim-01/telemetry", b"{}") < 0x80
            # It says that it could not tell a broker, and leaves the new list.
            assert main(["provision", "revoke", "stim-01", f"--site-dir={site_dir}"]) == 1
            struck_s = time.monotonic()
            await_that(
                "it may not publish any more",
                lambda: device.publish("stim/v1/north/stim-01/telemetry", b"{}") >= 0x80,
                5.0,
                log.read_text,
            )
            assert time.monotonic() - struck_s < 3.0
        assert "the broker obeys the new list" in log.read_text()
        script.send_signal(signal.SIGTERM)
        assert script.wait(10.0) == 0, "it ends with its broker, in order"


def _said(site_dir: Path) -> str:
    log = site_dir / "broker" / "mosquitto.log"
    return log.read_text() if log.exists() else ""


# --- Alertmanager's ---------------------------------------------------------------------------------------------------


def configured(folder: Path, engineers_url: str) -> tuple[Path, list[str]]:
    """What the script makes of the committed configuration, and how it starts Alertmanager."""
    show = folder / "show"
    show.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    show.chmod(0o755)
    configuration = folder / "alertmanager.yml"
    environment = os.environ | {
        "ENGINEERS_URL": engineers_url,
        "DEAD_MANS_SWITCH_URL": "https://watch.example/ping",
        "TEMPLATE": str(ROOT / "dashboards/alertmanager/alertmanager.yml"),
        "CONFIGURATION": str(configuration),
        "ALERTMANAGER": str(show),
    }
    command = ["sh", str(SCRIPTS / "alertmanager.sh"), "--storage.path=/alertmanager"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return configuration, said.split()


@pytest.mark.parametrize("url", ["https://alerts.example/a?b=1&c=2", r"https://alerts.example/odd|\1"])
def test_addresses_come_from_the_environment_as_they_are(tmp_path: Path, url: str) -> None:
    configuration, words = configured(tmp_path, url)
    assert words == [f"--config.file={configuration}", "--storage.path=/alertmanager"]
    text = configuration.read_text()
    assert f"url: {url}\n" in text
    assert "url: https://watch.example/ping\n" in text
    assert ".invalid" not in text.split("receivers:")[1]


@pytest.mark.needs("amtool")
def test_alertmanager_takes_what_comes_of_it(tmp_path: Path) -> None:
    configuration, _ = configured(tmp_path, "https://alerts.example/a?b=1&c=2")
    assert "SUCCESS" in run(program("amtool", "prometheus-alertmanager"), "check-config", str(configuration))


def test_scripts_may_be_run() -> None:
    for script in SCRIPTS.iterdir():
        assert stat.S_IMODE(script.stat().st_mode) & 0o111, script
        shell = "bash" if script.read_text().startswith("#!/bin/bash") else "sh"
        run(shell, "-n", str(script))


# --- the image --------------------------------------------------------------------------------------------------------


def steps() -> list[str]:
    """The RUN lines of the Dockerfile, with what its ENV lines of the first stage say."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    return re.findall(r"^RUN (.+)$", text, re.MULTILINE)


def build_environment() -> dict[str, str]:
    (line,) = re.findall(r"^ENV (PIP.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return dict(word.split("=", 1) for word in line.split())


@pytest.mark.timeout(300)
def test_the_image_s_environment_is_made_from_the_locks_and_runs(tmp_path: Path) -> None:
    """The build's own steps, on the files that it copies, in folders of their own. Needs a package index, as set-up."""
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for name in source.split():
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tmp_path / name)
    places = {"/opt/stimfleet": tmp_path / "opt", "/opt/build": tmp_path / "tools", "/build/dist": tmp_path / "dist"}
    for name in ("opt", "tools"):
        venv.create(tmp_path / name)
    environment = os.environ | build_environment() | {"PIP_NO_CACHE_DIR": "0"}  # a cache is as good: hashes are checked
    assert build_environment()["PIP_REQUIRE_HASHES"] == "1"
    first_stage = [step for step in steps() if "/opt/" in step or "build.lock" in step]
    assert len(first_stage) == 8
    for step in first_stage:
        if step.startswith("python -m venv --without-pip"):
            continue
        here = step.replace("python -m pip", f"{shlex.quote(sys.executable)} -m pip")
        for place, folder in places.items():
            here = here.replace(place, str(folder))
        done = subprocess.run(
            ["sh", "-euc", here], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{step}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    command = tmp_path / "opt" / "bin" / "stimfleet"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run(str(command), "--version", cwd=elsewhere).startswith("stimfleet ")
    for words in ("fleet --help", "simulate --help", "provision --help"):
        assert "usage" in run(str(command), *words.split(), cwd=elsewhere)
    inside = "import fleet.service, fleet.supervisor; print(fleet.service.__file__)"
    assert str(tmp_path / "opt") in run(str(command.with_name("python")), "-c", inside, cwd=elsewhere)
