"""The telephone of whoever is on call in a demo: it gets the fleet's messages by the signed webhook, and says them.

The pager of the demo is the real one, with a rota of one person; only the telephone is ours.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.pki.durable import write_secret

PERSON: Final = "lena"
NAME: Final = "Lena"
PHONE: Final = "lena-phone"  # of its secret, a file
BODY_BYTES_MAX: Final = 65_536


class Telephone:
    """Rings while the context is open: `say` hears each message as a sentence."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._key = secrets.token_hex(16)
        self._server = _Server(self._key.encode(), say)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="demo: telephone", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put_on_call(self, site_dir: Path, web_port: int) -> None:
        """Write the rota, where the telephone is reached, and where messages are answered."""
        port = self._server.server_address[1]
        method = {"id": "phone", "kind": "webhook", "secret": PHONE}
        rota = {
            "people": [{"id": PERSON, "name": NAME, "methods": [method]}],
            "rungs": {priority: [[PERSON]] for priority in ("high", "medium")},
        }
        (site_dir / "secrets").mkdir(mode=0o700)
        write_secret(site_dir / "secrets" / PHONE, f"http://127.0.0.1:{port}/\n{self._key}\n".encode())
        write_secret(site_dir / "rota.json", json.dumps(rota, indent=2).encode())
        public = f'public_url = "http://127.0.0.1:{web_port}"\n'
        (site_dir / "pager.toml").write_text(public, encoding="ascii")


class _Server(ThreadingHTTPServer):
    def __init__(self, key: bytes, say: Callable[[str], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Ringing)
        self.key = key
        self.say = say


class _Ringing(BaseHTTPRequestHandler):
    """One message; taken only where it is the pager's own (docs/webhook.md)."""

    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers["Content-Length"]), BODY_BYTES_MAX))
        signed = self.headers["Stimfleet-Timestamp"].encode() + b"." + body
        expected = f"v1={hmac.new(self.server.key, signed, sha256).hexdigest()}"
        if not hmac.compare_digest(expected, self.headers["Stimfleet-Signature"]):
            self.send_error(403)
            return
        message = json.loads(body)
        answer = f" Answer it: {message['link']}" if message["link"] and message["act"] == "trigger" else ""
        self.server.say(f"    the telephone of {NAME}, who is on call: {message['text']}{answer}")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing but what was rung for."""
