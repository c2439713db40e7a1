"""The composition, rehearsed without containers: each service of ours with its own command and environment, provisioned
by the one-time service, beside the real Mosquitto and InfluxDB, until every health check of theirs says it is well.

What a container engine gives them is put in here: folders for volumes, 127.0.0.1 for the names of services, free ports.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from broker.mosquitto.local import mosquitto_path
from broker.ports import free_port
from demo.processes import await_that
from tests.adapters.history.engines import Engine, engine
from tests.deploy.composition import ROOT, masks, services
from tests.deploy.test_containers import provisioned

HEALTHY_WITHIN_S = 90.0


class Rehearsal:
    """Services as processes, in folders of this test."""

    def __init__(self, folder: Path, influx: Engine) -> None:
        self.folder = folder
        self.log = folder / "services.log"
        self.ports = {port: free_port() for port in (8883, 9883, 9884, 8080)}
        self._influx = influx
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._example = dict(re.findall(r"^(\w+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))

    def here(self, text: str) -> str:
        """A word of the composition as it is on this host."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: self._example[found[1]], text)
        text = re.sub(r"(?<![\w.])/run/secrets\b", str(self.folder / "secrets"), text)
        text = re.sub(r"(?<![\w./:])/(site|ca|data|floor)\b", rf"{self.folder}/\1", text)
        text = re.sub(r"=/(site|ca|data|floor)\b", rf"={self.folder}/\1", text)
        text = text.replace("http://influxdb:8086", f"http://127.0.0.1:{self._influx.front}")
        text = re.sub(r"\b(mosquitto|fleet)(?=:\d|$)", "127.0.0.1", text) if text != "fleet" else text
        for port, free in self.ports.items():
            text = text.replace(str(port), str(free)).replace(f":{port:04X} ", f":{free:04X} ")
        return text

    def start(self, name: str) -> None:
        service = services()[name]
        words = [self.here(str(word)) for word in service["command"]]
        if covered := masks(service):
            words = [str(self._site_of(name, covered)) if word == str(self.folder / "site") else word for word in words]
        words = [word.replace("--agents=12", "--agents=2") for word in words]  # two cores, and others on them
        with self.log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["stimfleet", *words], cwd=self.folder, env=self._environment(name), stdout=log, stderr=log
            )

    def _site_of(self, name: str, covered: list[str]) -> Path:
        """The site's folder as that service sees it: links to what is there, and nothing in what is covered."""
        seen = self.folder / f"site-{name}"
        seen.mkdir()
        for path in (self.folder / "site").iterdir():
            if f"/site/{path.name}" not in [*covered, "/site/broker"]:
                (seen / path.name).symlink_to(path)
            elif path.is_dir():
                (seen / path.name).mkdir()
            else:
                (seen / path.name).touch()
        return seen

    def start_broker(self) -> None:
        with self.log.open("ab") as log:
            self._running["mosquitto"] = subprocess.Popen(
                ["sh", str(ROOT / "deploy/containers/mosquitto.sh"), str(self.folder / "site" / "broker")],
                env=self._environment("mosquitto"),
                stdout=log,
                stderr=log,
            )

    def is_well(self, name: str) -> bool:
        """What its own health check says."""
        process = self._running[name]
        assert process.poll() is None, f"{name} ended: {self.last_words()}"
        kind, *words = services()[name]["healthcheck"]["test"]
        words = [self.here(word) for word in words]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        done = subprocess.run(command, cwd=self.folder, env=self._environment(name), capture_output=True, check=False)
        return done.returncode == 0

    def says(self, command: str) -> str:
        words = shlex.split(command)
        return subprocess.run(
            words, cwd=self.folder, env=self._environment("fleet"), capture_output=True, text=True, check=False
        ).stdout

    def last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-3_000:]

    def end(self) -> list[str]:
        """End all, the newest first; who did not go cleanly."""
        complaints = []
        for name, process in reversed(self._running.items()):
            if process.poll() is not None:
                complaints.append(f"{name} had ended by itself: {process.returncode}")
                continue
            process.send_signal(signal.SIGTERM)
            if process.wait(30.0) not in {0, -signal.SIGTERM}:
                complaints.append(f"{name} ended with {process.returncode}")
        return complaints

    def kill(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def _environment(self, name: str) -> dict[str, str]:
        said = services()[name].get("environment", {})
        path = f"{Path(sys.executable).parent}:{Path(mosquitto_path()).parent}:{os.environ['PATH']}"
        image = {"PATH": path, "PYTHONUNBUFFERED": "1", "STIMFLEET_DATA_DIR": str(self.folder / "data")}
        return os.environ | image | {key: self.here(str(value)) for key, value in said.items()}


@pytest.fixture
def rehearsal(tmp_path: Path) -> Iterator[Rehearsal]:
    (tmp_path / "influx").mkdir()
    for volume in ("data", "floor"):
        (tmp_path / volume).mkdir()
    with engine(tmp_path / "influx") as influx:
        influx.database("stimfleet")
        whole = Rehearsal(tmp_path, influx)
        try:
            yield whole
        finally:
            whole.kill()


@pytest.mark.needs("influxd", "nginx")
@pytest.mark.timeout(300)
def test_every_service_of_ours_comes_up_by_its_own_words_and_says_that_it_is_well(rehearsal: Rehearsal) -> None:
    provisioned(rehearsal.folder, broker_port=rehearsal.ports[8883])
    rehearsal.start("fleet")
    await_that("it answers", lambda: bool(rehearsal.says("stimfleet status")), HEALTHY_WITHIN_S, rehearsal.last_words)
    assert not rehearsal.is_well("fleet"), "it has no broker yet"
    rehearsal.start_broker()
    for name in ("web", "recorder", "pager", "agents"):
        rehearsal.start(name)
    for name in ("mosquitto", "fleet", "web", "recorder", "pager"):
        well = partial(rehearsal.is_well, name)
        await_that(f"{name} is well", well, HEALTHY_WITHIN_S, rehearsal.last_words)
    devices = 'SHOW TAG VALUES FROM "sample" WITH KEY = "device"'
    await_that(
        "samples of both devices are in InfluxDB",
        lambda: all(name in rehearsal._influx.ask(devices, "stimfleet") for name in (b"stim-01", b"stim-02")),
        HEALTHY_WITHIN_S,
        rehearsal.last_words,
    )
    assert "connected" in rehearsal.says("stimfleet status")
    assert rehearsal.says("stimfleet devices").count("fresh") == 2
    assert rehearsal.end() == []
