"""A real InfluxDB 1.6 (Debian's) on ports and in a folder of its own, behind Debian's nginx, which gives it the write
route of version 2. Where STIMFLEET_TEST_INFLUX_URL, _ORG, _BUCKET and _TOKEN are set, that InfluxDB is tested as well.
"""

import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.ports import free_port
from demo.processes import await_that
from fleet.adapters.history.influx_reading import Where

INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:{backup}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[logging]
  level = "warn"
"""
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ }}
http {{
  access_log off;
  client_max_body_size 32m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{front};
    location = /api/v2/write {{
      proxy_pass http://127.0.0.1:{port}/write?db=$arg_bucket&precision=n;
    }}
    location = /query {{
      proxy_pass http://127.0.0.1:{port};
    }}
  }}
}}
"""


class Engine:
    """InfluxDB and nginx. The database may be stopped, killed and started while nginx stays."""

    def __init__(self, folder: Path) -> None:
        for program in ("influxd", "nginx"):
            assert shutil.which(program), f"{program} is missing: tools/set-up engines (make test does that)"
        self.folder = folder
        self.port, self.front = free_port(), free_port()
        places = {"folder": folder, "port": self.port, "front": self.front, "backup": free_port()}
        (folder / "influxd.conf").write_text(INFLUXD.format(**places))
        (folder / "nginx.conf").write_text(NGINX.format(**places))
        self._influxd: subprocess.Popen[bytes] | None = None
        self._nginx: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        self.start()
        command = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]
        self._nginx = self._run(command, "nginx.err")
        await_that("nginx answers", lambda: self._answers(self.front, "/query?q=SHOW+DATABASES"), 20.0, self._said)

    def start(self) -> None:
        self._influxd = self._run(["influxd", "-config", str(self.folder / "influxd.conf")], "influxd.err")
        await_that("InfluxDB answers", lambda: self._answers(self.port, "/ping"), 30.0, self._said)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        assert self._influxd is not None
        self._influxd.send_signal(by)
        self._influxd.wait(20.0)
        self._influxd = None

    def close(self) -> None:
        for process in (self._nginx, self._influxd):
            if process is not None:
                process.send_signal(signal.SIGTERM)
                process.wait(20.0)

    def database(self, name: str) -> Where:
        """A new empty database."""
        self.ask(f'DROP DATABASE "{name}"')
        self.ask(f'CREATE DATABASE "{name}"')
        return Where(f"http://127.0.0.1:{self.front}", "clinic", name)

    def ask(self, query: str, database: str = "") -> bytes:
        """The engine itself, past nginx and past the code under test."""
        asked = urllib.parse.urlencode({"q": query, "db": database}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/query", asked, timeout=10.0) as answer:
            said: bytes = answer.read()
        return said

    def put(self, line: str, database: str) -> None:
        """A line of somebody else's."""
        url = f"http://127.0.0.1:{self.port}/write?db={database}"
        with urllib.request.urlopen(url, line.encode(), timeout=10.0) as answer:
            assert answer.status == 204

    def _run(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as errors:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)

    def _answers(self, port: int, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2.0) as answer:
                return bool(answer.status < 300)
        except (urllib.error.URLError, OSError):
            return False

    def _said(self) -> str:
        return "\n".join(path.read_text()[-1000:] for path in sorted(self.folder.glob("*.err")))


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine that runs."""
    one = Engine(folder)
    try:
        one.open()
        yield one
    finally:
        one.close()


def other_influx() -> Where | None:
    """The InfluxDB that the environment names."""
    url, org, bucket, token = (os.environ.get(f"STIMFLEET_TEST_INFLUX_{name}") for name in _NAMES)
    if url is None:
        return None
    assert org, "STIMFLEET_TEST_INFLUX_ORG must be set beside _URL"
    assert bucket, "STIMFLEET_TEST_INFLUX_BUCKET must be set beside _URL"
    return Where(url, org, bucket, token)


_NAMES = ("URL", "ORG", "BUCKET", "TOKEN")
