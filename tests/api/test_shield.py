"""What holds for every request before any route is asked."""

import asyncio
from typing import Any

import pytest

from fleet.api.access import Role
from fleet.api.shield import Message, Receive, Send, Shield
from tests.api.desk import HOST, Front

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


async def test_every_answer_tells_browsers_to_be_careful_also_errors(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    answers = [
        await browser.signs_in("anna"),
        await browser.get("/me"),
        await browser.get("/nothing"),
        await browser.stops(origin="http://evil.example"),
        await browser.client.get("/api/v1/me", headers={"host": "evil.example"}),
        await browser.client.post("/api/v1/stops", content=b"x" * 70_000),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 403, 400, 413]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers, "nothing that is not so over plain HTTP"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (HOST, 401),
        (f"{HOST}:8080", 401),
        (HOST.upper(), 401),
        ("127.0.0.1:9", 401),
        ("evil.example", 400),
        (f"{HOST}.evil.example", 400),
        (f"evil.example:{HOST}", 400),
        (f"{HOST}:", 400),
        ("", 400),
        ("[::1]", 400),
    ],
)
async def test_it_answers_by_its_own_names_only(front: Front, host: str, status: int) -> None:
    """DNS rebinding: a foreign name that points here must not be able to speak with a session of ours."""
    answer = await front.browser().client.get("/api/v1/me", headers={"host": host})
    assert answer.status_code == status


class Wire:
    """One request, bytes as they come; and what was answered."""

    def __init__(self, *pieces: bytes, **headers: str) -> None:
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        for number, piece in enumerate(pieces, 1):
            self.coming.put_nowait({"type": "http.request", "body": piece, "more_body": number < len(pieces)})
        self.headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.answered: list[Message] = []

    async def through(self, shield: Shield, path: str = "/echo") -> int:
        scope = {"type": "http", "method": "POST", "path": path, "headers": self.headers, "client": ("192.0.2.1", 1)}
        await shield(scope, self.coming.get, self.tell)
        return int(self.answered[0]["status"])

    async def tell(self, message: Message) -> None:
        self.answered.append(message)


async def echo(_scope: Any, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def shield(front: Front) -> Shield:
    return Shield(echo, hosts={HOST}, reception=front.reception, body_bytes_max=100, body_s_max=0.1)


async def test_a_body_is_handed_on_whole(shield: Shield) -> None:
    wire = Wire(b"one ", b"two ", b"three", host=HOST)
    assert await wire.through(shield) == 200
    assert wire.answered[1]["body"] == b"one two three"


@pytest.mark.parametrize(
    ("pieces", "length"),
    [
        ((b"x" * 101,), "101"),
        ((b"x" * 60, b"x" * 60), "0"),
        ((b"x",), "99999999999"),
        ((b"x",), "-1"),
        ((b"x",), "one"),
    ],
)
async def test_a_body_that_is_too_long_or_says_so_is_refused(
    shield: Shield, pieces: tuple[bytes, ...], length: str
) -> None:
    wire = Wire(*pieces, host=HOST, content_length=length)
    assert await wire.through(shield) == 413


async def test_a_body_that_does_not_come_is_not_waited_for(shield: Shield) -> None:
    wire = Wire(b"the beginning", b"and never the end", host=HOST)
    wire.coming._queue.pop()  # type: ignore[attr-defined] # a queue's own deque: the last piece is withheld
    assert await wire.through(shield) == 408


async def test_two_names_at_once_are_none(shield: Shield) -> None:
    wire = Wire(b"", host=HOST)
    wire.headers.append((b"host", b"evil.example"))
    assert await wire.through(shield) == 400


async def test_whoever_leaves_in_the_middle_costs_nothing_more(shield: Shield) -> None:
    wire = Wire(b"the beginning", b"", host=HOST)
    wire.coming._queue[1] = {"type": "http.disconnect"}  # type: ignore[attr-defined] # instead of the last piece
    assert await wire.through(shield) == 400
