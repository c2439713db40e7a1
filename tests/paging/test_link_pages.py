"""What whoever opens a link is shown and asked: looking changes nothing, one press does, and once."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from fleet.api.links import LinkDesk, link_routes
from fleet.api.rate import ADDRESSES_MAX, Rate
from fleet.paging.links import Link, link_token
from fleet.paging.used_links import UsedLinks

KEY = bytes(range(32))
NOW_S = 1_795_597_200.0
LINE = "HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall."
LINK = Link(page_id="a1" * 16, alarm_id="b2" * 16, person="anna", ends_s=int(NOW_S) + 3_600)


@dataclass(frozen=True)
class Phone:
    """A browser that follows nothing and keeps nothing."""

    app: Starlette

    def __call__(self, method: str, path: str, **said: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="https://fleet.clinic.example") as browser:
                return await browser.request(method, path, **said)

        return asyncio.run(asked())

    def get(self, path: str) -> httpx.Response:
        return self("GET", path)

    def post(self, path: str, **said: Any) -> httpx.Response:
        return self("POST", path, **said)


@dataclass
class Desk:
    """The pages, as a telephone finds them; `asked` is what the fleet was asked, `answer` what it says."""

    folder: Path
    answer: dict[str, Any] | None = field(default_factory=lambda: {"ok": True})
    line: str | None = LINE
    asked: list[dict[str, Any]] = field(default_factory=list)
    now_s: float = 0.0
    wall_s: float = NOW_S

    def __post_init__(self) -> None:
        self.opens()

    def opens(self) -> None:
        async def ask(order: dict[str, Any]) -> dict[str, Any] | None:
            self.asked.append(order)
            return self.answer

        desk = LinkDesk(
            key=KEY,
            used=UsedLinks(self.folder, self.wall_s),
            describe=lambda link: self.line,
            ask=ask,
            walltime=lambda: self.wall_s,
            rate=Rate(lambda: self.now_s),
        )
        self.phone = Phone(Starlette(routes=link_routes(desk)))

    def url(self, link: Link = LINK) -> str:
        return f"/l/{link_token(KEY, link)}"

    def press(self, choice: str, link: Link = LINK) -> tuple[int, str]:
        answer = self.phone.post(self.url(link), data={"press": choice})
        return answer.status_code, answer.text


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_looking_changes_nothing(desk: Desk) -> None:
    for _ in range(3):
        shown = desk.phone.get(desk.url())
        assert shown.status_code == 200
        assert LINE in shown.text
        assert "I see to it" in shown.text
        assert "It is noted for anna." in shown.text
        assert desk.phone("HEAD", desk.url()).status_code == 200
    assert desk.asked == []
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert "<script" not in shown.text
    for method in ("PUT", "DELETE", "PATCH"):
        assert desk.phone(method, desk.url()).status_code == 405


def test_one_press_takes_the_alarm_and_the_link_is_used(desk: Desk) -> None:
    status, said = desk.press("accept")
    assert (status, "You have it" in said) == (200, True)
    assert desk.asked == [{"op": "alarm_accept", "alarm_id": LINK.alarm_id, "issued_by": "anna"}]
    for again in (desk.press("accept"), desk.press("reject")):
        assert (again[0], "has been used" in again[1]) == (410, True)
    assert desk.phone.get(desk.url()).status_code == 410
    desk.opens()  # the web process was started again
    assert desk.press("accept")[0] == 410
    assert len(desk.asked) == 1


def test_whoever_cannot_says_so_and_the_next_one_is_told(desk: Desk) -> None:
    status, said = desk.press("reject")
    assert (status, "The next person is told" in said) == (200, True)
    (asked,) = desk.asked
    assert asked == {
        "op": "alarm_reject",
        "alarm_id": LINK.alarm_id,
        "issued_by": "anna",
        "reason": "cannot, by the message's link",
    }


def test_a_test_alarm_is_answered(desk: Desk) -> None:
    drill = Link(page_id="a1" * 16, alarm_id="b2" * 16, person="anna", ends_s=int(NOW_S) + 60, drill=True)
    assert "I have got it" in desk.phone.get(desk.url(drill)).text
    assert desk.press("accept", drill)[0] == 400
    status, said = desk.press("answer", drill)
    assert (status, "This way to you is proven" in said) == (200, True)
    assert desk.asked == [{"op": "drill_answered", "page_id": drill.page_id, "issued_by": "anna"}]


def test_while_the_fleet_is_away_nothing_is_noted_and_the_link_goes_on_working(desk: Desk) -> None:
    for answer in (None, {"ok": False, "error": "busy", "text": "..."}):
        desk.answer = answer
        status, said = desk.press("accept")
        assert (status, "Nothing was noted" in said) == (503, True)
    desk.answer = {"ok": True}
    assert desk.press("accept")[0] == 200


def test_an_alarm_that_is_over_wants_nothing(desk: Desk) -> None:
    desk.answer = refused_for("alarm_over")
    assert "The alarm is over" in desk.press("accept")[1]
    desk.line = None
    assert "The alarm is over" in desk.phone.get(desk.url()).text


def refused_for(*rules: str) -> dict[str, Any]:
    """As the fleet's control socket answers."""
    return {"ok": False, "error": "refused", "text": "...", "refusals": [{"rule": rule} for rule in rules]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused_for("alarm_unknown"), "Nobody knows this alarm any more"),
        (refused_for("page_unknown"), "This test is over"),
        (refused_for("a_rule_of_later"), "The fleet has refused it"),
        (refused_for(), "The fleet has refused it"),
    ],
)
def test_of_what_is_refused_nobody_is_told_that_it_is_over(desk: Desk, answer: dict[str, Any], said: str) -> None:
    desk.answer = answer
    status, shown = desk.press("accept")
    assert (status, said in shown, "The alarm is over" in shown) == (200, True, False)


