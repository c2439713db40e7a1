"""The other side: an HTTP server, a mail server, and Debian's Alertmanager, each on a port of its own."""

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from broker.ports import free_port
from demo.processes import await_that


def boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Posted:
    """One request, when its body had arrived (boot time)."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpReceiver:
    """Takes everything that is posted, unless it is told otherwise: `statuses` are answered in turn, the last for ever;
    `delay_s` before each answer; `silent` answers nothing until it is over.
    """

    statuses: list[int] = field(default_factory=lambda: [200])
    delay_s: float = 0.0
    location: str | None = None
    posted: list[Posted] = field(default_factory=list)
    silent: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "HttpReceiver":
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append(Posted(self.path, dict(self.headers), body, boottime_s()))
                if receiver.silent:
                    receiver._over.wait()
                    return
                receiver._over.wait(receiver.delay_s)
                status = receiver.statuses[min(len(receiver.posted), len(receiver.statuses)) - 1]
                self.send_response(status)
                if receiver.location is not None:
                    self.send_header("Location", receiver.location)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def await_posts(self, count: int, within_s: float = 10.0) -> list[Posted]:
        await_that(f"{count} messages", lambda: len(self.posted) >= count, within_s, lambda: f"there are {self.posted}")
        return self.posted


@dataclass
class Mailbox:
    """An SMTP server that keeps what it takes."""

    subjects: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuses: bool = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refuses:
            return "554 not here"
        mail = message_from_bytes(envelope.content)
        self.subjects.append(str(make_header(decode_header(mail["Subject"]))))
        part = next(part for part in mail.walk() if part.get_content_maintype() == "text")
        raw = part.get_payload(decode=True)
        assert isinstance(raw, bytes)
        self.bodies.append(raw.decode())
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"

    def __enter__(self) -> "Mailbox":
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def url(self) -> str:
        """As Apprise wants it."""
        return f"mailto://127.0.0.1:{self.port}?from=fleet@clinic.example&to=anna@clinic.example&mode=insecure"

    def await_mails(self, count: int, within_s: float = 10.0) -> list[str]:
        await_that(
            f"{count} mails", lambda: len(self.subjects) >= count, within_s, lambda: f"there are {self.subjects}"
        )
        return self.subjects


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Debian's Alertmanager, which tells nobody; its address."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program is not None, "apt-get install prometheus-alertmanager"
    configuration = folder / "alertmanager.yml"
    configuration.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    port = free_port()
    command = [
        program,
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        await_that("Alertmanager is ready", lambda: _answers(f"{url}/-/ready"), 20.0)
        yield url
    finally:
        running.terminate()
        running.wait(10.0)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - on this machine
            return bool(answer.status == 200)
    except OSError:
        return False


def fetched(url: str) -> Any:
    """What an HTTP server says in JSON."""
    with urllib.request.urlopen(url, timeout=5.0) as answer:  # noqa: S310 - on this machine
        return json.load(answer)
