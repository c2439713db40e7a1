"""An alert goes out before all else that an Alertmanager is asked: what is slow or forbidden behind it delays nobody.

The Alertmanager is a real one; before it stands what clinics have before theirs, which does not let everything through.
"""

import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo.processes import await_that
from fleet.adapters.notify.alertmanager import send_alert
from fleet.adapters.notify.message import Message, NotDelivered
from fleet.core.attention_state import Act
from tests.paging.receivers import alertmanager, fetched
from tests.paging.test_lane import message

WITHIN_S = 2.0


@dataclass
class Gate:
    """`forbidden` and `slow`: verbs and how the path begins. `passed`: what went through."""

    url: str = ""
    forbidden: tuple[str, str] = ("", "")
    slow: tuple[str, str] = ("", "")
    passed: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def meets(self, rule: tuple[str, str], verb: str, path: str) -> bool:
        return verb == rule[0] and path.startswith(f"/api/v2/{rule[1]}")


@contextmanager
def gated(behind: str) -> Iterator[Gate]:
    gate = Gate()

    class Passing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if gate.meets(gate.slow, self.command, self.path):
                gate.over.wait()
                return
            if gate.meets(gate.forbidden, self.command, self.path):
                self.send_error(403)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
            asked = urllib.request.Request(behind + self.path, body, method=self.command)  # noqa: S310 # loopback
            asked.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(asked, timeout=5.0) as answer:  # noqa: S310 # loopback
                said = answer.read()
            gate.passed.append(f"{self.command} {self.path.partition('?')[0].removeprefix('/api/v2/').split('/')[0]}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    server.daemon_threads = True
    gate.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        gate.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with alertmanager(tmp_path) as url, gated(url) as gate:
        yield gate


def sounding(second: int) -> Message:
    at = datetime.now(UTC) - timedelta(seconds=100 - second)
    return replace(message("a1" * 16, "b2" * 16), at=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def send(gate: Gate, one: Message) -> None:
    send_alert(gate.url, one, WITHIN_S, lambda: datetime.now(UTC).timestamp())


def there(gate: Gate) -> list[str]:
    return sorted(one["labels"]["sounding"] for one in fetched(f"{gate.url}/api/v2/alerts?silenced=true"))


def test_silences_that_are_not_answered_in_time_keep_no_alert_back(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.slow = ("GET", "silences")
    began_s = time.monotonic()
    one = sounding(1)
    send(gate, one)
    assert time.monotonic() - began_s < WITHIN_S, "or its lane had given it up"
    assert gate.passed == ["POST alerts"]
    await_that("it is there", lambda: there(gate) == [one.at], 5.0)
    assert "its silences cannot be read: no answer in time" in caplog.text


def test_silences_that_nobody_may_read_keep_no_alert_back(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    gate.forbidden = ("GET", "silences")
    first, second = sounding(1), sounding(2)
    send(gate, first)
    await_that("it is there", lambda: there(gate) == [first.at], 5.0)
    send(gate, second)
    await_that("the one before it has ended", lambda: there(gate) == [second.at], 5.0)
    assert "its silences cannot be read: answered 403" in caplog.text


def test_a_silence_is_ended_after_the_alert_which_is_then_posted_once_more(gate: Gate) -> None:
    first, second = sounding(1), sounding(2)
    send(gate, first)
    send(gate, replace(first, act=Act.ACKNOWLEDGE, by="anna"))
    gate.passed.clear()
    send(gate, second)
    assert gate.passed[:4] == ["POST alerts", "GET silences", "DELETE silence", "POST alerts"]


def test_an_alert_that_a_silence_swallows_for_good_was_told_to_nobody(gate: Gate) -> None:
    first, second = sounding(1), sounding(2)
    send(gate, first)
    send(gate, replace(first, act=Act.ACKNOWLEDGE, by="anna"))
    gate.forbidden = ("DELETE", "silence")
    with pytest.raises(NotDelivered, match="answered 403"):
        send(gate, second)
    await_that("it is there all the same", lambda: second.at in there(gate), 5.0)


def test_one_that_comes_late_ends_nothing_that_is_newer(gate: Gate) -> None:
    older, newer = sounding(1), sounding(2)
    send(gate, newer)
    await_that("the newer is there", lambda: there(gate) == [newer.at], 5.0)
    send(gate, older)
    await_that("both are", lambda: there(gate) == [older.at, newer.at], 5.0)
    send(gate, replace(older, act=Act.RESOLVE))
    await_that("the newer goes on", lambda: there(gate) == [newer.at], 5.0)
