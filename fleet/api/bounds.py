"""What every request has to keep to before a route sees it, and what every answer carries. Plain ASGI, no thread.

- `Host` is one of ours: a foreign name that was pointed here is answered 400.
- A body is JSON (415), small (413), and there within seconds (408). It is read here, whole: a route waits for none.
- Answers are not cached, sniffed or framed, and a page may load from this server only.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet.api.answers import problem

BODY_BYTES_MAX: Final = 64 * 1024
BODY_S_MAX: Final = 10.0
WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
KEPT_A_YEAR: Final = "max-age=31536000"


class _Unfit(Exception):
    """This request is not let in."""

    def __init__(self, status: int, error: str, text: str) -> None:
        super().__init__(text)
        self.answer = problem(status, error, text, {"Connection": "close"})


class Bounds:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, host_names: Collection[str], *, secure: bool) -> None:
        self._app = app
        self._host_names = frozenset(host_names)
        self._headers = {**HEADERS, "Strict-Transport-Security": KEPT_A_YEAR} if secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            self._check_host(Headers(scope=scope))
            if scope["method"] not in WITHOUT_BODY:
                receive = await _read(Headers(scope=scope), receive)
        except _Unfit as unfit:
            await unfit.answer(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name.lower() not in self._host_names:
            raise _Unfit(400, "host", "This server does not go by that name: its `allowed_hosts` says which it has.")


async def _read(headers: Headers, receive: Receive) -> Receive:
    """The whole body, as a `receive` that gives it in one piece."""
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > BODY_BYTES_MAX:
        raise _Unfit(413, "too_large", f"A request's body has at most {BODY_BYTES_MAX} bytes.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    raise _Unfit(413, "too_large", f"A request's body has at most {BODY_BYTES_MAX} bytes.")
                if not message.get("more_body", False):  # the whole of it, or the client has gone
                    break
    except TimeoutError:
        raise _Unfit(408, "slow", f"A request's body comes within {BODY_S_MAX:.0f} s.") from None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise _Unfit(415, "not_json", "A request's body is JSON, and says so: `Content-Type: application/json`.")
    whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

    async def again() -> Message:
        nonlocal whole
        if whole is None:
            return await receive()
        message, whole = whole, None
        return message

    return again