def test_what_is_none_of_ours_and_what_has_ended(desk: Desk) -> None:
    assert desk.phone.get(f"/l/{link_token(bytes(32), LINK)}").status_code == 404
    assert desk.phone.post("/l/x", data={"press": "accept"}).status_code == 404
    desk.wall_s = float(LINK.ends_s)
    assert desk.phone.get(desk.url()).status_code == 410
    assert desk.press("accept")[0] == 410
    assert desk.asked == []


@pytest.mark.parametrize("body", [b"", b"press=", b"press=delete", b"\xff\xfe", b"press=accept&" + b"x" * 2_000])
def test_a_press_that_says_nothing_does_nothing(desk: Desk, body: bytes) -> None:
    answer = desk.phone.post(desk.url(), content=body)
    assert (answer.status_code, desk.asked) == (400, [])


def test_what_an_alarm_says_is_shown_as_it_is(desk: Desk) -> None:
    desk.line = '<script>alert(1)</script> & "stim"'
    shown = desk.phone.get(desk.url()).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;stim&quot;" in shown
    assert "<script>" not in shown


def test_too_often_is_too_often_and_forgotten_in_a_minute(desk: Desk) -> None:
    statuses = [desk.phone.get("/l/guess").status_code for _ in range(25)]
    assert statuses == [404] * 20 + [429] * 5
    desk.now_s += 60.0
    assert desk.phone.get("/l/guess").status_code == 404


def test_whoever_has_a_link_is_not_refused_for_others_guesses(desk: Desk) -> None:
    """One proxy, one address: a storm of forty people who look and press, and somebody who guesses."""
    assert {desk.phone.get("/l/guess").status_code for _ in range(30)} == {404, 429}
    for number in range(40):
        mine = replace(LINK, page_id=f"{number:032x}")
        assert desk.phone.get(desk.url(mine)).status_code == 200
        assert desk.press("accept", mine)[0] == 200
    assert len(desk.asked) == 40


def test_many_addresses_together_are_bounded_too() -> None:
    now_s = 0.0
    rate = Rate(lambda: now_s)
    assert sum(rate.allows(f"10.0.{n // 250}.{n % 250}") for n in range(1_000)) == 200
    for n in range(ADDRESSES_MAX * 2):
        now_s += 0.2
        assert rate.allows(f"10.1.{n // 250}.{n % 250}")


async def test_a_disk_that_takes_its_time_holds_up_nobody_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop that notes a used link is the loop that sends stops."""
    writes, go_on = threading.Event(), threading.Event()

    def slow(_descriptor: int) -> None:
        writes.set()
        assert go_on.wait(10.0), "the loop went on meanwhile"

    monkeypatch.setattr("fleet.paging.used_links.os.fsync", slow)
    transport = httpx.ASGITransport(app=desk.phone.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://fleet.clinic.example") as browser:
        pressed = asyncio.create_task(browser.post(desk.url(), data={"press": "accept"}))
        assert await asyncio.to_thread(writes.wait, 5.0)
        assert not pressed.done(), "nobody is told that it worked before it is written down"
        assert (await browser.get(desk.url())).status_code == 410, "somebody else is answered meanwhile"
        go_on.set()
        assert (await pressed).status_code == 200
