"""Whoever is told by Alertmanager: an HTTP server on loopback that remembers what it got, by path."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Receiver:
    """`told("engineers")` is what came to that path, each as (status, names of its alerts)."""

    def __init__(self) -> None:
        heard: list[tuple[str, dict[str, Any]]] = []
        self._heard = heard

        class Listening(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.append((self.path.strip("/"), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # as the class above has it
                """The tests say what was heard."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def told(self, name: str) -> list[tuple[str, frozenset[str]]]:
        return [
            (body["status"], frozenset(alert["labels"]["alertname"] for alert in body["alerts"]))
            for path, body in tuple(self._heard)
            if path == name
        ]

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Every alert of every notification, as it came."""
        return [alert for path, body in tuple(self._heard) if path == name for alert in body["alerts"]]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
