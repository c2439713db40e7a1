"""Debian's Prometheus and Alertmanager, each as a process on a port of its own, with the committed configuration.

Where they listen and whom they tell is put in; every such change must find what it replaces.
"""

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo.processes import DidNotHappen, await_that

ROOT = Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "dashboards" / "prometheus"
ALERTMANAGER = ROOT / "dashboards" / "alertmanager" / "alertmanager.yml"
UP_WITHIN_S = 30.0
ENDS_WITHIN_S = 20.0


def program(name: str, package: str) -> str:
    """Where an engine is.

    Raises:
        DidNotHappen: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise DidNotHappen(f"{name} is not here: `tools/set-up engines` installs it (Debian's package {package})")
    return found


def run(*command: str, cwd: Path = ROOT) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=110.0)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def promtool(*words: str) -> str:
    return run(program("promtool", "prometheus"), *words)


def amtool(*words: str) -> str:
    return run(program("amtool", "prometheus-alertmanager"), *words)


def get_json(url: str) -> Any:
    """Raises: OSError: nobody answers, or it is refused; its text says what the engine says."""
    try:
        with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 # loopback
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        raise OSError(f"{refused.code} {refused.read().decode(errors='replace')}") from refused


def replaced(path: Path, changes: Mapping[str, str]) -> None:
    """Rewrite a file; whatever is to be replaced must be there."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{path} has no {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


class Engine:
    """One engine's process. `ready` is the address that answers once it works."""

    def __init__(self, name: str, command: Sequence[str], ready: str, folder: Path, **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._ready = ready
        self._folder = folder
        self._environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        await_that(f"{self.name} is ready", self._is_ready, UP_WITHIN_S, self.last_words)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(ENDS_WITHIN_S)
            self._process = None

    def last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2_000:] if self.log.exists() else ""

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise DidNotHappen(f"{self.name} ended: {self.last_words()}")
        try:
            with urllib.request.urlopen(self._ready, timeout=2.0) as answer:  # noqa: S310 # loopback
                return bool(answer.status < 400)
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Prometheus(Engine):
    """With the committed rules and scraping, of the targets that are given: job's target file to its addresses."""

    def __init__(self, folder: Path, port: int, *, fleet_port: int, recorder_port: int, alertmanager_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        configuration = folder / "configuration"
        shutil.copytree(PROMETHEUS, configuration)
        targets = configuration / "targets"
        ours = {"fleet:9883": f"127.0.0.1:{fleet_port}", "recorder:9884": f"127.0.0.1:{recorder_port}"}
        replaced(targets / "stimfleet.yml", ours)
        replaced(targets / "alertmanager.yml", {"alertmanager:9093": f"127.0.0.1:{alertmanager_port}"})
        replaced(
            targets / "watching.yml",
            {"localhost:9090": f"127.0.0.1:{port}", "alertmanager:9093": f"127.0.0.1:{alertmanager_port}"},
        )
        command = [
            program("prometheus", "prometheus"),
            f"--config.file={configuration / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=expand-external-labels",
            # What is sent before it has found Alertmanager is lost, and said again after this; a minute by default.
            "--rules.alert.resend-delay=5s",
        ]
        super().__init__("prometheus", command, f"{self.url}/-/ready", folder, STIMFLEET_SITE="north")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query.

        Raises:
            OSError: the engine refuses it, and says why.
        """
        answer = get_json(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def shows(self, expression: str) -> bool:
        """Whether it has any series."""
        return bool(self.query(expression))

    def value(self, expression: str) -> float | None:
        """Of the one series; None if there is none."""
        series = self.query(expression)
        assert len(series) <= 1, f"{expression} has {len(series)} series"
        return float(series[0]["value"][1]) if series else None


class Alertmanager(Engine):
    """With the committed routing. `receiver` gets everything, at a path for each receiver's name."""

    def __init__(self, folder: Path, port: int, *, receiver: str, **faster: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        configuration = folder / "alertmanager.yml"
        shutil.copy(ALERTMANAGER, configuration)
        names = ("engineers", "dead-mans-switch")
        replaced(configuration, {f"http://{name}.invalid/": f"{receiver}/{name}" for name in names})
        replaced(configuration, {f"{name}: {was}": f"{name}: {becomes}" for name, (was, becomes) in _pairs(faster)})
        command = [
            program("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={configuration}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        super().__init__("alertmanager", command, f"{self.url}/-/ready", folder)

    def alerts(self) -> list[dict[str, Any]]:
        """What is there and not over, silenced or not."""
        found: list[dict[str, Any]] = get_json(f"{self.url}/api/v2/alerts?silenced=true&inhibited=true")
        return found

    def post(self, *alerts: Mapping[str, Any]) -> None:
        request = urllib.request.Request(  # noqa: S310 # loopback
            f"{self.url}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10.0):  # noqa: S310 # loopback
            pass


def _pairs(faster: Mapping[str, str]) -> list[tuple[str, tuple[str, str]]]:
    """`group_interval="2m>5s"` as name, what it was, what it becomes."""
    pairs = []
    for name, change in faster.items():
        was, _, becomes = change.partition(">")
        pairs.append((name, (was, becomes)))
    return pairs
