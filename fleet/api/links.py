"""The page behind the link in a message: it says what the alarm is, and asks for one press. No login is needed.

The rules of this file:
- GET shows, and changes nothing: whoever fetches a link for a preview acknowledges nothing. POST does.
- A link is used once (`fleet.paging.used_links`). What a press does the fleet decides, by its control socket.
- Pages are plain HTML without a script and without anything from elsewhere; what is not ours is escaped.
- Asked too often for links that are none, from one address or altogether, it answers 429: nobody guesses a signature
  here. A link of ours is never refused for that: behind a proxy everybody may have one address.

The web process has `link_routes(...)` beside its own: they are no part of the API, and have no guard but the signature.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from fleet.api.control import FleetAbsent, ask
from fleet.api.rate import Rate
from fleet.core.state import State
from fleet.paging.links import PATH, BadLink, Link, LinkEnded, link_key, read_token
from fleet.paging.used_links import UsedLinks
from fleet.words.pages import link_line

log = logging.getLogger(__name__)
FORM_BYTES_MAX: Final = 1_024
Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]  # None: the fleet does not answer
Describe = Callable[[Link], str | None]  # the alarm in one line; None: it is over, or nobody knows it any more

STYLE: Final = (
    "body{font:1.15rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.2rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.3rem}p.alarm{border-left:.4rem solid #8a1c1c;padding-left:.8rem;font-weight:600}"
    "button{display:block;width:100%;min-height:3.4rem;margin:.8rem 0;font:inherit;font-weight:600;border-radius:.5rem;"
    "border:2px solid #1b1f24;background:#fff;color:#1b1f24}button.first{background:#1b1f24;color:#fff}"
)
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is the permission: it goes nowhere
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}
NOT_OURS = "This link is not one of ours", "Open it from the message again, as a whole; or use the clinic's page."
ENDED = "This link has ended", "Newer messages have newer links. The clinic's page shows what is open."
USED = "This link has been used", "Nothing more is to be done with it. The clinic's page shows who has the alarm."
AWAY = (
    "The fleet service does not answer",
    "Nothing was noted. Press again in a moment; if it goes on, call the clinic.",
)
OVER = "The alarm is over", "Nothing is to be done."
UNKNOWN = "Nobody knows this alarm any more", "Nothing was noted. The clinic's page shows what is open."
TEST_OVER = (
    "This test is over",
    "It was answered already, or its ten minutes have passed. If you were not counted, ask for another one.",
)
REFUSED = (
    "The fleet has refused it",
    "Nothing was noted. Look at the clinic's page, and act there; if it shows nothing, call the clinic.",
)
# What a refusal means for whoever pressed; any other is `REFUSED`: of what is refused nobody is told that it is over.
_WORDS_FOR: Final = {"alarm_over": OVER, "alarm_unknown": UNKNOWN, "page_unknown": TEST_OVER}
OFTEN = "Too many requests", "Wait a minute, then open the link again."
NOTHING = "Nothing was chosen", "Go back and press one of the buttons."
# What is asked, by what a press says.
ACCEPT, REJECT, ANSWER = "accept", "reject", "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDesk:
    """What the pages need of the web process. `walltime` in Unix seconds."""

    key: bytes
    used: UsedLinks
    describe: Describe
    ask: Ask
    walltime: Callable[[], float]
    rate: Rate


def link_desk(
    data_dir: Path,
    control_path: Path,
    state: Callable[[], State],
    boottime: Callable[[], float],
    walltime: Callable[[], float],
) -> LinkDesk:
    """That of a site.

    Raises:
        OSError: the key can neither be read nor made.
    """

    async def ask_fleet(order: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return await ask(control_path, order)
        except FleetAbsent:
            return None

    return LinkDesk(
        key=link_key(data_dir),
        used=UsedLinks(data_dir, walltime()),
        describe=lambda link: link_line(link, state()),
        ask=ask_fleet,
        walltime=walltime,
        rate=Rate(boottime),
    )


def link_routes(desk: LinkDesk) -> list[Route]:
    """Where links lead to."""

    async def show(request: Request) -> Response:
        link = _read(desk, request)
        return link if isinstance(link, Response) else _asking(desk, link)

    async def press(request: Request) -> Response:
        link = _read(desk, request)
        return link if isinstance(link, Response) else await _pressed(desk, link, request)

    return [
        Route(f"{PATH}/{{token}}", show, methods=["GET"], include_in_schema=False),
        Route(f"{PATH}/{{token}}", press, methods=["POST"], include_in_schema=False),
    ]


def _read(desk: LinkDesk, request: Request) -> Link | Response:
    """What the link stands for, or what to say instead."""
    token = request.path_params["token"]
    try:
        link = read_token(desk.key, token, desk.walltime())
    except BadLink:
        if desk.rate.allows(request.client.host if request.client else "unknown"):
            return _page(404, *NOT_OURS)
        return _page(429, *OFTEN, headers={"Retry-After": "60"})
    except LinkEnded:
        return _page(410, *ENDED)
    return _page(410, *USED) if desk.used.used(token) else link


def _asking(desk: LinkDesk, link: Link) -> Response:
    if link.drill:
        return _page(200, "Test alarm", "Nothing is wrong.", buttons=[(ANSWER, "I have got it")], person=link.person)
    line = desk.describe(link)
    if line is None:
        return _page(200, *OVER)
    buttons = [(ACCEPT, "I see to it"), (REJECT, "I cannot: tell the next person")]
    return _page(200, "Alarm", alarm=line, buttons=buttons, person=link.person)


async def _pressed(desk: LinkDesk, link: Link, request: Request) -> Response:
    token, chosen = request.path_params["token"], await _chosen(request)
    order = _order(link, chosen)
    if order is None:
        return _page(400, *NOTHING)
    if not desk.used.take(token, link.ends_s):
        return _page(410, *USED)
    answer: dict[str, Any] | None = None
    try:
        answer = await desk.ask(order)
    finally:
        if answer is None or not answer.get("ok"):
            desk.used.give_back(token)
    if answer is None:
        return _page(503, *AWAY)
    if not answer.get("ok"):
        log.info("a press on a link was refused: %s", answer.get("error"))
        return _page(200, *_refused(answer)) if answer.get("error") == "refused" else _page(503, *AWAY)
    try:
        await asyncio.to_thread(desk.used.settle, token, link.ends_s)  # a disk that takes its time holds up no stop
    except OSError as error:  # it is done, and known here until this process ends: a second press would do it again
        log.error("a link that was used cannot be noted: %s", error.strerror)
    return _page(200, *_done(link, chosen))


def _refused(answer: dict[str, Any]) -> tuple[str, str]:
    rules = [refusal["rule"] for refusal in answer.get("refusals", [])]
    return next((_WORDS_FOR[rule] for rule in rules if rule in _WORDS_FOR), REFUSED)


def _order(link: Link, chosen: str) -> dict[str, Any] | None:
    """What the fleet is asked."""
    if link.drill:
        asked = {"op": "drill_answered", "page_id": link.page_id, "issued_by": link.person}
        return asked if chosen == ANSWER else None
    about = {"alarm_id": link.alarm_id, "issued_by": link.person}
    if chosen == ACCEPT:
        return {"op": "alarm_accept", **about}
    return {"op": "alarm_reject", **about, "reason": "cannot, by the message's link"} if chosen == REJECT else None


def _done(link: Link, chosen: str) -> tuple[str, str]:
    return {
        ANSWER: ("Thank you", "This way to you is proven."),
        ACCEPT: (
            "You have it",
            "It is noted that you see to it. If the alarm lasts, you are told again in ten minutes.",
        ),
        REJECT: ("The next person is told", "It is noted that you cannot."),
    }[chosen]


async def _chosen(request: Request) -> str:
    """What was pressed; nothing, where that cannot be read."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MAX:
            return ""
    return parse_qs(body.decode("ascii", errors="replace")).get("press", [""])[0]


def _page(
    status: int,
    title: str,
    text: str = "",
    *,
    alarm: str | None = None,
    buttons: list[tuple[str, str]] | None = None,
    person: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [f'<p class="alarm">{escape(alarm)}</p>'] if alarm else []
    parts += [f"<p>{escape(text)}</p>"] if text else []
    if buttons:
        pressed = "".join(
            f'<button{first} name="press" value="{escape(value)}">{escape(words)}</button>'
            for first, (value, words) in zip((" class=first", *[""] * len(buttons)), buttons, strict=False)
        )
        parts.append(f'<form method="post">{pressed}</form>')
        parts.append(f"<p>It is noted for {escape(person or '')}. The link works once.</p>")
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>StimFleet</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )
    return HTMLResponse(body, status_code=status, headers={**HEADERS, **(headers or {})})
