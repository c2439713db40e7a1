"""What holds for every request, before any route: the name we are called by, how much anybody may ask for, how long
a body may be and take, what browsers are told about every answer, and a row in the audit for every order. Plain ASGI.

Bodies are small here and are read whole before a route is asked: one that is too long, or comes too slowly, costs no
more than its connection.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final

from starlette.requests import HTTPConnection

from fleet.api.access import SignedIn
from fleet.api.answers import problem
from fleet.api.attempts import place
from fleet.api.guard import COOKIE, COOKIE_OVER_TLS, SAFE_METHODS
from fleet.api.people import Told
from fleet.api.reception import Reception
from fleet.api.strangers import API_COSTS, FILE_COSTS, SIGNED_IN, Allowance, Strangers

BODY_BYTES_MAX: Final = 65_536
BODY_S_MAX: Final = 10.0
HELD_S: Final = 1.0  # how long who asks for too much waits before anything else is done
SUBJECT_CHARS_MAX: Final = 200
SUBJECT_FIELDS: Final = ("scope", "name", "room", "device", "code")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Everything that a page loads is a file of ours: no inline script or style, no frame around it, no outside request.
POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with no-referrer browsers would hide their Origin from us too
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
OVER_TLS: Final = ((b"strict-transport-security", b"max-age=31536000"),)
API: Final = "/api/"
STOPS: Final = f"{API}v1/stops"
USER_COSTS: Final = 1.0
NO_STORE: Final = (b"cache-control", b"no-store")


class Shield:
    """Around the application. `hosts` are the names by which we answer, as browsers send them, without a port."""

    def __init__(
        self,
        app: Application,
        *,
        hosts: Collection[str],
        reception: Reception,
        body_bytes_max: int = BODY_BYTES_MAX,
        body_s_max: float = BODY_S_MAX,
        strangers: Strangers | None = None,
        signed_in: Allowance = SIGNED_IN,
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._reception = reception
        self._body_bytes_max = body_bytes_max
        self._body_s_max = body_s_max
        self._strangers = strangers or Strangers()
        self._users = Strangers(signed_in)  # by user: the same counting
        self._headers = [*HEADERS, *(OVER_TLS if reception.over_tls else ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan; websockets are not spoken here
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": self._with_headers(scope["path"], message.get("headers", []))}
            await send(message)

        if not self._is_us(scope):
            await _answer(problem(400, "host", "This server is not called that; allowed_hosts says what it is."), told)
            return
        if not self._within(scope):
            await asyncio.sleep(HELD_S)
            if scope["path"].startswith(API):  # a file of the page is only late
                await _answer(problem(429, "too_often", "Too many requests from here.", {"Retry-After": "5"}), told)
                return
        body = await self._body(scope, receive)
        if not isinstance(body, bytes):
            await _answer(body, told)
            return
        try:
            await self._app(scope, _once(body, receive), told)
        finally:
            self._audit(scope, state, status, body)

    def _is_us(self, scope: Scope) -> bool:
        """A foreign name that points here must not speak with the cookies of ours (DNS rebinding)."""
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1:
            return False
        host = named[0].decode("latin-1").lower()
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        return (name if port.isdecimal() and name else host) in self._hosts

    def _within(self, scope: Scope) -> bool:
        """Whether this request may be looked at now: a stop of who is signed in, always."""
        now_s = asyncio.get_running_loop().time()
        who = self._signed_in(HTTPConnection(scope))
        if who is not None:
            stops = scope["method"] == "POST" and scope["path"] == STOPS
            return stops or self._users.may(who.user, USER_COSTS, now_s, known=True)
        address = scope["client"][0] if scope.get("client") else "unknown"
        costs = API_COSTS if scope["path"].startswith(API) else FILE_COSTS
        known = self._reception.is_known_at(address)
        return self._strangers.may(place(address), costs, now_s, known=known)

    def _signed_in(self, connection: HTTPConnection) -> SignedIn | None:
        cookie = connection.cookies.get(COOKIE_OVER_TLS if self._reception.over_tls else COOKIE)
        if cookie is not None and (who := self._reception.by_cookie(cookie)) is not None:
            return who
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return self._reception.by_token(token.strip()) if scheme.lower() == "bearer" else None

    async def _body(self, scope: Scope, receive: Receive) -> Any:
        """The whole body; or the answer to who sends too much of it, or too slowly."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        too_long = problem(413, "too_long", f"A request has {self._body_bytes_max} bytes at most.", CLOSE)
        if not length.isdigit() or int(length) > self._body_bytes_max:
            return too_long
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_s_max):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return problem(400, "gone", "The request ended early.", CLOSE)
                    body += message.get("body", b"")
                    if len(body) > self._body_bytes_max:
                        return too_long
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return problem(408, "too_slow", "The request took too long to arrive.", CLOSE)

    def _with_headers(self, path: str, headers: Any) -> list[tuple[bytes, bytes]]:
        there = {name.lower() for name, _ in headers}
        ours = [*self._headers, NO_STORE] if path.startswith(API) else self._headers
        return [*headers, *(header for header in ours if header[0] not in there)]

    def _audit(self, scope: Scope, state: Any, status: int, body: bytes) -> None:
        """A row for every order that somebody gave; who is not known gives none."""
        who = state.get("signed_in")
        if not isinstance(who, SignedIn) or scope["method"] in SAFE_METHODS or state.get("audited"):
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        what = f"{scope['method']} {scope['path']}"[:SUBJECT_CHARS_MAX]
        outcome = "done" if 200 <= status < 300 else str(status or "no answer")
        self._reception.tell(Told(self._reception.now_wall_s(), who.user, address, what, _subject(body), outcome))


def _subject(body: bytes) -> str:
    """What an order says that it is about. Of a client nothing: whose session it is, the journal has."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    parts = (said.get(name) for name in SUBJECT_FIELDS)
    return " ".join(part for part in parts if isinstance(part, str))[:SUBJECT_CHARS_MAX]


CLOSE: Final = {"connection": "close"}


def _once(body: bytes, receive: Receive) -> Receive:
    """The body that was read, and then what comes after it: that the client has gone."""
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


async def _answer(answer: Any, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body})
